"""Six providers beside each other: simulated pools, and what `spillway run` is told of them."""

import base64
import json

from support import KEY, MODEL, lane, pool, sim_pool

AWS_SECRET = "wJalrXUtnFEMI/K7MDENG+sim-3f81"  # unmistakable, so that a leak can be searched for
ENTRA_SECRET = "entra-secret-77c0e1"
ENVIRONMENT = {"AWS_ID": "AKIDSIM", "AWS_SECRET": AWS_SECRET, "ENTRA_SECRET": ENTRA_SECRET}
SECRETS = (KEY, AWS_SECRET, ENTRA_SECRET)

# The pools' own names for the model.
NAMES = {
    "openai": MODEL,
    "azure": "mini-prod",
    "bedrock": "us.anthropic.claude-haiku-4-5-20251001-v1:0",
    "vertex": "gemini-3.8-flash",
    "anthropic": "claude-haiku-4-5",
    "onprem": "qwen3-30b",
}
PROVIDERS = {
    "openai": "openai",
    "azure": "azure-openai",
    "bedrock": "bedrock",
    "vertex": "vertex",
    "anthropic": "anthropic",
    "onprem": "openai-compatible",
}
EMBEDDERS = {
    "openai": "text-embedding-3-small",
    "azure": "embed-prod",
    "bedrock": "amazon.titan-embed-text-v2:0",
    "vertex": "gemini-embedding-001",
}


def identity(**changes):
    """Who gives out credentials; a dictionary for a service is added to what it has."""
    section = {
        "google": {"project": "acme"},
        "entra": {"tenant": "contoso", "client_id": "app", "client_secret": ENTRA_SECRET},
        "aws": {"access_key_id": "AKIDSIM", "secret_access_key": AWS_SECRET},
    }
    for key, value in changes.items():
        section[key] = {**section[key], **value} if key in section else value
    return section


def sim_cloud(name, **changes):
    """The simulated pool of a provider."""
    own = {"models": [NAMES[name], *([EMBEDDERS[name]] if name in EMBEDDERS else [])]}
    if name in ("azure", "bedrock", "vertex"):
        own.update(api_key=None, identity=True)
    if name == "bedrock":
        own.update(region="us-east-1")
    if name == "vertex":
        own.update(project="acme", location="us-central1")
    return sim_pool(name, PROVIDERS[name], **{**own, **changes})


def auth_of(name, sim):
    return {
        "openai": {"api_key": "env:SIM_KEY"},
        "anthropic": {"api_key": "env:SIM_KEY"},
        "onprem": {"api_key": "env:SIM_KEY"},
        "azure": {
            "entra": {
                "client_id": "app",
                "client_secret": "env:ENTRA_SECRET",
                "token_url": sim.url + "/contoso/oauth2/v2.0/token",
            }
        },
        "bedrock": {"aws": {"access_key_id": "env:AWS_ID", "secret_access_key": "env:AWS_SECRET"}},
        "vertex": {"google": {"metadata_host": sim.url.removeprefix("http://")}},
    }[name]


def cloud(name, sim, lanes=None, **changes):
    """The pool as `spillway run` knows it."""
    own = {"auth": auth_of(name, sim)}
    if name == "bedrock":
        own.update(region="us-east-1")
    if name == "vertex":
        own.update(project="acme", location="us-central1")
    lanes = lanes or [lane(**{"as": NAMES[name]})]
    return pool(sim.endpoints[name], name, PROVIDERS[name], lanes, **{**own, **changes})


def embedding_lane(name, **changes):
    return lane("embed", **{"as": EMBEDDERS[name], "max_output_tokens": None, **changes})


# ---- prompts that need more than text ----

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
PIXEL = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
        "1f15c4890000000d49444154789c626001000000ffff03000006000557bfabd4"
        "0000000049454e44ae426082"
    )
).decode()


def _tools(choice):
    function = {"name": "weather", "description": "Tells it.", "parameters": SCHEMA}
    return {"tools": [{"type": "function", "function": function}], "tool_choice": choice}


def special_prompts():
    """(custom_id, what is special about it, body) of prompts in every form that all can map."""
    text = "What will it be like? [[id:{}]]"
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "weather", "arguments": '{"city":"Oslo","days":2}'},
    }
    history = [
        {"role": "user", "content": "Weather in Oslo?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
    ]
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + PIXEL}}
    format_ = {"type": "json_schema", "json_schema": {"name": "w", "schema": SCHEMA}}
    kinds = {
        "plain": {},
        "forced": _tools("required"),
        "named": _tools({"type": "function", "function": {"name": "weather"}}),
        "auto": _tools("auto"),
        "history": {**_tools("auto"), "messages": history},
        "image": {"messages": [{"role": "user", "content": [image]}]},
        "schema": {"response_format": format_},
        "short": {"max_tokens": 3},
    }
    for kind, extra in kinds.items():
        messages = extra.get("messages", [])
        told = {"role": "user", "content": text.format(kind)}
        if kind == "image":
            content = [*messages[0]["content"], {"type": "text", "text": told["content"]}]
            messages, told = [], {"role": "user", "content": content}
        body = {
            "model": MODEL,
            "max_tokens": 64,
            **extra,
            "messages": [{"role": "system", "content": "Be brief."}, *messages, told],
        }
        yield kind, body


def write_special(path):
    with open(path, "w", encoding="utf-8") as file:
        for kind, body in special_prompts():
            line = {"custom_id": kind, "method": "POST", "url": "/v1/chat/completions"}
            file.write(json.dumps({**line, "body": body}) + "\n")
    return [kind for kind, _ in special_prompts()]
