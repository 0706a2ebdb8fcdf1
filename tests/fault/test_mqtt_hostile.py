# SPDX-License-Identifier: Apache-2.0
"""A broker that drops, delays, doubles, reorders, replays, forges and swaps, between a dozen devices
and the bridge: it delays, and that is all. No device ever holds a certificate that is not its own,
none is made twice, and once the broker is honest every device settles."""

import collections
import os
import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "live"))

from est_cmc import Element  # noqa: E402
from harness import (SLOW, Case, field, main, openssl, run, subject_of,  # noqa: E402
                     until)
from mqtt import Broker, Client, decode  # noqa: E402
from mqtt_packet import kind_of  # noqa: E402
from mqtt_proxy import FAULTS, UP, Plan, Proxy, Script  # noqa: E402
from test_device import Unit, serial  # noqa: E402

DEVICES = 12
SEEDS = [int(seed) for seed in os.environ.get("TM_SEEDS", "1" if SLOW else "1 2").split()]
HOSTILE_S = 5  # how long each seed's broker is at it while devices want something
RATES = {"drop": 0.06, "delay": 0.06, "duplicate": 0.05, "reorder": 0.05, "replay": 0.04,
         "flip": 0.04, "truncate": 0.03, "swap": 0.04, "readdress": 0.03, "stale": 0.04,
         "invent": 0.06}


# Why a try may fail. Refusals of what somebody else asked in a device's name are passed over.
DELAYED = re.compile("no answer from the server|recipientNonce is no challenge of this server"
                     "|the challenge was used")


def mislabel(way, publish, _dice):
    """The birth names a label that is none."""
    payload = decode(publish.payload)
    for m in payload.metrics:
        if m.name == "Touchmark/Label":
            m.ClearField("is_null")
            m.string_value = "nonsense"
    way.send(publish.but(payload=payload.SerializeToString()))
    return True


class Mobile(Unit):
    """A device of the library, behind the hostile broker."""

    def __init__(self, case, number, seed):
        super().__init__(case, f"S{seed}N{number:02}")
        self.over = ("sparkplug", "plain")[number % 4 == 3]
        self.options += ["--mqtt", f"mqtt://127.0.0.1:{case.proxy.port}", "--profile", self.over,
                         "--group", f"g{number % 2}", "--repeat", "1", "--timeout",
                         "8" if SLOW else "3"]

    def chain(self, status, slot):
        """The certificates of a slot, as DER."""
        octets = (self.folder / f"chain-{status['slots'][slot]['chain_bank']}.der").read_bytes()
        found, at = [], 0
        while at < len(octets):
            found.append(Element(octets, at))
            at = found[-1].end
        return [e.whole for e in found]


