# SPDX-License-Identifier: Apache-2.0
"""touchmarkd with an MQTT bridge and a real broker: what a missing broker, a dead bridge, a dead
core and a reload do to it, and that what happens is told, in order and at least once."""

import itertools
import json
import os
import pathlib
import shutil
import signal
import tempfile
import threading
import unittest

from harness import (Case, PATIENCE, Server, Site, TOUCHMARK, TOUCHMARKD, WELL_KNOWN, main, run,
                     until)
from mqtt import Broker, Client, client_tls, state_of, tls_files, tls_leaf

STATE = "spBv1.0/STATE/touchmark"
PREFIX = "touchmark/v1"


class Bridged(Case):
    """A server whose broker is at a port of its own. Subclasses say what the broker is like."""

    @classmethod
    def setUpClass(cls):
        cls.broker = Broker(**cls.broker_options())
        cls.addClassCleanup(cls.broker.close)
        cls.broker.start()
        super().setUpClass()

    @classmethod
    def broker_options(cls):
        return {}

    @classmethod
    def prepare(cls, site):
        site.core = {"wrap_key": "wrap.key"}
        site.mqtt = {"broker": f'"mqtt://127.0.0.1:{cls.broker.port}"', "events": "true"}

    def setUp(self):
        if not self.broker.process:
            self.broker.start()
        if self.server.process.poll() is not None:
            self.server.start()
        self.app = Client(self.broker.port)
        self.addCleanup(self.app.close)

    # ---- what a user sees ----

    def online(self, app=None, after=0, what="STATE says online"):
        """Waits for STATE online of a connection that is newer than `after`; its timestamp."""
        def fits(message):
            said = message.topic == STATE and state_of(message)
            return said and said["online"] and said["timestamp"] > after
        return state_of((app or self.app).wait(fits, what))["timestamp"]

    def offer(self, device):
        """Asks for an offer by the plain profile, again and again as devices do."""
        answer = f"{PREFIX}/{device}/response"
        self.app.subscribe(answer)
        correlation = os.urandom(8)

        def answered():
            self.app.publish(f"{PREFIX}/{device}/offer", qos=1, ResponseTopic=answer,
                             CorrelationData=correlation)
            try:
                return self.app.wait(lambda m: m.topic == answer, seconds=1)
            except AssertionError:
                return None
        message = until("an offer", answered)
        self.assertEqual(message.properties.CorrelationData, correlation)
        self.assertGreater(len(message.payload), 100)

    def bridge(self):
        return self.server.ready().get("bridge")

    def another_bridge(self, old):
        """Waits until the ready file names another bridge; its process ID."""
        def look():
            try:
                pid = self.bridge()
            except (OSError, json.JSONDecodeError):
                return None
            return pid if pid and pid != old else None
        return until("another bridge is ready", look)

    def status(self):
        return self.server.touchmark("status")[-1]


