# SPDX-License-Identifier: Apache-2.0
"""Devices on a real broker, and a host that is played by the tests: what the device library's MQTT
transport says as a Sparkplug B 3.0 edge node, by the assertion IDs of the specification, and as a
plain MQTT 5 client; what it does when broker or host go; and what it passes over."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import unittest

from harness import BUILD, PATIENCE, SANITIZER_SPEAKS, SLOW, main, openssl, run, until
from mqtt import (BOOLEAN, BYTES, INT64, STRING, Broker, Client, decode, metric, now_ms, payload,
                  tls_files, tls_leaf, values)
from mqtt_packet import (CONNECT, Publish, mqtt_length, skip_properties, take_field, take_packet)

DEVICEC = BUILD / "tests" / "live" / "devicec"
OK = 0  # TM_RESULT_OK
SUBSCRIBE, DISCONNECT = 8, 14
WITH_WILL = 0x04
TOPIC = "spBv1.0/g/{}/{}"


# ---- what the host of these tests can say: DER by hand ----

def der(tag, *parts):
    body = b"".join(parts)
    size = len(body)
    length = bytes([size]) if size < 128 else bytes([0x82, size >> 8, size & 255])
    return bytes([tag]) + length + body


def oid(text):
    first, second, *rest = (int(n) for n in text.split("."))
    out = bytes([40 * first + second])
    for n in rest:
        octets = [n & 127]
        while n := n >> 7:
            octets.append(n & 127 | 128)
        out += bytes(reversed(octets))
    return der(0x06, out)


def offer(challenge=b"0123456789abcdef", certificates=()):
    """RFC 5272, 4.2 without a signer: the challenge as senderNonce."""
    nonce = der(0x30, der(0x02, b"\x01"), oid("1.3.6.1.5.5.7.7.6"),
                der(0x31, der(0x04, challenge)))
    content = der(0x30, der(0x30, nonce), der(0x30), der(0x30))
    signed = der(0x30, der(0x02, b"\x03"), der(0x31),
                 der(0x30, oid("1.3.6.1.5.5.7.12.3"), der(0xa0, der(0x04, content))),
                 der(0xa0, *certificates), der(0x31))
    return der(0x30, oid("1.2.840.113549.1.7.2"), der(0xa0, signed))


GARBAGE = [b"", b"\0", b"no offer", der(0x30), b"\x30\x82\xff\xff", offer()[:-3], offer() + b"\0",
           os.urandom(64), bytes(20000)]


# ---- somebody who listens on the wire ----

class Tap:
    """A port in front of the broker; keeps what the device sends, packet by packet."""

    def __init__(self, target):
        self.target, self.packets, self.threads, self.ends = target, [], [], []
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.spawn(self.accept)

    def spawn(self, work, *args):
        thread = threading.Thread(target=work, args=args, daemon=True)
        self.threads.append(thread)
        thread.start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                self.ends.append(near)
                far = socket.create_connection(("127.0.0.1", self.target))
                self.ends.append(far)
                for end in (near, far):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.spawn(self.pump, near, far, True)
                self.spawn(self.pump, far, near, False)

    def pump(self, source, sink, keep):
        data = bytearray()
        with contextlib.suppress(OSError):
            while octets := source.recv(65536):
                if keep:
                    data += octets
                    while found := take_packet(data):
                        with self.lock:
                            self.packets.append(found[:2])
                sink.sendall(octets)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def of(self, kind):
        with self.lock:
            return [packet for packet in self.packets if packet[0] >> 4 == kind]

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        for end in self.ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(PATIENCE)
        for end in (self.listener, *self.ends):
            end.close()


class Connect:
    """A CONNECT of MQTT 5, taken apart (MQTT 5, 3.1)."""

    def __init__(self, body):
        assert take_field(body, 0) == (b"MQTT", 6)
        self.version, self.flags = body[6], body[7]
        self.properties, at = skip_properties(body, 10, self.version)
        self.client_id, at = take_field(body, at)
        if self.flags & 4:
            _, at = skip_properties(body, at, self.version)
            self.will_topic, at = take_field(body, at)
            self.will, at = take_field(body, at)

    @property
    def will_qos(self):
        return self.flags >> 3 & 3


def subscriptions(body):
    """{topic: options} of a SUBSCRIBE."""
    found, (size, start) = {}, mqtt_length(body, 2)
    at = start + size
    while at < len(body):
        topic, at = take_field(body, at)
        found[topic.decode()] = body[at]
        at += 1
    return found


# ---- devices ----

class Device:
    """A new device, and the program that is it."""

    def __init__(self, case, name, port, *options, url=None):
        self.case, self.name = case, name
        self.folder = case.folder / f"{name}-{len(case.devices)}"
        case.devices.append(self)
        self.process, self.err = None, self.folder.with_suffix(".err")
        self.options = ["--id", name, "--mqtt", url or f"mqtt://127.0.0.1:{port}",
                        "--ldevid-label", "ldevid", "--until", "1000000", *options]
        run(*self.arguments("--anchors", case.root, "--bootstrap-from-stdin", "provision"),
            stdin=b"one-time secret\n")

    def arguments(self, *words):
        return [str(a) for a in (DEVICEC, "--folder", self.folder, *self.options, *words)]

    def start(self, *words):
        self.out = self.folder.with_suffix(".out")
        with open(self.out, "wb") as out, open(self.err, "ab") as err:
            self.process = subprocess.Popen(self.arguments(*(words or ("run",))), stdout=out,
                                            stderr=err)
        return self

    def said(self):
        return [json.loads(line) for line in self.out.read_text().splitlines()]

    def failures(self):
        return [line["text"] for line in self.said() if line.get("event") == "failed"]

    def wait_failure(self, count=1):
        until(lambda: f"{self.name} failed {count} times: {self.said()}",
              lambda: len(self.failures()) >= count)
        return self.failures()[count - 1]

    def stop(self):
        """In order."""
        self.process.send_signal(signal.SIGTERM)
        self.end()

    def end(self):
        self.case.assertEqual(self.process.wait(PATIENCE), 0, self.err.read_text())
        self.process = None

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait(PATIENCE)
            self.process = None

    def results(self, *words):
        """Of the program's exchanges, when it is over: --times CACERTS."""
        self.start(*words, "cacerts")
        self.end()
        return self.said()


