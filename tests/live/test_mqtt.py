# SPDX-License-Identifier: Apache-2.0
"""Devices that enroll and renew over MQTT, on a real broker, by devicec (the library) and by foreign
clients: whatever the carrier, it is one device with one history, and the same octets mean the same
everywhere."""

import base64
import os
import time

from est_cmc import Response, Signer, csr_with_key_id, full_request, to_der
from harness import Case, Key, main, serial_of, subject_of, until
from mqtt import Broker, Client, Node, values
from mqtt_packet import kind_of
from test_device import Unit, serial

PREFIX = "touchmark/v1"
CARRIERS = ("sparkplug", "plain")


def is_offer(octets):
    """Offers come on the plain profile's topic of responses; nobody signed them."""
    return not Response(octets).signed


class Mobile(Unit):
    """A device of the library that goes over HTTPS or MQTT, as told."""

    over, group = "https", "plant"

    def via(self, over):
        self.over = over
        return self

    def arguments(self, *more):
        mqtt = []
        if self.over != "https":
            mqtt = ["--mqtt", f"mqtt://127.0.0.1:{self.case.mqtt_port}", "--profile", self.over,
                    "--group", self.group, "--repeat", "1", "--timeout", "30"]
        return super().arguments(*mqtt, *more)


class Mqtt(Case):
    """A server whose bridge is on a broker of the tests' own."""

    mqtt = {}

    @classmethod
    def setUpClass(cls):
        cls.broker = Broker()
        cls.addClassCleanup(cls.broker.close)
        cls.mqtt_port = cls.broker.start().port
        super().setUpClass()

    @classmethod
    def prepare(cls, site):
        site.core = {"wrap_key": "wrap.key"}
        site.mqtt = {"broker": f'"mqtt://127.0.0.1:{cls.mqtt_port}"', "retransmit": "1s",
                     **cls.mqtt}
        # "short" ends at a fixed time soon, and takes IDevIDs as well.
        path = site.folder / "profiles" / "short.yaml"
        text = path.read_text().replace("[secret, ldevid]", "[secret, idevid, ldevid]")
        path.write_text(text.replace("[registered, activated]",
                                     "[registered, manufactured, activated]"))

    def certificates(self, name, profile="ldevid"):
        """{serial: status} of those of a profile."""
        return {c["serial"]: c["status"] for c in self.server.device(name)["certificates"]
                if c["profile"] == profile}

    def history(self, name):
        """(event, profile, origin) of a device's certificates, in order."""
        return [(x["event"], x["profile"], x["origin"]) for x in self.server.leaves()
                if x.get("device") == name and x["event"] in ("issued", "confirmed")]

    def refusals(self, name):
        """By where they came from: a credential that is refused names nobody."""
        return [x["outcome"] for x in self.server.leaves()
                if x["event"] == "refused" and x["remote"].endswith("/" + name)]


