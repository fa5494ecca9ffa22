"""Where our translations differ from LiteLLM's, and why. A row that no case needs fails the test."""

import collections
import re

from compare import ABSENT

# What prompts may ask for that a lane of this kind can't be asked: they are sent to other lanes.
REFUSED = {
    "converse": {"n"},
    "converse of gpt-oss": {"n", "json_schema", "image_data"},
    "generate-content": set(),
    "generate-content of 2.5": {"tools_with_json_schema"},
    "messages": {"n", "forced_with_effort"},
    "responses": {"n"},
}

# `holds` sees our value, theirs, and the case {"body", "answer"}.
Row = collections.namedtuple("Row", "to way path reason holds")


def _asks(name, *values):
    """Only of requests whose parameter `name` is one of `values`, or given at all."""
    def holds(_ours, _theirs, case):
        value = case["body"].get(name)
        return value is not None and (not values or value in values)
    return holds


def _left_out_by_us(theirs_is):
    return lambda ours, theirs, case: ours == ABSENT and theirs == theirs_is


def _added_by_us(ours_is):
    return lambda ours, theirs, case: ours == ours_is and theirs == ABSENT


def _finish(answer):
    return answer["candidates"][0]["finishReason"]


def _is_filtered(_ours, _theirs, case):
    return _finish(case["answer"]) in ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT",
                                       "SPII")


def _heat_of_claude(ours, _theirs, case):
    """Both kinds of heat are asked for, or one of a model that is told to think."""
    body = case["body"]
    both = "temperature" in body and "top_p" in body
    return ours == ABSENT and "claude" in case["model"] and (
        both or body.get("reasoning_effort", "none") != "none")


ONE_HEAT = ("Claude from 4.1 on refuses temperature with top_p, and either while it thinks: such "
            "prompts go to other lanes, or the parameter is listed as dropped")
TOOL = r"\.toolConfig\.tools\[\d+\]\.toolSpec"
DECLARED = r"\.tools\[\d+\]\.functionDeclarations\[\d+\]"
THINKING = r"\.generationConfig\.thinkingConfig"
RESULT = r"\.contents\[\d+\]\.parts\[\d+\]\.functionResponse\.response"

