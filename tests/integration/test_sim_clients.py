"""The simulated clouds as the providers' own client libraries see them: what these accept, and what
they can read out of errors. Each library runs in a process of its own, see foreign_packages.py."""

import json
import pathlib
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

import foreign_packages  # noqa: E402
from support import KEY, Case, sim_pool  # noqa: E402

TOOL = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
}


class Clients(Case):
    def python(self, package, script, *arguments):
        """Runs a script with a library; what it prints as JSON."""
        try:
            python = foreign_packages.interpreter(*package.split())
        except foreign_packages.NotAvailable as reason:
            self.skipTest(f"{package} cannot be installed: {reason}")
        done = subprocess.run(
            [python, "-c", script, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "NO_PROXY": "127.0.0.1"},
        )
        self.assertEqual(done.returncode, 0, done.stderr[-3000:])
        return json.loads(done.stdout.splitlines()[-1])

    def test_boto3_signs_what_bedrock_accepts(self):
        sim = self.simulate(
            sim_pool(
                "aws",
                "bedrock",
                api_key=None,
                identity=True,
                models=["us.anthropic.m-1:0", "amazon.titan-embed-text-v2:0"],
            ),
            identity={"aws": {"access_key_id": "AKIDSIM", "secret_access_key": "s3cret/+x"}},
        )
        script = """
import boto3, botocore, json, sys
from botocore.config import Config
def client(secret, region="us-east-1", key="AKIDSIM"):
    return boto3.client("bedrock-runtime", endpoint_url=sys.argv[1], region_name=region,
        aws_access_key_id=key, aws_secret_access_key=secret,
        config=Config(retries={"max_attempts": 0, "mode": "standard"}))
turn = [{"role": "user", "content": [{"text": "[[id:a b]] hello"}]}]
def failure(**how):
    model = how.pop("model", "us.anthropic.m-1:0")
    try:
        client(**how).converse(modelId=model, messages=turn)
        return "accepted"
    except botocore.exceptions.ClientError as e:
        return e.response["Error"]["Code"] + ": " + e.response["Error"]["Message"]
good = client("s3cret/+x")
said = good.converse(modelId="us.anthropic.m-1:0", messages=turn,
                     inferenceConfig={"maxTokens": 400})
tool = good.converse(modelId="us.anthropic.m-1:0", messages=turn, toolConfig={
    "tools": [{"toolSpec": {"name": "weather", "inputSchema": {"json": json.loads(sys.argv[2])}}}],
    "toolChoice": {"any": {}}})
vector = json.loads(good.invoke_model(modelId="amazon.titan-embed-text-v2:0",
    body=json.dumps({"inputText": "x", "dimensions": 256}))["body"].read())
print(json.dumps({
    "text": said["output"]["message"]["content"][0]["text"], "stop": said["stopReason"],
    "usage": said["usage"], "id": said["ResponseMetadata"]["RequestId"],
    "tool": tool["output"]["message"]["content"][0]["toolUse"], "tool_stop": tool["stopReason"],
    "size": len(vector["embedding"]),
    "secret": failure(secret="other"), "region": failure(secret="s3cret/+x", region="eu-west-1"),
    "key": failure(secret="s3cret/+x", key="AKIDOTHER"),
    "model": failure(secret="s3cret/+x", model="nobody.m"),
}))
"""
        got = self.python("boto3==1.44.8", script, sim.endpoints["aws"], json.dumps(TOOL))
        self.assertTrue(got["text"].startswith("[[re:a b]] "), got)
        self.assertEqual(got["stop"], "end_turn")
        usage = got["usage"]
        self.assertEqual(usage["totalTokens"], usage["inputTokens"] + usage["outputTokens"])
        self.assertRegex(got["id"], r"^[0-9a-f-]{36}$")
        self.assertEqual(got["tool"]["name"], "weather")
        self.assertIsInstance(got["tool"]["input"]["days"], int)
        self.assertEqual(got["tool_stop"], "tool_use")
        self.assertEqual(got["size"], 256)
        self.assertRegex(got["secret"], r"^InvalidSignatureException: The request signature we")
        self.assertRegex(got["region"], r"^InvalidSignatureException: .*valid region")
        self.assertRegex(got["key"], r"^UnrecognizedClientException: ")
        self.assertRegex(got["model"], r"^ValidationException: .*model identifier is invalid")
        self.assertEqual(sim.stats()["pools"]["aws"]["refused_auth"], 3)

    def test_boto3_finds_keys_of_sts_instance_and_container(self):
        sim = self.simulate(
            sim_pool("aws", "bedrock", api_key=None, identity=True, models=None),
            identity={"aws": {"container_token": "ctoken"}, "token_lifetime": "1h"},
        )
        script = """
import boto3, json, os, sys
url, endpoint = sys.argv[1:3]
turn = [{"role": "user", "content": [{"text": "hello"}]}]
def ask(**environment):
    kept = dict(os.environ)
    os.environ.update(environment)
    try:
        session = boto3.Session(region_name="us-east-1")
        client = session.client("bedrock-runtime", endpoint_url=endpoint)
        return client.converse(modelId="m", messages=turn)["stopReason"]
    finally:
        os.environ.clear()
        os.environ.update(kept)
with open("token", "w") as file:
    file.write("web-token")
print(json.dumps([
    ask(AWS_WEB_IDENTITY_TOKEN_FILE="token", AWS_ROLE_ARN="arn:aws:iam::1:role/r",
        AWS_ENDPOINT_URL_STS=url, AWS_EC2_METADATA_DISABLED="true"),
    ask(AWS_CONTAINER_CREDENTIALS_FULL_URI=url + "/_sim/container",
        AWS_CONTAINER_AUTHORIZATION_TOKEN="ctoken", AWS_EC2_METADATA_DISABLED="true"),
    ask(AWS_EC2_METADATA_SERVICE_ENDPOINT=url)]))
"""
        got = self.python(
            "boto3==1.44.8",
            f"import os; os.chdir({str(self.folder)!r})\n" + script,
            sim.url,
            sim.endpoints["aws"],
        )
        self.assertEqual(got, ["end_turn"] * 3)
        self.assertEqual(sim.stats()["identity"]["aws"]["issued"], 3)

    def test_google_auth_signs_assertions_and_google_genai_reads_answers(self):
        key_file = self.folder / "account.json"
        sim = self.simulate(
            sim_pool("v", "vertex", api_key=None, identity=True, models=["gem"], project="p"),
            identity={"google": {"key_file": str(key_file), "project": "p"}},
        )
        script = """
import json, sys
from google.oauth2 import service_account
from google import genai
from google.genai import types
credentials = service_account.Credentials.from_service_account_file(sys.argv[1],
    scopes=["https://www.googleapis.com/auth/cloud-platform"])
client = genai.Client(vertexai=True, project="p", location="l", credentials=credentials,
    http_options=types.HttpOptions(base_url=sys.argv[2], api_version="v1"))
said = client.models.generate_content(model="gem", contents="[[id:q]] hello")
tool = client.models.generate_content(model="gem", contents="hello",
    config=types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[types.FunctionDeclaration(
            name="weather", parameters_json_schema=json.loads(sys.argv[3]))])],
        tool_config=types.ToolConfig(function_calling_config=types.FunctionCallingConfig(
            mode="ANY"))))
form = client.models.generate_content(model="gem", contents="hello",
    config=types.GenerateContentConfig(response_mime_type="application/json",
        response_json_schema=json.loads(sys.argv[3])))
try:
    client.models.generate_content(model="other", contents="x")
    error = "accepted"
except genai.errors.APIError as e:
    error = f"{e.code} {e.status}"
call = tool.function_calls[0]
print(json.dumps({"text": said.text, "finish": said.candidates[0].finish_reason.name,
    "usage": said.usage_metadata.total_token_count, "call": [call.name, call.args],
    "form": json.loads(form.text), "error": error}))
"""
        got = self.python(
            "google-genai==3.6.1", script, key_file, sim.endpoints["v"], json.dumps(TOOL)
        )
        self.assertTrue(got["text"].startswith("[[re:q]] "), got)
        self.assertEqual(got["finish"], "STOP")
        self.assertGreater(got["usage"], 0)
        self.assertEqual(got["call"][0], "weather")
        self.assertEqual(set(got["call"][1]), {"city", "days"})
        self.assertEqual(set(got["form"]), {"city", "days"})
        self.assertEqual(got["error"], "404 NOT_FOUND")
        self.assertEqual(sim.stats()["identity"]["google"]["issued"], 1)

    def test_the_anthropic_client(self):
        sim = self.simulate(sim_pool("a", "anthropic", models=["claude"], quota={"rpm": 1000}))
        script = """
import anthropic, json, sys
client = anthropic.Anthropic(api_key=sys.argv[2], base_url=sys.argv[1], max_retries=0)
raw = client.messages.with_raw_response.create(model="claude", max_tokens=400,
    messages=[{"role": "user", "content": "[[id:q]] hello"}])
said = raw.parse()
tool = client.messages.create(model="claude", max_tokens=400,
    messages=[{"role": "user", "content": "hello"}], tool_choice={"type": "any"},
    tools=[{"name": "weather", "input_schema": json.loads(sys.argv[3])}])
def failure(key, model):
    try:
        anthropic.Anthropic(api_key=key, base_url=sys.argv[1], max_retries=0).messages.create(
            model=model, max_tokens=5, messages=[{"role": "user", "content": "x"}])
        return "accepted"
    except anthropic.APIStatusError as e:
        return type(e).__name__
print(json.dumps({"text": said.content[0].text, "stop": said.stop_reason,
    "tokens": said.usage.output_tokens, "tool": tool.content[0].input,
    "limit": raw.headers.get("anthropic-ratelimit-requests-limit"), "id": said._request_id,
    "key": failure("wrong", "claude"), "model": failure(sys.argv[2], "other")}))
"""
        got = self.python("anthropic==2.14.0", script, sim.endpoints["a"], KEY, json.dumps(TOOL))
        self.assertTrue(got["text"].startswith("[[re:q]] "), got)
        self.assertEqual((got["stop"], got["limit"]), ("end_turn", "1000"))
        self.assertEqual(set(got["tool"]), {"city", "days"})
        self.assertTrue(got["id"].startswith("req_"))
        self.assertEqual(got["key"], "AuthenticationError")
        self.assertEqual(got["model"], "NotFoundError")

    def test_azure_openai_with_key_version_and_token(self):
        sim = self.simulate(
            sim_pool(
                "z", "azure-openai", identity=True, models=["dep"], api_versions=["2024-10-21"]
            ),
            identity={"entra": {"tenant": "t", "client_id": "c", "client_secret": "s"}},
        )
        script = """
import json, openai, sys, urllib.parse, urllib.request
root, url, key = sys.argv[1:4]
turn = [{"role": "user", "content": "[[id:q]] hello"}]
def ask(**how):
    try:
        client = openai.AzureOpenAI(azure_endpoint=root, max_retries=0,
            **{"api_version": "2024-10-21", **how})
        return client.chat.completions.create(model="dep", messages=turn).choices[0].message.content
    except openai.APIStatusError as e:
        return f"{e.status_code} {e.code}"
form = urllib.parse.urlencode({"grant_type": "client_credentials", "client_id": "c",
    "client_secret": "s", "scope": "https://ai.azure.com/.default"}).encode()
token = json.load(urllib.request.urlopen(url + "/t/oauth2/v2.0/token", form))["access_token"]
print(json.dumps({"key": ask(api_key=key), "token": ask(azure_ad_token=token),
    "wrong": ask(api_key="wrong"), "version": ask(api_key=key, api_version="2023-05-15"),
    "bad": ask(azure_ad_token="bad")}))
"""
        root = sim.endpoints["z"].removesuffix("/openai/v1")
        got = self.python("openai==3.57.0", script, root, sim.url, KEY)
        self.assertTrue(got["key"].startswith("[[re:q]] "), got)
        self.assertEqual(got["token"], got["key"])
        self.assertEqual(got["wrong"], "401 401")
        self.assertEqual(got["bad"], "401 Unauthorized")
        self.assertEqual(got["version"], "400 BadRequest")


if __name__ == "__main__":
    unittest.main()