class Devices(Mqtt):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Enrolled first, since their certificates of profile "short" can be had for some time only.
        case = cls("history")
        cls.expiring = {}
        for over in CARRIERS:
            unit = Mobile(case, f"X-{over}", ldevid="short", options=["--until", "2"])
            kinds, status = unit.provision().via(over).do("run")
            case.assertIn("enrolled", kinds, unit.events)
            cls.expiring[over] = unit, status

    def unit(self, name, over, **kw):
        return Mobile(self, name, **kw).provision().via(over)

    def check_held(self, unit, status):
        """What the device holds is active in the registry, and nothing else is."""
        active = {c["serial"] for c in self.server.device(unit.name)["certificates"]
                  if c["status"] == "active"}
        self.assertEqual(active, {serial(status, s) for s in ("idevid", "current")
                                  if s in status["slots"]})

    def each(self, check):
        for over in CARRIERS:
            with self.subTest(over):
                check(over)

    def test_first_enrollment_by_secret_and_idevid(self):
        def check(over):
            unit = self.unit(f"A-{over}", over)
            kinds, status = unit.do("run")
            self.assertEqual([k for k in kinds if k != "anchors"],
                             ["enrolled", "bootstrap-erased", "enrolled"], unit.events)
            self.check_held(unit, status)
            self.assertEqual(self.history(unit.name), [
                ("issued", "idevid", "mqtt"), ("confirmed", "idevid", "mqtt"),
                ("issued", "ldevid", "mqtt"), ("confirmed", "ldevid", "mqtt")])
            device = self.server.device(unit.name)
            self.assertEqual((device["secret"], device["state"]), ("used", "activated"))
            self.assertEqual(unit.do("run"), ([], status))  # nothing more is due
        self.each(check)

    def test_enrolled_by_https_renews_by_mqtt(self):
        def check(over):
            unit = self.unit(f"B-{over}", "https")
            _, first = unit.do("run")
            kinds, second = unit.via(over).do("renew")
            self.assertEqual(kinds, ["renewed"], unit.events)
            self.assertEqual(self.certificates(unit.name), {serial(second): "active",
                                                            serial(first): "superseded"})
            self.check_held(unit, second)
            self.assertEqual(self.history(unit.name), [
                ("issued", "idevid", "https"), ("issued", "ldevid", "https"),
                ("issued", "ldevid", "mqtt"), ("confirmed", "ldevid", "mqtt")])
        self.each(check)

    def test_enrolled_by_mqtt_renews_by_https_and_back(self):
        def check(over):
            unit = self.unit(f"C-{over}", over, idevid=None)
            _, first = unit.do("run")
            kinds, second = unit.via("https").do("renew")
            self.assertEqual(kinds, ["renewed"], unit.events)
            kinds, third = unit.via(over).do("renew")
            self.assertEqual(kinds, ["renewed"], unit.events)
            self.assertEqual(self.certificates(unit.name), {
                serial(third): "active", serial(second): "superseded",
                serial(first): "superseded"})
            self.check_held(unit, third)
            self.assertEqual(self.history(unit.name), [
                ("issued", "ldevid", "mqtt"), ("confirmed", "ldevid", "mqtt"),
                ("issued", "ldevid", "https"), ("issued", "ldevid", "mqtt"),
                ("confirmed", "ldevid", "mqtt")])
        self.each(check)

    def test_expired_ldevid_is_recovered_by_the_idevid(self):
        def check(over):
            unit, first = self.expiring[over]
            end = first["slots"]["current"]["not_after_ms"] / 1000
            until("the certificate expires", lambda: time.time() > end + 1)
            kinds, status = unit.do("run", "--ldevid-label", "ldevid")
            self.assertEqual(kinds, ["recovered"], unit.events)
            self.assertEqual(self.certificates(unit.name), {serial(status): "active"})
            self.assertEqual(self.certificates(unit.name, "idevid"),
                             {serial(first, "idevid"): "active"})
        self.each(check)

    def test_a_revoked_device_is_refused(self):
        def check(over):
            unit = self.unit(f"D-{over}", over)
            _, first = unit.do("run")
            self.server.transition(unit.name, "revoked")
            kinds, status = unit.do("renew", "--timeout", "4", "--stop-at", "failed")
            self.assertEqual(kinds, ["failed"], unit.events)
            self.assertEqual(serial(status), serial(first))
            self.assertEqual(len(self.certificates(unit.name)), 1)
        self.each(check)

    def test_a_revoked_certificate_is_replaced_by_the_idevid(self):
        def check(over):
            unit = self.unit(f"E-{over}", over)
            _, first = unit.do("run")
            self.server.touchmark("cert", "revoke", serial(first), "--reason", "keyCompromise")
            kinds, status = unit.do("renew")
            self.assertEqual(kinds, ["failed"] * 3 + ["recovered"], unit.events)
            self.assertTrue(unit.events[0]["text"])
            self.assertEqual(set(self.refusals(unit.name)), {"revoked"})
            self.assertEqual(self.certificates(unit.name), {serial(status): "active",
                                                            serial(first): "revoked"})
        self.each(check)

    def test_groups(self):
        """The same edge node ID in two groups is two edge nodes."""
        units = []
        for i, group in enumerate(("north", "south", "east")):
            unit = self.unit(f"F{i}", "sparkplug", idevid=None, options=["--edge-node", "line-1"])
            unit.group = group
            units.append(unit)
        running = [unit.start("run") for unit in units]
        for unit, process in zip(units, running):
            kinds, status = unit.finish(process)
            self.assertIn("enrolled", kinds, unit.events)
            self.check_held(unit, status)

    def test_what_went_by_mqtt_is_answered_the_same_at_fullcmc(self):
        """The messages of a device, taken down at the broker: the same request posted over HTTPS
        gets the stored response, octet for octet."""
        def check(over):
            with Client(self.mqtt_port) as tap:
                tap.subscribe("spBv1.0/#")
                tap.subscribe(f"{PREFIX}/#")
                unit = self.unit(f"G-{over}", over, idevid=None)
                _, status = unit.do("run")
                tap.publish("spBv1.0/all")
                tap.wait(lambda m: m.topic == "spBv1.0/all")  # behind all the rest
                seen = {"request": [], "response": []}
                for m in tap.messages:
                    if kind_of(m) in seen:
                        octets = m.payload
                        if over == "sparkplug":
                            octets = values(octets)[f"Touchmark/{kind_of(m).title()}"]
                        if octets not in seen[kind_of(m)] and not is_offer(octets):
                            seen[kind_of(m)].append(octets)
            request, _ = seen["request"]
            issued, success = seen["response"]
            self.assertEqual([Response(r).status for r in (issued, success)],
                             ["confirmRequired", "success"])
            kind = "application/pkcs7-mime; smime-type=CMC-request"
            answer = self.server.enroll("ldevid", request, operation="fullcmc",
                                        headers={"Content-Type": kind})
            self.assertEqual(answer.status, 200)
            self.assertEqual(base64.b64decode(answer.body), issued)
            self.assertEqual(self.certificates(unit.name), {serial(status): "active"})
        self.each(check)


