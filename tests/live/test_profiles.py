# SPDX-License-Identifier: Apache-2.0
"""Profiles as the security team changes them (requirement B3): checked by trial issue, compared,
put in force while the server serves; where officers sign acts, a changed profile issues nothing
until two of them have signed its hash."""

import datetime
import json
import re

from harness import SOURCE, TOUCHMARK, WELL_KNOWN, Case, Key, main, openssl, run, until
from officers import Officer, OfficersCase

REFUSED, USAGE, UNAVAILABLE, CONFIG = 1, 64, 69, 78
SHIPPED = SOURCE / "conf" / "profiles"


def days_of(pem):
    """How many days a certificate lasts, give or take what it is backdated."""
    text = openssl("x509", "-noout", "-startdate", "-enddate", "-dateopt", "iso_8601",
                   stdin=pem.encode()).decode()
    first, last = re.findall(r"=(\d+)-(\d+)-(\d+) ", text)
    return (datetime.date(*map(int, last)) - datetime.date(*map(int, first))).days


class ProfilesCase:
    """What both sites need."""

    def text_of(self, name):
        return (self.site.folder / "profiles" / f"{name}.yaml").read_text()

    def changed(self, name, old, new, folder="new"):
        """A profile like the one in force, but for one line; in a folder of its own."""
        text = self.text_of(name)
        self.assertIn(old, text)
        path = self.site.folder / folder
        path.mkdir(exist_ok=True)
        path.chmod(0o755)
        (path / f"{name}.yaml").write_text(text.replace(old, new))
        return path / f"{name}.yaml"

    def profile(self, name):
        return [row for row in self.profiles() if row["name"] == name][0]

    def leaves_of(self, event, profile):
        return [leaf for leaf in self.server.leaves()
                if leaf["event"] == event and leaf.get("profile") == profile]

    def issues(self, label, name):
        """A new device's certificate under a label."""
        path, _ = self.server.enrolled(name, label)
        return path.read_text()


