# SPDX-License-Identifier: Apache-2.0
"""A CMC client that knows nothing of ours: PKIData is written here from RFC 5272's ASN.1, signed by
`openssl cms -sign`; responses are verified by `openssl cms -verify` and read here.

    who = Signer(key, certificate, chain)
    message = full_request(who, csr=csr, challenge=challenge, transaction=b"\\1\\2", label="ldevid")
    answer = Response(octets).verified(root)
"""

import hashlib
import hmac
import os
import pathlib
import re
import tempfile

from harness import openssl, run

PKI_DATA = "1.3.6.1.5.5.7.12.2"
PKI_RESPONSE = "1.3.6.1.5.5.7.12.3"
SIGNED_DATA = "1.2.840.113549.1.7.2"
ID_CMC = "1.3.6.1.5.5.7.7"
STATUS_INFO, IDENTIFICATION, TRANSACTION, SENDER_NONCE, RECIPIENT_NONCE = 1, 2, 5, 6, 7
REG_INFO, RESPONSE_INFO, CONFIRM_ACCEPTANCE, STATUS_INFO_V2, IDENTITY_PROOF_V2 = 18, 19, 24, 25, 34
SHA256, HMAC_SHA256 = "2.16.840.1.101.3.4.2.1", "1.2.840.113549.2.9"

STATUSES = {0: "success", 2: "failed", 3: "pending", 4: "noSupport", 5: "confirmRequired",
            6: "popRequired", 7: "partial"}
FAILS = ["badAlg", "badMessageCheck", "badRequest", "badTime", "badCertId", "unsupportedExt",
         "mustArchiveKeys", "badIdentity", "popRequired", "popFailed", "noKeyReuse",
         "internalCAError", "tryLater", "authDataFail"]


# ---- DER ----

INTEGER, OCTETS, OID, UTF8, SEQUENCE, SET = 0x02, 0x04, 0x06, 0x0C, 0x30, 0x31


def der(tag, *parts):
    body = b"".join(parts)
    if len(body) < 0x80:
        return bytes([tag, len(body)]) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + body


