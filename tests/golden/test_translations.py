"""Our translations against LiteLLM's, both ways, for generated requests and answers."""

import collections
import json
import os
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]

import answers  # noqa: E402
import chat_requests  # noqa: E402
import compare  # noqa: E402
import damage  # noqa: E402
import differences  # noqa: E402
import foreign_packages  # noqa: E402
import normal  # noqa: E402
from lines import exchange  # noqa: E402

PACKAGES = ("litellm==1.106.2", "boto3==1.44.5")
PROBE = os.environ.get("SPILLWAY_TRANSLATE_PROBE", "spillway_translate_probe")
COUNT = 260  # of which some ask for what a lane can't map
COMPARED_MIN = 200
DAMAGED_A_KIND = 3  # places of a kind that are damaged, a lane
# Kinds of places that the prompts of a lane have to reach.
DAMAGED = {
    ("converse", "request"): {
        ".inferenceConfig.maxTokens", ".toolConfig.tools[].toolSpec.inputSchema",
        ".messages[].content[].toolResult.content[].text"},
    ("generate-content", "request"): {
        ".tools[].functionDeclarations[].parametersJsonSchema",
        ".tools[].functionDeclarations[].parametersJsonSchema.properties.query.type",
        ".contents[].parts[].functionResponse.response.output",
        ".generationConfig.thinkingConfig.thinkingLevel"},
    ("generate-content of 2.5", "request"): {".generationConfig.thinkingConfig.thinkingBudget"},
    ("messages", "request"): {
        ".max_tokens", ".output_config", ".output_config.format.schema.properties.query",
        ".thinking.budget_tokens", ".messages[].content[].content[].text"},
    ("responses", "request"): {".max_output_tokens", ".input[].output[].text"},
    ("generate-content", "answer"): {".choices[].content", ".usage.output"},
}
# name -> form, provider, model. The second of a form is of another family of models.
LANES = {
    "converse": ("converse", "bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0"),
    "converse of gpt-oss": ("converse", "bedrock", "openai.gpt-oss-120b-1:0"),
    "generate-content": ("generate-content", "vertex", "gemini-3-flash-preview"),
    "generate-content of 2.5": ("generate-content", "vertex", "gemini-2.5-pro"),
    "messages": ("messages", "anthropic", "claude-sonnet-4-5"),
    "responses": ("responses", "vertex", "gpt-5.4"),
}


class Translations(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        python = foreign_packages.interpreter(*PACKAGES)
        bodies = chat_requests.requests(COUNT)
        asked, probed = [], []
        for name, (to, provider, model) in LANES.items():
            lane = {"provider": provider, "surface": to, "model": model}
            for body, answer in zip(bodies, answers.answers(to, COUNT)):
                asked.append({"name": name, "to": to, "model": model, "body": body,
                              "answer": answer})
                probed.append({**lane, "body": json.dumps(body)})
                probed.append({**lane, "status": 200, "answer": json.dumps(answer)})
        theirs = exchange([python, "-B", HERE / "litellm_translate.py"], asked)
        ours = exchange([PROBE], probed)
        cls.cases = collections.defaultdict(list)
        for case, told, encoded, decoded in zip(asked, theirs, ours[::2], ours[1::2]):
            cls.cases[case["name"]].append((case, told, encoded, decoded))
        cls.met = set()

    def unexplained(self, way, ours, theirs, case, dropped=()):
        """The differences that no row of the table explains."""
        left = []
        seen = case | {"ours": ours, "theirs": theirs, "dropped": set(dropped)}
        for found in compare.differences(ours, theirs):
            row = differences.explaining(case["to"], way, *found, seen)
            if row is None:
                left.append(found)
            else:
                self.met.add(row)
        lacking = differences.lacking(case["to"], ours, seen) if way == "request" else []
        return left + lacking

    def complain(self, unexplained):
        if not unexplained:
            return
        seen = collections.Counter(path for _, path, _, _ in unexplained)
        shown = [f"{number} {path}\n    ours   {compare.short(a)}\n    theirs {compare.short(b)}"
                 for number, path, a, b in unexplained[:12]]
        self.fail(f"{len(unexplained)} differences: {dict(seen)}\n" + "\n".join(shown))

    def compared(self, name, way):
        """(number, case, ours, theirs, what ours leaves out) of those that are sent, or answers."""
        for number, (case, told, encoded, decoded) in enumerate(self.cases[name]):
            to = case["to"]
            if way == "answer":
                yield number, case, normal.our_answer(decoded), normal.their_answer(told), ()
                continue
            self.assertNotIn("invalid", encoded)
            if encoded["refused"]:  # such prompts go to other lanes
                self.assertLessEqual(set(encoded["refused"]), differences.REFUSED[name],
                                     case["body"])
                continue
            self.assertIsNotNone(told["sent"], told)
            yield (number, case, normal.request(to, json.loads(encoded["body"])),
                   normal.request(to, told["sent"]), encoded["unmappable"])

    def check(self, name, way, compared_min):
        compared, unexplained = 0, []
        for number, case, ours, theirs, dropped in self.compared(name, way):
            left = self.unexplained(way, ours, theirs, case, dropped)
            unexplained += [(number, *one) for one in left]
            compared += 1
        self.complain(unexplained)
        self.assertGreaterEqual(compared, compared_min)

    def check_damage(self, name, way):
        """Each kind of place is lost, or has another value, in some cases: no row explains that."""
        seen, unnoticed = collections.Counter(), []

        def wanted(*place):
            seen[place] += 1
            return seen[place] <= DAMAGED_A_KIND

        for number, case, ours, theirs, dropped in self.compared(name, way):
            for path, how, wrong in damage.damaged(ours, wanted):
                if not self.unexplained(way, wrong, theirs, case, dropped):
                    unnoticed.append((number, path, how))
        self.assertEqual(unnoticed, [])
        self.assertLessEqual(DAMAGED.get((name, way), set()), {path for path, _ in seen})

    def test_1_requests(self):
        for name in LANES:
            with self.subTest(name):
                few = name == "converse of gpt-oss"  # it takes no images and no schemas
                self.check(name, "request", 140 if few else COMPARED_MIN)

    def test_1_answers(self):
        for name in LANES:
            with self.subTest(name):
                self.check(name, "answer", COUNT)

    def test_2_every_row_of_the_table_is_needed(self):
        idle = [row for row in differences.TABLE if row not in self.met]
        self.assertEqual(idle, [])

    def test_3_the_table_explains_no_damage(self):
        for name in LANES:
            for way in ("request", "answer"):
                with self.subTest(name, way=way):
                    self.check_damage(name, way)


if __name__ == "__main__":
    unittest.main()
