#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A PIN that nobody could take for anything else is looked for where it must not be: in the memory,
arguments and environment of every process but the signer's, in core dumps, in logs and in files.
And all that is secret on a factory floor is looked for in all that a server and a station say."""

import base64
import contextlib
import email
import email.policy
import http.client
import os
import pathlib
import re
import resource
import secrets
import signal
import subprocess
import tempfile

import floor
import harness
import mqtt
from harness import PATIENCE, TOUCHMARK, Case, Key, body_of, openssl, run, until
from stations import Jobs, add_profiles, job_text

CHUNK = 1 << 20
# Nobody but root may look, which is tried here; and sanitizers map terabytes.
MAY_LOOK = os.geteuid() == 0 and not harness.SLOW


def memory_holds(pid, *wanted):
    """Which of them are in any readable page? Processes change while they are read: what is gone is
    gone."""
    found = set()
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            span, rights, *_ = line.split()
            if "r" not in rights or line.rstrip().endswith(("[vvar]", "[vsyscall]")):
                continue
            at, end = (int(x, 16) for x in span.split("-"))
            found |= region_holds(memory, at, end, wanted)
    return found


def region_holds(memory, at, end, wanted):
    found, tail = set(), b""
    while at < end:
        try:
            memory.seek(at)
            data = memory.read(min(CHUNK, end - at))
        except (OSError, ValueError, OverflowError):
            break
        if not data:
            break
        found |= {octets for octets in wanted if octets in tail + data}
        tail = data[-max(map(len, wanted)):]
        at += len(data)
    return found


def own_pin(case):
    """The sites of this case have a PIN that is no other's; returns it."""
    pin = secrets.token_hex(16)
    original = harness.Site.secret_file
    case.addClassCleanup(setattr, harness.Site, "secret_file", original)
    harness.Site.secret_file = lambda site, name, text: original(
        site, name, pin if name == "pin" else text)
    return pin


class Canary(Case):
    publishing = {"url": "http://status.test"}
    issuer_options = {"ocsp_key_label": "manufacturing-ocsp"}

    @classmethod
    def setUpClass(cls):
        cls.pin = own_pin(cls)
        before = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
        cls.addClassCleanup(resource.setrlimit, resource.RLIMIT_CORE, before)
        super().setUpClass()

    def setUp(self):
        self.canary = self.pin.encode()

    def work(self, name):
        """Everything that makes the signer sign."""
        certificate, _ = self.server.enrolled(name)
        self.server.touchmark("cert", "revoke", harness.serial_of(certificate.read_text()), "--reason",
                              "superseded")
        self.server.touchmark("publish", "now")
        until("all is published", lambda: all(
            row["served"] for row in self.server.touchmark("publish", "list")))

    def test_memory(self):
        self.work("memory")
        if os.geteuid():  # nobody but root may look at all
            for pid in self.server.pids():
                if harness.role_of(pid) != "supervisor":
                    self.assertRaises(PermissionError, memory_holds, pid, self.canary)
            return
        holders = {harness.role_of(pid) for pid in self.server.pids()
                   if memory_holds(pid, self.canary)}
        # The signer's own copy is the proof that this search finds what is there (libp11 keeps the
        # PIN to log in again).
        self.assertEqual({role.split("-")[0] for role in holders}, {"signer"})

    def test_arguments_and_environment(self):
        for pid in self.server.pids():
            for name in ("cmdline", "environ"):
                self.assertNotIn(self.canary, pathlib.Path(f"/proc/{pid}/{name}").read_bytes())

    def test_logs_and_files(self):
        self.work("files")
        with self.subTest("wrong PIN"):  # messages about PINs are where one would slip out
            self.server.stop()
            self.site.signer["pin_file"] = self.site.folder / "so-pin"
            self.server.start(wait=False)
            until("it gives up", lambda: self.server.process.poll() is not None)
            self.site.signer["pin_file"] = self.site.folder / "pin"
            self.server.start()
        found = [path for path in self.site.folder.rglob("*")
                 if path.is_file() and self.canary in path.read_bytes()]
        self.assertEqual(found, [self.site.folder / "pin"])

    def test_core_dumps(self):
        """The kernel is asked for one of each role: there is none, though it makes them here."""
        with tempfile.TemporaryDirectory() as folder:
            child = subprocess.Popen(["sh", "-c", "kill -ABRT $$"], cwd=folder)
            _, status = os.waitpid(child.pid, 0)
            child.returncode = -signal.SIGABRT
        self.assertTrue(os.WCOREDUMP(status), "no process leaves a core dump here")
        for pid in self.server.pids():
            if harness.role_of(pid) == "supervisor":
                continue  # its end would be everybody's
            os.kill(pid, signal.SIGABRT)
            until("it is gone", lambda pid=pid: pid not in self.server.pids())
        until("it serves again", self.serves)
        said = self.server.log.read_text()
        for role in ("front", "core", "signer"):
            self.assertRegex(said, rf"{role}\S* \(process \d+\) was killed by SIGABRT")
        self.assertNotIn("(core dumped)", said)

    def serves(self):
        try:
            return self.server.ask("GET", "/.well-known/est/cacerts").status == 200
        except OSError:
            return False