class Hostile(Case):
    @classmethod
    def setUpClass(cls):
        cls.broker = Broker()
        cls.addClassCleanup(cls.broker.close)
        cls.broker.start()
        cls.plan = Plan(SEEDS[0], RATES)
        cls.plan.honest = True
        cls.proxy = Proxy(cls.broker.port, cls.plan).start()
        cls.addClassCleanup(cls.proxy.stop)
        super().setUpClass()

    @classmethod
    def prepare(cls, site):
        site.core = {"wrap_key": "wrap.key"}
        site.mqtt = {"broker": f'"mqtt://127.0.0.1:{cls.proxy.port}"', "retransmit": "1s",
                     "retransmit_max": "4s"}

    def run_all(self, units, word):
        """Every device does it while the broker is hostile for its time, then honest, until each
        has settled: [(kinds of events, status)]."""
        self.plan.honest = False
        end = time.monotonic() + HOSTILE_S
        processes = [unit.start(word) for unit in units]
        for process in processes:
            self.addCleanup(process.communicate)
            self.addCleanup(process.kill)
        until("the time is over, or all have settled",
              lambda: time.monotonic() > end or all(p.poll() is not None for p in processes))
        settled = sum(p.poll() is not None for p in processes)
        self.proxy.be_honest()
        until(lambda: self.unsettled(units, processes),
              lambda: all(p.poll() is not None for p in processes))
        found = [unit.finish(p) for unit, p in zip(units, processes)]
        delayed = collections.Counter(e["text"] for unit in units for e in unit.events
                                      if e["event"] == "failed")
        self.assertFalse([t for t in delayed if not DELAYED.match(t)], delayed)
        print(f"{word}: {settled} of {len(units)} settled while the broker was hostile; tries that "
              f"failed: {dict(delayed)}", flush=True)
        return found

    def unsettled(self, units, processes):
        """Who never settled, and what came by last."""
        text = ""
        for unit, process in zip(units, processes):
            if process.poll() is None:
                process.kill()
                out, err = process.communicate()
                text += f"\n{unit.name} settles; it says {out.decode()} {err.decode()}"
                for direction in ("up", "down"):
                    kept = list(self.proxy.kept[unit.name, direction])[-8:]
                    text += f"\n{direction}: {[(kind_of(p), p.topic) for p in kept]}"
                text += f"\n{self.server.device(unit.name)}"
        return text

    def check_own(self, unit, status):
        """What it holds is for its own keys, its own name, of the right profile, and leads to the
        root."""
        for slot, usage in (("idevid", None), ("current", "TLS Web Client Authentication")):
            leaf, *above = unit.chain(status, slot)
            pem = openssl("x509", "-inform", "DER", stdin=leaf).decode()
            self.assertIn(f"CN={unit.name}", subject_of(pem))
            self.assertEqual(field(pem, "-ext", "extendedKeyUsage").count(usage or "-"),
                             1 if usage else 0, pem)
            key = unit.folder / f"key-{status['slots'][slot]['key_bank']}.pem"
            self.assertEqual(openssl("x509", "-noout", "-pubkey", stdin=pem.encode()),
                             openssl("pkey", "-in", key, "-pubout"))
            chain = unit.folder / "above.pem"
            chain.write_bytes(b"".join(openssl("x509", "-inform", "DER", stdin=c) for c in above)
                              or self.site.issuer.read_bytes())
            run("openssl", "verify", "-CAfile", self.site.root, "-untrusted", chain,
                stdin=pem.encode())

    def check_registry(self, unit, status, renewals):
        """As many certificates as were meant, and those that are held are the active ones."""
        device = self.server.device(unit.name)
        made = [c["profile"] for c in device["certificates"]]
        self.assertEqual(sorted(made), ["idevid"] + ["ldevid"] * (1 + renewals), device)
        self.assertEqual({c["serial"] for c in device["certificates"] if c["status"] == "active"},
                         {serial(status, "idevid"), serial(status)}, device)

    def check_all(self, units, found, renewals):
        for unit, (kinds, status) in zip(units, found):
            with self.subTest(unit.name):
                self.assertNotIn("discarded", kinds, "a certificate was taken that was none")
                self.check_own(unit, status)
                self.check_registry(unit, status, renewals)
        issued = [x["device"] for x in self.server.leaves() if x["event"] == "issued"
                  and x.get("device", "").startswith(units[0].name[:-2])]
        self.assertEqual({unit.name: issued.count(unit.name) for unit in units},
                         dict.fromkeys((unit.name for unit in units), 2 + renewals))
        self.assertEqual(set(issued), {unit.name for unit in units}, "a ghost has a certificate")

    def live_through(self, seed):
        self.proxy.plan = self.plan = Plan(seed, RATES)
        before = self.proxy.did.copy()
        began = time.monotonic()
        units = [Mobile(self, n, seed).provision() for n in range(DEVICES)]
        self.check_all(units, self.run_all(units, "run"), 0)
        found = self.run_all(units, "renew")
        self.check_all(units, found, 1)
        self.assertEqual(self.server.intents(), [])
        print(f"seed {seed}: {time.monotonic() - began:.0f} s", flush=True)
        print(self.proxy.report(), flush=True)
        return self.proxy.did - before

    def test_everything_again(self):
        """Whatever devices ever said is said again, forwards and backwards, by somebody who only
        listened: no certificate is made, and none steps back."""
        self.proxy.be_honest()
        with Client(self.broker.port) as spy:
            spy.subscribe("spBv1.0/#")
            spy.subscribe("touchmark/v1/#")
            units = [Mobile(self, n, 0).provision() for n in (0, 3)]
            for unit in units:
                for word in ("run", "renew", "renew"):
                    unit.do(word)
            said = [m for m in spy.messages if kind_of(m) in ("ask", "birth", "data", "request")]
            before = [self.server.device(unit.name)["certificates"] for unit in units]
            self.assertGreaterEqual(sum(kind_of(m) == "request" for m in said), 2 * 8)
            for m in said + said[::-1]:
                more = {name: getattr(m.properties, name) for name in
                        ("ResponseTopic", "CorrelationData") if hasattr(m.properties, name)}
                spy.publish(m.topic, m.payload, qos=1, **more)
            for unit, old in zip(units, before):  # it comes behind all that
                _, status = unit.do("renew")
                self.check_own(unit, status)
                self.check_registry(unit, status, 3)
                new = self.server.device(unit.name)["certificates"]
                self.assertEqual([c["serial"] for c in new[1:]], [c["serial"] for c in old])

    def test_a_forged_birth_does_not_last(self):
        """What the host believes of a device that it cannot answer is put right by its next
        birth."""
        unit = Mobile(self, 0, 9).provision()
        unit.do("run")
        self.proxy.plan = Script({(UP, "birth", n): mislabel for n in (1, 2, 3)})
        kinds, _ = unit.do("renew", "--timeout", "3")
        self.assertEqual(self.proxy.did["mislabel"], 3)
        self.assertEqual((kinds[-1], set(kinds[:-1])), ("renewed", {"failed"}))

    def test_it_only_delays(self):
        done = sum((self.live_through(seed) for seed in SEEDS), start=type(self.proxy.did)())
        for seed in range(100, 104):  # how many messages there are to be spoilt is not the same each time
            if set(FAULTS) <= set(done):
                break
            done += self.live_through(seed)
        self.assertEqual(set(FAULTS) - set(done), set(), "what never happened shows nothing")
        left = [x for x in self.server.leaves() if x.get("device", "").startswith("ghost")]
        self.assertEqual(left, [])


if __name__ == "__main__":
    main()
