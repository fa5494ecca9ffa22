"""Input files as people have them: every kind of bad line, line ends, marks, sizes."""

import json
import unittest

from support import ERROR_ROWS, USAGE, Case, Job, body_for, pool, prompt, write_prompts


def line_of(**changes):
    value = prompt("x")
    value.update(changes)
    return json.dumps({k: v for k, v in value.items() if v is not None})


def body(**changes):
    value = body_for("x")
    value.update(changes)
    return {k: v for k, v in value.items() if v is not None}


# (what is wrong, the line, the code, a word of the reason)
BAD_LINES = [
    ("broken JSON", '{"custom_id": "broken", "method": "POST"', "invalid_json", "JSON"),
    ("not JSON at all", "hello", "invalid_json", "JSON"),
    ("two values", '{"a":1} {"b":2}', "invalid_json", "JSON"),
    ("not UTF-8", b'{"custom_id": "\xff\xfe"}', "invalid_json", "JSON"),
    ("array", "[1, 2]", None, "object"),
    ("string", '"text"', None, "object"),
    ("missing custom_id", line_of(custom_id=None), "missing_custom_id", "custom_id"),
    ("custom_id null", '{"custom_id": null, "method": "POST"}', "missing_custom_id", "custom_id"),
    ("custom_id a number", line_of(custom_id=7), "invalid_custom_id", "custom_id"),
    ("empty custom_id", line_of(custom_id=""), "empty_custom_id", "custom_id"),
    ("duplicate custom_id", line_of(custom_id="good-0"), "duplicate_custom_id", "custom_id"),
    ("GET", line_of(custom_id="b1", method="GET"), "invalid_method", "POST"),
    ("no method", line_of(custom_id="b2", method=None), "invalid_method", "POST"),
    ("wrong url", line_of(custom_id="b3", url="/v1/images"), "invalid_url", "/v1/chat/completions"),
    ("no url", line_of(custom_id="b4", url=None), "invalid_url", "/v1/chat/completions"),
    ("no body", line_of(custom_id="b5", body=None), "missing_body", "body"),
    ("body a string", line_of(custom_id="b6", body="x"), "missing_body", "body"),
    ("stream", line_of(custom_id="b7", body=body(stream=True)), "stream_not_supported", "stream"),
    (
        "background",
        line_of(custom_id="b12", url="/v1/responses", body=body(background=True)),
        "background_not_supported",
        "background",
    ),
    ("no model", line_of(custom_id="b8", body=body(model=None)), "missing_model", "model"),
    ("empty model", line_of(custom_id="b9", body=body(model="")), "missing_model", "model"),
    ("unknown model", line_of(custom_id="b10", body=body(model="gpt-9")), "unknown_model", "gpt-9"),
    (
        "too large",
        line_of(custom_id="b11", body=body(user="z" * 70_000)),
        "line_too_large",
        "65536",
    ),
]


