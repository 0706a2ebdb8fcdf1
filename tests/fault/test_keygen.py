# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the core at every step of a serverkeygen: a retry gives one certificate with its key,
and the same ones from then on."""

import email
import email.policy
import http.client
import pathlib
import re
import ssl
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "live"))

import harness  # noqa: E402
from est_cmc import OCTETS, SEQUENCE, SET, der, oid, sequence_of  # noqa: E402
from harness import (Case, Key, PATIENCE, body_of, certificates_in, finish, main, openssl,  # noqa: E402
                     public_of, serial_of)

PROFILE = ("kind: ldevid\nkeys: [p256]\nsubject:\n  - type: CN\n    value: '{id}'\n"
           "key_usage: [digitalSignature, keyAgreement]\next_key_usage: [clientAuth]\n"
           "validity: 30d\ncredentials: [secret, idevid, ldevid]\nstates: [registered, activated]\n"
           "next_state: activated\nexisting: supersede\nreenroll: true\nretry_window: 1h\n")
harness.PROFILES["keygen"] = PROFILE + "server_keygen: tls\n"
harness.PROFILES["agree"] = PROFILE
harness.LABELS += [("keygen", "acme", "keygen", False), ("agree", "acme", "agree", False)]

POINTS = ["core.received", "core.intent_durable", "core.signed", "core.verified",
          "core.key_signed", "core.key_sealed", "core.record_submitted", "core.recorded",
          "core.replied"]
GONE = (ConnectionError, ssl.SSLError, http.client.HTTPException, TimeoutError)
AES256_CBC, AES256_WRAP = "2.16.840.1.101.3.4.1.42", "2.16.840.1.101.3.4.1.45"


def encrypted_to(csr, certificate):
    """The request, asking for encryption to this certificate (RFC 7030, 4.4.1.2)."""
    text = openssl("x509", "-in", certificate, "-noout", "-ext", "subjectKeyIdentifier").decode()
    key_id = bytes.fromhex(re.search(r"([0-9A-F]{2}(:[0-9A-F]{2})+)", text)[1].replace(":", ""))
    able = [der(SEQUENCE, oid(a)) for a in (AES256_CBC, AES256_WRAP)]
    wishes = [("1.2.840.113549.1.9.16.2.54", der(OCTETS, key_id)),
              ("1.2.840.113549.1.9.15", der(SEQUENCE, *able))]
    attributes = [der(SEQUENCE, oid(kind), der(SET, value)) for kind, value in wishes]
    info, algorithm, signature = sequence_of(csr)
    version, name, key = [e.whole for e in info.children()[:3]]
    return der(SEQUENCE, der(SEQUENCE, version, name, key, der(0xA0, *attributes)),
               algorithm.whole, signature.whole)


class KeygenCrash(Case):
    listen = {"workers": 1}
    core = {"wrap_key": "wrap.key"}

    @classmethod
    def prepare(cls, site):
        """One start without crashes, so that the server has its own certificate and the
        issuance under test is the only one."""
        cls.server.start()
        cls.cert, cls.key = cls.server.enrolled("C0001", label="agree")
        cls.head = cls.server.head()
        cls.server.stop()

    def setUp(self):
        self.server.stop()

    def ask_until_answered(self, body):
        """As a device does: the same request again until there is an answer that is final."""
        trouble = []
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                answer = self.server.enroll("keygen", None, body=body, operation="serverkeygen",
                                            cert=self.cert, key=self.key.path)
            except GONE as error:
                trouble.append(repr(error))
                time.sleep(0.02)  # a device's back-off
                continue
            if answer.status not in (503, 409):
                self.assertEqual(answer.status, 200, f"{answer} after {trouble}")
                return answer
            trouble.append(answer.status)
            time.sleep(0.02)
        raise AssertionError(f"never answered: {trouble[-5:]}")

    def parts(self, answer):
        text = f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode() + answer.body
        key, issued = email.message_from_bytes(text, policy=email.policy.HTTP).iter_parts()
        [pem] = certificates_in(issued.get_payload().encode())
        return key.get_payload(decode=True), pem

    def public_of_encrypted(self, message):
        signed = openssl("cms", "-decrypt", "-inform", "DER", "-binary", "-recip", self.cert,
                         "-inkey", self.key.path, stdin=message)
        package = openssl("cms", "-verify", "-inform", "DER", "-binary", "-noverify", stdin=der(
            SEQUENCE, oid("1.2.840.113549.1.7.2"), der(0xA0, signed)))
        [key] = sequence_of(package)
        return self.public_of_plain(key.whole)

    def public_of_plain(self, pkcs8):
        return openssl("pkey", "-inform", "DER", "-pubout", "-outform", "DER", stdin=pkcs8)

    def killed(self, since):
        log = self.server.log.read_bytes()[since:]
        return len(re.findall(rb'"core(-\d+)? \(process \d+\) was killed by SIGKILL', log))

    def over_a_crash(self, point, csr, public):
        log, head = self.server.log.stat().st_size, self.head
        self.server.start(TOUCHMARK_CRASH=point)
        answer = self.ask_until_answered(body_of(csr))
        key, pem = self.parts(answer)
        self.assertEqual(public(key), public_of(pem))
        self.assertEqual(self.ask_until_answered(body_of(csr)).body, answer.body)
        leaves = self.server.leaves(head)
        self.assertEqual([x["serial"] for x in leaves if x["event"] == "issued"], [serial_of(pem)])
        self.assertEqual(self.server.intents(), [])
        type(self).head = self.server.head()
        self.server.stop()
        finish(self.server)
        return self.killed(log)

    def at_each_point(self, points, wish, public):
        for point in points:
            with self.subTest(point=point):
                dummy = Key(self.site.folder, f"dummy-{point}")
                self.assertEqual(self.over_a_crash(point, wish(dummy.csr()), public), 1,
                                 f"the core was not killed at {point}")

    def test_plain(self):
        self.at_each_point([p for p in POINTS if p != "core.key_signed"], lambda csr: csr,
                           self.public_of_plain)

    def test_encrypted(self):
        """The two steps that a plain one has not, and the record."""
        self.at_each_point(["core.key_signed", "core.key_sealed", "core.record_submitted"],
                           lambda csr: encrypted_to(csr, self.cert), self.public_of_encrypted)


if __name__ == "__main__":
    main()
