"""Chat requests by seed, of every kind that a body can ask for. Each is what a user may write."""

import base64
import json
import random
import zlib

EFFORTS = ("none", "minimal", "low", "medium", "high")
WORDS = ("parcel", "naïve", "Zürich", "日本", "😀", "tab\there", 'quote"d', "back\\slash", "line\nbreak",
         "plain", "</end>", "12.50", "é", "ﬁne")


def png(side):
    """A picture of one colour, as base64."""
    def chunk(kind, data):
        body = kind + data
        return len(data).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")

    rows = b"".join(b"\x00" + b"\x40\x80\xc0" * side for _ in range(side))
    head = side.to_bytes(4, "big") * 2 + b"\x08\x02\x00\x00\x00"
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows))
    return base64.b64encode(data + chunk(b"IEND", b"")).decode()


class Maker:
    def __init__(self, seed):
        self.chance = random.Random(seed)

    def maybe(self, share=0.5):
        return self.chance.random() < share

    def words(self, low=1, high=12):
        count = self.chance.randint(low, high)
        return " ".join(self.chance.choice(WORDS) for _ in range(count))

    # ---- messages ----

    def image(self):
        kind = self.chance.choice(("png", "jpeg", "gif", "webp"))
        url = f"data:image/{kind};base64,{png(self.chance.randint(1, 4))}"
        return {"type": "image_url", "image_url": {"url": url}}

    def user(self, images):
        if not images and self.maybe(0.7):
            return {"role": "user", "content": self.words()}
        parts = [{"type": "text", "text": self.words()} for _ in range(self.chance.randint(1, 3))]
        if images:
            parts.insert(self.chance.randint(0, len(parts)), self.image())
        return {"role": "user", "content": parts}

    def assistant(self):
        content = self.words()
        return {"role": "assistant",
                "content": [{"type": "text", "text": content}] if self.maybe(0.2) else content}

    def round_of_tools(self, tools, number):
        """An assistant that calls tools, and their answers."""
        calls, answers = [], []
        for place in range(self.chance.choice((1, 1, 1, 2, 3))):
            tool = self.chance.choice(tools)["function"]["name"]
            arguments = {"query": self.words(1, 3), "limit": self.chance.randint(0, 9)}
            call = f"call_{number}{place}"
            calls.append({"id": call, "type": "function", "function": {
                "name": tool,
                "arguments": json.dumps(arguments if self.maybe(0.8) else {}, ensure_ascii=False)}})
            answer = self.words() if self.maybe() else json.dumps({"rows": [1, None, "x"]})
            answers.append({"role": "tool", "tool_call_id": call, "content": answer})
        said = {"role": "assistant", "content": self.words() if self.maybe(0.3) else None,
                "tool_calls": calls}
        return [said, *answers]

    def messages(self, tools, images):
        out = []
        for _ in range(self.chance.choice((0, 1, 1, 1, 2))):
            role = self.chance.choice(("system", "system", "developer"))
            out.append({"role": role, "content": self.words()})
        out.append(self.user(images))
        for number in range(self.chance.choice((0, 0, 0, 1, 2))):
            if tools and self.maybe(0.7):
                out += self.round_of_tools(tools, number)
                if self.maybe(0.4):
                    continue
            else:
                out.append(self.assistant())
            out.append(self.user(False))
        return out

    # ---- parameters ----

    def schema(self):
        return {
            "type": "object",
            "properties": {
                "query": {"type": "string", "description": self.words(1, 4)},
                "limit": {"type": "integer", "minimum": 0, "maximum": 9},
                "kinds": {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}},
            },
            "required": ["query", "limit", "kinds"],
            "additionalProperties": False,
        }

    def tools(self):
        out = []
        for number in range(self.chance.randint(1, 3)):
            function = {"name": f"look_up_{number}", "parameters": self.schema()}
            if self.maybe(0.8):
                function["description"] = self.words()
            out.append({"type": "function", "function": function})
        return out

    def tool_choice(self, tools):
        named = {"type": "function", "function": {"name": tools[0]["function"]["name"]}}
        return self.chance.choice(("auto", "required", "none", named))

    def settings(self):
        made = {
            "max_tokens": self.chance.randint(16, 4096),
            "max_completion_tokens": self.chance.randint(16, 4096),
            "temperature": self.chance.choice((0, 0.2, 0.7, 1, 1.0)),
            "top_p": self.chance.choice((0.1, 0.5, 0.95, 1)),
            "stop": self.chance.choice(("END", ["END"], ["\n\n", "STOP", "###"])),
            "seed": self.chance.randint(0, 2**31 - 1),
            "presence_penalty": self.chance.choice((-0.5, 0.25, 1.5)),
            "frequency_penalty": self.chance.choice((-0.5, 0.25, 1.5)),
            "n": self.chance.choice((1, 2)),
            "reasoning_effort": self.chance.choice(EFFORTS),
            "user": f"user-{self.chance.randint(1, 99)}",
        }
        shares = {"max_tokens": 0.4, "max_completion_tokens": 0.3, "n": 0.1, "user": 0.1,
                  "presence_penalty": 0.15, "frequency_penalty": 0.15}
        chosen = {k: v for k, v in made.items() if self.maybe(shares.get(k, 0.25))}
        if "max_tokens" in chosen:
            chosen.pop("max_completion_tokens", None)
        return chosen

    def response_format(self):
        wanted = {"name": "answer", "schema": self.schema()}
        if self.maybe(0.7):
            wanted["strict"] = True
        return self.chance.choice(({"type": "text"}, {"type": "json_object"},
                                   {"type": "json_schema", "json_schema": wanted},
                                   {"type": "json_schema", "json_schema": wanted}))

    def request(self):
        tools = self.tools() if self.maybe(0.45) else []
        body = {"model": "m", "messages": self.messages(tools, images=self.maybe(0.2))}
        if tools:
            body["tools"] = tools
            if self.maybe(0.4):
                body["tool_choice"] = self.tool_choice(tools)
            if self.maybe(0.15):
                body["parallel_tool_calls"] = self.maybe()
        elif self.maybe(0.3):
            body["response_format"] = self.response_format()
        body.update(self.settings())
        return body


def requests(count, seed=20):
    return [Maker(f"{seed}/{number}").request() for number in range(count)]
