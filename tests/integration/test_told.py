"""What a provider says is told where anyone looks, unless it quotes the prompt or the key."""

import contextlib
import http.server
import json
import threading
import unittest

from support import ERROR_ROWS, STOPPED, Case, Job, pool

TEXT = 'Patient Ada Lovelace, born 1815:\n"fever"'
KEY = "hush-hush-hush"


@contextlib.contextmanager
def refusing_server(status, message):
    """Answers every call with an error; `message` gets the call's body and headers."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            error = {"message": message(body, self.headers), "type": "refused", "code": None}
            answer = json.dumps({"error": error}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


class Told(Case):
    def refused(self, status, message, expect=STOPPED, **policy):
        """All that anyone may read of a run whose calls are refused, and its error rows."""
        audit = self.folder / "audit.jsonl"
        with refusing_server(status, message) as endpoint:
            job = Job(
                self,
                [pool(endpoint, auth={"api_key": "env:TOLD_KEY"})],
                stall_timeout="1s",
                **policy,
            )
            body = {"model": "gpt-5.4-mini", "max_tokens": 8,
                    "messages": [{"role": "user", "content": TEXT}]}
            line = {"custom_id": "p", "method": "POST", "url": "/v1/chat/completions", "body": body}
            job.input.write_text(json.dumps(line) + "\n")
            process = job.run("--audit", audit, expect=expect, env={"TOLD_KEY": KEY})
        status_file = (job.state / "status.json").read_text()
        told = process.err + process.out + status_file + audit.read_text()
        rows = job.errors.read_text() if job.errors.exists() else ""
        return told, rows

    def test_a_useful_message_is_told(self):
        told, _ = self.refused(403, lambda *_: "your plan has expired in this region")
        self.assertGreaterEqual(told.count("your plan has expired in this region"), 3, told)

    def test_the_key_is_not(self):
        told, _ = self.refused(403, lambda _, headers: f"who is {headers['Authorization']}, sir?")
        self.assertNotIn(KEY, told)
        self.assertIn("who is Bearer ***, sir?", told)

    def test_the_prompt_is_not(self):
        for name, message in {
            "as sent": lambda body, _: f"not for this account: {body}",
            "as read": lambda body, _: "not for this account: "
            + json.loads(body)["messages"][0]["content"],
        }.items():
            with self.subTest(name):
                self.setUp()
                told, _ = self.refused(403, message)
                self.assertNotIn("Lovelace", told)
                self.assertNotIn("fever", told)
                self.assertIn("HTTP 403", told)
                self.assertIn("error rows", told)

    def test_error_rows_hold_it(self):
        told, rows = self.refused(
            500, lambda body, _: f"crashed at {body}", expect=ERROR_ROWS, max_attempts=3
        )
        self.assertNotIn("Lovelace", told)
        self.assertIn("Lovelace", rows)

    def test_a_broken_lane_does_not_quote_it_either(self):
        told, _ = self.refused(500, lambda body, _: f"crashed at {body}", max_attempts=50)
        self.assertNotIn("Lovelace", told)
        self.assertIn("HTTP 500", told)


if __name__ == "__main__":
    unittest.main()
