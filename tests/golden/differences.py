"""Where our translations differ from LiteLLM's, and why. A row that no case needs fails the test."""

import collections
import re

import compare
from compare import ABSENT

# What prompts may ask for that a lane of this kind can't be asked: they are sent to other lanes.
REFUSED = {
    "converse": {"n", "forced_with_effort"},
    "converse of gpt-oss": {"n", "json_schema", "image_data"},
    "generate-content": set(),
    "generate-content of 2.5": {"tools_with_json_schema"},
    "messages": {"n", "forced_with_effort"},
    "responses": {"n"},
}

# `holds` sees our value, theirs, and the case: {"model", "body", "answer"}, the whole of what is
# compared ("ours", "theirs"), the "path" of the difference, and "dropped", what our lane says it
# leaves out of the request. It pins our value down: one that is wrong is explained by no row.
Row = collections.namedtuple("Row", "to way path reason holds")

LIMIT_OF_CLAUDE = 4096  # where none is asked for
THINKING_OF_CLAUDE = {"minimal": 1024, "low": 1024, "medium": 2048, "high": 4096}
THINKING_MIN = 1024
THINKING_OF_GEMINI = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}
THINKING_OF_GEMINI_PRO_MIN = 128


def _left_out_by_us(theirs_is, unless_asked=None):
    """It writes what goes without saying; `unless_asked`: the body's name for it."""
    return lambda ours, theirs, case: ours == ABSENT and theirs == theirs_is and (
        unless_asked is None or unless_asked not in case["body"])


def _added_by_us(ours_is):
    return lambda ours, theirs, case: ours == ours_is and theirs == ABSENT


def _effort(case):
    """How much thinking is asked for; `none` and nothing are no thinking."""
    asked = case["body"].get("reasoning_effort", "none")
    return None if asked == "none" else asked


def _limit(case, otherwise):
    body = case["body"]
    return body.get("max_tokens", body.get("max_completion_tokens", otherwise))


def _tool(case):
    """The tool as asked for, whose place in the path is the last."""
    return case["body"]["tools"][int(re.findall(r"(?:tools|functionDeclarations)\[(\d+)\]",
                                                case["path"])[-1])]["function"]


def _format_is_text(case):
    return case["body"].get("response_format") == {"type": "text"}


def _beside(side, case, name):
    """What that side has under another name than the path's last."""
    return compare.at(case[side], case["path"].rpartition(".")[0] + "." + name)


def _shape(schema):
    """What an answer has to look like, whatever the dialect and the remarks."""
    if not isinstance(schema, dict):
        return None
    return {"type": str(schema.get("type")).lower(), "items": _shape(schema.get("items")),
            "required": sorted(schema.get("required", [])), "enum": schema.get("enum"),
            "properties": {k: _shape(v) for k, v in schema.get("properties", {}).items()}}


def _same_parameters(_ours, _theirs, case):
    ours = _beside("ours", case, "parametersJsonSchema")
    return (_beside("ours", case, "parameters") == ABSENT and ours == _tool(case)["parameters"]
            and _shape(ours) == _shape(_beside("theirs", case, "parameters")))


def _same_format(_ours, _theirs, case):
    ours, theirs = case["ours"]["output_config"], case["theirs"]["output_format"]
    asked = case["body"]["response_format"]["json_schema"]["schema"]
    return (set(ours) == {"format"} and ours["format"].keys() == theirs.keys()
            and ours["format"]["type"] == theirs["type"] == "json_schema"
            and _within(asked, ours["format"]["schema"])
            and _shape(theirs["schema"]) == _shape(asked))


# What Anthropic can't enforce is told to the model in the description instead.
NOT_ENFORCED = {"minimum", "maximum"}


def _within(asked, ours):
    """Ours is the asked schema, but for what can't be enforced and is said in words."""
    if not isinstance(asked, dict) or not isinstance(ours, dict):
        return asked == ours
    cut = NOT_ENFORCED & asked.keys() - ours.keys()
    told = ", ".join(f"{name}: {value}" for name, value in asked.items() if name in cut)
    if cut and not ours.get("description", "").endswith("{" + told + "}"):
        return False
    remarked = {"description"} if cut else set()
    return asked.keys() - cut - remarked == ours.keys() - remarked and all(
        _within(asked[name], ours[name]) for name in asked.keys() - cut - remarked)


def _same_result(_ours, _theirs, case):
    ours, theirs = _beside("ours", case, "output"), _beside("theirs", case, "content")
    return ours == theirs != ABSENT and _beside("ours", case, "content") == ABSENT


def _no_room(case):
    """The answer is too short to think in, and that is listed."""
    return (bool(_effort(case)) and "effort_without_room" in case["dropped"]
            and _limit(case, LIMIT_OF_CLAUDE) <= THINKING_MIN)


