# SPDX-License-Identifier: Apache-2.0
"""Roles on the administration socket, and acts that take two officers, with several system users:
what each may do, which signatures count, and what revoking many comes to."""

import os
import pty
import re
import select
import time

from harness import (Key, PATIENCE, SOURCE, TOUCHMARKD, body_of, main, openssl, run, serial_of,
                     subject_of, until)
from officers import Officer, OfficersCase

HEX32 = re.compile(r"\A[0-9a-f]{32}\Z")


class Roles(OfficersCase):
    @classmethod
    def appoint(cls, site):
        cls.alice = Officer(site, "alice", "daemon", kind="p256", passphrase="open sesame")
        cls.bob = Officer(site, "bob", "bin", kind="ed25519")
        cls.carol = Officer(site, "carol", "games", kind="rsa")
        cls.dan = Officer(site, "dan", "man", kind="p384")
        cls.keyless = Officer(site, "erin", "mail")
        cls.ann = Officer(site, "ann", "news", role="auditor")
        cls.olga = Officer(site, "olga", "lp", role="operator")
        cls.nobody = Officer(site, "nobody", "uucp")
        site.officers.pop()  # a user whom the configuration does not name

    def check_refused(self, officer, pattern, *args, actor=None):
        """Refused by that sentence, and the audit has who was and why: soon, for a refusal waits
        for no disk."""
        before = self.server.head()
        sentence = officer.refused(*args)
        self.assertRegex(sentence, pattern)

        def recorded():
            return [(leaf["actor"], "touchmark: " + leaf["reason"])
                    for leaf in self.server.leaves(before) if leaf["event"] == "refused"]
        self.assertEqual(until("the refusal is recorded", recorded),
                         [(actor or officer.actor, sentence)])

    # ---- roles ----

    def test_each_role_may_what_it_may(self):
        self.assertIn("environment", self.ann.good("status"))
        self.check_refused(self.ann, "takes the role operator; yours is auditor",
                           "device", "add", "no-1")
        self.olga.good("device", "add", "yes-1")
        leaf = self.server.leaves()[-1]
        self.assertEqual((leaf["event"], leaf["actor"]), ("device-added", self.olga.actor))
        propose = ("revoke", "--batch", "none", "--reason", "superseded")
        self.check_refused(self.olga, "takes the role officer; yours is operator", *propose)
        self.check_refused(self.ann, "takes the role officer; yours is auditor", *propose)
        out_of_use = ("device", "retire", "yes-1", "--reason", "scrapped")
        self.check_refused(self.olga, "retired takes the role officer; yours is operator",
                           *out_of_use)
        self.assertEqual(self.alice.good(*out_of_use)["state"], "retired")
        self.alice.good("device", "add", "yes-2")
        self.assertEqual(self.server.leaves()[-1]["actor"], self.alice.actor)

    def test_who_is_not_named_may_nothing(self):
        uid = self.nobody.entry.pw_uid
        pattern = f"uid {uid} is not one of the officers in the configuration"
        for args in (["status"], ["audit", "list"], ["device", "add", "no-2"], ["act", "list"],
                     ["device", "list", "--tenant", "no-such-tenant"]):
            self.check_refused(self.nobody, pattern, *args, actor=f"uid:{uid}")

    # ---- what is proposed ----

    def propose(self, officer=None, *more, **selection):
        options = [word for key, value in selection.items() for word in (f"--{key}", value)]
        return (officer or self.bob).good("revoke", *options, "--reason", "keyCompromise", *more)

    def test_nonsense_is_refused_before_anybody_signs(self):
        for pattern, *args in (
                ("no certificate is selected", "--batch", "no-such-batch"),
                ("nothing is selected",),
                ("no time between", "--since", "2026-01-02T00:00:00Z", "--until",
                 "2026-01-01T00:00:00Z"),
                ("one line of text", "--batch", "b", "--words", "a\nparameter batch: c")):
            self.check_refused(self.bob, pattern, "revoke", *args, "--reason", "superseded")
        self.check_refused(self.bob, '"reason" must be', "revoke", "--batch", "b", "--reason",
                           "dislike")
        self.assertEqual(self.bob.ask("revoke", "--batch", "b")[0], 64)

    def test_the_text_is_what_was_proposed(self):
        self.device_of("text-1", batch="text")
        act = self.propose(None, "--words", "lost \\ in Zürich", batch="text")
        self.assertRegex(act["id"], HEX32)
        lines = act["text"].splitlines()
        self.assertEqual(lines[:4], ["touchmark act 1", "environment: test", "kind: revoke-many",
                                     "id: " + act["id"]])
        self.assertRegex(lines[4], r"^proposed: \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual(lines[6:], [f"proposer: {self.bob.actor}", "parameter batch: text",
                                     "parameter certificates: 1", "parameter reason: keyCompromise",
                                     "parameter revoked-already: 0", "parameter tenant: acme",
                                     "parameter words: lost \\\\ in Z\\xc3\\xbcrich"])
        leaf = self.server.leaves()[-1]
        self.assertEqual((leaf["event"], leaf["actor"]), ("act-proposed", self.bob.actor))
        self.assertIn(act["id"], leaf["reason"])
        code, out, _ = self.ann.ask("act", "show", act["id"], "--text")
        self.assertEqual((code, out), (0, act["text"]))
        listed = {row["id"]: row for row in self.ann.good("act", "list")}
        self.assertEqual(listed[act["id"]]["status"], "open")

    # ---- signatures ----

    def sign_on_terminal(self, officer, act, passphrase):
        """`act sign` with an encrypted key, as somebody types; all that the terminal showed."""
        pid, terminal = pty.fork()
        if pid == 0:
            try:
                os.setgroups([])
                os.setgid(officer.entry.pw_gid)
                os.setuid(officer.entry.pw_uid)
                command = officer.command("act", "sign", act["id"], "--key", officer.key)
                os.execv(command[0], command)
            finally:
                os._exit(126)
        shown, typed, end = b"", False, time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if not select.select([terminal], [], [], 1)[0]:
                continue
            try:
                octets = os.read(terminal, 4096)
            except OSError:  # the other end is closed
                octets = b""
            if not octets:
                break
            shown += octets
            if b"Passphrase of " in shown and not typed:
                os.write(terminal, passphrase.encode() + b"\n")
                typed = True
        _, status = os.waitpid(pid, 0)
        os.close(terminal)
        return os.waitstatus_to_exitcode(status), shown.decode().replace("\r\n", "\n")

    def test_two_officers_revoke_a_batch(self):
        devices = [self.device_of(f"batch-{i}", batch="lost") for i in range(5)]
        other, other_key = self.device_of("batch-other", batch="kept")
        serials = [serial_of(path.read_text()) for path, _ in devices]
        preview = self.olga.good("revoke", "--batch", "lost", "--preview")
        self.assertEqual(preview, {"certificates": 5, "revoked_already": 0})
        self.olga.good("cert", "revoke", serials[0], "--reason", "superseded")
        act = self.propose(self.alice, batch="lost")
        self.assertIn("parameter certificates: 4\n", act["text"])
        self.assertIn("parameter revoked-already: 1\n", act["text"])

        # kept connections of devices that are about to lose their certificates
        kept = [self.server.connect(cert=path, key=key.path) for path, key in devices]
        code, shown = self.sign_on_terminal(self.alice, act, "open barley")
        self.assertEqual(code, 1, shown)
        self.assertIn("no passphrase that opens it", shown)
        code, shown = self.sign_on_terminal(self.alice, act, "open sesame")
        self.assertEqual(code, 0, shown)
        self.assertIn(act["text"], shown)
        self.assertNotIn("open sesame", shown)  # echo is off before the prompt
        signed = self.act(self.ann, act["id"])
        self.assertEqual((signed["status"], signed["signed"]), ("open", 1))

        path = self.bob.sign_elsewhere(act["text"])
        self.bob.good("act", "sign", act["id"], "--signature", path)
        self.ended(act, "done")
        for (cert, _), connection in zip(devices, kept):
            fresh = Key(self.site.folder, "fresh")
            answer = self.renew(connection, fresh, cert)
            self.assertEqual(answer.status, 403, answer)
            connection.close()
        with self.server.connect(cert=other, key=other_key.path) as connection:
            answer = self.renew(connection, Key(self.site.folder, "fresh"), other)
            self.assertEqual(answer.status, 200, answer)
        self.check_books(act, serials)

    def renew(self, connection, key, cert):
        der = key.csr(subject_of(cert.read_text()))
        return connection.ask("POST", "/.well-known/est/ldevid/simplereenroll", body_of(der),
                              {"Content-Type": "application/pkcs10"})

    def ended(self, act, status):
        def over():
            found = self.act(self.ann, act["id"])
            return found if found["status"] not in ("open", "running") else None
        found = until(lambda: f"act {act['id']} ends: {self.act(self.ann, act['id'])}", over)
        self.assertEqual(found["status"], status, found)
        return found

    def check_books(self, act, serials):
        """Every certificate is revoked once, by this act where it was good, and the audit has the
        text's hash and both signatures."""
        found = self.act(self.ann, act["id"])
        self.assertEqual((found["done"], found["result"]),
                         (4, "4 certificates revoked, 1 were revoked before"))
        for serial in serials:
            self.assertEqual(self.ann.good("cert", "show", serial)["status"], "revoked")
        leaves = [leaf for leaf in self.server.leaves() if act["id"] in leaf.get("reason", "")]
        self.assertEqual([leaf["event"] for leaf in leaves],
                         ["act-proposed", "act-signed", "act-signed", "act-ended"])
        for officer, leaf in zip((self.alice, self.bob), leaves[1:3]):
            self.assertEqual(leaf["actor"], officer.actor)
            self.assertTrue(officer.verifies(act["text"], leaf["reason"].split(" ")[1]))
        self.assertEqual(leaves[3]["count"], 4)
        revoked = [leaf for leaf in self.server.leaves() if leaf["event"] == "revoked"
                   and leaf["actor"] == f"act:{act['id']} alice bob"]
        self.assertEqual(sorted(leaf["serial"] for leaf in revoked), sorted(serials[1:]))

    def test_signatures_that_do_not_count(self):
        self.device_of("sign-1", batch="sign")
        act, twin = self.propose(batch="sign"), self.propose(batch="sign")
        sign = ("act", "sign", act["id"])
        before = self.act(self.ann, act["id"])
        wrong = self.bob.sign_elsewhere(twin["text"], "twin")
        self.check_refused(self.bob, "does not verify with the key of officer bob", *sign,
                           "--signature", wrong)
        carols = self.carol.sign_elsewhere(act["text"])
        self.check_refused(self.bob, "does not verify", *sign, "--signature", carols)
        self.check_refused(self.bob, "and carol signs as a system user of their own", *sign,
                           "--signature", carols, "--officer", "carol")
        self.check_refused(self.keyless, "erin has no key in the configuration", *sign,
                           "--signature", carols)
        self.check_refused(self.olga, "takes the role officer", *sign, "--signature", carols)
        self.assertEqual(self.act(self.ann, act["id"]), before)
        self.assertIn("there is no act with this ID",
                      self.bob.refused("act", "sign", "00" * 16, "--key", self.bob.key))

        self.bob.sign(act)
        self.check_refused(self.bob, "bob has signed it already", *sign, "--key", self.bob.key)
        # a signature that was made for one act is none for its twin
        old = self.bob.sign_elsewhere(act["text"], "old")
        self.check_refused(self.bob, "does not verify", "act", "sign", twin["id"], "--signature",
                           old)
        self.carol.sign(act)
        self.ended(act, "done")
        self.check_refused(self.dan, "the act is done", *sign, "--key", self.dan.key)
        self.check_refused(self.dan, "the act is done", "act", "withdraw", act["id"], "--reason",
                           "late")
        # RSA signatures have no room in a leaf: their hash stands there, they in the row
        leaf = [leaf for leaf in self.server.leaves()
                if leaf["event"] == "act-signed" and leaf["actor"] == self.carol.actor][-1]
        self.assertRegex(leaf["reason"], rf"^{act['id']} sha256:[0-9a-f]{{64}}$")

        self.bob.good("act", "withdraw", twin["id"], "--reason", "one was enough")
        self.check_refused(self.dan, "the act was withdrawn", "act", "sign", twin["id"], "--key",
                           self.dan.key)

    def test_an_act_expires(self):
        self.device_of("late-1", batch="late")
        act = self.propose(None, "--lifetime", "1s", batch="late")
        until("the act expires",
              lambda: self.act(self.ann, act["id"])["status"] == "expired")
        self.check_refused(self.dan, "has expired", "act", "sign", act["id"], "--key",
                           self.dan.key)
        self.assertEqual(self.bob.ask("revoke", "--batch", "late", "--reason", "superseded",
                                      "--lifetime", "15d")[0], 64)

    def test_one_device_and_what_is_selected_of_it(self):
        path, _ = self.device_of("one-1", batch="one", site="works-1")
        serial = serial_of(path.read_text())
        for args, count in ((["--device", "one-1"], 1),
                            (["--device", "one-1", "--batch", "one"], 1),
                            (["--device", "one-1", "--batch", "two"], 0),
                            (["--site", "works-1"], 1), (["--site", "works-2"], 0),
                            (["--batch", "one", "--profile", "idevid"], 0),
                            (["--batch", "one", "--profile", "ldevid"], 1),
                            (["--batch", "one", "--issuer", "manufacturing"], 1),
                            (["--batch", "one", "--issuer", "other"], 0),
                            (["--batch", "one", "--until", "2020-01-01T00:00:00Z"], 0),
                            (["--batch", "one", "--since", "2020-01-01T00:00:00Z"], 1),
                            (["--batch", "one", "--tenant", "globex"], 0)):
            found = self.olga.good("revoke", *args, "--preview")
            self.assertEqual(found, {"certificates": count, "revoked_already": 0}, args)
        act = self.propose(device="one-1")
        self.dan.sign(act)
        self.bob.sign(act)
        self.assertEqual(self.ended(act, "done")["done"], 1)
        self.assertEqual(self.ann.good("cert", "show", serial)["status"], "revoked")
        self.check_refused(self.bob, "all of the 1 certificates selected are revoked already",
                           "revoke", "--device", "one-1", "--reason", "superseded")