class Role(Bridged):
    def test_ready_without_a_broker(self):
        self.server.stop()
        self.broker.stop()
        self.server.start()
        self.assertIn(self.bridge(), self.server.pids("bridge"))
        self.assertEqual(self.server.ask("GET", f"{WELL_KNOWN}/cacerts").status, 200)
        self.assertEqual(self.status()["bridge"], "linked")
        self.broker.start()
        with Client(self.broker.port) as app:
            app.subscribe(STATE)
            self.online(app)

    def test_offers_come_from_the_core(self):
        self.server.add_device("plain-1")
        self.offer("plain-1")

    def test_a_killed_bridge_is_replaced(self):
        self.app.subscribe(STATE)
        before = self.online()
        pid = self.bridge()
        os.kill(pid, signal.SIGKILL)
        self.app.wait(lambda m: m.topic == STATE and not state_of(m)["online"], "the will")
        self.another_bridge(pid)
        self.online(after=before)
        self.server.add_device("plain-2")
        self.offer("plain-2")

    def test_a_killed_core_is_linked_again(self):
        self.server.add_device("plain-3")
        pid, bridge = self.server.ready()["core"], self.bridge()
        os.kill(pid, signal.SIGKILL)
        until("another core serves", lambda: self.server.ready()["core"] not in (0, pid))
        self.assertEqual(self.status()["bridge"], "linked")
        self.assertEqual(self.bridge(), bridge)
        self.offer("plain-3")

    def test_reload_keeps_both_serving(self):
        """HTTPS is never refused; MQTT has one bridge after the other, never two."""
        self.app.subscribe(STATE)
        before = self.online()
        bridge = self.bridge()
        failures, over = [], threading.Event()

        def ask():
            while not over.is_set():
                answer = self.server.ask("GET", f"{WELL_KNOWN}/cacerts")
                if answer.status != 200:
                    failures.append(answer)
        asking = threading.Thread(target=ask)
        asking.start()
        try:
            self.server.process.send_signal(signal.SIGHUP)
            self.another_bridge(bridge)
            self.online(after=before)
        finally:
            over.set()
            asking.join()
        self.assertEqual(failures, [])
        self.assertEqual(self.server.pids("bridge"), [self.bridge()])
        self.assertNotIn("already connected", self.broker.log.read_text())
        self.server.add_device("plain-4")
        self.offer("plain-4")

    def test_reload_takes_the_bridge_away(self):
        self.app.subscribe(STATE)
        self.online()
        pid = self.bridge()
        text = self.site.config.read_text()
        self.site.config.write_text(text.replace("  broker:", "  #broker:"))
        self.server.process.send_signal(signal.SIGHUP)
        try:
            self.app.wait(lambda m: m.topic == STATE and not state_of(m)["online"], "STATE offline")
            until("the bridge has ended", lambda: not self.server.pids("bridge"))
            until("the ready file says so", lambda: self.bridge() is None)
            self.assertNotIn("bridge", self.status())
        finally:
            self.site.config.write_text(text)
            self.server.process.send_signal(signal.SIGHUP)
        self.another_bridge(pid)
        self.online()

    def test_the_end_is_orderly(self):
        self.app.subscribe(STATE)
        self.online()
        self.server.stop()
        self.app.wait(lambda m: m.topic == STATE and not state_of(m)["online"], "STATE offline")
        self.assertEqual(self.server.leftovers(), [])

    def test_the_wrap_key_is_made_once(self):
        path = self.site.folder / "wrap.key"
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        key = path.read_bytes()
        self.server.stop()
        self.server.start()
        self.assertEqual(path.read_bytes(), key)


class Events(Bridged):
    """Every leaf of the audit log is an event."""
    numbers = itertools.count()

    def setUp(self):
        super().setUp()
        self.app.subscribe(f"{PREFIX}/event/#")

    def add(self, count):
        """Devices, one leaf each; their names."""
        names = [f"E{next(self.numbers)}" for _ in range(count)]
        for name in names:
            self.server.add_device(name, secret=False)
        return names

    def add_over_a_crash(self, name):
        """Again until it is there: the core may die before it answers."""
        def added():
            done = run(TOUCHMARK, "device", "add", name, "--socket",
                       self.site.folder / "run" / "admin.sock", check=False)
            return done.returncode == 0 or name.encode() in done.stderr
        until(f"{name} is registered", added)

    def sequences(self):
        return [json.loads(m.payload)["sequence"]
                for m in self.app.find(lambda m: m.topic.startswith(f"{PREFIX}/event/"))]

    def all_told(self, since):
        """Waits until every leaf from `since` on was told; the sequence numbers as they came."""
        wanted = set(range(since, self.server.head()))
        until(lambda: f"events {sorted(wanted - set(self.sequences()))[:9]}",
              lambda: wanted <= set(self.sequences()))
        return [n for n in self.sequences() if n >= since]

    def test_what_happens_is_told(self):
        since = self.server.head()
        names = self.add(3)
        self.assertEqual(self.all_told(since), [since, since + 1, since + 2])
        told = [json.loads(m.payload) for m in self.app.messages if "/event/" in m.topic][-3:]
        self.assertEqual(told, self.server.leaves(since))
        self.assertEqual([(e["event"], e["device"]) for e in told],
                         [("device-added", name) for name in names])

    def test_a_restart_goes_on_where_it_was(self):
        since = self.server.head()
        self.add(5)
        self.all_told(since)
        self.server.stop()
        self.server.start()
        self.add(5)
        told = self.all_told(since)
        self.assertEqual(told, list(range(since, since + len(told))), "again, or out of order")

    def test_nothing_is_lost_with_a_broker_that_is_away(self):
        since = self.server.head()
        self.broker.suspend()
        try:
            self.add(150)  # more than the window
            os.kill(self.server.ready()["core"], signal.SIGKILL)
            os.kill(self.bridge(), signal.SIGKILL)
            until("the core serves", lambda: self.status()["bridge"] == "linked"
                  if self.answers() else False)
        finally:
            self.broker.suspend(False)
        self.check_told(since)

    def answers(self):
        try:
            self.status()
        except AssertionError:
            return False
        return True

    def check_told(self, since):
        """All there, and each time that it goes back, it goes on from there without a gap."""
        told = self.all_told(since)
        for last, n in zip(told, told[1:]):
            self.assertLessEqual(n, last + 1, told)
        print(f"{len(told)} events for {len(set(told))} leaves", flush=True)

    def test_nothing_is_lost_when_the_core_dies_telling(self):
        since = self.server.head()
        self.server.stop()
        self.server.start(TOUCHMARK_CRASH="core.event_sent:3")
        core = self.server.ready()["core"]
        for _ in range(10):
            self.add_over_a_crash(f"E{next(self.numbers)}")
        self.assertNotEqual(self.server.pids("core"), [core])
        self.check_told(since)


