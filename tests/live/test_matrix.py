# SPDX-License-Identifier: Apache-2.0
"""Every way to be refused: the right status, one clear sentence, nothing issued, and a leaf in
the audit. And the odd but valid requests that must succeed."""

import base64
import ssl
import time
import unittest

from harness import (Case, Key, WELL_KNOWN, basic, body_of, certificates_in, field,
                     main, openssl, public_of, serial_of, subject_of,
                     until)

PKCS10 = {"Content-Type": "application/pkcs10"}
ISSUING = {"intent", "issued"}


class Matrix(Case):
    """A refusal is asked for inside `with self.refused(...)`."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.key = Key(cls.site.folder, "common")
        cls.count = 0

    def name(self):
        """A new device ID."""
        type(self).count += 1
        return f"M{self.count:04}"

    def refuse(self, ask, status, outcome, issued=0):
        """ask() must be answered with status and leave one refusal of this outcome."""
        before = self.server.head()
        answer = ask()
        self.assertEqual(answer.status, status, answer)
        self.check_sentence(answer)

        def leaf():
            leaves = self.server.leaves(before)
            return [x for x in leaves if x["event"] == "refused"] and leaves
        leaves = until(f"a refusal leaf {outcome}", leaf, 10)
        outcomes = [x["outcome"] for x in leaves if x["event"] == "refused"]
        self.assertEqual(outcomes, [outcome])
        self.assertEqual(len([x for x in leaves if x["event"] in ISSUING]), issued, leaves)
        return answer

    def post(self, path, body, headers=None, **kw):
        return self.server.ask("POST", f"{WELL_KNOWN}/{path}", body, headers or PKCS10, **kw)


class WhoAsks(Matrix):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.expiring = cls.server.enrolled("E0001", "short")

    def test_no_credential(self):
        answer = self.refuse(lambda: self.server.enroll("ldevid", self.key.csr()), 401,
                             "no-credential")
        self.assertRegex(answer.headers["WWW-Authenticate"], r"^Basic realm=")

    def test_wrong_secret(self):
        name = self.name()
        self.server.add_device(name)
        self.refuse(lambda: self.server.enroll("ldevid", self.key.csr(), name, "wrong"), 401,
                    "bad-secret")

    def test_unknown_user_is_not_told_apart(self):
        name = self.name()
        self.server.add_device(name)
        known = self.refuse(lambda: self.server.enroll("ldevid", self.key.csr(), name, "wrong"),
                            401, "bad-secret")
        unknown = self.refuse(
            lambda: self.server.enroll("ldevid", self.key.csr(), "nobody", "wrong"), 401,
            "bad-secret")
        self.assertEqual(known.text, unknown.text)

    def test_used_secret(self):
        name = self.name()
        secret = self.server.add_device(name)
        self.server.enrolled(name, secret=secret)
        other = Key(self.site.folder, f"other-{name}")
        self.refuse(lambda: self.server.enroll("ldevid", other.csr(), name, secret), 401,
                    "secret-used")

    def test_secret_of_another_tenant(self):
        name = self.name()
        secret = self.server.add_device(name, tenant="globex")
        self.refuse(lambda: self.server.enroll("ldevid", self.key.csr(), name, secret), 401,
                    "bad-secret")

    def test_foreign_ca(self):
        self.site.make_ca("strange", "Stranger")
        cert, key = self.site.foreign_device("S0001", ca="strange")
        self.refuse(lambda: self.server.enroll("ldevid", self.key.csr(), cert=cert, key=key), 403,
                    "untrusted")

    def test_anchors_are_the_tenants_own(self):
        cert, key = self.site.foreign_device("F0001")
        self.refuse(lambda: self.server.enroll("other", self.key.csr(), cert=cert, key=key), 403,
                    "untrusted")

    def test_foreign_device_that_is_not_registered(self):
        cert, key = self.site.foreign_device("F0002")
        self.refuse(lambda: self.server.enroll("ldevid", self.key.csr(), cert=cert, key=key), 403,
                    "unknown-device")

    def test_foreign_device_that_is_registered_succeeds(self):
        name = self.name()
        self.server.add_device(name, secret=False)
        cert, key = self.site.foreign_device(name)
        own = Key(self.site.folder, f"own-{name}")
        answer = self.server.enroll("idevid", own.csr(f"/CN={name}"), cert=cert, key=key)
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(public_of(answer.pem()), own.public())

    def test_expired(self):
        cert, key = self.expiring
        until("the certificate expires", lambda: time.time() > self.site.soon + 1)
        other = Key(self.site.folder, "late")
        subject = subject_of(cert.read_text())
        self.refuse(lambda: self.server.enroll("short", other.csr(subject), cert=cert,
                                               key=key.path, operation="simplereenroll"),
                    403, "expired")

    def test_revoked(self):
        cert, key = self.server.enrolled(self.name())
        self.server.touchmark("cert", "revoke", serial_of(cert.read_text()), "--reason",
                              "keyCompromise")
        subject = subject_of(cert.read_text())
        self.refuse(lambda: self.server.enroll("ldevid", key.csr(subject), cert=cert, key=key.path,
                                               operation="simplereenroll"), 403, "revoked")

    def test_revoked_on_a_kept_connection(self):
        name = self.name()
        cert, key = self.server.enrolled(name)
        subject = subject_of(cert.read_text())
        path = f"{WELL_KNOWN}/ldevid/simplereenroll"
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.subTest(version=version), \
                    self.server.connect(cert=cert, key=key.path, version=version) as kept:
                other = Key(self.site.folder, f"kept-{name}-{version.value}")
                if version == ssl.TLSVersion.TLSv1_2:
                    answer = kept.ask("POST", path, body_of(other.csr(subject)), PKCS10)
                    self.assertEqual(answer.status, 200, answer)
                    self.server.touchmark("cert", "revoke", serial_of(cert.read_text()),
                                          "--reason", "keyCompromise")
                self.refuse(lambda: kept.ask("POST", path, body_of(other.csr(subject)), PKCS10),
                            403, "revoked")

    def test_wrong_tenant(self):
        name = self.name()
        cert, key = self.server.enrolled(name, "other", "globex")
        self.refuse(lambda: self.server.enroll("ldevid", self.key.csr(), cert=cert, key=key.path),
                    403, "wrong-tenant")

    def test_wrong_lifecycle_state(self):
        name = self.name()
        cert, key = self.server.enrolled(name)
        self.server.transition(name, "suspended")
        self.refuse(lambda: self.server.enroll("ldevid", key.csr(f"/CN={name}"), cert=cert,
                                               key=key.path, operation="simplereenroll"), 403,
                    "wrong-state")

    def test_revoked_device(self):
        name = self.name()
        cert, key = self.server.enrolled(name)
        self.server.transition(name, "revoked")
        self.refuse(lambda: self.server.enroll("ldevid", key.csr(f"/CN={name}"), cert=cert,
                                               key=key.path, operation="simplereenroll"), 403,
                    "revoked")

    def test_idevid_cannot_reenroll(self):
        name = self.name()
        cert, key = self.server.enrolled(name, "idevid")
        self.refuse(lambda: self.server.enroll("ldevid", key.csr(), cert=cert, key=key.path,
                                               operation="simplereenroll"), 403,
                    "wrong-credential")

    def test_idevid_brings_the_ldevid(self):
        name = self.name()
        cert, key = self.server.enrolled(name, "idevid")
        own = Key(self.site.folder, f"work-{name}")
        answer = self.server.enroll("ldevid", own.csr(f"/CN={name}"), cert=cert, key=key.path)
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(self.server.device(name)["state"], "activated")


class WhatIsAsked(Matrix):
    def first(self, der, status, outcome, label="ldevid", body=None):
        name = self.name()
        secret = self.server.add_device(name)
        if callable(der):
            der = der(name)
        return self.refuse(lambda: self.server.enroll(label, der, name, secret, body=body), status,
                           outcome)

    def renew(self, csr, outcome, label="named", status=400):
        """A re-enrollment whose request csr(name, key) makes."""
        name = self.name()
        cert, key = self.server.enrolled(name, label)
        return self.refuse(
            lambda: self.server.enroll(label, csr(name, key), cert=cert, key=key.path,
                                       operation="simplereenroll"), status, outcome)

    def test_subject_changed(self):
        self.renew(lambda name, key: key.csr(f"/CN={name}x"), "bad-subject")

    def test_subject_of_another_device(self):
        self.first(self.key.csr("/CN=somebody-else"), 400, "bad-subject")

    def test_san_changed(self):
        self.renew(lambda name, key: key.csr(f"/CN={name}", san="URI:urn:device:another"),
                   "bad-san")

    def test_same_subject_and_san_renew(self):
        name = self.name()
        cert, key = self.server.enrolled(name, "named")
        csr = key.csr(f"/CN={name}", san=f"URI:urn:device:{name}")
        answer = self.server.enroll("named", csr, cert=cert, key=key.path,
                                    operation="simplereenroll")
        self.assertEqual(answer.status, 200, answer)
        self.assertNotEqual(serial_of(answer.pem()), serial_of(cert.read_text()))

    def test_rsa_1024(self):
        key = Key(self.site.folder, "rsa1024", "rsa1024")
        self.first(key.csr(), 400, "bad-key", label="named")

    def test_rsa_2048_where_the_profile_takes_it(self):
        name = self.name()
        key = Key(self.site.folder, "rsa2048", "rsa2048")
        answer = self.server.enroll("named", key.csr(f"/CN={name}"), name,
                                    self.server.add_device(name))
        self.assertEqual(answer.status, 200, answer)

    def test_curve_that_the_profile_does_not_take(self):
        self.first(Key(self.site.folder, "k1", "secp256k1").csr(), 400, "bad-key")

    def test_key_kind_that_the_profile_does_not_take(self):
        self.first(Key(self.site.folder, "ed", "ed25519").csr(digest=None), 400, "bad-key")

    def test_point_off_the_curve(self):
        der = bytearray(self.key.csr())
        at = der.index(self.key.public()[-65:]) + 1
        der[at + 40] ^= 1
        self.first(bytes(der), 400, "bad-key")

    def test_bad_signature(self):
        der = bytearray(self.key.csr())
        der[-1] ^= 1
        self.first(bytes(der), 400, "bad-pop")

    def test_sha1_signature(self):
        self.first(self.key.csr(digest="-sha1"), 400, "bad-pop")

    def test_truncated_request(self):
        self.first(self.key.csr()[:-10], 400, "bad-csr")

    def test_trailing_junk_after_the_request(self):
        self.first(self.key.csr() + b"\x05\x00", 400, "bad-csr")

    def test_trailing_junk_after_the_base64(self):
        self.first(None, 400, "bad-body", body=body_of(self.key.csr()) + b"!junk!")

    def test_data_after_padding(self):
        self.first(None, 400, "bad-body", body=base64.b64encode(b"x") + b"QUJD")

    def test_not_a_request(self):
        self.first(b"hello", 400, "bad-csr")

    def test_empty_body(self):
        self.first(None, 400, "bad-body", body=b"")

    def test_key_of_another_device(self):
        cert, key = self.server.enrolled(self.name())
        self.first(key.csr(), 409, "duplicate-key")

    def test_second_idevid(self):
        name = self.name()
        self.server.enrolled(name, "idevid")
        secret = self.server.secret(name)
        other = Key(self.site.folder, f"second-{name}")
        self.refuse(lambda: self.server.enroll("idevid", other.csr(f"/CN={name}"), name, secret),
                    409, "already-issued")

    def test_no_link_where_one_is_demanded(self):
        self.first(self.key.csr(), 400, "not-linked", label="linked")

    def test_link_of_another_session(self):
        for label in ("linked", "ldevid", "unlinked"):
            with self.subTest(label=label):
                binding = base64.b64encode(bytes(32)).decode()
                self.first(lambda name: self.key.csr(f"/CN={name}", password=binding), 400,
                           "bad-link", label=label)

    def test_pending(self):
        name = self.name()
        secret = self.server.add_device(name)
        before = self.server.head()
        csr = self.key.csr(f"/CN={name}")
        answer = self.server.enroll("approved", csr, name, secret)
        self.assertEqual(answer.status, 202, answer)
        self.assertGreater(int(answer.headers["Retry-After"]), 0)
        again = self.server.enroll("approved", csr, name, secret)
        self.assertEqual(again.status, 202, again)
        events = {x["event"] for x in self.server.leaves(before)}
        self.assertFalse(events & ISSUING, events)


class HowItIsAsked(Matrix):
    def test_wrong_content_type(self):
        for kind in ("application/pkcs10x", "text/plain", "application/x-pkcs10", "", None):
            with self.subTest(kind=kind):
                self.refuse(lambda: self.post("ldevid/simpleenroll", body_of(self.key.csr()),
                                              {"Content-Type": kind}), 415, "bad-content-type")

    def test_content_type_as_others_write_it(self):
        for kind in ("Application/PKCS10", "application/pkcs10; charset=utf-8"):
            with self.subTest(kind=kind):
                name = self.name()
                secret = self.server.add_device(name)
                key = Key(self.site.folder, f"kind-{name}")
                answer = self.server.enroll("ldevid", key.csr(), name, secret,
                                            headers={"Content-Type": kind})
                self.assertEqual(answer.status, 200, answer)

    def test_wrong_method(self):
        for method, operation, allow in (("GET", "simpleenroll", "POST"),
                                         ("PUT", "simplereenroll", "POST"),
                                         ("POST", "cacerts", "GET"),
                                         ("DELETE", "csrattrs", "GET")):
            with self.subTest(method=method, operation=operation):
                body = b"" if method in ("POST", "PUT") else None
                answer = self.refuse(
                    lambda: self.server.ask(method, f"{WELL_KNOWN}/ldevid/{operation}", body,
                                            PKCS10), 405, "bad-method")
                self.assertIn(allow, answer.headers["Allow"])

    def test_oversized(self):
        body = b"A" * (64 * 1024)
        self.refuse(lambda: self.post("ldevid/simpleenroll", body), 413, "too-large")

    def test_oversized_by_its_word(self):
        """Refused by its Content-Length alone: nothing of the body is waited for."""
        self.refuse(lambda: self.post("ldevid/simpleenroll", b"A",
                                      {**PKCS10, "Content-Length": str(1 << 40)}), 413,
                    "too-large")

    def test_oversized_chunked(self):
        def ask():
            with self.server.connect() as c:
                head = (f"POST {WELL_KNOWN}/ldevid/simpleenroll HTTP/1.1\r\nHost: h\r\n"
                        "Content-Type: application/pkcs10\r\nTransfer-Encoding: chunked\r\n\r\n")
                c.send(head.encode())
                for _ in range(16):
                    c.send(b"1000\r\n" + b"A" * 4096 + b"\r\n")
                c.send(b"0\r\n\r\n")
                return c.receive()
        self.refuse(ask, 413, "too-large")

    def test_unknown_label(self):
        self.refuse(lambda: self.post("nowhere/simpleenroll", body_of(self.key.csr())), 404,
                    "unknown-label")

    def test_label_equal_to_an_operation(self):
        for path in ("cacerts/simpleenroll", "simpleenroll/simpleenroll"):
            with self.subTest(path=path):
                self.refuse(lambda: self.post(path, body_of(self.key.csr())), 404, "bad-path")

    def test_paths_that_are_none(self):
        for path in ("", "ldevid", "ldevid/", "ldevid/simpleenroll/", "ldevid/simpleenroll/x",
                     "ldevid//simpleenroll", "ldevid/SimpleEnroll"):
            with self.subTest(path=path):
                self.refuse(lambda: self.post(path, body_of(self.key.csr())), 404, "bad-path")

    def test_not_implemented(self):
        self.refuse(lambda: self.post("ldevid/serverkeygen", body_of(self.key.csr()), PKCS10), 501,
                    "not-implemented")

    def test_fullcmc_of_another_type(self):
        for kind in ("application/pkcs10", "application/pkcs7-mime"):
            with self.subTest(kind=kind):
                self.refuse(lambda: self.post("ldevid/fullcmc", body_of(self.key.csr()),
                                              {"Content-Type": kind}), 415, "bad-content-type")

    def test_fullcmc_that_is_none(self):
        before = self.server.head()
        answer = self.post("ldevid/fullcmc", body_of(self.key.csr()),
                           {"Content-Type": "application/pkcs7-mime; smime-type=CMC-request"})
        self.assertEqual(answer.status, 400, answer)
        self.assertEqual(answer.headers["Content-Type"],
                         "application/pkcs7-mime; smime-type=CMC-response")
        dump = openssl("asn1parse", "-inform", "DER", stdin=base64.b64decode(answer.body))
        self.assertIn(b"id-cct-PKIResponse", dump)
        until("a refusal leaf", lambda: self.server.leaves(before), 10)

    def test_credential_that_cannot_be_read(self):
        for value in ("Basic !!!", "Basic", "Basic " + base64.b64encode(b"nocolon").decode(),
                      "Bearer abc"):
            with self.subTest(value=value):
                before = self.server.head()
                answer = self.post("ldevid/simpleenroll", body_of(self.key.csr()),
                                   {**PKCS10, "Authorization": value})
                self.assertEqual(answer.status, 401, answer)
                self.check_sentence(answer)
                until("a refusal leaf", lambda: self.server.leaves(before), 10)


class OddButValid(Matrix):
    def begin(self):
        name = self.name()
        return name, self.server.add_device(name), Key(self.site.folder, f"odd-{name}")

    def check(self, answer, key):
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.headers["Content-Type"],
                         "application/pkcs7-mime; smime-type=certs-only")
        self.assertEqual(public_of(answer.pem()), key.public())

    def head(self, name, secret, *more):
        return "\r\n".join([f"POST {WELL_KNOWN}/ldevid/simpleenroll HTTP/1.1", "Host: h",
                            "Content-Type: application/pkcs10",
                            f"Authorization: {basic(name, secret)}", *more, "", ""]).encode()

    def test_chunked(self):
        name, secret, key = self.begin()
        body = body_of(key.csr())
        with self.server.connect() as c:
            c.send(self.head(name, secret, "Transfer-Encoding: chunked"))
            for at in range(0, len(body), 50):
                part = body[at:at + 50]
                c.send(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            c.send(b"0\r\n\r\n")
            self.check(c.receive(), key)

    def test_expect_100_continue(self):
        name, secret, key = self.begin()
        body = body_of(key.csr())
        with self.server.connect() as c:
            c.send(self.head(name, secret, f"Content-Length: {len(body)}",
                             "Expect: 100-continue"))
            interim = c.sock.recv(4096)
            self.assertTrue(interim.startswith(b"HTTP/1.1 100 "), interim)
            c.send(body)
            self.check(c.receive(), key)

    def test_expectation_that_is_refused(self):
        """A body that would be refused anyway is not asked for."""
        with self.server.connect() as c:
            c.send(f"POST {WELL_KNOWN}/nowhere/simpleenroll HTTP/1.1\r\nHost: h\r\n"
                   "Content-Type: application/pkcs10\r\nContent-Length: 400\r\n"
                   "Expect: 100-continue\r\n\r\n".encode())
            self.assertEqual(c.receive().status, 404)

    def test_pem_body(self):
        name, secret, key = self.begin()
        pem = openssl("req", "-inform", "DER", stdin=key.csr())
        self.check(self.server.enroll("ldevid", None, name, secret, body=pem), key)

    def test_layouts_of_base64(self):
        for layout in ("one line", "wrapped", "crlf", "indented"):
            with self.subTest(layout=layout):
                name, secret, key = self.begin()
                text = base64.b64encode(key.csr()).decode()
                lines = [text[i:i + 64] for i in range(0, len(text), 64)]
                body = {"one line": text, "wrapped": "\n".join(lines) + "\n",
                        "crlf": "\r\n".join(lines) + "\r\n",
                        "indented": "\n".join("\t " + x for x in lines)}[layout]
                self.check(self.server.enroll("ldevid", None, name, secret, body=body.encode()),
                           key)

    def test_transfer_encoding_of_the_content_is_ignored(self):
        name, secret, key = self.begin()
        answer = self.server.enroll("ldevid", key.csr(), name, secret,
                                    headers={"Content-Transfer-Encoding": "base64"})
        self.check(answer, key)

    def test_octet_by_octet(self):
        name, secret, key = self.begin()
        body = body_of(key.csr())
        with self.server.connect() as c:
            for octet in self.head(name, secret, f"Content-Length: {len(body)}") + body:
                c.send(bytes([octet]))
            self.check(c.receive(), key)

    def test_many_requests_on_one_connection(self):
        with self.server.connect() as c:
            for _ in range(20):
                name, secret, key = self.begin()
                self.check(c.ask("POST", f"{WELL_KNOWN}/ldevid/simpleenroll", body_of(key.csr()),
                                 {**PKCS10, "Authorization": basic(name, secret)}), key)

    def test_a_refusal_keeps_the_connection(self):
        with self.server.connect() as c:
            self.assertEqual(c.ask("POST", f"{WELL_KNOWN}/ldevid/simpleenroll",
                                   body_of(self.key.csr()), PKCS10).status, 401)
            name, secret, key = self.begin()
            self.check(c.ask("POST", f"{WELL_KNOWN}/ldevid/simpleenroll", body_of(key.csr()),
                             {**PKCS10, "Authorization": basic(name, secret)}), key)

    def test_two_stray_octets_after_a_request_that_closes(self):
        """libest sends them; the answer must still arrive whole."""
        name, secret, key = self.begin()
        body = body_of(key.csr())
        with self.server.connect() as c:
            c.send(self.head(name, secret, f"Content-Length: {len(body)}", "Connection: close")
                   + body + b"\r\n")
            self.check(c.receive(), key)

    def test_without_label(self):
        name, secret, key = self.begin()
        self.check(self.server.enroll("", key.csr(f"/CN={name}"), name, secret), key)
        [ref] = self.server.device(name)["certificates"]
        self.assertEqual(ref["profile"], "ldevid")

    def test_cacerts(self):
        for path in ("cacerts", "ldevid/cacerts", "other/cacerts"):
            with self.subTest(path=path):
                answer = self.server.ask("GET", f"{WELL_KNOWN}/{path}")
                self.assertEqual(answer.status, 200)
                self.assertEqual(answer.headers["Content-Type"], "application/pkcs7-mime")
                subjects = {field(pem, "-fingerprint") for pem in certificates_in(answer.body)}
                wanted = {field(p.read_text(), "-fingerprint")
                          for p in (self.site.root, self.site.issuer)}
                self.assertEqual(subjects, wanted)

    def test_csrattrs(self):
        answer = self.server.ask("GET", f"{WELL_KNOWN}/ldevid/csrattrs")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["Content-Type"], "application/csrattrs")
        text = openssl("asn1parse", "-inform", "DER", "-oid", "/dev/null",
                       stdin=base64.b64decode(answer.body)).decode()
        self.assertIn("id-ecPublicKey", text)
        # RFC 9908: the certification request information template.
        self.assertIn("1.2.840.113549.1.9.16.2.61", text)

    def test_head_is_answered_like_get(self):
        answer = self.server.ask("HEAD", f"{WELL_KNOWN}/cacerts")
        self.assertEqual((answer.status, answer.body), (200, b""))

    def test_certificate_verifies(self):
        name, secret, key = self.begin()
        pem = self.server.enroll("idevid", key.csr(f"/CN={name}"), name, secret).pem()
        leaf = self.site.folder / "leaf.pem"
        leaf.write_text(pem)
        said = openssl("verify", "-x509_strict", "-CAfile", self.site.root, "-untrusted",
                       self.site.issuer, "-purpose", "sslclient", leaf).decode()
        self.assertIn("OK", said)
        self.assertIn("notAfter=Dec 31 23:59:59 9999", field(pem, "-enddate"))


def load_tests(loader, tests, _pattern):
    suite = unittest.TestSuite()
    for case in (WhoAsks, WhatIsAsked, HowItIsAsked, OddButValid):
        suite.addTests(loader.loadTestsFromTestCase(case))
    return suite


if __name__ == "__main__":
    main()
