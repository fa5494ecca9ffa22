"""Answers of each provider by seed, in the provider's own form."""

import json
import random

from chat_requests import WORDS

STOPS = {
    "converse": ("end_turn", "stop_sequence", "max_tokens", "content_filtered",
                 "guardrail_intervened", "model_context_window_exceeded"),
    "generate-content": ("STOP", "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "BLOCKLIST",
                         "PROHIBITED_CONTENT", "SPII"),
    "messages": ("end_turn", "stop_sequence", "max_tokens", "refusal",
                 "model_context_window_exceeded"),
}


class Maker:
    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.texts = [self.words() for _ in range(self.chance.choice((0, 1, 1, 1, 2)))]
        self.calls = []
        if not self.texts or self.chance.random() < 0.3:
            self.calls = [(f"tool_{n}", f"look_up_{n}", self.arguments())
                          for n in range(self.chance.choice((1, 1, 2)))]
        self.thought = self.words() if self.chance.random() < 0.3 else ""
        self.read, self.written = self.chance.randint(1, 9000), self.chance.randint(1, 900)
        self.cached = self.chance.choice((0, 0, self.chance.randint(1, self.read)))
        self.stored = self.chance.choice((0, 0, 0, self.chance.randint(1, 500)))
        self.thinking = self.chance.randint(1, 300) if self.thought else 0

    def words(self):
        return " ".join(self.chance.choice(WORDS) for _ in range(self.chance.randint(1, 9)))

    def arguments(self):
        return {"query": self.words(), "limit": self.chance.randint(0, 9), "kinds": ["a"]}

    def stop(self, to, with_calls):
        return with_calls if self.calls else self.chance.choice(STOPS[to])

    def converse(self):
        content = []
        if self.thought:
            content.append({"reasoningContent": {
                "reasoningText": {"text": self.thought, "signature": "c2ln"}}})
        content += [{"text": text} for text in self.texts]
        content += [{"toolUse": {"toolUseId": i, "name": n, "input": a}} for i, n, a in self.calls]
        usage = {"inputTokens": self.read, "outputTokens": self.written}
        usage["totalTokens"] = self.read + self.written + self.cached + self.stored
        if self.cached or self.stored:
            usage |= {"cacheReadInputTokens": self.cached, "cacheWriteInputTokens": self.stored}
        return {"output": {"message": {"role": "assistant", "content": content}},
                "stopReason": self.stop("converse", "tool_use"), "usage": usage,
                "metrics": {"latencyMs": 7}}

    def generate_content(self):
        parts = [{"text": self.thought, "thought": True}] if self.thought else []
        parts += [{"text": text} for text in self.texts]
        parts += [{"functionCall": {"name": n, "args": a}} for _, n, a in self.calls]
        usage = {"promptTokenCount": self.read, "candidatesTokenCount": self.written,
                 "totalTokenCount": self.read + self.written + self.thinking}
        if self.thinking:
            usage["thoughtsTokenCount"] = self.thinking
        if self.cached:
            usage["cachedContentTokenCount"] = self.cached
        return {"candidates": [{"content": {"role": "model", "parts": parts}, "index": 0,
                                "finishReason": self.stop("generate-content", "STOP")}],
                "usageMetadata": usage, "modelVersion": "gemini-3-flash-preview",
                "responseId": "answer-1"}

    def messages(self):
        content = []
        if self.thought:
            content.append({"type": "thinking", "thinking": self.thought, "signature": "c2ln"})
        content += [{"type": "text", "text": text} for text in self.texts]
        content += [{"type": "tool_use", "id": i, "name": n, "input": a} for i, n, a in self.calls]
        return {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
                "content": content, "stop_reason": self.stop("messages", "tool_use"),
                "stop_sequence": None,
                "usage": {"input_tokens": self.read, "output_tokens": self.written,
                          "cache_read_input_tokens": self.cached,
                          "cache_creation_input_tokens": self.stored}}

    def responses(self):
        output = []
        if self.thought:
            output.append({"type": "reasoning", "id": "rs_1", "summary": []})
        if self.texts:
            output.append({"type": "message", "id": "msg_1", "role": "assistant",
                           "status": "completed", "content": [
                               {"type": "output_text", "text": text, "annotations": []}
                               for text in self.texts]})
        output += [{"type": "function_call", "id": "fc_" + i, "call_id": i, "name": n,
                    "arguments": json.dumps(a), "status": "completed"} for i, n, a in self.calls]
        cut = not self.calls and self.chance.random() < 0.25
        reason = self.chance.choice(("max_output_tokens", "content_filter")) if cut else None
        return {"id": "resp_1", "object": "response", "created_at": 1_700_000_000,
                "model": "gpt-5.4", "status": "incomplete" if cut else "completed",
                "incomplete_details": {"reason": reason} if cut else None, "error": None,
                "output": output, "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
                "usage": {"input_tokens": self.read + self.cached, "output_tokens": self.written
                          + self.thinking, "total_tokens": self.read + self.cached + self.written
                          + self.thinking,
                          "input_tokens_details": {"cached_tokens": self.cached,
                                                   "cache_write_tokens": 0},
                          "output_tokens_details": {"reasoning_tokens": self.thinking}}}


def answers(to, count, seed=21):
    write = {"converse": Maker.converse, "generate-content": Maker.generate_content,
             "messages": Maker.messages, "responses": Maker.responses}[to]
    return [write(Maker(f"{seed}/{number}")) for number in range(count)]