class Secured(Bridged):
    """A broker that is reached by name and TLS, wants a client certificate or a password, and lets
    others only read."""

    @classmethod
    def broker_options(cls):
        cls.files = pathlib.Path(tempfile.mkdtemp(prefix="touchmark-bridge-"))
        cls.addClassCleanup(shutil.rmtree, cls.files, ignore_errors=True)
        cls.own = tls_files(cls.files, ("localhost", "127.0.0.1"))
        (cls.files / "acl").write_text(f"pattern read #\nuser {cls.user}\ntopic readwrite #\n")
        return {**cls.access(), "tls": cls.own}

    @classmethod
    def prepare(cls, site):
        super().prepare(site)
        site.mqtt.update(broker=f'"mqtts://localhost:{cls.broker.port}"', anchors=cls.own[0])

    def check_online(self, cert=None, key=None):
        """Only the right one may write STATE."""
        with Client(self.broker.port, tls=client_tls(self.own[0], cert, key)) as app:
            app.subscribe(STATE)
            self.online(app)


class Certificate(Secured):
    user = "bridge"

    @classmethod
    def access(cls):
        return {"clients": cls.own[0], "lines": [f"acl_file {cls.files}/acl"]}

    @classmethod
    def prepare(cls, site):
        super().prepare(site)
        cls.leaf("bridge")
        site.mqtt.update(certificate=cls.files / "bridge.pem", key=cls.files / "bridge.key")

    @classmethod
    def leaf(cls, name):
        return tls_leaf(cls.files, cls.own[0], cls.files / "broker-ca.key", (name,), name)

    def setUp(self):
        pass

    def test_the_bridge_shows_its_certificate(self):
        self.check_online(*self.leaf("reader"))

    def test_reload_with_a_file_that_is_missing(self):
        """Nothing changes, and the log says why."""
        bridge, log = self.server.ready()["bridge"], self.server.log.stat().st_size
        text = self.site.config.read_text()
        self.site.config.write_text(text.replace("bridge.key", "missing.key"))
        try:
            self.server.process.send_signal(signal.SIGHUP)
            until("the log says that nothing changed", lambda: "configuration is as before" in
                  self.server.log.read_text()[log:])
            self.assertRegex(self.server.log.read_text()[log:], "mqtt.key: .*missing.key: No such")
            done = run(TOUCHMARKD, "--check", "--conf", self.site.config, check=False)
            self.assertEqual(done.returncode, 78)
        finally:
            self.site.config.write_text(text)
        self.assertEqual(self.server.pids("bridge"), [bridge])


class Password(Secured):
    user = "touchmark"
    password = "correct horse battery staple"

    @classmethod
    def access(cls):
        run("mosquitto_passwd", "-b", "-c", cls.files / "users", cls.user, cls.password)
        return {"lines": [f"acl_file {cls.files}/acl", f"password_file {cls.files}/users"]}

    @classmethod
    def prepare(cls, site):
        super().prepare(site)
        site.secret_file("mqtt-password", cls.password)
        site.mqtt.update(user=cls.user, password_file="mqtt-password")

    def setUp(self):
        pass

    def test_the_bridge_says_its_password(self):
        self.check_online()
        self.assertNotIn(self.password, self.server.log.read_text())


class FirstStart(unittest.TestCase):
    def test_a_file_that_is_missing_ends_it(self):
        site = Site()
        self.addCleanup(site.remove)
        site.mqtt = {"broker": '"mqtts://localhost"', "anchors": "missing.pem"}
        server = Server(site)
        self.addCleanup(server.kill)
        server.start(wait=False)
        self.assertEqual(server.process.wait(PATIENCE), 78)
        self.assertRegex(server.log.read_text(), "mqtt.anchors: .*missing.pem: No such file")
        self.assertEqual(server.leftovers(), [])


if __name__ == "__main__":
    main()