def _parallel(theirs, case, *choices):
    """It says that calls in parallel are allowed, and `auto` where that, or nothing, is asked for,
    or one of `choices`."""
    body = case["body"]
    return (body.get("parallel_tool_calls") is True
            and theirs in ({"disable_parallel_tool_use": False},
                           {"disable_parallel_tool_use": False, "type": "auto"})
            and ("type" not in theirs or body.get("tool_choice", "auto") in ("auto", *choices)))


def _more_for_claude(ours, theirs, case):
    """Both are fields of one that ours has no other reason to send. Where the choice is `none` we
    offer no tools."""
    explained = {"thinking": lambda _: _no_room(case),
                 "tool_choice": lambda value: _parallel(value, case, "none")}
    return ours == ABSENT and all(explained[name](value) for name, value in theirs.items())


def _thinking_of_claude(ours, _theirs, case):
    """The budget of each effort, below the limit; without room for the least there is none."""
    budget = min(THINKING_OF_CLAUDE[_effort(case)], _limit(case, LIMIT_OF_CLAUDE) - 1)
    if case["path"] == ".thinking":
        return ours == ABSENT and _no_room(case)
    return ours == budget >= THINKING_MIN


def _thinking_of_gemini_pro(ours, _theirs, case):
    """The same below the limit, and the least where there is no room or none is wanted."""
    asked = case["body"]["reasoning_effort"]
    budget = min(THINKING_OF_GEMINI[asked], _limit(case, 2**31) - 1)
    if asked == "none" or budget < THINKING_MIN:
        left_out = "reasoning_off" if asked == "none" else "effort_without_room"
        return left_out in case["dropped"] and ours == THINKING_OF_GEMINI_PRO_MIN
    return ours == budget


CONVERSE_SCHEMA = ".outputConfig.textFormat.structure.jsonSchema.schema"


def _told_in_words(_ours, _theirs, case):
    """What is enforced is listed; without `strict` nobody enforces anything."""
    form = case["body"]["response_format"]["json_schema"]
    asked = form["schema"]
    return (("schema_constraints" in case["dropped"]) == (form.get("strict") is True)
            and compare.at(case["theirs"], CONVERSE_SCHEMA) == asked
            and _within(asked, compare.at(case["ours"], CONVERSE_SCHEMA)))


def _stops_of_claude(body):
    return [one for one in body["stop"] if one.strip()]


def _named_choice(case):
    name = {"name": case["body"]["tool_choice"]["function"]["name"]}
    sent = [_beside(side, case, choice)
            for side in ("ours", "theirs") for choice in ("tool", "auto")]
    return sent == [name, ABSENT, ABSENT, {}]


def _filtered(of_answer):
    """Only of answers that a filter ended, and then ours is what the answer says."""
    def holds(ours, _theirs, case):
        candidate = case["answer"]["candidates"][0]
        return ours == of_answer(case["answer"]) and candidate["finishReason"] in (
            "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII")
    return holds


def _text(answer):
    parts = answer["candidates"][0]["content"]["parts"]
    return "".join(part.get("text", "") for part in parts if not part.get("thought"))


def _counted(*names):
    return lambda answer: sum(answer["usageMetadata"].get(name, 0) for name in names)


def _heat_of_claude(ours, theirs, case):
    """Left out is a heat of 1, which goes without saying, or one that is listed."""
    body, dropped = case["body"], case["dropped"]
    both = "temperature" in body and "top_p" in body
    if ours != ABSENT or "claude" not in case["model"] or not (both or _effort(case)):
        return False
    if theirs == 1 or (_effort(case) and "sampling_with_effort" in dropped):
        return True
    sent = case["ours"].get("inferenceConfig", case["ours"])
    return both and "temperature_with_top_p" in dropped and "temperature" in sent


ONE_HEAT = ("Claude from 4.1 on refuses temperature with top_p, and either while it thinks: such "
            "prompts go to other lanes, or the parameter is listed as dropped; 1 is the default")
TOOL = r"\.toolConfig\.tools\[\d+\]\.toolSpec"
DECLARED = r"\.tools\[\d+\]\.functionDeclarations\[\d+\]"
THINKING = r"\.generationConfig\.thinkingConfig"
RESULT = r"\.contents\[\d+\]\.parts\[\d+\]\.functionResponse\.response"
CALL = r"\.choices\[0\]\.calls\[\d+\]"