class Port(unittest.TestCase):
    lines = ()

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="touchmark-port-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.root = cls.folder / "root.pem"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", cls.folder / "root.key", "-subj", "/CN=Root", "-addext",
                "keyUsage=critical,keyCertSign", "-out", cls.root)
        cls.root_der = openssl("x509", "-in", cls.root, "-outform", "DER")

    def setUp(self):
        self.devices = []
        self.broker = Broker(lines=self.lines).start()
        self.addCleanup(self.broker.close)
        self.app = Client(self.broker.port)
        self.addCleanup(self.app.close)
        self.app.subscribe("#")
        self.addCleanup(self.check_devices)

    def check_devices(self):
        for device in self.devices:
            device.kill()
            if device.err.exists():
                text = device.err.read_bytes()
                self.assertIsNone(SANITIZER_SPEAKS.search(text), text.decode(errors="replace"))
                self.assertNotIn(b"one-time secret", text)

    def device(self, name, *options, port=None, url=None):
        return Device(self, name, port or self.broker.port, *options, url=url)

    def tap(self):
        tap = Tap(self.broker.port)
        self.addCleanup(tap.close)
        return tap

    def next(self, kind, name, **contents):
        """The next message of a device that has these values (or, for seq, this number)."""
        topic = TOPIC.format(kind, name)

        def fits(message):
            if message.topic != topic:
                return False
            found = values(message.payload)
            return all(found.get(k.replace("_", "/")) == v for k, v in contents.items())
        return self.app.wait(fits, f"{topic} {contents}; the broker says\n"
                             + self.broker.log.read_text()[-1500:])

    def count(self, kind, name):
        return len(self.app.find(lambda m: m.topic == TOPIC.format(kind, name)))

    def command(self, name, metric_name, datatype, value):
        self.app.publish(TOPIC.format("NCMD", name), payload([metric(metric_name, datatype, value)]))

    def offer_to(self, name, value=None):
        self.command(name, "Touchmark/Offer", BYTES,
                     offer(certificates=[self.root_der]) if value is None else value)

    def rebirth(self, name, value=True):
        self.command(name, "Node Control/Rebirth", BOOLEAN, value)

    def state(self, host, online, at):
        self.app.publish(f"spBv1.0/STATE/{host}",
                         json.dumps({"online": online, "timestamp": at}).encode(), qos=1,
                         retain=True)

    def bdseq(self, message):
        return values(message.payload)["bdSeq"]


