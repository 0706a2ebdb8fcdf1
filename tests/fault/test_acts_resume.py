# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the core while it carries out an act: the next core goes on with it, every certificate
is revoked once, and the count at the end is right."""

import pathlib
import re
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "live"))

from agreed import AgreedCase  # noqa: E402
from harness import Bench, SLOW, finish, main, serial_of, until  # noqa: E402
from officers import Officer, OfficersCase, open_socket  # noqa: E402
from published import StatusCase  # noqa: E402
from rotation import OLD_ROOT  # noqa: E402

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


class Killed(AgreedCase):
    """Killed between the second signature and its effect: the act counts, and takes effect once."""

    def restart_with(self, point):
        self.server.stop()
        finish(self.server)
        self.server.start(TOUCHMARK_CRASH=point)
        open_socket(self.site)
        return self.server.log.stat().st_size

    def sign_and_be_killed(self, act, log):
        """By two; the core dies once, and the act is done all the same."""
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


class Agreed(Killed):
    def test_issuer_change(self):
        self.ceremony("next", OLD_ROOT)
        log = self.restart_with("core.act_changed:3")  # proposed, signed, signed
        self.add("next", "--tenant", "acme")
        act = self.proposed("issuer-change")
        self.sign_and_be_killed(act, log)
        self.assertNotIn("next", self.rows())
        self.add("next", "--tenant", "acme")
        self.assertEqual(self.rows()["next"]["state"], "overlap")
        agreed = [leaf["reason"] for leaf in self.server.leaves() if leaf["event"] == "agreed"]
        self.assertEqual([x for x in agreed if act["id"] in x],
                         [f"tenant acme: manufacturing signs, also next, act {act['id']}"])


class Restored(Killed, StatusCase):
    @classmethod
    def prepare(cls, site):
        StatusCase.prepare.__func__(cls, site)
        AgreedCase.prepare.__func__(cls, site)

    def test_restore(self):
        """Killed when a certificate was revoked again, and when all was done but the act's end."""
        store, copy = self.site.folder / "store", self.site.folder / "copy"
        certs = [self.device(f"lost-{i}") for i in range(3)]
        self.fetch("/manufacturing.crl")
        self.server.stop()
        shutil.copytree(store, copy)
        self.server.start()
        open_socket(self.site)
        for cert in certs:
            self.revoke(cert)
        serials = {serial_of(cert.read_text()) for cert in certs}
        until("the CRL names them", lambda: all(self.named(x) for x in serials))
        for point in ("core.act_changed:3", "core.restore_revoked:2", "core.restore_accepted"):
            with self.subTest(point):
                self.server.stop()
                shutil.rmtree(store)
                shutil.copytree(copy, store)
                log = self.restart_with(point)
                self.sign_and_be_killed(self.alice.good("store", "accept"), log)
                self.assertNotIn("restored", self.server.touchmark("status")[0])
                leaves = self.server.leaves()
                self.assertEqual(sorted(x["serial"] for x in leaves if x["event"] == "revoked"),
                                 sorted(serials))
                accepted = [x for x in leaves if x["event"] == "agreed" and
                            x["reason"].startswith("accepted: ")]
                self.assertEqual(len(accepted), 1)


if __name__ == "__main__":
    main()
