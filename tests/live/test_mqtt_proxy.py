# SPDX-License-Identifier: Apache-2.0
"""The hostile proxy itself, between mosquitto's own clients and broker: the ends see exactly the
faults that were planned, and stay connected."""

import queue
import subprocess
import threading
import unittest

from harness import PATIENCE, main, run, until
from mqtt import Broker
from mqtt_packet import (Malformed, Publish, bytes_metric, command_payload, kind_of, readdressed,
                         take_packet, with_bytes_metric)
from mqtt_proxy import DOWN, FAULTS, UP, Plan, Proxy, Script

PLAIN = "touchmark/v1"
VERSIONS = ("311", "5")


class Subscriber:
    """mosquitto_sub; what it gets, as (topic, payload), in order. The broker keeps a message that
    comes when the subscription stands."""

    def __init__(self, case, port, qos, version):
        self.process = subprocess.Popen(
            ["stdbuf", "-oL", "mosquitto_sub", "-h", "127.0.0.1", "-p", str(port), "-V",
             f"mqttv{version}", "-q", str(qos), "-t", "#", "-F", "%t %x", "-i", "subscriber"],
            stdout=subprocess.PIPE, text=True)
        self.case, self.lines = case, queue.Queue()
        reader = threading.Thread(target=self.read)
        case.addCleanup(reader.join)
        case.addCleanup(self.end)
        reader.start()
        case.assertEqual(self.next(), ("ready", b"ready"))

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line)

    def next(self):
        topic, payload = self.lines.get(timeout=PATIENCE).split(" ")
        return topic, bytes.fromhex(payload)

    def until(self, topic):
        """All messages before the one on this topic."""
        found = []
        while not found or found[-1][0] != topic:
            found.append(self.next())
        return found[:-1]

    def end(self):
        self.case.assertIsNone(self.process.poll(), "the subscriber lost its connection")
        self.process.kill()
        self.process.wait()
        self.case.addCleanup(self.process.stdout.close)


class Packets(unittest.TestCase):
    """What the proxy reads it writes again, and what is none it refuses."""

    def test_publish_both_ways(self):
        for version in (4, 5):
            one = Publish("a/b", b"x" * 300, 1, True, False, 77, b"\x01\x01" * (version == 5))
            whole = bytearray(one.encode(version) + b"\x30")
            first, body, octets = take_packet(whole)
            self.assertEqual((bytes(whole), octets), (b"\x30", one.encode(version)))
            self.assertEqual(Publish.parse(first, body, version), one)
            for n in range(len(octets)):
                self.assertIsNone(take_packet(bytearray(octets[:n])))

    def test_what_is_no_packet_is_refused(self):
        with self.assertRaises(Malformed):
            take_packet(bytearray(b"\x30\xff\xff\xff\xff\x01"))
        for first, body, version in ((0x30, b"", 4), (0x30, b"\0\5ab", 4), (0x36, b"\0\1a\0\1", 4),
                                     (0x30, b"\0\1a", 5), (0x30, b"\0\1a\5\1", 5),
                                     (0x30, b"\0\1\xff", 4)):
            with self.subTest(body=body), self.assertRaises(Malformed):
                Publish.parse(first, body, version)

    def test_a_metrics_value_is_exchanged(self):
        payload = command_payload("Touchmark/Offer", b"old")
        self.assertEqual(bytes_metric(payload), ("Touchmark/Offer", b"old"))
        other = with_bytes_metric(payload, b"n" * 500)
        self.assertEqual(bytes_metric(other), ("Touchmark/Offer", b"n" * 500))
        self.assertEqual(with_bytes_metric(other, b"old"), payload)
        self.assertEqual(kind_of(Publish("spBv1.0/g/NCMD/n", payload)), "offer")

    def test_topics(self):
        self.assertEqual(readdressed("spBv1.0/g/DDATA/n/d", "x"), "spBv1.0/g/DDATA/n/x")
        self.assertEqual(readdressed(f"{PLAIN}/d/response/1", "x"), f"{PLAIN}/x/response/1")
        for topic, payload, kind in ((f"{PLAIN}/d/offer", b"", "ask"), ("a", b"", "other"),
                                     (f"{PLAIN}/d/request", b"x", "request"),
                                     ("spBv1.0", b"", "other"), ("spBv1.0/STATE/h", b"", "state"),
                                     ("spBv1.0/g/NDEATH/n", b"", "death")):
            self.assertEqual(kind_of(Publish(topic, payload)), kind)


