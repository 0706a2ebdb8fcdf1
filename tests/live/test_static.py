# SPDX-License-Identifier: Apache-2.0
"""What needs no run: formatting, shell scripts, cppcheck."""

import os
import re
import subprocess
import unittest

import test_arrows

SOURCE = test_arrows.SOURCE
# Versions of clang-format disagree in details; this one's judgement counts.
FORMAT_VERSION = "14"


def tracked(pattern):
    return [n for n in test_arrows.tracked() if re.search(pattern, n)]


def run(*args):
    done = subprocess.run(args, cwd=SOURCE, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


class Static(unittest.TestCase):
    def test_format(self):
        _, version = run("clang-format", "--version")
        if f"version {FORMAT_VERSION}." not in version:
            print(f"(formatting is judged by clang-format {FORMAT_VERSION} only: {version.strip()})")
            return
        code, text = run("clang-format", "--dry-run", "-Werror", *tracked(r"\.[ch]$"))
        self.assertEqual(code, 0, text[-4000:])

    def test_shell(self):
        scripts = [n for n in test_arrows.tracked()
                   if re.match(r"#!/(usr/bin/env |bin/)(ba)?sh",
                               (SOURCE / n).read_text(errors="replace")[:40])]
        self.assertIn("check", scripts)
        code, text = run("shellcheck", "-x", *scripts)
        self.assertEqual(code, 0, text[-4000:])

    def test_cppcheck(self):
        code, text = run("cppcheck", "--quiet", "-j", str(os.cpu_count()), "--std=c11",
                         "--enable=warning,portability", "--error-exitcode=1", "--inline-suppr",
                         "--suppressions-list=tests/live/cppcheck.suppressions", "-I", ".",
                         "--library=tests/live/cppcheck.cfg",
                         *tracked(r"^(?!tests/).*\.c$"))
        self.assertEqual(code, 0, text[-6000:])


if __name__ == "__main__":
    unittest.main(verbosity=2)