class Speaker:
    """A device that openssl is the whole of, at a foreign edge node or plain client. Subclasses
    carry octets."""

    def __init__(self, case, name, label="ldevid"):
        self.case, self.name, self.label = case, name, label
        self.certificate = None
        self.keys = 0

    def new_key(self):
        self.keys += 1
        self.key = Key(self.case.site.folder, f"{self.name}-{self.keys}")
        subject = f"/CN={self.name}"
        if self.certificate:
            subject = subject_of(self.certificate.read_text())
        self.csr, self.own = csr_with_key_id(self.key, subject)

    def request(self, challenge, secret=None, **said):
        said = {"csr": self.csr, "challenge": challenge, "label": self.label,
                "transaction": f"{self.name}{self.keys}".encode(), **said}
        if secret:
            said |= {"secret": secret, "identification": self.name}
            return full_request(Signer(self.key.path, own=self.own), **said)
        return full_request(self.signer, **said)

    def take(self, response):
        pem = response.verified(self.case.site.root).issued(self.key.public())
        self.certificate = self.key.path.with_suffix(".pem")
        self.certificate.write_text(pem)
        self.signer = Signer(self.key.path, self.certificate, self.case.site.issuer)
        return serial_of(pem)

    def accept(self):
        return full_request(self.signer, accept=to_der(self.certificate.read_bytes()),
                            label=self.label, transaction=f"{self.name}{self.keys}".encode())

    def issue(self, secret=None):
        """Offer, request, response: the new serial, which was not confirmed yet."""
        self.new_key()
        self.sent = self.request(self.offer().challenge, secret)
        self.got = self.ask(self.sent)
        self.case.assertEqual(self.got.status, "confirmRequired", self.got)
        return self.take(self.got)