class BadLines(Case):
    def write_mixed(self, path):
        """Good and bad lines in turn: {line number: (byte offset, code, word)} of the bad ones."""
        ids, bad, content = [], {}, b""

        def add(line):
            nonlocal content
            content += (line if isinstance(line, bytes) else line.encode()) + b"\n"

        for i in range(5):
            ids.append(f"good-{i}")
            add(json.dumps(prompt(ids[-1], number=i)))
        for _, line, code, word in BAD_LINES:
            bad[content.count(b"\n") + 1] = (len(content), code, word)
            add(line)
            ids.append(f"good-{len(ids)}")
            add(json.dumps(prompt(ids[-1], number=len(ids))))
        path.write_bytes(content)
        return ids, bad

    def check_mixed(self, job, ids, bad):
        self.assertEqual(sorted(r["custom_id"] for r in job.rows()), sorted(ids))
        errors = {r["spillway"]["line"]: r for r in job.error_rows()}
        self.assertEqual(sorted(errors), sorted(bad))
        self.assertEqual(len(job.error_rows()), len(bad))
        for number, (offset, code, word) in bad.items():
            row = errors[number]
            message = row["error"]["message"]
            if code:
                self.assertEqual(row["error"]["code"], code, row)
            for part in (str(job.input), f"line {number},", f"byte {offset}:", word):
                self.assertIn(part, message)
            self.assertIsNone(row["response"])
            ours = row["spillway"]
            self.assertEqual(
                (ours["file"], ours["attempts"], ours["cost_usd"]), (str(job.input), 0, 0)
            )

    def test_each_kind_becomes_an_error_row_and_the_rest_is_answered(self):
        sim, job, _ = self.simple_job(1)
        ids, bad = self.write_mixed(job.input)
        job.run("--max-line-bytes", "65536", expect=ERROR_ROWS)
        self.check_mixed(job, ids, bad)
        self.assertEqual(sim.stats()["requests"], len(ids))
        duplicate = next(r for r in job.error_rows() if r["error"]["code"] == "duplicate_custom_id")
        self.assertEqual(duplicate["custom_id"], "good-0")
        self.assertIn("line 1", duplicate["error"]["message"])
        # Repeated, nothing is sent and no row is added.
        job.run("--max-line-bytes", "65536", expect=ERROR_ROWS)
        self.check_mixed(job, ids, bad)
        self.assertEqual(sim.stats()["requests"], len(ids))

    def test_strict_sends_nothing_and_creates_nothing(self):
        sim, job, _ = self.simple_job(1)
        ids, bad = self.write_mixed(job.input)
        before = sorted(p.name for p in self.folder.iterdir())
        process = job.run("--strict", "--max-line-bytes", "65536", expect=USAGE)
        for number in list(bad)[:10]:
            self.assertIn(f"{job.input}:{number}:", process.err)
        self.assertIn(f"{len(bad)} bad lines", process.err)
        self.assertIn("--strict", process.err)
        after = sorted(p.name for p in self.folder.iterdir() if not p.name.startswith("run1."))
        self.assertEqual(after, before)
        self.assertEqual(sim.stats()["requests"], 0)

    def test_strict_runs_a_good_file(self):
        _, job, ids = self.simple_job(600)
        job.run("--strict")
        self.check_each_once(job, ids)

    def test_a_file_of_bad_lines_only_still_finishes(self):
        sim, job, _ = self.simple_job(1)
        job.input.write_text("bad\n" * 1500)
        job.run(expect=ERROR_ROWS)
        self.assertEqual(len(job.error_rows()), 1500)
        self.assertEqual(sim.stats()["requests"], 0)

    def test_duplicates_far_apart_and_across_files(self):
        sim, job, _ = self.simple_job(1)
        ids = write_prompts(job.input, 2500)
        second = self.folder / "second.jsonl"
        lines = job.input.read_text().splitlines()
        more = [json.dumps(prompt(f"q-{i}")) for i in range(1200)]
        second.write_text("\n".join(more[:600] + [lines[3], lines[2400]] + more[600:] + [more[5]]))
        job.run(inputs=[job.input, second], expect=ERROR_ROWS)
        errors = job.error_rows()
        self.assertEqual(
            sorted((r["custom_id"], r["spillway"]["line"]) for r in errors),
            [("p-2400", 602), ("p-3", 601), ("q-5", 1203)],
        )
        self.assertEqual({r["error"]["code"] for r in errors}, {"duplicate_custom_id"})
        self.assertEqual({r["spillway"]["file"] for r in errors}, {str(second)})
        self.assertEqual(
            sorted(r["custom_id"] for r in job.rows()),
            sorted(ids + [f"q-{i}" for i in range(1200)]),
        )
        self.assertEqual(sim.stats()["repeated_ids"], 0)

    def test_unknown_endpoints_of_a_provider_do_not_stop_the_rest(self):
        sim, job, ids = self.simple_job(3)
        lines = job.input.read_text() + json.dumps(prompt("e", "/v1/embeddings")) + "\n"
        job.input.write_text(lines)
        job.run()
        self.check_each_once(job, ids + ["e"])


class LineForms(Case):
    def run_bytes(self, make):
        """Runs good prompts whose lines `make` joined to a file."""
        sim = self.simulate()
        job = Job(self, [pool(sim.endpoints["main"])])
        ids = [f"p-{i}" for i in range(30)]
        job.input.write_bytes(
            make(
                [
                    json.dumps(prompt(p, number=i), ensure_ascii=False).encode()
                    for i, p in enumerate(ids)
                ]
            )
        )
        job.run()
        self.check_each_once(job, ids)
        return {r["custom_id"]: r["spillway"]["line"] for r in job.rows()}

    def test_crlf(self):
        self.run_bytes(lambda lines: b"".join(x + b"\r\n" for x in lines))

    def test_byte_order_mark(self):
        lines = self.run_bytes(lambda lines: b"\xef\xbb\xbf" + b"\n".join(lines) + b"\n")
        self.assertEqual(lines["p-0"], 1)

    def test_blank_lines_are_counted_but_not_answered(self):
        lines = self.run_bytes(lambda lines: b"\n  \n\t\r\n" + b"\n\n".join(lines) + b"\n\n \n")
        self.assertEqual((lines["p-0"], lines["p-1"], lines["p-29"]), (4, 6, 62))

    def test_no_newline_at_the_end(self):
        self.run_bytes(lambda lines: b"\n".join(lines))

    def test_all_of_it_together(self):
        self.run_bytes(lambda lines: b"\xef\xbb\xbf\r\n" + b"\r\n\r\n".join(lines))

    def test_empty_files_are_done_at_once(self):
        sim = self.simulate()
        for name, content in (("empty", b""), ("blank", b"\n \r\n\n"), ("mark", b"\xef\xbb\xbf")):
            job = Job(self, [pool(sim.endpoints["main"])], name=name)
            job.input.write_bytes(content)
            job.run()
            self.assertEqual((job.rows(), job.error_rows()), ([], []))

    def test_ids_of_any_characters_come_back_unchanged(self):
        sim = self.simulate()
        job = Job(self, [pool(sim.endpoints["main"])])
        ids = [
            'quote " and \\ slash',
            "tab\tand\nline",
            "ünïcödé 漢字 🎈",
            "x" * 2000,
            "a/b?c#d%20",
            "\u2028",
            "0",
        ]
        job.input.write_text(
            "".join(
                json.dumps(prompt("plain", number=i) | {"custom_id": p}, ensure_ascii=i % 2 == 0)
                + "\n"
                for i, p in enumerate(ids)
            ),
            encoding="utf-8",
        )
        job.run()
        self.assertEqual(sorted(r["custom_id"] for r in job.rows()), sorted(ids))


