"""`spillway costs` of a fleet: the same money by tenant, job, lane and day."""

import datetime
import json
import unittest

from serve_support import OK, ServeCase
from support import write_prompts


def today():
    return datetime.datetime.now(datetime.timezone.utc).date().isoformat()


class Costs(ServeCase):
    def test_every_sheet_adds_up_to_the_bill(self):
        path, first_day = self.folder / "in.jsonl", today()
        self.serve()
        for job, tenant, count in (("j1", "acme", 60), ("j2", "acme", 30), ("j3", "other", 10)):
            write_prompts(path, count, prefix=job)
            self.submit(path, job, "--tenant", tenant)
        for job in ("j1", "j2", "j3"):
            self.wait_finished(job, expect=OK)
        sheet = json.loads(self.fleet_command("costs", "--json", expect=OK).out)
        billed = self.sim.stats()["billed_usd"]
        self.assertAlmostEqual(sheet["cost_usd"], billed, places=7)
        for view in ("tenants", "jobs", "lanes", "days"):
            self.assertAlmostEqual(
                sum(row["cost_usd"] for row in sheet[view]), billed, places=7, msg=view
            )
        answered = {row["tenant"]: row["answered"] for row in sheet["tenants"]}
        self.assertEqual(answered, {"acme": 90, "other": 10})
        self.assertEqual([row["job"] for row in sheet["jobs"]], ["j1", "j2", "j3"])
        self.assertLessEqual({row["day"] for row in sheet["days"]}, {first_day, today()})
        text = self.fleet_command("costs", "--by", "tenant", expect=OK).out
        self.assertIn("acme", text)
        self.assertNotIn("DAY (UTC)", text)


if __name__ == "__main__":
    unittest.main()
