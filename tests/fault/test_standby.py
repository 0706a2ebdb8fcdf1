# SPDX-License-Identifier: Apache-2.0
"""A pair of HSMs with the same keys: the first fails under load in the ways that tokens fail. Its
standby goes on, no certificate is wrong or comes twice, and the first is taken back
when it works again."""

import contextlib
import os
import shutil
import signal
import time

import test_token  # sets the path of harness
from test_token import WORKERS, Load

from harness import SLOW, FaultyCase, Key, main, subject_of, until


def copy_token(site):
    """What both HSMs of a pair do among themselves; the keys of SoftHSM are files."""
    shutil.copytree(site.folder / "tokens", site.folder / "tokens-b")
    conf = site.folder / "softhsm-b.conf"
    conf.write_text((site.folder / "softhsm2.conf").read_text().replace(
        f"{site.folder}/tokens", f"{site.folder}/tokens-b"))
    site.signer = {**site.signer, "name": "hsm-a"}
    site.tokens = [{**{k: v for k, v in site.signer.items() if k != "name"}, "name": "hsm-b",
                    "standby_for": "hsm-a", "module": site.module, "token": "touchmark-test",
                    "pin_file": site.folder / "pin", "softhsm_conf": conf}]


class Standby(FaultyCase):
    listen = {"reply_timeout": "9s"}
    signer = {"watchdog": "3s" if SLOW else "1s"}
    core = {"request_timeout": "8s"}
    publishing = {"url": "http://status.test"}
    issuer_options = {"ocsp_key_label": "manufacturing-ocsp"}
    prepare = staticmethod(copy_token)
    check_load = test_token.Token.check_load

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.devices = []
        for i in range(WORKERS):
            cert, key = cls.server.enrolled(f"S{i:04}")
            cls.devices.append((cert, key, subject_of(cert.read_text())))

    def tokens(self):
        return {x["name"]: x for x in self.server.touchmark("status")[-1]["tokens"]}

    def in_use(self):
        return [name for name, x in self.tokens().items() if x["in_use"]]

    def back(self):
        """A signature is what it takes for the first to be taken back."""
        def asked():
            self.server.enrolled(f"BACK-{time.time_ns()}")
            return self.in_use() == ["hsm-a"]
        until("the first is taken back", asked)

    def pid(self, name):
        return until(f"{name} has a signer", lambda: self.server.ready()["signers"].get(name))

    def under(self, name, begin, end):
        """Load; the first fails, the standby signs, the first is taken back."""
        self.back()
        until("the standby rests", lambda: self.tokens()["hsm-b"]["breaker"] == "closed")
        head = self.server.head()
        with Load(self.server, self.devices) as load:
            load.until_more(8, "before the fault")
            try:
                began = time.monotonic()
                begin()
                until("the standby is in use", lambda: self.in_use() == ["hsm-b"])
                load.until_more(1, "by the standby")
                took = time.monotonic() - began
                load.until_more(24, "by the standby")
                during = len(load.trouble)
            finally:
                end()
            until("the first is taken back", lambda: self.in_use() == ["hsm-a"])
            load.until_more(8, "by the first again")
        self.check_load(load, head)
        alarms = [x["reason"] for x in self.server.leaves(head) if x["event"] == "alarm"]
        self.assertRegex(alarms[0], "^token hsm-a failed: .*; its standby hsm-b signs in its place")
        self.assertEqual([x["breaker"] for x in self.tokens().values()], ["closed", "closed"])
        print(f"{name}: the standby had signed {took:.2f} s after it; {during} times told to come "
              f"back; {len(load.done)} certificates", flush=True)

    def shim(self, fault):
        self.under(fault, lambda: self.fault(fault), lambda: self.fault(""))

    def test_device_removed(self):
        self.shim("device-removed")

    def test_sessions_closed(self):
        self.shim("session-lost")

    def test_it_hangs(self):
        self.shim("hang")

    def test_wrong_signature(self):
        self.shim("wrong-signature")

    def test_wrong_key(self):
        self.shim("wrong-key")

    def test_signer_stopped(self):
        stopped = []

        def begin():
            stopped.append(self.pid("hsm-a"))
            os.kill(stopped[0], signal.SIGSTOP)

        def end():
            with contextlib.suppress(ProcessLookupError):
                os.kill(stopped[0], signal.SIGCONT)
        self.under("signer stopped", begin, end)

    def test_folder_taken_away(self):
        tokens = self.site.folder / "tokens"

        def begin():
            tokens.rename(tokens.with_name("tokens.away"))
            os.kill(self.pid("hsm-a"), signal.SIGKILL)
        self.under("token folder taken away", begin,
                   lambda: tokens.with_name("tokens.away").rename(tokens))

    def test_signer_killed(self):
        """It is back at once; nobody is told to come again."""
        self.back()
        head = self.server.head()
        with Load(self.server, self.devices) as load:
            for _ in range(3):
                load.until_more(8, "before it is killed")
                first = self.pid("hsm-a")
                os.kill(first, signal.SIGKILL)
                until("there is another", lambda first=first: self.pid("hsm-a") != first)
                load.until_more(8, "after it was killed")
        self.assertEqual(load.trouble, [])
        self.check_load(load, head)
        self.back()

    def test_standby_out(self):
        """That is an alarm and nothing else."""
        self.fault("device-removed", "softhsm-b.conf")
        head = self.server.head()
        try:
            os.kill(self.pid("hsm-b"), signal.SIGKILL)
            until("the audit has it", lambda: [
                x for x in self.server.leaves(head) if x["event"] == "alarm"])
            self.assertEqual(self.server.touchmark("status")[-1]["signer"], "ready")
            self.server.enrolled("ALONE")
            self.server.stop()
            self.server.start()
            self.server.enrolled("ALONE-2")
        finally:
            self.fault("", "softhsm-b.conf")
        until("it is back", lambda: self.tokens()["hsm-b"]["state"] == "ready")

    def test_it_starts_on_the_standby(self):
        self.server.stop()
        self.fault("device-removed")
        try:
            self.server.start()
            self.server.enrolled("STANDBY-ONLY")
            self.assertEqual(self.in_use(), ["hsm-b"])
        finally:
            self.fault("")
        self.back()

    def test_both_out(self):
        """Devices are told when to come back, and what waited is signed."""
        self.fault("device-removed")
        self.fault("device-removed", "softhsm-b.conf")
        secret = self.server.add_device("BOTH")
        der = Key.with_csr(self.site.folder, "both", "/CN=BOTH")[1]
        try:
            answer = self.server.enroll("ldevid", der, "BOTH", secret)
            self.assertEqual(answer.status, 503, answer)
            self.assertGreater(int(answer.headers["Retry-After"]), 0)
        finally:
            self.fault("")
            self.fault("", "softhsm-b.conf")
        until("it is signed", lambda: self.server.enroll("ldevid", der, "BOTH", secret).status == 200)
        self.assertEqual(len([x for x in self.server.leaves() if x["event"] == "issued"
                              and x["device"] == "BOTH"]), 1)


if __name__ == "__main__":
    main()
