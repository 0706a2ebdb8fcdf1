# SPDX-License-Identifier: Apache-2.0
"""The documents name only code and tests that exist."""

import re
import unittest

import test_arrows

SOURCE = test_arrows.SOURCE


class Docs(unittest.TestCase):
    def test_rfc7030_names_tests_that_exist(self):
        text = (SOURCE / "docs/rfc7030.md").read_text()
        named = re.findall(r"`(tests/[^`: ]+): (\w+)`", text)
        self.assertGreater(len(named), 20)
        for file, name in named:
            with self.subTest(file=file, name=name):
                self.assertRegex((SOURCE / file).read_text(), rf"\b(def |test_)?{name}\b")

    def test_files_that_documents_name_exist(self):
        for document in [*SOURCE.glob("docs/*.md"), SOURCE / "README.md"]:
            for path in re.findall(r"`((?:base|ipc|pki|est|ca|store|pkcs11|server|admin|conf|bench|"
                                   r"client|tests|docker|docs)/[\w./-]+)`", document.read_text()):
                with self.subTest(document=document.name, path=path):
                    self.assertTrue((SOURCE / path).exists())

    def test_program_of_the_device_library_is_the_one_that_tests_run(self):
        text = (SOURCE / "docs/device-library.md").read_text()
        program = (SOURCE / "client/examples/enroll.c").read_text()
        self.assertIn(f"```c\n{program}```\n", text)
        self.assertLess(program.count("\n"), 60)


if __name__ == "__main__":
    unittest.main(verbosity=2)
