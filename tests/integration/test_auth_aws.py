"""AWS credentials against botocore: it signs the same requests, and looks for keys in the same
environments, files and endpoints."""

import datetime
import os
import pathlib
import random
import tempfile
import unittest
import unittest.mock
import urllib.parse

from auth_support import Probe, need_packages

need_packages()

import auth_stubs
import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.session

SEED = 5
REQUESTS = 600
REGION = "us-east-1"


def headers_in(block):
    return dict(line.split(": ", 1) for line in block.split("\r\n") if line)


def random_requests(rng):
    hosts = ["bedrock-runtime.{}.amazonaws.com", "bedrock-mantle.{}.api.aws",
             "bedrock-runtime-fips.{}.amazonaws.com", "127.0.0.1:8080"]
    models = ["openai.gpt-oss-20b-1:0", "global.openai.gpt-6-sol", "us.anthropic.claude-5:1",
              "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.x.y-v1:0", "odd ~é+(*)'"]
    for _ in range(REQUESTS):
        region = rng.choice(["us-east-1", "eu-central-1", "ap-south-1", "us-gov-west-1"])
        model = urllib.parse.quote(rng.choice(models), safe=rng.choice(["", ":", ":/", "~"]))
        target = rng.choice([f"/model/{model}/converse", f"/model/{model}/invoke",
                             "/openai/v1/chat/completions", "/v1/responses", f"/a//{model}/./b/",
                             "/"])
        pairs = [f"{rng.choice('abAB')}={urllib.parse.quote(rng.choice(['', '1', 'x y', 'é/']))}"
                 for _ in range(rng.choice([0, 0, 0, 1, 3]))]
        headers = {"Content-Type": rng.choice(["application/json", "application/json;  a=b"])}
        if rng.random() < 0.5:
            headers["Accept"] = "application/json"
        if rng.random() < 0.3:
            headers["X-Amzn-Bedrock-Service-Tier"] = "flex"
        if rng.random() < 0.3:
            headers["User-Agent"] = "spillway"
        text = "".join(rng.choice("abc é\"\\\n日{}") for _ in range(rng.choice([0, 1, 40, 3000])))
        yield {
            "host": rng.choice(hosts).format(region),
            "region": region,
            "service": rng.choice(["", "bedrock", "bedrock-mantle"]),
            "target": target + ("?" + "&".join(pairs) if pairs else ""),
            "headers": headers,
            "body": text,
            "access_key_id": "AKIA" + "".join(rng.choices("ABCDEFG234567", k=16)),
            "secret_access_key": "".join(rng.choices("abcXYZ/+0123", k=40)),
            "session_token": rng.choice(["", "FwoG" + "".join(rng.choices("abc/+=", k=300))]),
            "time": rng.randrange(1_700_000_000, 1_900_000_000),
        }


def signed_by_botocore(asked):
    service = asked["service"] or (
        "bedrock-mantle" if asked["host"].startswith("bedrock-mantle") else "bedrock")
    request = botocore.awsrequest.AWSRequest(
        method="POST", url=f"https://{asked['host']}{asked['target']}", headers=asked["headers"],
        data=asked["body"].encode())
    keys = botocore.credentials.Credentials(asked["access_key_id"], asked["secret_access_key"],
                                            asked["session_token"] or None)
    moment = datetime.datetime.fromtimestamp(asked["time"], datetime.timezone.utc)
    with unittest.mock.patch("botocore.auth.get_current_datetime",
                             lambda *_, **__: moment.replace(tzinfo=None)):
        botocore.auth.SigV4Auth(keys, service, asked["region"]).add_auth(request)
    return dict(request.headers.items())


class Signatures(unittest.TestCase):
    def test_random_requests_are_signed_as_botocore_signs_them(self):
        rng = random.Random(SEED)
        with Probe() as probe:
            for number, asked in enumerate(random_requests(rng)):
                block = "".join(f"{k}: {v}\r\n" for k, v in asked["headers"].items())
                ours = headers_in(probe("sign", **{**asked, "headers": block})["headers"])
                self.assertEqual(ours, signed_by_botocore(asked), f"seed {SEED}, request {number}")