SHORT_S = "8" if SLOW else "3"
SHORT = ("--timeout", SHORT_S, "--repeat", "1")
LONG = ("--timeout", "100", "--repeat", "1")
NEVER_AGAIN = ("--backoff-min", "1000000", "--backoff", "1000000")


class Session(Port):
    """Sections 4, 5 and 6 of the specification, for an edge node without a primary host."""

    def test_connect_and_birth(self):
        """tck-id-message-flow-edge-node-birth-publish-connect, -will-message, -will-message-topic,
        -will-message-payload, -will-message-payload-bdSeq, -will-message-qos,
        -will-message-will-retained; tck-id-message-flow-edge-node-ncmd-subscribe;
        tck-id-payloads-ndeath-will-message, -will-message-qos, -will-message-retain, -seq, -bdseq;
        tck-id-topics-ndeath-topic, -payload, -seq; tck-id-principles-persistence-clean-session-50
        """
        tap = self.tap()
        self.device("con", *LONG, port=tap.port).start()
        self.next("NBIRTH", "con")
        connect = Connect(tap.of(CONNECT)[0][1])
        self.assertEqual(connect.version, 5)
        self.assertEqual(connect.client_id, b"con")
        self.assertTrue(connect.flags & 2, "Clean Start")
        self.assertNotIn(b"\x11", connect.properties[:1], "no Session Expiry Interval")
        self.assertTrue(connect.flags & 4, "a will")
        self.assertEqual(connect.will_topic.decode(), TOPIC.format("NDEATH", "con"))
        self.assertEqual(connect.will_qos, 1)
        self.assertFalse(connect.flags & 32, "the will is not retained")
        will = decode(connect.will)
        self.assertFalse(will.HasField("seq"))
        self.assertEqual([(m.name, m.datatype, m.long_value) for m in will.metrics],
                         [("bdSeq", INT64, 0)])
        kinds = [first >> 4 for first, _ in tap.packets]
        self.assertLess(kinds.index(SUBSCRIBE), kinds.index(3), "subscribed before the birth")
        wanted = {}
        for _, body in tap.of(SUBSCRIBE):
            wanted |= subscriptions(body)
        self.assertEqual({topic: options & 3 for topic, options in wanted.items()},
                         {TOPIC.format("NCMD", "con"): 1})

    def test_nbirth(self):
        """tck-id-topics-nbirth-topic, -mqtt, -seq-num, -timestamp, -metric-reqs, -metrics,
        -bdseq-included, -bdseq-matching, -rebirth-metric; tck-id-payloads-nbirth-timestamp, -seq,
        -bdseq, -bdseq-repeat, -rebirth-req, -qos, -retain; tck-id-payloads-timestamp-in-UTC;
        tck-id-payloads-name-requirement; tck-id-payloads-name-birth-data-requirement;
        tck-id-payloads-metric-datatype-req; tck-id-payloads-sequence-num-req-nbirth;
        tck-id-message-flow-edge-node-birth-publish-nbirth-topic, -payload, -payload-bdSeq, -qos,
        -retained, -payload-seq; tck-id-operational-behavior-data-commands-rebirth-name,
        -rebirth-name-aliases, -rebirth-datatype, -rebirth-value"""
        before = now_ms()
        tap = self.tap()
        self.device("bir", *LONG, port=tap.port).start()
        message = self.next("NBIRTH", "bir")
        self.assertEqual((message.qos, message.retain), (0, False))
        publish = next(p for p in (Publish.parse(*packet, 5) for packet in tap.of(3))
                       if "/NBIRTH/" in p.topic)
        self.assertEqual((publish.qos, publish.retain), (0, False))
        birth = decode(message.payload)
        self.assertEqual(birth.seq, 0)
        self.assertTrue(before <= birth.timestamp <= now_ms())
        found = {m.name: m for m in birth.metrics}
        self.assertEqual({name: m.datatype for name, m in found.items()}, {
            "bdSeq": INT64, "Node Control/Rebirth": BOOLEAN, "Touchmark/Device": STRING,
            "Touchmark/Label": STRING, "Touchmark/State": STRING, "Touchmark/Request": BYTES,
            "Touchmark/Offer": BYTES, "Touchmark/Response": BYTES})
        for m in birth.metrics:
            self.assertTrue(before <= m.timestamp <= now_ms(), m)
            self.assertTrue(m.is_null or m.WhichOneof("value"), m)
            self.assertFalse(m.HasField("alias"))
        self.assertIs(found["Node Control/Rebirth"].boolean_value, False)
        self.assertEqual(found["Touchmark/Label"].string_value, "ldevid")
        self.assertEqual(found["Touchmark/State"].string_value, "waiting")
        self.assertTrue(found["Touchmark/Request"].is_null, "a birth never carries a request")
        self.assertEqual(found["bdSeq"].long_value,
                         decode(Connect(tap.of(CONNECT)[0][1]).will).metrics[0].long_value)

    def test_edge_node_of_another_name(self):
        self.device("own", "--edge-node", "edge", *LONG).start()
        self.assertEqual(values(self.next("NBIRTH", "edge").payload)["Touchmark/Device"], "own")

    def test_ndata(self):
        """tck-id-topics-ndata-topic, -mqtt, -seq-num, -timestamp, -payload;
        tck-id-payloads-ndata-timestamp, -seq, -seq-inc, -order, -qos, -retain;
        tck-id-payloads-sequence-num-always-included, -sequence-num-incrementing"""
        count = 300
        answered = threading.Event()

        def answer(message):
            """A host that answers at once, to data and birth."""
            if message.topic in (TOPIC.format("NBIRTH", "dat"), TOPIC.format("NDATA", "dat")):
                host.publish(TOPIC.format("NCMD", "dat"), payload(
                    [metric("Touchmark/Offer", BYTES, offer(certificates=[self.root_der]))]),
                    wait=False)
                answered.set()
        with Client(self.broker.port) as host:
            host.on.append(answer)
            host.subscribe("spBv1.0/g/#", qos=0)
            results = self.device("dat", "--timeout", "100", "--repeat",
                                  "100").results("--times", str(count))
        self.assertTrue(answered.is_set())
        self.assertEqual([r["result"] for r in results], [OK] * count)
        self.next("NDEATH", "dat")
        sent = [m for m in self.app.find(lambda m: "/dat" in m.topic)
                if "/NBIRTH/" in m.topic or "/NDATA/" in m.topic]
        self.assertIn("/NBIRTH/", sent[0].topic)
        self.assertEqual({m.topic.split("/")[2] for m in sent[1:]}, {"NDATA"})
        self.assertEqual([decode(m.payload).seq for m in sent], [n % 256 for n in range(count)])
        for m in sent[1:]:
            data = decode(m.payload)
            self.assertEqual((m.qos, m.retain), (0, False))
            self.assertTrue(data.timestamp)
            self.assertEqual([x.name for x in data.metrics], ["Touchmark/State"])
            self.assertTrue(all(x.timestamp for x in data.metrics))

    def test_rebirth(self):
        """tck-id-operational-behavior-data-commands-rebirth-action-1, -rebirth-action-2,
        -rebirth-action-3; tck-id-topics-ncmd-topic"""
        self.device("reb", *LONG).start()
        first = self.next("NBIRTH", "reb")
        self.next("NDATA", "reb")
        self.rebirth("reb", False)  # is no request
        self.rebirth("reb")
        again = self.next("NBIRTH", "reb")
        self.assertEqual(self.bdseq(again), self.bdseq(first))
        self.assertEqual(decode(again.payload).seq, 0)
        self.assertEqual(values(again.payload)["Touchmark/State"], "waiting")
        later = [decode(self.next("NDATA", "reb").payload).seq for _ in range(2)]
        self.assertEqual(later[1], later[0] + 1)
        self.assertEqual(self.count("NBIRTH", "reb"), 0)

    def test_many_rebirth_requests_are_answered_together(self):
        self.device("fld", "--timeout", "100", "--repeat", "100").start()
        self.next("NBIRTH", "fld")
        for _ in range(200):
            self.app.publish(TOPIC.format("NCMD", "fld"), payload(
                [metric("Node Control/Rebirth", BOOLEAN, True)]), wait=False)
        self.next("NBIRTH", "fld")
        self.offer_to("fld")  # behind all of them
        self.next("NDATA", "fld", Touchmark_State="requested")
        self.assertLess(self.count("NBIRTH", "fld"), 10)

    def test_rebirth_with_a_request_under_way(self):
        """The birth does not carry it, the next data does, and its octets are the same."""
        self.device("und", "--timeout", "100", "--repeat", "100").start()
        self.next("NBIRTH", "und")
        self.offer_to("und")
        first = values(self.next("NDATA", "und", Touchmark_State="requested").payload)
        self.rebirth("und")
        birth = values(self.next("NBIRTH", "und").payload)
        self.assertEqual((birth["Touchmark/State"], birth["Touchmark/Request"]),
                         ("requested", None))
        again = self.next("NDATA", "und")
        self.assertEqual(decode(again.payload).seq, 1)
        self.assertEqual(values(again.payload), first)

    def test_end_in_order(self):
        """tck-id-operational-behavior-edge-node-intentional-disconnect-ndeath,
        -intentional-disconnect-packet; tck-id-payloads-ndeath-will-message-publisher,
        -will-message-publisher-disconnect-mqtt50"""
        tap = self.tap()
        device = self.device("end", *SHORT, *NEVER_AGAIN, port=tap.port).start()
        device.wait_failure()
        device.stop()
        death = self.next("NDEATH", "end")
        self.assertEqual(self.bdseq(death), 0)
        self.assertFalse(decode(death.payload).HasField("seq"))
        until("the device says that it goes", lambda: tap.of(DISCONNECT))
        sent = [Publish.parse(*packet, 5) if packet[0] >> 4 == 3 else packet
                for packet in tap.packets]
        self.assertEqual(sent[-2].topic, TOPIC.format("NDEATH", "end"))
        self.assertEqual((sent[-2].qos, sent[-2].retain), (1, False))
        self.assertEqual((sent[-1][0] >> 4, sent[-1][1][0]), (DISCONNECT, WITH_WILL))

    def test_end_without_warning(self):
        """tck-id-payloads-ndeath-bdseq"""
        device = self.device("die", *LONG).start()
        birth = self.next("NBIRTH", "die")
        device.kill()
        death = self.next("NDEATH", "die")
        self.assertEqual(self.bdseq(death), self.bdseq(birth))
        self.assertEqual([m.name for m in decode(death.payload).metrics], ["bdSeq"])

    def test_bdseq(self):
        """tck-id-topics-nbirth-bdseq-increment: by one with each CONNECT, also of the next run of
        the program, and 255 is followed by 0
        (tck-id-message-flow-edge-node-birth-publish-will-message-payload-bdSeq)."""
        device = self.device("bds", *LONG)
        for expected in (0, 1, 2):
            device.start()
            self.assertEqual(self.bdseq(self.next("NBIRTH", "bds")), expected)
            device.kill()
        (device.folder / "mqtt-bdseq").write_text("255\n")
        device.start()
        self.assertEqual(self.bdseq(self.next("NBIRTH", "bds")), 0)
        device.kill()
        (device.folder / "mqtt-bdseq").write_text("garbage")
        device.start()
        self.assertEqual(self.bdseq(self.next("NBIRTH", "bds")), 0)

    def born_again(self, name):
        """The birth of a device on the broker that came back, whenever it was."""
        with Client(self.broker.port) as app:
            app.subscribe("#")
            app.publish(TOPIC.format("NCMD", name), payload(
                [metric("Node Control/Rebirth", BOOLEAN, True)]))
            return app.wait(lambda m: m.topic == TOPIC.format("NBIRTH", name))

    def test_broker_gone_and_back(self):
        """A new session with the next bdSeq: tries that got no CONNECT out do not count."""
        device = self.device("bro", *SHORT).start()
        self.assertEqual(self.bdseq(self.next("NBIRTH", "bro")), 0)
        self.broker.kill()
        until(lambda: device.failures(),
              lambda: any("no connection to the broker" in text for text in device.failures()))
        self.broker.start()
        self.assertEqual(self.bdseq(self.born_again("bro")), 1)

    def test_tries_that_reach_nobody_do_not_count(self):
        device = self.device("try", *SHORT)
        self.broker.kill()
        device.start()
        self.assertIn("no connection to the broker: ", device.wait_failure())
        self.assertIn("Connection refused", device.failures()[0])
        device.wait_failure(2)
        self.broker.start()
        self.assertEqual(self.bdseq(self.born_again("try")), 0)


