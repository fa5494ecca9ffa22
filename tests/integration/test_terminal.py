"""What a person sees while a run goes on, and limits of the machine that are explained."""

import fcntl
import os
import pty
import re
import resource
import select
import signal
import struct
import subprocess
import termios
import time
import unittest

from support import (
    BINARY,
    KEY,
    OK,
    STOPPED,
    USAGE,
    Case,
    Job,
    held,
    lane,
    pool,
    sim_pool,
    write_prompts,
)


class Terminal(Case):
    def run_in_terminal(self, job, columns=120, lines=40, env=None, stop_when=None):
        """Runs with standard error on a terminal; returns the exit code and all that was drawn."""
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        environment = {
            "PATH": "/usr/bin:/bin",
            "SIM_KEY": KEY,
            "TERM": "xterm",
            "LC_ALL": "C.UTF-8",
            **(env or {}),
        }
        process = subprocess.Popen(
            [BINARY, "run", job.input, "-o", job.output, "-c", job.config],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=slave,
            env=environment,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        os.close(slave)
        drawn, deadline = b"", time.monotonic() + 60
        while time.monotonic() < deadline:
            if select.select([master], [], [], 0.1)[0]:
                try:
                    piece = os.read(master, 65536)
                except OSError:  # the other end is closed
                    break
                drawn += piece
                if stop_when and re.search(stop_when, drawn):
                    process.send_signal(signal.SIGINT)
                    stop_when = None
        return process.wait(10), drawn.decode()

    def test_a_block_with_bar_rate_spend_and_one_line_a_pool_is_redrawn(self):
        sim = self.simulate(sim_pool("one", latency="100ms"), sim_pool("two", latency="100ms"))
        job = Job(
            self,
            [
                pool(sim.endpoints[n], n, lanes=[lane(quota={"concurrency": 4, "rpm": 6000})])
                for n in ("one", "two")
            ],
        )
        ids = write_prompts(job.input, 120)
        code, drawn = self.run_in_terminal(job)
        self.assertEqual(code, OK)
        self.check_each_once(job, ids)
        self.assertRegex(drawn, "\x1b\\[\\d+A", "the block is drawn in place")
        plain = re.sub("\x1b\\[[0-9;?]*[A-Za-z]", "", drawn)
        for part in (
            r"\d+ / 120",
            r"\d/s",
            r"in flight \d+",
            r"\$0\.\d+",
            r"one/gpt-5\.4-mini.*up",
            "two/gpt-5",
            r"spill in \d+ out \d+",
            "█",
        ):
            self.assertRegex(plain, part)
        self.assertLessEqual(max(len(line) for line in re.split("[\r\n]", plain)), 120)

    def test_narrow_small_and_plain_terminals(self):
        sim = self.simulate(sim_pool(latency="50ms"))
        for i, (columns, lines, env) in enumerate(
            (
                (40, 4, {}),
                (80, 24, {"NO_COLOR": "1"}),
                (80, 24, {"LC_ALL": "C"}),
                (80, 24, {"TERM": "dumb"}),
            )
        ):
            job = Job(self, [pool(sim.endpoints["main"])], name=f"job{i}")
            ids = write_prompts(job.input, 100, f"t{i}")
            code, drawn = self.run_in_terminal(job, columns, lines, env)
            self.assertEqual(code, OK)
            self.check_each_once(job, ids)
            if "NO_COLOR" in env:
                self.assertNotRegex(drawn, "\x1b\\[3\\dm")
            if "LC_ALL" in env:
                self.assertTrue(drawn.isascii())
            if "TERM" in env:
                self.assertNotIn("\x1b", drawn)
            elif columns == 40:
                plain = re.sub("\x1b\\[[0-9;?]*[A-Za-z]", "", drawn)
                self.assertLessEqual(max(len(line) for line in re.split("[\r\n]", plain)), 40)

    def test_ctrl_c_says_how_to_go_on(self):
        sim, job, ids = self.simple_job(400, {"latency": "100ms"})
        code, drawn = self.run_in_terminal(job, stop_when=rb"in flight [1-9]")
        self.assertEqual(code, STOPPED)
        self.assertIn("Go on with the same command", drawn)
        job.run()
        self.check_each_once(job, ids)
        self.assertEqual(sim.stats()["repeated_ids"], 0)


class FileDescriptors(Case):
    def test_the_soft_limit_is_raised(self):
        sim, job, ids = self.simple_job(2000, {"faults": held(1)}, {"quota": {"concurrency": 700}})
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if hard != resource.RLIM_INFINITY and hard < 2000:
            self.skipTest("the hard limit of this machine is too low")
        process = job.start(preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard)))
        sim.wait_for(lambda s: s["in_flight"] == 700, "all connections are in use")
        sim.release()
        self.assertEqual(process.wait(), OK, process.err[-3000:])
        self.check_each_once(job, ids)

    def test_a_shortage_is_explained_before_anything_is_sent(self):
        sim, job, _ = self.simple_job(10, lane_changes={"quota": {"concurrency": 700}})
        process = job.run(
            expect=USAGE, preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (300, 300))
        )
        self.assertRegex(process.err, r"(?i)(file descriptors|open files|ulimit|connections)")
        self.assertFalse(job.state.exists())
        self.assertEqual(sim.stats()["requests"], 0)


if __name__ == "__main__":
    unittest.main()