TABLE = [
    # ---- Converse ----
    Row("converse", "request", TOOL + r"\.description",
        "it writes the name where there is no description; the field may be absent",
        lambda ours, theirs, case: ours == ABSENT and "description" not in _tool(case)
        and theirs == _tool(case)["name"]),
    Row("converse", "request", r"\.additionalModelResponseFieldPaths",
        "it asks for a count of reasoning tokens that is part of the output tokens anyway",
        _left_out_by_us(["/usage/output_tokens_details"])),
    Row("converse", "request", r"\.additionalModelRequestFields",
        "it raises the limit so that its thinking budget fits, and says that calls in parallel are "
        "the default", _more_for_claude),
    Row("converse", "request", r"\.additionalModelRequestFields\.thinking\.budget_tokens",
        "a thinking budget has to stay below the limit: we lower the one, it raises the other",
        _thinking_of_claude),
    Row("converse", "request", re.escape(CONVERSE_SCHEMA) + r".*\.(description|minimum|maximum)",
        "Bedrock answers 400 to what it can't enforce, which it passes on; here such prompts go to "
        "other lanes, or the description says it and the row lists it", _told_in_words),
    Row("converse", "request", r"\.inferenceConfig\.stopSequences",
        "Claude refuses white space, which it passes on; here such prompts go to other lanes, or it "
        "is listed as dropped",
        lambda ours, theirs, case: "blank_stop" in case["dropped"]
        and ours == _stops_of_claude(case["body"]) and theirs == case["body"]["stop"]),
    Row("converse", "request", r"\.inferenceConfig\.(temperature|topP)", ONE_HEAT,
        _heat_of_claude),
    Row("converse", "request", r"\.inferenceConfig\.maxTokens",
        "it raises, or sets, the limit so that its thinking budget fits",
        lambda ours, theirs, case: bool(_effort(case)) and ours == _limit(case, ABSENT)),
    Row("converse", "request", r"\.toolConfig",
        "`none`: Converse has no such choice; we offer no tool, it offers them all",
        lambda ours, theirs, case: ours == ABSENT and case["body"].get("tool_choice") == "none"),
    Row("converse", "request", TOOL + r"\.inputSchema\.json\.additionalProperties",
        "schemas are passed on as they are; it cuts this out for models but Claude",
        lambda ours, theirs, case: theirs == ABSENT and "gpt-oss" in case["model"]
        and ours is _tool(case)["parameters"]["additionalProperties"]),
    Row("converse", "request", r"\.toolConfig\.toolChoice\.(auto|tool)",
        "it lets a gpt-oss choose where a tool is named; here the provider decides",
        lambda ours, theirs, case: "gpt-oss" in case["model"]
        and isinstance(case["body"]["tool_choice"], dict) and _named_choice(case)),
    Row("converse", "answer", r"\.choices\[0\]\.finish",
        "a full context window cuts an answer as the token limit does",
        lambda ours, theirs, case: ours == "length" and theirs == "stop"
        and case["answer"]["stopReason"] == "model_context_window_exceeded"),
    # ---- generateContent ----
    Row("generate-content", "request", r"\.generationConfig\.temperature",
        "it sets 1.0 on Gemini 3 where none is given; that is the model's default",
        _left_out_by_us(1.0, unless_asked="temperature")),
    Row("generate-content", "request", r"\.generationConfig\.candidateCount",
        "one is the default", _left_out_by_us(1)),
    Row("generate-content", "request", r"\.generationConfig\.responseMimeType",
        "plain text is the default",
        lambda ours, theirs, case: ours == ABSENT and theirs == "text/plain"
        and _format_is_text(case)),
    Row("generate-content", "request", DECLARED + r"\.parameters(JsonSchema)?",
        "a schema is passed on as it is, in the field for JSON Schema; it rewrites it to OpenAPI",
        _same_parameters),
    Row("generate-content", "request", THINKING + r"\.includeThoughts",
        "thoughts are billed whether shown or not, and no result row has a place for them",
        lambda ours, theirs, _: ours == ABSENT and isinstance(theirs, bool)),
    Row("generate-content", "request", THINKING + r"\.thinkingLevel",
        "the enumeration's names are in capitals; Google takes both",
        lambda ours, theirs, _: ours == theirs.upper()),
    Row("generate-content", "request", THINKING + r"\.thinkingBudget",
        "efforts are Google's own equivalents in tokens, below the limit, and a pro model's least is "
        "128; it has others", _thinking_of_gemini_pro),
    Row("generate-content", "request", RESULT + r"\.(content|output)",
        "Google's documentation names `output` for a result that is no object",
        _same_result),
    Row("generate-content", "answer", CALL + r"\.id",
        "Google gives calls no ids, so both invent one",
        lambda ours, theirs, case: re.fullmatch(r"call_[0-9a-f]{16}_\d+", ours)
        and theirs.startswith("call_")
        and [call["id"] for call in case["ours"]["choices"][0]["calls"]].count(ours) == 1),
    Row("generate-content", "answer", r"\.choices\[0\]\.content",
        "of an answer that a filter ended it keeps no text", _filtered(_text)),
    *(Row("generate-content", "answer", r"\.usage\." + name,
          "of an answer that a filter ended it keeps no details of what is billed",
          _filtered(_counted(*counts)))
      for name, counts in (("cached", ["cachedContentTokenCount"]),
                           ("output", ["candidatesTokenCount", "thoughtsTokenCount"]))),
    # ---- Anthropic messages ----
    Row("messages", "request", r"\.tools\[\d+\]\.type", "the default", _left_out_by_us("custom")),
    Row("messages", "request", r"\.max_tokens",
        "Anthropic demands a limit: without one we send the lane's or 4,096, it the model's largest; "
        "it also raises a limit that is given so that its thinking budget fits",
        lambda ours, theirs, case: ours == _limit(case, LIMIT_OF_CLAUDE)
        and (bool(_effort(case)) or _limit(case, None) is None)),
    Row("messages", "request", r"\.thinking(\.budget_tokens)?",
        "a thinking budget has to stay below the limit: we lower the one, it raises the other",
        _thinking_of_claude),
    Row("messages", "request", r"\.output_(config|format)",
        "the field has moved; the old one needs a beta header",
        _same_format),
    Row("messages", "request", r"\.tool_choice(\.disable_parallel_tool_use)?",
        "calls in parallel are the default",
        lambda ours, theirs, case: ours == ABSENT and _parallel(
            theirs if isinstance(theirs, dict) else {"disable_parallel_tool_use": theirs}, case)),
    Row("messages", "request", r"\.(temperature|top_p)", ONE_HEAT, _heat_of_claude),
    Row("messages", "answer", r"\.choices\[0\]\.finish",
        "a full context window cuts an answer as the token limit does",
        lambda ours, theirs, case: ours == "length" and theirs == "stop"
        and case["answer"]["stop_reason"] == "model_context_window_exceeded"),
    # ---- Responses ----
    Row("responses", "request", r"\.instructions",
        "several system messages stay paragraphs; it joins them with a space",
        lambda ours, theirs, case: ours == "\n\n".join(
            said["content"] for said in case["body"]["messages"]
            if said["role"] in ("system", "developer"))),
    Row("responses", "request", r"\.store", "nothing is kept at the provider", _added_by_us(False)),
    Row("responses", "request", r"\.tools\[\d+\]\.strict",
        "Responses is strict unless told, chat is not: left out, the tool would change",
        _added_by_us(False)),
    Row("responses", "request", r"\.text", "plain text is the default",
        lambda ours, theirs, case: ours == ABSENT and theirs == {"format": {"type": "text"}}
        and _format_is_text(case)),
    Row("responses", "request", r"\.reasoning",
        "it drops an effort that its list of models does not know; here the provider decides",
        lambda ours, theirs, case: ours == {"effort": "minimal"} and theirs == ABSENT
        and _effort(case) == "minimal"),
    Row("responses", "request", r"\.(temperature|top_p)",
        "it drops what reasoning models refuse beside an effort; here the provider decides",
        lambda ours, theirs, case: theirs == ABSENT and bool(_effort(case))
        and ours == case["body"][case["path"][1:]]),
]


