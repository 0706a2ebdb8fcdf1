# SPDX-License-Identifier: Apache-2.0
"""A real broker and foreign peers on it, for tests of what Touchmark says over MQTT.

Broker runs mosquitto in a folder of its own, on 127.0.0.1 and a port that was free; it can be
killed and started again on the same port. Client is Eclipse Paho with MQTT 5, and keeps what it
receives. Node is a Sparkplug B edge node, with devices behind it if wanted, that knows nothing of
our code: its payloads are protobuf messages whose descriptors are built here from the
specification's field numbers (section 6.4), and it follows the rules for edge nodes (will, bdSeq,
sequence numbers, rebirth) unless a test makes it break them.

    with Broker() as broker, Client(broker.port) as app, Node(broker.port, "g1", "n1") as node:
        app.subscribe("spBv1.0/#")
        node.birth({"Touchmark/State": "waiting"})
        message = app.wait(lambda m: m.topic == "spBv1.0/g1/NBIRTH/n1")
        print(decode(message.payload))

Everything that waits has an end; nothing sleeps to be in time.
"""

import getpass
import json
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

# Debian's modules, when another python3 comes first in PATH.
if "/usr/lib/python3/dist-packages" not in sys.path:
    sys.path.append("/usr/lib/python3/dist-packages")

import paho.mqtt.client as paho  # noqa: E402
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # noqa: E402
from paho.mqtt.packettypes import PacketTypes  # noqa: E402
from paho.mqtt.properties import Properties  # noqa: E402
from paho.mqtt.subscribeoptions import SubscribeOptions  # noqa: E402

import harness as h  # noqa: E402

NAMESPACE = "spBv1.0"
STARTS_MAX = 5  # when others take the port that was free a moment ago


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# ---- the broker ----

class Broker:
    """mosquitto. tls: (CA file, certificate file, key file); clients: CA file of client
    certificates that are then demanded; lines: more of mosquitto.conf."""

    def __init__(self, tls=None, clients=None, lines=()):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="touchmark-mosquitto-"))
        self.log = self.folder / "mosquitto.log"
        self.process = None
        self.port = 0
        self.lines = [*lines]
        if tls:
            self.lines += [f"cafile {clients or tls[0]}", f"certfile {tls[1]}", f"keyfile {tls[2]}"]
        if clients:
            self.lines += ["require_certificate true", "use_identity_as_username true"]

    def write_config(self):
        config = self.folder / "mosquitto.conf"
        config.write_text("\n".join([
            f"listener {self.port} 127.0.0.1", "allow_anonymous true", "persistence false",
            f"user {getpass.getuser()}", "set_tcp_nodelay true", *self.lines, ""]))
        return config

    def answers(self):
        """Is it this process that listens? None: not yet; False: it ended."""
        if self.process.poll() is not None:
            return False
        if not re.search(rb"mosquitto version \S+ running", self.log.read_bytes()[self.said:]):
            return None
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
        except OSError:
            return None
        return True

    def try_start(self):
        self.said = self.log.stat().st_size if self.log.exists() else 0
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(["/usr/sbin/mosquitto", "-c", self.write_config()],
                                            stdout=log, stderr=log, start_new_session=True)
        end = time.monotonic() + h.PATIENCE
        while time.monotonic() < end:
            found = self.answers()
            if found is not None:
                return found
            time.sleep(0.01)
        raise AssertionError("mosquitto never listened\n" + self.log.read_text())

    def start(self):
        """The first start takes a free port, later ones the same again."""
        for _ in range(STARTS_MAX if not self.port else 1):
            keep = self.port
            self.port = keep or free_port()
            if self.try_start():
                return self
            self.port = keep
        raise AssertionError("mosquitto does not start\n" + self.log.read_text())

    def stop(self, how=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(timeout=h.PATIENCE)
        self.process = None

    def kill(self):
        self.stop(signal.SIGKILL)

    def restart(self):
        self.stop()
        self.start()

    def suspend(self, stopped=True):
        """It stays connected and does nothing, or goes on."""
        self.process.send_signal(signal.SIGSTOP if stopped else signal.SIGCONT)

    def close(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()


def tls_files(folder, names=("127.0.0.1",), prefix="broker"):
    """A new CA and a certificate for a TLS server below it: (CA, certificate, key), paths."""
    folder = pathlib.Path(folder)
    ca, ca_key = folder / f"{prefix}-ca.pem", folder / f"{prefix}-ca.key"
    h.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
              "-subj", f"/CN={prefix} CA", "-days", "2", "-keyout", ca_key, "-out", ca)
    return (ca, *tls_leaf(folder, ca, ca_key, names, prefix))


def tls_leaf(folder, ca, ca_key, names, prefix):
    """A certificate by such a CA: (certificate, key), paths."""
    folder = pathlib.Path(folder)
    cert, key, request, ext = (folder / f"{prefix}.{kind}" for kind in ("pem", "key", "csr", "ext"))
    kinds = [f"IP:{n}" if n.replace(".", "").isdigit() else f"DNS:{n}" for n in names]
    ext.write_text(f"subjectAltName={','.join(kinds)}\n")
    h.openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
              "-subj", f"/CN={prefix}", "-keyout", key, "-out", request)
    h.openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial",
              "-days", "2", "-extfile", ext, "-out", cert)
    return cert, key


