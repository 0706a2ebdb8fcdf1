# SPDX-License-Identifier: Apache-2.0
"""Issuing keys and roots are followed by others while devices enroll: not one request fails, old
certificates authenticate, cacerts has both, and old devices and new ones verify each other's."""

import base64

from harness import Key, WELL_KNOWN, main, run, until
from rotation import NEW_ROOT, OLD_ROOT, RotationCase


class Rotation(RotationCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.prepare_load()

    # In the order of their names: one story.

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
                                          "globex", "--reason", "yearly"),
                        lambda: until("the new one is used",
                                      lambda: self.rows()["next"]["certificates"] > 20))
        rows = self.rows()
        self.assertEqual((rows["next"]["state"], rows["manufacturing"]["state"]),
                         ("active", "overlap"))
        self.assertEqual(rows["next"]["signs_for"], "acme globex")
        self.assertTrue(rows["next"]["token"])
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
