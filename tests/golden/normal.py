"""Bodies in one spelling, where both spellings mean the same to whoever reads them."""

import json

import compare

GOOGLE_USER_VALUES = ("parameters", "parametersJsonSchema", "responseJsonSchema", "args",
                      "response")


def request(to, body):
    body = json.loads(json.dumps(body))
    if to == "generate-content":
        body = compare.camel_keys(body, GOOGLE_USER_VALUES)
        body.setdefault("generationConfig", {})
    if to == "converse":
        place = body.get("outputConfig", {}).get("textFormat", {}).get("structure", {})
        if "jsonSchema" in place:  # JSON in a text
            place["jsonSchema"]["schema"] = json.loads(place["jsonSchema"]["schema"])
        body.setdefault("inferenceConfig", {})
    if to == "messages":
        for message in body["messages"]:
            for part in message["content"] if isinstance(message["content"], list) else []:
                if part.get("type") == "tool_result" and isinstance(part["content"], str):
                    part["content"] = [{"type": "text", "text": part["content"]}]
    if to == "responses":
        for item in body["input"]:
            if isinstance(item.get("output"), str):
                item["output"] = [{"type": "input_text", "text": item["output"]}]
        body = _without_nulls(body)
    return body


def _without_nulls(value):
    if isinstance(value, list):
        return [_without_nulls(one) for one in value]
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    return value


def _calls(message):
    return [{"id": call["id"], "name": call["function"]["name"],
             "arguments": json.loads(call["function"]["arguments"])}
            for call in message.get("tool_calls") or []]


def _usage(usage):
    details = usage.get("prompt_tokens_details") or {}
    return {"input": usage["prompt_tokens"], "output": usage["completion_tokens"],
            "cached": details.get("cached_tokens") or 0,
            "total": usage["total_tokens"]}


def _answer(body):
    choices = [{"content": choice["message"].get("content") or "",
                "calls": _calls(choice["message"]), "finish": choice["finish_reason"]}
               for choice in body["choices"]]
    return {"object": body["object"], "choices": choices, "usage": _usage(body["usage"])}


def our_answer(decoded):
    if not decoded["answered"]:
        return {"error": decoded["code"]}
    out = _answer(json.loads(decoded["body"]))
    billed = {"input": decoded["input"], "output": decoded["output"], "cached": decoded["cached"]}
    said = {name: out["usage"][name] for name in billed}
    if billed != said:
        raise AssertionError(f"billed as {billed}, said {said}")
    return out


def their_answer(told):
    return _answer(told["read"]) if "read" in told else {"error": told["refused"]}