# ---- a client ----

def new_paho(client_id):
    """Paho 1 and 2 differ in how a client is made."""
    if hasattr(paho, "CallbackAPIVersion"):
        return paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=client_id,
                           protocol=paho.MQTTv5)
    return paho.Client(client_id=client_id, protocol=paho.MQTTv5)


class Client:
    """Keeps every message it gets in `messages`, in order; wait() takes the first that fits.
    will: (topic, payload, qos, retain); tls: an ssl.SSLContext."""

    def __init__(self, port, client_id="", will=None, tls=None, connect=True):
        self.port = port
        self.arrived = threading.Condition()
        self.messages, self.acked, self.subscribed = [], set(), set()
        self.connected = self.dropped = False
        self.on = []  # called with each message, on Paho's thread
        self.paho = new_paho(client_id)
        self.paho.on_connect = self.note_connect
        self.paho.on_disconnect = self.note_disconnect
        self.paho.on_message = self.note_message
        self.paho.on_publish = lambda c, u, mid, *rest: self.note(self.acked, mid)
        self.paho.on_subscribe = lambda c, u, mid, *rest: self.note(self.subscribed, mid)
        if will:
            self.paho.will_set(*will)
        if tls:
            self.paho.tls_set_context(tls)
        if connect:
            self.connect()

    def note(self, known, mid):
        with self.arrived:
            known.add(mid)
            self.arrived.notify_all()

    def note_connect(self, client, userdata, flags, reason, properties=None):
        with self.arrived:
            self.connected = not getattr(reason, "is_failure", reason != 0)
            self.arrived.notify_all()

    def note_disconnect(self, *_):
        with self.arrived:
            self.connected = False
            self.arrived.notify_all()

    def note_message(self, client, userdata, message):
        for call in self.on:
            call(message)
        with self.arrived:
            self.messages.append(message)
            self.arrived.notify_all()

    def until(self, holds, what, seconds=None):
        with self.arrived:
            if not self.arrived.wait_for(holds, timeout=seconds or h.PATIENCE):
                raise AssertionError(f"never happened: {what}; received: "
                                     f"{[m.topic for m in self.messages][-20:]}")

    def connect(self):
        self.paho.connect("127.0.0.1", self.port, keepalive=60)
        self.paho.loop_start()
        self.until(lambda: self.connected, "connected to the broker")

    def subscribe(self, topic, qos=1):
        """Returns when the broker has taken it."""
        result, mid = self.paho.subscribe(topic, options=SubscribeOptions(qos=qos))
        assert result == 0, f"subscribe: {result}"
        self.until(lambda: mid in self.subscribed, f"subscribed to {topic}")

    def publish(self, topic, payload=b"", qos=0, retain=False, wait=True, **properties):
        """properties as Paho names them: ResponseTopic, CorrelationData, UserProperty, ..."""
        given = None
        if properties:
            given = Properties(PacketTypes.PUBLISH)
            for name, value in properties.items():
                setattr(given, name, value)
        sent = self.paho.publish(topic, payload, qos, retain, given)
        if wait:
            self.until(lambda: sent.mid in self.acked, f"published {topic}")

    def find(self, fits):
        with self.arrived:
            return [m for m in self.messages if fits(m)]

    def wait(self, fits, what="a message that fits", seconds=None):
        """The first message that fits, also one that came before; it is taken out."""
        found = []

        def look():
            found[:] = [m for m in self.messages if fits(m)][:1]
            return bool(found)
        self.until(look, what, seconds)
        with self.arrived:  # Paho's messages compare by their ID, which is 0 with QoS 0
            self.messages[:] = [m for m in self.messages if m is not found[0]]
        return found[0]

    def drop(self):
        """The connection is cut, without a DISCONNECT: the broker publishes the will."""
        sock = self.paho.socket()
        self.paho.loop_stop()
        self.dropped = True
        if sock:
            sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def close(self):
        if not self.dropped:
            self.paho.disconnect()
        self.paho.loop_stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def client_tls(ca, cert=None, key=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca)
    if cert:
        context.load_cert_chain(cert, key)
    return context