class Faults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = Broker().start()
        cls.addClassCleanup(cls.broker.close)
        cls.say("ready", "-r")

    @classmethod
    def say(cls, word, *options):
        """A message of this topic and text, round the proxy."""
        run("mosquitto_pub", "-h", "127.0.0.1", "-p", cls.broker.port, "-t", word, "-m", word,
            *options)

    def proxy(self, plan):
        proxy = Proxy(self.broker.port, plan).start()
        self.addCleanup(proxy.stop)
        return proxy

    def publish(self, port, topic, payloads, qos, version):
        """One publisher that sends these one after the other. It ends well only when all was
        acknowledged."""
        done = subprocess.run(
            ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(port), "-V", f"mqttv{version}", "-q",
             str(qos), "-t", topic, "-l", "-i", "publisher"], timeout=PATIENCE, check=False,
            input="".join(p + "\n" for p in payloads), capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def through(self, direction, faults, topic, payloads, qos, version):
        """What a subscriber gets of messages that meet the faults in this direction."""
        kind = kind_of(Publish(topic, b"x"))
        proxy = self.proxy(Script({(direction, kind, n): f for n, f in faults.items()}))
        ports = (proxy.port, self.broker.port)
        publisher, subscriber = ports if direction == UP else ports[::-1]
        end = Subscriber(self, subscriber, qos, version)
        self.publish(publisher, topic, payloads, qos, version)
        until("all were seen", lambda: proxy.passed[direction, kind] == len(payloads))
        return proxy, end

    def each(self, check, directions=(UP, DOWN)):
        for direction in directions:
            for version in VERSIONS:
                for qos in (0, 1):
                    with self.subTest(direction=direction, version=version, qos=qos):
                        check(direction, qos, version)
                    self.doCleanups()

    def test_dropped_doubled_overtaken(self):
        faults = {2: "drop", 4: "reorder", 7: "drop"}
        expected = ["1", "3", "5", "4", "6", "8"]
        topic = f"{PLAIN}/d/request"

        def check(direction, qos, version):
            proxy, end = self.through(direction, faults, topic, "12345678", qos, version)
            self.say("end")
            self.assertEqual(end.until("end"), [(topic, p.encode()) for p in expected])
            self.assertEqual(proxy.did, {"drop": 2, "reorder": 1})
        self.each(check)

    def test_late_doubled_and_held(self):
        """What comes after its time comes nevertheless, as often as it should. (A publisher that
        has gone takes with it what was not sent on.)"""
        topic = f"{PLAIN}/d/request"
        faults = {1: "delay", 2: "duplicate", 4: "reorder"}

        def check(direction, qos, version):
            _, end = self.through(direction, faults, topic, "1234", qos, version)
            got = sorted(end.next()[1].decode() for _ in range(5))
            self.assertEqual(got, ["1", "2", "2", "3", "4"])
        self.each(check, [DOWN])

    def test_forged(self):
        topic = f"{PLAIN}/d/response"
        sent = ["the first answer", "the second one", "a third", "and a fourth answer"]
        faults = {1: "flip", 2: "truncate", 3: "stale", 4: "replay"}

        def check(direction, qos, version):
            _, end = self.through(direction, faults, topic, sent, qos, version)
            got = [end.next() for _ in range(5)]
            self.assertEqual({t for t, _ in got[:4]}, {topic})
            values = [v.decode(errors="replace") for _, v in got]
            self.assertEqual(len(got[0][1]), len(sent[0]))
            self.assertNotEqual(values[0], sent[0])
            self.assertTrue(sent[1].startswith(values[1]) and values[1] != sent[1])
            self.assertIn(values[2], sent[:2])
            self.assertEqual(values[3], sent[3])
            self.assertIn(values[4], [*sent[:3], "ready"])
        self.each(check)

    def test_swapped_and_readdressed(self):
        def check(direction, qos, version):
            proxy = self.proxy(Script({(direction, "response", 2): "swap",
                                       (direction, "response", 3): "readdress"}))
            ports = (proxy.port, self.broker.port)
            publisher, subscriber = ports if direction == UP else ports[::-1]
            end = Subscriber(self, subscriber, qos, version)
            for n, device in enumerate("aba", 1):
                self.publish(publisher, f"{PLAIN}/{device}/response", [f"{device}{n}"], qos,
                             version)
                until("it was seen", lambda n=n: proxy.passed[direction, "response"] == n)
            got = sorted(end.next() for _ in range(3 if direction == UP else 4))
            right, swapped = (f"{PLAIN}/a/response", b"a1"), (f"{PLAIN}/b/response", b"a1")
            expected = [right, swapped, (f"{PLAIN}/b/response", b"a3")]
            if direction == DOWN:  # going up, the first one's publisher is not there any more
                expected.append((f"{PLAIN}/a/response", b"b2"))
            self.assertEqual(got, sorted(expected))
        self.each(check)

    def test_invented(self):
        """Ghosts are born, hosts go offline; and it is not known who said so."""
        topic = "spBv1.0/g/NBIRTH/node"

        def check(direction, qos, version):
            _, end = self.through(direction, {1: "invent"}, topic, ["birth"], qos, version)
            self.assertEqual(end.next(), (topic, b"birth"))
            self.assertRegex(end.next()[0], r"spBv1\.0/g/(NBIRTH/ghost-\d|(NDEATH|NCMD)/node)\Z")
        self.each(check)

    def test_a_seed_repeats_its_faults(self):
        topic, sent = f"{PLAIN}/d/request", [f"message {n}" for n in range(300)]
        rates = dict.fromkeys(("drop", "reorder", "flip", "duplicate"), 0.1)

        def run(seed):
            proxy = self.proxy(Plan(seed, rates))
            self.publish(proxy.port, topic, sent, 0, "5")
            until("all were seen", lambda: proxy.passed[UP, "request"] == len(sent))
            return proxy
        one, same, other = run(1), run(1), run(2)
        self.assertEqual(one.did, same.did)
        self.assertNotEqual(one.did, other.did)
        for fault in rates:
            self.assertTrue(10 < one.did[fault] < 60, one.did)

    def test_honest_again(self):
        topic, sent = f"{PLAIN}/d/request", [f"{n}" for n in range(100)]
        proxy = self.proxy(Plan(3, dict.fromkeys(FAULTS, 1 / len(FAULTS))))
        self.publish(proxy.port, topic, sent, 1, "5")
        self.assertEqual(set(proxy.did) - set(FAULTS), set())
        self.assertGreater(len(proxy.did), 6)
        proxy.be_honest()
        before = proxy.did.copy()
        end = Subscriber(self, proxy.port, 1, "5")
        self.publish(proxy.port, "later", sent, 1, "5")
        self.say("end")
        later = [value.decode() for topic, value in end.until("end") if topic == "later"]
        self.assertEqual(later, sent)
        self.assertEqual(proxy.did, before)


if __name__ == "__main__":
    main()