class Command(ProfilesCase, Case):
    """Without officers: whoever may use the administration socket applies profiles."""

    def touchmark(self, *args, code=0):
        done = run(TOUCHMARK, *args, check=False, env=self.site.env)
        self.assertEqual(done.returncode, code, done.stdout.decode() + done.stderr.decode())
        return done.stdout.decode() if code == 0 else done.stderr.decode()

    def apply(self, path, code=0):
        return self.touchmark("profile", "apply", path, "--conf", self.site.config, code=code)

    def profiles(self):
        return self.server.touchmark("profile", "list")

    # ---- check ----

    def test_check_shows_the_certificate(self):
        out = self.touchmark("profile", "check", SHIPPED / "idevid.yaml")
        for line in ("serialNumber = SAMPLE-0001", "9999 GMT", "Digital Signature",
                     "TLS Web Client Authentication", "CA:FALSE"):
            self.assertIn(line, out)
        sizes = dict(re.findall(r"(?m)^  (\w+): (\d+) octets$", out))
        self.assertEqual(list(sizes), ["p256", "p384"])
        self.assertLess(int(sizes["p256"]), int(sizes["p384"]))

    def test_check_takes_several_and_names_line_and_key(self):
        folder = self.site.folder / "faulty"
        folder.mkdir()
        text = (SHIPPED / "ldevid.yaml").read_text()
        for name, old, new in (("word", "keys: [p256, p384]", "keys: [p256, dsa]"),
                               ("usage", "[digitalSignature]", "[digitalSignature, keyEncipherment]"),
                               ("over", "validity: 365d", "not_after: 2020-01-01T00:00:00Z")):
            self.assertIn(old, text)
            (folder / f"{name}.yaml").write_text(text.replace(old, new, 1))
        line = {"word": "keys:", "usage": "key_usage:", "over": "keys:"}
        err = self.touchmark("profile", "check", folder / "word.yaml", SHIPPED / "ldevid.yaml",
                             folder / "usage.yaml", folder / "over.yaml", code=REFUSED)
        for name, says in (("word", 'keys: "dsa" is not allowed'), ("usage", "RFC 8813"),
                           ("over", "not_after: is over")):
            lines = (folder / f"{name}.yaml").read_text().splitlines()
            at = 1 + next(i for i, l in enumerate(lines) if l.startswith(line[name]))
            self.assertRegex(err, rf"(?m)^touchmark: {folder}/{name}\.yaml:{at}: .*{re.escape(says)}")
        self.assertNotIn(str(SHIPPED), err)
        self.touchmark("profile", "check", code=USAGE)
        self.touchmark("profile", "check", folder / "nothing.yaml", code=REFUSED)

    def test_post_quantum_keys_are_one_more_word(self):
        path = self.changed("ldevid", "keys: [p256, p384]", "keys: [p256, mldsa65]", "pq")
        if b"ML-DSA-65" in openssl("list", "-public-key-algorithms"):
            out = self.touchmark("profile", "check", path)
            self.assertRegex(out, r"mldsa65: \d{4} octets")
        else:
            err = self.touchmark("profile", "check", path, code=REFUSED)
            self.assertIn("keys: mldsa65: this OpenSSL has no ML-DSA; it needs 3.5", err)

    # ---- diff ----

    def test_diff_shows_what_differs_and_nothing_else(self):
        path = self.changed("linked", "validity: 30d", "validity: 45d\napproval: true", "diff")
        rows = self.server_json("profile", "diff", path, "--conf", self.site.config)
        self.assertEqual([row for row in rows if "option" in row],
                         [{"option": "validity", "old": "30d", "new": "45d"},
                          {"option": "approval", "old": "false", "new": "true"}])
        hashes = {key: value for row in rows for key, value in row.items() if "hash" in key}
        self.assertEqual(hashes["old_hash"], self.profile("linked")["hash"])
        self.assertNotEqual(hashes["new_hash"], hashes["old_hash"])
        same = self.server_json("profile", "diff", self.site.folder / "profiles" / "linked.yaml",
                                "--conf", self.site.config)
        self.assertEqual([row for row in same if "option" in row], [])
        other = self.touchmark("profile", "diff", path, "--profile", "named", "--conf",
                               self.site.config)
        self.assertRegex(other, r"(?m)^link +off +required$")
        self.assertRegex(other, r"(?m)^san_uri +\[\"urn:device:\{id\}\"\] +\[\]$")

    def server_json(self, *args):
        out = self.touchmark(*args, "--json")
        return [json.loads(line) for line in out.splitlines()]

    def test_diff_names_every_option(self):
        """What differs from nothing is all there is."""
        path = self.changed("linked", "validity: 30d", "validity: 30d", "fresh")
        path = path.rename(path.with_name("brand-new.yaml"))
        rows = self.server_json("profile", "diff", path, "--conf", self.site.config)
        page = (self.site.folder / "page")
        page.write_text("@PROFILE@\n")
        known = re.findall(r"(?m)^\.TP\n\\fB(\w+)", run(
            TOUCHMARK.with_name("touchmark-manual"), page).stdout.decode())
        self.assertGreater(len(set(known)), 25)
        # the page has a section of its own for what a subject is a list of
        self.assertEqual({row["option"] for row in rows if "option" in row},
                         set(known) - {"type", "value"} | {"subject"})

    # ---- apply ----

    def test_what_was_there_first_is_adopted(self):
        names = {row["name"] for row in self.profiles()}
        self.assertLessEqual({"idevid", "ldevid", "tls-server"}, names)
        row = self.profile("idevid")
        self.assertEqual((row["state"], row["used_by"]), ("in force", "idevid"))
        self.assertNotIn("act", row)
        self.assertEqual(self.profile("ldevid")["used_by"].split()[0], "ldevid")
        self.assertEqual(self.profile("tls-server")["used_by"], "tls.profile")
        first = self.leaves_of("profile", "idevid")
        self.assertEqual([leaf["reason"] for leaf in first], [f"hash {row['hash']}"])
        self.assertEqual(first[0]["actor"], "touchmarkd")

    def test_apply_is_in_force_when_the_command_returns(self):
        self.assertEqual(days_of(self.issues("unlinked", "before-1")), 30)
        before = self.profile("unlinked")
        path = self.changed("unlinked", "validity: 30d", "validity: 60d")
        out = self.apply(path)
        self.assertRegex(out, r"(?m)^validity +30d +60d$")
        self.assertIn("profile unlinked is in force\n", out)
        self.server.await_ready()
        self.assertEqual(days_of(self.issues("unlinked", "after-1")), 60)
        after = self.profile("unlinked")
        self.assertNotEqual(after["hash"], before["hash"])
        self.assertEqual(self.text_of("unlinked"), path.read_text())
        self.assertEqual([leaf["reason"] for leaf in self.leaves_of("profile", "unlinked")],
                         [f"hash {before['hash']}", f"hash {after['hash']}"])
        self.assertEqual(self.profile("idevid")["hash"],
                         self.leaves_of("profile", "idevid")[-1]["reason"].split()[1])
        # what says the same in other words is no change
        path.write_text("# a remark\n" + path.read_text())
        self.assertIn("in force", self.apply(path))
        self.assertEqual(len(self.leaves_of("profile", "unlinked")), 2)

    def test_what_is_refused_leaves_the_old_one(self):
        old = self.text_of("named")
        faulty = self.changed("named", "key_usage: [digitalSignature]", "key_usage: []")
        self.assertIn("key_usage: none is given", self.apply(faulty, REFUSED))
        # good by itself, but not for this server, which has no wrap key
        path = self.changed("named", "reenroll: true", "reenroll: true\nserver_keygen: tls")
        hash_before = self.profile("named")["hash"]
        self.assertTrue(self.apply(path, REFUSED))
        self.assertEqual(self.text_of("named"), old)
        self.assertEqual(self.profile("named")["hash"], hash_before)
        self.assertEqual(days_of(self.issues("named", "still-1")), 30)
        self.assertEqual(sorted(p.name for p in (self.site.folder / "profiles").iterdir()
                                if not p.name.endswith(".yaml")), [])

    def test_without_a_server_nothing_is_written(self):
        old = self.text_of("short")
        path = self.changed("short", "grace: 0s", "grace: 1h")
        self.touchmark("profile", "apply", path, "--conf", self.site.config, "--socket",
                       self.site.folder / "nobody.sock", code=UNAVAILABLE)
        self.assertEqual(self.text_of("short"), old)

    def test_one_that_no_label_uses_is_put_in_place(self):
        path = self.changed("linked", "validity: 30d", "validity: 31d")
        path = path.rename(path.with_name("spare.yaml"))
        self.assertIn("no label uses it", self.apply(path))
        self.assertEqual(self.text_of("spare"), path.read_text())
        self.assertEqual([row for row in self.profiles() if row["name"] == "spare"], [])