class PrimaryHost(Port):
    def device(self, name, *options, port=None):
        return super().device(name, "--host-id", "scada", *options, port=port)

    def test_wait_for_the_host(self):
        """tck-id-message-flow-edge-node-birth-publish-phid-wait, -phid-wait-id,
        -phid-wait-online, -phid-wait-timestamp; tck-id-conformance-primary-host"""
        at = now_ms()
        self.state("scada", False, at)
        self.state("other", True, at)
        device = self.device("hos", *SHORT).start()
        self.assertEqual(device.wait_failure(), "the primary host is not online: scada")
        self.state("scada", True, at - 1)  # older than what is known
        for wrong in (b"", b"ONLINE", b"{}", b'{"online":1,"timestamp":%d}' % (at + 1),
                      b'{"online":true}', b'{"online":true,"timestamp":"%d"}' % (at + 1),
                      b'{"online":false,"online":true,"timestamp":%d}' % (at + 1)):
            self.app.publish("spBv1.0/STATE/scada", wrong, qos=1)
        device.wait_failure(len(device.failures()) + 2)
        self.assertEqual(self.count("NBIRTH", "hos"), 0)
        self.state("scada", True, at)
        self.next("NBIRTH", "hos")

    def test_host_that_is_online_already(self):
        self.state("scada", True, now_ms())
        self.device("onl", *LONG).start()
        self.next("NBIRTH", "onl")

    def test_host_goes_offline(self):
        """tck-id-operational-behavior-edge-node-termination-host-offline, -host-offline-reconnect,
        -host-offline-timestamp; tck-id-message-flow-edge-node-birth-publish-phid-offline"""
        at = now_ms()
        tap = self.tap()
        self.state("scada", True, at)
        device = self.device("off", *SHORT, *NEVER_AGAIN, port=tap.port).start()
        first = self.next("NBIRTH", "off")
        device.wait_failure()
        self.state("scada", False, at - 1)  # of an earlier session of the host
        self.rebirth("off")
        self.next("NBIRTH", "off")  # it is there still
        self.assertEqual(self.count("NDEATH", "off"), 0)
        self.state("scada", False, at)
        death = self.next("NDEATH", "off")
        self.assertEqual(self.bdseq(death), self.bdseq(first))
        until("disconnected, and connected again", lambda: len(tap.of(CONNECT)) == 2)
        self.assertEqual(tap.of(DISCONNECT)[0][1][0], WITH_WILL)
        self.assertEqual(decode(Connect(tap.of(CONNECT)[1][1]).will).metrics[0].long_value, 1)
        until("subscribed again", lambda: len(tap.of(SUBSCRIBE)) == 4)
        self.assertEqual(self.count("NBIRTH", "off"), 0)
        self.state("scada", True, at + 1)
        self.assertEqual(self.bdseq(self.next("NBIRTH", "off")), 1)


