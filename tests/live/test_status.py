#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""CRLs, OCSP and revocation filters of a real server, judged by OpenSSL and GnuTLS, and what
becomes of them when processes are killed or the HSM is away."""

import os
import signal
import subprocess

import harness
from harness import openssl, run, until
from published import URL, StatusCase


class Status(StatusCase):
    def test_full_crl_is_good_for_openssl_and_gnutls(self):
        crl = self.crl()
        told = run("openssl", "crl", "-inform", "DER", "-in", crl, "-noout", "-CAfile",
                   self.site.issuer, "-verify")
        self.assertIn(b"verify OK", told.stdout + told.stderr)
        pem = self.site.folder / "gnutls-crl.pem"
        openssl("crl", "-inform", "DER", "-in", crl, "-out", pem)
        told = run("certtool", "--verify-crl", "--infile", pem, "--load-ca-certificate",
                   self.site.issuer).stdout.decode()
        self.assertIn("Verified.", told)

    def test_revoked_one_is_named_in_time(self):
        good, bad = self.device("crl-good"), self.device("crl-bad")
        self.assertFalse(self.named(harness.serial_of(bad.read_text())))
        self.revoke(bad)  # and nothing else is due within the hour
        until("the CRL names it", lambda: self.named(harness.serial_of(bad.read_text())))
        shard = self.shard_of(bad)
        until("its shard names it", lambda: self.named(harness.serial_of(bad.read_text()), shard))
        for crl in (self.crl(), self.crl(shard)):
            self.assertIn("certificate revoked", self.crl_check(bad, crl))
        self.assertIn(": OK", self.crl_check(good, self.crl()))
        self.assertIn(": OK", self.crl_check(good, self.crl(self.shard_of(good))))

    def test_shards_say_which_certificates_they_are_for(self):
        certificate = self.device("shard")
        point = harness.field(certificate.read_text(), "-ext", "crlDistributionPoints")
        shard = self.shard_of(certificate)
        self.assertIn(f"URI:{URL}/{shard}.crl", point)
        text = openssl("crl", "-inform", "DER", "-in", self.crl(shard), "-noout", "-text").decode()
        self.assertIn("X509v3 Issuing Distribution Point: critical", text)
        self.assertIn(f"URI:{URL}/{shard}.crl", text)

    def test_ca_certificate_is_there(self):
        der = self.fetch("/manufacturing.cer")
        self.assertEqual(der, openssl("x509", "-in", self.site.issuer, "-outform", "DER"))

    def test_caching(self):
        self.crl()
        status, headers, _ = self.get("/manufacturing.crl")
        self.assertEqual(status, 200)
        self.assertEqual(headers["Content-Type"], "application/pkix-crl")
        self.assertIn("max-age", headers["Cache-Control"])
        again, _, body = self.get("/manufacturing.crl", {"If-None-Match": headers["ETag"]})
        self.assertEqual((again, body), (304, b""))

    def test_ocsp(self):
        good, bad = self.device("ocsp-good"), self.device("ocsp-bad")
        self.ocsp_of(bad, ": good")
        text = self.ocsp_of(good, ": good")
        self.assertIn("Response verify OK", text)
        self.revoke(bad)
        text = self.ocsp_of(bad, ": revoked")
        self.assertIn("Reason: keyCompromise", text)
        self.assertIn("Response verify OK", text)
        self.assertIn("unknown", self.ocsp("-serial", "0x0199" + 14 * "42"))

    def test_ocsp_for_gnutls(self):
        certificate = self.device("ocsp-gnutls")
        self.ocsp_of(certificate, ": good")
        done = run("ocsptool", f"--ask=http://127.0.0.1:{self.port}/ocsp", "--load-issuer",
                   self.site.issuer, "--load-cert", certificate, "--load-trust", self.site.issuer,
                   check=False)
        text = (done.stdout + done.stderr).decode()
        self.assertRegex(text, r"Certificate Status: good")
        self.assertRegex(text, r"Verifying OCSP Response: Success")

    def test_filter(self):
        good, bad = self.device("filter-good"), self.device("filter-bad")
        self.revoke(bad)

        def known():  # a filter covers what was issued a second before it is begun
            self.server.touchmark("publish", "now")
            return self.gateway(bad) == "revoked"
        until("the filter knows the revoked one", known)
        self.assertEqual(self.gateway(good), "good")
        late = self.device("filter-late")
        self.assertEqual(self.gateway(late), "unknown")
        foreign, _ = self.site.foreign_device("filter-foreign")
        self.assertEqual(self.gateway(foreign), "unknown")

    def test_what_is_published_is_listed(self):
        self.crl()
        until("all of it is served", lambda: all(
            row["served"] for row in self.server.touchmark("publish", "list")))
        names = {row["object"] for row in self.server.touchmark("publish", "list")}
        self.assertEqual(names, {"certificate", "crl", "crl-0", "crl-1", "crl-2", "crl-3", "filter"})

    def test_publication_is_in_the_audit(self):
        number = self.number(self.crl())
        self.assertTrue(any(leaf["event"] == "published" and f"number {number}" in leaf["reason"]
                            for leaf in self.server.leaves()))


class Killed(StatusCase, harness.FaultyCase):
    """Numbers rise and files are whole, whoever dies."""
    signer = {"watchdog": "3s" if harness.SLOW else "1s"}

    def check_whole(self, since):
        number = self.number(self.crl())
        self.assertGreaterEqual(number, since)
        run("openssl", "crl", "-inform", "DER", "-in", self.site.folder / "fetched-manufacturing.crl",
            "-noout", "-CAfile", self.site.issuer, "-verify")
        return number

    def kill(self, role):
        for pid in self.server.pids(role):
            os.kill(pid, signal.SIGKILL)

    def publish(self):
        until("the core takes the command", lambda: subprocess.run(
            [harness.TOUCHMARK, "publish", "now", "--socket",
             self.site.folder / "run" / "admin.sock"], capture_output=True).returncode == 0)

    def test_killed_publishers(self):
        number = self.check_whole(0)
        for _ in range(2 if harness.SLOW else 4):
            for role in ("core", "status", "signer"):
                self.publish()
                self.kill(role)
                number = self.check_whole(number)
        self.publish()
        until("a newer one comes", lambda: self.check_whole(number) > number)

    def test_core_killed_at_each_step(self):
        for point in ("core.publish_numbered", "core.publish_signed", "core.published"):
            with self.subTest(point):
                before = self.check_whole(0)
                self.server.stop()
                self.server.start(TOUCHMARK_CRASH=point)
                until("a newer one comes", lambda: self.check_whole(before) > before)

    def late(self, since):
        return [leaf["reason"] for leaf in self.server.leaves(since) if leaf["event"] == "alarm"
                and leaf["reason"].endswith("is late: it does not name what was revoked")]

    def test_token_hangs(self):
        """Whoever signs with it is replaced, in vain. What is published stays; what is late is
        told."""
        number = self.check_whole(0)
        certificate = self.device("hangs")
        head = self.server.head()
        self.fault("hang")
        try:
            self.revoke(certificate)
            until("the alarm is in the audit",
                  lambda: "crl of manufacturing is late: it does not name what was revoked"
                  in self.late(head))
            self.assertEqual(self.check_whole(number), number)
            self.assertTrue(any(row["late"] for row in self.server.touchmark("publish", "list")))
        finally:
            self.fault("")
        until("the CRL names it", lambda: self.named(harness.serial_of(certificate.read_text())))
        until("nothing is late", lambda: not any(
            row["late"] for row in self.server.touchmark("publish", "list")))

    def test_signer_stops(self):
        """One that is silent is replaced, and its successor signs."""
        certificate = self.device("stops")
        stopped = self.server.pids("signer")
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        self.revoke(certificate)
        until("the CRL names it", lambda: self.named(harness.serial_of(certificate.read_text())))
        self.assertFalse(set(stopped) & set(self.server.pids("signer")))


if __name__ == "__main__":
    harness.main()
