# SPDX-License-Identifier: Apache-2.0
"""Issuing keys and roots are followed by others while devices enroll: not one request fails, old
certificates authenticate, cacerts has both, and old devices and new ones verify each other's."""

import base64
import time

from harness import (Bench, Case, Key, SLOW, TOUCHMARK, WELL_KNOWN, certificates_in, field, main,
                     openssl, run, subject_of)

SECONDS = 25 if SLOW else 8
COUNT = 6000  # more than are done in that time

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


class Rotation(Case):
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
    def setUpClass(cls):
        super().setUpClass()
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
        load = self.bench.start("--seconds", SECONDS, "--count", COUNT, "--threads", 8, "--mode",
                                mode)
        began = time.monotonic()
        for act in acts:
            act()
        took = time.monotonic() - began
        self.assertIsNone(load.poll(), "the load ended before the rotation did")
        figures = self.bench.finish(load)
        print(f"rotation took {took:.1f} s under {figures['enrollments']}, errors "
              f"{figures['errors']}", flush=True)
        self.assertEqual(figures["errors"], "0", figures["text"])
        self.assertGreater(int(figures["enrollments"].split()[0]), 50)

    # ---- tests, in the order of their names: one story ----

    def test_1_what_is_wrong_changes_nothing(self):
        self.ceremony("wrong", OLD_ROOT)
        ca = self.site.folder / "ca"
        log = self.server.head()
        self.refused(self.add("manufacturing", check=False), "is an issuer manufacturing already")
        self.refused(self.add("wrong", check=False), "several tenants")
        self.refused(self.add("wrong", "--tenant", "umbrella", check=False), "no tenant umbrella")
        self.refused(self.keys("add", "wrong", "--key-label", "wrong", "--certificate",
                               self.site.folder / "foreign.pem", "--tenant", "acme", check=False),
                     "OU=Environment test")
        self.refused(self.keys("activate", "wrong", "--tenant", "acme", check=False),
                     "keys add comes first")
        self.refused(self.keys("retire", "manufacturing", check=False), "activate another first")
        self.assertEqual(self.server.head(), log)
        self.assertFalse(self.issuers.exists())
        # The token has no such key, or another one: seen when the server has it; taken back.
        for label, part in (("nobody", "no key labelled"), ("manufacturing", "no key labelled")):
            self.refused(self.keys("add", "wrong", "--key-label", label, "--certificate",
                                   ca / "wrong.pem", "--chain", ca / "wrong-chain.pem",
                                   "--tenant", "acme", check=False), part)
            self.assertFalse(self.issuers.exists())
            rows = self.rows()
            self.assertEqual((list(rows), rows["wrong"]["state"]),
                             (["manufacturing", "wrong"], "gone"))
        self.server.enrolled("after-wrong")

    def test_2_a_name_is_one_keys_for_ever(self):
        self.ceremony("other", OLD_ROOT)
        ca = self.site.folder / "ca"
        # "wrong" was known to the store by its own certificate; now it would be another's.
        self.refused(self.keys("add", "wrong", "--key-label", "other", "--certificate",
                               ca / "other.pem", "--chain", ca / "other-chain.pem", "--tenant",
                               "acme", check=False), "knows the name wrong with another key")
        self.server.enrolled("after-other")

    def test_3_the_issuing_key_is_followed_by_another(self):
        cert, key = self.server.enrolled("R0001")
        self.assertEqual(self.issuer_of(cert), "Test Manufacturing CA")
        self.ceremony("next", OLD_ROOT)
        self.under_load("full",
                        lambda: self.add("next", "--tenant", "acme", "--tenant", "globex"),
                        self.check_overlap,
                        lambda: self.keys("activate", "next", "--tenant", "acme", "--tenant",
                                          "globex", "--reason", "yearly"))
        rows = self.rows()
        self.assertEqual((rows["next"]["state"], rows["manufacturing"]["state"]),
                         ("active", "overlap"))
        self.assertEqual(rows["next"]["signs_for"], "acme globex")
        self.assertTrue(rows["next"]["token"])
        self.assertGreater(rows["next"]["certificates"], 20)
        self.assertGreater(rows["manufacturing"]["certificates"], 60)
        self.assertIn("CA next", self.names())
        renewed, fresh = self.renew(cert, key, "R0001-2")
        self.assertEqual(self.issuer_of(renewed), "CA next")
        again, _ = self.renew(renewed, fresh, "R0001-3")
        self.assertEqual(self.issuer_of(again), "CA next")
        said = [x["reason"] for x in self.server.leaves() if x["event"] == "issuer"]
        self.assertIn("next: activate for acme, globex: yearly", said)

    def check_overlap(self):
        """Added, and not active yet: devices learn of it, and nothing is signed by it."""
        self.assertEqual(self.names(), ["CA next", "Test Manufacturing CA", "Test Root CA"])
        rows = self.rows()
        self.assertEqual((rows["next"]["state"], rows["next"]["certificates"]), ("overlap", 0))

    def test_4_the_old_one_is_retired(self):
        self.refused(self.keys("retire", "next", check=False), "activate another first")
        self.keys("retire", "manufacturing")
        self.assertEqual(self.names(), ["CA next", "Test Root CA"])
        self.assertEqual(self.rows()["manufacturing"]["state"], "retired")
        self.refused(self.keys("activate", "manufacturing", "--tenant", "acme", check=False),
                     "is retired")
        # A certificate that it signed authenticates.
        old = self.site.folder / "ldevid-after-wrong.pem"
        self.assertEqual(self.issuer_of(old), "Test Manufacturing CA")
        renewed, _ = self.renew(old, self.key_at("ldevid-after-wrong"), "after-wrong-2")
        self.assertEqual(self.issuer_of(renewed), "CA next")

    def key_at(self, name):
        key = Key.__new__(Key)
        key.path = self.site.folder / f"{name}.key"
        return key

    def test_5_the_root_is_followed_by_another(self):
        old_cert, old_key = self.server.enrolled("R0003")
        self.ceremony("third", NEW_ROOT)
        ca = self.site.folder / "ca"
        self.under_load("keepalive",
                        lambda: self.add("third", "--old-with-new", ca / "root-2-old-with-new.pem",
                                         "--new-with-old", ca / "root-2-new-with-old.pem",
                                         "--tenant", "acme", "--tenant", "globex"),
                        lambda: self.keys("activate", "third", "--tenant", "acme", "--tenant",
                                          "globex"))
        new_cert, _ = self.renew(old_cert, old_key, "R0003-2")
        self.assertEqual(self.issuer_of(new_cert), "CA third")
        # Both roots, both issuers, OldWithNew and NewWithOld.
        self.assertEqual(len(self.cacerts()), 6)
        for anchor in (ca / "root.pem", ca / "root-2.pem"):
            for cert in (old_cert, new_cert):
                self.assertTrue(self.verifies(anchor, cert), f"{cert} by {anchor}")
        # The server's own certificate is under the new root, and both kinds of device reach it.
        for anchor in (ca / "root.pem", ca / "root-2.pem"):
            answer = run("curl", "--silent", "--fail", "--cacert", anchor,
                         f"https://127.0.0.1:{self.server.port}{WELL_KNOWN}/cacerts").stdout
            self.assertTrue(base64.b64decode(answer))

    def test_6_a_restart_keeps_it(self):
        before = self.rows()
        self.server.stop()
        self.server.start()
        after = self.rows()
        for name, row in before.items():
            self.assertEqual(after[name]["state"], row["state"])
        self.server.enrolled("after-restart")


if __name__ == "__main__":
    main()
