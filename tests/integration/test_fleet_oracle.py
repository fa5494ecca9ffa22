"""The oracle of the fleet's tests can see what it is there for: it is fed with records as the
schemas encode them."""

import pathlib
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from fleet_watch import Ledger  # noqa: E402
from kafka_client import Record  # noqa: E402


def encode(message, text):
    """The wire form of a message given as Protobuf text, by the compiler itself."""
    schema = "fleet_shard" if message == "ResultFacts" else "fleet_journal"
    return subprocess.run(
        ["protoc", f"--encode=spillway.fleet.v1.{message}", f"-I{ROOT}", f"schemas/{schema}.proto"],
        input=text.encode(),
        stdout=subprocess.PIPE,
        check=True,
        cwd=ROOT,
    ).stdout


class Feed:
    """A ledger of one partition and the records it is fed with."""

    def __init__(self):
        self.ledger, self._offset = Ledger(1), 0

    def _record(self, topic, at, value=b"", key=b"", **headers):
        self._offset += 1
        return Record(f"f.{topic}", 0, self._offset, at, key, value, headers)

    def intent(self, at, session, index, in_flight=True):
        text = f"""version: 1 session: "{session}" attempts {{ names: "main" attempts {{
            place {{ offset: 300 index: {index} }} in_flight: {str(in_flight).lower()} sends: 1
            charged_nano_usd: -1 at_unix_ms: 1795529141010 }} }}"""
        self.ledger.take_stored(self._record("journal", at, encode("JournalRecord", text)))

    def hand_over(self, at, session):
        text = (
            f'session: "{session}" hand_over {{ open {{ attempts {{ place {{ index: 1 }} }} }} }}'
        )
        self.ledger.take_stored(self._record("journal", at, encode("JournalRecord", text)))

    def late(self, at, session, index):
        text = f'session: "{session}" result {{ place {{ offset: 300 index: {index} }} }}'
        self.ledger.take_stored(
            self._record("late", at, b"{}", spillway=encode("LateRecord", text))
        )

    def result(
        self, at, index, value=b"{}", committed=False, generation=0, chunk=None, kind="answered"
    ):
        facts = encode(
            "ResultFacts",
            f"""version: 1 job: "j" charged_nano_usd: 7 place {{
            offset: 300 index: {index} generation: {generation} }}""",
        )
        headers = {"spillway": facts, "kind": kind.encode(), "job": b"j"}
        if chunk:
            headers["chunk"] = chunk.encode()
        record = self._record("results", at, value, f"j/p-{index}".encode(), **headers)
        (self.ledger.take_committed if committed else self.ledger.take_stored)(record)


class InFlight(unittest.TestCase):
    def setUp(self):
        self.feed = Feed()

    def open(self):
        return self.feed.ledger.in_flight_at_deaths()

    def test_nothing_is_in_doubt_while_the_owner_lives(self):
        self.feed.intent(10, "one", 1)
        self.assertEqual(self.open(), 0)

    def test_an_intent_left_by_a_dead_owner_counts_once(self):
        for index in (1, 2):
            self.feed.intent(10, "one", index)
        self.feed.result(20, 2)
        self.feed.intent(30, "two", 1)
        self.feed.result(40, 1)
        self.assertEqual(self.open(), 1)
        self.assertEqual(self.feed.ledger.intents(), 3)

    def test_a_stored_answer_is_salvaged_not_re_sent(self):
        self.feed.intent(10, "one", 1)
        self.feed.result(20, 1)
        self.feed.intent(30, "two", 5)
        self.feed.result(40, 1)
        self.assertEqual(self.open(), 0)

    def test_a_send_that_ended_is_not_open(self):
        self.feed.intent(10, "one", 1)
        self.feed.intent(20, "one", 1, in_flight=False)
        self.feed.intent(30, "two", 1)
        self.assertEqual(self.open(), 0)

    def test_each_of_two_deaths_leaves_its_own(self):
        self.feed.intent(10, "one", 1)
        self.feed.intent(20, "two", 1)
        self.feed.intent(30, "three", 2)
        self.assertEqual(self.open(), 2)

    def test_late_answers_close_what_was_handed_over(self):
        for index in (1, 2):
            self.feed.intent(10, "one", index)
        self.feed.hand_over(20, "one")
        self.feed.intent(30, "two", 5)
        self.feed.late(40, "one", 1)
        self.assertEqual(self.open(), 1)
        self.feed.late(50, "one", 2)
        self.assertEqual(self.open(), 0)

    def test_chunks_count_when_the_last_one_is_stored(self):
        self.feed.intent(10, "one", 1)
        self.feed.result(20, 1, chunk="a/0/2")
        self.feed.intent(30, "two", 5)
        self.assertEqual(self.open(), 1)
        self.feed.result(25, 1, chunk="a/1/2")
        self.assertEqual(self.open(), 0)


class Rows(unittest.TestCase):
    def setUp(self):
        self.feed = Feed()
        self.ledger = self.feed.ledger

    def test_lost_duplicate_surplus_and_wrong_rows_are_seen(self):
        self.feed.result(1, 1, b"[[re:p-1]]", committed=True)
        self.feed.result(2, 2, b"[[re:p-1]]", committed=True)
        self.feed.result(3, 3, b"[[re:p-3]]", committed=True)
        self.feed.result(4, 3, b"[[re:p-3]]", committed=True)
        keys = {"j/p-1", "j/p-2", "j/p-9"}
        self.assertEqual(self.ledger.lost(keys), ["j/p-9"])
        self.assertEqual(self.ledger.duplicates(), ["j/p-3"])
        self.assertEqual(self.ledger.surplus(keys), ["j/p-3"])
        self.assertEqual(self.ledger.wrong, ["j/p-2"])

    def test_a_row_of_a_later_generation_is_no_duplicate(self):
        self.feed.result(1, 1, b'{"error":{"code":"hold"}}', committed=True, kind="failed")
        self.feed.result(2, 1, b"[[re:p-1]]", committed=True, generation=1)
        self.assertEqual(self.ledger.duplicates(), [])
        self.assertEqual(dict(self.ledger.error_codes()), {"hold": 1})

    def test_chunks_are_one_row_once_whole(self):
        self.feed.result(1, 1, b"[[re:", committed=True, chunk="a/0/2")
        self.assertEqual(self.ledger.lost({"j/p-1"}), ["j/p-1"])
        self.feed.result(1, 1, b"p-1]]", committed=True, chunk="a/1/2")
        self.assertEqual(self.ledger.lost({"j/p-1"}), [])
        self.assertEqual(self.ledger.wrong, [])


if __name__ == "__main__":
    unittest.main()
