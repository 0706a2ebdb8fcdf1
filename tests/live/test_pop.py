# SPDX-License-Identifier: Apache-2.0
"""Proof of possession linked to the TLS session (RFC 7030, 3.5; RFC 9266; RFC 5929): right and
wrong values, full and resumed sessions, for profiles that demand, take or do not ask for it."""

import pathlib

from harness import Case, Key, certificates_in, main, public_of

VERSIONS = {"1.2": "unique", "1.3": "exporter"}


class Pop(Case):
    listen = {"workers": 1}  # so that a resumption meets the session's own cache

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.count = 0

    def device(self):
        type(self).count += 1
        name = f"L{self.count:04}"
        return name, self.server.add_device(name), Key(self.site.folder, name)

    def ask(self, label, *args, name=None):
        name, secret, key = name or self.device()
        out = self.site.folder / f"{name}.p7"
        said = self.server.estc("--csr-key", key.path, "--subject", f"/CN={name}", "--user",
                                f"{name}:{secret}", "--out", out, *args, label=label)
        return said, out, key

    def check_issued(self, said, out, key):
        self.assertEqual(said["status"], "200", said)
        [pem] = certificates_in(out.read_bytes())
        self.assertEqual(public_of(pem), key.public())

    def test_linked_requests_are_issued(self):
        for version, kind in VERSIONS.items():
            for resume in ([], ["--resume"]):
                for label in ("linked", "ldevid", "unlinked"):
                    with self.subTest(version=version, resume=bool(resume), label=label):
                        said, out, key = self.ask(label, "--tls", version, "--link", kind, *resume)
                        self.check_issued(said, out, key)
                        self.assertEqual(said["version"], f"TLSv{version}")
                        self.assertEqual(said["resumed"], str(len(resume)))

    def test_without_link(self):
        for version in VERSIONS:
            for resume in ([], ["--resume"]):
                for label, status in (("linked", "400"), ("ldevid", "200"), ("unlinked", "200")):
                    with self.subTest(version=version, resume=bool(resume), label=label):
                        said, _, _ = self.ask(label, "--tls", version, *resume)
                        self.assertEqual(said["status"], status, said)

    def test_request_moved_to_another_session(self):
        """A binding that was right on one session is refused on the next one."""
        for version, kind in VERSIONS.items():
            for resume in ([], ["--resume"]):
                for label in ("linked", "ldevid", "unlinked"):
                    with self.subTest(version=version, resume=bool(resume), label=label):
                        saved = pathlib.Path(self.site.folder) / "binding"
                        first, _, _ = self.ask(label, "--tls", version, "--link", kind,
                                               "--save-link", saved)
                        self.assertEqual(first["status"], "200", first)
                        moved, _, _ = self.ask(label, "--tls", version, "--link", saved, *resume)
                        self.assertEqual(moved["status"], "400", moved)

    def test_refusals_are_recorded(self):
        before = self.server.head()
        saved = pathlib.Path(self.site.folder) / "zero"
        saved.write_bytes(bytes(32))
        self.ask("ldevid", "--link", saved)
        self.ask("linked")
        outcomes = [x["outcome"] for x in self.server.leaves(before) if x["event"] == "refused"]
        self.assertEqual(outcomes, ["bad-link", "not-linked"])

    def test_retry_on_another_session_has_another_link(self):
        """The lost answer of a linked request: the retry's bytes differ, the certificate does
        not."""
        name = self.device()
        first, out, key = self.ask("linked", "--tls", "1.3", "--link", "exporter", name=name)
        self.check_issued(first, out, key)
        one = out.read_bytes()
        again, out, key = self.ask("linked", "--tls", "1.3", "--link", "exporter", name=name)
        self.check_issued(again, out, key)
        self.assertEqual(one, out.read_bytes())

    def test_reenroll_linked(self):
        for version, kind in VERSIONS.items():
            with self.subTest(version=version):
                said, out, key = self.ask("linked", "--tls", version, "--link", kind)
                self.check_issued(said, out, key)
                [pem] = certificates_in(out.read_bytes())
                cert = out.with_suffix(".pem")
                cert.write_text(pem)
                fresh = Key(self.site.folder, f"fresh-{cert.stem}")
                for resume in ([], ["--resume"]):
                    said = self.server.estc(
                        "--cert", cert, "--key", key.path, "--csr-key", fresh.path, "--like", cert,
                        "--operation", "simplereenroll", "--tls", version, "--link", kind,
                        "--out", out, *resume, label="linked")
                    self.check_issued(said, out, fresh)
                    self.assertEqual(said["resumed"], str(len(resume)))


if __name__ == "__main__":
    main()
