# SPDX-License-Identifier: Apache-2.0
"""A broker that nobody should trust: a TCP proxy in front of an honest one, which does to PUBLISH
packets what a plan says and counts it. Sessions stay valid: what it keeps from its receiver it
acknowledges itself, and what it adds is of QoS 0, so that both ends stay connected. QoS 2 passes
untouched.

A plan names one fault, or none, for each PUBLISH of a link (one client's connections) in one
direction: Plan draws them at random, always the same for a seed; Script names them one by one. What
a fault needs besides (an older message, somebody else's) is taken from what passed before.
"""

import asyncio
import collections
import random
import threading

from mqtt_packet import (CONNECT, PUBLISH, Publish, addressee, command_payload, death_payload,
                         kind_of, puback, read_connect, readdressed, rebirth_payload,
                         state_payload, take_packet, value_of, with_value)

UP, DOWN = "up", "down"  # from the client to the broker, and back
KEPT = 48                # messages that are remembered, of each link and direction
LATE_S = (0.05, 1.0)     # how long a delayed message takes
HELD_S = 0.5             # a message that waits to be overtaken goes on after this in any case
FOUND_MAX = 1024         # topics and values that are remembered


# ---- plans ----

class Plan:
    """Each message gets a fault with the probability that `rates` gives to it: {fault: 0..1}."""

    def __init__(self, seed, rates):
        self.seed, self.rates, self.honest = seed, rates, False

    def pick(self, way, number, kind):
        """(fault or None, the random numbers that it may use)."""
        dice = random.Random(f"{self.seed} {way.link.client} {way.direction} {number}")
        at = dice.random()
        if self.honest:
            return None, dice
        for fault, rate in self.rates.items():
            at -= rate
            if at < 0:
                return fault, dice
        return None, dice


class Script:
    """{(direction, kind, n): fault}: the nth message of a kind in a direction, of all links. A fault
    may be a function as well."""

    def __init__(self, faults):
        self.faults, self.honest = faults, False
        self.seen = collections.Counter()

    def pick(self, way, number, kind):
        self.seen[way.direction, kind] += 1
        where = (way.direction, kind, self.seen[way.direction, kind])
        return (None if self.honest else self.faults.get(where)), random.Random(number)


# ---- faults: each sends what it wants and says whether it could ----

def drop(_way, _publish, _dice):
    return True


def delay(way, publish, dice):
    way.send_later(dice.uniform(*LATE_S), publish.but())
    return True


def duplicate(way, publish, dice):
    way.send(publish.but())
    if dice.random() < 0.5:
        way.send(publish.but())
    else:
        way.send_later(dice.uniform(*LATE_S), publish.but())
    return True


def reorder(way, publish, _dice):
    """It goes on behind the next one."""
    way.hold(publish.but())
    return True


def replay(way, publish, dice):
    """An older one of this client is sent again behind this one, maybe of an earlier session."""
    older = way.kept()
    if len(older) < 2:
        return False
    way.send(publish.but())
    way.send(dice.choice(list(older)[:-1]).but())
    return True


def flip(way, publish, dice):
    """Octets of what the contract carries, or else of the payload, are turned over."""
    found = value_of(publish)
    octets = bytearray(found[1] if found else publish.payload)
    if not octets:
        return False
    for _ in range(dice.randint(1, 3)):
        octets[dice.randrange(len(octets))] ^= 1 << dice.randrange(8)
    way.send(with_value(publish, bytes(octets)) if found else publish.but(payload=bytes(octets)))
    return True


def truncate(way, publish, dice):
    found = value_of(publish)
    if found and dice.random() < 0.7:
        way.send(with_value(publish, found[1][:dice.randrange(len(found[1]))]))
    elif publish.payload:
        way.send(publish.but(payload=publish.payload[:dice.randrange(len(publish.payload))]))
    else:
        return False
    return True


