# SPDX-License-Identifier: Apache-2.0
"""Sites that publish: a client of the status listener, and OpenSSL, GnuTLS and the gateway's example
as judges of what it serves."""

import http.client

import harness
from harness import Case, openssl, run, until

GATEWAY = harness.BUILD / "client" / "examples" / "gateway"
URL = "http://status.test"
DELAY = 20 if harness.SLOW else 4

PROFILE = """\
kind: ldevid
keys: [p256]
subject:
  - type: CN
    value: '{id}'
key_usage: [digitalSignature]
ext_key_usage: [clientAuth]
validity: 30d
crl_url: http://status.test/{issuer}-{shard}.crl
ocsp_url: http://status.test/ocsp
issuers_url: http://status.test/{issuer}.cer
credentials: [secret, ldevid]
link: 'off'
states: [registered, activated]
next_state: activated
existing: supersede
reenroll: true
retry_window: 1h
"""


class StatusCase(Case):
    publishing = {"url": URL, "crl_refresh": "1h", "crl_delay": f"{DELAY}s", "crl_lifetime": "7d",
              "filter_refresh": "1h", "filter_delay": f"{DELAY}s"}
    issuer_options = {"ocsp_key_label": "manufacturing-ocsp", "crl_shards": 4}

    @classmethod
    def prepare(cls, site):
        (site.folder / "profiles" / "unlinked.yaml").write_text(PROFILE)

    # ---- the listener ----

    @property
    def port(self):
        return self.server.ready()["status_port"]

    def get(self, path, headers=None, method="GET"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def fetch(self, path):
        """The file, once it is there."""
        def there():
            status, _, body = self.get(path)
            return body if status == 200 else None
        return until(f"{path} is served", there)

    # ---- CRLs ----

    def crl(self, name="manufacturing"):
        path = self.site.folder / f"fetched-{name}.crl"
        path.write_bytes(self.fetch(f"/{name}.crl"))
        return path

    def number(self, crl):
        text = openssl("crl", "-inform", "DER", "-in", crl, "-noout", "-crlnumber").decode()
        return int(text.split("=")[1], 16)

    def named(self, serial, name="manufacturing"):
        text = openssl("crl", "-inform", "DER", "-in", self.crl(name), "-noout", "-text").decode()
        return serial.upper() in text.replace(":", "")

    def shard_of(self, certificate):
        return f"manufacturing-{int(harness.serial_of(certificate.read_text())[-4:], 16) % 4}"

    def crl_check(self, certificate, crl):
        """What `openssl verify -crl_check` says."""
        pem = self.site.folder / "crl.pem"
        openssl("crl", "-inform", "DER", "-in", crl, "-out", pem)
        done = run("openssl", "verify", "-crl_check", "-CAfile", self.site.root, "-untrusted",
                   self.site.issuer, "-CRLfile", pem, certificate, check=False)
        return (done.stdout + done.stderr).decode()

    # ---- devices ----

    def device(self, name):
        path, _ = self.server.enrolled(name, "unlinked")
        return path

    def revoke(self, certificate, reason="keyCompromise"):
        self.server.touchmark("cert", "revoke", harness.serial_of(certificate.read_text()), "--reason", reason)

    # ---- OCSP ----

    def ocsp(self, *which):
        done = run("openssl", "ocsp", "-issuer", self.site.issuer, *which, "-no_nonce", "-url",
                   f"http://127.0.0.1:{self.port}/ocsp", "-CAfile", self.site.root, "-verify_other",
                   self.site.issuer, check=False)
        return (done.stdout + done.stderr).decode()

    def ocsp_of(self, certificate, says):
        last = []

        def told():
            last[:] = [self.ocsp("-cert", certificate)]
            return last[0] if says in last[0] else None
        return until(lambda: f"OCSP says {says}; it says {last}", told)

    # ---- filter ----

    def gateway(self, certificate):
        path = self.site.folder / "fetched.filter"
        path.write_bytes(self.fetch("/manufacturing.filter"))
        ders = []
        for pem in (self.site.issuer, certificate):
            ders.append(self.site.folder / (pem.stem + ".der"))
            openssl("x509", "-in", pem, "-outform", "DER", "-out", ders[-1])
        done = run(GATEWAY, path, *ders, check=False)
        self.assertIn(done.returncode, (0, 1, 2), done.stderr)
        return done.stdout.decode().split(":")[0]
