"""Tokens of Google against google-auth, which verifies our assertions and asks the same stubs; and how
tokens are fetched, whatever they are for."""

import datetime
import ipaddress
import json
import os
import pathlib
import ssl
import tempfile
import time
import unittest
import unittest.mock

from auth_support import Probe, need_packages

need_packages()

import auth_stubs
import google.auth.compute_engine
import google.auth.jwt
import google.auth.transport.requests
import google.oauth2.service_account
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth.compute_engine import _metadata
from support import wait_until


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