# ---- Sparkplug B payloads ----

KINDS = descriptor_pb2.FieldDescriptorProto


def build_messages():
    """Payload and Metric from the field numbers of section 6.4; what no test looks at stays an
    unknown field."""
    file = descriptor_pb2.FileDescriptorProto(name="test/sparkplug_b.proto", package="test",
                                              syntax="proto2")
    metric = file.message_type.add(name="Metric")
    metric.oneof_decl.add(name="value")
    payload = file.message_type.add(name="Payload")

    def add(message, name, number, kind, repeated=False, type_name=None, oneof=False):
        field = message.field.add(name=name, number=number, type=kind, type_name=type_name)
        field.label = KINDS.LABEL_REPEATED if repeated else KINDS.LABEL_OPTIONAL
        if oneof:
            field.oneof_index = 0
    for name, number, kind in (
            ("name", 1, KINDS.TYPE_STRING), ("alias", 2, KINDS.TYPE_UINT64),
            ("timestamp", 3, KINDS.TYPE_UINT64), ("datatype", 4, KINDS.TYPE_UINT32),
            ("is_historical", 5, KINDS.TYPE_BOOL), ("is_transient", 6, KINDS.TYPE_BOOL),
            ("is_null", 7, KINDS.TYPE_BOOL)):
        add(metric, name, number, kind)
    for name, number, kind in (
            ("int_value", 10, KINDS.TYPE_UINT32), ("long_value", 11, KINDS.TYPE_UINT64),
            ("float_value", 12, KINDS.TYPE_FLOAT), ("double_value", 13, KINDS.TYPE_DOUBLE),
            ("boolean_value", 14, KINDS.TYPE_BOOL), ("string_value", 15, KINDS.TYPE_STRING),
            ("bytes_value", 16, KINDS.TYPE_BYTES)):
        add(metric, name, number, kind, oneof=True)
    add(payload, "timestamp", 1, KINDS.TYPE_UINT64)
    add(payload, "metrics", 2, KINDS.TYPE_MESSAGE, repeated=True, type_name=".test.Metric")
    add(payload, "seq", 3, KINDS.TYPE_UINT64)
    add(payload, "uuid", 4, KINDS.TYPE_STRING)
    add(payload, "body", 5, KINDS.TYPE_BYTES)

    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = [pool.FindMessageTypeByName(f"test.{name}") for name in ("Payload", "Metric")]
    if hasattr(message_factory, "GetMessageClass"):
        return [message_factory.GetMessageClass(d) for d in found]
    factory = message_factory.MessageFactory(pool)
    return [factory.GetPrototype(d) for d in found]


Payload, Metric = build_messages()
INT64, UINT64, BOOLEAN, STRING, BYTES = 4, 8, 11, 12, 17
FIELDS = {INT64: "long_value", UINT64: "long_value", BOOLEAN: "boolean_value",
          STRING: "string_value", BYTES: "bytes_value"}


def now_ms():
    return int(time.time() * 1000)


def metric(name, datatype, value=None, alias=None):
    """name None: only the alias speaks for it. value None: is_null."""
    made = Metric(timestamp=now_ms(), datatype=datatype)
    if name is not None:
        made.name = name
    if alias is not None:
        made.alias = alias
    if value is None:
        made.is_null = True
    else:
        setattr(made, FIELDS[datatype], value)
    return made


def payload(metrics, seq=None):
    made = Payload(timestamp=now_ms(), metrics=metrics)
    if seq is not None:
        made.seq = seq
    return made.SerializeToString()


def decode(octets):
    made = Payload()
    made.ParseFromString(octets)
    return made


def values(octets):
    """{name or alias: value} of a payload; null is None."""
    found = {}
    for m in decode(octets).metrics:
        kind = m.WhichOneof("value")
        found[m.name if m.HasField("name") else m.alias] = getattr(m, kind) if kind else None
    return found


def state_of(message):
    """The JSON of a STATE message."""
    return json.loads(message.payload)


# ---- an edge node ----

CONTRACT = {"Touchmark/Device": STRING, "Touchmark/Label": STRING, "Touchmark/State": STRING,
            "Touchmark/Request": BYTES, "Touchmark/Offer": BYTES, "Touchmark/Response": BYTES}


