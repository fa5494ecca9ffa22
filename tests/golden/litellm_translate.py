"""LiteLLM's translations, in a Python that has it: JSON lines {"to", "model", "body", "answer"} in;
out come the body it would send and what it makes of the answer, {"sent", "read"} or "refused"."""

import json
import os
import sys

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would fetch prices otherwise

import httpx  # noqa: E402
import litellm  # noqa: E402
import litellm.responses.main  # noqa: E402,F401  (a function has its name, too)
from litellm.llms.custom_httpx.http_handler import HTTPHandler  # noqa: E402
from litellm.llms.vertex_ai.vertex_llm_base import VertexBase  # noqa: E402

litellm.drop_params = True  # as lanes do whose job says `unmappable: drop`
litellm.suppress_debug_info = True
litellm.num_retries = 0

# form -> prefix of its model names, and what it must be told
WAYS = {
    "converse": ("bedrock/converse/", {"aws_access_key_id": "a", "aws_secret_access_key": "b",
                                       "aws_region_name": "us-east-1"}),
    "generate-content": ("vertex_ai/", {"vertex_project": "proj",
                                        "vertex_location": "us-central1"}),
    "messages": ("anthropic/", {"api_key": "k"}),
    "responses": ("openai/responses/", {"api_key": "k"}),
}


class Wire:
    """Stands where the network is: keeps what is sent and hands out the answer."""

    def __init__(self):
        self.sent, self.answer = None, None

    def post(self, _client, url, data=None, json=None, **_):
        text = data if data is not None else json
        if isinstance(text, (bytes, str)):
            text = _load(text)
        self.sent = text
        return httpx.Response(200, json=self.answer, request=httpx.Request("POST", url))


def _load(text):
    return json.loads(text)


def _arguments(body):
    out = {key: value for key, value in body.items() if key != "model"}
    return json.loads(json.dumps(out))  # it changes what it is given


def translate(wire, to, model, body, answer):
    prefix, how = WAYS[to]
    wire.sent, wire.answer = None, answer
    try:
        # Its client for tools on other servers is no part of a plain installation.
        read = litellm.completion(model=prefix + model, client=HTTPHandler(),
                                  _skip_mcp_handler=True, **how, **_arguments(body))
    except Exception as error:  # it has one type a provider
        return {"sent": wire.sent, "refused": f"{type(error).__name__}: {error}"[:400]}
    return {"sent": wire.sent, "read": json.loads(read.model_dump_json())}


def main():
    wire = Wire()
    HTTPHandler.post = lambda *a, **k: wire.post(*a, **k)
    VertexBase._ensure_access_token = lambda *_, **__: ("token", "proj")
    sys.modules["litellm.responses.main"]._responses_try_dispatch_mcp_gateway = lambda *_, **__: None
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # it prints, too
    for line in sys.stdin:
        asked = json.loads(line)
        asked.pop("name", None)
        print(json.dumps(translate(wire, **asked)), file=out, flush=True)


if __name__ == "__main__":
    main()
