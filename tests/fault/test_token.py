# SPDX-License-Identifier: Apache-2.0
"""The token fails under load in the ways that tokens fail: removed, sessions closed, hanging, wrong
answers, signer stopped. No wrong and no second certificate, nothing lost that was answered 200,
and the service is back by itself."""

import base64
import contextlib
import os
import pathlib
import re
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "live"))

from harness import (PATIENCE, SHIM, SLOW, Case, Key, certificates_in, main, openssl,  # noqa: E402
                     point_in, softhsm_module, subject_of, until)

WORKERS = 4
PAUSE_S = 0.05  # of a device, from one certificate to the next


def serials_in(paths):
    """Of certificates in files, as they stand in the audit log; one openssl for all of them."""
    files = [word for path in paths for word in ("-certfile", path)]
    text = openssl("pkcs7", "-print_certs", "-noout", "-text",
                   stdin=openssl("crl2pkcs7", "-nocrl", *files)).decode()
    return [serial.replace(":", "") for serial in
            re.findall(r"Serial Number:\s+([0-9a-f:]+)\n", text)]


class Load:
    """Devices that re-enroll with a new key each time and ask again until they are answered."""

    def __init__(self, server, devices):
        self.server, self.devices = server, devices
        self.stop = threading.Event()
        self.done = []  # (request DER, answer body)
        self.trouble = []
        self.failures = []
        self.threads = [threading.Thread(target=self.work, args=(i,)) for i in range(len(devices))]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def work(self, index):
        try:
            number = 0
            while not self.stop.wait(PAUSE_S):
                number += 1
                self.enroll_once(index, number)
        except Exception as error:  # shown by the test, which runs in another thread
            self.failures.append(error)

    def enroll_once(self, index, number):
        cert, key, subject = self.devices[index]
        _, der = Key.with_csr(self.server.site.folder, f"load{index}-{number}-{time.time_ns()}",
                              subject)
        end = time.monotonic() + PATIENCE
        while True:
            answer = self.server.enroll("ldevid", der, operation="simplereenroll", cert=cert,
                                        key=key.path)
            if answer.status == 200:
                self.done.append((der, answer.body))
                return
            self.trouble.append(answer.status)
            if answer.status not in (409, 503) or time.monotonic() > end:
                raise AssertionError(f"answered {answer}")
            if answer.status == 503 and int(answer.headers["Retry-After"]) <= 0:
                raise AssertionError(f"503 without Retry-After: {answer.headers}")
            time.sleep(0.05)  # a device's back-off, short

    def until_more(self, count, what):
        target = len(self.done) + count
        until(lambda: f"{count} more certificates {what}; {len(self.done)} of {target}, "
              f"{self.trouble[-3:]} {self.failures}",
              lambda: len(self.done) >= target or self.failures)
        if self.failures:
            raise self.failures[0]