# ---- the floor ----

def inner(octets, shift, alphabet):
    """Those characters of base64 that these octets alone make, when they begin `shift` octets
    behind a multiple of three."""
    text = base64.b64encode(bytes(shift) + octets + bytes(3), alphabet)
    return text[-(-8 * shift // 6):8 * (shift + len(octets)) // 6]


def forms(octets):
    """How it may stand somewhere: {name: octets to look for}."""
    hexadecimal = octets.hex()
    found = {"raw": octets, "hex": hexadecimal.encode(), "HEX": hexadecimal.upper().encode()}
    for shift in range(3):
        found[f"base64 {shift}"] = inner(octets, shift, b"+/")
        found[f"base64url {shift}"] = inner(octets, shift, b"-_")
    return found


def private_of(octets):
    """The secret number of an EC key."""
    text = openssl("pkey", "-noout", "-text", stdin=octets).decode()
    number = bytes.fromhex(re.sub(r"[\s:]", "", re.search(r"priv:(.*?)pub:", text, re.S)[1]))
    return number[-31:]


MARKER = "canary-0001"  # a unit that all that is said must know


class Floor(Case):
    """One run of what a factory does, and where its secrets are afterwards: with their owners."""

    core = {"wrap_key": "wrap.key"}
    publishing = {"url": "http://status.test"}
    issuer_options = {"ocsp_key_label": "manufacturing-ocsp"}

    @classmethod
    def prepare(cls, site):
        add_profiles(site)
        text = (site.folder / "profiles" / "ldevid.yaml").read_text()
        (site.folder / "profiles" / "keygen.yaml").write_text(text + "server_keygen: tls\n")
        write = site.write_config

        def write_config():
            write()
            with site.config.open("a") as config:
                config.write("  - label: keygen\n    tenant: acme\n    profile: keygen\n")
        site.write_config = write_config
        site.metrics = {"enabled": "true", "port": 0}
        site.mqtt = {"broker": f'"mqtt://127.0.0.1:{cls.broker.port}"', "events": "true"}
        cls.vkey = site.sign_checkpoints()

    @classmethod
    def setUpClass(cls):
        cls.pin = own_pin(cls)
        cls.broker = mqtt.Broker()
        cls.addClassCleanup(cls.broker.close)
        cls.broker.start()
        cls.app = mqtt.Client(cls.broker.port)
        cls.addClassCleanup(cls.app.close)
        cls.app.subscribe("#")
        super().setUpClass()
        # What a secret is: where it is held, if anywhere. Whoever holds it is where it must be found.
        cls.secrets = {}
        cls.holders = {}
        cls.keep("PIN", cls.pin.encode(), cls.site.folder / "pin")
        cls.keep("TLS key", private_of((cls.site.folder / "server.key").read_bytes()),
                 cls.site.folder / "server.key")
        cls.keep("wrap key", (cls.site.folder / "wrap.key").read_bytes().strip(),
                 cls.site.folder / "wrap.key")
        cls.said = {}  # what somebody was told, by who told it

    @classmethod
    def keep(cls, name, octets, holder=None):
        assert len(octets) >= 16, name
        cls.secrets[name] = octets
        if holder:
            cls.holders[name] = holder

    # ---- what a factory does ----

    def ask(self, *args):
        return run(TOUCHMARK, *args, "--conf", self.site.config, env=self.site.env).stdout

    def station(self):
        """A station with an operator puts a unit through a job."""
        folder = self.site.folder / "floor"
        folder.mkdir()
        dut = floor.Dut(folder, "--product", "gw-100").start()
        self.addCleanup(dut.stop)
        secret = self.server.add_device("ST-1")
        self.keep("the station's enrollment secret", secret.encode())
        station = floor.Station(folder, "ST-1", self.server.port, self.site.root, dut,
                                self.site.env, secret=secret, label="station", environment="test")
        made = self.server.touchmark("operator", "add", "anna")[-1]["secret"]
        self.keep("the operator's secret", made.encode())
        wrong = secrets.token_hex(16)
        self.keep("what was typed by mistake", wrong.encode())
        Jobs(self.server).open(job_text("canary", ["ST-1"], MARKER, MARKER, operator=True))

        def good(*words, code=floor.DONE, **kw):
            self.assertEqual(station.run(*words, **kw), code, station.said)

        good("enroll")
        good("job", "fetch", "canary")
        for text, code in ((wrong, floor.DENIED), (made, floor.DONE)):
            read, write = os.pipe()
            os.write(write, text.encode() + b"\n")
            os.close(write)
            good("login", "anna", "--secret-fd", str(read), fds=(read,), code=code)
            os.close(read)
        dut.plug(MARKER)
        good("job", "run", "canary", ids=[MARKER])
        good("job", "report", "canary")
        self.said["station list"] = self.ask("station", "list")
        good("job", "close", "canary")
        until("the job is closed", lambda: Jobs(self.server).show("canary")["status"] == "closed")
        for path in (folder / "state").rglob("*"):
            if path.is_file() and b"PRIVATE KEY" in path.read_bytes():
                self.keep("the station's key", private_of(path.read_bytes()), path)
        self.assertIn("the station's key", self.secrets)
        path = dut.flash / MARKER / "factory.key"
        self.keep("the unit's key", private_of(openssl("pkey", "-inform", "DER", "-in", path)), path)
        for name, path in (("station's log", station.log), ("journal",
                           station.jobs / "canary.journal"), ("simulator's log", dut.log)):
            self.said[name] = path.read_bytes()

    def devices(self):
        """One gets its key from the server; others come by the file."""
        secret = self.server.add_device("canary-made")
        self.keep("a device's enrollment secret", secret.encode())
        answer = self.server.enroll("keygen", Key(self.site.folder, "dummy").csr("/CN=canary-made"),
                                    "canary-made", secret, operation="serverkeygen")
        self.assertEqual(answer.status, 200, answer)
        head = f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode()
        part, _ = email.message_from_bytes(head + answer.body,
                                           policy=email.policy.HTTP).iter_parts()
        self.keep("a key that the server made", private_of(openssl(
            "pkey", "-inform", "DER", stdin=part.get_payload(decode=True))))
        unused = self.server.add_device("canary-unused")
        self.keep("a secret that nobody used", unused.encode())
        answer = self.server.enroll("ldevid", Key(self.site.folder, "x").csr("/CN=canary-unused"),
                                    "canary-unused", unused[:-1] + "x")
        self.assertEqual(answer.status, 401, answer)
        path = self.site.folder / "devices.csv"
        path.write_text("device,batch\ncanary-import,b9\n")
        self.said["import"] = self.ask("device", "import", path) + path.read_bytes()

    # ---- what is said of it ----

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.ready()["metrics_port"],
                                                timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request("GET", path)
            return connection.getresponse().read()

    def collect(self):
        said = self.said
        until("the last leaf is told by the broker", lambda: self.app.find(
            lambda m: b'"job-closed"' in m.payload))
        said["MQTT"] = b"\n".join(m.topic.encode() + b" " + m.payload for m in self.app.messages)
        said["events"] = self.ask("events", "--consumer", "canary")
        said["export, CSV"] = self.ask("device", "export", "--format", "csv")
        said["export, JSON"] = self.ask("device", "export", "--format", "jsonl")
        size = self.server.head()
        until("a checkpoint over all of it", lambda: int(self.ask("audit", "checkpoint").split(
            b"\n")[1]) >= size)
        said["receipts"] = b"".join(self.ask("audit", "prove", i) for i, leaf in enumerate(
            self.server.leaves()) if leaf["event"] in ("issued", "login", "unit"))
        folder = self.site.folder / "export"
        self.ask("audit", "export", folder)
        said["audit export"] = b"".join(p.read_bytes() for p in folder.rglob("*") if p.is_file())
        for words in (("device", "show", MARKER), ("device", "list"), ("job", "show", "canary"),
                      ("job", "units", "canary"), ("operator", "list"), ("audit", "list"), ("report",), ("status",)):
            said[" ".join(words)] = self.ask(*words)
        for path in ("/metrics", "/healthz", "/readyz"):
            said[path] = self.get(path)
        said["log"] = self.server.log.read_bytes()

    # Where the unit's own name must not be: the word that shows that this is what was meant.
    MARKERS = {"export, CSV": b"canary-import", "import": b"canary-import", "status": b"environment",
               "job show canary": b"plant-2", "station list": b"ST-1", "operator list": b"anna",
               "report": b"factory", "/metrics": b"touchmark_requests", "/healthz": b"ok",
               "/readyz": b"ready", "log": b"touchmarkd", "simulator's log": b""}

    def places(self):
        """Every file of the site, and every text; the holders' own are among them."""
        for path in self.site.folder.rglob("*"):
            if path.is_file():
                yield path, path.read_bytes()
        yield from self.said.items()

    def test_secrets_are_nowhere_but_with_their_owners(self):
        self.station()
        self.devices()
        self.collect()
        self.assertEqual([name for name, text in self.said.items() if not self.held(
            text, {"": self.MARKERS.get(name, MARKER.encode())})], [])
        for octets in self.secrets.values():  # the search finds what is there, in each form
            for shift in range(3):
                for text in (octets, octets.hex().encode(), octets.hex().upper().encode(),
                             base64.b64encode(b"x" * shift + octets),
                             base64.encodebytes(b"x" * shift + octets),
                             base64.urlsafe_b64encode(b"x" * shift + octets)):
                    self.assertTrue(self.held(b"before" + text + b"behind", {"": octets}))
        found = {}
        for place, octets in self.places():
            for name in self.held(octets, self.secrets):
                found.setdefault(name, set()).add(place)
        for name in self.secrets:
            with self.subTest(name):
                holder = self.holders.get(name)
                self.assertEqual(found.get(name, set()), {holder} if holder else set())
        self.check_processes()

    @staticmethod
    def held(text, wanted):
        """Which of them stand in it? What PEM folds is put together again."""
        unfolded = text.replace(b"\n", b"") if b"\n" in text else b""
        return [name for name, octets in wanted.items()
                if any(form in text or form in unfolded for form in forms(octets).values())]

    def check_processes(self):
        for pid in self.server.pids():
            for name in ("cmdline", "environ"):
                octets = pathlib.Path(f"/proc/{pid}/{name}").read_bytes()
                self.assertEqual(self.held(octets, self.secrets), [])
        if not MAY_LOOK:
            return
        names = {octets: name for name, octets in self.secrets.items()}
        found = {(harness.role_of(pid).split("-")[0], names[octets])
                 for pid in self.server.pids() for octets in memory_holds(pid, *names)}
        self.assertEqual(found, {("front", "TLS key"), ("signer", "PIN"), ("core", "wrap key")})


if __name__ == "__main__":
    harness.main()