REBIRTH_ALIAS = 900


class Node:
    """A Sparkplug B edge node. It is born when birth() is called, and again by itself on every
    rebirth request unless `obeys` is made False. `commands` has (device or "", {name: value}) of
    every other command. aliases: metrics of births get aliases and data names them only so."""

    def __init__(self, port, group, edge, aliases=False, tls=None):
        self.group, self.edge, self.aliases = group, edge, aliases
        self.port, self.tls = port, tls
        self.bdseq, self.seq = -1, 0
        self.obeys = True
        self.lock = threading.RLock()
        self.own, self.devices = None, {}
        self.commands, self.rebirths = [], 0
        self.connect()

    def topic(self, kind, device=None):
        tail = [device] if device else []
        return "/".join([NAMESPACE, self.group, kind, self.edge, *tail])

    def connect(self):
        """A new session with the next bdSeq; not born yet."""
        self.bdseq = (self.bdseq + 1) % 256
        death = payload([metric("bdSeq", INT64, self.bdseq)])
        self.client = Client(self.port, f"{self.group}-{self.edge}",
                             will=(self.topic("NDEATH"), death, 1, False), tls=self.tls)
        self.client.on.append(self.command)
        self.client.subscribe(self.topic("NCMD"))
        self.client.subscribe(self.topic("DCMD", "+"))

    def take_seq(self):
        seq, self.seq = self.seq, (self.seq + 1) % 256
        return seq

    def alias_of(self, device, name):
        return (1 + [*CONTRACT].index(name) + (100 * (1 + [*self.devices].index(device))
                                               if device else 0))

    def contract(self, given, device):
        metrics = []
        for name, kind in CONTRACT.items():
            if name in given.get("without", ()):
                continue
            alias = self.alias_of(device, name) if self.aliases else None
            metrics.append(metric(name, kind, given.get(name), alias))
        return metrics

    def birth(self, given=None, **devices):
        """NBIRTH, and a DBIRTH of each device. given: values of contract metrics, None for an edge
        node without the contract; "without": names of metrics that are left out."""
        with self.lock:
            self.own, self.devices = given, devices
            self.born()

    def born(self):
        with self.lock:
            self.seq = 0
            metrics = [metric("bdSeq", INT64, self.bdseq),
                       metric("Node Control/Rebirth", BOOLEAN, False,
                              REBIRTH_ALIAS if self.aliases else None)]
            if self.own is not None:
                metrics += self.contract(self.own, None)
            self.client.publish(self.topic("NBIRTH"), payload(metrics, self.take_seq()), wait=False)
            for device in self.devices:
                self.device_birth(device)

    def device_birth(self, device, given=None):
        with self.lock:
            if given is not None:
                self.devices[device] = given
            metrics = self.contract(self.devices[device], device)
            self.client.publish(self.topic("DBIRTH", device), payload(metrics, self.take_seq()),
                                wait=False)

    def data(self, values, device=None, seq=None):
        """NDATA or DDATA of contract metrics. seq: another one than is due."""
        with self.lock:
            metrics = []
            for name, value in values.items():
                alias = self.alias_of(device, name) if self.aliases else None
                metrics.append(metric(None if self.aliases else name, CONTRACT[name], value, alias))
            if seq is None:
                seq = self.take_seq()
            self.client.publish(self.topic("DDATA" if device else "NDATA", device),
                                payload(metrics, seq), wait=False)

    def device_death(self, device):
        with self.lock:
            self.client.publish(self.topic("DDEATH", device), payload([], self.take_seq()),
                                wait=False)

    def command(self, message):
        found = values(message.payload)
        device = message.topic.split("/")[4] if "/DCMD/" in message.topic else ""
        with self.lock:
            if found.get(REBIRTH_ALIAS if self.aliases else "Node Control/Rebirth") is True:
                self.rebirths += 1
                if self.obeys:
                    self.born()
            else:
                self.commands.append((device, found))

    def wait_command(self, name, device="", seconds=None):
        """The value of the first command to that metric; it is taken out."""
        taken = []

        def look():
            with self.lock:
                for command in self.commands:
                    if command[0] == device and name in command[1]:
                        self.commands.remove(command)
                        taken.append(command[1][name])
                        return True
            return False
        h.until(f"a command to {name} of {self.edge}/{device}", look, seconds)
        return taken[0]

    def die(self):
        """The connection breaks: the broker publishes NDEATH."""
        self.client.drop()

    def close(self):
        self.client.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
