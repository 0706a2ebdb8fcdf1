# SPDX-License-Identifier: Apache-2.0
"""serverkeygen (RFC 7030, 4.4) to foreign clients: requests by openssl, posted by curl, the answer
read by a MIME library, keys read, decrypted and verified by openssl. No private key stands in
the store or in a log."""

import base64
import email
import email.policy
import re

import harness
from est_cmc import OCTETS, SEQUENCE, SET, SIGNED_DATA, der, oid, sequence_of
from harness import Case, Key, WELL_KNOWN, certificates_in, main, openssl, public_of, run, until

PROFILE = ("kind: ldevid\nkeys: [p256, p384, ed25519]\nsubject:\n  - type: CN\n    value: '{id}'\n"
           "key_usage: [digitalSignature]\next_key_usage: [clientAuth]\nvalidity: 30d\n"
           "credentials: [secret, ldevid, foreign]\nstates: [registered, activated]\n"
           "next_state: activated\nexisting: supersede\nreenroll: true\nretry_window: 1h\n")
harness.PROFILES["keygen"] = PROFILE + "server_keygen: tls\n"
harness.PROFILES["sealed"] = PROFILE + "server_keygen: encrypted\n"
harness.LABELS += [("keygen", "acme", "keygen", False), ("sealed", "acme", "sealed", False)]

ASYMM_DECRYPT_KEY_ID = "1.2.840.113549.1.9.16.2.54"
SMIME_CAPABILITIES = "1.2.840.113549.1.9.15"
AES256_CBC, AES256_WRAP = "2.16.840.1.101.3.4.1.42", "2.16.840.1.101.3.4.1.45"
RSAES_OAEP = "1.2.840.113549.1.1.7"
KEY_PACKAGE = b"2.16.840.1.101.2.1.2.78.5"


def attribute(kind, value):
    return der(SEQUENCE, oid(kind), der(SET, value))


def with_attributes(csr, *attributes):
    """The request with these attributes; its signature is then none, and nobody looks at it."""
    info, algorithm, signature = sequence_of(csr)
    version, name, key = [e.whole for e in info.children()[:3]]
    return der(SEQUENCE, der(SEQUENCE, version, name, key, der(0xA0, *attributes)),
               algorithm.whole, signature.whole)


def encryption_to(certificate):
    """What a request says that wants its key encrypted to this certificate's key."""
    text = openssl("x509", "-in", certificate, "-noout", "-ext", "subjectKeyIdentifier").decode()
    key_id = bytes.fromhex(re.search(r"([0-9A-F]{2}(:[0-9A-F]{2})+)", text)[1].replace(":", ""))
    able = (der(SEQUENCE, oid(a)) for a in (AES256_CBC, AES256_WRAP, RSAES_OAEP))
    return (attribute(ASYMM_DECRYPT_KEY_ID, der(OCTETS, key_id)),
            attribute(SMIME_CAPABILITIES, der(SEQUENCE, *able)))


