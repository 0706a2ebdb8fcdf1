# SPDX-License-Identifier: Apache-2.0
"""Devices on the library against a real server: they enroll, renew, wait out an outage, are refused,
and come back. The registry has to agree each time."""

import http.server
import json
import ssl
import subprocess
import threading
import time

from harness import BUILD, Case, PATIENCE, SLOW, main, openssl, run, until

DEVICEC = BUILD / "tests" / "live" / "devicec"
FLEET = BUILD / "client" / "fleet" / "touchmark-fleet"
EXAMPLE = BUILD / "client" / "examples" / "enroll"
LIFETIME = 120 if SLOW else 90  # seconds, of certificates under label "named"


class Unit:
    """One device, and the program that is it."""

    def __init__(self, case, name, idevid="idevid", ldevid="ldevid", options=()):
        self.case, self.name = case, name
        self.folder = case.site.folder / f"unit-{name}"
        self.options = ["--id", name, "--ldevid-label", ldevid, *options]
        if idevid:
            self.options += ["--idevid-label", idevid]

    def arguments(self, *more):
        return [str(a) for a in (DEVICEC, "--folder", self.folder, "--url",
                                 f"https://127.0.0.1:{self.case.server.port}", *self.options,
                                 *more)]

    def provision(self, anchors=None):
        self.secret = self.case.server.add_device(self.name)
        run(*self.arguments("--anchors", anchors or self.case.site.root, "--bootstrap-from-stdin",
                            "provision"), stdin=self.secret.encode())
        return self

    def do(self, *words):
        """Runs until it has settled: (kinds of the events in order, status)."""
        done = run(*self.arguments(*words))
        return self.read(done.stdout, done.stderr)

    def read(self, out, err):
        self.case.assertNotIn(self.secret.encode(), out + err)
        lines = [json.loads(line) for line in out.splitlines()]
        self.events = lines[:-1]
        return [event["event"] for event in self.events], lines[-1]

    def start(self, *words):
        return subprocess.Popen(self.arguments(*words), stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)

    def finish(self, process, before=b""):
        out, err = process.communicate(timeout=PATIENCE)
        self.case.assertEqual(process.returncode, 0, err)
        return self.read(before + out, err)

    def certificate(self, status, slot="current"):
        """The leaf in a slot, as PEM."""
        path = self.folder / f"chain-{status['slots'][slot]['chain_bank']}.der"
        return openssl("x509", "-inform", "DER", "-in", path)

    def public(self, status, slot="current"):
        return openssl("x509", "-noout", "-pubkey", stdin=self.certificate(status, slot))

    def has_bootstrap(self):
        return (self.folder / "bootstrap").exists()


def serial(status, slot="current"):
    return status["slots"][slot]["serial"]


