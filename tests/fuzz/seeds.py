"""First inputs of the fuzz targets, of the forms they read: seeds.py OUT writes OUT/TARGET/NUMBER."""

import json
import pathlib
import sys

TEXT = "Caf\u00e9 \U0001f600"
TOOL = {"name": "look", "description": "d", "parameters": {"type": "object", "properties": {}}}
CHAT = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": [
            {"type": "text", "text": TEXT},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        ]},
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "call_0", "type": "function",
             "function": {"name": "look", "arguments": "{\"at\":1}"}}]},
        {"role": "tool", "tool_call_id": "call_0", "content": "seen"},
    ],
    "tools": [{"type": "function", "function": TOOL}],
    "tool_choice": {"type": "function", "function": {"name": "look"}},
    "max_completion_tokens": 64, "temperature": 0.5, "top_p": 0.9, "stop": ["\n", "END"], "seed": 7,
    "response_format": {"type": "json_schema", "json_schema": {
        "name": "a", "strict": True, "schema": {"type": "object"}}},
    "reasoning_effort": "low",
}
PLAIN = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 8}
RESPONSES = {"model": "m", "input": [{"role": "user", "content": "Hi"}], "max_output_tokens": 8}
EMBEDDINGS = {"model": "m", "input": ["a", TEXT], "dimensions": 256}

USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7,
         "prompt_tokens_details": {"cached_tokens": 1}}
COMPLETION = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": USAGE,
              "choices": [{"index": 0, "finish_reason": "stop",
                           "message": {"role": "assistant", "content": TEXT}}]}
RESPONSE = {"id": "r", "object": "response", "status": "completed", "model": "m",
            "output": [{"type": "reasoning", "summary": []},
                       {"type": "message", "role": "assistant", "status": "completed", "id": "m1",
                        "content": [{"type": "output_text", "text": TEXT, "annotations": []}]},
                       {"type": "function_call", "call_id": "c1", "name": "look",
                        "arguments": "{}", "status": "completed", "id": "f1"}],
            "usage": {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7,
                      "input_tokens_details": {"cached_tokens": 1},
                      "output_tokens_details": {"reasoning_tokens": 1}}}
FAILED = {"id": "r", "object": "response", "status": "failed",
          "error": {"code": "server_error", "message": "no"}, "output": []}
VECTORS = {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 1]}],
           "model": "m", "usage": {"prompt_tokens": 3, "total_tokens": 3}}
CONVERSE = {"output": {"message": {"role": "assistant", "content": [
                {"reasoningContent": {"reasoningText": {"text": "hm"}}}, {"text": TEXT},
                {"toolUse": {"toolUseId": "t1", "name": "look", "input": {"at": 1}}}]}},
            "stopReason": "tool_use", "metrics": {"latencyMs": 3},
            "usage": {"inputTokens": 5, "outputTokens": 2, "totalTokens": 8,
                      "cacheReadInputTokens": 1, "cacheWriteInputTokens": 0}}
GENERATED = {"candidates": [{"content": {"role": "model", "parts": [
                 {"text": "hm", "thought": True}, {"text": TEXT},
                 {"functionCall": {"name": "look", "args": {"at": 1}}, "thoughtSignature": "eA=="}]},
                 "finishReason": "STOP", "index": 0}],
             "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2,
                               "thoughtsTokenCount": 1, "cachedContentTokenCount": 1,
                               "totalTokenCount": 8},
             "modelVersion": "g", "responseId": "x"}