class LargeLines(Case):
    def test_lines_of_megabytes_are_sent_and_larger_ones_refused(self):
        sim = self.simulate()
        job = Job(self, [pool(sim.endpoints["main"])])
        sizes = {
            "small": 10,
            "two": 2 << 20,
            "fifteen": 15 << 20,
            "over": (16 << 20) + 1,
            "last": 10,
        }
        with open(job.input, "w", encoding="utf-8") as file:
            offset = 0
            for custom_id, size in sizes.items():
                if custom_id == "over":
                    over_at = offset
                line = json.dumps(prompt(custom_id, user="u" * size)) + "\n"
                file.write(line)
                offset += len(line)
        job.run(expect=ERROR_ROWS)
        self.assertEqual({r["custom_id"] for r in job.rows()}, set(sizes) - {"over"})
        [row] = job.error_rows()
        self.assertEqual((row["error"]["code"], row["spillway"]["line"]), ("line_too_large", 4))
        self.assertIn(f"byte {over_at}:", row["error"]["message"])
        self.assertIn("16777216", row["error"]["message"])

    def test_a_lower_limit_is_obeyed_to_the_byte(self):
        sim = self.simulate()
        job = Job(self, [pool(sim.endpoints["main"])])
        base = len(json.dumps(prompt("a", user="")))
        lines = [
            json.dumps(prompt(c, user="u" * (4096 - base + more)))
            for c, more in (("a", 0), ("b", 1), ("c", -1))
        ]
        for name, end in (("unix", "\n"), ("dos", "\r\n")):
            job = Job(self, [pool(sim.endpoints["main"])], name=name)
            job.input.write_bytes((end.join(lines) + end).encode())
            job.run("--max-line-bytes", "4096", expect=ERROR_ROWS)
            self.assertEqual({r["custom_id"] for r in job.rows()}, {"a", "c"})
            self.assertEqual([r["spillway"]["line"] for r in job.error_rows()], [2])


class InputFiles(Case):
    def test_files_that_cannot_be_inputs_are_refused(self):
        _, job, _ = self.simple_job(2)
        (self.folder / "a.jsonl.gz").write_bytes(b"x")
        (self.folder / "folder").mkdir()
        for name, word in (
            ("none.jsonl", "none.jsonl"),
            ("a.jsonl.gz", "compressed"),
            ("folder", "folder"),
            ("-", "standard input"),
        ):
            process = job.run(inputs=[name], expect=USAGE)
            self.assertIn(word, process.err)
        self.assertFalse(job.state.exists())

    def test_one_file_cannot_have_two_roles(self):
        _, job, _ = self.simple_job(2)
        before = job.input.read_bytes()
        for flags in (["--errors", job.output], ["--errors", job.input], ["--state", job.input]):
            job.run(*flags, expect=USAGE)
        job.run(inputs=[job.input, job.input], expect=USAGE)
        self.command("run", job.input, "-o", job.input, "-c", job.config, expect=USAGE)
        self.command(
            "run", job.input, "-o", job.input, "-c", job.config, "--overwrite", expect=USAGE
        )
        link = self.folder / "link.jsonl"
        link.symlink_to(job.input)
        self.command("run", job.input, "-o", link, "-c", job.config, "--overwrite", expect=USAGE)
        hard = self.folder / "hard.jsonl"
        hard.hardlink_to(job.input)
        self.command("run", job.input, "-o", hard, "-c", job.config, "--overwrite", expect=USAGE)
        self.assertEqual(job.input.read_bytes(), before)


if __name__ == "__main__":
    unittest.main()
