# SPDX-License-Identifier: Apache-2.0
"""Years of a security team's work as one story: two issuing CAs by ceremony, devices of both, a new
issuing key while devices enroll, a new root, a batch revoked by two officers; and who says so
afterwards: EST itself, CRL, OCSP and filter. Prints how long each took."""

import time

import harness
from harness import main, until
from officers import Officer, OfficersCase
from published import PROFILE, StatusCase
from rotation import NEW_ROOT, OLD_ROOT, RotationCase

KEY_CHANGES = 6
BATCH = 6


class Story(OfficersCase, StatusCase, RotationCase):
    @classmethod
    def appoint(cls, site):
        site.officers[0]["role"] = "officer"  # root, by whom keys are changed
        cls.alice = Officer(site, "alice", "daemon", kind="p256")
        cls.bob = Officer(site, "bob", "bin", kind="ed25519")

    @classmethod
    def prepare(cls, site):
        super().prepare(site)
        RotationCase.prepare.__func__(cls, site)
        for profile in ("ldevid", "unlinked"):
            (site.folder / "profiles" / f"{profile}.yaml").write_text(
                PROFILE.replace("-{shard}", ""))

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.prepare_load()
        cls.took = []

    def timed(self, what, act):
        began = time.monotonic()
        value = act()
        print(f"{what}: {time.monotonic() - began:.2f} s", flush=True)
        return value

    def renewed(self, cert, key):
        """Would EST renew it?"""
        fresh = harness.Key(self.site.folder, f"renewal-{time.time_ns()}")
        return self.server.enroll("ldevid", fresh.csr(harness.subject_of(cert.read_text())),
                                  cert=cert, key=key.path, operation="simplereenroll")

    def test_story(self):
        ca = self.site.folder / "ca"

        # Two issuing CAs: one of each tenant.
        self.timed("ceremony of a second issuing CA", lambda: self.ceremony("second", OLD_ROOT))
        self.timed("keys add", lambda: self.two(
            lambda: self.add("second", "--tenant", "globex")))
        self.timed("keys activate", lambda: self.two(
            lambda: self.keys("activate", "second", "--tenant", "globex")))
        first = self.server.enrolled("story-acme")
        other = self.server.enrolled("story-globex", label="other", tenant="globex")
        self.assertEqual(self.issuer_of(first[0]), "Test Manufacturing CA")
        self.assertEqual(self.issuer_of(other[0]), "CA second")
        batch = [self.device_of(f"story-batch-{i}", batch="B7") for i in range(BATCH)]

        # A new issuing key while devices enroll.
        self.ceremony("next", OLD_ROOT)
        self.under_load(
            "full", lambda: self.two(lambda: self.add("next", "--tenant", "acme")),
            lambda: self.two(lambda: self.keys("activate", "next", "--tenant", "acme")))
        moved = self.renew(*first, "story-acme-2")
        self.assertEqual(self.issuer_of(moved[0]), "CA next")

        # A new root: who knows only one of both verifies old and new.
        self.ceremony("third", NEW_ROOT)
        self.timed("root rollover", lambda: (
            self.two(lambda: self.add(
                "third", "--old-with-new", ca / "root-2-old-with-new.pem", "--new-with-old",
                ca / "root-2-new-with-old.pem", "--tenant", "acme")),
            self.two(lambda: self.keys("activate", "third", "--tenant", "acme"))))
        last = self.renew(*moved, "story-acme-3")
        for anchor in (ca / "root.pem", ca / "root-2.pem"):
            for cert in (first[0], last[0]):
                self.assertTrue(self.verifies(anchor, cert), f"{cert} by {anchor}")

        # A batch is revoked by two officers.
        bad = batch[0][0]
        self.assertEqual(self.gateway_soon(bad, "good"), "good")
        self.assertEqual(self.renewed(*batch[0]).status, 200)
        self.ocsp_of(bad, ": good")
        act = self.alice.good("revoke", "--batch", "B7", "--reason", "keyCompromise")
        self.assertIn("parameter certificates: ", act["text"])
        self.alice.sign(act)
        self.assertEqual(self.renewed(*batch[1]).status, 200, "one signature is none")
        began = time.monotonic()
        self.bob.sign(act)
        self.timed("until the act is done", lambda: until(
            "the act is done", lambda: self.act(self.bob, act["id"])["status"] == "done"))

        # Everybody says so.
        for cert, key in batch:
            self.assertEqual(self.renewed(cert, key).status, 403)
        print(f"EST refuses all: {time.monotonic() - began:.2f} s", flush=True)
        self.ocsp_of(bad, ": revoked")
        print(f"OCSP says revoked: {time.monotonic() - began:.2f} s", flush=True)
        until("the CRL names all", lambda: all(
            self.named(harness.serial_of(cert.read_text())) for cert, _ in batch))
        print(f"the CRL names all: {time.monotonic() - began:.2f} s", flush=True)
        self.assertIn("certificate revoked", self.crl_check(bad, self.crl()))
        self.assertIn(": OK", self.crl_check(first[0], self.crl()))
        until("the filter says revoked", lambda: self.gateway(bad) == "revoked")
        print(f"the filter says revoked: {time.monotonic() - began:.2f} s", flush=True)
        self.assertEqual(self.gateway(first[0]), "good")

        # The audit has it all, with both signatures.
        events = [leaf["event"] for leaf in self.server.leaves()]
        self.assertEqual(events.count("act-signed"), 2 * (KEY_CHANGES + 1))
        self.assertGreaterEqual(events.count("revoked"), BATCH)
        self.assertIn("issuer", events)

    def two(self, command):
        """Keys are changed by two officers."""
        self.agreed(command, self.alice, self.bob)

    def gateway_soon(self, cert, says):
        def told():
            self.server.touchmark("publish", "now")
            return self.gateway(cert) == says
        until(f"the filter says {says}", told)
        return says


if __name__ == "__main__":
    main()
