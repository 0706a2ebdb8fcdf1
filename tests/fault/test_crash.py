# SPDX-License-Identifier: Apache-2.0
"""kill -9 of each process at every step of an issuance: after the restart a retry gives exactly one
certificate, every intent is one certificate or one burned serial, and the store is sound."""

import http.client
import os
import pathlib
import re
import signal
import ssl
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "live"))

from harness import (Bench, Case, Key, Load, PATIENCE, SLOW, body_of, certificates_in, finish, main,  # noqa: E402
                     public_of, serial_of, subject_of, until)

# Every named point (base/crash.h).
POINTS = {
    "core": ["core.received", "core.intent_submitted", "core.intent_durable", "core.ticket_sent",
             "core.signed", "core.verified", "core.record_submitted", "core.recorded",
             "core.replied"],
    "signer": ["signer.ticket_received", "signer.signed", "signer.answered"],
    "front": ["front.request_sent", "front.reply_received", "front.response_started"],
}
STORE_POINTS = ["store.before_commit", "store.after_commit"]
COMMITS_MAX = 12
STRIDE = 2 if SLOW else 1  # from one commit at which it is killed to the next
GONE = (ConnectionError, ssl.SSLError, http.client.HTTPException, TimeoutError)


class Crash(Case):
    listen = {"workers": 1}

    @classmethod
    def prepare(cls, site):
        """One start without crashes, so that the server has its own certificate and the
        issuance under test is the only one."""
        cls.server.start()
        cls.cert, cls.key = cls.server.enrolled("C0001")
        cls.head = cls.server.head()
        cls.count = 0
        cls.server.stop()

    def setUp(self):
        self.server.stop()

    def killed(self, role, since):
        """How often a process of this role was killed, by the supervisor's log."""
        log = self.server.log.read_bytes()[since:]
        return len(re.findall(rb'"%s(-\d+)? \(process \d+\) was killed by SIGKILL' % role.encode(),
                              log))

    def ask_until_answered(self, operation, body, **kw):
        """As a device does: the same request again until there is an answer that is final."""
        trouble = []
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                answer = self.server.enroll("ldevid", None, body=body, operation=operation, **kw)
            except GONE as error:
                trouble.append(repr(error))
                time.sleep(0.02)  # a device's back-off
                continue
            if answer.status not in (503, 409):
                return answer, trouble
            self.assertTrue(answer.status == 409 or int(answer.headers["Retry-After"]) > 0)
            trouble.append(answer.status)
            time.sleep(0.02)
        raise AssertionError(f"never answered: {trouble[-5:]}")

    def issue_over_a_crash(self, role, crash):
        """Returns how often the process was killed, and what the device met on its way."""
        type(self).count += 1
        fresh = Key(self.site.folder, f"fresh{self.count}")
        body = body_of(fresh.csr(subject_of(self.cert.read_text())))
        who = {"cert": self.cert, "key": self.key.path}
        log = self.server.log.stat().st_size
        head = self.head
        self.server.start(TOUCHMARK_CRASH=crash)
        answer, trouble = self.ask_until_answered("simplereenroll", body, **who)
        self.assertEqual(answer.status, 200, f"{answer} after {trouble}")
        [pem] = certificates_in(answer.body)
        self.assertEqual(public_of(pem), fresh.public())
        again, _ = self.ask_until_answered("simplereenroll", body, **who)
        self.assertEqual(again.body, answer.body, "a retry gave another certificate")
        self.check_books(head, pem)
        type(self).head = self.server.head()
        self.server.stop()
        finish(self.server)
        return self.killed(role, log), trouble

    def check_books(self, head, pem):
        """Every intent ended as one certificate or one burned serial; one certificate in all."""
        leaves = self.server.leaves(head)
        issued = [x["serial"] for x in leaves if x["event"] == "issued"]
        burned = [x["serial"] for x in leaves if x["event"] == "burned"]
        self.assertEqual(issued, [serial_of(pem)])
        self.assertNotIn(issued[0], burned)
        self.assertEqual(len(burned), len(set(burned)))
        self.assertEqual(self.server.intents(), [])

    def crash_at_each_point(self, role):
        for point in POINTS[role]:
            with self.subTest(point=point):
                killed, trouble = self.issue_over_a_crash(role, point)
                self.assertEqual(killed, 1, f"{role} was not killed at {point}")
                if role == "front" and point != "front.response_started":
                    self.assertTrue(trouble, "the connection outlived its process")

    def test_core(self):
        self.crash_at_each_point("core")

    def test_signer(self):
        self.crash_at_each_point("signer")

    def test_front(self):
        self.crash_at_each_point("front")

    def test_store(self):
        """Before and after each commit in turn: those of the core's own start come first."""
        for point in STORE_POINTS:
            commits = 0
            for n in range(1, COMMITS_MAX, STRIDE):
                with self.subTest(point=point, n=n):
                    killed, _ = self.issue_over_a_crash("core", f"{point}:{n}")
                    if not killed:
                        break
                    commits += 1
            print(f"{point}: killed at {commits} commits", flush=True)
            self.assertGreaterEqual(commits, 1 if SLOW else 3, "start, intent and record are three")

    def test_supervisor(self):
        """Without its supervisor nothing goes on; the next start takes up where it ended."""
        self.server.start()
        os.kill(self.server.process.pid, signal.SIGKILL)
        self.server.process.wait()
        until("no process is left", lambda: not self.server.leftovers())
        self.server.start()
        self.server.enrolled("after-supervisor")
        type(self).head = self.server.head()
        self.server.stop()
        finish(self.server)

    def test_killed_under_load(self):
        """Not at a named point but in the middle of much work, each process in turn."""
        self.server.start()
        bench = Bench(self.server).prepare(32)
        head, answered = self.server.head(), 0
        for role in ("signer", "core", "front"):
            mark = self.server.head()
            with Load(bench) as load:
                until("the load is on", lambda mark=mark: self.head_or_zero() > mark + 30)
                [victim] = self.server.pids(role)
                os.kill(victim, signal.SIGKILL)
                until(f"{role} is back", lambda role=role, victim=victim: self.is_back(role, victim))
            self.assertNotIn("certificate for another key", load.errors())
            self.assertNotIn("malformed answer", load.errors())
            answered += load.enrollments
            print(f"{role} killed under load: {load.enrollments} enrollments, errors "
                  f"{load.errors()}", flush=True)
        until("no intent is open", lambda: not self.server.intents())
        leaves = self.server.leaves(head)
        issued = [x["serial"] for x in leaves if x["event"] == "issued"]
        burned = [x["serial"] for x in leaves if x["event"] == "burned"]
        self.assertEqual(len(issued + burned), len(set(issued + burned)))
        self.assertGreaterEqual(len(issued), answered)
        type(self).head = self.server.head()

    def is_back(self, role, victim):
        pids = self.server.pids(role)
        return pids and victim not in pids

    def head_or_zero(self):
        try:
            return self.server.head()
        except AssertionError:
            return 0


if __name__ == "__main__":
    main()
