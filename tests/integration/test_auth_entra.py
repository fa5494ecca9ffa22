"""Tokens of Entra against MSAL: it asks a recording stub the same questions as we do, and judges the
simulator's answers."""

import json
import os
import unittest
import unittest.mock
import urllib.parse

from auth_support import Probe, need_packages

need_packages()

import auth_stubs
import msal
import requests
from clouds_support import ENTRA_SECRET, NAMES, identity, sim_cloud
from support import Case

AUTHORITY = "https://login.microsoftonline.com"
DEFAULT_SCOPE = "https://ai.azure.com/.default"


class Rerouted:
    """What MSAL sends by: its authority must be https and Microsoft's, ours are on loopback."""

    def __init__(self, url):
        self.url = url

    def _there(self, url):
        for known in (AUTHORITY, "http://169.254.169.254"):
            if url.startswith(known):
                return self.url + url[len(known):]
        assert url.startswith(self.url), url
        return url

    def get(self, url, **how):
        if url.endswith("/.well-known/openid-configuration"):
            return self._configuration(url.removesuffix("/v2.0/.well-known/openid-configuration"))
        return requests.get(self._there(url), timeout=30, **how)

    def post(self, url, **how):
        return requests.post(self._there(url), timeout=30, **how)

    def close(self):
        pass

    @staticmethod
    def _configuration(tenant):
        answer = requests.Response()
        answer.status_code = 200
        answer._content = json.dumps({
            "issuer": tenant + "/v2.0",
            "authorization_endpoint": tenant + "/oauth2/v2.0/authorize",
            "token_endpoint": tenant + "/oauth2/v2.0/token",
        }).encode()
        return answer


def msal_client(url, client_secret, client_id="cli", tenant="contoso"):
    return msal.ConfidentialClientApplication(
        client_id, client_credential=client_secret, authority=f"{AUTHORITY}/{tenant}",
        instance_discovery=False, http_client=Rerouted(url))


class Entra(unittest.TestCase):
    """MSAL and we ask the same stub the same thing."""

    POOL = {"provider": "azure-openai", "endpoint": "https://acme.openai.azure.com/openai/v1"}
    PATH = "/contoso/oauth2/v2.0/token"

    def setUp(self):
        self.stubs = auth_stubs.Stubs()
        self.addCleanup(self.stubs.close)

    def both(self, auth, ask_msal, **env):
        """What MSAL and we sent: (method, path, headers, body) of each."""
        with unittest.mock.patch.dict(os.environ, env):
            said = ask_msal()
        self.assertEqual(said.get("access_token"), "token-1", said)
        with Probe(**env) as probe:
            header = probe.header({"entra": auth}, **self.POOL)
        self.assertEqual(header, "Authorization: Bearer token-2\r\n")
        theirs, ours = self.stubs.asked
        return theirs, ours

    def test_client_credentials(self):
        scope = "https://cognitiveservices.azure.com/.default"
        for client_secret in ("s3cret&", "a+b c=%26~*é\"'/\\"):
            for chosen in (None, scope):
                with self.subTest(client_secret=client_secret, scope=chosen):
                    self.check_client_credentials(client_secret, chosen)

    def check_client_credentials(self, client_secret, scope):
        self.stubs.asked.clear()
        self.stubs.tokens, self.stubs.client_secret = 0, client_secret
        self.stubs.scope = scope or DEFAULT_SCOPE
        auth = {"tenant": "contoso", "client_id": "cli", "client_secret": "env:S",
                "token_url": self.stubs.url + self.PATH, **({"scope": scope} if scope else {})}
        theirs, ours = self.both(
            auth, lambda: msal_client(self.stubs.url, client_secret).acquire_token_for_client(
                [scope or DEFAULT_SCOPE]), S=client_secret)
        self.assertEqual(ours[:2], ("POST", self.PATH))
        self.assertEqual(theirs[:2], ours[:2])
        for name in ("content-type", "accept"):
            self.assertEqual(theirs[2][name], ours[2][name], name)
        self.assertFalse(any(h.startswith("authorization") for h in (*theirs[2], *ours[2])))
        bodies = [asked[3].decode() for asked in (theirs, ours)]
        theirs, ours = [dict(urllib.parse.parse_qsl(b, strict_parsing=True)) for b in bodies]
        # Only MSAL keeps a cache of accounts, for which it asks about the client.
        self.assertEqual(theirs, {**ours, "client_info": "1"})
        # A space has two encodings, a scope has one.
        encoded = [{pair for pair in b.split("&") if pair.startswith("scope=")} for b in bodies]
        self.assertEqual(*encoded)

    def test_a_refusal(self):
        self.stubs.client_secret = "another"
        said = msal_client(self.stubs.url, "wr0ng").acquire_token_for_client([DEFAULT_SCOPE])
        self.assertEqual(said["error"], "invalid_client")
        with Probe(S="wr0ng") as probe:
            auth = {"tenant": "contoso", "client_id": "cli", "client_secret": "env:S",
                    "token_url": self.stubs.url + self.PATH}
            why = probe.trouble({"entra": auth}, **self.POOL)
        self.assertIn(said["error_description"], why)
        self.assertNotIn("wr0ng", why)

    def check_managed(self, client_id, header, url="", **env):
        """`header` is what a machine proves itself with there."""
        self.stubs.asked.clear()
        self.stubs.tokens = 0
        identity = (msal.UserAssignedManagedIdentity(client_id=client_id) if client_id
                    else msal.SystemAssignedManagedIdentity())
        client = msal.ManagedIdentityClient(identity, http_client=Rerouted(self.stubs.url))
        auth = {"managed_identity": True, **({"client_id": client_id} if client_id else {}),
                **({"token_url": url} if url else {})}
        resource = DEFAULT_SCOPE.removesuffix("/.default")
        theirs, ours = self.both(
            auth, lambda: client.acquire_token_for_client(resource=resource), **env)
        self.assertEqual(ours[0], "GET")
        asked = []
        for method, path, headers, _ in (theirs, ours):
            path, _, query = path.partition("?")
            asked.append((method, path, dict(urllib.parse.parse_qsl(query)), headers[header]))
        self.assertEqual(*asked)

    def test_managed_identity_of_a_machine(self):
        url = self.stubs.url + "/metadata/identity/oauth2/token"
        for client_id in ("", "8c2a-user"):
            with self.subTest(client_id=client_id):
                self.check_managed(client_id, "metadata", url)

    def test_managed_identity_of_an_app_service(self):
        env = {"IDENTITY_ENDPOINT": self.stubs.url + "/msi/token", "IDENTITY_HEADER": "853b9a84"}
        for client_id in ("", "8c2a-user"):
            with self.subTest(client_id=client_id):
                self.check_managed(client_id, "x-identity-header", **env)


