# SPDX-License-Identifier: Apache-2.0
"""Approval (requirement A6) as devices and officers meet it: a request waits with 202 and
Retry-After, an officer looks, and the same request gets its certificate, or the reason why not."""

import os
import pwd
import signal
import time

from harness import Case, Key, TOUCHMARK, main, openssl, point_in, run, until

REFUSED, USAGE = 1, 64
RETRY_MAX = 60 # seconds that a device is told to wait at first


class Approval(Case):
    count = 0

    @classmethod
    def prepare(cls, site):
        """The default label, which every client knows, takes approval too."""
        with open(site.folder / "profiles" / "ldevid.yaml", "a") as profile:
            profile.write("approval: true\nsan_from_request: true\n")
        cls.key = Key(site.folder, "key")

    def name(self):
        type(self).count += 1
        return f"A{self.count:04}"

    def device(self, *options, tenant="acme"):
        """Registers one; returns its name and secret."""
        name = self.name()
        self.server.touchmark("device", "add", name, "--tenant", tenant, *options)
        return name, self.server.secret(name, tenant)

    def ask(self, name, secret, key=None, label="ldevid", **kw):
        """A request as the device would make it: the signature is another each time."""
        key = key or Key(self.site.folder, name)
        return self.server.enroll(label, key.csr(f"/CN={name}", **kw), name, secret), key

    def waiting(self, *options, label="ldevid", tenant="acme"):
        """A device whose request waits: (name, secret, key)."""
        name, secret = self.device(*options, tenant=tenant)
        answer, key = self.ask(name, secret, label=label)
        self.assertEqual(answer.status, 202, answer)
        return name, secret, key

    def rows(self, name=None, *options):
        return [row for row in self.server.touchmark("pending", "list", *options)
                if name in (None, row["device"])]

    def refused(self, code, pattern, *args):
        done = run(TOUCHMARK, *args, "--conf", self.site.config, check=False, env=self.site.env)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertRegex(done.stderr.decode(), pattern)

    def events(self, name, since):
        return [leaf for leaf in self.server.leaves(since) if leaf.get("device") == name]

    # ---- one request ----

    def test_an_officer_looks_and_the_same_request_gets_its_certificate(self):
        name, secret = self.device()
        before = self.server.head()
        answer, key = self.ask(name, secret, san="DNS:unit.example,IP:192.0.2.7")
        self.assertEqual(answer.status, 202, answer)
        self.assertTrue(30 <= int(answer.headers["Retry-After"]) <= RETRY_MAX, answer.headers)
        self.check_sentence(answer)
        row, = self.rows(name)
        spki = openssl("dgst", "-sha256", "-hex", stdin=key.public()).decode().split()[-1]
        self.assertEqual(
            {k: row[k] for k in ("tenant", "profile", "status", "key", "spki_sha256", "actor")},
            {"tenant": "acme", "profile": "ldevid", "status": "open", "key": "p256",
             "spki_sha256": spki, "actor": f"secret:{name}"})
        self.assertIn(f"CN={name}", row["subject"])
        self.assertEqual(row["san"], "DNS:unit.example, IP:192.0.2.7")
        self.assertTrue(row["remote"].startswith("127.0.0.1:"), row)

        decided, = self.server.touchmark("pending", "approve", name, "--request", row["request"])
        self.assertEqual((decided["status"], decided["officer"]), ("approved", f"uid:{os.getuid()}"))
        answer, _ = self.ask(name, secret, key, san="DNS:unit.example,IP:192.0.2.7")
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(point_in(openssl("x509", "-outform", "DER", stdin=answer.pem().encode())),
                         point_in(key.public()))
        self.assertEqual(self.rows(name), [])
        again, _ = self.ask(name, secret, key, san="DNS:unit.example,IP:192.0.2.7")
        self.assertEqual((again.status, again.body), (200, answer.body))
        leaves = self.events(name, before)
        self.assertEqual([leaf["event"] for leaf in leaves], ["pending", "approved", "issued"])
        self.assertIn(row["request"], leaves[0]["reason"])
        self.assertIn(row["request"], leaves[1]["reason"])
        self.assertEqual(leaves[2]["reason"], f"approved by uid:{os.getuid()}")

    def test_denied_with_the_reason(self):
        name, secret, key = self.waiting()
        self.refused(USAGE, "--reason is missing", "pending", "deny", name)
        self.refused(REFUSED, "more than 160", "pending", "deny", name, "--reason", "x" * 161)
        self.server.touchmark("pending", "deny", name, "--reason", "not built here")
        answer, _ = self.ask(name, secret, key)
        self.assertEqual(answer.status, 403, answer)
        self.check_sentence(answer)
        self.assertIn("not built here", answer.text)
        row, = self.rows(name)
        self.assertEqual((row["status"], row["reason"]), ("denied", "not built here"))
        self.refused(REFUSED, "denied already", "pending", "deny", name, "--reason", "twice")
        self.server.touchmark("pending", "approve", name, "--reason", "it was, after all")
        self.assertEqual(self.ask(name, secret, key)[0].status, 200)

    def test_what_the_officer_did_not_see_is_not_approved(self):
        name, secret, key = self.waiting()
        seen, = self.rows(name)
        other = Key(self.site.folder, f"{name}-other")
        self.assertEqual(self.ask(name, secret, other)[0].status, 202)
        self.refused(REFUSED, "another request", "pending", "approve", name, "--request",
                     seen["request"])
        self.refused(REFUSED, "was made later", "pending", "approve", name, "--until",
                     seen["since"][:19] + "Z")
        self.assertEqual(self.ask(name, secret, other)[0].status, 202)
        now, = self.rows(name)
        self.server.touchmark("pending", "approve", name, "--request", now["request"])
        self.assertEqual(self.ask(name, secret, key)[0].status, 202) # it is gone with this
        self.assertEqual(self.ask(name, secret, other)[0].status, 202)

    def test_a_device_with_two_requests(self):
        name, secret, key = self.waiting()
        self.assertEqual(self.ask(name, secret, key, label="approved")[0].status, 202)
        self.assertEqual({row["profile"] for row in self.rows(name)}, {"ldevid", "approved"})
        self.refused(REFUSED, "2 profiles: name one", "pending", "approve", name)
        self.server.touchmark("pending", "approve", name, "--profile", "ldevid")
        self.assertEqual(self.ask(name, secret, key)[0].status, 200)
        self.assertEqual([row["profile"] for row in self.rows(name)], ["approved"])

    def test_nothing_waits(self):
        name, _ = self.device()
        self.refused(REFUSED, f"no request of device {name}", "pending", "approve", name)
        self.refused(REFUSED, "no request of device nobody", "pending", "approve", "nobody")
        self.refused(REFUSED, "name a device, or select", "pending", "approve")
        self.refused(REFUSED, "not both", "pending", "approve", name, "--batch", "b")
        self.refused(REFUSED, "name it", "pending", "approve", "--all", "--request", "0011")

    # ---- many ----

    def test_a_batch_is_approved_and_no_other(self):
        batch = [self.waiting("--batch", "2026-01", "--site", "works-1") for _ in range(5)]
        other = [self.waiting("--batch", "2026-02", "--site", "works-1") for _ in range(3)]
        end = int(time.time()) + 1
        until("the second is over", lambda: time.time() > end)
        late = self.waiting("--batch", "2026-01")
        done, = self.server.touchmark("pending", "approve", "--batch", "2026-01", "--until",
                                      time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end)))
        self.assertEqual(done, {"decision": "approved", "requests": 5, "failed": 0})
        for who in batch:
            self.assertEqual(self.ask(*who)[0].status, 200)
        for who in (*other, late):
            self.assertEqual(self.ask(*who)[0].status, 202)
        done, = self.server.touchmark("pending", "deny", "--site", "works-1", "--reason", "recalled")
        self.assertEqual(done, {"decision": "denied", "requests": 3, "failed": 0})
        for who in other:
            self.assertEqual(self.ask(*who)[0].status, 403)
        done, = self.server.touchmark("pending", "approve", "--batch", "2026-02")
        self.assertEqual(done["requests"], 0) # a selection does not overrule what was decided

    def test_more_than_a_page_waits(self):
        count = 205 # the client asks for pages of 200, the server decides 64 at a time
        for _ in range(count):
            name, secret = self.device("--batch", "big")
            self.assertEqual(self.ask(name, secret, self.key_of(name))[0].status, 202)
        listed = {row["device"] for row in self.rows() if row["status"] == "open"}
        self.assertGreaterEqual(len(listed), count)
        self.assertEqual(len(self.server.touchmark("pending", "list", "--limit", "203")), 203)
        done, = self.server.touchmark("pending", "approve", "--batch", "big")
        self.assertEqual((done["requests"], done["failed"]), (count, 0))

    def key_of(self, name):
        """One that no other device has: a key is one device's."""
        return Key(self.site.folder, f"key-{name}")

    def test_tenants_apart_and_together(self):
        mine, _, _ = self.waiting()
        theirs, secret, key = self.waiting(label="other", tenant="globex")
        self.assertEqual(self.rows(theirs), [])
        self.assertEqual(len(self.rows(theirs, "--tenant", "globex")), 1)
        both = {(row["tenant"], row["device"]) for row in self.rows(None, "--all")}
        self.assertTrue({("acme", mine), ("globex", theirs)} <= both, both)
        done, = self.server.touchmark("pending", "approve", "--all", "--tenant", "globex")
        self.assertEqual(done["requests"], 1)
        self.assertEqual(self.ask(theirs, secret, key, label="other")[0].status, 200)
        self.assertEqual(self.rows(mine)[0]["status"], "open")

    # ---- processes ----

    def test_an_approval_outlives_the_core(self):
        name, secret, key = self.waiting()
        self.server.touchmark("pending", "approve", name)
        core, = self.server.pids("core")
        os.kill(core, signal.SIGKILL)

        def issued():
            answer, _ = self.ask(name, secret, key)
            self.assertIn(answer.status, (200, 503))
            return answer.status == 200
        until("it gets its certificate", issued)
        self.assertEqual(self.rows(name), [])


class Auditor(Case):
    @classmethod
    def prepare(cls, site):
        site.officers = [{"name": "auditor", "user": pwd.getpwuid(os.getuid()).pw_name,
                          "role": "auditor"}]

    def test_an_auditor_looks_and_does_not_decide(self):
        self.assertEqual(self.server.touchmark("pending", "list"), [])
        done = run(TOUCHMARK, "pending", "approve", "some-device", "--conf", self.site.config,
                   check=False, env=self.site.env)
        self.assertEqual(done.returncode, REFUSED)
        self.assertIn(b"takes the role officer", done.stderr)


if __name__ == "__main__":
    main()
