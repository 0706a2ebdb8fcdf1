# SPDX-License-Identifier: Apache-2.0
"""The MQTT bridge on a real mosquitto, between foreign peers (Paho, protobuf) and a core that the
test plays (bridgec.c). Tests are named after the Sparkplug assertion that they show, where there
is one."""

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

import harness as h
import mqtt
from mqtt import BOOLEAN, BYTES, INT64, Broker, Client, Node, metric, payload, values

BRIDGEC = h.BUILD / "tests" / "live" / "bridgec"
STATE = "spBv1.0/STATE/touchmark"
CHALLENGE, RESPONSE, NOTHING = 2, 3, 1
CMC = bytes(range(256)) * 5


class Bridge:
    """bridgec, and the core's side of it: `lines` has what it asked, as lists of words."""

    def __init__(self, port, start=True, **options):
        self.options = {"port": port, "sparkplug": 1, "host_id": "touchmark", "plain": 1,
                        "events": 1, **options}
        self.lines, self.arrived = [], threading.Condition()
        self.log = tempfile.NamedTemporaryFile(prefix="touchmark-bridgec-", suffix=".log")
        self.process = None
        if start:
            self.start()

    def start(self, core=True):
        words = [f"{name}={value}" for name, given in self.options.items()
                 for value in (given if isinstance(given, list) else [given])]
        self.process = subprocess.Popen([BRIDGEC, *words], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.log)
        self.reader = threading.Thread(target=self.read, args=(self.process.stdout,), daemon=True)
        self.reader.start()
        if core:
            self.tell("core", 1)

    def read(self, out):
        for line in out:
            with self.arrived:
                self.lines.append(line.decode().rstrip("\n").split(" "))
                self.arrived.notify_all()

    def tell(self, *words):
        self.process.stdin.write(" ".join(str(w) for w in words).encode() + b"\n")
        self.process.stdin.flush()

    def take(self, fits, what):
        """The first line that fits, taken out."""
        found = []

        def look():
            found[:] = [x for x in self.lines if fits(x)][:1]
            return bool(found)
        with self.arrived:
            if not self.arrived.wait_for(look, timeout=h.PATIENCE):
                raise AssertionError(f"never happened: {what}; lines: {self.lines[-10:]}\n"
                                     + self.said()[-4000:])
            self.lines.remove(found[0])
        return found[0]

    def said(self):
        with open(self.log.name, errors="replace") as log:
            return log.read()

    def birth(self, device=None):
        """(ID, wants, label, device) of a birth that the core hears of."""
        line = self.take(lambda x: x[0] == "birth" and device in (None, x[4]),
                         f"a birth of {device or 'anybody'}")
        return int(line[1]), line[2] == "1", line[3].replace("-", ""), line[4]

    def enroll(self, remote=None):
        """(ID, remote, octets) of a request."""
        line = self.take(lambda x: x[0] == "enroll" and remote in (None, x[2]),
                         f"a request of {remote or 'anybody'}")
        assert line[3] == "-", "the label stands in the request"
        return int(line[1]), line[2], bytes.fromhex(line[4])

    def count(self, kind):
        with self.arrived:
            return sum(x[0] == kind for x in self.lines)

    def offer(self, number, kind, cmc=b""):
        self.tell("offer", number, kind, cmc.hex() or "-")

    def reply(self, number, outcome, cmc=b"", retry=0):
        self.tell("reply", number, outcome, retry, cmc.hex() or "-")

    def stats(self):
        self.tell("stats")
        line = self.take(lambda x: x[0] == "stats", "statistics")
        return {name: int(value) for name, value in (w.split("=") for w in line[1:])}

    def until(self, **numbers):
        """Waits for statistics to have these values."""
        return h.until(lambda: f"{numbers} in {self.stats()}",
                       lambda: numbers.items() <= self.stats().items())

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait(timeout=h.PATIENCE)
        return self.process.returncode if self.process else 0

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=h.PATIENCE)

    def close(self):
        try:
            self.stop()
        finally:
            if self.process:
                with contextlib.suppress(OSError):
                    self.process.stdin.close()
                self.reader.join(timeout=h.PATIENCE)
                self.process.stdout.close()
            self.log.close()


class Case(unittest.TestCase):
    lines = ()  # of mosquitto.conf

    def setUp(self):
        self.broker = Broker(lines=self.lines).start()
        self.addCleanup(self.broker.close)
        self.bridges = []

    def tearDown(self):
        for bridge in self.bridges:
            if bridge.process and bridge.process.poll() is None:
                self.assertEqual(bridge.stop(), 0, bridge.said())
            found = h.SANITIZER_SPEAKS.search(bridge.said().encode())
            self.assertIsNone(found, bridge.said())

    def make_bridge(self, ready=True, **options):
        bridge = Bridge(options.pop("to", self.broker.port), **options)
        self.bridges.append(bridge)
        self.addCleanup(bridge.close)
        if ready and bridge.process:
            bridge.until(connected=1)
        return bridge

    def make_client(self, *topics, **options):
        client = Client(self.broker.port, **options)
        self.addCleanup(client.close)
        for topic in topics:
            client.subscribe(topic)
        return client

    def make_node(self, edge="n1", group="g1", **options):
        node = Node(self.broker.port, group, edge, **options)
        self.addCleanup(node.close)
        return node

    def waiting(self, bridge, edge="n1", **options):
        """A node that is online, and waits."""
        node = self.make_node(edge, **options)
        node.birth({"Touchmark/State": "waiting"})
        number, wants, _, _ = bridge.birth(edge)
        self.assertTrue(wants)
        return node, number


def state_is(online):
    return lambda m: m.topic == STATE and mqtt.state_of(m)["online"] is online


