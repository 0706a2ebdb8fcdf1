# SPDX-License-Identifier: Apache-2.0
"""Full CMC (RFC 7030, 4.3) to a foreign client: requests by `openssl cms`, posted by curl, and
responses that openssl verifies and prints. Who asks is proven by the message alone, so that the
same octets mean the same wherever they come from."""

import base64
import hashlib
import os
import re

from est_cmc import (RECIPIENT_NONCE, RESPONSE_INFO, SENDER_NONCE, STATUS_INFO_V2, TRANSACTION,
                     Response, Signer, csr_with_key_id, full_request, pki_data, to_der)
from harness import Case, Key, WELL_KNOWN, main, openssl, run, serial_of, subject_of

REQUEST_TYPE = "application/pkcs7-mime; smime-type=CMC-request"
RESPONSE_TYPE = "application/pkcs7-mime; smime-type=CMC-response"


class Party:
    """A device that has nothing but a key, maybe a certificate, and openssl."""

    def __init__(self, case, name, kind="P-256"):
        self.case, self.name = case, name
        self.serial = 0
        self.kind = kind
        self.certificate = None
        self.new_key()

    def new_key(self):
        """The next request is for another key; the one before stays the signer's."""
        self.serial += 1
        self.key = Key(self.case.site.folder, f"party-{self.name}-{self.serial}", self.kind)
        subject = f"/CN={self.name}"
        if self.certificate:
            subject = subject_of(self.certificate.read_text())
        self.csr, self.own = csr_with_key_id(self.key, subject)

    def take(self, response):
        """The issued certificate becomes the one that signs."""
        pem = response.issued(self.key.public())
        self.certificate = self.key.path.with_suffix(".pem")
        self.certificate.write_text(pem)
        self.signer = Signer(self.key.path, self.certificate, self.case.site.issuer)
        return pem

    def by_secret(self, secret, *options, **said):
        """A request that the requested key signs; it knows the device's one-time secret."""
        said = {"csr": self.csr, "identification": self.name, "secret": secret,
                "transaction": self.transaction(), "label": "ldevid", **said}
        return full_request(Signer(self.key.path, own=self.own), *options, **said)

    def by_certificate(self, *options, **said):
        said = {"csr": self.csr, "transaction": self.transaction(), "label": "ldevid", **said}
        return full_request(self.signer, *options, **said)

    def acceptance(self, pem, **said):
        return full_request(self.signer, accept=to_der(pem), transaction=self.transaction(),
                            label="ldevid", **said)

    def transaction(self):
        return f"{self.name}/{self.serial}".encode()


