# SPDX-License-Identifier: Apache-2.0
"""touchmark-station and the units on its line, with a server that says what a test wants: for what
goes wrong between station and unit, and for what a good server never says."""

import base64
import json
import os
import pathlib
import shutil
import signal
import tempfile
import unittest

from harness import SANITIZER_SPEAKS, SLOW, Key, main, openssl, run, until
from ra import HostileServer
from floor import (AGAIN, CONFIG, DENIED, DIFFERS, DONE, FAILED, INTERRUPTED, JOURNAL, LINE,
                      STATION, STOPPED, USAGE, WRONG_UNIT, Dut, Line, Station)

JOB = "J-1"
JSON = {"Content-Type": "application/json"}


class StandIn(HostileServer):
    """EST, and the operations of docs/stations.md as far as the station sees them."""

    def __init__(self, folder):
        self.job = {"job": JOB, "status": "open", "reason": "", "product": "simulator",
                    "batch": "B-7", "site": "Wien", "operator_required": False, "listed": 100,
                    "labels": [{"label": "one", "profile": "idevid", "quota": 100, "used": 0}],
                    "from": 0, "until": 0,
                    "units": {"begun": 0, "passed": 0, "failed": 0, "scrapped": 0}}
        self.issued = {}  # by key: what a request for it is answered with
        self.units = {}
        self.asked = []
        self.operations = {}  # name: what answers instead
        self.enrolling = None
        super().__init__(folder)

    def reply(self, path, body, headers):
        if path.endswith("/cacerts"):
            return self.certs_only(self.folder / "ca.pem")
        if path.endswith("/csrattrs"):
            return 204, {}, b""
        if path.endswith("/simpleenroll"):
            der = base64.b64decode(body)
            return self.enrolling(der) if self.enrolling else self.enroll(der)
        operation, request = path.rsplit("/", 1)[1], json.loads(body)
        self.asked.append((operation, request))
        handler = self.operations.get(operation) or getattr(self, f"on_{operation}")
        answer = handler(request)
        return answer if isinstance(answer, tuple) else (200, JSON, json.dumps(answer).encode())

    def enroll(self, der):
        """The same certificate for the same key."""
        key = openssl("req", "-inform", "DER", "-noout", "-pubkey", stdin=der)
        if key not in self.issued:
            path = self.sign(der)
            self.issued[key] = path.read_bytes()
        again = self.folder / "again.pem"
        again.write_bytes(self.issued[key])
        return self.certs_only(again)

    def unit(self, request):
        return self.units.setdefault(request["device"], {"verified": [], "result": None})

    def on_jobs(self, _):
        return {"jobs": [self.job], "station": "STATION-1", "time": 0}

    def on_challenge(self, request):
        self.unit(request)
        return {"challenge": base64.b64encode(bytes(32)).decode(), "until": 0}

    def on_verify(self, request):
        self.unit(request)["verified"].append(request["profile"])
        return {"verified": self.unit(request)["verified"]}

    def on_report(self, request):
        self.unit(request)["result"] = request["result"]
        return {"result": request["result"]}

    def on_unit(self, request):
        if request["device"] not in self.units:
            return 404, {"Content-Type": "text/plain"}, b"there is no such unit"
        return {"device": request["device"], "state": "manufactured", "certificates": [],
                **self.units[request["device"]]}

    def on_close(self, request):
        self.job["status"] = "closed"
        return {"status": "closed"}


def text(status, sentence):
    return lambda _: (status, {"Content-Type": "text/plain"}, sentence.encode())