class Token(Case):
    listen = {"reply_timeout": "6s"}
    signer = {"watchdog": "3s" if SLOW else "1s"}
    core = {"request_timeout": "4s"}
    issuer_options = {"ocsp_key_label": "manufacturing-ocsp"}  # a second key, to be taken for the first
    module = SHIM

    @classmethod
    def setUpClass(cls):
        control = pathlib.Path("/tmp") / f"touchmark-shim-{os.getpid()}"
        os.environ["TM_SHIM_MODULE"] = softhsm_module()
        os.environ["TM_SHIM_CONTROL"] = str(control)
        cls.control = control
        cls.addClassCleanup(lambda: [p.unlink(missing_ok=True) for p in
                                     (control, control.with_name(control.name + ".hanging"))])
        super().setUpClass()
        cls.devices = []
        for i in range(WORKERS):
            cert, key = cls.server.enrolled(f"T{i:04}")
            cls.devices.append((cert, key, subject_of(cert.read_text())))

    def fault(self, text):
        fresh = self.control.with_name(self.control.name + ".new")
        fresh.write_text(text + "\n")
        fresh.rename(self.control)

    def signer_pid(self):
        """The signer's process; waits while there is none."""
        return until("there is a signer", lambda: self.server.pids("signer"))[0]

    def check_load(self, load, head):
        """Each request has one certificate, for its own key, under the issuing CA, on record."""
        self.assertEqual(load.failures, [])
        paths = []
        for n, (der, body) in enumerate(load.done):
            self.assertEqual(point_in(base64.b64decode(body)), point_in(der))
            [pem] = certificates_in(body)
            paths.append(self.site.folder / f"load-{n}.pem")
            paths[-1].write_text(pem)
        openssl("verify", "-CAfile", self.site.root, "-untrusted", self.site.issuer, *paths)
        serials = set(serials_in(paths))
        self.assertEqual(len(serials), len(load.done), "a serial was used twice")
        leaves = self.server.leaves(head)
        issued = [x["serial"] for x in leaves if x["event"] == "issued"]
        self.assertEqual(sorted(issued), sorted(serials))
        until("no intent is open", lambda: not self.server.intents())

    def under(self, name, begin, felt, end):
        """Load; the fault begins, is felt, ends; the service is back by itself."""
        head = self.server.head()
        with Load(self.server, self.devices) as load:
            load.until_more(8, "before the fault")
            try:
                begin()
                until(f"{name} is felt", lambda: felt(load) or load.failures)
            finally:
                during, trouble = len(load.done), len(load.trouble)
                end()
                ended = time.monotonic()
            load.until_more(1, f"after {name}")
            back = time.monotonic() - ended
            load.until_more(7, f"after {name}")
        self.check_load(load, head)
        print(f"{name}: {during} certificates and {trouble} times told to come back while it "
              f"lasted; issued again {back:.2f} s after it ended; {len(load.done)} certificates in "
              f"all, {len(load.trouble)} times told to come back", flush=True)

    def shim(self, fault):
        first = self.signer_pid()
        self.under(fault, lambda: self.fault(fault),
                   lambda load: self.signer_pid() != first, lambda: self.fault(""))

    def test_sessions_closed(self):
        self.shim("session-lost")

    def test_device_removed(self):
        self.shim("device-removed")

    def test_token_hangs(self):
        self.shim("hang")

    def test_wrong_signature(self):
        self.wrong("wrong-signature")

    def test_short_signature(self):
        self.wrong("short-signature")

    def test_zero_signature(self):
        self.wrong("zero-signature")

    def test_wrong_key(self):
        self.wrong("wrong-key")

    def wrong(self, fault):
        """Nobody sees a certificate that the issuer's key does not verify."""
        self.under(fault, lambda: self.fault(fault), lambda load: len(load.trouble) > 3,
                   lambda: self.fault(""))

    def test_slow_token(self):
        for ms in (10, 200):
            with self.subTest(ms):
                end = time.monotonic() + 3
                self.under(f"slow by {ms} ms", lambda: self.fault(f"slow {ms}"),
                           lambda _: time.monotonic() > end, lambda: self.fault(""))

    def test_token_folder_taken_away(self):
        tokens = self.site.folder / "tokens"
        away = self.site.folder / "tokens.away"
        log = self.server.log.stat().st_size

        def felt(_):
            said = self.server.log.read_text()[log:]
            return '"role":"signer-0"' in said and '"level":"error"' in said

        def begin():
            first = self.signer_pid()
            tokens.rename(away)
            os.kill(first, signal.SIGKILL)  # what is open would go on; a new start cannot
        self.under("token folder taken away", begin, felt, lambda: away.rename(tokens))

    def test_signer_stopped_for_five_seconds(self):
        stopped = []

        def begin():
            stopped.append((self.signer_pid(), time.monotonic()))
            os.kill(stopped[0][0], signal.SIGSTOP)

        def end():
            with contextlib.suppress(ProcessLookupError):
                os.kill(stopped[0][0], signal.SIGCONT)
        self.under("signer stopped", begin, lambda _: time.monotonic() > stopped[0][1] + 5, end)

    def test_core_stopped_for_five_seconds(self):
        stopped = []

        def begin():
            stopped.append((self.server.ready()["core"], time.monotonic()))
            os.kill(stopped[0][0], signal.SIGSTOP)
        self.under("core stopped", begin, lambda _: time.monotonic() > stopped[0][1] + 5,
                   lambda: os.kill(stopped[0][0], signal.SIGCONT))


if __name__ == "__main__":
    main()
