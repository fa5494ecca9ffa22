"""Credentials against other people's libraries: botocore signs and looks for keys, google-auth
verifies assertions and asks the same stubs. spillway_auth_probe does for them what we do."""

import datetime
import ipaddress
import json
import os
import pathlib
import random
import ssl
import subprocess
import sys
import tempfile
import time
import unittest
import unittest.mock
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(pathlib.Path(__file__).parent)]

import auth_stubs
import foreign_packages
from support import wait_until

PACKAGES = ("botocore==1.44.5", "google-auth==2.62.0", "urllib3==2.8.0", "cryptography==50.0.2",
            "requests==2.34.2")

if __name__ == "__main__" and os.environ.get("SPILLWAY_IN_FOREIGN_PACKAGES") != "1":
    interpreter = str(foreign_packages.interpreter(*PACKAGES))
    os.environ["SPILLWAY_IN_FOREIGN_PACKAGES"] = "1"
    os.execv(interpreter, [interpreter, "-B", *sys.argv])

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.session
import google.auth.compute_engine
import google.auth.jwt
import google.auth.transport.requests
import google.oauth2.service_account
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth.compute_engine import _metadata

PROBE = os.environ.get("SPILLWAY_AUTH_PROBE", "spillway_auth_probe")
SEED = 5
REQUESTS = 600
REGION = "us-east-1"


class Probe:
    """spillway_auth_probe with an environment of its own."""

    def __init__(self, **env):
        inherited = ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LD_LIBRARY_PATH")
        env = {**{name: os.environ[name] for name in inherited if name in os.environ}, **env}
        self.process = subprocess.Popen([PROBE], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        env=env, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(30)

    def __call__(self, do, **arguments):
        self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def use(self, name="a"):
        return self("use", name=name, target="/m", headers="", body="{}")

    def open(self, auth, provider, name="a", **pool):
        config = {"pools": [{"name": "p", "provider": provider, "auth": auth,
                             "lanes": [{"model": "m"}], **pool}]}
        return self("open", name=name, config=json.dumps(config))

    def header(self, auth, provider, **pool):
        """The headers of a request, once there is a credential."""
        said = self.open(auth, provider, **pool)
        assert "error" not in said, said
        return wait_until(lambda: self.use().get("headers"), "a credential")

    def trouble(self, auth, provider, **pool):
        """What is missing, once something failed."""
        said = self.open(auth, provider, **pool)
        if "error" in said:
            return said["error"]

        def failed():
            why = self.use().get("missing", "")
            return "being fetched" not in why and why

        return wait_until(failed, "a failure")


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


class Google(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                serialization.NoEncryption()).decode()
        cls.public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        cls.stubs = auth_stubs.Stubs(cls.check)
        cls.addClassCleanup(cls.stubs.close)
        cls.account = {"type": "service_account", "client_email": "a@p.iam.example",
                       "private_key_id": "key-1", "private_key": pem, "project_id": "p",
                       "token_uri": cls.stubs.url + "/google/token"}

    @classmethod
    def check(cls, assertion):
        claims = google.auth.jwt.decode(assertion, certs={"key-1": cls.public},
                                        audience=auth_stubs.GOOGLE_AUDIENCE)
        assert claims["iss"] == cls.account["client_email"], claims
        assert claims["scope"] == "https://www.googleapis.com/auth/cloud-platform", claims
        return claims

    def setUp(self):
        self.stubs.tokens = 0
        self.stubs.asked.clear()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.key = pathlib.Path(folder.name) / "key.json"
        self.key.write_text(json.dumps(self.account))

    def test_google_auth_verifies_our_assertion(self):
        now = int(time.time())
        with Probe() as probe:
            got = probe("assertion", key=json.dumps(self.account), time=now)
        claims = self.check(got["assertion"])
        self.assertEqual((claims["iat"], claims["exp"]), (now, now + 3600))
        self.assertEqual(got["token_url"], self.account["token_uri"])
        theirs = google.oauth2.service_account.Credentials.from_service_account_info(
            self.account, scopes=["https://www.googleapis.com/auth/cloud-platform"])
        made = google.auth.jwt.decode(theirs._make_authorization_grant_assertion(), verify=False)
        self.assertEqual(set(claims), set(made))
        self.assertEqual(google.auth.jwt.decode_header(got["assertion"]),
                         {"alg": "RS256", "typ": "JWT", "kid": "key-1"})

    def test_the_same_endpoint_gives_google_auth_and_us_a_token(self):
        theirs = google.oauth2.service_account.Credentials.from_service_account_info(
            self.account, scopes=["https://www.googleapis.com/auth/cloud-platform"])
        theirs.refresh(google.auth.transport.requests.Request())
        self.assertEqual(theirs.token, "token-1")
        with Probe() as probe:
            header = probe.header({"google": {"service_account": f"file:{self.key}"}}, "vertex",
                                  project="p", location="global")
            self.assertEqual(header, "Authorization: Bearer token-2\r\n")
            # refused: another is fetched, the one before is sent again
            used = probe.use()["generation"]
            self.assertEqual(probe("refused", name="a", generation=used)["advice"], "resend")
            header = wait_until(lambda: probe.use().get("headers"), "the next token")
            self.assertEqual(header, "Authorization: Bearer token-3\r\n")
            self.assertEqual(probe("refused", name="a", generation=used)["advice"], "resend")
            self.assertEqual(probe("refused", name="a", generation=used + 1)["advice"], "stop")

    def test_a_wrong_key_is_told_without_it(self):
        other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = other.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                  serialization.NoEncryption()).decode()
        self.key.write_text(json.dumps({**self.account, "private_key": pem}))
        with Probe() as probe:
            why = probe.trouble({"google": {"service_account": f"file:{self.key}"}}, "vertex",
                                project="p", location="global")
        self.assertIn("invalid_grant", why)
        self.assertNotIn("PRIVATE", why)

    def test_the_same_metadata_server_serves_google_auth_and_us(self):
        with unittest.mock.patch.object(_metadata, "_GCE_METADATA_HOST", self.stubs.host):
            theirs = google.auth.compute_engine.Credentials()
            theirs.refresh(google.auth.transport.requests.Request())
        self.assertEqual(theirs.token, "token-1")
        with Probe(GCE_METADATA_HOST=self.stubs.host) as probe:
            header = probe.header({"google": "metadata"}, "vertex", project="p", location="global")
        self.assertEqual(header, "Authorization: Bearer token-2\r\n")


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