class State(Case):
    def test_tck_id_host_topic_phid_birth_payload(self):
        before = mqtt.now_ms()
        self.make_bridge()
        late = self.make_client(STATE)
        birth = late.wait(lambda m: m.topic == STATE)
        state = mqtt.state_of(birth)
        self.assertEqual((birth.qos, birth.retain), (1, 1))
        self.assertEqual(sorted(state), ["online", "timestamp"])
        self.assertIs(state["online"], True)
        self.assertIsInstance(state["timestamp"], int)
        self.assertTrue(before <= state["timestamp"] <= mqtt.now_ms())

    def test_tck_id_host_topic_phid_birth_payload_timestamp_is_that_of_the_will(self):
        app = self.make_client(STATE)
        bridge = self.make_bridge()
        birth = app.wait(state_is(True))
        bridge.kill()
        death = app.wait(state_is(False))
        self.assertEqual(mqtt.state_of(death),
                         {"online": False, "timestamp": mqtt.state_of(birth)["timestamp"]})
        self.assertEqual(death.qos, 1)
        kept = self.make_client(STATE).wait(lambda m: m.topic == STATE)
        self.assertEqual((kept.retain, kept.payload), (1, death.payload))

    def test_tck_id_host_topic_phid_death_payload_disconnect_clean(self):
        app = self.make_client(STATE)
        bridge = self.make_bridge()
        birth = mqtt.state_of(app.wait(state_is(True)))
        before = mqtt.now_ms()
        self.assertEqual(bridge.stop(), 0)
        death = mqtt.state_of(app.wait(state_is(False)))
        self.assertGreaterEqual(death["timestamp"], max(before, birth["timestamp"]))
        app.publish("marker", qos=1)
        app.subscribe("marker2")
        app.publish("marker2", qos=1)
        app.wait(lambda m: m.topic == "marker2")
        self.assertEqual(app.find(state_is(False)), [], "no will after a DISCONNECT")

    def test_tck_id_message_flow_hid_sparkplug_state_message_delivered(self):
        app = self.make_client(STATE)
        self.make_bridge()
        birth = app.wait(state_is(True))
        for said in ({"online": False, "timestamp": mqtt.now_ms()},
                     {"online": False, "timestamp": 1}, {"online": True, "timestamp": 1}):
            app.publish(STATE, mqtt.json.dumps(said), qos=1, retain=True)
            app.wait(lambda m, s=said: m.topic == STATE and mqtt.state_of(m) == s)
            again = app.wait(lambda m: m.topic == STATE)
            self.assertEqual(again.payload, birth.payload)
            kept = self.make_client(STATE).wait(lambda m: m.topic == STATE)
            self.assertEqual((kept.retain, kept.payload), (1, birth.payload))

    def test_tck_id_host_topic_phid_birth_message_comes_first(self):
        self.broker.stop()
        bridge = self.make_bridge(ready=False)
        bridge.tell("event", 1, "issued", "acme", "d1", "7b7d")
        self.broker.start()
        app = self.make_client("#")
        app.wait(lambda m: m.topic.startswith("touchmark/v1/event/") or m.retain)
        bridge.until(events=1)
        kinds = [m.topic for m in app.messages if not m.retain]
        self.assertNotIn(STATE, kinds[1:], kinds)

    def test_tck_id_operational_behavior_host_application_connect_birth_after_broker_restart(self):
        app = self.make_client(STATE)
        bridge = self.make_bridge()
        first = mqtt.state_of(app.wait(state_is(True)))
        self.broker.restart()
        bridge.until(connected=1, connects=2)
        kept = self.make_client(STATE).wait(state_is(True))
        self.assertGreater(mqtt.state_of(kept)["timestamp"], first["timestamp"])

    def test_a_successor_with_the_same_client_id_keeps_the_connection(self):
        app = self.make_client(STATE)
        first = self.make_bridge()
        app.wait(state_is(True))
        first.tell("drain")
        self.assertEqual(first.take(lambda x: x[0] == "drained", "drained"), ["drained", "1"])
        second = self.make_bridge()
        first.until(connected=0)
        self.assertRegex(first.said(), "lost the broker: [^;]*\"", "and does not try again")
        self.assertEqual(first.stop(), 0)
        kept = h.until("STATE is online in the end", lambda: [
            m for m in [self.make_client(STATE).wait(lambda m: m.topic == STATE)]
            if mqtt.state_of(m)["online"]])
        self.assertTrue(kept)
        self.assertEqual(second.stats()["connects"], 1)


