"""Token endpoints and metadata servers on loopback, for our client and other people's alike. What
they give is made of what they were asked, so that the same answer means the same question."""

import hashlib
import http.server
import json
import threading
import time
import urllib.parse

GOOGLE_AUDIENCE = "https://oauth2.googleapis.com/token"
EXPIRES = int(time.time()) + 3600


def iso(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def keys_for(*question):
    """AWS keys that follow from a question."""
    name = hashlib.sha256(json.dumps(question).encode()).hexdigest()
    return {"AccessKeyId": "ASIA" + name[:16].upper(), "SecretAccessKey": "s/" + name[:38],
            "Token": "t/+=" + name, "Expiration": iso(EXPIRES), "Code": "Success"}


def sts_answer(form, authorization):
    keys = keys_for(*sorted(form.items()), authorization)
    action = form["Action"]
    return (f"<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"
            f"<{action}Result><Credentials>"
            f"<AccessKeyId>{keys['AccessKeyId']}</AccessKeyId>"
            f"<SecretAccessKey>{keys['SecretAccessKey']}</SecretAccessKey>"
            f"<SessionToken>{keys['Token']}</SessionToken>"
            f"<Expiration>{keys['Expiration']}</Expiration></Credentials>"
            f"<AssumedRoleUser><AssumedRoleId>x:y</AssumedRoleId><Arn>arn:aws:sts::1:a/b</Arn>"
            f"</AssumedRoleUser></{action}Result></{action}Response>")


class Stubs:
    """A server for all of them, until `close`. `check_assertion(text)` raises when it is wrong."""

    def __init__(self, check_assertion=lambda text: None, tls=None):
        self.asked = []  # (method, path, headers in lower case, body)
        self.tokens = 0
        self.client_secret, self.scope = "s3cret&", "https://ai.azure.com/.default"  # of Entra
        self.check_assertion = check_assertion
        self.let_go = threading.Event()
        stubs = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, status, body, **headers):
                body = body if isinstance(body, bytes) else body.encode()
                self.send_response(status)
                for name, value in {"Content-Length": len(body), **headers}.items():
                    self.send_header(name.replace("_", "-"), str(value))
                self.end_headers()
                self.wfile.write(body)

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                stubs.asked.append((self.command, self.path, headers, body))
                status, answer, more = stubs.respond(self.command, self.path, headers, body)
                self.answer(status, answer, **more)

            do_GET = do_POST = do_PUT = handle_any

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # clients that hang up are part of the tests
        scheme = "http"
        if tls:
            scheme = "https"
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.host = f"127.0.0.1:{self.server.server_address[1]}"
        self.url = f"{scheme}://{self.host}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.let_go.set()
        self.server.shutdown()
        self.server.server_close()

    def paths(self):
        return [path for _, path, _, _ in self.asked]

    def bearer(self, lasts=3600):
        self.tokens += 1
        return 200, json.dumps({"access_token": f"token-{self.tokens}", "expires_in": lasts,
                                "token_type": "Bearer"}), {}

    def respond(self, method, path, headers, body):
        path, _, query = path.partition("?")
        form = dict(urllib.parse.parse_qsl(body.decode(errors="replace")))
        if (method, path) == ("POST", "/google/token"):
            try:
                assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
                self.check_assertion(form["assertion"])
            except Exception as error:
                return 400, json.dumps({"error": "invalid_grant",
                                        "error_description": str(error)}), {}
            return self.bearer()
        if path.startswith("/computeMetadata/v1/instance/service-accounts/default/"):
            return self.google_metadata(path, headers)
        if method == "POST" and path in ("/entra/token", "/contoso/oauth2/v2.0/token"):
            right = {"client_id": "cli", "client_secret": self.client_secret, "scope": self.scope,
                     "grant_type": "client_credentials"}
            if {name: value for name, value in form.items() if name != "client_info"} != right:
                return 401, json.dumps({"error": "invalid_client",
                                        "error_description": "AADSTS7000215: wrong"}), {}
            return self.bearer()
        if path in ("/metadata/identity/oauth2/token", "/msi/token"):
            status, body, more = self.bearer()
            return status, json.dumps({**json.loads(body), "expires_on": str(EXPIRES),
                                       "resource": "r"}), more
        if (method, path) == ("POST", "/"):
            named = {name: value for name, value in form.items() if name != "RoleSessionName" or
                     not value.startswith(("botocore-session-", "spillway-"))}
            credential = headers.get("authorization", "").split(",")[0]
            return 200, sts_answer(named, [credential, headers.get("x-amz-security-token")]), {}
        if path == "/container":
            return 200, json.dumps(keys_for("container", headers.get("authorization"))), {}
        if path.startswith("/latest/"):
            return self.instance(method, path, headers)
        if path == "/moved":
            return 302, "", {"Location": self.url + "/entra/token"}
        if path == "/huge":
            return 200, b'{"access_token":"' + b"a" * (1 << 20) + b'"}', {}
        if path == "/hangs":
            self.let_go.wait(60)
        return 404, "", {}

    def google_metadata(self, path, headers):
        if headers.get("metadata-flavor") != "Google":
            return 403, "", {}
        google = {"Metadata_Flavor": "Google", "Content_Type": "application/json"}
        if path.endswith("/token"):
            status, body, _ = self.bearer()
            return status, body, google
        return 200, json.dumps({"email": "machine@example", "scopes": [], "aliases": []}), google

    def instance(self, method, path, headers):
        if (method, path) == ("PUT", "/latest/api/token"):
            if not headers.get("x-aws-ec2-metadata-token-ttl-seconds"):
                return 400, "", {}
            return 200, "session==", {}
        if headers.get("x-aws-ec2-metadata-token") != "session==":
            return 401, "", {}
        roles = "/latest/meta-data/iam/security-credentials/"
        if path == roles:
            return 200, "the-role", {}
        if path == roles + "the-role":
            return 200, json.dumps(keys_for("instance")), {}
        return 404, "", {}
