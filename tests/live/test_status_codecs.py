# SPDX-License-Identifier: Apache-2.0
"""CRLs and OCSP answers as foreign programs read them: OpenSSL's and GnuTLS's command lines verify
each and come to the same certificates being revoked."""

import os
import pathlib
import subprocess
import tempfile
import unittest

STATUSFILES = pathlib.Path(os.environ["TM_BUILD"]) / "tests" / "live" / "statusfiles"
KINDS = ("P-256", "P-384", "RSA2048", "ED25519")


class Files:
    """What statusfiles writes for one kind of CA key."""

    def __init__(self, kind):
        self.folder = tempfile.TemporaryDirectory(prefix="touchmark-status-")
        done = subprocess.run([STATUSFILES, self.folder.name, kind], capture_output=True, text=True)
        if done.returncode != 0:
            raise AssertionError(done.stdout + done.stderr)

    def run(self, *args):
        """Exit status and all output of a program that runs in the folder."""
        done = subprocess.run(args, cwd=self.folder.name, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    def pem(self, name):
        """A CRL as PEM, for programs that take no other."""
        code, text = self.run("openssl", "crl", "-inform", "DER", "-in", name, "-out", name + ".pem")
        if code != 0:
            raise AssertionError(text)
        return name + ".pem"


def of_every_kind(test):
    """Runs a test on the files of each kind of key."""
    def run(self):
        for kind in KINDS:
            with self.subTest(kind=kind):
                files = Files(kind)
                with files.folder:
                    test(self, files)
    return run


class StatusCodecs(unittest.TestCase):
    def verify(self, files, certificate, crl):
        """Is it valid, in OpenSSL's eyes, with this CRL of its issuer?"""
        code, text = files.run("openssl", "verify", "-x509_strict", "-crl_check", "-CAfile",
                               "root.pem", "-untrusted", "ca.pem", "-CRLfile", files.pem(crl),
                               certificate)
        return code == 0, text

    @of_every_kind
    def test_openssl_reads_crls(self, files):
        for crl in ("full.crl", "shard.crl"):
            code, text = files.run("openssl", "crl", "-inform", "DER", "-in", crl, "-CAfile",
                                   "ca.pem", "-noout", "-crlnumber", "-text")
            self.assertEqual(code, 0, text)
            self.assertIn("verify OK", text)
            self.assertIn("crlNumber=0x1267", text)
            self.assertEqual("factory-1.crl" in text, crl == "shard.crl", text)

    @of_every_kind
    def test_openssl_refuses_the_revoked(self, files):
        for certificate, crl, good, says in (
                ("good.pem", "full.crl", True, "OK"),
                ("revoked.pem", "full.crl", False, "certificate revoked"),
                ("shard-good.pem", "shard.crl", True, "OK"),
                ("shard-revoked.pem", "shard.crl", False, "certificate revoked"),
                ("shard-good.pem", "full.crl", True, "OK"),
                ("shard-revoked.pem", "full.crl", False, "certificate revoked"),
                # A shard says nothing of certificates that do not name it.
                ("revoked.pem", "shard.crl", False, "Different CRL scope")):
            is_good, text = self.verify(files, certificate, crl)
            self.assertEqual(is_good, good, f"{certificate} by {crl}: {text}")
            self.assertIn(says.lower(), text.lower(), f"{certificate} by {crl}")

    @of_every_kind
    def test_gnutls_reads_crls(self, files):
        for crl in ("full.crl", "shard.crl"):
            code, text = files.run("certtool", "--verify-crl", "--load-ca-certificate", "ca.pem",
                                   "--infile", files.pem(crl))
            self.assertEqual(code, 0, text)
            self.assertIn("Verified", text)
            code, text = files.run("certtool", "--crl-info", "--inder", "--infile", crl)
            self.assertEqual(code, 0, text)
            self.assertIn("CRL Number (not critical): 1267", text)
            self.assertIn("Revoked certificates (%d)" % (2 if crl == "full.crl" else 1), text)

    @of_every_kind
    def test_a_changed_crl_is_refused_by_both(self, files):
        path = pathlib.Path(files.folder.name, "full.crl")
        der = bytearray(path.read_bytes())
        at = der.index(bytes((2, 1, 17)))
        der[at + 2] = 18
        path.write_bytes(der)
        _, text = files.run("openssl", "crl", "-inform", "DER", "-in", "full.crl", "-CAfile",
                            "ca.pem", "-noout")
        self.assertIn("verify failure", text)
        code, text = files.run("certtool", "--verify-crl", "--load-ca-certificate", "ca.pem",
                               "--infile", files.pem("full.crl"))
        self.assertNotIn("Verified. ", text)
        self.assertIn("Not verified", text, f"{code}")

    @of_every_kind
    def test_openssl_reads_answers(self, files):
        for name, says in (("good", "good.pem: good"), ("revoked", "revoked.pem: revoked")):
            code, text = files.run("openssl", "ocsp", "-respin", name + ".ocsp", "-issuer",
                                   "ca.pem", "-cert", name + ".pem", "-CAfile", "chain.pem",
                                   "-no_nonce")
            self.assertEqual(code, 0, text)
            self.assertIn("Response verify OK", text)
            self.assertIn(says, text)
            self.assertEqual("Reason: keyCompromise" in text, name == "revoked", text)

    @of_every_kind
    def test_gnutls_reads_answers(self, files):
        for name in ("good", "revoked"):
            code, text = files.run("ocsptool", "--verify-response", "--load-response",
                                   name + ".ocsp", "--load-trust", "ca.pem")
            self.assertEqual(code, 0, text)
            self.assertIn("Verifying OCSP Response: Success", text)
            code, text = files.run("ocsptool", "--response-info", "--load-response",
                                   name + ".ocsp")
            self.assertIn("Certificate Status: " + name, text)


if __name__ == "__main__":
    unittest.main(verbosity=2)