class Behind(Speaker):
    """Behind a foreign edge node."""

    def __init__(self, case, node, name, **kw):
        super().__init__(case, name, **kw)
        self.node = node

    def offer(self):
        self.node.device_birth(self.name, {"Touchmark/State": "waiting",
                                           "Touchmark/Label": self.label})
        return Response(self.node.wait_command("Touchmark/Offer", self.name))

    def ask(self, request):
        self.node.data({"Touchmark/State": "requested", "Touchmark/Request": request}, self.name)
        return self.wait()

    def wait(self):
        return Response(self.node.wait_command("Touchmark/Response", self.name))


class Plain(Speaker):
    """A client of MQTT 5."""

    def __init__(self, case, client, name, **kw):
        super().__init__(case, name, **kw)
        self.client = client
        self.topic = f"{PREFIX}/{name}/response"
        client.subscribe(self.topic)

    def say(self, what, payload=b""):
        correlation = os.urandom(12)
        self.client.publish(f"{PREFIX}/{self.name}/{what}", payload, qos=1,
                            ResponseTopic=self.topic, CorrelationData=correlation,
                            UserProperty=[("label", self.label)])
        message = self.client.wait(lambda m: m.topic == self.topic
                                   and m.properties.CorrelationData == correlation)
        return Response(message.payload)

    def offer(self):
        return self.say("offer")

    def ask(self, request):
        return self.say("request", request)


class ForeignCase(Mqtt):
    """What is not ours speaks to the bridge: openssl's messages, Google's protobuf, Paho."""

    def setUp(self):
        self.client = Client(self.mqtt_port)
        self.addCleanup(self.client.close)
        self.node = Node(self.mqtt_port, "plant", f"gateway-{self.id().split('.')[-1]}")
        self.addCleanup(self.node.close)
        self.node.birth()
        until("the bridge is there", self.bridge_is_there)

    def bridge_is_there(self):
        self.client.subscribe("spBv1.0/STATE/#")
        return any(b'"online":true' in m.payload.replace(b" ", b"")
                   for m in self.client.find(lambda m: "STATE" in m.topic))

    def speakers(self, name):
        yield Behind(self, self.node, f"{name}-b")
        yield Plain(self, self.client, f"{name}-p")

    def each(self, name, check):
        for speaker in self.speakers(name):
            with self.subTest(type(speaker).__name__):
                check(speaker, self.server.add_device(speaker.name))


class Again(ForeignCase):
    def test_an_unconfirmed_response_comes_again(self):
        """By itself, with pauses, and at every birth of a device that does not wait for an offer;
        until it was confirmed."""
        device = Behind(self, self.node, "C")
        device.issue(self.server.add_device("C"))
        for _ in range(2):
            self.assertEqual(device.wait().octets, device.got.octets)
        self.node.device_birth("C", {"Touchmark/State": "requested", "Touchmark/Label": "ldevid"})
        self.assertEqual(device.wait().octets, device.got.octets)
        done = device.ask(device.accept())
        while done.status != "success":
            self.assertEqual(done.octets, device.got.octets)
            done = device.wait()