class SimulatedEntra(Case):
    """The simulator's Entra, judged by MSAL."""

    def setUp(self):
        super().setUp()
        self.sim = self.simulate(sim_cloud("azure"), identity=identity())

    def token(self, client_secret=ENTRA_SECRET, scope=DEFAULT_SCOPE, **of):
        client = msal_client(self.sim.url, client_secret, **{"client_id": "app", **of})
        return client, client.acquire_token_for_client([scope])

    def test_gives_a_token_that_its_azure_takes(self):
        client, said = self.token()
        self.assertEqual((said.get("token_type"), said.get("token_source")),
                         ("Bearer", "identity_provider"), said)
        self.assertAlmostEqual(said["expires_in"], 3600, delta=5)
        cached = client.acquire_token_for_client([DEFAULT_SCOPE])
        self.assertEqual(cached["token_source"], "cache")
        self.assertEqual(cached["access_token"], said["access_token"])
        for token, status in ((said["access_token"], 200), (said["access_token"] + "x", 401)):
            answer = requests.post(
                self.sim.endpoints["azure"] + "/chat/completions", timeout=30,
                headers={"Authorization": "Bearer " + token},
                json={"model": NAMES["azure"], "messages": [{"role": "user", "content": "hi"}]})
            self.assertEqual(answer.status_code, status, answer.text)

    def test_refuses_as_entra_does(self):
        for wrong, error, code in (
            ({"client_secret": "wr0ng"}, "invalid_client", 7000215),
            ({"client_id": "nobody"}, "unauthorized_client", 700016),
            ({"tenant": "fabrikam"}, "invalid_request", 90002),
            ({"scope": "https://graph.microsoft.com/.default"}, "invalid_scope", 70011),
        ):
            with self.subTest(**wrong):
                _, said = self.token(**wrong)
                self.assertEqual(said.get("error"), error, said)
                self.assertIn(f"AADSTS{code}", said["error_description"])

    def test_gives_machines_a_token(self):
        client = msal.ManagedIdentityClient(msal.SystemAssignedManagedIdentity(),
                                            http_client=Rerouted(self.sim.url))
        said = client.acquire_token_for_client(resource=DEFAULT_SCOPE.removesuffix("/.default"))
        self.assertEqual(said.get("token_type"), "Bearer", said)
        self.assertAlmostEqual(said["expires_in"], 3600, delta=5)


if __name__ == "__main__":
    unittest.main()