def swap(way, publish, dice):
    """The receiver gets what was meant for another one, and the other one gets this."""
    kind, found = kind_of(publish), value_of(publish)
    others = [k for k in way.proxy.values if k[0] == kind and k[1] != addressee(publish.topic)]
    if not found or not others:
        return False
    other = dice.choice(others)
    theirs_way, theirs = way.proxy.values[other]
    way.send(with_value(publish, value_of(theirs)[1]))
    theirs_way.send(with_value(theirs, found[1]))
    return True


def readdress(way, publish, dice):
    """The topic names another device."""
    names = sorted({n for _, n in way.proxy.values} - {addressee(publish.topic)})
    if not names or kind_of(publish) == "state":
        return False
    way.send(publish.but(topic=readdressed(publish.topic, dice.choice(names))))
    return True


def stale(way, publish, dice):
    """In the place of a value stands an older one of the same device: an answer to an earlier
    request, an offer with an old challenge, a request that was answered."""
    found = value_of(publish)
    older = [v for p in way.kept() if addressee(p.topic) == addressee(publish.topic)
             and found and (v := value_of(p)) and v[1] != found[1]]
    if not older:
        return False
    way.send(with_value(publish, dice.choice(older)[1]))
    return True


def invent(way, publish, dice):
    """A message that nobody sent comes behind this one."""
    way.send(publish.but())
    topic = publish.topic.split("/")
    ghost = f"ghost-{dice.randrange(8)}"
    forged = [Publish(t, state_payload(False), retain=way.direction == UP)
              for t in sorted(way.proxy.states)]
    if topic[0] == "spBv1.0" and topic[1] != "STATE" and len(topic) > 3:
        group, node = topic[1], topic[3]
        forged += [Publish("/".join(["spBv1.0", group, "NDEATH", node]),
                           death_payload(dice.randrange(4))),
                   Publish("/".join(["spBv1.0", group, "NCMD", node]), rebirth_payload()),
                   Publish("/".join(["spBv1.0", group, "NCMD", node]),
                           command_payload("Touchmark/" + dice.choice(["Offer", "Response"]),
                                           dice.randbytes(dice.randrange(1, 600))))]
        if kind_of(publish) == "birth":
            forged += [publish.but(topic=readdressed(publish.topic, ghost))] * 3
    elif value_of(publish):
        forged.append(publish.but(topic=readdressed(publish.topic, ghost)))
    if not forged:
        return False
    way.send(dice.choice(forged))
    return True


FAULTS = {f.__name__: f for f in (drop, delay, duplicate, reorder, replay, flip, truncate, swap,
                                  readdress, stale, invent)}


# ---- the proxy ----

class Way:
    """One direction of a link."""

    def __init__(self, link, direction, reader, writer, back):
        self.link, self.direction, self.proxy = link, direction, link.proxy
        self.reader, self.writer, self.back = reader, writer, back
        self.held = []

    def kept(self):
        return self.proxy.kept[self.link.client, self.direction]

    def write(self, octets):
        if not self.writer.is_closing():
            self.writer.write(octets)

    def send(self, publish):
        self.write(publish.encode(self.link.version))

    def send_later(self, seconds, publish):
        self.proxy.loop.call_later(seconds, self.send, publish)

    def hold(self, publish):
        self.held.append(publish)
        self.proxy.loop.call_later(HELD_S, self.release, publish)

    def release(self, publish):
        if publish in self.held:
            self.held.remove(publish)
            self.send(publish)

    async def pump(self):
        waiting = bytearray()
        while octets := await self.reader.read(65536):
            waiting += octets
            while packet := take_packet(waiting):
                self.packet(*packet)
            await self.writer.drain()

    def packet(self, first, body, whole):
        if first >> 4 == CONNECT and self.direction == UP:
            self.link.version, self.link.client = read_connect(body)
        if first >> 4 != PUBLISH:
            self.write(whole)
            return
        publish = Publish.parse(first, body, self.link.version)
        before = list(self.held)
        if publish.qos == 2 or not self.afflict(publish):
            self.write(whole)
        elif publish.qos == 1:
            self.back.write(puback(publish.packet_id))
        for overtaken in before:
            self.release(overtaken)

    def afflict(self, publish):
        """Does what the plan says; true: there is nothing left to send on."""
        proxy, kind = self.proxy, kind_of(publish)
        number = proxy.remember(self, kind, publish)
        fault, dice = proxy.plan.pick(self, number, kind)
        act = FAULTS.get(fault, fault)
        if not act or not act(self, publish, dice):
            return False
        proxy.did[act.__name__] += 1
        proxy.did_to[kind, act.__name__] += 1
        return True