class Exchanges(Port):
    def test_offers_that_are_none_are_passed_over(self):
        device = self.device("gar", *LONG).start()
        self.next("NBIRTH", "gar")
        for octets in GARBAGE:
            self.offer_to("gar", octets)
            self.app.publish(TOPIC.format("NCMD", "gar"), octets)
        self.offer_to("gar")
        request = self.next("NDATA", "gar", Touchmark_State="requested")
        self.assertTrue(values(request.payload)["Touchmark/Request"])
        self.assertEqual(device.said(), [])

    def test_responses_that_are_none_are_passed_over(self):
        device = self.device("res", "--timeout", "20" if SLOW else "8", "--repeat", "1",
                             *NEVER_AGAIN).start()
        self.next("NBIRTH", "res")
        self.offer_to("res")
        first = values(self.next("NDATA", "res", Touchmark_State="requested").payload)
        for octets in [*GARBAGE, offer()]:
            self.command("res", "Touchmark/Response", BYTES, octets)
        # With the same octets, again and again, until its time is over.
        again = values(self.next("NDATA", "res", Touchmark_State="requested").payload)
        self.assertEqual(first, again)
        self.assertEqual(device.wait_failure(), "no answer from the server")

    def test_request_is_signed_by_what_it_asks_for(self):
        """RFC 5272, 3.2.1: the bootstrap request's signature is by the requested key; OpenSSL
        finds the PKIData in it and no certificate."""
        self.device("sig", *LONG).start()
        self.next("NBIRTH", "sig")
        self.offer_to("sig")
        request = values(self.next("NDATA", "sig", Touchmark_State="requested").payload)
        text = openssl("cms", "-cmsout", "-print", "-inform", "DER",
                       stdin=request["Touchmark/Request"]).decode()
        self.assertIn("1.3.6.1.5.5.7.12.2", text)  # id-cct-PKIData
        self.assertNotIn(b"one-time secret", request["Touchmark/Request"])

    def test_suspended_broker_costs_no_more_than_the_timeout(self):
        device = self.device("sus", *SHORT, *NEVER_AGAIN)
        self.broker.suspend()
        try:
            device.start()
            self.assertIn("no connection to the broker", device.wait_failure())
        finally:
            self.broker.suspend(False)

    def test_host_calls_a_device_that_waits(self):
        """What was not answered is tried again when the host writes, and not after the backoff,
        which never ends here."""
        device = self.device("cal", *SHORT, *NEVER_AGAIN).start()
        self.assertEqual(device.wait_failure(), "no answer from the server")
        self.offer_to("cal")
        until("it asks again", lambda: self.app.find(
            lambda m: m.topic == TOPIC.format("NDATA", "cal")))
        self.offer_to("cal")
        self.next("NDATA", "cal", Touchmark_State="requested")

    def test_request_too_large_for_the_broker(self):
        self.broker.lines.append("max_packet_size 700")
        self.broker.restart()
        with Client(self.broker.port) as app:
            app.subscribe("spBv1.0/g/NBIRTH/#")
            device = self.device("big", *LONG, *NEVER_AGAIN).start()
            app.wait(lambda m: m.topic == TOPIC.format("NBIRTH", "big"))
            app.publish(TOPIC.format("NCMD", "big"), payload(
                [metric("Touchmark/Offer", BYTES, offer(certificates=[self.root_der]))]))
            self.assertEqual(device.wait_failure(), "the request is larger than the broker takes")


