# SPDX-License-Identifier: Apache-2.0
"""Foreign EST clients against the server: each operation, TLS 1.2 and 1.3. What they could do is
written to docs/interop.md, which is committed: when it changes, this test fails once and leaves
the new one there to be looked at."""

import base64
import os
import unittest

from harness import (BUILD, SOURCE, Case, Key, WELL_KNOWN, body_of, certificates_in, field, main,
                     openssl, public_of, run, serial_of, subject_of)

DOCUMENT = SOURCE / "docs" / "interop.md"
LIBEST = "\n## libest\n"  # from here on the document is tests/live/test_libest.py's
CMC = "\n## CMC and Sparkplug\n"  # and from here on nobody writes it
VERSIONS = ("1.2", "1.3")
JARS = ":".join(f"/usr/share/java/{name}.jar" for name in ("bcpkix", "bcprov", "bcutil"))

CLIENTS = {
    "curl + openssl": (
        "curl, openssl",
        "The requests by `openssl req`, the transfer by `curl`, the answer by `openssl pkcs7`."),
    "strongSwan pki": (
        "strongswan-pki",
        "`pki --estca` and `pki --est`. It knows no label: the default one serves it. It has no "
        "csrattrs."),
    "Bouncy Castle": (
        "libbcpkix-java",
        "`org.bouncycastle.est` over the JDK's TLS. Give it the secret at once (an `ESTAuth` that "
        "sets the header): its `HttpAuth` waits for a 401 whose body it then cannot pass over."),
    "OpenSSL (own client)": (
        "-",
        "`estc`, the client of these tests: the only one that links the request to the session "
        "(tls-exporter, tls-unique)."),
}
OPERATIONS = ("cacerts", "csrattrs", "simpleenroll", "simplereenroll")


