"""Jobs in a fleet that are steered: paused, cancelled, favoured, sent again, limited by money."""

import json
import re
import signal
import unittest

from serve_support import ERROR_ROWS, OK, STOPPED, ServeCase
from support import MODEL, USAGE, held, prompt, wait_until, write_prompts


class Control(ServeCase):
    sim_pools = {"main": {"latency": "40ms"}}

    def test_pause_sends_nothing_and_resume_goes_on(self):
        path = self.folder / "in.jsonl"
        ids = write_prompts(path, 1500)
        self.lanes["main"] = {"timeout": "120s"}
        self.configure()
        self.sim.control(pool="main", faults=held(0.02))
        self.serve("a", "b")
        self.submit(path, "j")
        self.wait_status("j", lambda s: s["answered"] > 50, "it is under way")
        self.fleet_command("pause", "j", expect=OK)
        self.wait_status("j", lambda s: s["state"] == "paused", "it is paused")
        self.sim.release()
        self.wait_status("j", lambda s: s["state"] == "paused" and s["in_flight"] == 0 and s[
            "answered"] == self.sim.stats()["answered"], "nothing is in flight")
        # Another job passes it: what is paused stays, whatever else the members do.
        other = self.folder / "other.jsonl"
        write_prompts(other, 100, prefix="o")
        sent = self.requests()
        self.submit(other, "other")
        self.wait_finished("other", expect=OK)
        self.assertEqual(self.requests(), sent + 100)
        self.fleet_command("resume", "j", expect=OK)
        self.wait_finished("j", expect=OK)
        self.check_answers(self.results("j", expect=OK)[0], ids)
        self.assertEqual(self.requests(), 1600)

    def test_cancel_leaves_a_row_for_every_prompt(self):
        path = self.folder / "in.jsonl"
        ids = write_prompts(path, 3000)
        self.serve("a", "b")
        self.submit(path, "j")
        self.wait_status("j", lambda s: s["answered"] > 50, "it is under way")
        self.fleet_command("cancel", "j", expect=OK)
        last = self.wait_finished("j", expect=ERROR_ROWS)
        self.assertEqual((last["outcome"], last["prompts"]), ("cancelled", 3000))
        answers, errors = self.results("j", expect=ERROR_ROWS)
        self.assertEqual(set(answers) | set(errors), set(ids))
        self.assertEqual(set(answers) & set(errors), set())
        self.assertEqual(set(self.codes(errors).values()), {"cancelled"})
        self.assertEqual(len(answers), self.requests())

    def test_cancelling_a_paused_job_ends_it(self):
        path = self.folder / "in.jsonl"
        write_prompts(path, 50)
        self.submit(path, "j")
        self.fleet_command("pause", "j", expect=OK)
        self.serve()
        self.fleet_command("cancel", "j", expect=OK)
        self.wait_finished("j", expect=ERROR_ROWS)
        self.assertEqual(self.requests(), 0)

    def test_a_small_job_does_not_wait_behind_a_big_one(self):
        big, small = self.folder / "big.jsonl", self.folder / "small.jsonl"
        write_prompts(big, 20_000, prefix="b")  # takes a minute: nobody waits for its end
        write_prompts(small, 60, prefix="s")
        self.serve("a", "b")
        self.submit(big, "big")
        self.wait_status("big", lambda s: s["answered"] > 20, "it is under way")
        self.submit(small, "heavy", "--weight", "50")
        self.wait_finished("heavy", expect=OK)
        self.assertLess(self.status("big")["answered"], 20_000)
        write_prompts(small, 60, prefix="t")
        self.submit(small, "first", "--priority", "3")
        self.wait_finished("first", expect=OK)
        self.assertLess(self.status("big")["answered"], 20_000)


