# SPDX-License-Identifier: Apache-2.0
"""touchmark-agent and the real server with nothing but a broker between them: from the one-time
secret to certificates that are renewed, over Sparkplug B and over plain MQTT 5, to HTTPS and back,
through outages of each part."""

import signal

from agents import CONFIG, DENIED, DONE, AgentCase
from harness import main, openssl, serial_of
from mqtt import Broker, Client, decode, values

HOST = "touchmark"  # mqtt.host_id of touchmark.yaml, by default


class MqttCase(AgentCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = Broker()
        cls.addClassCleanup(cls.broker.close)
        cls.broker.start()
        super().setUpClass()

    @classmethod
    def prepare(cls, site):
        site.core = {"wrap_key": "wrap.key"}
        site.mqtt = {"broker": f'"mqtt://127.0.0.1:{cls.broker.port}"', "events": "true"}

    def agent(self, name, secret=True, mqtt=None, **given):
        given = {"transport": "mqtt", **given,
                 "mqtt": {"url": f'"mqtt://127.0.0.1:{self.broker.port}"', "group": "g",
                          "timeout": "60s", "repeat": "2s", **(mqtt or {})}}
        return super().agent(name, secret, **given)

    def setUp(self):
        for part in (self.broker, self.server):
            if not part.process or part.process.poll() is not None:
                part.start()
        self.app = Client(self.broker.port)
        self.addCleanup(lambda: self.app.close())
        self.app.subscribe("#")

    def sent(self, kind, name, **contents):
        topic = f"spBv1.0/g/{kind}/{name}"
        return self.app.find(lambda m: m.topic == topic and all(
            values(m.payload).get(k.replace("_", "/")) == v for k, v in contents.items()))

    def states(self, name):
        """What the device said of its state, one after the other."""
        found = []
        for message in self.app.find(lambda m: m.topic in (f"spBv1.0/g/NBIRTH/{name}",
                                                           f"spBv1.0/g/NDATA/{name}")):
            state = values(message.payload)["Touchmark/State"]
            if found[-1:] != [state]:
                found.append(state)
        return found


class Sparkplug(MqttCase):
    def test_secret_becomes_both_identities(self):
        agent = self.agent("MQTT-1", labels={"idevid": "idevid"})
        self.assertEqual(agent.run("--check"), DONE, agent.said)
        self.once(agent)
        status = agent.status()
        self.assertEqual((status["device"], status["phase"], status["failures"]),
                         ("MQTT-1", "idle", 0))
        self.assertEqual(status["server"], f"mqtt://127.0.0.1:{self.broker.port}")
        self.assertIsNotNone(status["slots"]["idevid"])
        self.assertEqual(status["slots"]["current"]["serial"].lstrip("0"),
                         serial_of(agent.certificate()).lstrip("0"))
        openssl("verify", "-CAfile", self.site.root, "-untrusted", agent.export / "chain.pem",
                agent.export / "certificate.pem")
        self.assertEqual(self.server.device("MQTT-1")["state"], "activated")
        self.assertFalse(agent.bootstrap.exists())
        for message in self.app.find(lambda m: True):
            self.assertNotIn(agent.secret.encode(), message.payload)
        way = ["waiting", "requested", "unconfirmed", "requested", "idle"]
        self.app.wait(lambda m: m.topic == "spBv1.0/g/NDEATH/MQTT-1")
        self.assertEqual(self.states("MQTT-1"), way * 2)
        # A label stands in births only: another one is another birth in the same session.
        births = [values(m.payload) for m in self.sent("NBIRTH", "MQTT-1")]
        self.assertEqual([(b["Touchmark/Label"], b["bdSeq"]) for b in births],
                         [("idevid", 0), ("ldevid", 0)])

    def test_agent_stays_online_and_renews_in_its_session(self):
        agent = self.serving(self.agent("MQTT-2", requests={"linking": "required"}))
        self.renew(agent)
        self.renew(agent)
        births = self.sent("NBIRTH", "MQTT-2")
        self.assertEqual({values(m.payload)["bdSeq"] for m in births}, {0})
        self.assertEqual(self.sent("NDEATH", "MQTT-2"), [])
        self.assertEqual(agent.stop(), DONE)
        self.app.wait(lambda m: m.topic == "spBv1.0/g/NDEATH/MQTT-2")

    def test_one_device_over_both_ways(self):
        """HTTPS, MQTT, HTTPS: one device, one history."""
        agent = self.serving(self.agent("MQTT-3", transport="https"))
        first = serial_of(agent.certificate())
        for transport in ("mqtt", "https", "mqtt"):
            agent.configure(transport=transport)
            agent.process.send_signal(signal.SIGHUP)
            self.until(agent, "it took the configuration",
                       lambda: (agent.status() or {}).get("server", "").startswith(transport))
            self.renew(agent)
        self.assertNotEqual(serial_of(agent.certificate()), first)
        self.assertEqual(self.server.device("MQTT-3")["state"], "activated")

    def test_broker_gone_and_back(self):
        agent = self.serving(self.agent("MQTT-4", mqtt={"timeout": "3s"}))
        before = agent.current()["serial"]
        self.broker.kill()
        agent.process.send_signal(signal.SIGUSR1)
        self.until(agent, "it knows", lambda: "no connection to the broker" in
                   agent.status()["text"])
        self.assertEqual(agent.current()["serial"], before)
        self.broker.start()
        self.until(agent, "it renewed", lambda: agent.current()["serial"] != before)

    def test_server_that_comes_late_is_not_waited_for_by_the_backoff(self):
        """The agent would try again in hours; the server's STATE brings its birth, and the server
        answers that with an offer."""
        agent = self.agent("MQTT-5", mqtt={"timeout": "2s", "repeat": "1s", "host_id": HOST},
                           renewal={"backoff_min": "1d", "backoff_max": "30d"})
        self.server.stop()
        try:
            agent.start()
            self.until(agent, "it failed", lambda: agent.status() and agent.status()["failures"])
        finally:
            self.server.start()
        self.until(agent, "it has a certificate", agent.current)

    def test_primary_host(self):
        agent = self.serving(self.agent("MQTT-6", mqtt={"host_id": HOST}))
        self.server.stop()
        try:
            death = self.app.wait(lambda m: m.topic == "spBv1.0/g/NDEATH/MQTT-6")
            self.assertEqual(values(death.payload)["bdSeq"], 0)
        finally:
            self.server.start()
        birth = self.app.wait(lambda m: m.topic == "spBv1.0/g/NBIRTH/MQTT-6" and
                              values(m.payload)["bdSeq"] > 0)
        self.assertEqual(decode(birth.payload).seq, 0)
        self.renew(agent)

    def test_check_looks_at_the_files_for_the_broker(self):
        given = {"url": "mqtts://127.0.0.1", "anchors": self.site.root, "user": "u"}
        agent = self.agent("MQTT-8", secret=None, mqtt={**given, "password_file": "password"})
        self.assertEqual(agent.run("--check"), CONFIG)
        self.assertIn("password: no such file", agent.said)
        (agent.folder / "password").write_text("x\n")
        (agent.folder / "password").chmod(0o644)
        self.assertEqual(agent.run("--check"), CONFIG)
        self.assertIn("other users have access", agent.said)
        (agent.folder / "password").chmod(0o600)
        self.assertEqual(agent.run("--check"), DONE, agent.said)
        agent.configure(mqtt={"anchors": "/nowhere"})
        self.assertEqual(agent.run("--check"), CONFIG)
        self.assertIn("mqtt.anchors /nowhere: No such file or directory", agent.said)

    def test_wrong_secret_is_refused(self):
        agent = self.agent("MQTT-7", secret=None, bootstrap="bootstrap")
        self.server.add_device("MQTT-7")
        agent.secret = "not the one"
        agent.bootstrap.touch(mode=0o600)
        agent.bootstrap.write_text("not the one\n")
        self.once(agent, DENIED)
        self.assertIsNone(agent.current())


class Plain(MqttCase):
    def agent(self, name, secret=True, mqtt=None, **given):
        return super().agent(name, secret, {"profile": "plain", **(mqtt or {})}, **given)

    def test_enrolls_and_renews(self):
        agent = self.serving(self.agent("PLAIN-1", labels={"idevid": "idevid"}))
        self.renew(agent)
        self.assertEqual(self.server.device("PLAIN-1")["state"], "activated")
        self.assertEqual(self.app.find(lambda m: m.topic.startswith("spBv1.0/g/")), [])
        self.assertEqual(agent.stop(), DONE)


if __name__ == "__main__":
    main()
