# SPDX-License-Identifier: Apache-2.0
"""As much of MQTT 3.1.1, MQTT 5 and Sparkplug B payloads as somebody in the middle needs: packets
are split, PUBLISH is taken apart and put together again, and the octets that the enrollment
contract carries in it can be exchanged."""

import dataclasses
import json
import time

CONNECT, PUBLISH, PUBACK = 1, 3, 4
PACKET_MAX = 1 << 20
MQTT5 = 5
STRING_FIELD, LONG_FIELD, BOOLEAN_FIELD, BYTES_FIELD = 15, 11, 14, 16


class Malformed(Exception):
    pass


# ---- MQTT ----

def mqtt_length(data, at):
    """(value, what follows it), or None when more has to come first."""
    value = 0
    for i in range(4):
        if at + i >= len(data):
            return None
        value |= (data[at + i] & 0x7F) << 7 * i
        if data[at + i] < 0x80:
            return value, at + i + 1
    raise Malformed("a length of more than four octets")


def put_mqtt_length(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def take_packet(data):
    """Takes one whole packet from the front of a bytearray: (first octet, the rest behind the
    length, all of it); None when there is none yet."""
    found = mqtt_length(data, 1)
    if found is None:
        return None
    size, start = found
    if size > PACKET_MAX:
        raise Malformed(f"a packet of {size} octets")
    if len(data) < start + size:
        return None
    whole = bytes(data[:start + size])
    del data[:start + size]
    return whole[0], whole[start:], whole


def take_field(body, at):
    """A two-octet length and as many octets: (octets, what follows them)."""
    size = int.from_bytes(body[at:at + 2], "big")
    value = body[at + 2:at + 2 + size]
    if len(body) < at + 2 or len(value) != size:
        raise Malformed("a field that ends early")
    return value, at + 2 + size


def text_of(octets):
    try:
        return octets.decode()
    except UnicodeDecodeError as error:
        raise Malformed("text that is no UTF-8") from error


def put_field(octets):
    return len(octets).to_bytes(2, "big") + octets


def skip_properties(body, at, version):
    """(their octets without the length, what follows them)."""
    if version < MQTT5:
        return b"", at
    found = mqtt_length(body, at)
    if found is None or found[1] + found[0] > len(body):
        raise Malformed("properties that end early")
    size, start = found
    return body[start:start + size], start + size


def read_connect(body):
    """(protocol level, client ID) of a CONNECT."""
    name, at = take_field(body, 0)
    if name != b"MQTT" or len(body) < at + 4:
        raise Malformed("not a CONNECT of MQTT 3.1.1 or 5")
    version = body[at]
    _, at = skip_properties(body, at + 4, version)
    return version, text_of(take_field(body, at)[0])


@dataclasses.dataclass(frozen=True)
class Publish:
    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    dup: bool = False
    packet_id: int = 0
    properties: bytes = b""

    @classmethod
    def parse(cls, first, body, version):
        qos = first >> 1 & 3
        topic, at = take_field(body, 0)
        packet_id = 0
        if qos:
            packet_id = int.from_bytes(body[at:at + 2], "big")
            at += 2
        properties, at = skip_properties(body, at, version)
        if qos == 3 or len(body) < at:
            raise Malformed("not a PUBLISH")
        return cls(text_of(topic), body[at:], qos, bool(first & 1), bool(first & 8), packet_id,
                   properties)

    def encode(self, version):
        body = put_field(self.topic.encode())
        if self.qos:
            body += self.packet_id.to_bytes(2, "big")
        if version >= MQTT5:
            body += put_mqtt_length(len(self.properties)) + self.properties
        body += self.payload
        first = PUBLISH << 4 | self.dup << 3 | self.qos << 1 | self.retain
        return bytes([first]) + put_mqtt_length(len(body)) + body

    def but(self, **changes):
        """The same, not acknowledged by anybody, with changes."""
        return dataclasses.replace(self, qos=0, dup=False, packet_id=0, **changes)


def puback(packet_id):
    return bytes([PUBACK << 4, 2]) + packet_id.to_bytes(2, "big")


# ---- Sparkplug B payloads: protobuf ----

def put_varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def take_varint(data, at):
    value = 0
    for i in range(10):
        if at + i >= len(data):
            break
        value |= (data[at + i] & 0x7F) << 7 * i
        if data[at + i] < 0x80:
            return value, at + i + 1
    raise Malformed("a varint that does not end")


def fields(data):
    """(field number, value, the whole field) one after the other."""
    at = 0
    while at < len(data):
        start = at
        key, at = take_varint(data, at)
        if key & 7 == 0:
            value, at = take_varint(data, at)
        else:
            size = {1: 8, 5: 4}.get(key & 7)
            if key & 7 == 2:
                size, at = take_varint(data, at)
            if size is None or at + size > len(data):
                raise Malformed("not a protobuf message")
            value, at = data[at:at + size], at + size
        yield key >> 3, value, data[start:at]


def put(number, value):
    """One field: a number as a varint, octets with their length."""
    if isinstance(value, int):
        return put_varint(number << 3) + put_varint(value)
    return put_varint(number << 3 | 2) + put_varint(len(value)) + value


def bytes_metric(payload):
    """(name, value) of the first metric that has octets as its value; None: there is none."""
    for number, metric, _ in fields(payload):
        if number == 2 and isinstance(metric, bytes):
            inner = {n: v for n, v, _ in fields(metric) if isinstance(v, bytes)}
            if BYTES_FIELD in inner:
                return inner.get(1, b"").decode(errors="replace"), inner[BYTES_FIELD]
    return None


def with_bytes_metric(payload, value):
    """The payload with that metric's value exchanged."""
    out, done = b"", False
    for number, metric, whole in fields(payload):
        if number == 2 and not done:
            inner = list(fields(metric))
            if any(n == BYTES_FIELD for n, _, _ in inner):
                done = True
                whole = put(2, b"".join(put(n, value) if n == BYTES_FIELD else w
                                        for n, _, w in inner))
        out += whole
    return out


def now_ms():
    return int(time.time() * 1000)


def metric(name, datatype, number, value):
    return put(2, put(1, name.encode()) + put(3, now_ms()) + put(4, datatype) + put(number, value))


def death_payload(bdseq):
    return put(1, now_ms()) + metric("bdSeq", 4, LONG_FIELD, bdseq)


def rebirth_payload():
    return put(1, now_ms()) + metric("Node Control/Rebirth", 11, BOOLEAN_FIELD, 1)


def command_payload(name, value):
    return put(1, now_ms()) + metric(name, 17, BYTES_FIELD, value)


def state_payload(online):
    return json.dumps({"online": online, "timestamp": now_ms()}).encode()


# ---- what a message is to the enrollment contract ----

SPARKPLUG_KINDS = {"NBIRTH": "birth", "DBIRTH": "birth", "NDEATH": "death", "DDEATH": "death",
                   "NDATA": "data", "DDATA": "data", "NCMD": "command", "DCMD": "command",
                   "STATE": "state"}
PLAIN_KINDS = ("offer", "request", "response")


def kind_of(publish):
    """"offer", "request" and "response" in either profile, what else a Sparkplug message is, "ask"
    when a plain device asks for an offer (which has no payload), or "other"."""
    words = publish.topic.split("/")
    if words[0] != "spBv1.0":
        for word in words[:-3:-1]:
            if word in PLAIN_KINDS:
                return word if publish.payload else "ask"
        return "other"
    kind = SPARKPLUG_KINDS.get("STATE" if words[1:2] == ["STATE"] else "".join(words[2:3]), "other")
    if kind in ("data", "command"):
        found = value_of(publish)
        if found is not None and found[0].startswith("Touchmark/"):
            return found[0].split("/")[1].lower()
    return kind


def value_of(publish):
    """(metric's name, octets) that the contract carries in a message; None: none."""
    if not publish.topic.startswith("spBv1.0/"):
        return ("", publish.payload) if publish.payload else None
    if publish.topic.startswith("spBv1.0/STATE/"):
        return None
    try:
        return bytes_metric(publish.payload)
    except Malformed:
        return None


def with_value(publish, value):
    if publish.topic.startswith("spBv1.0/"):
        return publish.but(payload=with_bytes_metric(publish.payload, value))
    return publish.but(payload=value)


def readdressed(topic, name):
    """The same topic with another device: of the plain profile, or the last ID of Sparkplug."""
    words = topic.split("/")
    at = -1
    if words[0] != "spBv1.0":
        at = next((i - 1 for i in range(len(words) - 1, 0, -1) if words[i] in PLAIN_KINDS), -1)
    words[at] = name
    return "/".join(words)


def addressee(topic):
    """Whom a topic names: what readdressed exchanges."""
    words = topic.split("/")
    if words[0] != "spBv1.0":
        return next((words[i - 1] for i in range(len(words) - 1, 0, -1)
                     if words[i] in PLAIN_KINDS), words[-1])
    return words[-1]