class Again(ServeCase):
    sim_pools = {"main": {},
                 "bad": {"faults": [{"kind": "error", "share": 0.4, "by": "prompt", "status": 400,
                                     "code": "content_filter", "message": "no"}]},
                 "deaf": {"faults": [{"kind": "hang", "share": 1}]}}

    def test_failed_rows_are_sent_again(self):
        self.configure(working=["main=bad"])
        path = self.folder / "in.jsonl"
        ids = write_prompts(path, 400)
        member = self.serve()
        self.submit(path, "j")
        last = self.wait_finished("j", expect=ERROR_ROWS)
        failed = last["errors"]
        self.assertGreater(failed, 50)
        codes = set(self.codes(self.results("j", expect=ERROR_ROWS)[1]).values())
        self.assertEqual(len(codes), 1, codes)
        self.configure()
        member.process.signal(signal.SIGHUP)
        member.wait_log("is in force")
        self.fleet_command("retry", "j", "--code", "no_such_code", expect=OK)
        self.wait_finished("j", expect=ERROR_ROWS)
        self.assertEqual(self.requests("main"), 0)
        self.fleet_command("retry", "j", "--code", codes.pop(), expect=OK)
        last = self.wait_finished("j", expect=OK)
        self.assertEqual((last["prompts"], last["answered"], last["errors"]), (400, 400, 0))
        answers, errors = self.results("j", expect=OK)
        self.check_answers(answers, ids)
        self.assertEqual((errors, self.requests("main")), ({}, failed))

    def test_rows_that_no_lane_took_are_sent_once_there_is_one(self):
        path = self.folder / "in.jsonl"
        lines = [prompt("now"), *(prompt(f"l-{i}", model="later") for i in range(40))]
        path.write_text("".join(json.dumps(one) + "\n" for one in lines) + "{broken\n")
        member = self.serve("a")
        self.submit(path, "j", "--allow-invalid")
        last = self.wait_finished("j", expect=ERROR_ROWS)
        self.assertEqual((last["answered"], last["errors"], last["invalid"]), (1, 41, 1))
        self.fleet_command("retry", "j", expect=OK)  # nothing has changed
        last = self.wait_finished("j", expect=ERROR_ROWS)
        self.assertEqual((last["answered"], last["errors"]), (1, 41))
        self.lanes["new"] = {"model": "later", "as": MODEL}
        self.configure(working=["main", "new=main"])
        member.process.signal(signal.SIGHUP)
        member.wait_log("is in force")
        self.fleet_command("retry", "j", "--code", "unknown_model", expect=OK)
        last = self.wait_finished("j", expect=ERROR_ROWS)
        self.assertEqual((last["answered"], last["errors"], last["invalid"]), (41, 1, 1))
        answers, errors = self.results("j", expect=ERROR_ROWS)
        self.check_answers(answers, [one["custom_id"] for one in lines])
        self.assertEqual(self.codes(errors), {None: "invalid_json"})
        self.assertEqual(self.requests("main"), 41)

    def test_prompts_in_doubt_are_held_until_asked_for(self):
        self.configure(working=["main=deaf"], policy={"in_doubt": "hold"})
        path = self.folder / "in.jsonl"
        ids = write_prompts(path, 60)
        member = self.serve()
        self.submit(path, "j")
        self.sim.wait_for(lambda s: s["pools"]["deaf"]["in_flight"] >= 10, "calls hang")
        member.kill()
        sent = self.requests("deaf")
        self.configure(policy={"in_doubt": "hold"})
        self.run_member()
        last = self.wait_finished("j", expect=ERROR_ROWS)
        held = last["errors"]  # with those whose turn had come, but who were not sent yet
        self.assertTrue(sent <= held < 60 and last["answered"] == 60 - held, (sent, last))
        errors = self.results("j", expect=ERROR_ROWS)[1]
        self.assertEqual(set(self.codes(errors).values()), {"in_doubt"})
        self.assertEqual(self.sim.stats()["repeated_ids"], 0)
        self.fleet_command("retry", "j", "--in-doubt", expect=OK)
        self.wait_finished("j", expect=OK)
        self.check_answers(self.results("j", expect=OK)[0], ids)
        self.assertEqual(self.requests("main"), 60)


class Money(ServeCase):
    def test_a_budget_holds_and_is_shown(self):
        path = self.folder / "in.jsonl"
        write_prompts(path, 600)
        self.serve("a", "b")
        self.submit(path, "j", "--budget", "0.02")
        parts = len({m.partition() for m in self.consume("shards")})

        def is_spent(status):
            held = [re.search(r"\((\d+) partition", h) for h in status["held_up"]]
            return status["in_flight"] == 0 and sum(int(h.group(1)) for h in held) == parts

        status = self.wait_status("j", is_spent, "every partition's part is spent")
        self.assertTrue(all("budget" in held for held in status["held_up"]), status["held_up"])
        self.assertTrue(0 < status["answered"] < 600, status)
        billed = self.sim.stats()["billed_usd"]
        self.assertLessEqual(billed, 0.02)
        self.assertAlmostEqual(status["cost_usd"], billed, places=7)
        self.assertEqual(status["budget_usd"], 0.02)
        text = self.fleet_command("status", "j", expect=STOPPED).out
        self.assertIn("Held up: budget-spent: the partition's part of the budget is spent", text)
        # Nobody else waits for it.
        write_prompts(path, 60, prefix="other")
        self.submit(path, "other")
        self.wait_finished("other", expect=OK)
        # A larger one lets it go on, where it stopped.
        said = self.fleet_command("policy", "j", "--budget", "5", "--json", expect=OK)
        self.assertEqual(json.loads(said.out), {"job": "j", "command": "policy", "written": True})
        last = self.wait_finished("j", expect=OK)
        self.assertEqual((last["answered"], last["errors"], last["budget_usd"]), (600, 0, 5))
        self.assertEqual(self.requests(), 660)
        self.assertEqual(self.sim.stats()["repeated_ids"], 0)

    def test_what_may_change_while_a_job_runs(self):
        path = self.folder / "in.jsonl"
        ids = write_prompts(path, 60)
        self.lanes["main"] = {"residency": ["eu"]}
        self.configure()
        self.submit(path, "j", "--residency", "eu,us", "--max-attempts", "7")
        self.fleet_command("policy", "j", expect=USAGE)
        self.fleet_command("policy", "nobody", "--weight", "2", expect=USAGE)
        refused = self.fleet_command("policy", "j", "--residency", "eu,asia", expect=USAGE)
        self.assertIn("may not use asia", refused.err)
        self.assertIn("new values", self.fleet_command(
            "policy", "j", "--residency", "eu", "--priority", "4", expect=OK).out)
        refused = self.fleet_command("policy", "j", "--residency", "us", expect=USAGE)
        self.assertIn("only be narrowed", refused.err)
        self.serve()
        self.wait_finished("j", expect=OK)
        self.check_answers(self.results("j", expect=OK)[0], ids)
        # The end does not end it: what is kept, and for how long.
        self.fleet_command("policy", "j", "--keep", "1s", expect=OK)
        wait_until(lambda: self.fleet_command("status", "j").code == USAGE, "it is forgotten", 60)


if __name__ == "__main__":
    unittest.main()
