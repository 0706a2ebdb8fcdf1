# SPDX-License-Identifier: Apache-2.0
"""Broker, bridge, core and signer die while dozens of devices enroll and renew over MQTT, under load
and at every step of one transaction: none is lost, none is done twice, and everything settles."""

import collections
import os
import pathlib
import re
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "live"))

from harness import SLOW, Case, finish, main, until  # noqa: E402
from mqtt import Broker  # noqa: E402
from test_device import Unit, serial  # noqa: E402

DEVICES = 12 if SLOW else 32
ROUNDS = 2 if SLOW else 3
STEPS = 6  # that are finished between a death and the next
VICTIMS = ("broker", "bridge", "core", "signer")
# Named points (base/crash.h) that a transaction over MQTT comes by, in their order; the last is of
# the confirmation.
POINTS = ["bridge.request_sent", "core.received", "core.intent_durable", "core.ticket_sent",
          "signer.ticket_received", "signer.signed", "core.signed", "core.response_signed",
          "core.record_submitted", "core.recorded", "core.replied", "bridge.reply_received",
          "core.confirmed"]


class Mobile(Unit):
    def __init__(self, case, name, over):
        super().__init__(case, name, idevid=None)
        self.options += ["--mqtt", f"mqtt://127.0.0.1:{case.broker.port}", "--profile", over,
                         "--repeat", "1", "--timeout", "8", "--until", "2"]
        self.steps = 0
        self.failures = collections.Counter()

    def step(self, word):
        """One certificate: the first or the next."""
        kinds, self.status = self.do(word)
        done = [k for k in kinds if k not in ("failed", "anchors", "bootstrap-erased")]
        self.case.assertEqual(done, ["renewed" if self.steps else "enrolled"], self.events)
        self.steps += 1
        self.failures.update(e["text"] for e in self.events if e["event"] == "failed")


class Restart(Case):
    listen = {"workers": 1}

    @classmethod
    def setUpClass(cls):
        cls.broker = Broker()
        cls.addClassCleanup(cls.broker.close)
        cls.broker.start()
        super().setUpClass()

    @classmethod
    def prepare(cls, site):
        site.core = {"wrap_key": "wrap.key"}
        site.mqtt = {"broker": f'"mqtt://127.0.0.1:{cls.broker.port}"', "retransmit": "1s",
                     "retransmit_max": "4s"}

    def setUp(self):
        if self.server.process.poll() is not None:
            self.server.start()

    def issued(self, since=0):
        return [x for x in self.server.leaves(since) if x["event"] == "issued"]

    def check_books(self, units):
        """Each step is one certificate, in use or superseded, and nothing is under way."""
        until("no intent is open", lambda: not self.server.intents())
        made = collections.Counter(x["device"] for x in self.issued())
        self.assertEqual({u.name: made[u.name] for u in units}, {u.name: u.steps for u in units})
        serials = [x["serial"] for x in self.server.leaves() if x["event"] in ("issued", "burned")]
        self.assertEqual(len(serials), len(set(serials)))
        for unit in units:
            held = {c["serial"]: c["status"] for c in self.server.device(unit.name)["certificates"]}
            active = [s for s, status in held.items() if status == "active"]
            self.assertEqual(active, [serial(unit.status)])
            self.assertNotIn("unconfirmed", held.values())

    def kill(self, victim):
        """Kills it and waits until another is there."""
        if victim == "broker":
            self.broker.kill()
            self.broker.start()
            return
        [pid] = self.server.pids(victim)
        os.kill(pid, signal.SIGKILL)
        until(f"another {victim}", lambda: [p for p in self.server.pids(victim) if p != pid])

    def test_under_load(self):
        units = [Mobile(self, f"L{i:03}", ("sparkplug", "plain")[i % 4 == 3]).provision()
                 for i in range(DEVICES)]
        over = threading.Event()

        def live(unit):
            unit.step("run")
            while not over.is_set():
                unit.step("renew")
        with ThreadPoolExecutor(len(units)) as pool:
            lives = [pool.submit(live, unit) for unit in units]
            try:
                for victim in VICTIMS * ROUNDS:
                    before = sum(u.steps for u in units)
                    self.kill(victim)
                    until(f"it goes on after {victim}", lambda before=before:
                          sum(u.steps for u in units) >= before + STEPS
                          or any(f.done() for f in lives))
            finally:
                over.set()
        for one in lives:
            one.result()
        self.check_books(units)
        failures = sum((u.failures for u in units), collections.Counter())
        print(f"{len(units)} devices took {sum(u.steps for u in units)} certificates through "
              f"{ROUNDS} deaths each of {', '.join(VICTIMS)}; tries that failed: {dict(failures)}",
              flush=True)

    def killed(self, since):
        return len(re.findall(rb"was killed by SIGKILL", self.server.log.read_bytes()[since:]))

    def test_at_each_step(self):
        unit = Mobile(self, "P001", "sparkplug").provision()
        unit.step("run")
        for point in POINTS:
            with self.subTest(point):
                self.server.stop()
                since = self.server.log.stat().st_size
                self.server.start(TOUCHMARK_CRASH=point)
                unit.step("renew")
                self.assertEqual(self.killed(since), 1, f"nobody died at {point}")
                self.check_books([unit])
        self.server.stop()
        finish(self.server)


if __name__ == "__main__":
    main()