def integer(value):
    """Of a number, or of a magnitude in octets."""
    value = int.from_bytes(value, "big") if isinstance(value, bytes) else value
    return der(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid(text):
    first, second, *rest = map(int, text.split("."))
    out = bytearray()
    for arc in [40 * first + second, *rest]:
        septets = [arc & 0x7F]
        while arc := arc >> 7:
            septets.append(arc & 0x7F | 0x80)
        out += bytes(reversed(septets))
    return der(OID, bytes(out))


class Element:
    """One DER element."""

    def __init__(self, octets, at=0):
        self.tag, size, start = octets[at], octets[at + 1], at + 2
        if size & 0x80:
            start += size & 0x7F
            size = int.from_bytes(octets[at + 2:start], "big")
        self.end = start + size
        self.value, self.whole = octets[start:self.end], octets[at:self.end]
        if len(self.value) != size:
            raise ValueError("DER that ends early")

    def children(self):
        found, at = [], 0
        while at < len(self.value):
            found.append(Element(self.value, at))
            at = found[-1].end
        return found

    def number(self):
        return int.from_bytes(self.value, "big", signed=True)

    def dotted(self):
        arcs, arc = [], 0
        for octet in self.value:
            arc = arc << 7 | octet & 0x7F
            if octet < 0x80:
                arcs.append(arc)
                arc = 0
        first = min(arcs[0] // 40, 2)
        return ".".join(map(str, [first, arcs[0] - 40 * first, *arcs[1:]]))


def sequence_of(octets):
    return Element(octets).children()


# ---- requests ----

def control(part, number, *values):
    return der(SEQUENCE, integer(part), oid(f"{ID_CMC}.{number}"), der(SET, *values))


def identity_proof(secret, identification, req_sequence):
    """RFC 5272, 6.2.1: the shared secret is followed by the identification."""
    key = hashlib.sha256(secret.encode() + identification.encode()).digest()
    witness = hmac.new(key, req_sequence, "sha256").digest()
    return der(SEQUENCE, der(SEQUENCE, oid(SHA256)), der(SEQUENCE, oid(HMAC_SHA256)),
               der(OCTETS, witness))


def pki_data(csr=None, challenge=None, transaction=None, nonce=None, label=None,
             identification=None, secret=None, accept=None):
    """accept: DER of the certificate that is accepted."""
    req_sequence = der(SEQUENCE, der(0xA0, integer(1), csr) if csr else b"")
    controls = []

    def add(number, value):
        controls.append(control(len(controls) + 2, number, value))
    if transaction is not None:
        add(TRANSACTION, integer(transaction))
    if nonce is not None:
        add(SENDER_NONCE, der(OCTETS, nonce))
    if challenge is not None:
        add(RECIPIENT_NONCE, der(OCTETS, challenge))
    if identification is not None:
        add(IDENTIFICATION, der(UTF8, identification.encode()))
    if secret is not None:
        add(IDENTITY_PROOF_V2, identity_proof(secret, identification or "", req_sequence))
    if label is not None:
        add(REG_INFO, der(OCTETS, b"label=" + label.encode()))
    if accept is not None:
        issuer, serial = issuer_and_serial(accept)
        add(CONFIRM_ACCEPTANCE, der(SEQUENCE, issuer, serial))
    return der(SEQUENCE, der(SEQUENCE, *controls), req_sequence, der(SEQUENCE), der(SEQUENCE))


def issuer_and_serial(certificate):
    tbs = sequence_of(sequence_of(certificate)[0].whole)
    at = 1 if tbs[0].tag == 0xA0 else 0
    return tbs[at + 2].whole, tbs[at].whole


def csr_with_key_id(key, subject):
    """A PKCS#10 request that names its key, as RFC 5272, 3.2 wants it of a key that signs for
    itself: (DER, a certificate of the key for openssl to sign with)."""
    args = ["-new", "-key", key.path, "-subj", subject, "-addext", "subjectKeyIdentifier=hash"]
    with tempfile.NamedTemporaryFile("w", suffix=".cnf") as config:
        config.write("[req]\ndistinguished_name=dn\n[dn]\n")
        config.flush()
        args += ["-config", config.name]
        csr = openssl("req", *args, "-outform", "DER")
        own = openssl("req", "-x509", *args)
    path = pathlib.Path(f"{key.path}.own.pem")
    path.write_bytes(own)
    return csr, path


class Signer:
    """Who signs: a key file and the PEM files of its certificate and of the CAs above it; or, with
    `own`, the certificate of csr_with_key_id, which only carries the key's identifier."""

    def __init__(self, key, certificate=None, chain=None, own=None):
        self.key, self.certificate, self.chain, self.own = key, certificate, chain, own

    def sign(self, content, *options, digest="sha256"):
        args = ["-signer", self.certificate or self.own, "-inkey", self.key]
        if self.own:
            args += ["-keyid", "-nocerts"]
        elif self.chain:
            args += ["-certfile", self.chain]
        return openssl("cms", "-sign", "-binary", "-nodetach", "-outform", "DER", "-md", digest,
                       "-econtent_type", PKI_DATA, *args, *options, stdin=content)


def full_request(signer, *options, nonce=None, digest="sha256", **said):
    """A Full PKI Request; options are more of `openssl cms -sign`, `said` is pki_data's."""
    return signer.sign(pki_data(nonce=nonce or os.urandom(16), **said), *options, digest=digest)


# ---- responses ----

class Response:
    """A Full PKI Response, or an offer (which nobody signed)."""

    def __init__(self, octets):
        self.octets = octets
        kind, explicit = sequence_of(octets)
        if kind.dotted() != SIGNED_DATA:
            raise ValueError("not SignedData")
        signed = sequence_of(explicit.children()[0].whole)
        content_type, content = signed[2].children()
        self.content_type = content_type.dotted()
        self.content = content.children()[0].value
        self.certificates = [c.whole for e in signed[3:] if e.tag == 0xA0 for c in e.children()]
        self.signed = bool(signed[-1].children())
        self.read_content()

    def read_content(self):
        controls, *_ = sequence_of(self.content)
        found = {}
        for item in controls.children():
            _, kind, values = item.children()
            found[int(kind.dotted().rsplit(".", 1)[1])] = values.children()[0]
        self.controls = sorted(found)
        self.transaction = found[TRANSACTION].number() if TRANSACTION in found else None
        self.challenge = found[SENDER_NONCE].value if SENDER_NONCE in found else None
        self.nonce = found[RECIPIENT_NONCE].value if RECIPIENT_NONCE in found else None
        self.info = found[RESPONSE_INFO].value if RESPONSE_INFO in found else None
        self.status, self.parts, self.text, self.fail = "success", [], "", None
        if STATUS_INFO_V2 in found:
            status, parts, *rest = found[STATUS_INFO_V2].children()
            self.status = STATUSES[status.number()]
            self.parts = [p.number() for p in parts.children()]
            for item in rest:
                if item.tag == UTF8:
                    self.text = item.value.decode()
                elif item.tag == INTEGER:
                    self.fail = FAILS[item.number()]

    def verified(self, root):
        """Checks that openssl takes it for what it is, signed under `root`; returns itself."""
        content = openssl("cms", "-verify", "-inform", "DER", "-binary", "-CAfile", root,
                          "-purpose", "any", stdin=self.octets)
        if content != self.content:
            raise AssertionError("openssl reads another content")
        printed = openssl("cms", "-cmsout", "-inform", "DER", "-print", stdin=self.octets).decode()
        if not re.search(rf"eContentType: .*{re.escape(PKI_RESPONSE)}", printed):
            raise AssertionError(printed[:2000])
        openssl("asn1parse", "-inform", "DER", stdin=content)
        return self

    def is_verified(self, root):
        done = run("openssl", "cms", "-verify", "-inform", "DER", "-binary", "-CAfile", root,
                   "-purpose", "any", stdin=self.octets, check=False)
        return done.returncode == 0

    def issued(self, public):
        """The certificate for this public key (DER SubjectPublicKeyInfo), as PEM."""
        found = [c for c in self.certificates if public in c]
        if len(found) != 1:
            raise AssertionError(f"{len(found)} certificates for the key; {self}")
        return openssl("x509", "-inform", "DER", stdin=found[0]).decode()

    def __repr__(self):
        return (f"<{self.status} {self.fail or ''} {self.text!r} {len(self.certificates)} "
                f"certificates, {'' if self.signed else 'un'}signed>")


def to_der(pem):
    return openssl("x509", "-outform", "DER", stdin=pem.encode() if isinstance(pem, str) else pem)
