"""Told to stop, or killed: nothing lost, nothing twice, re-sent at most what was in flight."""

import json
import random
import signal
import subprocess
import unittest

from support import (
    KEY,
    OK,
    STOPPED,
    Case,
    Job,
    held,
    lane,
    pool,
    prompt,
    sim_pool,
    wait_until,
    write_prompts,
)

CONCURRENCY = 16


class Stopping(Case):
    def started(self, count, *flags, share=1.0, name="job"):
        """A run whose connections are all waiting for answers that are held, or soon will be."""
        sim = self.simulate(sim_pool(faults=held(share)), name=f"sim-{name}")
        job = Job(self, [pool(sim.endpoints["main"])], name=name)
        ids = write_prompts(job.input, count, name)
        process = job.start("--json", *flags)
        sim.wait_for(lambda s: s["in_flight"] == CONCURRENCY, "all connections are in use")
        return sim, job, ids, process

    def told_to_stop(self, process, number=signal.SIGTERM):
        process.signal(number)
        wait_until(lambda: any(e["state"] == "draining" for e in process.events()), "it drains")
        self.assertIsNone(process.code)

    def test_a_signal_lets_calls_finish_and_the_resume_sends_nothing_again(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number):
                sim, job, ids, process = self.started(100, share=0.4, name=f"job{number}")
                sim.wait_for(lambda s: s["answered"] > 0, "some answers")
                self.told_to_stop(process, number)
                sent = sim.stats()["requests"]
                sim.release()
                self.assertEqual(process.wait(), STOPPED)
                self.assertIn("Go on with the same command", process.err)
                self.assertEqual(process.summary()["exit_code"], STOPPED)
                stats = sim.stats()
                self.assertEqual(stats["dropped"], 0)
                self.assertEqual(len(job.rows()), stats["answered"])
                self.assertEqual(stats["requests"], sent, "it stopped sending")
                resumed = job.run("--json")
                self.check_each_once(job, ids)
                self.check_money(sim, job)
                stats = sim.stats()
                self.assertEqual((stats["requests"], stats["repeated_ids"]), (100, 0))
                summary = resumed.summary()
                self.assertEqual(summary["in_doubt_at_start"], 0)
                self.assertEqual(summary["resumed"], sent)

    def test_the_command_it_tells_to_repeat_works_as_it_stands(self):
        sim, job, ids, process = self.started(
            60, "--job", "a name with 'quotes' and $", share=0.4
        )
        self.told_to_stop(process)
        sim.release()
        self.assertEqual(process.wait(), STOPPED)
        command = process.err.rstrip().splitlines()[-1].strip()
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=self.folder,
            capture_output=True,
            timeout=60,
            env={"PATH": "/usr/bin:/bin", "SIM_KEY": KEY},
        )
        self.assertEqual(done.returncode, OK, done.stderr)
        self.check_each_once(job, ids)

    def test_a_second_signal_stops_at_once(self):
        sim, job, ids, process = self.started(40)
        self.told_to_stop(process)
        process.signal(signal.SIGTERM)
        self.assertEqual(process.wait(10), STOPPED)  # a call may take 20 s
        self.assertEqual(sim.stats()["requests"], CONCURRENCY)
        self.assertEqual(job.rows() + job.error_rows(), [])
        other = self.simulate(name="sim2")
        job.configure([pool(other.endpoints["main"])])
        job.run()
        self.check_each_once(job, ids)
        self.assertEqual(sum(r["spillway"]["maybe_billed"] for r in job.rows()), CONCURRENCY)

    def test_calls_that_do_not_finish_are_ended_after_the_drain_timeout(self):
        sim, job, ids, process = self.started(40, "--drain-timeout", "300ms")
        process.signal(signal.SIGTERM)
        self.assertEqual(process.wait(10), STOPPED)
        self.assertEqual(job.rows() + job.error_rows(), [])

    def test_a_stop_before_anything_was_sent(self):
        sim, job, ids = self.simple_job(2000, {"latency": "50ms"})
        for _ in range(3):
            process = job.start("--quiet")
            wait_until(
                lambda: (job.state / "store").exists() or process.code is not None,
                "the state is there",
            )
            process.signal(signal.SIGTERM)
            self.assertIn(process.wait(), (STOPPED, OK, -signal.SIGTERM))
        job.run()
        self.check_each_once(job, ids)


