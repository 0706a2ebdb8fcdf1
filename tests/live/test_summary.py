# SPDX-License-Identifier: Apache-2.0
"""tests/summary counts what was run, and takes neither nothing nor a skip for success."""

import json
import pathlib
import subprocess
import tempfile
import unittest

SUMMARY = pathlib.Path(__file__).resolve().parents[1] / "summary"


class Summary(unittest.TestCase):
    def sum(self, *runs):
        with tempfile.TemporaryDirectory() as folder:
            arguments = []
            for i, results in enumerate(runs):
                log = pathlib.Path(folder) / f"{i}.json"
                if results is not None:
                    log.write_text("".join(
                        json.dumps({"name": f"t{n}", "result": r, "duration": 1.0}) + "\n"
                        for n, r in enumerate(results)))
                arguments.append(f"run{i}={log}")
            done = subprocess.run([SUMMARY, *arguments], capture_output=True, text=True)
            return done.returncode, done.stdout.splitlines()[-1]

    def test_sums(self):
        self.assertEqual(self.sum(["OK", "OK"], ["OK"]), (0, "3 passed, 0 failed"))

    def test_failures(self):
        for result in ("FAIL", "TIMEOUT", "SKIP", "ERROR", "INTERRUPT", "UNEXPECTEDPASS"):
            with self.subTest(result=result):
                self.assertEqual(self.sum(["OK", result], ["OK"]), (1, "2 passed, 1 failed"))

    def test_nothing(self):
        self.assertEqual(self.sum([], ["OK"]), (1, "1 passed, 1 failed"))
        self.assertEqual(self.sum(None), (1, "0 passed, 1 failed"))
        self.assertEqual(self.sum(), (1, "0 passed, 0 failed"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
