# SPDX-License-Identifier: Apache-2.0
"""What two officers agree on: who signs for a tenant, and how much is signed. Whoever writes the
configuration by hand changes nothing of it."""

from agreed import AgreedCase
from harness import Key, main, openssl, until
from officers import open_socket
from rotation import OLD_ROOT


def sha256(path):
    text = openssl("x509", "-in", path, "-outform", "DER")
    return openssl("dgst", "-sha256", "-r", stdin=text).decode().split()[0]


class IssuerChange(AgreedCase):
    """In the order of their names: one story."""

    both = ("--tenant", "acme")

    def test_1_what_the_ceremony_made_is_the_baseline(self):
        said = {leaf["reason"] for leaf in self.leaves_of("agreed")}
        self.assertIn("tenant acme: manufacturing signs", said)
        self.assertEqual(self.leaves_of("alarm"), [])
        done = self.keys("agree")
        self.assertIn(b"is what is agreed", done.stdout)

    def test_2_two_sign_and_then_it_is_added(self):
        self.ceremony("next", OLD_ROOT)
        done = self.add("next", *self.both)
        self.assertIn(b"two officers sign it", done.stdout)
        self.assertFalse(self.issuers.exists())
        act = self.proposed("issuer-change")
        next_hash = sha256(self.site.folder / "ca" / "next.pem")
        self.assertRegex(act["text"], rf"\nparameter also-01: next {next_hash} [0-9a-f]{{64}}\n")
        self.assertRegex(act["text"], r"\nparameter signs: manufacturing [0-9a-f]{64} ")
        self.assertIn("\nparameter tenant: acme\n", act["text"])
        self.refused(self.add("next", *self.both, check=False), f"act {act['id']}")
        self.alice.sign(act)
        self.assertIn("has signed it already", self.alice.refused(
            "act", "sign", act["id"], "--key", self.alice.key))
        self.refused(self.add("next", *self.both, check=False), "waits for the signatures")
        self.assertEqual(list(self.rows()), ["manufacturing"])
        self.bob.sign(act)
        until("the act is done", lambda: self.act(self.ann, act["id"])["status"] == "done")
        self.add("next", *self.both)
        self.assertEqual(self.rows()["next"]["state"], "overlap")
        self.assertIn(f"tenant acme: manufacturing signs, also next, act {act['id']}",
                      [leaf["reason"] for leaf in self.leaves_of("agreed")])
        signed = [leaf["actor"] for leaf in self.leaves_of("act-signed")
                  if act["id"] in leaf["reason"]]
        self.assertEqual(signed, [self.alice.actor, self.bob.actor])

    def test_3_by_hand_it_does_not_sign(self):
        good = self.issuers.read_text()
        self.issuers.write_text(good.replace('issuer: "manufacturing"', 'issuer: "next"')
                                .replace('also: ["next"]', 'also: ["manufacturing"]'))
        self.assertNotEqual(self.issuers.read_text(), good)
        self.reload()
        self.assertEqual(self.signer_of("by-hand"), "Test Manufacturing CA")
        rows = self.rows()
        sentence = ("tenant acme: its issuers in the configuration are not those that two officers "
                    "agreed on; manufacturing goes on signing")
        self.assertEqual((rows["tenant:acme"]["state"], rows["tenant:acme"]["text"]),
                         ("not agreed", sentence))
        self.assertEqual((rows["manufacturing"]["state"], rows["next"]["state"]),
                         ("active", "overlap"))
        self.assertEqual([leaf["reason"] for leaf in self.leaves_of("alarm")], [sentence])
        self.assertIn(sentence, self.server.log.read_text())
        # nor does a restart help, nor taking the new one away
        self.server.stop()
        self.issuers.unlink()
        self.server.start()
        open_socket(self.site)
        self.assertEqual(self.signer_of("by-hand-2"), "Test Manufacturing CA")
        self.assertIn("tenant:acme", self.rows())
        self.issuers.write_text(good)
        self.reload()
        self.assertNotIn("tenant:acme", self.rows())

    def test_4_two_sign_and_then_it_signs(self):
        both = ("--tenant", "acme", "--tenant", "globex")
        self.keys("activate", "next", *both, "--reason", "yearly")
        acts = self.proposed("issuer-change", 2)
        for act, tenant in zip(sorted(acts, key=lambda act: act["text"].split("parameter ")[-2]),
                               ("acme", "globex")):
            self.assertRegex(act["text"], r"\nparameter signs: next ")
            self.assertIn(f"\nparameter tenant: {tenant}\nparameter words: yearly\n", act["text"])
        self.signed(acts[0])
        self.refused(self.keys("activate", "next", *both, check=False), f"act {acts[1]['id']}")
        self.signed(acts[1])
        self.assertEqual(self.signer_of("before-activate"), "Test Manufacturing CA")
        self.keys("activate", "next", *both)
        self.assertEqual(self.signer_of("after-activate"), "CA next")
        self.assertEqual(self.rows()["next"]["signs_for"], "acme globex")

    def test_5_what_was_agreed_once_does_not_come_back(self):
        """The approvals that led here are used up: back takes two officers again."""
        good = self.issuers.read_text()
        self.issuers.write_text(good.replace('issuer: "next"', 'issuer: "manufacturing"')
                                .replace('also: ["manufacturing"]', 'also: ["next"]'))
        self.assertNotEqual(self.issuers.read_text(), good)
        self.reload()
        self.assertEqual(self.signer_of("replayed"), "CA next")
        # by hand, and to be agreed on afterwards
        self.assertIn(b"two officers sign it", self.keys("agree").stdout)
        for act in self.proposed("issuer-change", 2):
            self.bob.good("act", "withdraw", act["id"], "--reason", "we stay")
        self.issuers.write_text(good)
        self.reload()
        self.assertIn(b"is what is agreed", self.keys("agree").stdout)

    def test_7_retiring_takes_two(self):
        self.keys("retire", "manufacturing")
        for act in self.proposed("issuer-change", 2):
            self.assertNotIn("also-01", act["text"])
            self.signed(act)
        self.assertEqual(self.rows()["manufacturing"]["state"], "overlap")
        self.keys("retire", "manufacturing")
        self.assertEqual(self.rows()["manufacturing"]["state"], "retired")
        self.assertEqual(self.names(), ["CA next", "Test Root CA"])

    def test_6_a_new_tenant_takes_two(self):
        text = self.site.config.read_text()
        more = text.replace("\nlabels:\n", "\nlabels:\n  - label: extra\n    tenant: umbrella\n"
                            "    profile: unlinked\n    default: false\n")
        more = more.replace("\ntenants:\n", "\ntenants:\n  - name: umbrella\n    issuer: manufacturing\n")
        self.site.config.write_text(more)
        self.reload()
        self.assertIn("tenant umbrella is not served", self.rows()["tenant:umbrella"]["text"])
        self.assertEqual(self.server.ask("GET", "/.well-known/est/extra/cacerts").status, 404)
        self.assertEqual(self.signer_of("others-go-on"), "CA next")
        self.keys("agree", "--reason", "for umbrella")
        act = self.proposed("issuer-change")
        self.assertIn("\nparameter replaces: nothing\n", act["text"])
        self.signed(act)
        self.keys("agree")
        self.assertEqual(self.server.ask("GET", "/.well-known/est/extra/cacerts").status, 200)
        self.assertNotIn("tenant:umbrella", self.rows())
        self.assertEqual(self.rows()["manufacturing"]["signs_for"], "umbrella")
        self.site.config.write_text(text)
        self.reload()