class Devices(Case):
    listen = {"workers": 1}

    @classmethod
    def prepare(cls, site):
        """Two profiles of the harness become ones for devices with an IDevID: "short" ends at a
        fixed time soon, "named" after the shortest time that a profile can say."""
        profiles = site.folder / "profiles"
        credentials = "credentials: [secret, idevid, ldevid]"
        states = "states: [registered, manufactured, activated]"
        for name in ("short", "named"):
            text = (profiles / f"{name}.yaml").read_text()
            text = text.replace("credentials: [secret, ldevid]", credentials)
            text = text.replace("states: [registered, activated]", states)
            text = text.replace("validity: 30d", f"validity: {LIFETIME}s")
            text = text.replace("keys: [p256, rsa2048]", "keys: [p256]")
            (profiles / f"{name}.yaml").write_text(text)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        case = cls("check_registry")
        cls.expiring = case.enrolled("H0001", ldevid="short", options=["--until", "2"])
        cls.aging = Unit(case, "H0002", ldevid="named").provision()
        cls.alone = cls.aging.start("--until", str(LIFETIME), "--stop-at", "renewed", "run")
        cls.example = cls.start_example("I0001")
        for process in (cls.alone, cls.example):
            cls.addClassCleanup(process.communicate)
            cls.addClassCleanup(process.kill)

    @classmethod
    def start_example(cls, name):
        """The program of docs/device-library.md."""
        root = cls.site.folder / "root.der"
        root.write_bytes(openssl("x509", "-in", cls.site.root, "-outform", "DER"))
        process = subprocess.Popen(
            [str(a) for a in (EXAMPLE, cls.site.folder / f"unit-{name}",
                              f"https://127.0.0.1:{cls.server.port}", name, "idevid", "named",
                              root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process.stdin.write(cls.server.add_device(name).encode() + b"\n")
        process.stdin.flush()
        return process

    def check_registry(self, unit, status, state="activated"):
        """What the device uses is live in the registry, and nothing else is."""
        device = self.server.device(unit.name)
        self.assertEqual(device["state"], state)
        known = {c["serial"]: c["status"] for c in device["certificates"]}
        live = {s for s, status_ in known.items() if status_ == "active"}
        held = {serial(status, s) for s in ("idevid", "current") if s in status["slots"]}
        self.assertEqual(live, held, device)
        if "previous" in status["slots"]:
            self.assertEqual(known[serial(status, "previous")], "superseded")

    def leaves_of(self, unit, since):
        """Others of this class renew at the same time."""
        return [x for x in self.server.leaves(since) if x["device"] == unit.name]

    def enrolled(self, name, **kw):
        unit = Unit(self, name, **kw).provision()
        kinds, status = unit.do("run")
        self.assertIn("enrolled", kinds, unit.events)
        self.assertNotIn("failed", kinds, unit.events)
        self.check_registry(unit, status)
        return unit, status

    def test_idevid_by_secret_then_ldevid_by_idevid(self):
        unit = Unit(self, "A0001").provision()
        self.assertTrue(unit.has_bootstrap())
        before = self.server.head()
        kinds, status = unit.do("run")
        self.assertEqual(kinds, ["anchors", "enrolled", "bootstrap-erased", "enrolled"])
        self.assertEqual([e["slot"] for e in unit.events if e["event"] == "enrolled"],
                         ["idevid", "current"])
        self.assertFalse(unit.has_bootstrap())
        self.assertEqual(self.server.device(unit.name)["secret"], "used")
        issued = [(x["profile"], x["actor"].split(":")[0]) for x in self.leaves_of(unit, before)]
        self.assertEqual(issued, [("idevid", "secret"), ("ldevid", "cert")])
        self.check_registry(unit, status)
        # Again there is nothing to do, and nothing is asked for.
        self.assertEqual(unit.do("run"), ([], status))
        self.assertEqual(len(self.leaves_of(unit, before)), 2)

    def test_a_fleet_as_load(self):
        names = [f"L{i:04}" for i in range(12)]
        lines = "".join(f"{name} {self.server.add_device(name)}\n" for name in names)
        before = self.server.head()
        done = run(FLEET, "--url", f"https://127.0.0.1:{self.server.port}", "--anchors",
                   self.site.root, "--idevid-label", "idevid", "--ldevid-label", "ldevid",
                   "--threads", "4", "--renewals", "2", stdin=lines.encode())
        self.assertIn(b"devices: 12 of 12 ", done.stdout)
        self.assertIn(b"certificates: 24 enrolled, 24 renewed in ", done.stdout)
        self.assertIn(b"tries that failed: 0\n", done.stdout)
        issued = [x["device"] for x in self.server.leaves(before)
                  if x["event"] == "issued" and x["device"] in names]
        self.assertEqual({name: issued.count(name) for name in names},
                         dict.fromkeys(names, 4))
        for name in names:
            live = [c["profile"] for c in self.server.device(name)["certificates"]
                    if c["status"] == "active"]
            self.assertEqual(sorted(live), ["idevid", "ldevid"])

    def test_renewal_with_a_new_key(self):
        unit, first = self.enrolled("B0001")
        kinds, second = unit.do("renew")
        self.assertEqual(kinds, ["renewed"])
        self.assertEqual(serial(second, "previous"), serial(first))
        self.assertNotEqual(unit.public(second), unit.public(second, "previous"))
        self.check_registry(unit, second)
        kinds, third = unit.do("renew")  # ends the soak time of the one before
        self.assertEqual(kinds, ["renewed"])
        self.assertEqual(serial(third, "previous"), serial(second))
        self.check_registry(unit, third)
        self.assertEqual(serial(third, "idevid"), serial(first, "idevid"))

    def test_renewal_with_the_same_key(self):
        unit, first = self.enrolled("B0002", options=["--keep-key"])
        public = unit.public(first)
        kinds, second = unit.do("renew")
        self.assertEqual(kinds, ["renewed"])
        self.assertNotEqual(serial(second), serial(first))
        self.assertEqual(unit.public(second), public)
        self.check_registry(unit, second)

    def test_requests_are_linked_to_their_connection(self):
        for version, options in (("12", ["--pin-tls12"]), ("13", [])):
            with self.subTest(tls=version):
                unit, _ = self.enrolled(f"C00{version}", idevid=None, ldevid="linked",
                                        options=[*options, "--linking", "required"])
                kinds, status = unit.do("renew")
                self.assertEqual(kinds, ["renewed"])
                self.check_registry(unit, status)

    def test_server_that_demands_linking_says_so(self):
        unit = Unit(self, "C0001", idevid=None, ldevid="linked",
                    options=["--linking", "off"]).provision()
        before = self.server.head()
        kinds, _ = unit.do("run", "--stop-at", "failed")
        self.assertEqual(kinds[-1], "failed")
        self.assertTrue(unit.events[-1]["text"])
        outcomes = [x["outcome"] for x in self.server.leaves(before) if x["event"] == "refused"]
        self.assertEqual(outcomes, ["not-linked"])
        self.assertTrue(unit.has_bootstrap())

    def test_outage_is_waited_out(self):
        unit, first = self.enrolled("D0001")
        new = Unit(self, "D0002").provision()
        self.server.stop()
        renewing, enrolling = unit.start("renew"), new.start("run")
        seen = {}
        for process in (renewing, enrolling):
            lines = [process.stdout.readline() for _ in range(4)]
            self.assertEqual({json.loads(line)["event"] for line in lines}, {"failed"})
            seen[process] = b"".join(lines)
        self.site.listen["port"] = self.server.port
        try:
            self.server.start()
        finally:
            self.site.listen["port"] = 0
        kinds, status = unit.finish(renewing, seen[renewing])
        self.assertEqual([k for k in kinds if k != "failed"], ["renewed"])
        self.assertEqual(serial(status, "previous"), serial(first))
        self.check_registry(unit, status)
        kinds, status = new.finish(enrolling, seen[enrolling])
        self.assertEqual(kinds[-1], "enrolled")
        self.check_registry(new, status)

    def test_server_of_a_strange_root_is_told_nothing(self):
        unit = Unit(self, "E0001").provision(self.site.folder / "foreign.pem")
        before = self.server.head()
        kinds, status = unit.do("run", "--stop-at", "failed")
        self.assertEqual(kinds, ["failed"])
        self.assertRegex(unit.events[0]["text"], "^the server's certificate: ")
        self.assertEqual(status["slots"], {})
        self.assertTrue(unit.has_bootstrap())
        self.assertEqual(self.leaves_of(unit, before), [])
        self.assertEqual(self.server.device(unit.name)["certificates"], [])

    def test_suspended_device_says_that_it_is_stranded_and_goes_on_when_it_may(self):
        unit, first = self.enrolled("F0001")
        self.server.transition(unit.name, "suspended")
        kinds, status = unit.do("renew", "--stop-at", "stranded")
        self.assertEqual(kinds[-1], "stranded")
        self.assertTrue(unit.events[-1]["text"])
        self.assertEqual(serial(status), serial(first))
        self.assertEqual(serial(status, "idevid"), serial(first, "idevid"))
        self.server.transition(unit.name, "activated")
        kinds, status = unit.do("renew")
        self.assertIn(kinds[-1], ("renewed", "recovered"))
        self.assertNotEqual(serial(status), serial(first))
        self.check_registry(unit, status)

    def test_revoked_ldevid_is_replaced_by_the_idevid(self):
        unit, first = self.enrolled("G0001")
        self.server.touchmark("cert", "revoke", serial(first), "--reason", "keyCompromise")
        kinds, status = unit.do("renew")
        self.assertEqual(kinds, ["failed"] * 3 + ["recovered"])
        self.assertNotIn("previous", status["slots"])
        self.assertNotEqual(serial(status), serial(first))
        self.check_registry(unit, status)

    def test_expired_ldevid_is_replaced_by_the_idevid(self):
        unit, first = self.expiring
        end = first["slots"]["current"]["not_after_ms"] / 1000
        until("the certificate expires", lambda: time.time() > end + 1)
        # Under "short" nothing is issued any more.
        kinds, status = unit.do("run", "--ldevid-label", "ldevid")
        self.assertEqual(kinds, ["recovered"])
        self.assertNotEqual(serial(status), serial(first))
        device = self.server.device(unit.name)
        self.assertEqual(device["certificates"][0]["serial"], serial(status))

    def test_renews_by_itself_in_time(self):
        unit = self.aging
        kinds, status = unit.finish(self.alone)
        self.assertEqual([k for k in kinds if k != "failed"],
                         ["anchors", "enrolled", "bootstrap-erased", "enrolled", "renewed"])
        self.check_registry(unit, status)
        # Their notBefore lies so far back that each is due for renewal when it comes: not at once.
        new, old = [c for c in self.server.device(unit.name)["certificates"]
                    if c["profile"] == "named"]
        self.assertEqual(serial(status, "previous"), old["serial"])
        self.assertLess(new["issued"], old["not_after"])
        lived = (status["slots"]["current"]["not_after_ms"]
                 - status["slots"]["previous"]["not_after_ms"]) / 1000
        self.assertGreater(lived, LIFETIME / 4)

    def test_shown_program_enrolls_and_renews(self):
        """Events 1 and 2 of client/device.h: enrolled, renewed; slots 1 and 2: IDevID, current."""
        lines = []
        while not lines or not lines[-1].startswith("event 2 "):
            lines.append(self.example.stdout.readline().decode())
            self.assertTrue(lines[-1], f"it ended: {lines}")
        done = [line.split()[:5] for line in lines if line.startswith(("event 1 ", "event 2 "))]
        self.assertEqual([(words[1], words[4]) for words in done],
                         [("1", "1"), ("1", "2"), ("2", "2")])
        live = [c["profile"] for c in self.server.device("I0001")["certificates"]
                if c["status"] == "active"]
        self.assertEqual(live, ["named", "idevid"])


class Service(http.server.BaseHTTPRequestHandler):
    """Where the certificates are to be used: it answers what the test says, one after the other."""

    def do_GET(self):
        server = self.server
        server.asked.append(self.connection.getpeercert(True))
        status = server.statuses.pop(0) if server.statuses else 200
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Probe(Case):
    """A new certificate is tried where it is to be used before it is."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = cls.site.folder
        cls.site.make_ca("service", "Service CA")
        csr = openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                      "-nodes", "-subj", "/CN=service", "-keyout", folder / "service-tls.key")
        extensions = folder / "service.cnf"
        extensions.write_text("subjectAltName=IP:127.0.0.1\nauthorityKeyIdentifier=keyid\n")
        pem = openssl("x509", "-req", "-CA", folder / "service.pem", "-CAkey",
                      folder / "service.key", "-CAcreateserial", "-days", "2", "-extfile",
                      extensions, stdin=csr)
        (folder / "service-tls.pem").write_bytes(pem)
        cls.anchors = folder / "anchors.pem"
        cls.anchors.write_bytes(cls.site.root.read_bytes()
                                + (folder / "service.pem").read_bytes())
        cls.service = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
        cls.service.statuses, cls.service.asked = [], []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "service-tls.pem", folder / "service-tls.key")
        context.load_verify_locations(cls.site.root)
        context.verify_mode = ssl.CERT_REQUIRED
        cls.service.socket = context.wrap_socket(cls.service.socket, server_side=True)
        thread = threading.Thread(target=cls.service.serve_forever)
        thread.start()
        cls.addClassCleanup(thread.join)
        cls.addClassCleanup(cls.service.server_close)
        cls.addClassCleanup(cls.service.shutdown)

    def unit(self, name):
        port = self.service.server_address[1]
        return Unit(self, name, options=["--probe-url", f"https://127.0.0.1:{port}/"])

    def test_refused_certificate_is_given_up_for_another(self):
        unit = self.unit("P0001").provision(self.anchors)
        _, first = unit.do("run")
        self.service.statuses[:] = [403, 503, 403, 403]
        before = len(self.service.asked)
        kinds, status = unit.do("renew")
        self.assertEqual([k for k in kinds if k != "failed"], ["discarded", "renewed"])
        self.assertEqual(serial(status, "previous"), serial(first))
        asked = self.service.asked[before:]
        self.assertEqual(len(set(asked[:4])), 1, "the same certificate was tried again")
        self.assertNotIn(asked[4], asked[:4])
        [der] = set(asked[4:])
        self.assertEqual(openssl("x509", "-inform", "DER", stdin=der), unit.certificate(status))


if __name__ == "__main__":
    main()
