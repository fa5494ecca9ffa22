"""State and files that were touched by others: refused with a reason, or repaired without loss."""

import shutil
import signal
import unittest

from support import (
    ERROR_ROWS,
    OK,
    STOPPED,
    STORAGE,
    USAGE,
    Case,
    Job,
    held,
    pool,
    sim_pool,
    wait_until,
    write_prompts,
)


class Half(Case):
    """A job stopped in the middle by its budget, some bad lines included."""

    def setUp(self):
        super().setUp()
        self.sim, self.job, self.ids = self.simple_job(100)
        with open(self.job.input, "a", encoding="utf-8") as file:
            file.write("bad line\nanother\n")
        self.job.run("--budget", "0.005", expect=STOPPED)
        self.assertTrue(10 < len(self.job.rows()) < 90)
        self.assertEqual(len(self.job.error_rows()), 2)
        self.calls = self.sim.stats()["requests"]

    def snapshot(self):
        return {p: p.read_bytes() for p in (self.job.output, self.job.errors) if p.exists()}

    def refused(self, code, *words, flags=(), sent=0):
        """The run ends with `code`, names what is wrong, changes no row and sends nothing."""
        before = self.snapshot()
        process = self.job.run("--budget", "1", *flags, expect=code)
        for word in words:
            self.assertIn(str(word), process.err)
        self.assertEqual(self.snapshot(), before)
        self.assertEqual(self.sim.stats()["requests"], self.calls + sent)
        return process

    def finish(self):
        self.job.run("--budget", "1", expect=ERROR_ROWS)
        self.assertEqual(sorted(r["custom_id"] for r in self.job.rows()), sorted(self.ids))
        self.assertEqual(sorted(r["spillway"]["line"] for r in self.job.error_rows()), [101, 102])
        self.assertEqual(self.sim.stats()["repeated_ids"], 0)


