# SPDX-License-Identifier: Apache-2.0
"""Sites whose issuing keys and roots are followed by others: ceremonies, `touchmark keys`, loads."""

import time

from harness import (Bench, Case, Key, Load, TOUCHMARK, WELL_KNOWN, certificates_in, field, openssl,
                     run, subject_of)

TOKENS = """\
environment: test
transcript: {folder}/{name}.transcript
out: {folder}/ca
tokens:
  - {{name: offline, module: {module}, softhsm_conf: {folder}/softhsm2.conf, label: touchmark-root,
     pin: {folder}/pin}}
  - {{name: issuing, module: {module}, softhsm_conf: {folder}/softhsm2.conf, label: touchmark-test,
     pin: {folder}/pin}}
"""
OLD_ROOT = """\
root: {{name: root, token: offline, key_label: root, certificate: {folder}/ca/root.pem}}
"""
NEW_ROOT = """\
root: {{name: root-2, token: offline, key_label: root-2, years: 40}}
previous_root: {{token: offline, key_label: root, certificate: {folder}/ca/root.pem}}
"""
INTERMEDIATE = """\
intermediates:
  - name: {name}
    token: issuing
    key_label: {name}
    years: 18
    subject:
      - {{type: O, value: Touchmark tests}}
      - {{type: CN, value: CA {name}}}
"""


class RotationCase(Case):
    @classmethod
    def prepare(cls, site):
        write = site.write_config
        issuers = site.folder / "issuers.yaml"

        def with_issuers_file():
            write()
            with open(site.config, "a", encoding="utf8") as out:
                out.write(f"issuers_file: {issuers}\n")
        site.write_config = with_issuers_file
        cls.issuers = issuers

    @classmethod
    def prepare_load(cls):
        """Before under_load: registers its devices."""
        cls.bench = Bench(cls.server).prepare(64)

    # ---- doing ----

    def ceremony(self, name, root):
        values = {"folder": self.site.folder, "module": self.site.module, "name": name}
        path = self.site.folder / f"{name}.yaml"
        path.write_text("".join(x.format(**values) for x in (TOKENS, root, INTERMEDIATE)))
        run(TOUCHMARK, "ceremony", path, env=self.site.env)

    def keys(self, *args, check=True):
        return run(TOUCHMARK, "keys", *args, "--conf", self.site.config, env=self.site.env,
                   check=check)

    def add(self, name, *more, check=True):
        ca = self.site.folder / "ca"
        return self.keys("add", name, "--key-label", name, "--certificate", ca / f"{name}.pem",
                         "--chain", ca / f"{name}-chain.pem", *more, check=check)

    def refused(self, done, part):
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(part, done.stderr.decode())

    def rows(self):
        return {row["name"]: row for row in self.server.touchmark("keys", "list")}

    def cacerts(self, label="ldevid"):
        answer = self.server.ask("GET", f"{WELL_KNOWN}/{label}/cacerts")
        self.assertEqual(answer.status, 200)
        return certificates_in(answer.body)

    def names(self, label="ldevid"):
        return sorted(field(pem, "-subject", "-nameopt", "multiline").rsplit("= ", 1)[1]
                      for pem in self.cacerts(label))

    def renew(self, cert, key, name):
        """Renews with a new key; returns (certificate, key) as paths and text."""
        fresh = Key(self.site.folder, name)
        answer = self.server.enroll("ldevid", fresh.csr(subject_of(cert.read_text())), cert=cert,
                                    key=key.path, operation="simplereenroll")
        self.assertEqual(answer.status, 200, answer)
        path = self.site.folder / f"{name}.pem"
        path.write_text(answer.pem())
        return path, fresh

    def issuer_of(self, cert):
        return field(cert.read_text(), "-issuer", "-nameopt", "multiline").rsplit("= ", 1)[1]

    def verifies(self, anchor, cert):
        """Does a device that trusts this root alone verify a peer's certificate with what cacerts
        gives it? Roots are no steps of a path, and OpenSSL does not turn back from one."""
        others = self.site.folder / "others.pem"
        roots = [openssl("x509", "-in", self.site.folder / "ca" / f"{name}.pem").decode()
                 for name in ("root", "root-2")]
        others.write_text("".join(x for x in self.cacerts() if x not in roots))
        done = run("openssl", "verify", "-x509_strict", "-CAfile", anchor, "-untrusted", others,
                   cert, check=False)
        return done.returncode == 0

    def under_load(self, mode, *acts):
        """Acts while devices enroll; not one request fails."""
        with Load(self.bench, "--mode", mode) as load:
            began = time.monotonic()
            for act in acts:
                act()
            took = time.monotonic() - began
        print(f"rotation took {took:.1f} s under {load.enrollments} enrollments, errors "
              f"{load.errors()}", flush=True)
        self.assertEqual(load.errors(), {})
        self.assertGreater(load.enrollments, 0)
