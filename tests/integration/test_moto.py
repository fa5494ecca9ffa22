"""Signatures judged by moto, an imitation of AWS that checks them: the right secret is taken; a wrong
one, and a request that was changed on its way, are refused."""

import http.client
import http.server
import json
import threading
import unittest

from foreign_support import ForeignServer, ask, foreign_packages
from support import ERROR_ROWS, STOPPED, Case, Job, free_ports, lane, pool, prompt

PACKAGES = ("moto[server]==5.2.5", "botocore==1.44.5")
REGION = "us-east-1"
TITAN = "amazon.titan-embed-text-v2:0"
MODEL = "embed"
POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}
# Makes a user that may do everything, with botocore, while nothing is checked yet.
MAKE_USER = """
import json, sys
import botocore.session
client = botocore.session.get_session().create_client(
    "iam", region_name="us-east-1", endpoint_url=sys.argv[1], aws_access_key_id="first",
    aws_secret_access_key="first")
client.create_user(UserName="batch")
policy = client.create_policy(PolicyName="all", PolicyDocument=sys.argv[2])["Policy"]["Arn"]
client.attach_user_policy(UserName="batch", PolicyArn=policy)
key = client.create_access_key(UserName="batch")["AccessKey"]
print(json.dumps([key["AccessKeyId"], key["SecretAccessKey"]]))
"""


class Meddler:
    """Passes requests on to moto, changed by `change(headers, body)`, and keeps what came back."""

    def __init__(self, case, port, change):
        self.statuses = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers, body = change(dict(self.headers.items()), body)
                headers["Content-Length"] = str(len(body))
                onward = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
                onward.request("POST", self.path, body, headers)
                answer = onward.getresponse()
                data = answer.read()
                outer.statuses.append(answer.status)
                self.send_response(answer.status)
                for name in ("Content-Type", "x-amzn-errortype", "x-amzn-requestid"):
                    if answer.headers.get(name):
                        self.send_header(name, answer.headers[name])
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
                onward.close()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        case.addCleanup(self.server.server_close)
        case.addCleanup(self.server.shutdown)


class SignaturesChecked(Case):
    def setUp(self):
        super().setUp()
        python = foreign_packages.interpreter(*PACKAGES)
        [self.port] = free_ports(1)
        url = f"http://127.0.0.1:{self.port}"
        moto = ForeignServer(
            self, "moto", [python, "-m", "moto.server", "-H", "127.0.0.1", "-p", self.port]
        )
        moto.wait_for(lambda: ask(url + "/moto-api/"), "moto answers")
        made = ForeignServer(
            self, "user", [python, "-c", MAKE_USER, url, json.dumps(POLICY)]
        )
        self.assertEqual(made.process.wait(60), 0, made.said())
        self.key, self.secret = json.loads(made.said())
        # From here on every request's signature is checked.
        plain = {"Content-Type": "text/plain"}
        self.assertEqual(ask(url + "/moto-api/reset-auth", "0", plain)[0], 200)

    def send(self, secret=None, key=None, change=lambda headers, body: (headers, body), expect=None):
        """Runs three prompts; what moto answered, and the run."""
        meddler = Meddler(self, self.port, change)
        aws = {"access_key_id": "env:AWS_ID", "secret_access_key": "env:AWS_SECRET"}
        one = lane(MODEL, quota={"concurrency": 2}, **{"as": TITAN, "surface": "invoke"})
        made = pool(meddler.url, "aws", "bedrock", [one], auth={"aws": aws}, region=REGION)
        job = Job(self, [made], stall_timeout="2s", max_attempts=1)
        rows = [prompt(f"p-{n}", "/v1/embeddings", number=n) for n in range(3)]
        for row in rows:
            row["body"]["model"] = MODEL
        job.input.write_text("".join(json.dumps(row) + "\n" for row in rows))
        process = job.run("--json", expect=expect, env={
            "AWS_ID": key or self.key, "AWS_SECRET": secret or self.secret})
        self.assertNotIn(secret or self.secret, process.out + process.err)
        return meddler.statuses, process, job

    def check_refused(self, **how):
        statuses, process, job = self.send(expect=STOPPED, **how)
        self.assertTrue(statuses)
        self.assertEqual(set(statuses), {403})
        [one] = process.summary()["lanes"]
        self.assertEqual(one["health"], "down-auth")
        self.assertEqual(job.rows() + job.error_rows(), [])

    def test_the_right_secret_is_taken(self):
        # moto's models answer {}: that is no vector, but the signature got past the check.
        statuses, process, job = self.send(expect=ERROR_ROWS)
        self.assertEqual(set(statuses), {200})
        self.assertEqual(len(job.error_rows()), 3)
        self.assertEqual({r["error"]["code"] for r in job.error_rows()}, {"malformed_response"})

    def test_a_wrong_secret_is_refused(self):
        self.check_refused(secret="wrong/" + self.secret[6:])

    def test_an_unknown_key_is_refused(self):
        self.check_refused(key="AKIA" + "X" * 16)

    def test_a_changed_body_is_refused(self):
        self.check_refused(change=lambda headers, body: (headers, body.replace(b"{", b"{ ", 1)))

    def test_a_changed_date_is_refused(self):
        def later(headers, body):
            [name] = [n for n in headers if n.lower() == "x-amz-date"]
            day, time = headers[name].split("T")
            headers[name] = f"{day}T{(int(time[:6]) + 1) % 240000:06}Z"
            return headers, body

        self.check_refused(change=later)


if __name__ == "__main__":
    unittest.main()
