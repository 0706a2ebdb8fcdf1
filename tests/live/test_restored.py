# SPDX-License-Identifier: Apache-2.0
"""A store that is older than what was published from it issues, publishes and answers nothing until
somebody accepts it: by two officers' act, or, where there are none, by command."""

import os
import shutil
import time

from agreed import AgreedCase
from harness import Key, TOUCHMARK, main, run, serial_of, until
from officers import open_socket
from published import StatusCase


class RestoredCase(StatusCase):
    """A copy of the store is put back, from before something was revoked and published."""

    listen = {"workers": 1}

    def await_core(self):
        """For who has officers."""

    def put_back(self):
        """One device keeps its certificate, one loses it after the copy, one comes and goes."""
        self.kept, self.lost = self.device("kept"), self.device("lost")
        number = self.number(self.crl())
        self.server.stop()
        store, copy = self.site.folder / "store", self.site.folder / "copy"
        shutil.copytree(store, copy)
        self.server.start()
        self.await_core()
        self.late = self.device("late")
        for cert in (self.lost, self.late):
            self.revoke(cert)
        for cert in (self.lost, self.late):
            until("the CRL names it", lambda: self.named(serial_of(cert.read_text())))
        self.server.stop()
        shutil.rmtree(store)
        copy.rename(store)
        self.server.start()
        self.await_core()
        self.published = self.number(self.crl())
        self.assertGreater(self.published, number)

    def check_held(self):
        self.assertRegex(self.server.touchmark("status")[0]["restored"],
                         rf"older than what was published: crl(-\d)? of manufacturing has number "
                         rf"\d+, and the store knows \d+")
        name = f"held-{time.time_ns()}"
        secret = self.server.add_device(name)
        answer = self.server.enroll("unlinked", Key(self.site.folder, name).csr(f"/CN={name}"),
                                    name, secret)
        self.assertEqual(answer.status, 503, answer)
        self.assertIn("older than what was published", answer.text)
        self.server.touchmark("publish", "now")
        self.assertIn("trylater", self.ocsp("-cert", self.lost))
        self.assertTrue(self.named(serial_of(self.lost.read_text())))
        self.assertEqual(self.number(self.crl()), self.published)

    def check_accepted(self):
        self.assertNotIn("restored", self.server.touchmark("status")[0])
        until("a CRL follows", lambda: self.number(self.crl()) > self.published)
        self.assertTrue(self.named(serial_of(self.lost.read_text())))
        self.assertFalse(self.named(serial_of(self.kept.read_text())))
        self.ocsp_of(self.lost, ": revoked")
        self.ocsp_of(self.kept, ": good")
        self.device(f"afterwards-{time.time_ns()}")
        rows = {row["serial"]: row for row in self.server.touchmark("cert", "list")}
        self.assertEqual(rows[serial_of(self.lost.read_text())]["status"], "revoked")


class Restored(RestoredCase):
    """Without officers' keys it takes a command."""

    def test_it_is_held_until_it_is_accepted(self):
        done = run(TOUCHMARK, "store", "accept", "--socket",
                   self.site.folder / "run" / "admin.sock", env=self.site.env, check=False)
        self.assertIn(b"not older than what was published", done.stderr)
        self.put_back()
        self.check_held()
        self.server.touchmark("store", "accept")
        self.check_accepted()
        leaf = [x for x in self.server.leaves() if x["event"] == "agreed"][-1]
        self.assertEqual((leaf["actor"], leaf["count"]), (f"uid:{os.getuid()}", 1))
        self.server.stop()
        self.server.start()
        self.check_accepted()


class RestoredByTwo(RestoredCase, AgreedCase):
    @classmethod
    def prepare(cls, site):
        StatusCase.prepare.__func__(cls, site)
        AgreedCase.prepare.__func__(cls, site)

    def await_core(self):
        open_socket(self.site)

    def test_it_takes_two(self):
        self.put_back()
        self.check_held()
        head = self.server.touchmark("audit", "head")[0]
        act = self.alice.good("store", "accept", "--reason", "disk failed")
        lines = act["text"].splitlines()
        self.assertEqual(lines[2], "kind: restore")
        self.assertEqual(lines[7:9], [f"parameter audit-root: {head['root']}",
                                      f"parameter audit-size: {head['size']}"])
        self.assertIn("older than what was published", lines[9])
        self.assertEqual(lines[10:], ["parameter revoked-again: 1", "parameter revoked-unknown: 1",
                                      "parameter words: disk failed"])
        self.alice.sign(act)
        self.assertIn("has signed it already", self.alice.refused(
            "act", "sign", act["id"], "--key", self.alice.key))
        self.check_held()
        # a restart is none of the two
        self.server.stop()
        self.server.start()
        open_socket(self.site)
        self.check_held()
        self.bob.sign(act)
        until("the act is done", lambda: self.act(self.ann, act["id"])["status"] == "done")
        self.check_accepted()
        signed = [x["actor"] for x in self.leaves_of("act-signed")]
        self.assertEqual(signed, [self.alice.actor, self.bob.actor])
        self.assertIn("not older", self.alice.refused("store", "accept"))


if __name__ == "__main__":
    main()