class ServerKeyGen(Case):
    core = {"wrap_key": "wrap.key"}

    # ---- asking ----

    def curl(self, label, csr, *args):
        """(HTTP status, headers and body as one MIME message) of one POST by curl."""
        out, head = (self.site.folder / f"curl-{kind}-{self.id()}" for kind in ("body", "head"))
        said = run("curl", "--silent", "--show-error", "--cacert", self.site.root, "--output", out,
                   "--dump-header", head, "--write-out", "%{http_code}", "--header",
                   "Content-Type: application/pkcs10", "--data-binary", "@-", *args,
                   f"https://127.0.0.1:{self.server.port}{WELL_KNOWN}/{label}/serverkeygen",
                   stdin=base64.b64encode(csr))
        fields = head.read_bytes().split(b"\r\n", 1)[1]
        return int(said.stdout), email.message_from_bytes(fields + out.read_bytes(),
                                                          policy=email.policy.HTTP)

    def answer(self, label, csr, *args):
        """(key part, PEM of the certificate) of an answer that is one."""
        status, message = self.curl(label, csr, *args)
        self.assertEqual(status, 200, message)
        self.assertEqual(message.get_content_type(), "multipart/mixed")
        key, issued = message.iter_parts()
        self.assertEqual(self.kind(issued), ("application/pkcs7-mime", "certs-only"))
        [pem] = certificates_in(base64.b64encode(issued.get_payload(decode=True)))
        return key, pem

    @staticmethod
    def kind(part):
        return part.get_content_type(), part["Content-Type"].params.get("smime-type")

    def device(self, name, kind):
        """A registered device with another maker's certificate: (certificate, key) paths."""
        self.server.add_device(name, secret=False)
        key = Key(self.site.folder, name, kind)
        usage = "keyEncipherment" if kind.startswith("rsa") else "keyAgreement"
        extensions = self.site.folder / f"{name}.cnf"
        extensions.write_text("basicConstraints=critical,CA:FALSE\nsubjectKeyIdentifier=hash\n"
                              f"authorityKeyIdentifier=keyid\nkeyUsage=digitalSignature,{usage}\n")
        csr = openssl("req", "-new", "-key", key.path, "-subj", f"/CN={name}")
        certificate = self.site.folder / f"{name}.pem"
        certificate.write_bytes(
            openssl("x509", "-req", "-CA", self.site.folder / "foreign.pem", "-CAkey",
                    self.site.folder / "foreign.key", "-CAcreateserial", "-days", "30", "-extfile",
                    extensions, stdin=csr))
        return certificate, key.path

    def dummy(self, name, kind="P-256"):
        return Key(self.site.folder, f"dummy-{name}", kind).csr()

    # ---- what openssl says of it ----

    def assert_key_of(self, pkcs8, pem):
        public = openssl("pkey", "-inform", "DER", "-pubout", "-outform", "DER", stdin=pkcs8)
        self.assertEqual(public, public_of(pem))

    def assert_nowhere(self, pkcs8):
        """Not as octets, not in hexadecimal, not in base64."""
        text = openssl("pkey", "-inform", "DER", "-noout", "-text", stdin=pkcs8).decode()
        secret = bytes.fromhex(re.sub(r"[\s:]", "", re.search(r"priv:(.*?)pub:", text, re.S)[1]))
        self.assertGreaterEqual(len(secret), 31)
        places = [p for p in self.site.folder.rglob("*")
                  if p.is_file() and "curl-" not in p.name and not p.name.startswith("made-")]
        self.assertIn(self.server.log, places)
        self.assertTrue([p for p in places if p.suffix == ".mdb"])
        whole = base64.b64encode(pkcs8)
        for place in places:
            octets = place.read_bytes()
            for form in (secret[-31:], pkcs8, secret.hex().encode(), whole[:60], whole[-60:]):
                self.assertFalse(form in octets, f"a private key stands in {place}")

    def decrypted(self, message, certificate, key):
        """`openssl cms -decrypt`. The content is a SignedData (RFC 5652, 6.1), to which
        `openssl cms -verify` wants its ContentInfo."""
        inner = openssl("cms", "-decrypt", "-inform", "DER", "-binary", "-recip", certificate,
                        "-inkey", key, stdin=message)
        return der(SEQUENCE, oid(SIGNED_DATA), der(0xA0, inner))

    def verified(self, message):
        """`openssl cms -verify`: the one key of the AsymmetricKeyPackage."""
        printed = openssl("cms", "-cmsout", "-print", "-inform", "DER", stdin=message)
        self.assertIn(KEY_PACKAGE, printed)
        package = openssl("cms", "-verify", "-inform", "DER", "-binary", "-CAfile", self.site.root,
                          "-purpose", "any", stdin=message)
        [key] = sequence_of(package)
        return key.whole

    # ---- under TLS alone ----

    def test_by_secret(self):
        secret = self.server.add_device("P1")
        who = ("--user", f"P1:{secret}")
        csr = self.dummy("P1")
        key, pem = self.answer("keygen", csr, *who)
        self.assertEqual(self.kind(key), ("application/pkcs8", None))
        pkcs8 = key.get_payload(decode=True)
        self.assert_key_of(pkcs8, pem)
        openssl("verify", "-CAfile", self.site.root, "-untrusted", self.site.issuer,
                stdin=pem.encode())
        self.assert_nowhere(pkcs8)
        again, same = self.answer("keygen", csr, *who)
        self.assertEqual((again.get_payload(decode=True), same), (pkcs8, pem))
        self.renewed_with(pkcs8, pem)
        self.assert_nowhere(pkcs8)

    def renewed_with(self, pkcs8, pem):
        """The device has what it needs: it renews with its certificate and key."""
        certificate, key = (self.site.folder / f"made-{kind}.pem" for kind in ("cert", "key"))
        certificate.write_text(pem)
        key.write_bytes(openssl("pkey", "-inform", "DER", stdin=pkcs8))
        fresh = Key(self.site.folder, "made-fresh")
        answer = self.server.enroll("keygen", fresh.csr(harness.subject_of(pem)), cert=certificate,
                                    key=key, operation="simplereenroll")
        self.assertEqual(answer.status, 200, answer)

    def test_kinds(self):
        for kind, word in (("P-384", "secp384r1"), ("ed25519", "ED25519"),
                           ("rsa2048", "prime256v1")):
            with self.subTest(kind=kind):
                secret = self.server.add_device(f"K-{kind}")
                key, pem = self.answer("keygen", self.dummy(kind, kind), "--user",
                                       f"K-{kind}:{secret}")
                pkcs8 = key.get_payload(decode=True)
                self.assert_key_of(pkcs8, pem)
                text = openssl("pkey", "-inform", "DER", "-noout", "-text", stdin=pkcs8).decode()
                self.assertIn(word, text)
                self.assert_nowhere(pkcs8)

    def test_the_signature_counts_for_nothing(self):
        secret = self.server.add_device("P2")
        csr = bytearray(self.dummy("P2"))
        csr[-1] ^= 1
        _, pem = self.answer("keygen", bytes(csr), "--user", f"P2:{secret}")
        self.assertIn("P2", harness.subject_of(pem))

    # ---- encrypted ----

    def encrypted(self, name, kind, label):
        certificate, own = self.device(name, kind)
        csr = with_attributes(self.dummy(name), *encryption_to(certificate))
        who = ("--cert", certificate, "--key", own)
        key, pem = self.answer(label, csr, *who)
        self.assertEqual(self.kind(key), ("application/pkcs7-mime", "server-generated-key"))
        message = key.get_payload(decode=True)
        pkcs8 = self.verified(self.decrypted(message, certificate, own))
        self.assert_key_of(pkcs8, pem)
        self.assert_nowhere(pkcs8)
        again, same = self.answer(label, csr, *who)
        self.assertEqual((again.get_payload(decode=True), same), (message, pem))
        return message

    def printed(self, message):
        return openssl("cms", "-cmsout", "-print", "-inform", "DER", stdin=message).decode()

    def test_to_an_ec_certificate(self):
        for curve, kdf in (("P-256", "dhSinglePass-stdDH-sha256kdf-scheme"),
                           ("secp384r1", "dhSinglePass-stdDH-sha384kdf-scheme")):
            with self.subTest(curve=curve):
                text = self.printed(self.encrypted(f"E-{curve}", curve, "keygen"))
                for word in (kdf, "id-aes256-wrap", "aes-256-cbc", "rKeyId"):
                    self.assertIn(word, text)

    def test_to_an_rsa_certificate(self):
        text = self.printed(self.encrypted("E-rsa", "rsa2048", "sealed"))
        for word in ("rsaesOaep", "aes-256-cbc", "subjectKeyIdentifier", "sha256"):
            self.assertIn(word, text)

    # ---- what is not given ----

    def refused(self, status, label, csr, *args):
        got, message = self.curl(label, csr, *args)
        self.assertEqual((got, message.get_content_type()), (status, "text/plain"), message)
        text = message.get_content()
        self.assertRegex(text, r"\A[^\n]{8,300}\n\Z")
        return text

    def test_refused(self):
        certificate, own = self.device("R1", "P-256")
        other, _ = self.device("R2", "P-256")
        who = ("--cert", certificate, "--key", own)
        csr = self.dummy("R1")
        self.assertIn("encrypted only", self.refused(400, "sealed", csr, *who))
        self.assertIn("simpleenroll", self.refused(501, "ldevid", csr, *who))
        self.assertIn("needs", self.refused(401, "keygen", csr))
        text = self.refused(400, "keygen", with_attributes(csr, *encryption_to(other)), *who)
        self.assertIn("subjectKeyIdentifier of the TLS client certificate", text)
        shared = attribute("1.2.840.113549.1.9.16.2.37", der(OCTETS, b"ours"))
        self.assertIn("secret key", self.refused(400, "keygen", with_attributes(csr, shared), *who))
        self.assertIn("PKCS#10", self.refused(400, "keygen", b"0\0", *who))
        refused = [leaf for leaf in self.server.leaves() if leaf["event"] == "refused"]
        self.assertTrue(any(leaf["operation"] == "serverkeygen" for leaf in refused))

    def test_without_a_wrap_key(self):
        """The service does not start, and its log says why."""
        self.server.stop()
        mark = self.server.log.stat().st_size
        self.site.core = {}
        try:
            self.server.start(wait=False)
            until("the log says why", lambda: b"server_keygen needs core.wrap_key"
                  in self.server.log.read_bytes()[mark:])
        finally:
            self.site.core = {"wrap_key": "wrap.key"}
            self.server.kill()
            self.server.start()


if __name__ == "__main__":
    main()
