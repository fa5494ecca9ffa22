"""What a fleet deletes from the log and what it keeps; how its lag looks to Kafka's own tools."""

import json
import unittest

from fleet_support import PARTITIONS
from serve_support import OK, ServeCase
from support import prompt, wait_until, write_prompts


class Retention(ServeCase):
    def setUp(self):
        super().setUp()
        self.group = self.consumer(**{"group.id": self.fleet})  # it looks, and joins nothing

    def ends(self, topic):
        """(start, end) of each partition."""
        return [self.group.get_watermark_offsets(
            self.kafka.TopicPartition(self.topic(topic), p), timeout=20) for p in range(PARTITIONS)]

    def rows_of(self, topic):
        """Records that are there, by partition."""
        counts = [0] * PARTITIONS
        for message in self.consume(topic):
            counts[message.partition()] += 1
        return counts

    def test_what_no_job_keeps_goes_and_the_rest_stays(self):
        gone, stays = self.folder / "gone.jsonl", self.folder / "stays.jsonl"
        write_prompts(gone, 1200, prefix="g")
        kept = write_prompts(stays, 300, prefix="s")
        member = self.serve()
        self.fleet_command("jobs", "open", "stream", expect=OK)
        self.submit(gone, "gone", "--keep", "1s")
        self.wait_finished("gone", expect=OK)
        written = [end for _, end in self.ends("results")]
        used = [p for p, end in enumerate(written) if end > 0]
        self.submit(stays, "stays")
        self.wait_finished("stays", expect=OK)
        for topic in ("results", "shards"):
            wait_until(lambda t=topic: all(self.ends(t)[p][0] > 0 for p in used),
                       f"what only the job that is over used is gone from {topic}", 150)
        self.assertFalse([m for m in self.consume("results") if m.key().startswith(b"gone/")])
        self.assertEqual(sum(self.rows_of("results")), 300)
        self.check_answers(self.results("stays", expect=OK)[0], kept)
        # Nothing that stands there is lost or done again, by whoever owns it next.
        member.stop()
        sent = self.requests()
        self.serve("b")
        self.check_answers(self.results("stays", expect=OK)[0], kept)
        self.produce("shards", [(None, json.dumps(prompt("late")).encode(), [("job", b"stream")])],
                     partition=used[0])
        self.fleet_command("jobs", "close", "stream", expect=OK)
        self.wait_finished("stream")
        self.assertEqual(self.requests(), sent + 1)

    def lag(self):
        committed = self.group.committed(
            [self.kafka.TopicPartition(self.topic("shards"), p) for p in range(PARTITIONS)],
            timeout=20)
        return [end - max(c.offset, 0) for (_, end), c in zip(self.ends("shards"), committed)]

    def test_the_groups_lag_is_what_is_left_to_do(self):
        path = self.folder / "in.jsonl"
        ids = write_prompts(path, 900)
        self.submit(path, "j")
        self.fleet_command("pause", "j", expect=OK)
        behind = self.lag()
        self.assertGreater(sum(behind), 0)
        a, b = self.serve("a", "b")
        self.assertEqual(self.lag(), behind)
        self.fleet_command("resume", "j", expect=OK)
        self.wait_finished("j", expect=OK)
        wait_until(lambda: sum(self.lag()) == 0, "no lag is left", 60)
        # The offsets are for looking at: what they say has no effect.
        for member in (a, b):
            member.stop()
        wait_until(self.set_back, "the group is empty", 60)
        self.serve("c")
        self.assertEqual(self.requests(), 900)
        wait_until(lambda: sum(self.lag()) == 0, "the member says it again", 60)
        self.check_answers(self.results("j", expect=OK)[0], ids)

    def set_back(self):
        """Sets the group's offsets back to 0; False while it still has members."""
        try:
            self.group.commit(offsets=[self.kafka.TopicPartition(self.topic("shards"), p, 0)
                                       for p in range(PARTITIONS)], asynchronous=False)
            return True
        except self.kafka.KafkaException:
            return False


if __name__ == "__main__":
    unittest.main()
