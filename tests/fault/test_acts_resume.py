# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the core while it carries out an act: the next core goes on with it, every certificate
is revoked once, and the count at the end is right."""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "live"))

from harness import Bench, SLOW, finish, main, until  # noqa: E402
from officers import Officer, OfficersCase, open_socket  # noqa: E402
from rotation import OLD_ROOT, RotationCase  # noqa: E402

# More than a walk brings at once (CORE_WALK_FOUND_MAX), so that something is saved on the way.
COUNT = 270 if SLOW else 300


class Resume(OfficersCase):
    listen = {"workers": 1}

    @classmethod
    def appoint(cls, site):
        cls.alice = Officer(site, "alice", "daemon", kind="p256")
        cls.bob = Officer(site, "bob", "bin", kind="ed25519")
        cls.rounds = 0

    def cut_at(self, point):
        """More certificates, and an act over all there are by now, which is cut at the point."""
        type(self).rounds += 1
        Bench(self.server, "unlinked").prepare(COUNT, "--prefix", f"R{self.rounds}-")
        self.server.stop()
        finish(self.server)
        self.server.start(TOUCHMARK_CRASH=point)
        open_socket(self.site)
        log, before = self.server.log.stat().st_size, self.server.head()
        act = self.alice.good("revoke", "--profile", "unlinked", "--reason", "keyCompromise")
        self.alice.sign(act)
        # the core may be killed before it answers
        code, out, err = self.bob.ask("act", "sign", act["id"], "--key", self.bob.key)
        self.assertIn(code, (0, 69), out + err)
        self.check_end(act, before)
        killed = re.findall(rb'"core \(process \d+\) was killed by SIGKILL',
                            self.server.log.read_bytes()[log:])
        self.assertEqual(len(killed), 1, f"{point} was not passed")

    def check_end(self, act, before):
        def over():
            code, out, _ = self.alice.ask("act", "show", act["id"])
            return out if code == 0 and "\nstatus: running\n" not in out else None
        out = until("the act ends", over)
        self.assertIn("\nstatus: done\n", out)
        earlier = COUNT * (self.rounds - 1)
        self.assertIn(f"\nresult: {COUNT} certificates revoked, {earlier} were revoked before\n",
                      out)
        leaves = self.server.leaves(before)
        revoked = [leaf["serial"] for leaf in leaves if leaf["event"] == "revoked"]
        self.assertEqual((len(revoked), len(set(revoked))), (COUNT, COUNT))
        ended = [leaf["count"] for leaf in leaves if leaf["event"] == "act-ended"]
        self.assertEqual(ended, [COUNT])

    def test_between_signature_and_beginning(self):
        self.cut_at("core.act_changed:3")  # proposed, signed, signed

    def test_at_a_revocation(self):
        for n in (1, 20, COUNT - 5):
            with self.subTest(revocation=n):
                self.cut_at(f"core.act_revoked:{n}")

    def test_at_what_is_saved(self):
        self.cut_at("core.act_saved:1")

    def test_at_the_end(self):
        self.cut_at("core.act_ended")


class Agreed(RotationCase, OfficersCase):
    """Killed between the second signature and its effect: the act counts, and takes effect once."""

    listen = {"workers": 1}

    @classmethod
    def prepare(cls, site):
        RotationCase.prepare.__func__(cls, site)
        OfficersCase.prepare.__func__(cls, site)
        site.officers[0]["role"] = "officer"
        site.write_config()

    @classmethod
    def appoint(cls, site):
        cls.alice = Officer(site, "alice", "daemon", kind="p256")
        cls.bob = Officer(site, "bob", "bin", kind="ed25519")

    def test_issuer_change(self):
        self.ceremony("next", OLD_ROOT)
        self.server.stop()
        finish(self.server)
        self.server.start(TOUCHMARK_CRASH="core.act_changed:3")  # proposed, signed, signed
        open_socket(self.site)
        log = self.server.log.stat().st_size
        self.add("next", "--tenant", "acme")
        act = self.acts(self.alice, "issuer-change")[0]
        self.alice.sign(act)
        code, out, err = self.bob.ask("act", "sign", act["id"], "--key", self.bob.key)
        self.assertIn(code, (0, 69), out + err)

        def done():
            code, out, _ = self.alice.ask("act", "show", act["id"])
            return code == 0 and "\nstatus: done\n" in out
        until("the act ends", done)
        killed = re.findall(rb'"core \(process \d+\) was killed by SIGKILL',
                            self.server.log.read_bytes()[log:])
        self.assertEqual(len(killed), 1)
        self.server.await_ready()
        self.assertNotIn("next", self.rows())
        self.add("next", "--tenant", "acme")
        self.assertEqual(self.rows()["next"]["state"], "overlap")
        agreed = [leaf["reason"] for leaf in self.server.leaves() if leaf["event"] == "agreed"]
        self.assertEqual([x for x in agreed if act["id"] in x],
                         [f"tenant acme: manufacturing signs, also next, act {act['id']}"])


if __name__ == "__main__":
    main()