class AwsChain(unittest.TestCase):
    """Each case is a set of variables and files; botocore and we must find the same keys."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / ".aws").mkdir()
        self.stubs = auth_stubs.Stubs()
        self.addCleanup(self.stubs.close)

    def file(self, name, text):
        (self.folder / name).write_text(text)
        return str(self.folder / name)

    def botocores(self, env, profile):
        with unittest.mock.patch.dict(os.environ, env, clear=True):
            session = botocore.session.Session(profile=profile or None)
            found = session.get_credentials()
            keys = found.get_frozen_credentials()
        return keys.access_key, keys.secret_key, keys.token or ""

    def same(self, profile="", expires=False, **env):
        env = {"HOME": str(self.folder), "AWS_DEFAULT_REGION": REGION,
               "AWS_ENDPOINT_URL_STS": self.stubs.url, "AWS_REGION": REGION,
               "AWS_EC2_METADATA_SERVICE_ENDPOINT": self.stubs.url, **env}
        theirs = self.botocores(env, profile)
        before = len(self.stubs.asked)
        with Probe(**env) as probe:
            got = probe("chain", profile=profile, region=REGION)
        self.assertNotIn("error", got)
        ours = got["access_key_id"], got["secret_access_key"], got["session_token"]
        self.assertEqual(ours, theirs)
        if expires:  # told by one clock, kept by another
            self.assertAlmostEqual(got["expires"], auth_stubs.EXPIRES, delta=2)
        else:
            self.assertNotIn("expires", got)
        return ours[0], self.stubs.asked[before:]

    def test_environment(self):
        keys = {"AWS_ACCESS_KEY_ID": "AKENV", "AWS_SECRET_ACCESS_KEY": "s"}
        self.file(".aws/credentials", "[default]\naws_access_key_id=F\naws_secret_access_key=f\n")
        self.assertEqual(self.same(**keys)[0], "AKENV")
        self.assertEqual(self.same(AWS_SESSION_TOKEN="tok", **keys)[0], "AKENV")
        self.same(AWS_SECURITY_TOKEN="old", AWS_SESSION_TOKEN="tok", **keys)
        self.same(AWS_SESSION_TOKEN="tok", AWS_CREDENTIAL_EXPIRATION=auth_stubs.iso(
            auth_stubs.EXPIRES), expires=True, **keys)
        self.assertEqual(self.same(profile="default", **keys)[0], "F")

    def test_profile_files(self):
        self.file(".aws/credentials",
                  "# keys\n[default]\naws_access_key_id = D1\naws_secret_access_key = d1\n"
                  "[dev]\nAWS_ACCESS_KEY_ID: V1\naws_secret_access_key=v=1\n"
                  "aws_session_token = tok==\n")
        self.file(".aws/config",
                  "[default]\nregion = eu-west-1\n[profile conf]\naws_access_key_id = C1\n"
                  "aws_secret_access_key = c1\n\n[profile \"quo ted\"]\n"
                  "s3 =\n  addressing_style = path\naws_access_key_id = Q1\n"
                  "aws_secret_access_key = q1\n[profile dev]\naws_access_key_id = NOT\n"
                  "aws_secret_access_key = not\n")
        self.assertEqual(self.same()[0], "D1")
        self.assertEqual(self.same(profile="dev")[0], "V1")
        self.assertEqual(self.same(AWS_PROFILE="conf")[0], "C1")
        self.assertEqual(self.same(AWS_DEFAULT_PROFILE="quo ted", AWS_PROFILE="conf")[0], "Q1")
        other = self.file("elsewhere", "[default]\naws_access_key_id=E1\naws_secret_access_key=e\n")
        self.assertEqual(self.same(AWS_SHARED_CREDENTIALS_FILE=other)[0], "E1")
        self.assertEqual(self.same(AWS_SHARED_CREDENTIALS_FILE="~/elsewhere")[0], "E1")

    def test_roles(self):
        self.file(".aws/credentials",
                  "[base]\naws_access_key_id = B1\naws_secret_access_key = b1\n"
                  "[own]\naws_access_key_id = O1\naws_secret_access_key = o1\n"
                  "role_arn = arn:aws:iam::1:role/own\nsource_profile = own\n")
        self.file(".aws/config",
                  "[profile r]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = base\n"
                  "role_session_name = me\nexternal_id = e x/1\nduration_seconds = 1800\n"
                  "[profile rr]\nrole_arn = arn:aws:iam::1:role/rr\nsource_profile = r\n"
                  "[profile env]\nrole_arn = arn:aws:iam::1:role/e\n"
                  "credential_source = Environment\n"
                  "[profile box]\nrole_arn = arn:aws:iam::1:role/b\n"
                  "credential_source = Ec2InstanceMetadata\n")
        for profile in ("r", "rr", "own", "box"):
            with self.subTest(profile):
                self.same(profile=profile, expires=True)
        asked = self.same(profile="rr", expires=True)[1]
        self.assertEqual(len(asked), 2, "a role by way of a role")
        self.same(AWS_PROFILE="env", AWS_ACCESS_KEY_ID="A", AWS_SECRET_ACCESS_KEY="s")
        self.same(profile="env", expires=True, AWS_ACCESS_KEY_ID="A", AWS_SECRET_ACCESS_KEY="s")

    def test_web_identity(self):
        token = self.file("token", "eyJ.web.identity")
        self.same(expires=True, AWS_WEB_IDENTITY_TOKEN_FILE=token,
                  AWS_ROLE_ARN="arn:aws:iam::1:role/w", AWS_ROLE_SESSION_NAME="pod")
        self.same(expires=True, AWS_WEB_IDENTITY_TOKEN_FILE=token,
                  AWS_ROLE_ARN="arn:aws:iam::1:role/w")
        self.file(".aws/config", f"[profile w]\nweb_identity_token_file = {token}\n"
                                 "role_arn = arn:aws:iam::1:role/p\n")
        _, asked = self.same(profile="w", expires=True, AWS_ROLE_ARN="ignored")
        self.assertNotIn("authorization", asked[0][2])

    def test_container(self):
        url = self.stubs.url + "/container"
        self.same(expires=True, AWS_CONTAINER_CREDENTIALS_FULL_URI=url)
        self.same(expires=True, AWS_CONTAINER_CREDENTIALS_FULL_URI=url,
                  AWS_CONTAINER_AUTHORIZATION_TOKEN="Basic abc")
        token = self.file("pod-token", "Bearer xyz")
        self.same(expires=True, AWS_CONTAINER_CREDENTIALS_FULL_URI=url,
                  AWS_CONTAINER_AUTHORIZATION_TOKEN="Basic abc",
                  AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=token)

    def test_instance(self):
        _, asked = self.same(expires=True)
        self.assertEqual([method for method, _, _, _ in asked], ["PUT", "GET", "GET"])

    def test_nothing_anywhere(self):
        env = {"HOME": str(self.folder), "AWS_EC2_METADATA_DISABLED": "true"}
        with unittest.mock.patch.dict(os.environ, env, clear=True):
            self.assertIsNone(botocore.session.Session().get_credentials())
        with Probe(**env) as probe:
            self.assertIn("no AWS credentials", probe("chain", region=REGION)["error"])


if __name__ == "__main__":
    unittest.main()