class TwoOfficers(ProfilesCase, OfficersCase):
    """A changed profile takes two."""

    @classmethod
    def appoint(cls, site):
        cls.alice = Officer(site, "alice", "daemon", kind="ed25519")
        cls.bob = Officer(site, "bob", "bin", kind="p256")
        cls.olga = Officer(site, "olga", "games", role="operator")
        cls.ann = Officer(site, "ann", "sys", role="auditor")
        # Officers may write profiles; all may read the configuration.
        (site.folder / "profiles").chmod(0o777)

    def profiles(self):
        return self.ann.good("profile", "list")

    def apply(self, officer, path, code=0):
        got, out, err = officer.ask("profile", "apply", path, "--conf", self.site.config)
        self.assertEqual(got, code, out + err)
        return out if code == 0 else err

    def proposed(self, name):
        """The one act about this profile that waits for signatures."""
        acts = [act for act in self.acts_about(name) if act["status"] == "open"]
        self.assertEqual(len(acts), 1, acts)
        return acts[0]

    def acts_about(self, name):
        rows = self.ann.good("act", "list")
        rows = rows if isinstance(rows, list) else [rows]
        acts = [self.act(self.ann, row["id"]) for row in rows if row["kind"] == "profile-apply"]
        return [act for act in acts if f"\nparameter profile: {name}\n" in act["text"]]

    def sign(self, act):
        self.alice.sign(act)
        self.bob.sign(act)
        until("the act is done", lambda: self.act(self.ann, act["id"])["status"] == "done")

    def write_by_hand(self, name, text):
        """Exchanges the file, as whoever may write the folder can, and has it taken up."""
        (self.site.folder / "profiles" / f"{name}.yaml").write_text(text)
        before = self.ann.good("status")["started"]
        self.alice.good("reload")
        until("the new core serves", lambda: self.started() not in (None, before))

    def started(self):
        code, out, _ = self.ann.ask("status", "--json")
        found = re.search(r'"started":\s*"([^"]+)"', out)
        ready = '"ready"' in out
        return found.group(1) if code == 0 and found and ready else None

    def refused_now(self, label, name):
        secret = self.server.add_device(name)
        key = Key(self.site.folder, name)
        return self.server.enroll(label, key.csr(f"/CN={name}"), name, secret)

    def test_two_sign_and_then_it_is_in_force(self):
        before = self.profile("unlinked")
        self.assertEqual(before["state"], "in force")
        path = self.changed("unlinked", "validity: 30d", "validity: 60d")
        self.assertIn("takes the role officer", self.apply(self.olga, path, REFUSED))
        out = self.apply(self.alice, path)
        self.assertRegex(out, r"(?m)^validity +30d +60d$")
        self.assertIn("two officers sign it", out)
        act = self.proposed("unlinked")
        text = act["text"]
        self.assertIn(f"\nparameter replaces: {before['hash']}\n", text)
        sha256 = openssl("dgst", "-sha256", "-r", path).decode().split()[0]
        self.assertIn(f"\nparameter file: {sha256}\n", text)
        wanted = re.search(r"\nparameter hash: ([0-9a-f]{64})\n", text).group(1)

        # nothing has happened, nor does it with one signature
        self.assertIn(f"act {act['id']} waits", self.apply(self.bob, path, REFUSED))
        self.alice.sign(act)
        self.assertIn(f"act {act['id']} waits", self.apply(self.bob, path, REFUSED))
        self.assertEqual(self.profile("unlinked"), before)
        self.assertEqual(days_of(self.issues("unlinked", "old-rule")), 30)
        self.bob.sign(act)
        until("the act is done", lambda: self.act(self.ann, act["id"])["status"] == "done")

        self.assertIn("profile unlinked is in force", self.apply(self.bob, path))
        self.server.await_ready()
        after = self.profile("unlinked")
        self.assertEqual((after["state"], after["hash"], after["act"]),
                         ("in force", wanted, act["id"]))
        self.assertEqual(days_of(self.issues("unlinked", "new-rule")), 60)
        self.assertEqual(self.leaves_of("profile", "unlinked")[-1]["reason"],
                         f"hash {wanted}, act {act['id']}")

    def test_a_profile_changed_by_hand_issues_nothing(self):
        good = self.text_of("named")
        name, secret = "named-1", self.server.add_device("named-1")
        key = Key(self.site.folder, name)
        csr = key.csr(f"/CN={name}")
        first = self.server.enroll("named", csr, name, secret)
        self.assertEqual(first.status, 200, first)
        approved = self.profile("named")["hash"]

        self.write_by_hand("named", good.replace("validity: 30d", "validity: 3000d"))
        row = self.profile("named")
        self.assertEqual((row["state"], row["approved_hash"]), ("withheld", approved))
        self.assertNotEqual(row["hash"], approved)
        answer = self.refused_now("named", "named-2")
        self.assertEqual(answer.status, 503, answer)
        self.assertTrue(answer.headers["Retry-After"])
        self.assertIn("profile named is not the one that officers approved", answer.text)
        self.check_sentence(answer)
        # the answer that was given before is had again; other labels and cacerts go on
        again = self.server.enroll("named", csr, name, secret)
        self.assertEqual((again.status, again.body), (200, first.body))
        self.assertTrue(self.issues("unlinked", "other-label"))
        self.assertEqual(self.server.ask("GET", f"{WELL_KNOWN}/named/cacerts").status, 200)
        self.assertEqual([leaf["reason"] for leaf in self.leaves_of("alarm", "named")],
                         ["the profile is not the one that officers approved; its hash is "
                          + row["hash"]])
        self.assertEqual(len(self.leaves_of("profile", "named")), 1)
        log = self.server.log.read_text()
        self.assertEqual(log.count("profile named is not the one that officers approved: nothing"),
                         1)
        # the one that was approved is good as soon as it is back
        self.write_by_hand("named", good)
        self.assertEqual(self.profile("named")["state"], "in force")
        self.assertEqual(days_of(self.issues("named", "named-3")), 30)

    def test_what_was_approved_once_is_not_approved_for_ever(self):
        old = self.text_of("linked")
        weak = self.changed("linked", "validity: 30d", "validity: 900d", "weak")
        self.apply(self.alice, weak)
        first = self.proposed("linked")
        self.sign(first)
        self.apply(self.alice, weak)
        self.server.await_ready()
        # back again, as two officers decide
        path = self.site.folder / "back"
        path.mkdir()
        (path / "linked.yaml").write_text(old)
        self.assertIn("two officers sign it", self.apply(self.bob, path / "linked.yaml"))
        second = self.proposed("linked")
        self.assertNotEqual(second["id"], first["id"])
        self.sign(second)
        self.apply(self.bob, path / "linked.yaml")
        self.server.await_ready()
        self.assertEqual(self.profile("linked")["act"], second["id"])
        # whoever exchanges the file alone cannot use the first approval once more
        self.write_by_hand("linked", weak.read_text())
        self.assertEqual(self.profile("linked")["state"], "withheld")
        self.write_by_hand("linked", old)
        self.assertEqual(self.profile("linked")["state"], "in force")

    def test_an_approval_is_for_the_step_that_officers_saw(self):
        """Two changes of one profile are proposed; when one is in force, the other is void."""
        one = self.changed("short", "grace: 0s", "grace: 1h", "one")
        two = self.changed("short", "grace: 0s", "grace: 2h", "two")
        self.apply(self.alice, one)
        self.sign(self.proposed("short"))
        self.apply(self.bob, two)
        self.sign(self.proposed("short"))
        self.apply(self.alice, one)
        self.server.await_ready()
        self.assertIn("two officers sign it", self.apply(self.alice, two))

    def test_a_new_profile_takes_two(self):
        self.site.folder.joinpath("profiles", "extra.yaml").write_text(
            self.text_of("unlinked"))
        text = self.site.config.read_text()
        self.site.config.write_text(
            text + "  - label: extra\n    tenant: acme\n    profile: extra\n    default: false\n")
        before = self.ann.good("status")["started"]
        self.alice.good("reload")
        until("the new core serves", lambda: self.started() not in (None, before))
        self.server.await_ready()
        self.assertEqual(self.profile("extra")["state"], "withheld")
        self.assertEqual(self.refused_now("extra", "extra-1").status, 503)
        path = self.site.folder / "profiles" / "extra.yaml"
        self.apply(self.alice, path)
        act = self.proposed("extra")
        self.assertIn("\nparameter replaces: nothing\n", act["text"])
        self.sign(act)
        self.assertIn("is in force", self.apply(self.bob, path))
        self.server.await_ready()
        self.assertTrue(self.issues("extra", "extra-2"))

    def test_nonsense_is_refused_before_anybody_signs(self):
        path = self.site.folder / "profiles" / "idevid.yaml"
        self.assertIn("is in force", self.apply(self.alice, path))
        self.assertEqual(self.acts_about("idevid"), [])


if __name__ == "__main__":
    main()