BLOCKED = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 5}}
MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "c",
           "content": [{"type": "thinking", "thinking": "hm", "signature": "x"},
                       {"type": "text", "text": TEXT},
                       {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": 1}}],
           "stop_reason": "tool_use", "stop_sequence": None,
           "usage": {"input_tokens": 5, "output_tokens": 2, "cache_read_input_tokens": 1,
                     "cache_creation_input_tokens": 0}}
TITAN = {"embedding": [0.25, -1.5e-3], "inputTextTokenCount": 3}
PREDICTED = {"predictions": [{"embeddings": {"values": [0.5, 1.0],
                                             "statistics": {"token_count": 3, "truncated": False}}}]}
ERRORS = [
    {"error": {"message": "no", "type": "t", "param": None, "code": "rate_limit_exceeded"}},
    {"error": "text", "error_type": "overloaded"},
    {"object": "error", "message": "m", "type": "BadRequestError", "code": 400},
    {"message": "Too many requests", "__type": "ThrottlingException"},
    [{"error": {"code": 429, "message": "q", "status": "RESOURCE_EXHAUSTED", "details": [
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.5s"}]}}],
    {"type": "error", "error": {"type": "overloaded_error", "message": "m"}},
    {"detail": [{"loc": ["body"], "msg": "field required"}]},
]
CHATS, ANSWERS, VECTORS_OF = 0, 1, 2  # places of the endpoints


def answer(body, kind=CHATS, status=200, way=0):
    first = bytes([way, kind, 0 if status == 200 else 128 + status - 400])
    return first + json.dumps(body, ensure_ascii=False).encode()


def line(body, url):
    return json.dumps({"custom_id": "a", "method": "POST", "url": url, "body": body},
                      ensure_ascii=False).encode()


def seeds():
    errors = [answer(body, status=status) for body in ERRORS for status in (400, 429, 503)]
    yield "answers_openai", errors + [answer(COMPLETION), answer(RESPONSE, ANSWERS),
                                      answer(FAILED, ANSWERS), answer(VECTORS, VECTORS_OF)]
    yield "answers_converse", errors + [answer(CONVERSE)]
    yield "answers_invoke", errors + [answer(TITAN, VECTORS_OF), answer(COMPLETION)]
    yield "answers_generate_content", errors + [answer(GENERATED), answer(BLOCKED)]
    yield "answers_predict", errors + [answer(PREDICTED, VECTORS_OF)]
    yield "answers_responses", errors + [answer(RESPONSE), answer(FAILED)]
    yield "answers_messages", errors + [answer(MESSAGE)]
    lines = [line(CHAT, "/v1/chat/completions"), line(PLAIN, "/v1/chat/completions"),
             line(RESPONSES, "/v1/responses"), line(EMBEDDINGS, "/v1/embeddings")]
    yield "requests", lines + [b"{}", b'{"custom_id": "a", "url": "/v1/files", "body": []}']
    yield "read_chat", [json.dumps(body).encode() for body in (CHAT, PLAIN, {"messages": 3})]
    yield "headers", [b"\x00\x1dretry-after: 1.5\nretry-after-ms: 20\nx-should-retry: false",
                      b"\x01\x1dretry-after: Wed, 21 Oct 2026 07:28:00 GMT\n"
                      b"x-ratelimit-limit-tokens: 1000\nx-ratelimit-remaining-tokens: 0\n"
                      b"x-ratelimit-reset-tokens: 17h3m2.5s\nx-request-id: r\n",
                      b"\x02\x1dx-amzn-errortype: ThrottlingException:http://x/\n"
                      b"x-amzn-requestid: 1\nanthropic-ratelimit-requests-reset: "
                      b"2026-10-21T07:28:00Z\nrequest-id: q"]
    yield "sigv4", [b"model/openai.gpt-oss-20b-1%3A0/converse?b=2&a=1&a\nvalue\n{}",
                    b"a/../b//./c%2Fd\n \nbody"]
    yield "request_head", [b"POST /v1/chat/completions?x=1 HTTP/1.1\r\nHost: a\r\nAuthorization: "
                           b"Bearer k\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n{}",
                           b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"]
    examples = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "examples"
    yield "config", [path.read_bytes() for path in sorted(examples.glob("*.yaml"))] + [
        b"pools: [{name: a, provider: openai, endpoint: 'http://127.0.0.1:1/v1', lanes: "
        b"[{model: m, quota: {rpm: 5}, price: {input: 1}}]}]\njob: {order: cost}\n"]


def main(out):
    for target, inputs in seeds():
        folder = pathlib.Path(out) / target
        folder.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(inputs):
            (folder / f"{number:02}").write_bytes(data)


if __name__ == "__main__":
    main(sys.argv[1])