def explaining(to, way, path, ours, theirs, case):
    """The row that explains a difference, or None."""
    for row in TABLE:
        if (row.to, row.way) == (to, way) and re.fullmatch(row.path, path):
            try:
                if row.holds(ours, theirs, case | {"path": path}):
                    return row
            except (AttributeError, IndexError, KeyError, TypeError):
                pass  # what it looks for is not there: it explains nothing
    return None


def _demanded(to, case):
    """(path, value): what ours has though theirs may lack it."""
    body = case["body"]
    tools = [tool["function"] for tool in body.get("tools", [])]
    if to == "responses":
        yield ".store", False
        for number in range(len(tools)):
            yield f".tools[{number}].strict", False
        for name in ("temperature", "top_p"):
            if name in body and name not in case["dropped"]:
                yield "." + name, body[name]
        if _effort(case):
            yield ".reasoning", {"effort": _effort(case)}
    if to == "messages" and isinstance(body.get("stop"), list):
        yield ".stop_sequences", _stops_of_claude(body)
    if to == "converse" and body.get("tool_choice") != "none":
        for number, tool in enumerate(tools):
            yield f".toolConfig.tools[{number}].toolSpec.inputSchema.json", tool["parameters"]


def lacking(to, ours, case):
    """(path, ours, what it has to be) where comparing can't tell, since theirs lacks it."""
    return [(path, compare.at(ours, path), value) for path, value in _demanded(to, case)
            if compare.at(ours, path) != value]