class Plain(Port):
    def device(self, name, *options, port=None):
        return super().device(name, "--profile", "plain", *options, port=port)

    def asked(self, name, kind):
        return self.app.wait(lambda m: m.topic == f"touchmark/v1/{name}/{kind}")

    def respond(self, asked, octets, correlation=None):
        properties = asked.properties
        self.app.publish(properties.ResponseTopic, octets, qos=1,
                         CorrelationData=correlation or properties.CorrelationData)

    def test_topics_and_properties(self):
        device = self.device("pla", *LONG).start()
        asked = self.asked("pla", "offer")
        self.assertEqual((asked.qos, asked.retain, asked.payload), (1, False, b""))
        self.assertEqual(asked.properties.ResponseTopic, "touchmark/v1/pla/response")
        self.assertGreaterEqual(len(asked.properties.CorrelationData), 8)
        self.assertEqual(asked.properties.UserProperty, [("label", "ldevid")])
        again = self.asked("pla", "offer")
        self.assertEqual(again.properties.CorrelationData, asked.properties.CorrelationData)
        good = offer(certificates=[self.root_der])
        self.respond(asked, good, b"another one")
        self.app.publish("touchmark/v1/pla/response", good, qos=1)
        for octets in GARBAGE:
            self.respond(asked, octets)
        self.assertEqual(device.said(), [])
        self.respond(asked, good)
        request = self.asked("pla", "request")
        self.assertEqual((request.qos, request.retain), (1, False))
        self.assertEqual(request.properties.ContentType,
                         "application/pkcs7-mime; smime-type=CMC-request")
        self.assertNotEqual(request.properties.CorrelationData, asked.properties.CorrelationData)
        for octets in [*GARBAGE, good]:
            self.respond(request, octets)
        again = self.asked("pla", "request")
        self.assertEqual((again.payload, again.properties.CorrelationData),
                         (request.payload, request.properties.CorrelationData))

    def test_prefix(self):
        self.device("pre", "--prefix", "plant/a", *LONG).start()
        asked = self.app.wait(lambda m: m.topic == "plant/a/pre/offer")
        self.assertEqual(asked.properties.ResponseTopic, "plant/a/pre/response")

    def test_end_in_order_and_no_will(self):
        tap = self.tap()
        device = self.device("cle", *SHORT, *NEVER_AGAIN, port=tap.port).start()
        device.wait_failure()
        device.stop()
        self.assertFalse(Connect(tap.of(CONNECT)[0][1]).flags & 4)
        until("the device says that it goes", lambda: tap.of(DISCONNECT))
        self.assertEqual(tap.of(DISCONNECT)[0][1][:1] or b"\0", b"\0")

    def test_broker_gone_and_back(self):
        device = self.device("bak", *LONG).start()
        asked = self.asked("bak", "offer")
        self.broker.restart()
        with Client(self.broker.port) as app:
            app.subscribe("#")
            again = app.wait(lambda m: m.topic == "touchmark/v1/bak/offer")
        self.assertEqual(again.properties.CorrelationData, asked.properties.CorrelationData)
        self.assertEqual(device.said(), [])