class Base(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        memory = "/dev/shm"  # thousands of syncs, and none of them is what is looked at
        cls.folder = pathlib.Path(tempfile.mkdtemp(
            prefix="touchmark-", dir=memory if os.access(memory, os.W_OK) else None))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.server = StandIn(cls.folder)
        cls.addClassCleanup(cls.server.stop)
        cls.dut = Dut(cls.folder).start()
        cls.addClassCleanup(cls.dut.stop)
        cls.station = Station(cls.folder, "STATION-1", cls.server.port, cls.folder / "ca.pem",
                              cls.dut, dict(os.environ), secret="one-time-secret")
        assert cls.station.run("enroll") == DONE, cls.station.said

    def setUp(self):
        self.server.operations.clear()
        self.server.asked.clear()
        self.server.enrolling = None
        self.server.units.clear()
        self.server.job.update(status="open", reason="", operator_required=False)
        shutil.rmtree(self.station.jobs, ignore_errors=True)
        self.assertEqual(self.station.run("job", "fetch"), DONE, self.station.said)
        self.station.manifest(JOB, timeouts={"answer": "150ms", "slow_answer": "5s",
                                             "line": "20s", "unit": "20s"})

    def tearDown(self):
        log = self.station.log.read_bytes()
        self.assertIsNone(SANITIZER_SPEAKS.search(log), log.decode()[-8000:])

    def expect(self, code, *words, **kw):
        self.assertEqual(self.station.run(*words, **kw), code, self.station.said)

    def one(self, unit, *faults, code=DONE):
        self.dut.plug(unit, *faults)
        self.expect(code, "job", "run", JOB, ids=[unit])
        return self.station.said


MESSAGES = 16  # questions that a unit without trouble is asked, and a few more


class Steps(Base):
    def passed(self, unit, *faults):
        """It passes in spite of them, with one certificate."""
        before = len(self.server.issued)
        said = self.one(unit, *faults)
        self.assertRegex(said, rf"(?m)^{unit} passed in ")
        self.assertLessEqual(len(self.server.issued), before + 1)
        self.assertTrue(self.dut.is_locked(unit))
        self.assertEqual(self.server.units[unit]["result"], "passed")
        [fingerprint] = self.station.results(JOB)[unit]["certificates"]
        self.assertEqual(self.dut.fingerprint(unit), fingerprint)
        return said

    def failed(self, unit, step, sentence, *faults):
        said = self.one(unit, *faults, code=FAILED)
        self.assertRegex(said, rf"(?m)^{unit} failed at {step}: .*{sentence}")
        self.assertEqual(self.station.results(JOB)[unit]["result"], "failed")
        self.assertFalse(self.dut.is_locked(unit))

    def test_a_unit_passes(self):
        said = self.passed("SN-1")
        self.assertRegex(said, r"SN-1 passed in \d+\.\d+ s: probe .* keygen .* csr .* enroll .* "
                               r"install .* read .* verify .* test .* lock .* report ")
        self.assertRegex(said, r"1 passed, 0 failed, 0 left")
        self.assertRegex(said, r"enroll +1 times, seconds: p50 \d")
        [(_, report)] = [x for x in self.server.asked if x[0] == "report"]
        self.assertEqual((report["result"], report["locked"]), ("passed", True))
        self.assertIn("keygen", report["seconds"])
        self.expect(DONE, "job", "run", JOB, ids=["SN-1"])
        self.assertIn("SN-1 passed already", self.station.said)
        self.expect(DONE, "device", "probe", JOB)
        self.assertIn("SN-1: simulator, hardware A, firmware 1.0, locked, boot 1; in the journal: "
                      "passed", self.station.said)

    def test_lines_that_drop_and_units_that_restart(self):
        for n in range(1, MESSAGES, 6 if SLOW else 2):
            for fault in (f"drop-line:{n}", f"power-cut:{n}", f"power-cut:{n + 1}:0",
                          f"power-cut:{n}:1"):
                with self.subTest(fault):
                    self.passed(f"T-{fault.replace(':', '-')}", fault)

    def test_noise_and_slowness(self):
        self.passed("SN-2", "garbage", "slow:50")

    def test_swapped_unit_gets_nothing(self):
        for n in range(2, MESSAGES, 3 if SLOW else 1):
            unit, other = f"S-{n}", f"X-{n}"
            self.dut.plug(unit, f"swap:{n}:{other}")
            code = self.station.run("job", "run", JOB, ids=[unit])
            if not (self.dut.flash / other).exists():
                break  # it was done before
            with self.subTest(n):
                self.assertEqual(code, WRONG_UNIT, self.station.said)
                self.assertEqual(os.listdir(self.dut.flash / other), ["boot"])
                self.dut.plug(unit)
                self.expect(DONE, "job", "resume", JOB)
                self.assertIn(f"{unit} passed", self.station.said)
                self.assertEqual(len(self.station.results(JOB)[unit]["certificates"]), 1)
        self.assertGreater(n, 10)

    def test_unit_that_was_not_scanned(self):
        self.dut.plug("SN-3")
        self.expect(WRONG_UNIT, "job", "run", JOB, ids=["SN-4"])
        self.assertIn("SN-3 is on the station, not SN-4", self.station.said)

    def test_units_that_are_not_good(self):
        self.failed("BAD-1", "csr", "another key than keygen gave", "wrong-key")
        self.failed("BAD-2", "read", "not the one that was installed", "bad-read")
        self.failed("BAD-3", "test", "radio", "fails-test")
        self.failed("BAD-4", "lock", "the fuse did not burn", "refuses-lock")
        reports = [x[1]["result"] for x in self.server.asked if x[0] == "report"]
        self.assertEqual(reports, ["failed"] * 4)
        self.passed("BAD-4")  # repaired

    def test_rework_makes_a_new_key(self):
        self.failed("BAD-5", "test", "radio", "fails-test")
        before = self.dut.fingerprint("BAD-5")
        self.dut.plug("BAD-5")
        self.expect(DONE, "device", "rework", JOB, "BAD-5")
        self.assertIsNone(self.dut.fingerprint("BAD-5"))
        self.assertIn("BAD-5 passed", self.one("BAD-5"))
        self.assertNotEqual(self.dut.fingerprint("BAD-5"), before)
        self.expect(FAILED, "device", "rework", JOB, "BAD-5")

    def test_unit_that_lost_its_key_gets_no_second_certificate(self):
        self.failed("BAD-6", "test", "radio", "fails-test")
        shutil.rmtree(self.dut.flash / "BAD-6")
        issued = len(self.server.issued)
        self.failed("BAD-6", "keygen", "rework it")
        self.assertEqual(len(self.server.issued), issued)

    def test_scrapped_unit_is_left_alone(self):
        self.failed("BAD-7", "test", "radio", "fails-test")
        self.expect(DONE, "device", "scrap", JOB, "BAD-7", "--reason", "fell down")
        self.assertEqual(self.server.units["BAD-7"]["result"], "scrapped")
        self.assertIn("BAD-7 is scrapped", self.one("BAD-7"))
        self.expect(DONE, "job", "close", JOB)
        [(_, closed)] = [x for x in self.server.asked if x[0] == "close"]
        self.assertEqual(closed, {"job": JOB, "passed": 0, "failed": 0, "scrapped": 1})

    def test_nobody_on_the_line(self):
        self.station.manifest(JOB).write_text(
            (self.station.jobs / f"{JOB}.yaml").read_text().replace("unit: 20s", "unit: 500ms"))
        self.dut.tell("unplug")
        self.expect(LINE, "job", "run", JOB, ids=["SN-5"])

    def test_signal_ends_a_run_and_resume_goes_on(self):
        self.dut.tell("unplug")
        line = Line(self, self.station, "run", JOB)
        line.scan("SN-6")
        until("it began", lambda: (self.station.jobs / f"{JOB}.journal").exists() and
              len(self.station.journal(JOB)) > 1)
        line.process.send_signal(signal.SIGTERM)
        self.assertEqual(line.end(), INTERRUPTED, line.text())
        self.dut.plug("SN-6")
        self.expect(DONE, "job", "resume", JOB)
        self.assertIn("SN-6 passed", self.station.said)


class Killed(Base):
    def test_killed_anywhere_it_goes_on(self):
        """Around each record of the journal: the same key, the same certificate, never another."""
        for point in ("before", "after"):
            for n in range(1, 30, 6 if SLOW else 2):
                unit = f"K-{point}-{n}"
                self.dut.plug(unit)
                issued = len(self.server.issued)
                code = self.station.run("job", "run", JOB, ids=[unit],
                                        TOUCHMARK_CRASH=f"station.{point}:{n}")
                if code == DONE:
                    break
                with self.subTest(unit):
                    self.assertEqual(code, -signal.SIGKILL, self.station.said)
                    self.expect(DONE, "job", "resume", JOB, ids=[unit])
                    self.assertEqual(len(self.server.issued), issued + 1)
                    self.assertEqual(self.server.units[unit]["result"], "passed")
                    [fingerprint] = self.station.results(JOB)[unit]["certificates"]
                    self.assertEqual(self.dut.fingerprint(unit), fingerprint)
            self.assertGreater(n, 15)

    def test_journal_that_was_changed_is_refused(self):
        self.one("K-1")
        path = self.station.jobs / f"{JOB}.journal"
        good = path.read_bytes()
        lines = good.splitlines(keepends=True)
        for bad in (good.replace(b'"K-1"', b'"K-2"', 1), b"".join(lines[:3] + lines[4:]),
                    b"".join(lines[:4] + lines[3:]), good[:100] + b"\0" + good[101:]):
            path.write_bytes(bad)
            self.expect(JOURNAL, "job", "report", JOB)
            self.assertRegex(self.station.said, r"journal:\d+: this line was changed")
        path.write_bytes(good[:-7])
        self.expect(DONE, "job", "resume", JOB)
        self.assertIn("K-1 passed", self.station.said)


class IllServer(Base):
    """What a station takes from its server, and what it does not."""

    def refused(self, unit, sentence):
        self.dut.plug(unit)
        self.expect(FAILED, "job", "run", JOB, ids=[unit])
        self.assertRegex(self.station.said, rf"{unit} failed at enroll: .*{sentence}")
        self.assertIsNone(self.dut.fingerprint(unit))

    def test_certificates_that_are_not_the_answer(self):
        server, other = self.server, Key(self.folder, "other-key")
        server.enrolling = lambda der: server.certs_only(server.sign(der, key=other,
                                                                     subject="/CN=I-1"))
        self.refused("I-1", "another key")
        server.enrolling = lambda der: server.certs_only(server.sign(der, subject="/CN=I-9"))
        self.refused("I-2", "this device's ID")
        server.enrolling = lambda der: server.certs_only(server.sign(der, ca="other"))
        self.refused("I-3", "")

    def test_no_to_one_unit_and_no_to_all(self):
        self.server.enrolling = text(403, "I-4 is not of this job\n")
        self.refused("I-4", "I-4 is not of this job")
        self.server.job.update(status="stopped", reason="too many failures")
        self.dut.plug("I-5")
        self.expect(STOPPED, "job", "run", JOB, ids=["I-5"])
        self.server.job.update(status="open")

        def stop(_):
            self.server.job.update(status="stopped", reason="too many failures")
            return text(403, "no")(_)
        self.server.enrolling = stop
        self.expect(STOPPED, "job", "run", JOB, ids=["I-5"])
        self.assertIn("too many failures", self.station.said)
        self.assertEqual(self.station.results(JOB)["I-5"]["result"], "begun")

    def test_somebody_has_to_be_logged_in(self):
        self.server.job["operator_required"] = True
        self.expect(DENIED, "job", "run", JOB)
        self.assertIn("touchmark-station login", self.station.said)
        read, write = os.pipe()
        os.write(write, b"a-secret-word\n")
        os.close(write)
        self.server.operations["login"] = lambda r: {"operator": r["operator"], "until": 1900000000}
        self.expect(DONE, "login", "anna", "--secret-fd", str(read), fds=(read,))
        os.close(read)
        self.assertEqual(self.server.asked[-1][1], {"operator": "anna", "secret": "a-secret-word"})
        self.assertIn("anna is logged in until 2030-03-17", self.station.said)
        self.assertNotIn("a-secret-word", self.station.log.read_text())

    def test_server_that_is_busy_is_asked_again(self):
        answers = [text(503, "later"), text(429, "slower")]
        good = self.server.on_challenge
        self.server.operations["challenge"] = lambda r: (answers.pop() if answers else good)(r)
        self.assertIn("I-6 passed", self.one("I-6"))
        self.station.configure(requests={"timeout": "60s", "patience": "0s"})
        self.addCleanup(self.station.configure, requests={"timeout": "60s"})
        self.server.operations["challenge"] = text(503, "later")
        self.one("I-7", code=AGAIN)
        self.assertIn("I-7 left at verify", self.station.said)
        self.server.operations.clear()
        self.expect(DONE, "job", "resume", JOB)
        self.assertIn("I-7 passed", self.station.said)

    def test_challenge_that_is_over_is_asked_for_anew(self):
        answers = [text(410, "the challenge is over"), text(410, "the challenge was used")]
        good = self.server.on_verify
        self.server.operations["verify"] = lambda r: (answers.pop() if answers else good)(r)
        self.assertIn("I-9 passed", self.one("I-9"))
        asked = [operation for operation, _ in self.server.asked]
        self.assertEqual(asked.count("challenge"), 3)
        self.server.operations["verify"] = text(410, "the challenge is over")
        self.assertIn("I-10 failed at verify", self.one("I-10", code=FAILED))

    def test_report_says_what_differs(self):
        self.assertIn("I-8 passed", self.one("I-8"))
        self.server.units["I-8"].update(result="failed")
        self.expect(DIFFERS, "job", "report", JOB)
        self.assertIn("I-8: result: journal passed, server failed", self.station.said)
        self.assertRegex(self.station.said, "I-8: idevid: journal [0-9a-f]{64}, server none")


class Refused(Base):
    def test_manifests_are_refused_with_their_line(self):
        path = self.station.jobs / f"{JOB}.yaml"
        self.expect(DONE, "job", "verify", JOB)
        good = path.read_text()
        for change, sentence in ((("job: J-1", "job: J-2"), "this is the manifest of job J-2"),
                                 (("baud: 115200", "baud: 1"), r":\d+: baud: must be 9600"),
                                 (("p256", "p257"), r":\d+: labels\.key: .*p256, p384"),
                                 (("serial:", "seriel:"), r":\d+: "),
                                 (("test: true", "test: maybe"), r":\d+: test")):
            path.write_text(good.replace(*change))
            self.assertNotEqual(path.read_text(), good, change)
            self.expect(CONFIG, "job", "verify", JOB)
            self.assertRegex(self.station.said, sentence)
        path.write_text(good)
        self.expect(DONE, "job", "fetch", JOB)  # keeps what was changed here
        self.assertIn("150ms", path.read_text())

    def test_wrong_usage(self):
        for words in (("dance",), ("job", "run"), ("job", "run", JOB, "more"),
                      ("status", "--ids", "x"), ()):
            self.expect(USAGE, *words)
        self.expect(CONFIG, "job", "run", "../x")
        self.expect(DONE, "--sample")
        sample = self.folder / "sample.yaml"
        sample.write_text(self.station.out)
        done = run(STATION, "--conf", sample, "status", "--offline", check=False)
        self.assertEqual(done.returncode, AGAIN, done.stderr)

    def test_status(self):
        self.expect(DONE, "status")
        self.assertIn('"device": "STATION-1"', self.station.said)
        self.assertIn("J-1 open: simulator, 0 begun", self.station.said)


if __name__ == "__main__":
    main()
