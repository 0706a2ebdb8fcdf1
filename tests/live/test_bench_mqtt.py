# SPDX-License-Identifier: Apache-2.0
"""Load over MQTT: a fleet of edge nodes, or of clients of the plain profile, that enrolls and renews,
and a plant whose devices are all born at once while HTTPS enrollments go on. Nothing is timed."""

import collections
import subprocess

from harness import BUILD, PATIENCE, SLOW, Bench, Case, main, run
from mqtt import (BOOLEAN, Broker, Client, decode, free_port, metric, payload, tls_files,
                  values)

FLEET = BUILD / "client" / "fleet" / "touchmark-fleet"
BENCH_MQTT = BUILD / "bench" / "touchmark-bench-mqtt"
DEVICES = 8 if SLOW else 24
BIRTHS = 60 if SLOW else 300
NODES = 3


class MqttCase(Case):
    @classmethod
    def setUpClass(cls):
        cls.broker = Broker()
        cls.addClassCleanup(cls.broker.close)
        cls.ca, certificate, key = tls_files(cls.broker.folder)
        cls.tls_port = free_port()
        cls.broker.lines += [f"listener {cls.tls_port} 127.0.0.1", f"cafile {cls.ca}",
                             f"certfile {certificate}", f"keyfile {key}"]
        cls.broker.start()
        super().setUpClass()

    @classmethod
    def prepare(cls, site):
        site.core = {"wrap_key": "wrap.key"}
        site.mqtt = {"broker": f'"mqtt://127.0.0.1:{cls.broker.port}"'}

    def setUp(self):
        self.url = f"mqtt://127.0.0.1:{self.broker.port}"
        self.app = Client(self.broker.port)
        self.addCleanup(self.app.close)
        self.app.subscribe("#")
        self.app.wait(lambda m: m.topic == "spBv1.0/STATE/touchmark" and b"true" in m.payload)

    def register(self, prefix, count, *more):
        """Their IDs; with "--secrets" their lines are in the second place."""
        done = run(BENCH_MQTT, "devices", "--count", count, "--prefix", prefix, "--tenant", "acme",
                   "--admin", self.site.folder / "run" / "admin.sock", *more)
        return [f"{prefix}{i:07}" for i in range(count)], done.stdout

    def at(self, *levels):
        """Messages at spBv1.0/..., in the order in which they came; "+" is any level."""
        wanted = ["spBv1.0", *levels]
        return self.app.find(lambda m: len(wanted) == m.topic.count("/") + 1 and all(
            w in ("+", t) for w, t in zip(wanted, m.topic.split("/"))))


class Fleet(MqttCase):
    def fleet(self, prefix, count, *options, url=None):
        names, lines = self.register(prefix, count, "--secrets")
        before = self.server.head()
        done = run(FLEET, "--url", url or self.url, "--anchors", self.site.root, "--idevid-label", "idevid",
                   "--ldevid-label", "ldevid", "--threads", "4", "--renewals", "1", *options,
                   stdin=lines)
        for said in (f"devices: {count} of {count} ", f"certificates: {2 * count} enrolled, {count} "
                     "renewed in ", "tries that failed: 0\n"):
            self.assertIn(said, done.stdout.decode())
        issued = collections.Counter(x["device"] for x in self.server.leaves(before)
                                     if x["event"] == "issued")
        self.assertEqual(issued, dict.fromkeys(names, 3))
        for name in names:
            live = [c["profile"] for c in self.server.device(name)["certificates"]
                    if c["status"] == "active"]
            self.assertEqual(sorted(live), ["idevid", "ldevid"], name)
        return names

    def test_edge_nodes_of_several_groups_stay_until_the_last_is_done(self):
        names = self.fleet("S", DEVICES, "--stay", "--group", "east", "--group", "west",
                           "--host-id", "touchmark")
        for n, name in enumerate(names):
            group = ("east", "west")[n % 2]
            self.app.wait(lambda m, t=f"spBv1.0/{group}/NDEATH/{name}": m.topic == t)
            self.assertTrue(self.at(group, "NBIRTH", name))
            self.assertEqual({values(m.payload)["bdSeq"] for m in self.at("+", "NBIRTH", name)}, {0})
        kinds = [m.topic.split("/")[2] for m in self.at("+", "+", "+")]
        self.assertNotIn("NCMD", kinds[kinds.index("NDEATH"):], "somebody left before the last")

    def test_clients_of_the_plain_profile(self):
        self.fleet("P", 6, "--profile", "plain")
        self.assertEqual(self.at("+", "NBIRTH", "+"), [])

    def test_tls_to_the_broker(self):
        self.fleet("T", 2, "--broker-anchors", self.ca, url=f"mqtts://127.0.0.1:{self.tls_port}")

    def test_a_broker_that_is_not_there(self):
        done = run(FLEET, "--url", "mqtt://127.0.0.1:1", "--anchors", self.site.root,
                   "--ldevid-label", "ldevid", "--seconds", "1", stdin=b"X1 secret\n", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"devices: 0 of 1 ", done.stdout)


