# SPDX-License-Identifier: Apache-2.0
"""The TLS server's private key on the token: handshakes, enrollments and renewal with it, and what
goes on while the token does not sign."""

import hashlib
import os
import re
import signal
import ssl
import subprocess
import threading

from harness import (PATIENCE, SLOW, WELL_KNOWN, FaultyCase, Key, main, openssl, run, subject_of,
                     until)
from test_canary import MAY_LOOK, memory_holds

LABEL = "tls-server"
PIN = "4711471147"
CACERTS = f"{WELL_KNOWN}/ldevid/cacerts"
MANY = 100  # more than two fronts put aside at once


def public_of_server(server):
    pem = ssl.get_server_certificate(("127.0.0.1", server.port))
    text = openssl("x509", "-noout", "-pubkey", stdin=pem.encode())
    return pem, openssl("pkey", "-pubin", "-outform", "DER", stdin=text)


class TokenCase(FaultyCase):
    tls_key_label = LABEL

    def setUp(self):
        self.fault("")
        until("a handshake works", self.works)

    def works(self):
        try:
            return self.server.ask("GET", CACERTS).status == 200
        except OSError:
            return False

    def many(self, count=MANY):
        """Handshakes at once; what came of each, when `join` is called."""
        outcomes = []

        def one():
            try:
                outcomes.append(self.server.ask("GET", CACERTS).status)
            except OSError as error:
                outcomes.append(error)
        threads = [threading.Thread(target=one) for _ in range(count)]
        for thread in threads:
            thread.start()

        def join():
            for thread in threads:
                thread.join(PATIENCE)
            return outcomes
        return join


class TlsKey(TokenCase):
    def test_the_key_is_the_tokens(self):
        """The one that the ceremony made, by its hash in the transcript; and nowhere in a file."""
        _, der = public_of_server(self.server)
        text = (self.site.folder / "ceremony.transcript").read_text()
        [made] = [step for step in text.split("\n\n") if "step: key generated\n" in step
                  and f'key_label: "{LABEL}"' in step]
        self.assertIn('purpose: "TLS server"', made)
        self.assertIn("never extractable", made)
        self.assertIn(hashlib.sha256(der).hexdigest(), made)
        self.assertFalse((self.site.folder / "server.key").exists())
        for path in self.site.folder.rglob("*"):
            if path.is_file() and b"PRIVATE KEY-----" in path.read_bytes():
                self.assertNotEqual(openssl("pkey", "-in", path, "-pubout", "-outform", "DER"), der,
                                    path)

    def test_openssl_and_curl_connect(self):
        done = run("openssl", "s_client", "-connect", f"127.0.0.1:{self.server.port}", "-CAfile",
                   self.site.root, "-verify_return_error", "-verify_ip", "127.0.0.1", stdin=b"")
        self.assertIn(b"Verify return code: 0 (ok)", done.stdout)
        self.assertIn(b"TLSv1.3", done.stdout)
        run("curl", "-sSf", "--cacert", self.site.root, "-o", "/dev/null",
            f"https://127.0.0.1:{self.server.port}{CACERTS}")

    def test_no_older_tls(self):
        with self.assertRaisesRegex(ssl.SSLError, "alert protocol version"):
            self.server.connect(version=ssl.TLSVersion.TLSv1_2)

    def test_devices_enroll_and_renew(self):
        cert, key = self.server.enrolled("TOKEN-TLS")
        der = Key.with_csr(self.site.folder, "again", subject_of(cert.read_text()))[1]
        answer = self.server.enroll("ldevid", der, operation="simplereenroll", cert=cert,
                                    key=key.path)
        self.assertEqual(answer.status, 200, answer)

    def test_many_at_once(self):
        self.fault("slow 20")
        self.assertEqual(self.many()(), [200] * MANY)

    def test_wrong_signature_reaches_nobody(self):
        self.fault("wrong-signature")
        with self.assertRaisesRegex(ssl.SSLError, "alert internal error"):
            self.server.ask("GET", CACERTS)
        self.assertIn("by the TLS key does not verify", self.server.log.read_text())
        self.fault("")
        until("a handshake works", self.works)

    def test_core_killed_while_handshakes_wait(self):
        self.fault("slow 400")
        join = self.many(8)
        for pid in self.server.pids("core"):
            os.kill(pid, signal.SIGKILL)
        self.assertEqual(join(), [200] * 8)

    def test_who_gives_up_leaves_nothing(self):
        """Clients that are gone before the token has signed."""
        self.fault("slow 100")
        for _ in range(3):
            clients = [subprocess.Popen(
                ["openssl", "s_client", "-connect", f"127.0.0.1:{self.server.port}"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                for _ in range(10)]
            for client in clients:
                client.kill()
                client.wait(PATIENCE)
        self.assertEqual(self.many(20)(), [200] * 20)

    def test_renewal_keeps_the_key(self):
        before, key = public_of_server(self.server)
        self.site.tls["names"] = "[localhost, 127.0.0.1, other.test]"
        self.site.write_config()
        self.server.process.send_signal(signal.SIGHUP)

        def renewed():
            pem, now = public_of_server(self.server)
            return pem != before and (pem, now)
        pem, now = until("there is another certificate", renewed)
        self.assertEqual(now, key)
        self.assertIn(b"other.test", openssl("x509", "-noout", "-text", stdin=pem.encode()))

    def test_nobody_but_the_signer_has_the_pin(self):
        if not MAY_LOOK:
            return
        holders = {role for role in ("front", "core", "signer", "supervisor")
                   for pid in self.server.pids(role) if memory_holds(pid, PIN.encode())}
        self.assertLessEqual(holders, {"signer"})
        for pid in self.server.pids("front"):
            with open(f"/proc/{pid}/maps", encoding="ascii") as maps:
                self.assertIsNone(re.search("softhsm|shim_pkcs11", maps.read()))


class Hangs(TokenCase):
    listen = {"handshake_timeout": "10s" if SLOW else "4s"}
    signer = {"watchdog": "3s" if SLOW else "1s"}

    def test_token_hangs(self):
        """Who connected before is served; who comes gets an alert in time; then all is well, with
        the same fronts."""
        fronts = self.server.pids("front")
        flag = self.site.folder / "softhsm2.conf.fault.hanging"
        flag.unlink(missing_ok=True)
        with self.server.connect() as kept:
            self.assertEqual(kept.ask("GET", CACERTS).status, 200)
            self.fault("hang")
            join = self.many(8)
            until("a signature hangs", flag.exists)
            for _ in range(50):
                self.assertEqual(kept.ask("GET", CACERTS).status, 200)
            outcomes = join()
            self.assertEqual(kept.ask("GET", CACERTS).status, 200)
        for outcome in outcomes:
            self.assertRegex(str(outcome), "alert internal error")
        self.assertRegex(self.server.log.read_text(),
                         "no signature of the token in time|its token gave no signature")
        self.fault("")
        until("a handshake works", self.works)
        self.assertEqual(self.server.pids("front"), fronts)


if __name__ == "__main__":
    main()
