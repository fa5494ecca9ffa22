"""`spillway results` and `errors` against a real broker, with rows as an owner would write them."""

import signal
import unittest

from fleet_support import FleetCase, wire
from support import (
    ERROR_ROWS,
    OK,
    STOPPED,
    STORAGE,
    USAGE,
    read_rows,
    wait_until,
    write_prompts,
)


class Results(FleetCase):
    def setUp(self):
        super().setUp()
        self.out, self.errors = self.folder / "out.jsonl", self.folder / "out.errors.jsonl"
        path = self.folder / "in.jsonl"
        write_prompts(path, 6)
        self.fleet_command("submit", "in.jsonl", "--job", "j", expect=OK)

    def results(self, *flags, expect):
        return self.fleet_command("results", "j", "-o", self.out, *flags, expect=expect)

    def ids(self, path):
        return [row["custom_id"] for row in read_rows(path)]

    def finish(self, answered, errors):
        self.produce("jobs", [("final/j", wire.final("j", answered + errors, answered, errors), [])])

    def test_each_prompt_once_and_retries_win(self):
        self.produce("results", [
            self.result("j", "p-2", 0, 2, 3), self.result("j", "p-0", 0, 0, 1, error="http_500"),
            self.result("j", "p-1", 0, 1, 2, error="http_400"),
            self.result("other", "x", 0, 0, 1)], partition=0)
        self.results(expect=STOPPED)
        self.assertEqual((self.ids(self.out), self.ids(self.errors)), (["p-2"], ["p-0", "p-1"]))
        self.assertIn("exists; --overwrite", self.results(expect=USAGE).err)
        self.produce("results", [
            self.result("j", "p-0", 0, 0, 1, generation=1),
            self.result("j", "p-2", 0, 2, 3),
            ("j/p-9", b"not ours", [("job", b"j")])], partition=0)
        self.produce("results", [self.result("j", f"p-{i}", 1, i, i + 1) for i in (5, 4, 3)],
                     partition=1)
        self.finish(5, 1)
        process = self.results("--overwrite", "--json", expect=ERROR_ROWS)
        self.assertEqual(sorted(self.ids(self.out)), ["p-0", "p-2", "p-3", "p-4", "p-5"])
        self.assertEqual(self.ids(self.errors), ["p-1"])
        self.assertEqual((process.summary()["answered"], process.summary()["errors"]), (5, 1))
        self.assertIn("skipped 1 records", process.err)
        self.results("--overwrite", "--ordered", expect=ERROR_ROWS)
        self.assertEqual(self.ids(self.out), ["p-0", "p-2", "p-3", "p-4", "p-5"])
        self.assertEqual(self.ids(self.errors), ["p-1"])
        left = {p.name for p in self.folder.iterdir() if p.name.startswith((".spillway", "out."))}
        self.assertEqual(left, {"out.jsonl", "out.errors.jsonl"})

    def test_aborted_rows_do_not_count_and_chunks_come_together(self):
        producer = self.producer(**{"transactional.id": "owner"})
        producer.init_transactions(30)
        for aborted in (True, False):
            producer.begin_transaction()
            key, value, headers = self.result("j", "p-0", 0, 0, 1, pad=2_000_000)
            if aborted:
                key, value, headers = self.result("j", "p-1", 0, 1, 2, pad=10)
                producer.produce(self.topic("results"), value, key, 0, headers=headers)
                producer.flush(30)
                producer.abort_transaction(30)
                continue
            pieces = [value[i : i + 900_000] for i in range(0, len(value), 900_000)]
            for i, piece in enumerate(pieces):
                chunk = [("job", b"j"), ("chunk", f"set-1/{i}/{len(pieces)}".encode())]
                producer.produce(self.topic("results"), piece, key, 0,
                                 headers=(headers if i == 0 else []) + chunk[i == 0 :])
            producer.commit_transaction(30)
        self.produce("results", [self.result("j", f"p-{i}", 0, i, i + 1) for i in range(1, 6)])
        self.finish(6, 0)
        self.results(expect=OK)
        rows = read_rows(self.out)
        self.assertEqual([r["custom_id"] for r in rows], [f"p-{i}" for i in range(6)])
        texts = [len(r["response"]["body"]["text"]) for r in rows]
        self.assertEqual(texts[0], 2_000_000)
        self.assertNotEqual(texts[1], 10, "the aborted row")
        self.assertFalse(self.errors.exists())

    def test_follow_ends_with_the_job(self):
        following = self.start(["results", "j", "-o", self.out, "--follow", "-c", self.config])
        for i in range(6):
            self.produce("results", [self.result("j", f"p-{i}", 0, i, i + 1)])
            wait_until(lambda: self.out.exists() and len(self.out.read_bytes().splitlines()) > i,
                       "the row arrives")
        self.assertIsNone(following.code)
        self.finish(6, 0)
        self.assertEqual(following.wait(30), OK)
        self.assertEqual(self.ids(self.out), [f"p-{i}" for i in range(6)])

    def test_following_can_be_stopped(self):
        following = self.start(["results", "j", "-o", self.out, "--follow", "-c", self.config])
        wait_until(self.out.exists, "it follows")
        following.signal(signal.SIGINT)
        self.assertEqual(following.wait(30), STOPPED)

    def test_rows_that_are_gone_are_missed(self):
        self.produce("results", [self.result("j", "p-0", 0, 0, 1)])
        self.finish(6, 0)
        self.assertIn("5 rows of job j", self.results(expect=STORAGE).err)

    def test_errors_are_counted_by_code(self):
        self.assertIn("No error rows", self.fleet_command("errors", "j", expect=OK).out)
        self.produce("results", [
            self.result("j", f"p-{i}", 0, i, i + 1, error="http_500" if i else "in_doubt")
            for i in range(4)] + [self.result("j", "p-3", 0, 3, 4, generation=1)])
        process = self.fleet_command("errors", "j", "--limit", "1", expect=ERROR_ROWS)
        self.assertRegex(process.out, r"http_500 +2\n")
        self.assertRegex(process.out, r"in_doubt +1\n")
        self.assertIn("and 2 more", process.out)
        rows = self.fleet_command("errors", "j", "--json", expect=ERROR_ROWS).events()
        self.assertEqual([r["custom_id"] for r in rows], ["p-0", "p-1", "p-2"])


if __name__ == "__main__":
    unittest.main()
