"""TLS with an authority of one's own, and keys that stay secret."""

import http.server
import json
import subprocess
import threading
import unittest

from support import (
    ERROR_ROWS,
    KEY,
    OK,
    STOPPED,
    USAGE,
    Case,
    Job,
    pool,
    prompt,
    refused_port,
    sim_pool,
    write_prompts,
)


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def make_certificates(folder, name="127.0.0.1"):
    """An authority and a certificate of a server that it signed."""
    openssl(
        folder,
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
        "-subj",
        "/CN=Test authority",
        "-days",
        "2",
    )
    openssl(
        folder,
        "req",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-keyout",
        "server.key",
        "-out",
        "server.csr",
        "-subj",
        "/CN=server",
    )
    kind = "IP" if name[0].isdigit() else "DNS"
    (folder / "san").write_text(f"subjectAltName={kind}:{name},IP:127.0.0.2\n")
    openssl(
        folder,
        "x509",
        "-req",
        "-in",
        "server.csr",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-out",
        "server.pem",
        "-days",
        "2",
        "-extfile",
        "san",
    )
    return {
        "ca_file": folder / "ca.pem",
        "cert_file": folder / "server.pem",
        "key_file": folder / "server.key",
    }


class QuietHandler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Tls(Case):
    def test_an_own_authority_is_trusted_for_its_pool(self):
        files = make_certificates(self.folder)
        sim = self.simulate(sim_pool(), tls=files)
        endpoint = sim.endpoints["main"]
        self.assertTrue(endpoint.startswith("https://"))
        job = Job(self, [pool(endpoint, tls={"ca_file": str(files["ca_file"])})])
        ids = write_prompts(job.input, 200)
        job.run()
        self.check_each_once(job, ids)
        self.check_money(sim, job)

    def check_untrusted(self, job, *words):
        process = job.run("--json", "--stall-timeout", "1s", expect=STOPPED)
        [one] = process.summary()["lanes"]
        told = one["reason"] + process.summary()["stop_reason"] + process.err
        self.assertRegex(told, r"(?i)certificate")
        for word in words:
            self.assertIn(word, told)
        self.assertEqual(job.rows() + job.error_rows(), [])

    def test_an_unknown_authority_is_not_trusted(self):
        files = make_certificates(self.folder)
        sim = self.simulate(sim_pool(), tls=files)
        job = Job(self, [pool(sim.endpoints["main"])])
        ids = write_prompts(job.input, 5)
        self.check_untrusted(job)
        self.assertEqual(sim.stats()["requests"], 0)
        job.configure([pool(sim.endpoints["main"], tls={"ca_file": str(files["ca_file"])})])
        job.run()
        self.check_each_once(job, ids)

    def test_a_certificate_for_another_name_is_not_trusted(self):
        files = make_certificates(self.folder, "elsewhere.example")
        plain = {**files, "ca_file": files["ca_file"]}
        sim = self.simulate(sim_pool(), tls=plain)
        job = Job(self, [pool(sim.endpoints["main"], tls={"ca_file": str(files["ca_file"])})])
        write_prompts(job.input, 5)
        self.check_untrusted(job)

    def test_plain_http_behind_an_https_endpoint(self):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), QuietHandler)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        job = Job(self, [pool(f"https://127.0.0.1:{server.server_port}/v1")])
        write_prompts(job.input, 5)
        process = job.run("--json", "--stall-timeout", "1s", expect=STOPPED)
        self.assertIn("tls", process.summary()["lanes"][0]["reason"].lower())

    def test_a_ca_file_without_certificates(self):
        (self.folder / "empty.pem").write_text("nothing\n")
        job = Job(
            self, [pool("https://127.0.0.1:9/v1", tls={"ca_file": str(self.folder / "empty.pem")})]
        )
        write_prompts(job.input, 2)
        self.assertIn("empty.pem", job.run(expect=USAGE).err)


class Secrets(Case):
    MARK = "confidential-prompt-words-39"

    def test_neither_keys_nor_prompts_appear_anywhere_but_in_the_results(self):
        faults = [
            {"kind": "error", "share": 0.1, "status": 500},
            {"kind": "reset", "share": 0.1},
            {"kind": "error", "share": 0.05, "status": 400},
            {"kind": "error", "share": 0.05, "status": 429, "retry_after": "10ms"},
        ]
        sim = self.simulate(
            sim_pool("main", faults=faults), sim_pool("bad", "azure-openai", api_key="another")
        )
        with refused_port() as port:
            job = Job(
                self,
                [
                    pool(sim.endpoints["main"]),
                    pool(sim.endpoints["bad"], "bad", "azure-openai"),
                    pool(f"http://127.0.0.1:{port}/v1", "dead"),
                ],
                max_attempts=3,
            )
            place = self.folder / "in"
            place.mkdir()
            job.input = place / "in.jsonl"
            with open(job.input, "w", encoding="utf-8") as file:
                for i in range(200):
                    value = prompt(f"s-{i}", number=i)
                    value["body"]["messages"][0]["content"] = self.MARK
                    file.write(json.dumps(value) + "\n")
                file.write(
                    '{"custom_id": "bad", "method": "POST", "url": "/x", "body": {"a": "%s"}}\n'
                    % self.MARK
                )
                file.write('{"custom_id": "cut", "body": "%s\n' % self.MARK)
            for flags in (
                ["--budget", "0.004", "--log-level", "trace", "--json"],
                ["--log-level", "trace", "--log-format", "json"],
            ):
                process = job.start(*flags)
                self.assertIn(process.wait(), (STOPPED, ERROR_ROWS))
        self.command("status", "-o", job.output, expect=OK)
        searched = 0
        for path in self.folder.rglob("*"):
            if not path.is_file() or path.parent == place or path.name == "sim.yaml":
                continue
            searched += 1
            data = path.read_bytes()
            self.assertNotIn(KEY.encode(), data, path)
            self.assertNotIn(self.MARK.encode(), data, path)
        self.assertGreater(searched, 8)

    def test_keys_are_not_arguments_of_the_process(self):
        sim, job, _ = self.simple_job(30, {"latency": "300ms"})
        process = job.start("--quiet")
        sim.wait_for(lambda s: s["requests"] > 0, "calls")
        with open(f"/proc/{process.popen.pid}/cmdline", "rb") as file:
            self.assertNotIn(KEY.encode(), file.read())
        self.assertEqual(process.wait(), OK)


if __name__ == "__main__":
    unittest.main()