class FullCmc(Case):
    @classmethod
    def prepare(cls, site):
        site.core = {"wrap_key": "wrap.key"}
        site.make_ca("stranger", "Nobody's CA")

    # ---- asking ----

    def curl(self, octets, label="ldevid", who=None, kind=REQUEST_TYPE):
        """(HTTP status, content type, body) of one POST by curl."""
        out = self.site.folder / f"curl-{self.id()}"
        args = ["--cert", who.certificate, "--key", who.key] if who else []
        path = f"{WELL_KNOWN}/{label}/fullcmc" if label else f"{WELL_KNOWN}/fullcmc"
        said = run("curl", "--silent", "--show-error", "--cacert", self.site.root, "--output", out,
                   "--write-out", "%{http_code}\n%{content_type}", "--header",
                   f"Content-Type: {kind}", "--data-binary", "@-", *args,
                   f"https://127.0.0.1:{self.server.port}{path}", stdin=base64.b64encode(octets))
        status, content_type = said.stdout.decode().split("\n")
        return int(status), content_type, out.read_bytes()

    def post(self, octets, **kw):
        """(HTTP status, response); the response is CMC, whatever it says."""
        status, kind, body = self.curl(octets, **kw)
        self.assertEqual(kind, RESPONSE_TYPE, body)
        return status, Response(base64.b64decode(body))

    def challenge(self, party, **said):
        """A refused request brings the challenge for the next."""
        status, response = self.post(self.first(party, **said), label=said.get("label", "ldevid"))
        self.assertEqual((status, response.status, response.fail), (400, "failed", "badTime"))
        return response.challenge

    def first(self, party, **said):
        if party.certificate:
            return party.by_certificate(**said)
        return party.by_secret(party.secret, **said)

    def party(self, name, **kw):
        party = Party(self, name, **kw)
        party.secret = self.server.add_device(name)
        return party

    def enrolled(self, name):
        """A party with a confirmed certificate, and its PEM."""
        party = self.party(name)
        status, response = self.post(party.by_secret(party.secret,
                                                     challenge=self.challenge(party)))
        self.assertEqual((status, response.status), (200, "confirmRequired"), response)
        pem = party.take(response)
        self.assertEqual(self.post(party.acceptance(pem))[1].status, "success")
        return party, pem

    def states(self, name):
        """{serial: status} of a device's certificates."""
        return {c["serial"]: c["status"] for c in self.server.device(name)["certificates"]}

    def refused(self, octets, status, fail, signed=True, **kw):
        """A refusal says in CMC why; by whom, is verified."""
        got, response = self.post(octets, **kw)
        self.assertEqual((got, response.status, response.fail), (status, "failed", fail), response)
        self.assertRegex(response.text, r"\A[^\n]{8,255}\Z")
        if signed:
            response.verified(self.site.root)
        return response

    # ---- what is asked for and given ----

    def test_first_certificate_by_secret(self):
        party = self.party("A1")
        nonce = os.urandom(20)
        message = party.by_secret(party.secret, challenge=self.challenge(party), nonce=nonce)
        status, response = self.post(message)
        self.assertEqual((status, response.status), (200, "confirmRequired"))
        response.verified(self.site.root)
        self.assertEqual(response.controls,
                         [TRANSACTION, SENDER_NONCE, RECIPIENT_NONCE, RESPONSE_INFO,
                          STATUS_INFO_V2])
        self.assertEqual(response.info, hashlib.sha256(message).digest())
        self.assertEqual(response.nonce, nonce)
        self.assertEqual(response.transaction, int.from_bytes(party.transaction(), "big"))
        self.assertEqual(response.parts, [1])  # the PKCS#10's
        pem = party.take(response)
        self.assertEqual(self.states("A1"), {serial_of(pem): "unconfirmed"})
        self.assertEqual(self.server.device("A1")["secret"], "used")
        printed = openssl("cms", "-cmsout", "-inform", "DER", "-print",
                          stdin=response.octets).decode()
        self.assertIn("CN=A1", re.sub(r"\s*=\s*", "=", printed))

        status, response = self.post(party.acceptance(pem))
        self.assertEqual((status, response.status), (200, "success"))
        response.verified(self.site.root)
        self.assertEqual(self.states("A1"), {serial_of(pem): "active"})
        leaves = [(x["event"], x.get("serial")) for x in self.server.leaves()
                  if x.get("device") == "A1" and x["event"] in ("issued", "confirmed")]
        self.assertEqual(leaves, [("issued", serial_of(pem)), ("confirmed", serial_of(pem))])

    def test_the_same_octets_get_the_same_answer(self):
        """With and without a client certificate, over one connection or another."""
        party, first = self.enrolled("B1")
        old = party.signer
        party.new_key()
        message = party.by_certificate(challenge=self.challenge(party))
        status, _, body = self.curl(message)
        self.assertEqual(status, 200)
        pem = party.take(Response(base64.b64decode(body)))
        for who in (None, old, party.signer):
            self.assertEqual(self.curl(message, who=who)[2], body)
        self.assertEqual(self.states("B1"), {serial_of(pem): "unconfirmed",
                                             serial_of(first): "active"})
        self.assertEqual(self.post(party.acceptance(pem))[1].status, "success")
        self.assertEqual(self.states("B1"), {serial_of(pem): "active",
                                             serial_of(first): "superseded"})
        self.assertEqual(self.curl(message)[2], body)

    def test_a_session_of_the_signer_is_fresh_enough(self):
        """TLS by the certificate that signs needs no challenge besides; by another one it does."""
        party, _ = self.enrolled("C1")
        other, _ = self.enrolled("C2")
        party.new_key()
        self.refused(party.by_certificate(), 400, "badTime", who=other.signer)
        status, response = self.post(party.by_certificate(), who=party.signer)
        self.assertEqual((status, response.status), (200, "confirmRequired"), response)

    def test_other_ways_to_sign(self):
        for i, (kind, digest, options) in enumerate((
                ("P-256", "sha384", ()), ("P-256", "sha512", ("-nosmimecap",)),
                ("rsa2048", "sha256", ()))):
            with self.subTest(kind=kind, digest=digest, options=options):
                party = self.party(f"D{i}", kind=kind)
                said = {"label": "named", "digest": digest}
                challenge = self.challenge(party, label="named")
                message = party.by_secret(party.secret, *options, challenge=challenge, **said)
                status, response = self.post(message, label="named")
                self.assertEqual((status, response.status), (200, "confirmRequired"), response)
                party.take(response)

    def test_label_in_the_message_or_in_the_path(self):
        party = self.party("E1")
        message = party.by_secret(party.secret, label="named", challenge=b"x" * 32)
        self.refused(message, 400, "badTime", label="named")
        self.refused(message, 400, "badRequest", label="ldevid", signed=False)
        self.refused(message, 400, "badTime", label="")

    # ---- what is not ----

    def test_challenges(self):
        party, other = self.party("F1"), self.party("F2")
        good = self.challenge(party)
        theirs = self.challenge(other)
        for wrong in (theirs, good[:-1] + bytes([good[-1] ^ 1]), b"x", b"x" * 64):
            response = self.refused(party.by_secret(party.secret, challenge=wrong), 400, "badTime")
            self.assertEqual(len(response.challenge), len(good))
            self.assertNotIn(response.challenge, (good, theirs))
        older = self.challenge(party)
        newer = self.challenge(party)
        status, response = self.post(party.by_secret(party.secret, challenge=newer))
        self.assertEqual((status, response.status), (200, "confirmRequired"))
        pem = party.take(response)
        self.post(party.acceptance(pem))
        party.new_key()
        for used in (newer, older, good):
            response = self.refused(party.by_certificate(challenge=used), 400, "badTime")
        status, response = self.post(party.by_certificate(challenge=response.challenge))
        self.assertEqual((status, response.status), (200, "confirmRequired"))

    def test_another_request_under_one_transaction(self):
        party, pem = self.enrolled("G1")
        party.new_key()
        self.assertEqual(self.post(party.by_certificate(challenge=self.challenge(party)))[0], 200)
        taken = party.transaction()
        party.new_key()
        message = party.by_certificate(transaction=taken, challenge=self.challenge(party))
        response = self.refused(message, 409, "badRequest")
        self.assertIn("transaction", response.text)
        issued = [x for x in self.server.leaves() if x.get("device") == "G1"
                  and x["event"] == "issued"]
        self.assertEqual(len(issued), 2)

    def test_the_same_request_in_another_message(self):
        """A device that lost power makes it again: the same certificate, and the same secret."""
        party = self.party("H1")
        got = [self.post(party.by_secret(party.secret, challenge=self.challenge(party)))[1]
               for _ in range(2)]
        self.assertEqual({r.status for r in got}, {"confirmRequired"})
        self.assertNotEqual(got[0].octets, got[1].octets)
        self.assertEqual(*[r.issued(party.key.public()) for r in got])
        party.new_key()
        self.refused(party.by_secret(party.secret, challenge=got[1].challenge), 401, "badIdentity")

    def test_a_late_acceptance_changes_nothing(self):
        """Of a certificate that another one took the place of before it was ever confirmed."""
        party, first = self.enrolled("I1")
        signer = party.signer
        party.new_key()
        one = party.take(self.post(party.by_certificate(challenge=self.challenge(party)))[1])
        late = party.acceptance(one)
        party.signer = signer
        party.new_key()
        two = party.take(self.post(party.by_certificate(challenge=self.challenge(party)))[1])
        self.assertEqual(self.post(party.acceptance(two))[1].status, "success")
        self.post(late)
        self.assertEqual(self.states("I1"), {serial_of(two): "active", serial_of(one): "superseded",
                                             serial_of(first): "superseded"})

    def test_acceptance_of_what_is_not_ones_own(self):
        party, pem = self.enrolled("J1")
        other, _ = self.enrolled("J2")
        other.new_key()
        unconfirmed = other.take(self.post(other.by_certificate(
            challenge=self.challenge(other)))[1])
        self.refused(party.acceptance(unconfirmed), 403, "badCertId")
        self.assertEqual(self.states("J2")[serial_of(unconfirmed)], "unconfirmed")

    def test_who_asks_is_proven_by_the_message(self):
        """Not by the session that it comes over, and not without a signature that verifies."""
        party, _ = self.enrolled("K1")
        stranger = self.party("K2")
        challenge = self.challenge(stranger)
        wrong = stranger.by_secret("wrong" * 8, challenge=challenge)
        self.refused(wrong, 401, "badIdentity", who=party.signer)
        unknown = Party(self, "K3")
        self.refused(unknown.by_secret(stranger.secret, challenge=challenge), 401, "badIdentity")
        good = bytearray(stranger.by_secret(stranger.secret, challenge=challenge))
        at = good.index(b"label=ldevid")
        good[at + 6:at + 12] = b"linked"  # what is signed was changed
        self.refused(bytes(good), 401, "badMessageCheck", label="linked")
        good[at + 6:at + 12] = b"ldevid"
        at = good.index(stranger.csr) + 40
        good[at] ^= 1
        self.assertIn(self.post(bytes(good))[1].fail, ("badMessageCheck", "badRequest"))
        certificate, key = self.site.foreign_device("K2", ca="stranger")
        strange = Signer(key, certificate)
        message = full_request(strange, csr=stranger.csr, transaction=b"1", challenge=challenge)
        self.refused(message, 403, "badCertId")
        self.assertEqual(self.states("K2"), {})

    def test_a_revoked_device_is_refused(self):
        party, pem = self.enrolled("L1")
        challenge = self.challenge(party)
        party.new_key()
        self.server.touchmark("cert", "revoke", serial_of(pem), "--reason", "keyCompromise")
        self.refused(party.by_certificate(challenge=challenge), 403, "badIdentity")
        self.refused(party.by_certificate(), 403, "badIdentity", who=party.signer)

    def test_what_is_asked_for_is_judged_as_ever(self):
        party = self.party("M1", kind="secp384r1")  # which profile "unlinked" does not take
        challenge = self.challenge(party, label="unlinked")
        message = party.by_secret(party.secret, label="unlinked", challenge=challenge)
        response = self.refused(message, 400, "badAlg", label="unlinked")
        self.assertEqual(response.transaction, int.from_bytes(party.transaction(), "big"))
        party = self.party("M2")
        other, _ = self.enrolled("M3")
        self.refused(other.by_certificate(label="other"), 403, "badIdentity", label="other")
        party.key = other.key
        party.csr, party.own = csr_with_key_id(party.key, "/CN=M2")
        self.refused(party.by_secret(party.secret, challenge=self.challenge(party)), 409,
                     "noKeyReuse")
        party.new_key()
        broken = party.csr[:-4] + bytes(4)
        challenge = self.challenge(party)
        self.refused(party.by_secret(party.secret, csr=broken, challenge=challenge), 400,
                     "popFailed")
        self.refused(party.by_secret(party.secret, label="nonsense", challenge=challenge), 404,
                     "badRequest", label="", signed=False)

    def test_what_is_no_full_pki_request(self):
        party = self.party("N1")
        own = Signer(party.key.path, own=party.own)
        content = pki_data(csr=party.csr, transaction=b"1")
        for what, octets, status in (
                ("octets", b"\x30\x03\x02\x01\x01", 400), ("a PKCS#10", party.csr, 400),
                ("nothing to do", own.sign(pki_data(transaction=b"1")), 400),
                ("no PKIData", own.sign(b"hello"), 400),
                ("more behind it", own.sign(content) + b"\0", 400),
                ("half of it", own.sign(content)[:-40], 400),
                ("no transaction", party.by_secret(party.secret, transaction=None), 400)):
            with self.subTest(what):
                got, response = self.post(octets)
                self.assertEqual((got, response.status, response.fail),
                                 (status, "failed", "badRequest"), response)
        status, kind, _ = self.curl(own.sign(content), kind="text/plain")
        self.assertEqual((status, kind.split(";")[0]), (415, "text/plain"))


if __name__ == "__main__":
    main()
