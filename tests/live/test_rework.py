#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What becomes of all certificates of a device that is reworked, suspended or taken out of use, as
CRL and OCSP tell it, and of transitions that are asked for at once."""

import json
import re
import subprocess

import harness
from harness import PATIENCE, TOUCHMARK, openssl, run, serial_of, subject_of, until
from published import PROFILE, StatusCase

RENEWALS = 19  # a device's record names 12 certificates
ON_THE_LINE = PROFILE.replace("states: [registered, activated]\nnext_state: activated",
                              "states: [registered, manufactured]\nnext_state: manufactured")
PRODUCT = ("id_min: 1\nid_max: 64\nid_charset: [alnum]\nid_characters: '-'\n"
           "profiles: [unlinked]\nrework: revoke\n")


class Rework(StatusCase):
    @classmethod
    def prepare(cls, site):
        super().prepare(site)
        assert ON_THE_LINE != PROFILE
        (site.folder / "profiles" / "unlinked.yaml").write_text(ON_THE_LINE)
        folder = site.folder / "products"
        folder.mkdir()
        (folder / "board.yaml").write_text(PRODUCT)
        plain = site.write_config

        def write_config():
            plain()
            text = site.config.read_text()
            site.config.write_text(text.replace(
                "environment: test\n", f"environment: test\nproducts_dir: {folder}\n"))
        site.write_config = write_config

    def renewed(self, name, renewals):
        """A board with so many certificates of its own; the serials of all of them, and the newest
        certificate with its key."""
        self.server.touchmark("device", "add", name, "--sku", "board")
        path, key = self.server.enrolled(name, "unlinked", secret=self.server.secret(name))
        serials = [serial_of(path.read_text())]
        for _ in range(renewals):
            answer = self.renew(path, key)
            self.assertEqual(answer.status, 200, answer)
            path.write_text(answer.pem())
            serials.append(serial_of(answer.pem()))
        self.assertEqual(len(set(serials)), renewals + 1)
        return serials, path, key

    def renew(self, path, key):
        return self.server.enroll("unlinked", key.csr(subject_of(path.read_text())),
                                  operation="simplereenroll", cert=path, key=key.path)

    def listed(self, serials):
        """How many of them the CRL has."""
        text = openssl("crl", "-inform", "DER", "-in", self.crl(), "-noout", "-text").decode()
        return sum(f"Serial Number: {serial.upper()}" in text for serial in serials)

    def told(self, serial):
        """What OCSP says of it."""
        said = re.findall(r"^0x\w+: (\w+)$", self.ocsp("-serial", f"0x{serial}"), re.MULTILINE)
        return said[0] if said else None

    def check_all_revoked(self, serials):
        for serial in serials:
            until(f"OCSP says it of {serial}", lambda s=serial: self.told(s) == "revoked")
        until("the CRL names each", lambda: self.listed(serials) == len(serials))

    def test_rework_revokes_also_what_the_record_names_no_more(self):
        serials, path, key = self.renewed("B-1", RENEWALS)
        self.assertEqual(len(self.server.device("B-1")["certificates"]), 12)
        head = self.server.head()
        self.server.touchmark("device", "rework", "B-1", "--reason", "new board")
        leaves = self.server.leaves(head)
        self.assertEqual(sorted(leaf["serial"] for leaf in leaves if leaf["event"] == "revoked"),
                         sorted(serials))
        self.assertEqual([leaf["event"] for leaf in leaves][RENEWALS + 1:], ["transition"])
        self.assertEqual(self.server.device("B-1")["state"], "provisioning")
        self.assertEqual(self.renew(path, key).status, 403)
        self.check_all_revoked(serials)

    def test_out_of_use_is_revoked(self):
        gone = []
        for name, state in (("B-2", "retired"), ("B-3", "revoked")):
            serials, path, key = self.renewed(name, 1)
            self.server.transition(name, state)
            self.assertEqual(self.renew(path, key).status, 403)
            gone += serials
        self.check_all_revoked(gone)

    def test_suspended_is_no_revocation(self):
        """Nothing works with it here; what others ask about it, they are told as before."""
        [serial], path, key = self.renewed("B-4", 0)
        self.server.transition("B-4", "activated")
        self.server.touchmark("device", "suspend", "B-4", "--reason", "lost")
        answer = self.renew(path, key)
        self.assertEqual((answer.status, "is suspended" in answer.text), (403, True), answer)
        marker, _, _ = self.renewed("B-5", 0)
        self.server.touchmark("cert", "revoke", marker[0], "--reason", "superseded")
        self.check_all_revoked(marker)  # by then the other would be there, too
        self.assertEqual((self.told(serial), self.listed([serial])), ("good", 0))
        self.server.touchmark("device", "resume", "B-4", "--reason", "found")
        self.assertEqual(self.server.device("B-4")["certificates"][0]["status"], "active")

    def test_transitions_at_once_are_one_history(self):
        """Twenty of one device: what is done is what the table allows after what was done before,
        with a leaf and an event each, and what is refused is nothing."""
        self.renewed("B-6", 0)
        self.server.transition("B-6", "activated")
        head = self.server.head()
        conf = ("--conf", self.site.config)
        verbs = ["suspend", "resume", "suspend", "resume", "return"] * 4
        started = [subprocess.Popen([str(x) for x in (TOUCHMARK, "device", verb, "B-6", "--reason",
                                                      f"{verb} {n}", *conf)],
                                    env=self.site.env, stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE) for n, verb in enumerate(verbs)]
        said = [process.communicate(timeout=PATIENCE)[1].decode() for process in started]
        self.assertEqual({p.returncode for p in started} - {0, 1}, set(), said)
        done = sorted(f"{verb} {n}" for n, verb in enumerate(verbs) if not started[n].returncode)
        leaves = self.server.leaves(head)
        self.assertEqual({leaf["event"] for leaf in leaves}, {"transition"})
        self.assertEqual(sorted(leaf["reason"] for leaf in leaves), done)
        allowed = {"suspend": ("activated", "suspended"), "resume": ("suspended", "activated")}
        state = "activated"
        for leaf in leaves:
            self.assertEqual(leaf["from"], state)
            verb = leaf["reason"].split()[0]
            if verb == "return":
                self.assertIn(state, ("activated", "suspended"))
            else:
                self.assertEqual((state, leaf["to"]), allowed[verb])
            state = leaf["to"]
        self.assertEqual(sum(r.startswith("return") for r in done), 1)
        self.assertEqual((state, self.server.device("B-6")["rma_count"]), ("returned", 1))
        events = run(TOUCHMARK, "events", "--from", head, *conf, env=self.site.env).stdout
        self.assertEqual([json.loads(line)["reason"] for line in events.splitlines()],
                         [leaf["reason"] for leaf in leaves])


if __name__ == "__main__":
    harness.main()