class NoExceptions(OfficersCase):
    """touchmarkd's own user, and root, are nobody in particular."""

    @classmethod
    def appoint(cls, site):
        site.officers.clear()
        cls.alice = Officer(site, "alice", "daemon")

    def test_root_may_nothing(self):
        done = run(self.site.folder / "touchmark", "status", "--socket",
                   self.site.folder / "run" / "admin.sock", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("uid 0 is not one of the officers", done.stderr.decode())
        self.assertEqual(self.alice.good("status")["environment"], "test")

    def test_the_officers_of_the_handbook_are_good(self):
        """Once there are those users and keys."""
        text = (SOURCE / "docs" / "operations.md").read_text()
        text = re.search(r"```yaml\n(officers:.*?)```", text, re.S).group(1)
        for user, there in (("alice", "daemon"), ("bob", "bin"), ("carol", "games"),
                            ("prometheus", "mail")):
            text = text.replace(f"user: {user}", f"user: {there}")
        own = re.sub(r"(?m)^officers:\n(  - .*\n)+", "", self.site.config.read_text())
        path = self.site.folder / "handbook.yaml"
        path.write_text(own + text)
        check = (TOUCHMARKD, "--check", "--conf", path)
        done = run(*check, check=False, env=self.site.env)
        self.assertRegex(done.stderr.decode(), "officer alice: .*/officers/alice.pem: No such file")
        (self.site.folder / "officers").mkdir()
        for name in ("alice", "bob"):
            key = Key(self.site.folder, f"handbook-{name}", "ed25519")
            public = openssl("pkey", "-in", key.path, "-pubout")
            (self.site.folder / "officers" / f"{name}.pem").write_bytes(public)
        run(*check, env=self.site.env)
        (self.site.folder / "officers" / "alice.pem").write_bytes(public)
        done = run(*check, check=False, env=self.site.env)
        self.assertRegex(done.stderr.decode(), "officers alice and bob have one key")
        path.write_text(own + text.replace("user: bin", "user: no-such-user"))
        done = run(*check, check=False, env=self.site.env)
        self.assertRegex(done.stderr.decode(), "officer bob: there is no system user no-such-user")

    def test_acts_need_keys(self):
        sentence = self.alice.refused("revoke", "--batch", "b", "--reason", "superseded")
        self.assertIn("an act takes 2 officers with keys; the configuration names 0", sentence)


if __name__ == "__main__":
    main()