class Killing(Case):
    """SIGKILL at random moments; the simulator and the input know what must be true afterwards."""

    def kill_and_resume(self, seed, sim, job, ids, kills, capacity, moments):
        chance = random.Random(seed)
        reported = 0
        for i in range(kills):
            process = job.start("--json")
            moments(chance, i, sim, process)
            process.kill()
            # One that died before it could tell may have had as many in flight as there can be.
            events = process.events()
            reported += events[0]["in_doubt_at_start"] if events else capacity
            if process.code == OK:
                break
        last = job.run("--json")
        reported += last.events()[0]["in_doubt_at_start"]
        self.check_each_once(job, ids)
        stats = sim.stats()
        self.assertLessEqual(stats["repeated_ids"], reported, f"seed {seed}")
        self.assertLessEqual(stats["repeated_ids"], kills * capacity, f"seed {seed}")
        self.assertEqual(stats["distinct_ids"], len(ids))
        self.assertGreaterEqual(
            sum(r["spillway"]["maybe_billed"] for r in job.rows()), stats["repeated_ids"]
        )
        return stats

    def after_some_calls(self, chance, i, sim, process):
        target = sim.stats()["requests"] + chance.randrange(1, 200)
        wait_until(lambda: sim.stats()["requests"] >= target or process.code is not None, "calls")

    def after_some_bytes(self, job):
        """Kills when a file of rows has just grown: between the rows and their record."""

        def moment(chance, i, sim, process):
            size = (job.output.stat().st_size if job.output.exists() else 0) + chance.randrange(
                1, 100_000
            )
            wait_until(
                lambda: process.code is not None
                or (job.output.exists() and job.output.stat().st_size >= size),
                "rows",
            )

        return moment

    def after_some_instants(self, chance, i, sim, process):
        """During the start: a number of looks at the clock, no call needed."""
        for _ in range(chance.randrange(0, 40)):
            sim.stats()

    def test_between_calls(self):
        for seed in (1, 2):
            sim = self.simulate(
                sim_pool(latency={"median": "8ms", "sigma": 0.7}), name=f"sim{seed}"
            )
            job = Job(self, [pool(sim.endpoints["main"])], name=f"job{seed}")
            ids = write_prompts(job.input, 1200, f"k{seed}")
            self.kill_and_resume(seed, sim, job, ids, 8, 2 * CONCURRENCY, self.after_some_calls)

    def test_between_rows_and_their_record(self):
        sim, job, ids = self.simple_job(2500, {"latency": "2ms"})
        self.kill_and_resume(3, sim, job, ids, 12, 2 * CONCURRENCY, self.after_some_bytes(job))

    def test_during_the_start(self):
        sim, job, ids = self.simple_job(1500, {"latency": "2ms"})
        self.kill_and_resume(4, sim, job, ids, 12, 2 * CONCURRENCY, self.after_some_instants)

    def test_with_bad_lines_several_pools_and_a_budget(self):
        sim = self.simulate(
            sim_pool("a", latency="4ms", quota={"rpm": 30000}),
            sim_pool("b", "azure-openai", latency="9ms"),
        )
        job = Job(
            self,
            [
                pool(sim.endpoints["a"], "a", lanes=[lane(quota={"rpm": 30000, "concurrency": 8})]),
                pool(sim.endpoints["b"], "b", "azure-openai", [lane(quota={"concurrency": 8})]),
            ],
            budget_usd=1,
        )
        ids, bad = [], 0
        with open(job.input, "w", encoding="utf-8") as file:
            for i in range(1500):
                ids.append(f"m-{i}")
                file.write(json.dumps(prompt(ids[-1], number=i)) + "\n")
                if i % 7 == 0:
                    file.write("broken line\n")
                    bad += 1
        chance = random.Random(5)
        for i in range(8):
            process = job.start("--quiet")
            self.after_some_calls(chance, i, sim, process)
            process.kill()
        job.run(expect=1)
        self.assertEqual(sorted(r["custom_id"] for r in job.rows()), sorted(ids))
        errors = job.error_rows()
        self.assertEqual((len(errors), len({r["spillway"]["line"] for r in errors})), (bad, bad))
        stats = sim.stats()
        self.assertLessEqual(stats["repeated_ids"], 8 * 2 * CONCURRENCY)
        self.assertEqual(stats["distinct_ids"], len(ids))
        claimed = sum(r["spillway"]["cost_usd"] for r in job.rows())
        self.assertGreaterEqual(claimed + 1e-9, stats["billed_usd"], "doubtful calls stay charged")

    def test_a_killed_run_is_reported_as_resumed(self):
        sim, job, ids = self.simple_job(300, {"faults": held(0.05)})
        process = job.start("--quiet")
        sim.wait_for(lambda s: s["answered"] >= 100 and s["in_flight"] > 0, "100 answers")
        process.kill()
        sim.release()
        resumed = job.run("--json")
        summary = resumed.summary()
        self.assertGreaterEqual(summary["resumed"], 100 - 2 * CONCURRENCY)
        self.assertLessEqual(summary["in_doubt_at_start"], 2 * CONCURRENCY)
        self.assertGreater(summary["in_doubt_at_start"], 0)
        self.assertEqual(summary["answered"], 300)
        self.check_each_once(job, ids)


if __name__ == "__main__":
    unittest.main()
