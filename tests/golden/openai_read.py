"""openai's own types as readers, in a Python that has them: JSON lines {"as", "body"} in, `null` or
what the type said out."""

import json
import sys

import pydantic
from openai.types import Completion, CreateEmbeddingResponse
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

TYPES = {"chat": ChatCompletion, "embeddings": CreateEmbeddingResponse, "responses": Response,
         "completions": Completion}


def complaint(kind, body):
    try:
        TYPES[kind].model_validate_json(body, strict=True)
    except pydantic.ValidationError as error:
        return str(error)
    return None


for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps(complaint(asked["as"], asked["body"])), flush=True)
