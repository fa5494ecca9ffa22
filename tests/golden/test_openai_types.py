"""Every answer in a result row is one that openai's Python library reads, its types being strict."""

import json
import os
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]

import answers  # noqa: E402
import foreign_packages  # noqa: E402
from lines import exchange  # noqa: E402

PACKAGES = ("openai==3.57.0",)
PROBE = os.environ.get("SPILLWAY_TRANSLATE_PROBE", "spillway_translate_probe")
COUNT = 150
CHATS = {  # surface -> lanes that write it
    "converse": [("bedrock", "openai.gpt-oss-120b-1:0")],
    "generate-content": [("vertex", "gemini-3-flash-preview"), ("vertex", "gemini-2.5-pro")],
    "messages": [("anthropic", "claude-sonnet-4-5")],
    "responses": [("vertex", "gpt-5.4"), ("bedrock", "openai.gpt-5.4")],
}
TITAN = {"embedding": [0.25, -1.5e-3, 1], "inputTextTokenCount": 3}
PREDICTED = {"predictions": [
    {"embeddings": {"values": [0.5, 1, -2e-7],
                    "statistics": {"token_count": 3, "truncated": False}}}] * 2}


def as_it_is(kind):
    """Answers that lanes of the OpenAI form pass on."""
    usage = {"prompt_tokens": 3, "total_tokens": 3}
    if kind == "embeddings":
        return {"object": "list", "model": "m", "usage": usage,
                "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 1.0]}]}
    if kind == "responses":
        return answers.answers("responses", 1)[0]
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "m",
            "usage": {**usage, "completion_tokens": 0},
            "choices": [{"index": 0, "finish_reason": "stop",
                         "message": {"role": "assistant", "content": "é"}}]}


def cases():
    """(name, type, what the probe is asked)"""
    for surface, lanes in CHATS.items():
        for provider, model in lanes:
            for number, answer in enumerate(answers.answers(surface, COUNT, seed=22)):
                yield f"{surface} of {model} {number}", "chat", {
                    "provider": provider, "surface": surface, "model": model,
                    "answer": json.dumps(answer)}
    url = "/v1/embeddings"
    yield "titan", "embeddings", {"provider": "bedrock", "surface": "invoke", "url": url,
                                  "model": "amazon.titan-embed-text-v2:0",
                                  "answer": json.dumps(TITAN)}
    yield "predict", "embeddings", {"provider": "vertex", "surface": "predict", "url": url,
                                    "model": "gemini-embedding-001",
                                    "answer": json.dumps(PREDICTED)}
    for provider in ("openai", "azure-openai", "openai-compatible"):
        for kind, path in (("chat", "/v1/chat/completions"), ("embeddings", url),
                           ("responses", "/v1/responses")):
            yield f"{provider} {kind}", kind, {"provider": provider, "surface": "openai",
                                               "url": path, "answer": json.dumps(as_it_is(kind))}


class OpenAiTypes(unittest.TestCase):
    def setUp(self):
        python = foreign_packages.interpreter(*PACKAGES)
        self.reader = [python, "-B", HERE / "openai_read.py"]

    def test_every_answer_is_read(self):
        names, kinds, asked = zip(*cases())
        decoded = exchange([PROBE], [{"status": 200, **one} for one in asked])
        refused = [name for name, out in zip(names, decoded) if not out["answered"]]
        self.assertEqual(refused, [])
        said = exchange(self.reader, [{"as": kind, "body": out["body"]}
                                      for kind, out in zip(kinds, decoded)])
        complaints = {name: text for name, text in zip(names, said) if text}
        self.assertEqual(complaints, {}, f"of {len(names)}")

    def test_the_reader_is_strict(self):
        right = as_it_is("chat")
        wrong = json.loads(json.dumps(right).replace('"created": 1', '"created": "1"'))
        ended = json.loads(json.dumps(right).replace('"stop"', '"end_turn"'))
        said = exchange(self.reader, [{"as": "chat", "body": json.dumps(body)}
                                      for body in (right, wrong, ended, {})])
        self.assertIsNone(said[0])
        self.assertTrue(all(said[1:]), said)


if __name__ == "__main__":
    unittest.main()
