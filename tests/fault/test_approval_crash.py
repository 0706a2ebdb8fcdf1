# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the core at every step of an approved request: what was decided stays decided, one
approval is one certificate, and none comes of a request that nobody approved."""

import http.client
import pathlib
import ssl
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "live"))

from harness import Case, Key, PATIENCE, finish, main  # noqa: E402

WAITING = ["core.received", "core.pending_durable", "core.replied"]
ISSUING = ["core.intent_submitted", "core.intent_durable", "core.signed", "core.verified",
           "core.record_submitted", "core.recorded", "core.replied"]
GONE = (ConnectionError, ssl.SSLError, http.client.HTTPException, TimeoutError)


class ApprovalCrash(Case):
    listen = {"workers": 1}

    @classmethod
    def prepare(cls, site):
        """One start without crashes: the server has its own certificate then."""
        cls.server.start()
        cls.server.stop()
        cls.count = 0

    def setUp(self):
        self.server.stop()

    def final(self, name, secret, key):
        """The status that is no trouble; the same request until there is one."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                answer = self.server.enroll("approved", key.csr(f"/CN={name}"), name, secret)
            except GONE:
                time.sleep(0.02)  # a device's back-off
                continue
            if answer.status not in (503, 409):
                return answer.status
            time.sleep(0.02)
        raise AssertionError("never answered")

    def device(self):
        type(self).count += 1
        name = f"K{self.count:04}"
        return name, self.server.add_device(name), Key(self.site.folder, name)

    def crash(self, point):
        """The core dies at its next pass of the point; this starts it."""
        self.server.stop()
        self.killed = self.server.log.stat().st_size
        self.server.start(TOUCHMARK_CRASH=point)

    def check_crash(self, point):
        log = self.server.log.read_bytes()[self.killed:]
        self.assertEqual(log.count(b"was killed by SIGKILL"), 1, point)

    def check(self, name, events):
        found = [x["event"] for x in self.server.leaves()
                 if x.get("device") == name and x["event"] in ("pending", "approved", "issued")]
        self.assertEqual(found, events)
        self.assertEqual(self.server.intents(), [])
        self.server.stop()
        finish(self.server)

    def test_while_it_is_put_before_the_officers(self):
        for point in WAITING:
            with self.subTest(point=point):
                self.server.start()
                who = self.device()
                self.crash(point)
                self.assertEqual(self.final(*who), 202)
                self.assertEqual(self.final(*who), 202)
                self.check_crash(point)
                row, = [x for x in self.server.touchmark("pending", "list") if x["device"] == who[0]]
                self.assertEqual(row["status"], "open")
                self.check(who[0], ["pending"])

    def test_while_it_is_issued(self):
        for point in ISSUING:
            with self.subTest(point=point):
                self.server.start()
                who = self.device()
                self.assertEqual(self.final(*who), 202)
                self.server.touchmark("pending", "approve", who[0])
                self.crash(point)
                self.assertEqual(self.final(*who), 200)
                self.assertEqual(self.final(*who), 200)
                self.check_crash(point)
                rows = [x["device"] for x in self.server.touchmark("pending", "list")]
                self.assertNotIn(who[0], rows)
                self.check(who[0], ["pending", "approved", "issued"])


if __name__ == "__main__":
    main()