class Access(Port):
    """TLS and users are the broker's matter: what fails there is no answer, and says why."""

    def broker_with(self, **options):
        broker = Broker(**options).start()
        self.addCleanup(broker.close)
        return broker

    def result(self, name, broker, *options, url=None):
        device = self.device(name, "--timeout", SHORT_S, *options,
                             url=url or f"mqtts://127.0.0.1:{broker.port}")
        return device.results()[0]["text"]

    def test_tls(self):
        files = tls_files(self.folder)
        broker = self.broker_with(tls=files)
        ca = ("--broker-ca", files[0])
        # Nobody plays the host here: that there is no answer from it says that the broker was good.
        self.assertEqual(self.result("tls", broker, *ca), "no answer from the server")
        self.assertRegex(self.result("tls", broker, "--broker-ca", self.root),
                         "no connection to the broker: .*certificate verify failed")
        self.assertRegex(self.result("tls", broker, *ca, url=f"mqtts://localhost:{broker.port}"),
                         "no connection to the broker: ")

    def test_tls_is_1_2_or_newer(self):
        """As the ClientHello's supported_versions has it (RFC 8446, 4.2.1)."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            device = self.device("hel", "--timeout", SHORT_S, "--broker-ca", self.root,
                                 url=f"mqtts://127.0.0.1:{port}").start()
            near, _ = listener.accept()
            with near:
                hello = near.recv(65536)
        self.assertIn("no connection to the broker", device.wait_failure())
        at = hello.index(b"\x00\x2b\x00") + 4
        versions = hello[at + 1:at + 1 + hello[at]]
        self.assertEqual({versions[i:i + 2] for i in range(0, len(versions), 2)},
                         {b"\x03\x03", b"\x03\x04"})

    def test_client_certificate(self):
        files = tls_files(self.folder)
        broker = self.broker_with(tls=files, clients=files[0])
        ca = ("--broker-ca", files[0])
        cert, key = tls_leaf(self.folder, files[0], self.folder / "broker-ca.key", ("device",), "me")
        self.assertEqual(self.result("cer", broker, *ca, "--broker-cert", cert, "--broker-key", key),
                         "no answer from the server")
        self.assertRegex(self.result("cer", broker, *ca), "no connection to the broker: ")

    def test_user_and_password(self):
        users = self.folder / "users"
        run("mosquitto_passwd", "-c", "-b", users, "device", "open sesame")
        broker = self.broker_with(lines=["allow_anonymous false", f"password_file {users}"])
        url = f"mqtt://127.0.0.1:{broker.port}"
        for said, expected in (("open sesame\n", "no answer from the server"),
                               ("wrong\n", "no connection to the broker: the broker refuses the "
                                           "connection: Not authorized")):
            password = self.folder / "password"
            password.write_text(said)
            self.assertEqual(self.result("usr", broker, "--user", "device", "--password-file",
                                         password, url=url), expected)

    def test_subscription_that_is_refused(self):
        acl = self.folder / "acl"
        acl.write_text("topic write #\n")
        broker = self.broker_with(lines=[f"acl_file {acl}"])
        device = self.device("acl", "--timeout", SHORT_S, port=broker.port)
        self.assertIn(device.results()[0]["text"], (
            "no answer from the server",  # mosquitto 2.0 grants it and delivers nothing
            "no connection to the broker: the broker refuses a subscription: Not authorized"))

    def test_what_cannot_be(self):
        for options in (["--mqtt", "http://127.0.0.1"], ["--mqtt", "mqtt://u@127.0.0.1"],
                        ["--mqtt", "mqtt://127.0.0.1/path"], ["--mqtt", "mqtts://127.0.0.1"],
                        ["--mqtt", "mqtt://127.0.0.1:0"], ["--broker-ca", self.root],
                        ["--broker-key", self.root], ["--group", "a/b"], ["--edge-node", "+"],
                        ["--host-id", "#"], ["--profile", "plain", "--prefix", "a/#"],
                        ["--password-file", self.root]):
            with self.subTest(options):
                done = run(DEVICEC, "--folder", self.folder / "none", "--id", "x", "--mqtt",
                           "mqtt://127.0.0.1", *options, "status", check=False)
                self.assertEqual((done.returncode, done.stderr),
                                 (1, b"devicec: open: invalid-call\n"))
        done = run(DEVICEC, "--folder", self.folder / "none", "--id", "x", "--mqtt",
                   "mqtts://127.0.0.1", "--broker-ca", "/nowhere", "status", check=False)
        self.assertIn(b"/nowhere: No such file or directory", done.stderr)


if __name__ == "__main__":
    main()
