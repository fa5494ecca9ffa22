"""Storage that fails: a full disk, folders that cannot be written."""

import os
import subprocess
import unittest

from support import OK, STORAGE, USAGE, Case, Job, lane, pool, sim_pool, write_prompts


def as_nobody():
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


class FullDisk(Case):
    def small_disk(self, kilobytes):
        """A file system of its own; needs the right to mount."""
        place = self.folder / "disk"
        place.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "spillway-test", str(place)],
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            self.skipTest("cannot mount a small file system: " + done.stderr.strip())
        self.addCleanup(subprocess.run, ["umount", "-l", str(place)])
        return place

    def check_full_then_free(self, place, ballast_path, **files):
        sim = self.simulate(sim_pool(output_tokens=200))
        job = Job(
            self, [pool(sim.endpoints["main"], lanes=[lane(max_output_tokens=512)])], folder=place
        )
        for name, path in files.items():
            setattr(job, name, path)
        flags = [x for name in files for x in (f"--{name}", getattr(job, name))]
        ids = write_prompts(job.input, 2000)
        process = job.run(*flags, expect=STORAGE)
        self.assertRegex(process.err, r"No space left|space")
        self.assertIn("free some space", process.err)
        self.assertIn("same command", process.err)
        self.assertLess(len(job.output.read_bytes().split(b"\n")), 2000)
        # Repeated on the full disk: the same clear answer, nothing worse.
        again = job.start(*flags)
        self.assertEqual(again.wait(), STORAGE, again.err)
        self.assertRegex(again.err, r"(?i)space")
        ballast_path.unlink()
        job.run(*flags, expect=OK)
        self.check_each_once(job, ids)
        stats = sim.stats()
        self.assertEqual(stats["distinct_ids"], len(ids))
        self.assertLessEqual(stats["repeated_ids"], 2 * 2 * 16)

    def test_everything_on_the_full_disk(self):
        place = self.small_disk(64_000)  # the store reserves some 20 MB ahead where it can
        ballast = place / "ballast"
        ballast.write_bytes(b"b" * (63_000 << 10))
        self.check_full_then_free(place, ballast)

    def test_only_the_results_on_the_full_disk(self):
        place = self.small_disk(16_000)
        ballast = place / "ballast"
        ballast.write_bytes(b"b" * (15_500 << 10))
        self.check_full_then_free(place, ballast, state=self.folder / "kept.state")

    def test_only_the_state_on_the_full_disk(self):
        place = self.small_disk(16_000)
        ballast = place / "ballast"
        ballast.write_bytes(b"b" * (15_840 << 10))  # less is left than it notes about 4,000 prompts
        state = place / "job.state"
        sim = self.simulate()
        job = Job(self, [pool(sim.endpoints["main"])])
        job.state = state
        ids = write_prompts(job.input, 4000)
        process = job.run("--state", state, expect=STORAGE)
        self.assertIn("free some space", process.err)
        ballast.unlink()
        job.run("--state", state)
        self.check_each_once(job, ids)

    def test_a_disk_full_before_the_start(self):
        place = self.small_disk(64)
        (place / "ballast").write_bytes(b"b" * (60 << 10))
        sim = self.simulate()
        job = Job(self, [pool(sim.endpoints["main"])], folder=place)
        ids = write_prompts(job.input, 10)
        process = job.run(expect=STORAGE)
        self.assertRegex(process.err, r"(?i)space")
        self.assertEqual(sim.stats()["requests"], 0)
        subprocess.run(["mount", "-o", "remount,size=16m", str(place)], check=True)
        job.run()
        self.check_each_once(job, ids)


class NoPermission(Case):
    def setUp(self):
        super().setUp()
        os.chmod(self.folder, 0o777)
        self.drop = None
        if os.geteuid() == 0:  # root may write everywhere
            self.drop = as_nobody

    def start_as_nobody(self, job, *flags):
        process = job.start(*flags, preexec=self.drop)
        return process, process.wait()

    def test_a_folder_that_cannot_be_written(self):
        sim = self.simulate()
        place = self.folder / "locked"
        place.mkdir()
        job = Job(self, [pool(sim.endpoints["main"])], folder=place)
        ids = write_prompts(job.input, 10)
        place.chmod(0o555)
        process, code = self.start_as_nobody(job)
        self.assertEqual(code, STORAGE, process.err)
        self.assertIn(str(place), process.err)
        self.assertRegex(process.err, "Permission denied")
        self.assertEqual(list(place.iterdir()), [])
        self.assertEqual(sim.stats()["requests"], 0)
        place.chmod(0o777)
        process, code = self.start_as_nobody(job)
        self.assertEqual(code, OK, process.err)
        self.check_each_once(job, ids)

    def test_only_the_results_cannot_be_written(self):
        sim = self.simulate()
        place = self.folder / "locked"
        place.mkdir(mode=0o555)
        job = Job(self, [pool(sim.endpoints["main"])], folder=place)
        ids = write_prompts(job.input, 10)
        job.state = self.folder / "kept.state"
        process, code = self.start_as_nobody(job, "--state", job.state)
        self.assertEqual(code, STORAGE, process.err)
        self.assertIn(str(job.output), process.err)
        self.assertEqual(sim.stats()["requests"], 0)
        place.chmod(0o777)
        process, code = self.start_as_nobody(job, "--state", job.state)
        self.assertEqual(code, OK, process.err)
        self.check_each_once(job, ids)

    def test_an_input_that_cannot_be_read(self):
        _, job, _ = self.simple_job(3)
        job.input.chmod(0)
        process, code = self.start_as_nobody(job)
        self.assertEqual(code, USAGE, process.err)
        self.assertIn(str(job.input), process.err)
        self.assertIn("Permission denied", process.err)

    def test_a_read_only_disk(self):
        place = self.folder / "disk"
        place.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "ro", "spillway-test", str(place)], capture_output=True
        )
        if done.returncode != 0:
            self.skipTest("cannot mount a read-only file system")
        self.addCleanup(subprocess.run, ["umount", "-l", str(place)])
        sim = self.simulate()
        job = Job(self, [pool(sim.endpoints["main"])], folder=place)
        write_prompts(job.input, 3)
        process = job.run(expect=STORAGE)
        self.assertIn("Read-only file system", process.err)
        self.assertEqual(sim.stats()["requests"], 0)


class StrangeOutputs(Case):
    def test_outputs_that_are_no_files(self):
        _, job, _ = self.simple_job(3)
        for target in ("/dev/full", "/dev/null", str(self.folder), "/no/such/folder/out.jsonl"):
            process = self.command(
                "run",
                job.input,
                "-o",
                target,
                "-c",
                job.config,
                "--errors",
                self.folder / "e.jsonl",
                "--state",
                self.folder / "s",
            )
            self.assertIn(process.code, (USAGE, STORAGE), target)
            self.assertIn(target, process.err)


if __name__ == "__main__":
    unittest.main()