class Link:
    """One connection of a client, and ours to the broker."""

    def __init__(self, proxy):
        self.proxy = proxy
        self.client, self.version = "", 4

    async def serve(self, reader, writer):
        try:
            far = await asyncio.open_connection("127.0.0.1", self.proxy.target)
        except OSError:  # as nobody there
            writer.close()
            return
        up = Way(self, UP, reader, far[1], writer)
        down = Way(self, DOWN, far[0], writer, far[1])
        pumps = [asyncio.ensure_future(way.pump()) for way in (up, down)]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            for error in await asyncio.gather(*pumps, return_exceptions=True):
                if isinstance(error, Exception) and not isinstance(error, ConnectionError):
                    self.proxy.errors.append(error)
            for end in (writer, far[1]):
                end.close()


class Proxy:
    """Listens on a port of its own from start() to stop(), in a thread of its own. What it counted
    may be read at any time: `did` {fault: n}, `did_to` {(kind, fault): n}, `passed` {(direction,
    kind): n}, and `again` {kind: n}: what a client sent a second time, which is its own
    patience."""

    def __init__(self, target, plan):
        self.target, self.plan = target, plan
        self.did, self.did_to, self.passed, self.again = (collections.Counter() for _ in range(4))
        self.numbers = collections.Counter()
        self.kept = collections.defaultdict(lambda: collections.deque(maxlen=KEPT))
        self.values = {}   # (kind, addressee): (way, the newest message with a value)
        self.states = set()  # topics of hosts' STATE
        self.known = collections.OrderedDict()  # values that came by
        self.errors = []   # what broke a link, beside its ends
        self.ready = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.run()))

    def start(self):
        self.thread.start()
        self.ready.wait()
        return self

    def stop(self):
        self.loop.call_soon_threadsafe(self.ended.set)
        self.thread.join()
        if self.errors:
            raise AssertionError(f"the proxy met {self.errors}")

    def be_honest(self):
        """From now on everything passes."""
        self.plan.honest = True

    async def run(self):
        self.loop, self.ended = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self.ready.set()
        await self.ended.wait()
        server.close()
        links = asyncio.all_tasks() - {asyncio.current_task()}
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)
        await asyncio.sleep(0)  # lets the connections close

    async def serve(self, reader, writer):
        try:
            await Link(self).serve(reader, writer)
        except asyncio.CancelledError:  # the proxy ends
            writer.close()

    def remember(self, way, kind, publish):
        """Takes down what came by; returns its number on this way of this client."""
        where = (way.link.client, way.direction)
        self.numbers[where] += 1
        self.passed[way.direction, kind] += 1
        self.kept[where].append(publish)
        if kind == "state" and len(self.states) < FOUND_MAX:
            self.states.add(publish.topic)
        found = value_of(publish)
        if found:
            mark = (way.link.client, kind, publish.topic, found[1])
            if way.direction == UP:
                self.again[kind] += mark in self.known
                self.known[mark] = None
            if len(self.values) < FOUND_MAX:
                self.values[kind, addressee(publish.topic)] = way, publish
        while len(self.known) > FOUND_MAX:
            self.known.popitem(last=False)
        return self.numbers[where]

    def report(self):
        """What it did, as lines for people."""
        lines = [f"{sum(self.passed.values())} messages came by, {sum(self.did.values())} faults: "
                 + ", ".join(f"{fault} {n}" for fault, n in sorted(self.did.items()))]
        lines.append("sent again by the ends: " + (", ".join(
            f"{kind} {n}" for kind, n in sorted(self.again.items()) if n) or "nothing"))
        return "\n".join(lines)