class Births(MqttCase):
    def start(self, prefix, count, *more):
        return subprocess.Popen(
            [str(x) for x in (BENCH_MQTT, "births", "--broker", self.url, "--prefix", prefix,
                              "--count", count, "--nodes", NODES, "--group", prefix, *more)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def finish(self, process):
        """(exit status, figures by name)"""
        self.addCleanup(process.kill)
        text = process.communicate(timeout=2 * PATIENCE)[0]
        return process.returncode, dict(line.split(": ", 1) for line in text.splitlines())

    def sequences(self, group):
        """Sequence numbers of each edge node's births, as they came."""
        found = collections.defaultdict(list)
        for m in self.at(group, "NBIRTH", "+") + self.at(group, "DBIRTH", "+", "+"):
            found[m.topic.split("/")[3]].append(decode(m.payload).seq)
        return found

    def test_all_births_get_offers_while_https_goes_on(self):
        bench = Bench(self.server).prepare(16)
        names, _ = self.register("B", BIRTHS)
        load = bench.start("--count", BIRTHS, "--threads", 4, "--seconds", PATIENCE)
        code, figures = self.finish(self.start("B", BIRTHS, "--seconds", PATIENCE))
        https = bench.finish(load)
        self.assertEqual((https["errors"], https["enrollments"].split()[0]),
                         ("0", str(BIRTHS)), https["text"])
        self.assertEqual((code, figures["offers"].split(" in ")[0]),
                         (0, f"{BIRTHS} of {BIRTHS}"), figures)
        self.assertEqual((figures["offers beyond the first"], figures["rebirths asked for"]),
                         ("0", "0"))
        for n in range(NODES):
            self.app.wait(lambda m, t=f"spBv1.0/B/NDEATH/node-{n}": m.topic == t)
        offered = collections.Counter(m.topic.split("/")[4] for m in self.at("B", "DCMD", "+", "+"))
        self.assertEqual(offered, dict.fromkeys(names, 1))
        each = [i % 256 for i in range(BIRTHS // NODES + 1)]
        self.assertEqual(self.sequences("B"), {f"node-{n}": each for n in range(NODES)})

    def test_what_can_be_no_device_gets_none_and_rebirths_are_given(self):
        process = self.start("U_", 2 * NODES, "--seconds", 5)
        self.app.wait(lambda m: m.topic == "spBv1.0/U_/DBIRTH/node-1/U_0000004")
        self.app.publish("spBv1.0/U_/NCMD/node-1", payload(
            [metric("Node Control/Rebirth", BOOLEAN, True)]))
        code, figures = self.finish(process)
        self.assertEqual((code, figures["offers"].split(" in ")[0]), (1, f"0 of {2 * NODES}"))
        self.assertEqual(figures["rebirths asked for"], "1")
        self.app.wait(lambda m: m.topic == "spBv1.0/U_/NDEATH/node-1")
        self.assertEqual(len(self.at("U_", "NBIRTH", "node-1")), 2)
        self.assertEqual(len(self.at("U_", "DBIRTH", "node-1", "U_0000004")), 1)


class Echo(MqttCase):
    def test_exchanges_have_the_sizes_that_were_asked_for(self):
        done = run(BENCH_MQTT, "echo", "--broker", self.url, "--count", 20, "--at-once", 3,
                   "--legs", "300:700:0,48:0:50,2000:3:0")
        self.assertIn(b"exchanges: 20 in ", done.stdout)
        def heard():
            return self.app.find(lambda m: m.topic.startswith("bench/"))
        self.app.until(lambda: len(heard()) >= 6 * 20, "all of their messages")
        sizes = collections.Counter((m.topic.split("/")[-1], len(m.payload)) for m in heard())
        self.assertEqual(sizes, {(kind, n): 20 for kind, n in (
            ("up", 300), ("down", 700), ("up", 48), ("event", 50), ("up", 2000), ("down", 3))})


if __name__ == "__main__":
    main()