TABLE = [
    # ---- Converse ----
    Row("converse", "request", TOOL + r"\.description",
        "it writes the name where there is no description; the field may be absent",
        lambda ours, theirs, _: ours == ABSENT and theirs.startswith("look_up_")),
    Row("converse", "request", r"\.additionalModelResponseFieldPaths",
        "it asks for a count of reasoning tokens that is part of the output tokens anyway",
        _left_out_by_us(["/usage/output_tokens_details"])),
    Row("converse", "request", r"\.additionalModelRequestFields(\.thinking)?",
        "a Claude's thinking has a budget that no effort names: such prompts go to other lanes, or "
        "`reasoning_effort` is listed as dropped",
        lambda ours, theirs, case: _asks("reasoning_effort")(ours, theirs, case)
        and ours == ABSENT and ("thinking" in theirs or "budget_tokens" in theirs)),
    Row("converse", "request", r"\.additionalModelRequestFields",
        "calls in parallel are the default",
        lambda ours, theirs, case: ours == ABSENT and set(theirs) == {"tool_choice"}
        and _asks("parallel_tool_calls", True)(0, 0, case)),
    Row("converse", "request", r"\.inferenceConfig(\.(temperature|topP))?", ONE_HEAT,
        _heat_of_claude),
    Row("converse", "request", r"\.inferenceConfig\.maxTokens",
        "it raises, or sets, the limit so that its thinking budget fits",
        lambda ours, theirs, case: _asks("reasoning_effort")(ours, theirs, case)),
    Row("converse", "request", r"\.toolConfig",
        "`none`: Converse has no such choice; we offer no tool, it offers them all",
        lambda ours, theirs, case: ours == ABSENT and _asks("tool_choice", "none")(0, 0, case)),
    Row("converse", "request", TOOL + r"\.inputSchema\.json\.additionalProperties",
        "schemas are passed on as they are; it cuts this out for models but Claude",
        lambda ours, theirs, case: theirs == ABSENT and "gpt-oss" in case["model"]),
    Row("converse", "request", r"\.toolConfig\.toolChoice\.(auto|tool)",
        "it lets a gpt-oss choose where a tool is named; here the provider decides",
        lambda ours, theirs, case: ABSENT in (ours, theirs) and "gpt-oss" in case["model"]
        and isinstance(case["body"]["tool_choice"], dict)),
    Row("converse", "answer", r"\.choices\[0\]\.finish",
        "a full context window cuts an answer as the token limit does",
        lambda ours, theirs, case: ours == "length" and theirs == "stop"
        and case["answer"]["stopReason"] == "model_context_window_exceeded"),
    # ---- generateContent ----
    Row("generate-content", "request", r"\.generationConfig\.temperature",
        "it sets 1.0 on Gemini 3 where none is given; that is the model's default",
        _left_out_by_us(1.0)),
    Row("generate-content", "request", r"\.generationConfig\.candidateCount",
        "one is the default", _left_out_by_us(1)),
    Row("generate-content", "request", r"\.generationConfig\.responseMimeType",
        "plain text is the default", _left_out_by_us("text/plain")),
    Row("generate-content", "request", DECLARED + r"\.parameters(JsonSchema)?",
        "a schema is passed on as it is, in the field for JSON Schema; it rewrites it to OpenAPI",
        lambda ours, theirs, _: ABSENT in (ours, theirs)),
    Row("generate-content", "request", THINKING + r"\.includeThoughts",
        "thoughts are billed whether shown or not, and no result row has a place for them",
        lambda ours, theirs, _: ours == ABSENT and isinstance(theirs, bool)),
    Row("generate-content", "request", THINKING + r"\.thinkingLevel",
        "the enumeration's names are in capitals; Google takes both",
        lambda ours, theirs, _: ours == theirs.upper()),
    Row("generate-content", "request", THINKING + r"\.thinkingBudget",
        "efforts are Google's own equivalents in tokens, and a pro model's least is 128; it has others",
        lambda ours, theirs, case: _asks("reasoning_effort")(0, 0, case) and ours in (
            128, 1024, 8192, 24576)),
    Row("generate-content", "request", RESULT + r"\.(content|output)",
        "Google's documentation names `output` for a result that is no object",
        lambda ours, theirs, _: ABSENT in (ours, theirs)),
    Row("generate-content", "answer", r"\.choices\[0\]\.calls\[\d+\]\.id",
        "Google gives calls no ids, so both invent one",
        lambda ours, theirs, _: ours.startswith("call_") and theirs.startswith("call_")),
    Row("generate-content", "answer", r"\.choices\[0\]\.content|\.usage\.(cached|output|input)",
        "of an answer that a filter ended it keeps neither the text nor the details of what is billed",
        _is_filtered),
    # ---- Anthropic messages ----
    Row("messages", "request", r"\.tools\[\d+\]\.type", "the default", _left_out_by_us("custom")),
    Row("messages", "request", r"\.stop_sequences",
        "it drops white space, which Anthropic refuses; we drop nothing unsaid: an error row tells",
        lambda ours, theirs, _: [one for one in ours if one.strip()] == theirs),
    Row("messages", "request", r"\.max_tokens",
        "Anthropic demands a limit: without one we send the lane's or 4,096, it the model's largest; "
        "it also raises a limit that is given so that its thinking budget fits",
        lambda ours, theirs, case: ours == 4096 or _asks("reasoning_effort")(0, 0, case)),
    Row("messages", "request", r"\.thinking(\.budget_tokens)?",
        "a thinking budget has to stay below the limit: we lower the one, it raises the other",
        lambda ours, theirs, case: _asks("reasoning_effort", "low", "medium", "high", "minimal")(
            0, 0, case) and (ours == ABSENT or ours < theirs)),
    Row("messages", "request", r"\.output_(config|format)",
        "the field has moved; the old one needs a beta header",
        lambda ours, theirs, _: ABSENT in (ours, theirs)),
    Row("messages", "request", r"\.tool_choice(\.disable_parallel_tool_use)?",
        "calls in parallel are the default",
        lambda ours, theirs, case: ours == ABSENT and _asks("parallel_tool_calls", True)(0, 0, case)),
    Row("messages", "request", r"\.(temperature|top_p)", ONE_HEAT, _heat_of_claude),
    Row("messages", "answer", r"\.choices\[0\]\.finish",
        "a full context window cuts an answer as the token limit does",
        lambda ours, theirs, case: ours == "length" and theirs == "stop"
        and case["answer"]["stop_reason"] == "model_context_window_exceeded"),
    # ---- Responses ----
    Row("responses", "request", r"\.instructions",
        "several system messages stay paragraphs; it joins them with a space",
        lambda ours, theirs, _: ours.replace("\n\n", " ") == theirs.replace("\n\n", " ")),
    Row("responses", "request", r"\.store", "nothing is kept at the provider", _added_by_us(False)),
    Row("responses", "request", r"\.tools\[\d+\]\.strict",
        "Responses is strict unless told, chat is not: left out, the tool would change",
        _added_by_us(False)),
    Row("responses", "request", r"\.text", "plain text is the default",
        _left_out_by_us({"format": {"type": "text"}})),
    Row("responses", "request", r"\.reasoning",
        "it drops an effort that its list of models does not know; here the provider decides",
        lambda ours, theirs, case: ours == {"effort": "minimal"} and theirs == ABSENT),
    Row("responses", "request", r"\.(temperature|top_p)",
        "it drops what reasoning models refuse beside an effort; here the provider decides",
        lambda ours, theirs, case: theirs == ABSENT and _asks("reasoning_effort")(0, 0, case)
        and case["body"]["reasoning_effort"] != "none"),
]


def explaining(to, way, path, ours, theirs, case):
    """The row that explains a difference, or None."""
    for row in TABLE:
        if (row.to, row.way) == (to, way) and re.fullmatch(row.path, path):
            if row.holds(ours, theirs, case):
                return row
    return None