class Ceiling(AgreedCase):
    """In the order of their names: one story."""

    signer = {"max_total": 25}

    def write(self, total, rate=0):
        self.site.signer = {**self.site.signer, "max_total": total, "max_rate": rate}
        self.site.write_config()
        self.reload()

    def issued(self, prefix, most):
        """How many of `most` new devices get a certificate, and what the first says that gets none."""
        for i in range(most):
            name = f"{prefix}-{i}"
            secret = self.server.add_device(name)
            key = Key(self.site.folder, name)
            answer = self.server.enroll("unlinked", key.csr(f"/CN={name}"), name, secret)
            if answer.status != 200:
                return i, answer.status
        return most, 200

    def test_1_what_is_raised_by_hand_does_not_hold(self):
        self.assertIn("signer.max_total: 25", [x["reason"] for x in self.leaves_of("agreed")])
        self.assertIn("signer.max_rate: 0, no ceiling",
                      [x["reason"] for x in self.leaves_of("agreed")])
        self.write(0)
        sentence = ("signer.max_total: the configuration says 0, no ceiling, and two officers "
                    "agreed on 25, which holds")
        row = self.rows()["ceiling:signer.max_total"]
        self.assertEqual((row["state"], row["text"]), ("not agreed", sentence))
        self.assertEqual([x["reason"] for x in self.leaves_of("alarm")], [sentence])
        count, status = self.issued("raised", 26)
        self.assertEqual(status, 503)
        self.assertLessEqual(count, 25)
        self.assertGreater(count, 15)

    def test_2_lowering_takes_nobody(self):
        self.write(20, 1000)
        self.assertNotIn("ceiling:signer.max_total", self.rows())
        self.assertNotIn("ceiling:signer.max_rate", self.rows())
        self.assertIn(b"is what is agreed", self.keys("agree").stdout)
        self.write(25)
        self.assertNotIn("ceiling:signer.max_total", self.rows())

    def test_3_raising_takes_two(self):
        self.write(60)
        self.assertIn("ceiling:signer.max_total", self.rows())
        self.assertIn(b"two officers sign it", self.keys("agree", "--reason", "line 4").stdout)
        act = self.proposed("ceiling")
        self.assertEqual(act["text"].splitlines()[7:],
                         ["parameter name: signer.max_total", "parameter replaces: 25",
                          "parameter value: 60", "parameter words: line 4"])
        self.alice.sign(act)
        self.refused(self.keys("agree", check=False), f"act {act['id']}")
        self.bob.sign(act)
        self.assertIn("ceiling:signer.max_total", self.rows())
        self.keys("agree")
        self.assertNotIn("ceiling:signer.max_total", self.rows())
        self.assertIn(f"signer.max_total: 60, act {act['id']}",
                      [x["reason"] for x in self.leaves_of("agreed")])
        self.assertEqual(self.issued("agreed", 30), (30, 200))
        # what was agreed on is still a ceiling
        self.write(61)
        self.assertIn("agreed on 60, which holds", self.rows()["ceiling:signer.max_total"]["text"])


if __name__ == "__main__":
    main()
