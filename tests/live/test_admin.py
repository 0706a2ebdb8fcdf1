# SPDX-License-Identifier: Apache-2.0
"""`touchmark` against a running server: what operators type, see and get as exit codes."""

import json
import os
import re
import unittest

from harness import Case, SLOW, SOURCE, TOUCHMARK, field, main, run, serial_of

OK, REFUSED, USAGE, UNAVAILABLE, CONFIG = 0, 1, 64, 69, 78


class Admin(Case):
    def ask(self, *args):
        """(exit code, output, error output) of a command."""
        done = run(TOUCHMARK, *args, "--conf", self.site.config, check=False, env=self.site.env)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def good(self, *args):
        code, out, err = self.ask(*args)
        self.assertEqual((code, err), (OK, ""), out)
        return out

    def refused(self, code, pattern, *args):
        found, out, err = self.ask(*args)
        self.assertEqual((found, out), (code, ""), err)
        self.assertRegex(err.splitlines()[0], pattern)

    # ---- devices ----

    def test_a_device_is_registered_with_all_that_is_known(self):
        self.good("device", "add", "full-1", "--tenant", "globex", "--sku", "GW7",
                  "--hardware-revision", "C2", "--batch", "2026-03", "--site", "works-1")
        out = self.good("device", "show", "full-1", "--tenant", "globex")
        for line in ("tenant: globex", "id: full-1", "state: registered", "sku: GW7",
                     "hardware_revision: C2", "batch: 2026-03", "site: works-1", "secret: none"):
            self.assertIn(line + "\n", out)

    def test_a_device_is_registered_once(self):
        self.good("device", "add", "once-1")
        self.refused(REFUSED, r"^touchmark: .*once-1", "device", "add", "once-1")

    def test_tenants_do_not_see_each_other(self):
        self.good("device", "add", "mine-1", "--tenant", "acme")
        self.refused(REFUSED, "globex has no device mine-1", "device", "show", "mine-1",
                     "--tenant", "globex")
        self.refused(REFUSED, "no such tenant", "device", "show", "mine-1", "--tenant", "initech")

    def test_states_change_only_as_the_lifecycle_allows(self):
        self.good("device", "add", "move-1")
        self.refused(REFUSED, "may become: ", "device", "transition", "move-1", "shipped",
                     "--reason", "test")
        self.refused(REFUSED, 'no state "sold"', "device", "transition", "move-1", "sold",
                     "--reason", "test")
        out = self.good("device", "transition", "move-1", "provisioning", "--reason", "on the jig")
        self.assertIn("state: provisioning\n", out)
        leaf = self.server.leaves()[-1]
        self.assertEqual((leaf["device"], leaf["from"], leaf["to"], leaf["reason"], leaf["actor"]),
                         ("move-1", "registered", "provisioning", "on the jig",
                          f"uid:{os.getuid()}"))

    def test_a_secret_is_shown_once_and_nowhere_else(self):
        self.good("device", "add", "secret-1")
        out = self.good("device", "secret", "secret-1", "--valid", "8h")
        found = re.fullmatch(r"user=secret-1\nsecret=(\S{20,})\n", out)
        self.assertTrue(found, out)
        secret = found.group(1)
        self.assertNotIn(secret, self.good("device", "show", "secret-1"))
        self.assertNotIn(secret, self.good("audit", "list"))
        self.assertNotIn(secret, self.server.log.read_text())
        parsed = json.loads(self.good("device", "secret", "secret-1", "--json"))
        self.assertEqual(set(parsed), {"user", "secret"})
        self.assertNotEqual(parsed["secret"], secret)
        self.refused(REFUSED, "no device", "device", "secret", "nobody-1")

    # ---- lists ----

    def test_lists_are_complete_beyond_a_page(self):
        count = 210 if SLOW else 430 # the client asks for pages of 200
        for i in range(count):
            self.good("device", "add", f"row-{i:04}", "--tenant", "globex")
        rows = [r for r in self.server.touchmark("device", "list", "--tenant", "globex")
                if r["id"].startswith("row-")]
        self.assertEqual([r["id"] for r in rows], [f"row-{i:04}" for i in range(count)])
        limited = self.server.touchmark("device", "list", "--tenant", "globex", "--limit", "205")
        self.assertEqual(len(limited), 205)
        table = self.good("device", "list", "--tenant", "globex", "--limit", "2").splitlines()
        self.assertEqual(len(table), 3)
        self.assertTrue(table[0].startswith("TENANT"))

    def test_the_audit_is_read_from_anywhere(self):
        self.good("device", "add", "audit-1")
        head = self.server.head()
        leaves = self.server.leaves()
        self.assertEqual([leaf["sequence"] for leaf in leaves], list(range(len(leaves))))
        self.assertGreaterEqual(len(leaves), head)
        some = self.server.touchmark("audit", "list", "--from", "1", "--limit", "2")
        self.assertEqual([leaf["sequence"] for leaf in some], [1, 2])
        self.assertEqual(self.server.touchmark("audit", "list", "--from", "999999"), [])

    # ---- certificates ----

    def test_a_certificate_is_shown_in_every_spelling_of_its_serial(self):
        path, _ = self.server.enrolled("show-1")
        pem = path.read_text()
        serial = serial_of(pem)
        colons = ":".join(re.findall("..", serial.upper()))
        for spelling in (serial, serial.upper(), colons):
            self.assertIn(f"serial: {serial}\n", self.good("cert", "show", spelling))
        self.assertEqual(field(self.good("cert", "show", serial, "--pem"), "-fingerprint"),
                         field(pem, "-fingerprint"))
        listed = self.server.touchmark("cert", "list", "show-1")
        self.assertEqual([c["serial"] for c in listed], [serial])
        self.assertIn(serial, [c["serial"] for c in self.server.touchmark("cert", "list")])
        self.refused(REFUSED, "no certificate", "cert", "show", "00ff")

    def test_a_revoked_certificate_says_so(self):
        path, _ = self.server.enrolled("revoke-1")
        serial = serial_of(path.read_text())
        self.refused(REFUSED, "reasons are", "cert", "revoke", serial, "--reason", "dislike")
        self.good("cert", "revoke", serial, "--reason", "keyCompromise")
        shown = self.good("cert", "show", serial)
        self.assertIn("status: revoked\n", shown)
        self.assertIn("reason: 1\n", shown)

    # ---- the server and its store ----

    def test_status_counts_what_was_issued(self):
        self.server.enrolled("status-1")
        status = self.server.touchmark("status")[0]
        self.assertEqual((status["environment"], status["signer"]), ("test", "ready"))
        self.assertGreaterEqual(status["outcomes"]["issued"], 1)
        self.assertRegex(self.good("status"), r"(?m)^outcomes\.issued: \d+$")

    def test_the_store_is_checked_while_it_serves(self):
        self.assertIn("result: sound\n", self.good("store", "check"))
        self.assertEqual(self.server.intents(), [])

    def test_a_store_is_not_made_over_another_nor_opened_twice(self):
        self.refused(REFUSED, str(self.site.folder / "store"), "store", "create")
        self.refused(REFUSED, "open in another process", "store", "check", "--offline")

    # ---- exit codes ----

    def test_wrong_usage_sends_nothing(self):
        before = self.server.head()
        for args in ((), ("devcie", "add"), ("device",), ("device", "add"),
                     ("device", "add", "a/b"), ("device", "add", "a", "b"),
                     ("device", "add", "x" * 65), ("device", "transition", "a", "shipped"),
                     ("device", "secret", "a", "--valid", "10"), ("cert", "show", "0g"),
                     ("cert", "revoke", "00"), ("audit", "list", "--limit", "0"),
                     ("device", "list", "--pem")):
            with self.subTest(args=args):
                self.refused(USAGE, "^touchmark", *args)
        self.assertEqual(self.server.head(), before)

    def test_no_server_is_an_exit_code_of_its_own(self):
        self.refused(UNAVAILABLE, "does not answer at .*/none.sock", "status", "--socket",
                     self.site.folder / "none.sock")

    def test_a_bad_configuration_is_an_exit_code_of_its_own(self):
        bad = self.site.folder / "bad.yaml"
        bad.write_text(self.site.config.read_text().replace("environment:", "enviroment:"))
        done = run(TOUCHMARK, "status", "--conf", bad, check=False)
        self.assertEqual(done.returncode, CONFIG)
        self.assertRegex(done.stderr.decode(), r"bad\.yaml:1: enviroment: unknown key; did you mean")

    def test_the_configuration_of_the_handbook_is_good(self):
        text = (SOURCE / "docs/operations.md").read_text()
        text = re.search(r"```yaml\n(.*?)```", text, re.S).group(1)
        path = self.site.folder / "handbook.yaml"
        path.write_text(text + "core: {admin_socket: none.sock}\n")
        done = run(TOUCHMARK, "status", "--conf", path, check=False)
        self.assertEqual(done.returncode, UNAVAILABLE, done.stderr)

    def test_help_names_every_command(self):
        text = run(TOUCHMARK, "--help").stdout.decode()
        for words in ("ceremony", "status", "device secret", "cert revoke", "store create"):
            self.assertIn(f"\n  {words} ", text)
        self.assertIn("--valid", run(TOUCHMARK, "device", "secret", "--help").stdout.decode())


if __name__ == "__main__":
    main()