class FakeBroker:
    """Takes one connection and says what it reads, packet by packet; it answers when told."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(h.PATIENCE)
        self.port = self.listener.getsockname()[1]

    def accept(self):
        self.sock, _ = self.listener.accept()
        self.sock.settimeout(h.PATIENCE)

    def octets(self, n):
        data = b""
        while len(data) < n:
            more = self.sock.recv(n - len(data))
            if not more:
                raise AssertionError("the connection ended")
            data += more
        return data

    def packet(self):
        """(first octet, body)"""
        first, length = self.octets(1)[0], 0
        for i in range(4):
            octet = self.octets(1)[0]
            length |= (octet & 0x7F) << 7 * i
            if octet < 0x80:
                break
        return first, self.octets(length)

    def close(self):
        self.sock.close()
        self.listener.close()


def text_at(body, at):
    n = int.from_bytes(body[at:at + 2], "big")
    return body[at + 2:at + 2 + n].decode(), at + 2 + n


class Packets(Case):
    """What only the octets show."""

    def setUp(self):
        super().setUp()
        self.fake = FakeBroker()
        self.bridge = self.make_bridge(ready=False, to=self.fake.port, group=["a", "b"], queue=7,
                                       keepalive_s=17)
        self.fake.accept()
        self.addCleanup(self.fake.close)

    def test_tck_id_message_flow_phid_sparkplug_clean_session_50(self):
        first, body = self.fake.packet()
        self.assertEqual(first, 0x10)
        self.assertEqual(body[:7], b"\0\4MQTT\5")
        flags, keepalive = body[7], int.from_bytes(body[8:10], "big")
        self.assertEqual(flags & 0x02, 0x02, "clean start")
        self.assertEqual(flags & 0x3C, 0x2C, "a will of QoS 1 that is retained")
        self.assertEqual(keepalive, 17)
        properties = body[11:11 + body[10]]
        self.assertNotIn(0x11, properties[:1], "no session expiry interval: 0")
        self.assertIn(b"\x21\0\7", properties, "receive maximum: the queue")
        self.assertIn(b"\x27\0\2\0\0", properties, "maximum packet size")
        self.assertEqual(len(properties), 8, "and nothing else")
        client_id, at = text_at(body, 11 + body[10])
        topic, at = text_at(body, at + 1 + body[at])
        self.assertEqual((client_id, topic), ("bridge", STATE))
        will, _ = text_at(body, at)
        self.assertEqual(mqtt.json.loads(will)["online"], False)

    def test_tck_id_host_topic_phid_birth_sub_required(self):
        self.fake.packet()
        self.fake.sock.sendall(b"\x20\x03\0\0\0")
        filters, numbers = [], []
        for _ in range(4):
            first, body = self.fake.packet()
            self.assertEqual(first, 0x82, "subscriptions come before anything is published")
            numbers.append(body[:2])
            at = 3 + body[2]
            while at < len(body):
                found, at = text_at(body, at)
                filters.append(found)
                at += 1
        self.assertEqual(filters[0], STATE)
        for group in "ab":
            for tail in ("NBIRTH/+", "NDEATH/+", "NDATA/+", "DBIRTH/+/+", "DDEATH/+/+",
                         "DDATA/+/+"):
                self.assertIn(f"spBv1.0/{group}/{tail}", filters)
        self.assertEqual(filters[-2:], ["touchmark/v1/+/offer", "touchmark/v1/+/request"])
        counts = [1, 6, 6, 2]
        for number, count in zip(numbers, counts):
            self.fake.sock.sendall(bytes([0x90, 3 + count]) + number + b"\0" + b"\1" * count)
        first, body = self.fake.packet()
        self.assertEqual(first & 0xF7, 0x33, "PUBLISH, QoS 1, retained")
        self.assertEqual(text_at(body, 0)[0], STATE)


class Births(Case):
    def test_births_reach_the_core(self):
        bridge = self.make_bridge()
        node = self.make_node()
        node.birth({"Touchmark/State": "waiting"},
                   d1={"Touchmark/State": "waiting", "Touchmark/Device": "SN-4711",
                       "Touchmark/Label": "plant"},
                   d2={"Touchmark/State": "idle"}, d3={"Touchmark/State": "unconfirmed"})
        found = {device: (wants, label) for _, wants, label, device in
                 (bridge.birth() for _ in range(4))}
        self.assertEqual(found, {"n1": (True, ""), "SN-4711": (True, "plant"), "d2": (False, ""),
                                 "d3": (False, "")})
        self.assertEqual(bridge.stats()["births"], 4)

    def test_tck_id_operational_behavior_data_commands_ncmd_metric_name(self):
        """Who did not list the metrics is not spoken to, and the core need not know."""
        bridge = self.make_bridge()
        for i, given in enumerate((None, {"Touchmark/State": "waiting",
                                          "without": ["Touchmark/Offer"]},
                                   {"Touchmark/State": "waiting",
                                    "without": ["Touchmark/Response"]})):
            self.make_node(f"mute{i}").birth(given)
        bridge.until(births=3)
        self.waiting(bridge, "speaks")
        self.assertEqual(bridge.count("birth"), 0)

    def test_tck_id_topics_ncmd_mqtt(self):
        bridge = self.make_bridge()
        app = self.make_client("spBv1.0/+/NCMD/#", "spBv1.0/+/DCMD/#")
        node = self.make_node()
        node.birth({"Touchmark/State": "waiting"}, d1={"Touchmark/State": "waiting"})
        for device, topic in (("n1", "spBv1.0/g1/NCMD/n1"), ("d1", "spBv1.0/g1/DCMD/n1/d1")):
            number, *_ = bridge.birth(device)
            before = mqtt.now_ms()
            bridge.offer(number, CHALLENGE, CMC)
            message = app.wait(lambda m, t=topic: m.topic == t)
            self.assertEqual((message.qos, message.retain), (0, 0))
            told = mqtt.decode(message.payload)
            self.assertFalse(told.HasField("seq"))
            self.assertTrue(before <= told.timestamp <= mqtt.now_ms())
            self.assertEqual([(m.name, m.bytes_value) for m in told.metrics],
                             [("Touchmark/Offer", CMC)])
        self.assertEqual(bridge.stats()["offers"], 2)

    def test_data_that_says_waiting_asks_as_a_birth_does(self):
        bridge = self.make_bridge()
        node = self.make_node()
        node.birth({"Touchmark/State": "idle"})
        number, wants, *_ = bridge.birth("n1")
        self.assertFalse(wants)
        bridge.offer(number, NOTHING)
        node.data({"Touchmark/State": "waiting"})
        number, wants, *_ = bridge.birth("n1")
        self.assertTrue(wants)

    def test_a_device_that_says_more_while_the_core_is_asked_is_heard_again(self):
        bridge = self.make_bridge()
        node = self.make_node()
        node.birth({"Touchmark/State": "idle"})
        first, wants, *_ = bridge.birth("n1")
        node.data({"Touchmark/State": "waiting"})
        node.data({"Touchmark/Request": b"after"})
        bridge.enroll("g1/n1")
        bridge.offer(first, NOTHING)
        second, wants, *_ = bridge.birth("n1")
        self.assertTrue(wants)
        self.assertNotEqual(first, second)

    def test_a_node_that_is_born_often_has_one_place_in_the_queue(self):
        bridge = self.make_bridge()
        bridge.tell("core", 0)
        loud, quiet = self.make_node("loud"), self.make_node("quiet")
        for _ in range(50):
            loud.birth({"Touchmark/State": "waiting"})
        bridge.until(births=50)
        quiet.birth({"Touchmark/State": "waiting"})
        loud.birth({"Touchmark/State": "waiting"})
        bridge.until(births=52, waiting=2)
        bridge.tell("core", 1)
        self.assertEqual([bridge.birth()[3], bridge.birth()[3]], ["loud", "quiet"])
        bridge.until(waiting=0)
        self.assertEqual(bridge.count("birth"), 0)

    def test_births_are_passed_on_at_their_rate(self):
        bridge = self.make_bridge(births_per_second=20)
        bridge.tell("core", 0)
        node = self.make_node()
        node.birth(None, **{f"d{i}": {"Touchmark/State": "waiting"} for i in range(40)})
        bridge.until(births=41, waiting=40)
        began = time.monotonic()
        bridge.tell("core", 1)
        found = [bridge.birth()[3] for _ in range(40)]
        self.assertEqual(found, [f"d{i}" for i in range(40)], "in order")
        self.assertGreater(time.monotonic() - began, 0.9, "20 at once, 20 in the next second")

    def test_births_that_the_core_forgot_are_asked_again_under_their_ids(self):
        bridge = self.make_bridge()
        _, number = self.waiting(bridge)
        bridge.tell("core", 0)
        bridge.tell("core", 1)
        self.assertEqual(bridge.birth("n1")[0], number)

    def test_a_core_that_takes_nothing_is_asked_again(self):
        bridge = self.make_bridge()
        bridge.tell("deaf", 1)
        node = self.make_node()
        node.birth({"Touchmark/State": "waiting"})
        node.data({"Touchmark/Request": b"request"})
        bridge.until(births=1, waiting=2)
        bridge.tell("deaf", 0)
        bridge.birth("n1")
        self.assertEqual(bridge.enroll()[2], b"request")

    def test_kept_births_only_ask_whether_anybody_is_there(self):
        app = self.make_client("spBv1.0/g1/NCMD/#")
        ghost = payload([metric("bdSeq", INT64, 0), metric("Node Control/Rebirth", BOOLEAN, False)]
                        + [metric(n, k) for n, k in mqtt.CONTRACT.items()], 0)
        app.publish("spBv1.0/g1/NBIRTH/ghost", ghost, qos=1, retain=True)
        app.publish("spBv1.0/g1/DBIRTH/ghost2/d", ghost, qos=1, retain=True)
        bridge = self.make_bridge()
        for edge in ("ghost", "ghost2"):
            asked = app.wait(lambda m, e=edge: m.topic == f"spBv1.0/g1/NCMD/{e}")
            self.assertEqual(values(asked.payload), {"Node Control/Rebirth": True})
        self.waiting(bridge)
        stats = bridge.stats()
        self.assertEqual((stats["births"], bridge.count("birth")), (1, 0))

    def test_the_table_of_nodes_is_bounded(self):
        bridge = self.make_bridge(nodes_max=10)
        app = self.make_client()
        birth = payload([metric("bdSeq", INT64, 0)], 0)
        for i in range(200):
            app.publish(f"spBv1.0/g{i}/NBIRTH/n{i}", birth, wait=False)
        bridge.until(births=200)
        self.assertLessEqual(bridge.stats()["nodes"], 10)
        node, number = self.waiting(bridge)
        bridge.offer(number, CHALLENGE, CMC)
        self.assertEqual(node.wait_command("Touchmark/Offer"), CMC)

    def test_what_is_no_payload_is_counted_and_nothing_else(self):
        bridge = self.make_bridge()
        app = self.make_client()
        bad = [("spBv1.0/g1/NBIRTH/n1", b"\xff\xff"), ("spBv1.0/g1/NBIRTH/n1", b""),
               ("spBv1.0/g1/NDATA/n1", os.urandom(60000)), ("spBv1.0/g1/NDEATH/n1", b"\x12\x7f"),
               ("spBv1.0/g1/DBIRTH/n1/d1", b"\x12\x05ab"),
               ("spBv1.0/g1/NBIRTH/n1", payload([metric("bdSeq", INT64, 0)], 256)),
               ("spBv1.0/g1/NBIRTH/n1",
                payload([metric("Touchmark/State", BYTES, b"waiting")], 0)),
               ("spBv1.0/g1/NBIRTH/" + "n" * 65, payload([], 0)),
               (STATE, b"nonsense"), (STATE, b"{" * 900)]
        for topic, octets in bad:
            app.publish(topic, octets, qos=1)
        bridge.until(malformed=len(bad))
        app.publish("spBv1.0/g1/NDATA/n1", bytes(1 << 20), qos=1)  # the broker keeps it from us
        self.waiting(bridge)
        stats = bridge.stats()
        self.assertEqual((stats["malformed"], stats["connects"]), (len(bad), 1))


class Sequence(Case):
    def test_tck_id_operational_behavior_data_commands_ncmd_rebirth_verb(self):
        """An edge node that was there first is asked for its births, with the one right command."""
        app = self.make_client("spBv1.0/+/NCMD/#")
        node = self.make_node()
        node.birth({"Touchmark/State": "waiting"})
        bridge = self.make_bridge()
        node.data({"Touchmark/State": "waiting"})
        asked = app.wait(lambda m: m.topic == "spBv1.0/g1/NCMD/n1")
        self.assertEqual((asked.qos, asked.retain), (0, 0))
        told = mqtt.decode(asked.payload)
        self.assertFalse(told.HasField("seq"))
        self.assertEqual([(m.name, m.WhichOneof("value"), m.boolean_value) for m in told.metrics],
                         [("Node Control/Rebirth", "boolean_value", True)])
        self.assertTrue(bridge.birth("n1")[1])
        self.assertEqual(node.rebirths, 1)

    def test_tck_id_payloads_alias_data_cmd_requirement_of_rebirth(self):
        """A node whose birth gave Rebirth an alias is asked by that alone."""
        bridge = self.make_bridge(reorder_ms=50)
        node = self.make_node(aliases=True)
        node.birth({"Touchmark/State": "waiting"})
        self.assertTrue(bridge.birth("n1")[1])
        node.data({"Touchmark/State": "waiting"}, seq=100)
        bridge.until(births=2, rebirths=1)
        self.assertEqual(node.rebirths, 1)

    def test_tck_id_operational_behavior_host_reordering_rebirth(self):
        bridge = self.make_bridge(reorder_ms=50)
        node, _ = self.waiting(bridge)
        node.data({"Touchmark/State": "waiting"})
        node.take_seq()
        node.data({"Touchmark/State": "requested"})
        h.until("asked for its births", lambda: node.rebirths == 1)
        bridge.until(births=2, rebirths=1)

    def test_tck_id_operational_behavior_host_reordering_success(self):
        bridge = self.make_bridge(reorder_ms=300)
        right, wrong = (self.waiting(bridge, edge)[0] for edge in ("right", "wrong"))
        for seq in (2, 1, 5, 4, 3, 6):
            right.data({"Touchmark/State": "requested"}, seq=seq)
        wrong.data({"Touchmark/State": "requested"}, seq=2)
        h.until("the other was asked", lambda: wrong.rebirths == 1)
        self.assertEqual(right.rebirths, 0)
        right.data({"Touchmark/Request": b"in order"}, seq=7)
        bridge.enroll("g1/right")
        self.assertEqual(bridge.stats()["rebirths"], 1)

    def test_sequence_numbers_wrap(self):
        bridge = self.make_bridge(reorder_ms=50)
        node, _ = self.waiting(bridge)
        for _ in range(600):
            node.data({"Touchmark/State": "requested"})
        node.data({"Touchmark/Request": b"after 600"})
        bridge.enroll("g1/n1")
        node.take_seq()
        node.data({"Touchmark/State": "requested"})
        h.until("asked for its births", lambda: node.rebirths == 1)
        self.assertEqual(bridge.stats()["rebirths"], 1)

    def test_a_large_gap_does_not_wait(self):
        bridge = self.make_bridge(reorder_ms=3600000)
        node, _ = self.waiting(bridge)
        node.data({"Touchmark/State": "requested"}, seq=77)
        h.until("asked for its births", lambda: node.rebirths == 1)

    def test_data_of_a_device_without_birth_asks_for_births(self):
        bridge = self.make_bridge()
        node, _ = self.waiting(bridge)
        node.devices["d1"] = {}
        node.data({"Touchmark/State": "waiting"}, "d1")
        h.until("asked for its births", lambda: node.rebirths == 1)
        bridge.birth("d1")

    def test_devices_are_born_again_after_their_edge_node(self):
        bridge = self.make_bridge()
        node = self.make_node()
        node.birth(None, d1={"Touchmark/State": "waiting"})
        number, *_ = bridge.birth("d1")
        bridge.offer(number, NOTHING)
        node.birth(None)
        node.devices["d1"] = {"Touchmark/State": "waiting"}
        node.data({"Touchmark/Request": b"too early"}, "d1")
        h.until("asked for its births", lambda: node.rebirths == 1)
        bridge.birth("d1")
        self.assertEqual(bridge.count("enroll"), 0)

    def test_births_are_not_asked_for_in_a_row(self):
        bridge = self.make_bridge()
        node = self.make_node()
        node.obeys = False
        for _ in range(30):
            node.data({"Touchmark/State": "waiting"})
        other = self.make_node("other")
        other.data({"Touchmark/State": "waiting"})
        h.until("the other was asked", lambda: other.rebirths == 1)
        self.assertEqual(node.rebirths, 1)
        self.assertEqual(bridge.stats()["rebirths"], 2)

    def test_tck_id_payloads_ndeath_bdseq(self):
        """Only the death of this birth counts."""
        bridge = self.make_bridge()
        node, number = self.waiting(bridge)
        app = self.make_client("spBv1.0/+/NDEATH/#")
        app.publish("spBv1.0/g1/NDEATH/n1", payload([metric("bdSeq", INT64, 7)]), qos=1)
        app.publish("spBv1.0/g1/NDEATH/n1", payload([]), qos=1)
        bridge.offer(number, CHALLENGE, CMC)
        self.assertEqual(node.wait_command("Touchmark/Offer"), CMC)
        self.assertEqual(bridge.stats()["deaths"], 0)
        node.die()
        bridge.until(deaths=1)

    def test_tck_id_operational_behavior_edge_node_termination_host_action_ndeath_devices_offline(
            self):
        bridge = self.make_bridge()
        app = self.make_client("spBv1.0/+/DCMD/#")
        node = self.make_node()
        node.birth({}, d1={"Touchmark/State": "waiting"})
        bridge.birth("n1")
        number, *_ = bridge.birth("d1")
        node.die()
        bridge.until(deaths=1)
        bridge.offer(number, CHALLENGE, CMC)
        other = self.make_node("other")
        other.birth({}, d1={"Touchmark/State": "waiting"})
        bridge.birth("other")
        number, *_ = bridge.birth("d1")
        bridge.offer(number, CHALLENGE, CMC)
        app.wait(lambda m: m.topic == "spBv1.0/g1/DCMD/other/d1")
        self.assertEqual(app.messages, [])

    def test_tck_id_operational_behavior_edge_node_termination_host_action_ddeath_devices_offline(
            self):
        bridge = self.make_bridge()
        node = self.make_node()
        node.birth({"Touchmark/State": "waiting"}, d1={"Touchmark/State": "waiting"})
        first, *_ = bridge.birth("n1")
        second, *_ = bridge.birth("d1")
        node.device_death("d1")
        bridge.until(deaths=1)
        bridge.offer(second, CHALLENGE, b"to the dead")
        bridge.offer(first, CHALLENGE, CMC)
        self.assertEqual(node.wait_command("Touchmark/Offer"), CMC)
        self.assertEqual(node.commands, [])


class Requests(Case):
    def ask(self, bridge, node, octets=b"request", device=None):
        node.data({"Touchmark/State": "requested", "Touchmark/Request": octets}, device)
        number, remote, found = bridge.enroll(f"g1/{node.edge}" + (f"/{device}" if device else ""))
        self.assertEqual(found, octets)
        return number

    def test_a_request_and_its_answer(self):
        bridge = self.make_bridge()
        node = self.make_node()
        node.birth({"Touchmark/State": "waiting"}, d1={"Touchmark/State": "waiting"})
        for device in (None, "d1"):
            number = self.ask(bridge, node, CMC, device)
            bridge.reply(number, "bad-csr", b"refused" + CMC)
            self.assertEqual(node.wait_command("Touchmark/Response", device or ""),
                             b"refused" + CMC)
        bridge.until(requests=2, replies=2, waiting=0, unconfirmed=0)

    def test_tck_id_payloads_alias_data_cmd_requirement(self):
        bridge = self.make_bridge()
        node = self.make_node(aliases=True)
        node.birth({"Touchmark/State": "waiting"}, d1={"Touchmark/State": "waiting"})
        for device in (None, "d1"):
            number, *_ = bridge.birth(device or "n1")
            bridge.offer(number, CHALLENGE, CMC)
            offer = node.alias_of(device, "Touchmark/Offer")
            self.assertEqual(node.wait_command(offer, device or ""), CMC)
            number = self.ask(bridge, node, CMC, device)
            bridge.reply(number, "bad-csr", CMC)
            response = node.alias_of(device, "Touchmark/Response")
            self.assertEqual(node.wait_command(response, device or ""), CMC)

    def test_an_answer_comes_again_until_it_is_confirmed(self):
        for how in ("confirmed", "idle", "idle birth", "death"):
            with self.subTest(how):
                self.keeps_answering_until(how)

    def keeps_answering_until(self, how):
        bridge = self.make_bridge(retransmit_ms=20, retransmit_max_ms=100,
                                  client_id=how.replace(" ", "-"), host_id="h-" + how[:4])
        edge = "n-" + how.replace(" ", "-")
        node, _ = self.waiting(bridge, edge)
        number = self.ask(bridge, node)
        bridge.reply(number, "issued", CMC)
        for _ in range(4):
            self.assertEqual(node.wait_command("Touchmark/Response"), CMC)
        bridge.until(unconfirmed=1)
        if how == "confirmed":
            number = self.ask(bridge, node, b"confirm")
            bridge.reply(number, "confirmed", b"done")
            h.until("its last answer", lambda: ("", {"Touchmark/Response": b"done"})
                    in node.commands)
        elif how == "idle":
            node.data({"Touchmark/State": "idle"})
        elif how == "idle birth":
            node.birth({"Touchmark/State": "idle"})
        else:
            node.die()
        bridge.until(unconfirmed=0)
        self.assertGreaterEqual(bridge.stats()["retransmissions"], 3)
        self.assertEqual(bridge.stop(), 0)

    def test_pauses_between_answers_grow(self):
        bridge = self.make_bridge(retransmit_ms=100, retransmit_max_ms=100000)
        node, _ = self.waiting(bridge)
        number, began = self.ask(bridge, node), time.monotonic()
        bridge.reply(number, "issued", CMC)
        for _ in range(4):
            node.wait_command("Touchmark/Response")
        self.assertGreater(time.monotonic() - began, 0.65, "100, 200 and 400 ms")

    def test_the_core_gives_a_response_again_at_a_birth(self):
        bridge = self.make_bridge()
        node = self.make_node()
        node.birth({"Touchmark/State": "unconfirmed"})
        number, wants, *_ = bridge.birth("n1")
        self.assertFalse(wants)
        bridge.offer(number, RESPONSE, CMC)
        self.assertEqual(node.wait_command("Touchmark/Response"), CMC)
        bridge.until(unconfirmed=1)

    def test_one_request_of_a_device_at_a_time(self):
        bridge = self.make_bridge()
        node, _ = self.waiting(bridge)
        number = self.ask(bridge, node, b"first")
        node.data({"Touchmark/Request": b"second"})
        node.data({"Touchmark/Request": b"third"})
        other, _ = self.waiting(bridge, "other")
        self.ask(bridge, other, b"other's")
        self.assertEqual(bridge.count("enroll"), 0)
        bridge.reply(number, "bad-csr", CMC)
        node.wait_command("Touchmark/Response")
        self.ask(bridge, node, b"fourth")

    def test_requests_that_the_core_forgot_are_asked_again_under_their_ids(self):
        bridge = self.make_bridge()
        node, _ = self.waiting(bridge)
        number = self.ask(bridge, node, CMC)
        bridge.tell("core", 0)
        bridge.tell("core", 1)
        self.assertEqual(bridge.enroll(), (number, "g1/n1", CMC))
        bridge.reply(number, "bad-csr", CMC)
        self.assertEqual(node.wait_command("Touchmark/Response"), CMC)
        bridge.reply(number, "bad-csr", CMC)  # a second answer has nowhere to go
        bridge.until(replies=1, waiting=0)

    def test_a_busy_core_is_asked_again(self):
        bridge = self.make_bridge()
        node, _ = self.waiting(bridge)
        number = self.ask(bridge, node, CMC)
        bridge.reply(number, "busy", retry=1)
        self.assertEqual(bridge.enroll(), (number, "g1/n1", CMC))
        bridge.reply(number, "conflict")
        bridge.until(waiting=0, replies=2)
        self.assertEqual(node.commands, [])

    def test_long_names_are_cut_between_characters(self):
        bridge = self.make_bridge()
        edge = "é" * 32
        node = self.make_node(edge, group="g" * 64)
        node.birth({"Touchmark/State": "waiting"})
        bridge.birth(edge)
        node.data({"Touchmark/Request": CMC})
        self.assertEqual(bridge.enroll()[1], "g" * 64)
        short = self.make_node(edge, group="g")
        short.birth({"Touchmark/State": "waiting"})
        short.data({"Touchmark/Request": CMC})
        self.assertEqual(bridge.enroll()[1], "g/" + "é" * 31)

    def test_requests_of_other_sizes_are_malformed(self):
        bridge = self.make_bridge()
        node, _ = self.waiting(bridge)
        node.data({"Touchmark/Request": bytes(16385)})
        bridge.until(malformed=1)
        self.ask(bridge, node, bytes(16384))

    def test_answers_that_are_too_large_are_not_sent(self):
        bridge = self.make_bridge()
        node, number = self.waiting(bridge)
        bridge.offer(number, CHALLENGE, bytes(16385))
        bridge.until(too_large=1)
        bridge.reply(self.ask(bridge, node), "issued", bytes(16385))
        bridge.until(too_large=2, unconfirmed=0, waiting=0)
        bridge.reply(self.ask(bridge, node), "bad-csr", bytes(16384))
        self.assertEqual(node.wait_command("Touchmark/Response"), bytes(16384))

    def test_back_pressure(self):
        """Two at the core; what comes meanwhile waits in the broker and none is lost."""
        bridge = self.make_bridge(queue=2)
        app = self.make_client("touchmark/v1/+/response/#")
        for i in range(600):
            app.publish(f"touchmark/v1/d{i}/request", b"request %d" % i, qos=1, wait=False,
                        ResponseTopic=f"touchmark/v1/d{i}/response")
        seen = set()
        for i in range(600):
            h.until("two at the core, or the last one",
                    lambda: bridge.count("enroll") == min(2, 600 - len(seen)))
            self.assertLessEqual(bridge.stats()["waiting"], 2 + 64)
            number, remote, octets = bridge.enroll()
            seen.add((remote, octets))
            bridge.reply(number, "bad-csr", b"answer to " + octets)
        self.assertEqual(len(seen), 600)
        for i in range(600):
            answer = app.wait(lambda m, d=i: m.topic == f"touchmark/v1/d{d}/response")
            self.assertEqual(answer.payload, b"answer to request %d" % i)
        stats = bridge.stats()
        self.assertEqual((stats["connects"], stats["dropped"]), (1, 0))

    def test_back_pressure_does_not_cost_the_connection(self):
        """A core that is away for longer than the keep-alive: then the queue's worth is kept and
        the rest is dropped, while the connection lives."""
        bridge = self.make_bridge(queue=2, keepalive_s=5)
        bridge.tell("core", 0)
        app = self.make_client()
        for i in range(600):
            app.publish(f"touchmark/v1/d{i}/request", b"request", qos=1, wait=False,
                        ResponseTopic=f"touchmark/v1/d{i}/response")
        h.until("what does not fit is dropped", lambda: bridge.stats()["dropped"] == 600 - 66)
        began = time.monotonic()
        h.until("two keep-alives later", lambda: time.monotonic() - began > 11)
        self.assertEqual(bridge.stats()["connects"], 1)
        self.assertEqual(bridge.said().count("dropped"), 1)
        bridge.tell("core", 1)
        bridge.enroll()

    def test_after_a_broker_restart_everybody_is_born_again(self):
        bridge = self.make_bridge()
        node, number = self.waiting(bridge)
        bridge.offer(number, NOTHING)
        number = self.ask(bridge, node)
        self.broker.stop()
        node.die()
        self.broker.start()
        bridge.until(connected=1, connects=2)
        bridge.reply(number, "issued", CMC)  # to nobody who is known to be there
        bridge.until(replies=1, unconfirmed=0)
        node = self.make_node()
        node.birth({"Touchmark/State": "requested"})
        number, *_ = bridge.birth("n1")
        bridge.offer(number, RESPONSE, CMC)
        self.assertEqual(node.wait_command("Touchmark/Response"), CMC)

    def test_draining_finishes_what_is_under_way(self):
        bridge = self.make_bridge()
        node, _ = self.waiting(bridge)
        number = self.ask(bridge, node)
        bridge.tell("drain")
        self.assertEqual(bridge.take(lambda x: x[0] == "drained", "drained")[1], "0")
        node.data({"Touchmark/State": "waiting"})
        bridge.reply(number, "bad-csr", CMC)
        self.assertEqual(node.wait_command("Touchmark/Response"), CMC)
        node.data({"Touchmark/Request": b"too late"})
        bridge.tell("drain")
        self.assertEqual(bridge.take(lambda x: x[0] == "drained", "drained")[1], "1")
        self.assertEqual((bridge.count("enroll"), bridge.count("birth")), (0, 0))
        self.broker.restart()
        bridge.until(connected=0)
        lost = time.monotonic()
        h.until("longer than the first pause", lambda: time.monotonic() - lost > 1.5)
        self.assertEqual(bridge.stats()["connects"], 1, "a successor has its place")


class SmallBroker(Case):
    lines = ("max_packet_size 2000",)

    def test_the_brokers_maximum_packet_size_holds(self):
        bridge = self.make_bridge()
        node, number = self.waiting(bridge)
        bridge.offer(number, CHALLENGE, bytes(2000))
        bridge.until(too_large=1)
        bridge.tell("event", 1, "issued", "acme", "d1", b'{"a":"%s"}'.__mod__(b"x" * 2000).hex())
        bridge.tell("event", 2, "issued", "acme", "d1", b"{}".hex())
        bridge.take(lambda x: x == ["ack", "2"], "the event after the large one is acknowledged")
        bridge.until(too_large=2, connects=1)
        node.data({"Touchmark/Request": b"request"})
        number, *_ = bridge.enroll()
        bridge.reply(number, "bad-csr", bytes(1800))
        self.assertEqual(node.wait_command("Touchmark/Response"), bytes(1800))


class Plain(Case):
    def test_an_offer_and_a_request(self):
        bridge = self.make_bridge()
        app = self.make_client("touchmark/v1/d1/response/#")
        app.publish("touchmark/v1/d1/offer", qos=1, ResponseTopic="touchmark/v1/d1/response/7",
                    CorrelationData=b"\0\1two", UserProperty=[("other", "x"), ("label", "plant")])
        number, wants, label, device = bridge.birth()
        self.assertEqual((wants, label, device), (True, "plant", "d1"))
        bridge.offer(number, CHALLENGE, CMC)
        answer = app.wait(lambda m: m.topic == "touchmark/v1/d1/response/7")
        self.assertEqual((answer.payload, answer.qos, answer.retain), (CMC, 1, 0))
        self.assertEqual(answer.properties.CorrelationData, b"\0\1two")
        self.assertEqual(answer.properties.ContentType,
                         "application/pkcs7-mime; smime-type=CMC-response")
        self.assertLessEqual(answer.properties.MessageExpiryInterval, 300)
        app.publish("touchmark/v1/d1/request", CMC, qos=1,
                    ResponseTopic="touchmark/v1/d1/response")
        number, remote, octets = bridge.enroll()
        self.assertEqual((remote, octets), ("touchmark/v1/d1", CMC))
        bridge.reply(number, "issued", b"issued" + CMC)
        answer = app.wait(lambda m: m.topic == "touchmark/v1/d1/response")
        self.assertEqual(answer.payload, b"issued" + CMC)
        self.assertFalse(hasattr(answer.properties, "CorrelationData"))
        bridge.until(unconfirmed=0, waiting=0, offers=1, malformed=0)

    def test_what_breaks_the_profile_is_counted_and_not_answered(self):
        bridge = self.make_bridge()
        app = self.make_client()
        mine = {"ResponseTopic": "touchmark/v1/d1/response"}
        bad = [("offer", b"", {}), ("offer", b"x", mine), ("request", b"", mine),
               ("request", bytes(16385), mine),
               ("request", CMC, {"ResponseTopic": "touchmark/v1/d2/response"}),
               ("request", CMC, {"ResponseTopic": "touchmark/v1/d1/request"}),
               ("request", CMC, {"ResponseTopic": "spBv1.0/g1/NCMD/d1"}),
               ("request", CMC, {"ResponseTopic": "touchmark/v1/d1/response/" + "a" * 300}),
               ("request", CMC, {**mine, "CorrelationData": bytes(65)}),
               ("offer", b"", {**mine, "UserProperty": [("label", "a/b")]})]
        for kind, octets, properties in bad:
            app.publish(f"touchmark/v1/d1/{kind}", octets, qos=1, **properties)
        bridge.until(malformed=len(bad))
        app.publish("touchmark/v1/d1/request", b"good", qos=1, CorrelationData=bytes(64), **mine)
        self.assertEqual(bridge.enroll()[2], b"good")
        self.assertEqual((bridge.count("enroll"), bridge.count("birth")), (0, 0))

    def test_kept_requests_are_old(self):
        app = self.make_client()
        app.publish("touchmark/v1/d1/request", b"old", qos=1, retain=True,
                    ResponseTopic="touchmark/v1/d1/response")
        bridge = self.make_bridge()
        app.publish("touchmark/v1/d2/request", b"new", qos=1,
                    ResponseTopic="touchmark/v1/d2/response")
        self.assertEqual(bridge.enroll()[2], b"new")
        self.assertEqual(bridge.count("enroll"), 0)

    def test_offers_and_births_take_turns(self):
        bridge = self.make_bridge(births_per_second=1, queue=100)
        bridge.tell("core", 0)
        node = self.make_node()
        node.birth(None, **{f"s{i}": {"Touchmark/State": "waiting"} for i in range(3)})
        app = self.make_client()
        for i in range(3):
            app.publish(f"touchmark/v1/p{i}/offer", qos=1,
                        ResponseTopic=f"touchmark/v1/p{i}/response")
        bridge.until(waiting=6)
        bridge.tell("core", 1)
        found = [bridge.birth()[3][0] for _ in range(4)]
        self.assertIn("".join(found), ("spsp", "psps"))


class Events(Case):
    def test_events_are_acknowledged_in_order_when_the_broker_has_them(self):
        bridge = self.make_bridge()
        app = self.make_client("touchmark/v1/event/#")
        for i in range(1, 51):
            bridge.tell("event", i, "issued", "acme", f"d{i}", (b'{"n":%d}' % i).hex())
        for i in range(1, 51):
            event = app.wait(lambda m, d=i: m.topic == f"touchmark/v1/event/acme/d{d}/issued")
            self.assertEqual((event.payload, event.qos), (b'{"n":%d}' % i, 1))
        bridge.take(lambda x: x == ["ack", "50"], "all are acknowledged")
        acks = [int(x[1]) for x in bridge.lines if x[0] == "ack"]
        self.assertEqual(acks, sorted(acks))

    def test_levels_of_topics_are_made_harmless(self):
        bridge = self.make_bridge()
        app = self.make_client("touchmark/v1/event/#")
        bridge.tell("event", 1, "re/issued", "a+b", "#", "7b7d")
        app.wait(lambda m: m.topic == "touchmark/v1/event/a-b/-/re-issued")
        bridge.tell("event", 2, "issued", "acme", "", "7b7d")
        app.wait(lambda m: m.topic == "touchmark/v1/event/acme/-/issued")

    def test_events_wait_for_the_broker(self):
        self.broker.stop()
        bridge = self.make_bridge(ready=False)
        for i in range(1, 70):
            bridge.tell("event", i, "issued", "acme", f"d{i}", "7b7d")
        bridge.stats()
        self.assertEqual(bridge.count("ack"), 0)
        self.broker.start()
        bridge.take(lambda x: x == ["ack", "64"], "as many as are kept")
        bridge.tell("core", 0)
        bridge.tell("core", 1)
        for i in range(65, 70):
            bridge.tell("event", i, "issued", "acme", f"d{i}", "7b7d")
        bridge.take(lambda x: x == ["ack", "69"], "the rest, over a new link")

    def test_an_event_that_is_on_its_way_when_the_broker_ends_is_published_again(self):
        bridge = self.make_bridge()
        self.broker.suspend()
        bridge.tell("event", 1, "issued", "acme", "d1", "7b7d")
        bridge.stats()
        self.assertEqual(bridge.count("ack"), 0)
        self.broker.kill()
        self.broker.start()
        bridge.take(lambda x: x == ["ack", "1"], "it is acknowledged")


class SlowTcp:
    """Forwards one connection to a port. Its queue of connections is full until open()."""

    def __init__(self, to):
        self.to, self.held = to, []
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(0)
        self.listener.settimeout(h.PATIENCE)
        self.port = self.listener.getsockname()[1]
        while len(self.held) < 8:
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", self.port))
            self.held.append(sock)

    def open(self):
        self.listener.listen(16)
        for sock in self.held:
            sock.close()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                there = socket.create_connection(("127.0.0.1", self.to))
                self.held += [sock, there]
                for pair in ((sock, there), (there, sock)):
                    threading.Thread(target=self.forward, args=pair, daemon=True).start()

    @staticmethod
    def forward(source, sink):
        with contextlib.suppress(OSError):
            while True:
                data = source.recv(65536)
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                sink.sendall(data)

    def close(self):
        for sock in [self.listener, *self.held]:
            sock.close()


class Tls(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="touchmark-bridge-tls-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.ca, self.cert, self.key = mqtt.tls_files(self.folder, ("127.0.0.1", "broker.test"))
        self.bridges = []

    def run_bridge(self, broker, **options):
        bridge = Bridge(getattr(broker, "port", broker), tls_anchors=options.pop("ca", self.ca), **options)
        self.addCleanup(bridge.close)
        return bridge

    def start_broker(self, **options):
        broker = Broker(tls=(self.ca, self.cert, self.key), **options).start()
        self.addCleanup(broker.close)
        return broker

    def test_the_right_name(self):
        broker = self.start_broker()
        for name in ({}, {"tls_name": "broker.test"}):
            bridge = self.run_bridge(broker, **name)
            bridge.until(connected=1)
            self.assertEqual(bridge.stop(), 0)
        with Client(broker.port, tls=mqtt.client_tls(self.ca)) as app:
            app.subscribe(STATE)
            self.assertFalse(mqtt.state_of(app.wait(lambda m: m.topic == STATE))["online"])

    def test_it_carries_large_and_many_messages(self):
        broker = self.start_broker()
        bridge = self.run_bridge(broker, queue=4)
        bridge.until(connected=1)
        with Client(broker.port, tls=mqtt.client_tls(self.ca)) as app:
            app.subscribe("touchmark/v1/+/response")
            for i in range(60):
                app.publish(f"touchmark/v1/d{i}/request", bytes([i]) * 16000, qos=1, wait=False,
                            ResponseTopic=f"touchmark/v1/d{i}/response")
            for _ in range(60):
                number, _, octets = bridge.enroll()
                bridge.reply(number, "bad-csr", octets)
            for i in range(60):
                found = app.wait(lambda m, d=i: m.topic == f"touchmark/v1/d{d}/response")
                self.assertEqual(found.payload, bytes([i]) * 16000)
        self.assertEqual(bridge.stop(), 0)

    def refused(self, broker, **options):
        bridge = self.run_bridge(broker, **options)
        h.until("two attempts that failed", lambda: bridge.said().count("cannot reach") >= 2)
        self.assertEqual((bridge.stats()["connects"], bridge.count("birth")), (0, 0))
        text = bridge.said()
        self.assertEqual(bridge.stop(), 0)
        return text

    def test_a_wrong_name_is_refused(self):
        broker = self.start_broker()
        for name in ("other.test", "127.0.0.2", "test", "broker.test.example"):
            with self.subTest(name):
                self.assertRegex(self.refused(broker, tls_name=name), "mismatch")

    def test_a_wrong_ca_is_refused(self):
        other, _, _ = mqtt.tls_files(self.folder, prefix="other")
        self.assertRegex(self.refused(self.start_broker(), ca=other), "(?i)issuer|self.signed")

    def test_a_broker_without_tls_gets_nothing(self):
        with Broker() as broker:
            self.refused(broker)

    def test_tcp_that_takes_its_time(self):
        """TLS begins when TCP is there: here with the second SYN."""
        broker = self.start_broker()
        slow = SlowTcp(broker.port)
        self.addCleanup(slow.close)
        bridge = self.run_bridge(slow.port)
        bridge.stats()
        slow.open()
        bridge.until(connected=1)
        self.assertNotIn("cannot reach", bridge.said())
        self.assertEqual(bridge.stop(), 0)

    def test_a_certificate_for_the_broker(self):
        clients, cert, key = mqtt.tls_files(self.folder, ("bridge.test",), prefix="bridge")
        broker = self.start_broker(clients=clients)
        bridge = self.run_bridge(broker, tls_certificate=cert, tls_key=key)
        bridge.until(connected=1)
        self.assertEqual(bridge.stop(), 0)
        self.refused(broker)

    def test_nothing_is_read_from_files_later(self):
        broker = self.start_broker()
        bridge = self.run_bridge(broker)
        bridge.until(connected=1)
        broker.stop()
        content = self.ca.read_bytes()
        self.ca.unlink()
        bridge.until(connected=0)
        self.ca.write_bytes(content)  # for the broker
        broker.start()
        self.ca.unlink()
        bridge.until(connected=1)
        self.assertEqual(bridge.stop(), 0)


class Refusals(unittest.TestCase):
    def test_configurations_that_cannot_be(self):
        for given, sentence in (
                ({"host_id": "a/b"}, "host ID"), ({"group": "a+b"}, "group"),
                ({"prefix": "a/#"}, "prefix"), ({"prefix": "spBv1.0/x"}, "prefix"),
                ({"queue": 0}, "queue"), ({"keepalive_s": 4}, "keep-alive"),
                ({"password": "secret"}, "user name"), ({"port": 0}, "port"),
                ({"births_per_second": 0}, "births"), ({"retransmit_ms": 0}, "pauses"),
                ({"tls_anchors": "/dev/null", "tls_key": BRIDGEC}, "CA"),
                ({"tls_anchors": BRIDGEC}, "CAs"),
                ({"sparkplug": 0, "plain": 0, "events": 0}, "neither")):
            with self.subTest(given):
                words = {"port": 1883, "sparkplug": 1, "host_id": "h", "plain": 1, "events": 1,
                         **given}
                done = subprocess.run([BRIDGEC, *(f"{k}={v}" for k, v in words.items())],
                                      input=b"", capture_output=True,
                                      timeout=h.PATIENCE)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertRegex(done.stderr.decode(), f"refused: .*{sentence}")


if __name__ == "__main__":
    h.main()