class Fetching(unittest.TestCase):
    """How tokens are fetched, whatever they are for."""

    ENTRA = {"tenant": "t", "client_id": "cli", "client_secret": "env:S"}

    def setUp(self):
        self.stubs = auth_stubs.Stubs()
        self.addCleanup(self.stubs.close)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def entra(self, path, stubs=None):
        return {"entra": {**self.ENTRA, "token_url": (stubs or self.stubs).url + path}}

    POOL = {"provider": "azure-openai", "endpoint": "https://acme.openai.azure.com/openai/v1"}

    def trouble(self, path, **more):
        with Probe(S="s3cret&") as probe:
            why = probe.trouble(self.entra(path), **self.POOL, **more)
        self.assertNotIn("s3cret", why)
        return why

    def test_a_token_of_entra(self):
        with Probe(S="s3cret&") as probe:
            header = probe.header(self.entra("/entra/token"), **self.POOL)
            self.assertEqual(header, "Authorization: Bearer token-1\r\n")
            used = probe.use()
            self.assertAlmostEqual(used["send_before"], time.time() + 3600, delta=60)

    def test_a_refusal_is_told(self):
        with Probe(S="wr0ng") as probe:
            why = probe.trouble(self.entra("/entra/token"), **self.POOL)
        self.assertIn("AADSTS7000215", why)
        self.assertNotIn("wr0ng", why)

    def test_redirects_are_not_followed(self):
        self.assertIn("302", self.trouble("/moved"))
        self.assertNotIn("/entra/token", self.stubs.paths())

    def test_answers_are_bounded(self):
        self.assertIn("too large", self.trouble("/huge"))

    def test_nobody_there(self):
        self.stubs.close()
        self.assertIn("127.0.0.1", self.trouble("/entra/token"))

    def test_a_stop_does_not_wait_for_an_endpoint(self):
        with Probe(S="s3cret&") as probe:
            probe.open(self.entra("/hangs"), **self.POOL)
            wait_until(lambda: self.stubs.asked, "the call")
            before = time.monotonic()
            self.assertIn("being fetched", probe.use()["missing"])
            probe("close", name="a")
            self.assertLess(time.monotonic() - before, 5, "the call itself may take 20 s")

    def test_tls_is_verified(self):
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
        now = datetime.datetime.now(datetime.timezone.utc)
        certificate = (
            x509.CertificateBuilder().subject_name(name).issuer_name(name)
            .public_key(key.public_key()).serial_number(1)
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName(
                [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256()))
        pem = self.folder / "own.pem"
        pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        both = self.folder / "both.pem"
        both.write_bytes(pem.read_bytes() + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(both)
        stubs = auth_stubs.Stubs(tls=context)
        self.addCleanup(stubs.close)
        with Probe(S="s3cret&") as probe:
            why = probe.trouble(self.entra("/entra/token", stubs), **self.POOL)
            self.assertIn("certificate", why.lower())
            self.assertEqual(stubs.asked, [])
            header = probe.header(self.entra("/entra/token", stubs), **self.POOL,
                                  tls={"ca_file": str(pem)})
            self.assertEqual(header, "Authorization: Bearer token-1\r\n")

    def test_a_changed_key_file_is_used_within_five_seconds(self):
        key = self.folder / "key"
        key.write_text("one\n")
        with Probe() as probe:
            pool = {**self.POOL, "auth": {"api_key": f"file:{key}"}}
            self.assertEqual(probe.header(**pool), "api-key: one\r\n")
            key.unlink()  # away for a moment, as some tools replace files
            self.assertEqual(probe.use()["headers"], "api-key: one\r\n")
            key.write_text("two\n")
            wait_until(lambda: probe.use().get("headers") == "api-key: two\r\n", "the key", 5)
            self.assertEqual(probe.use()["generation"], 2)


if __name__ == "__main__":
    unittest.main()
