# SPDX-License-Identifier: Apache-2.0
"""Devices of five kinds that wait for an officer by themselves, as long as they are told: over HTTPS
strongSwan's client, curl and the agent, over MQTT agents of both profiles. The time that they are
told is a minute; they wait it at once."""

import os
import subprocess

from harness import WELL_KNOWN, Key, body_of, certificates_in, main, openssl, point_in, run, until
from test_agent_mqtt import MqttCase

PATIENT = {"backoff_max": "1h"}
WAIT_S = 300  # for what was told to wait for a minute


class Waiting(MqttCase):
    @classmethod
    def prepare(cls, site):
        """The default label, which every client knows, takes approval."""
        super().prepare(site)
        with open(site.folder / "profiles" / "ldevid.yaml", "a") as profile:
            profile.write("approval: true\n")

    def device(self, name):
        """Its secret and key."""
        return self.server.add_device(name), Key(self.site.folder, f"key-{name}")

    def pki(self, name, secret, key):
        """strongSwan's client, which waits as it is told."""
        request, conf = self.site.folder / "pki.csr", self.site.folder / "strongswan.conf"
        request.write_bytes(key.csr(f"/CN={name}"))
        conf.write_text("pki {\n}\n")
        return subprocess.Popen(
            ["pki", "--est", "--url", f"https://127.0.0.1:{self.server.port}", "--in", request,
             "--cacert", self.site.root, "--cacert", self.site.issuer, "--outform", "pem",
             "--userpass", f"{name}:{secret}"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env={**os.environ, "STRONGSWAN_CONF": str(conf)})

    def curl(self, name, secret, key):
        """Status, Retry-After and body of one request."""
        out, head = self.site.folder / "curl.out", self.site.folder / "curl.head"
        status = run("curl", "--silent", "--cacert", self.site.root, "--user", f"{name}:{secret}",
                     "--header", "Content-Type: application/pkcs10", "--data-binary", "@-",
                     "--output", out, "--dump-header", head, "--write-out", "%{http_code}",
                     f"https://127.0.0.1:{self.server.port}{WELL_KNOWN}/ldevid/simpleenroll",
                     stdin=body_of(key.csr(f"/CN={name}"))).stdout
        return int(status), head.read_text(), out.read_bytes()

    def agents(self):
        https = self.agent("WAIT-HTTPS", transport="https", renewal=PATIENT)
        sparkplug = self.agent("WAIT-SPARKPLUG", renewal=PATIENT)
        plain = self.agent("WAIT-PLAIN", renewal=PATIENT, mqtt={"profile": "plain"})
        return [https, sparkplug, plain]

    def test_clients_that_wait(self):
        secret, swan_key = self.device("WAIT-SWAN")
        pki = self.pki("WAIT-SWAN", secret, swan_key)
        self.addCleanup(pki.kill)
        by_hand = ("WAIT-CURL", *self.device("WAIT-CURL"))
        status, head, _ = self.curl(*by_hand)
        self.assertEqual(status, 202)
        self.assertRegex(head, r"(?mi)^retry-after: \d+\r?$")
        agents = [agent.start() for agent in self.agents()]
        for agent in agents:
            self.until(agent, "the agent says why",
                       lambda agent=agent: "officer has to approve" in agent.text())
        names = {"WAIT-SWAN", "WAIT-CURL", *(agent.name for agent in agents)}
        until("all of them wait", lambda: names == {
            row["device"] for row in self.server.touchmark("pending", "list")})
        self.assertIsNone(pki.poll())
        done, = self.server.touchmark("pending", "approve", "--all")
        self.assertEqual((done["requests"], done["failed"]), (len(names), 0))
        status, _, body = self.curl(*by_hand)
        self.assertEqual((status, len(certificates_in(body))), (200, 1))
        pem, said = pki.communicate(timeout=WAIT_S)
        self.assertEqual(pki.returncode, 0, said)
        pem = pem[pem.index(b"-----BEGIN"):]
        self.assertEqual(point_in(openssl("x509", "-outform", "DER", stdin=pem)),
                         point_in(swan_key.public()))
        for agent in agents:
            until(lambda agent=agent: f"it has a certificate; it says:\n{agent.text()[-3000:]}",
                  agent.current, WAIT_S)
        self.assertEqual(self.server.touchmark("pending", "list"), [])


if __name__ == "__main__":
    main()