class Foreign(ForeignCase):
    # An earlier response that came again by itself would be taken for the one that is waited for.
    mqtt = {"retransmit": "5m", "retransmit_max": "5m"}

    def test_superseded_only_after_the_confirmation(self):
        def check(device, secret):
            first = device.issue(secret)
            self.assertEqual(self.certificates(device.name), {first: "unconfirmed"})
            self.assertEqual(device.ask(device.accept()).verified(self.site.root).status, "success")
            self.assertEqual(self.certificates(device.name), {first: "active"})
            second = device.issue()
            self.assertEqual(self.certificates(device.name), {second: "unconfirmed",
                                                              first: "active"})
            self.assertEqual(device.ask(device.accept()).status, "success")
            self.assertEqual(self.certificates(device.name), {second: "active",
                                                              first: "superseded"})
            self.assertEqual(self.history(device.name),
                             [("issued", "ldevid", "mqtt"), ("confirmed", "ldevid", "mqtt")] * 2)
        self.each("A", check)

    def test_the_same_request_again(self):
        def check(device, secret):
            one = device.issue(secret)
            for _ in range(3):
                self.assertEqual(device.ask(device.sent).octets, device.got.octets)
            device.ask(device.accept())
            self.assertEqual(self.certificates(device.name), {one: "active"})
        self.each("B", check)

    def test_challenges_serve_once_and_one_device(self):
        def check(device, secret):
            device.new_key()
            old = device.offer().challenge
            device.issue(secret)
            device.ask(device.accept())
            other = type(device)(self, device.node if isinstance(device, Behind) else device.client,
                                 device.name + "2")
            self.server.add_device(other.name)
            theirs = other.offer().challenge
            device.new_key()
            for wrong in (old, theirs, b"x" * 32, None):
                refused = device.ask(device.request(wrong)).verified(self.site.root)
                self.assertEqual((refused.status, refused.fail), ("failed", "badTime"))
            # A refusal brings a challenge for the next request.
            given = device.ask(device.request(refused.challenge))
            self.assertEqual(given.status, "confirmRequired", given)
            self.assertEqual(len(self.certificates(device.name)), 2)
        self.each("D", check)

    def test_another_request_under_one_transaction(self):
        def check(device, secret):
            device.issue(secret)
            device.ask(device.accept())
            device.issue()
            taken = f"{device.name}{device.keys}".encode()
            device.new_key()
            refused = device.ask(device.request(device.offer().challenge, transaction=taken))
            self.assertEqual((refused.status, refused.fail), ("failed", "badRequest"), refused)
            self.assertEqual(self.refusals(device.name)[-1], "conflict")
            self.assertEqual(len(self.certificates(device.name)), 2)
        self.each("E", check)

    def test_a_request_by_somebody_else(self):
        """One device's message that comes by another's topic is that device's; the topic proves
        nothing."""
        one, two = Plain(self, self.client, "F1"), Plain(self, self.client, "F2")
        one.issue(self.server.add_device("F1"))
        one.ask(one.accept())
        two.issue(self.server.add_device("F2"))
        two.ask(two.accept())
        one.new_key()
        message = one.request(one.offer().challenge)
        got = two.ask(message)
        pem = got.verified(self.site.root).issued(one.key.public())
        self.assertEqual(subject_of(pem), subject_of(one.certificate.read_text()))
        self.assertEqual(len(self.certificates("F2")), 1)
        self.assertEqual(len(self.certificates("F1")), 2)

    def test_revoked(self):
        def check(device, secret):
            first = device.issue(secret)
            device.ask(device.accept())
            device.new_key()
            challenge = device.offer().challenge
            self.server.touchmark("cert", "revoke", first, "--reason", "keyCompromise")
            refused = device.ask(device.request(challenge)).verified(self.site.root)
            self.assertEqual((refused.status, refused.fail), ("failed", "badIdentity"))
            self.assertEqual(self.certificates(device.name), {first: "revoked"})
        self.each("G", check)

    def test_a_suspended_device(self):
        def check(device, secret):
            first = device.issue(secret)
            device.ask(device.accept())
            device.new_key()
            challenge = device.offer().challenge
            self.server.transition(device.name, "suspended")
            refused = device.ask(device.request(challenge)).verified(self.site.root)
            self.assertEqual((refused.status, refused.fail), ("failed", "badIdentity"))
            self.assertEqual(self.refusals(device.name)[-1], "wrong-state")
            self.server.transition(device.name, "activated")
            self.assertEqual(device.ask(device.request(challenge)).status, "confirmRequired")
            self.assertEqual(self.certificates(device.name)[first], "active")
        self.each("I", check)

    def test_nobody_is_told_whether_a_device_exists(self):
        """An unknown device gets an offer like others, and a request with a secret of nobody the
        same refusal as one with a wrong secret."""
        known, unknown = Plain(self, self.client, "H1"), Plain(self, self.client, "H2")
        self.server.add_device("H1")
        answers = []
        for device in (known, unknown):
            device.new_key()
            challenge = device.offer().challenge
            answers.append(device.ask(device.request(challenge, secret="wrong" * 8)))
        self.assertEqual(*[(a.status, a.fail, a.text) for a in answers])


if __name__ == "__main__":
    main()