class TouchedRows(Half):
    def test_results_shortened(self):
        data = self.job.output.read_bytes()
        for cut in (1, 200, len(data) - 1, len(data)):
            self.job.output.write_bytes(data[:-cut])
            self.refused(STORAGE, self.job.output, "shorter")
        self.job.output.write_bytes(data)
        self.finish()

    def test_last_row_changed(self):
        data = self.job.output.read_bytes()
        self.job.output.write_bytes(data[:-20] + b"X" + data[-19:])
        self.refused(STORAGE, self.job.output, "last row")
        self.job.output.write_bytes(data)
        self.finish()

    def test_results_deleted(self):
        data = self.job.output.read_bytes()
        self.job.output.unlink()
        self.refused(STORAGE, self.job.output, "missing")
        self.assertFalse(self.job.output.exists())
        self.job.output.write_bytes(data)
        self.finish()

    def test_errors_file_deleted_shortened_or_changed(self):
        data = self.job.errors.read_bytes()
        self.job.errors.unlink()
        self.refused(STORAGE, self.job.errors, "missing")
        self.job.errors.write_bytes(data[:-1])
        self.refused(STORAGE, self.job.errors, "shorter")
        self.job.errors.write_bytes(data[:-10] + b"0" + data[-9:])
        self.refused(STORAGE, self.job.errors, "last row")
        self.job.errors.write_bytes(data)
        self.finish()

    def test_rows_appended_by_others_are_not_cut(self):
        data = self.job.output.read_bytes()
        first_row = data[: data.index(b"\n") + 1]
        for extra in (
            b'{"custom_id": "foreign"}\n',
            b"note to self\n",
            first_row,
            b'{"torn": 1}\n{"x',
        ):
            self.job.output.write_bytes(data + extra)
            self.refused(STORAGE, self.job.output)
        self.job.output.write_bytes(data)
        errors = self.job.errors.read_bytes()
        self.job.errors.write_bytes(errors + b"note to self\n")
        self.refused(STORAGE, self.job.errors)
        self.job.errors.write_bytes(errors)
        self.finish()

    def test_a_torn_last_row_is_cut(self):
        row = self.job.output.read_bytes().split(b"\n")[0]
        with open(self.job.output, "ab") as file:
            file.write(row[: len(row) // 2])
        with open(self.job.errors, "ab") as file:
            file.write(b'{"id":"batch')
        self.finish()

    def test_overwrite_starts_anew(self):
        self.job.run("--overwrite", expect=ERROR_ROWS)
        self.assertEqual(sorted(r["custom_id"] for r in self.job.rows()), sorted(self.ids))
        self.assertEqual(len(self.job.error_rows()), 2)
        self.assertEqual(self.sim.stats()["requests"], self.calls + 100)

    def test_overwrite_helps_when_rows_are_damaged(self):
        self.job.output.write_bytes(b"")
        self.refused(STORAGE, "--overwrite")
        self.job.run("--overwrite", expect=ERROR_ROWS)
        self.assertEqual(sorted(r["custom_id"] for r in self.job.rows()), sorted(self.ids))


class TouchedInput(Half):
    def test_input_grown_or_shrunk(self):
        data = self.job.input.read_bytes()
        for changed in (data + b"\n", data[:-5], b""):
            self.job.input.write_bytes(changed)
            self.refused(USAGE, self.job.input, "changed")
        self.job.input.write_bytes(data)
        self.finish()

    def test_input_changed_in_place(self):
        data = self.job.input.read_bytes()
        at = data.index(b"[[id:p-80]]")
        self.job.input.write_bytes(data[:at] + b"[[id:p-99]]" + data[at + 11 :])
        self.refused(STORAGE, self.job.input, "changed")
        self.job.input.write_bytes(data)
        self.finish()

    def test_other_inputs(self):
        other = self.folder / "other.jsonl"
        shutil.copy(self.job.input, other)
        before = self.snapshot()
        for inputs in ([other], [self.job.input, other]):
            process = self.job.run("--budget", "1", inputs=inputs, expect=USAGE)
            self.assertIn("input", process.err)
        self.assertEqual(self.snapshot(), before)
        self.finish()


class TouchedState(Half):
    def test_state_deleted_while_results_are_there(self):
        shutil.rmtree(self.job.state)
        self.refused(USAGE, self.job.output, "--overwrite")
        self.assertFalse(self.job.state.exists())
        self.job.run("--overwrite", expect=ERROR_ROWS)
        self.assertEqual(sorted(r["custom_id"] for r in self.job.rows()), sorted(self.ids))

    def test_a_foreign_folder_as_state(self):
        foreign = self.folder / "photos"
        foreign.mkdir()
        (foreign / "holiday.jpg").write_bytes(b"x")
        for flags in (["--overwrite"], []):
            other = Job(self, [pool(self.sim.endpoints["main"])], name="other")
            process = other.run("--state", foreign, *flags, expect=STORAGE)
            self.assertIn(str(foreign), process.err)
            self.assertEqual([p.name for p in foreign.iterdir()], ["holiday.jpg"])
            self.assertFalse(other.output.exists())

    def test_a_file_as_state(self):
        other = Job(self, [pool(self.sim.endpoints["main"])], name="other")
        other.state.write_text("x")
        self.assertIn(str(other.state), other.run(expect=STORAGE).err)

    def test_the_state_of_another_job(self):
        other = Job(self, [pool(self.sim.endpoints["main"])], name="other")
        process = other.run("--state", self.job.state, expect=USAGE)
        self.assertIn("job", process.err)
        self.assertFalse(other.output.exists())
        self.finish()

    def corrupt(self, change):
        """Damages the store; the run must refuse, or go on from what is there without loss."""
        kept = self.folder / "kept"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(self.job.state, kept)
        rows = self.snapshot()
        for path in sorted((self.job.state / "store").iterdir()):
            if path.name == "LOCK" or path.is_dir():
                continue
            data = path.read_bytes()
            changed = change(path.name, data)
            if changed is None or changed == data:
                continue
            with self.subTest(path.name):
                path.write_bytes(changed)
                process = self.job.start("--budget", "1")
                code = process.wait()
                if code in (STORAGE, USAGE):
                    self.assertRegex(
                        process.err, f"{self.job.state}|{self.job.output}|{self.job.errors}"
                    )
                    self.assertIn("--overwrite", process.err)
                    self.assertEqual(self.snapshot(), rows)
                else:
                    self.assertEqual(code, ERROR_ROWS, process.err)
                    self.check_nothing_lost()
                shutil.rmtree(self.job.state)
                shutil.copytree(kept, self.job.state)
                for file, content in rows.items():
                    file.write_bytes(content)

    def check_nothing_lost(self):
        self.assertEqual(sorted(r["custom_id"] for r in self.job.rows()), sorted(self.ids))
        self.assertEqual(sorted(r["spillway"]["line"] for r in self.job.error_rows()), [101, 102])

    def test_store_files_overwritten_in_the_middle(self):
        self.corrupt(
            lambda name, data: (
                data[: len(data) // 2] + b"\xa5" * 64 + data[len(data) // 2 + 64 :]
                if len(data) > 128 and not name.startswith(("OPTIONS", "LOG"))
                else None
            )
        )

    def test_store_files_overwritten_at_the_start(self):
        self.corrupt(
            lambda name, data: (
                b"\xa5" * min(32, len(data)) + data[32:]
                if data and not name.startswith(("OPTIONS", "LOG"))
                else None
            )
        )

    def test_store_files_emptied(self):
        self.corrupt(
            lambda name, data: b"" if data and not name.startswith(("OPTIONS", "LOG")) else None
        )

    def test_store_log_damaged_anywhere(self):
        for tenth in range(1, 10):
            self.corrupt(
                lambda name, data, at=tenth: (
                    data[: len(data) * at // 10] + b"\xff" * 9 + data[len(data) * at // 10 + 9 :]
                    if name.endswith(".log") and data
                    else None
                )
            )

    def test_store_log_torn_at_the_end(self):
        self.corrupt(lambda name, data: data[:-3] if name.endswith(".log") and data else None)


class TwoProcesses(Case):
    def test_a_second_run_of_the_same_job_is_refused(self):
        sim, job, ids = self.simple_job(100, {"faults": held(0.1)})
        first = job.start("--quiet")
        sim.wait_for(lambda s: s["answered"] > 0, "answers")
        for flags in ([], ["--overwrite"]):
            second = job.run(*flags, expect=USAGE)
            self.assertIn("in use", second.err)
        # Other names for the same results don't help either.
        other = Job(self, [pool(sim.endpoints["main"])], name="other")
        linked = self.folder / "linked.jsonl"
        linked.symlink_to(job.output)
        process = self.command(
            "run",
            job.input,
            "-o",
            linked,
            "-c",
            other.config,
            "--state",
            self.folder / "new.state",
            "--overwrite",
            expect=USAGE,
        )
        self.assertIn("in use", process.err)
        self.assertIsNone(first.code)
        sim.release()
        self.assertEqual(first.wait(), OK)
        self.check_each_once(job, ids)
        self.assertEqual(sim.stats()["requests"], 100)

    def test_two_jobs_side_by_side_do_not_disturb_each_other(self):
        sim = self.simulate(sim_pool(latency="20ms"))
        jobs = []
        for name in ("one", "two"):
            job = Job(self, [pool(sim.endpoints["main"])], name=name)
            job.input = self.folder / f"{name}.in.jsonl"
            jobs.append((job, write_prompts(job.input, 150, name), job.start("--quiet")))
        for job, ids, process in jobs:
            self.assertEqual(process.wait(), OK, process.err)
            self.check_each_once(job, ids)


class AnswersWrittenButNotRecorded(Case):
    def test_rows_of_open_calls_are_adopted_not_sent_again(self):
        # An older state with newer rows is what a power cut between the two leaves behind.
        sim, job, ids = self.simple_job(40, {"faults": held(1)}, {"quota": {"concurrency": 8}})
        process = job.start("--json")
        sim.wait_for(lambda s: s["in_flight"] == 8, "eight calls under way")
        process.signal(signal.SIGSTOP)
        older = self.folder / "older.state"
        shutil.copytree(job.state, older)
        process.signal(signal.SIGCONT)
        process.signal(signal.SIGTERM)
        wait_until(lambda: any(e["state"] == "draining" for e in process.events()), "it drains")
        sim.release()
        self.assertEqual(process.wait(), STOPPED)
        written = job.output.read_bytes()
        self.assertEqual(len(job.rows()), 8)
        shutil.rmtree(job.state)
        shutil.copytree(older, job.state)
        resumed = job.run("--json")
        self.assertEqual(resumed.summary()["adopted"], 8)
        self.assertTrue(job.output.read_bytes().startswith(written))
        self.check_each_once(job, ids)
        self.assertEqual((sim.stats()["requests"], sim.stats()["repeated_ids"]), (40, 0))
        self.assertGreaterEqual(
            sum(r["spillway"]["cost_usd"] for r in job.rows()) + 1e-9, sim.stats()["billed_usd"]
        )


if __name__ == "__main__":
    unittest.main()
