# SPDX-License-Identifier: Apache-2.0
"""A factory line: touchmark-station in a folder of its own, and simulated units on its serial line,
for tests that use them as people on the line do."""

import contextlib
import hashlib
import json
import queue
import socket
import subprocess
import threading

from agents import yaml
from harness import BUILD, PATIENCE, SANITIZER_SPEAKS, openssl, until

STATION = BUILD / "client" / "station" / "touchmark-station"
DUT = BUILD / "client" / "dut" / "touchmark-dut"
(DONE, FAILED, CONFIG, WRONG_UNIT, STOPPED, JOURNAL, LINE, DIFFERS, INTERRUPTED) = range(9)
USAGE, AGAIN, DENIED = 64, 75, 77


class Dut:
    """touchmark-dut, and what is in the flash of its units."""

    def __init__(self, folder, *options):
        self.folder = folder
        self.flash, self.link, self.log = folder / "flash", folder / "line", folder / "dut.log"
        self.options = [str(x) for x in options]
        self.process = self.control = None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [DUT, "--flash", self.flash, "--link", self.link, "--control",
                 self.folder / "control", *self.options], stdout=log, stderr=log)
        self.control = socket.socket(socket.AF_UNIX)
        self.control.settimeout(PATIENCE)

        def connected():
            with contextlib.suppress(OSError):
                self.control.connect(str(self.folder / "control"))
                return True
            assert self.process.poll() is None, self.log.read_text()
            return False
        until("the simulator listens", connected)
        return self

    def tell(self, *commands):
        for command in commands:
            self.control.sendall(command.encode() + b"\n")
            answer = b""
            while not answer.endswith(b"\n"):
                octets = self.control.recv(200)
                assert octets, f"the simulator ended: {self.log.read_text()[-2000:]}"
                answer += octets
            assert answer == b"ok\n", (command, answer)

    def plug(self, unit, *faults):
        """Puts in this unit, whose faults are these and no other."""
        self.tell("clear", f"plug {unit}", *(f"fault {fault}" for fault in faults))

    def stop(self):
        if self.control:
            self.control.close()
        if self.process:
            self.process.terminate()
            code = self.process.wait(PATIENCE)
            found = SANITIZER_SPEAKS.search(self.log.read_bytes())
            assert code == 0 and not found, self.log.read_text()[-8000:]
            self.process = None

    # ---- flash ----

    def units(self):
        return sorted(p.name for p in self.flash.iterdir()) if self.flash.exists() else []

    def is_locked(self, unit):
        return (self.flash / unit / "locked").exists()

    def certificate(self, unit, slot="idevid"):
        """PEM; None: it has none."""
        path = self.flash / unit / f"{slot}.crt"
        return openssl("x509", "-inform", "DER", "-in", path).decode() if path.exists() else None

    def fingerprint(self, unit, slot="idevid"):
        path = self.flash / unit / f"{slot}.crt"
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None

    def boots(self, unit):
        return int((self.flash / unit / "boot").read_text())


class Station:
    """One station in a folder of its own."""

    def __init__(self, folder, name, port, root, dut, env, secret=None, **values):
        self.folder, self.name, self.dut, self.env = folder, name, dut, env
        self.config, self.jobs = folder / "station.yaml", folder / "jobs"
        self.log = folder / "station.log"
        self.process = None
        self.secrets = [secret] if secret else []
        if secret:
            bootstrap = folder / "bootstrap"
            bootstrap.touch(mode=0o600)
            bootstrap.write_text(secret + "\n")
        self.values = {"station": name, "server": f"https://127.0.0.1:{port}", "anchors": root,
                       "bootstrap": "bootstrap", "state": "state", "jobs": "jobs",
                       "serial": dut.link, "log_level": "info",
                       "requests": {"timeout": "60s", "connect_timeout": "60s"}, **values}
        self.configure()

    def configure(self, **values):
        self.values.update(values)
        self.config.write_text(yaml(self.values))

    def command(self, *words):
        return [str(x) for x in (STATION, "--conf", self.config, *words)]

    def keep(self, text):
        with open(self.log, "a", encoding="utf-8") as log:
            log.write(text)

    def run(self, *words, ids=(), fds=(), **env):
        """To its end; returns the exit code. What it said is in self.said."""
        done = subprocess.run(self.command(*words), capture_output=True, text=True,
                              input="".join(f"{x}\n" for x in ids), pass_fds=fds,
                              env={**self.env, **env}, timeout=PATIENCE)
        self.said, self.out = done.stdout + done.stderr, done.stdout
        self.keep(self.said)
        return done.returncode

    def manifest(self, job, **values):
        """As somebody would write it by hand, or change it after job fetch."""
        self.jobs.mkdir(mode=0o700, exist_ok=True)
        path = self.jobs / f"{job}.yaml"
        path.write_text(yaml({"job": job, **values}) if not path.exists() else
                        path.read_text() + yaml(values))
        return path

    def journal(self, job):
        """The records, in order."""
        path = self.jobs / f"{job}.journal"
        return [json.loads(line.split(" ", 1)[1]) for line in path.read_text().splitlines()]

    def results(self, job):
        """What the journal says at last of each unit."""
        found = {}
        for record in self.journal(job)[1:]:
            unit = found.setdefault(record["unit"], {"result": "begun"})
            if record["mark"] in ("failed", "scrapped"):
                unit["result"] = record["mark"]
            elif record["step"] == "report" and record["mark"] == "done":
                unit["result"] = "passed"
            elif record["step"] == "enroll" and record["mark"] == "done":
                unit.setdefault("certificates", []).append(record["fingerprint"])
        return found


class Line:
    """A run of a job: somebody puts units on the station, scans them and reads what it says. Ends
    with the test at the latest."""

    def __init__(self, case, station, *words, **env):
        self.station = station
        self.process = subprocess.Popen(station.command("job", *words), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True, env={**station.env, **env})
        case.addCleanup(self.abandon)
        self.said, self.lines = [], queue.Queue()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        with self.process.stdout:
            for text in self.process.stdout:
                self.lines.put(text)
        self.lines.put(None)

    def scan(self, unit):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(f"{unit}\n")
            self.process.stdin.flush()

    def line(self):
        """The next line about a unit; None at the end."""
        while True:
            text = self.lines.get(timeout=PATIENCE)
            if text is None:
                self.lines.put(None)
                return None
            self.station.keep(text)
            self.said.append(text.rstrip("\n"))
            if not text.startswith("{"):
                return text.rstrip("\n")

    def unit(self, unit, *faults):
        """Puts it on the station, scans it and returns what is said of it."""
        self.station.dut.plug(unit, *faults)
        self.scan(unit)
        return self.line()

    def end(self):
        """No more units; returns the exit code."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        while self.line() is not None:
            pass
        self.reader.join()
        return self.process.wait(PATIENCE)

    def kill(self):
        self.process.kill()
        return self.end()

    def abandon(self):
        if self.process.poll() is None:
            self.kill()

    def text(self):
        return "\n".join(self.said)