class Interop(Case):
    results = {}  # (client, version) -> operations that were shown

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.count = 0

    def device(self):
        type(self).count += 1
        name = f"I{self.count:04}"
        return name, self.server.add_device(name)

    def shown(self, client, version, operation):
        self.results.setdefault((client, version), []).append(operation)

    def check_certificate(self, pem, public, name):
        path = self.site.folder / "leaf.pem"
        path.write_text(pem)
        openssl("verify", "-CAfile", self.site.root, "-untrusted", self.site.issuer, path)
        self.assertEqual(public_of(pem), public)
        self.assertIn(name, subject_of(pem))
        statuses = {x["serial"]: x["status"] for x in self.server.device(name)["certificates"]}
        self.assertEqual(statuses[serial_of(pem)], "active")

    # ---- curl ----

    def curl(self, version, path, *args):
        done = run("curl", "--silent", "--show-error", "--fail", f"--tlsv{version}", "--tls-max",
                   version, "--cacert", self.site.root, *args,
                   f"https://localhost:{self.server.port}{WELL_KNOWN}/ldevid/{path}")
        return done.stdout

    def curl_enroll(self, version, operation, der, *args):
        request = self.site.folder / "curl.b64"
        request.write_bytes(body_of(der))
        [pem] = certificates_in(self.curl(
            version, operation, "--data-binary", f"@{request}", "-H",
            "Content-Type: application/pkcs10", *args))
        return pem

    def test_curl(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                client = "curl + openssl"
                self.assertEqual(len(certificates_in(self.curl(version, "cacerts"))), 2)
                self.shown(client, version, "cacerts")
                attributes = base64.b64decode(self.curl(version, "csrattrs"))
                openssl("asn1parse", "-inform", "DER", stdin=attributes)
                self.shown(client, version, "csrattrs")
                name, secret = self.device()
                key, der = Key.with_csr(self.site.folder, f"curl-{name}", f"/CN={name}")
                pem = self.curl_enroll(version, "simpleenroll", der, "--user", f"{name}:{secret}")
                self.check_certificate(pem, key.public(), name)
                self.shown(client, version, "simpleenroll")
                cert = self.site.folder / f"curl-{name}.pem"
                cert.write_text(pem)
                fresh, der = Key.with_csr(self.site.folder, f"curl-{name}-2", subject_of(pem))
                pem = self.curl_enroll(version, "simplereenroll", der, "--cert", cert, "--key",
                                       key.path)
                self.check_certificate(pem, fresh.public(), name)
                self.shown(client, version, "simplereenroll")

    # ---- strongSwan ----

    def pki(self, version, *args):
        """strongSwan's TLS speaks the versions that its configuration says. It tries one address only, so
        it gets the one."""
        conf = self.site.folder / "strongswan.conf"
        conf.write_text(f"pki {{\n tls {{\n version_min = {version}\n version_max = {version}\n"
                        " }\n}\n")
        done = run("pki", *args, env={**os.environ, "STRONGSWAN_CONF": str(conf)})
        self.assertIn(f"negotiated TLS {version}", done.stderr.decode() + done.stdout.decode())
        return done.stdout.decode()

    def pki_enroll(self, version, der, *args):
        request = self.site.folder / "strongswan.csr"
        request.write_bytes(der)
        said = self.pki(version, "--est", "--url", f"https://127.0.0.1:{self.server.port}",
                        "--in", request, "--cacert", self.site.root, "--cacert", self.site.issuer,
                        "--outform", "pem", *args)
        return said[said.index("-----BEGIN"):]

    def test_strongswan(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                client = "strongSwan pki"
                out = self.site.folder / f"ca-{version}.crt"
                self.pki(version, "--estca", "--url", f"https://127.0.0.1:{self.server.port}",
                         "--cacert", self.site.root, "--caout", out, "--outform", "pem", "--force")
                made = sorted(self.site.folder.glob(f"ca-{version}*.crt"))
                wanted = {field(p.read_text(), "-fingerprint", "-sha256")
                          for p in (self.site.root, self.site.issuer)}
                self.assertEqual({field(p.read_text(), "-fingerprint", "-sha256") for p in made},
                                 wanted)
                self.shown(client, version, "cacerts")
                name, secret = self.device()
                key, der = Key.with_csr(self.site.folder, f"ss-{name}", f"/CN={name}")
                pem = self.pki_enroll(version, der, "--userpass", f"{name}:{secret}")
                self.check_certificate(pem, key.public(), name)
                self.shown(client, version, "simpleenroll")
                cert = self.site.folder / f"ss-{name}.pem"
                cert.write_text(pem)
                fresh, der = Key.with_csr(self.site.folder, f"ss-{name}-2", subject_of(pem))
                pem = self.pki_enroll(version, der, "--cert", cert, "--key", key.path)
                self.check_certificate(pem, fresh.public(), name)
                self.shown(client, version, "simplereenroll")

    # ---- Bouncy Castle ----

    def test_bouncy_castle(self):
        classes = self.site.folder / "classes"
        run("javac", "-cp", JARS, "-d", classes, SOURCE / "tests" / "live" / "BcEst.java")
        for version in VERSIONS:
            with self.subTest(version=version):
                name, secret = self.device()
                done = run("java", "-cp", f"{JARS}:{classes}", "BcEst",
                           f"localhost:{self.server.port}", "ldevid", f"TLSv{version}",
                           self.site.root, name, secret)
                said = dict(line.split(" ", 1) for line in done.stdout.decode().splitlines())
                self.assertEqual(said["cacerts"], "2")
                self.assertGreater(int(said["csrattrs"]), 0)
                certificates = self.server.device(name)["certificates"]
                made = [x["serial"].lstrip("0") for x in certificates]
                self.assertEqual(made, [said["simplereenroll"], said["simpleenroll"]])
                for operation in OPERATIONS:
                    self.shown("Bouncy Castle", version, operation)

    # ---- our own, for what the others cannot ----

    def test_own_client(self):
        for version, link in zip(VERSIONS, ("unique", "exporter")):
            with self.subTest(version=version):
                client = "OpenSSL (own client)"
                name, secret = self.device()
                key = Key(self.site.folder, f"own-{name}")
                out = self.site.folder / "own.p7"
                said = self.server.estc("--tls", version, "--csr-key", key.path, "--subject",
                                        f"/CN={name}", "--user", f"{name}:{secret}", "--link", link,
                                        "--out", out)
                self.assertEqual(said["status"], "200", said)
                [pem] = certificates_in(out.read_bytes())
                self.check_certificate(pem, key.public(), name)
                self.shown(client, version, "simpleenroll")
                cert = self.site.folder / f"own-{name}.pem"
                cert.write_text(pem)
                said = self.server.estc("--tls", version, "--cert", cert, "--key", key.path,
                                        "--csr-key", key.path, "--like", cert, "--operation",
                                        "simplereenroll", "--link", link, "--resume", "--out", out)
                self.assertEqual(said["status"], "200", said)
                [pem] = certificates_in(out.read_bytes())
                self.check_certificate(pem, key.public(), name)
                self.shown(client, version, "simplereenroll")

    # ---- the document ----

    @classmethod
    def document(cls):
        lines = ["# Foreign clients", "",
                 "Written by `tests/live/test_interop.py`, which makes each of these requests "
                 "against a whole server",
                 "on SoftHSM and checks every certificate with `openssl verify`: enrollment by "
                 "one-time secret,",
                 "re-enrollment by the certificate that this gave, with a new key.", "",
                 "| Client | Debian package | TLS | " + " | ".join(OPERATIONS) + " |",
                 "|---|---|---|" + "---|" * len(OPERATIONS)]
        for client, (package, _) in CLIENTS.items():
            for version in VERSIONS:
                done = cls.results.get((client, version), [])
                lines.append(f"| {client} | {package} | {version} | " + " | ".join(
                    "yes" if operation in done else "-" for operation in OPERATIONS) + " |")
        lines.append("")
        lines += [f"- **{client}**: {said}" for client, (_, said) in CLIENTS.items()]
        return "\n".join(lines) + "\n"

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        if os.environ.get("TM_SANITIZER", "none") != "none":
            return
        text = cls.document()
        before = DOCUMENT.read_text() if DOCUMENT.exists() else ""
        own, mark, rest = before.partition(LIBEST)
        if text != own:
            DOCUMENT.write_text(text + mark + rest)
            raise AssertionError(f"{DOCUMENT} was not what this run shows; it is now:\n{text}")


if __name__ == "__main__":
    main()
