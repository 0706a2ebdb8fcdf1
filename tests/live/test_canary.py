#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A PIN that nobody could take for anything else is looked for where it must not be: in the memory,
arguments and environment of every process but the signer's, in core dumps, in logs and in files."""

import os
import pathlib
import resource
import secrets
import signal
import subprocess
import tempfile

import harness
from harness import Case, until

CHUNK = 1 << 20
# Nobody but root may look, which is tried here; and sanitizers map terabytes.
MAY_LOOK = os.geteuid() == 0 and not harness.SLOW


def memory_holds(pid, canary):
    """Is it in any readable page? Processes change while they are read: what is gone is gone."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            span, rights, *_ = line.split()
            if "r" not in rights or line.rstrip().endswith(("[vvar]", "[vsyscall]")):
                continue
            at, end = (int(x, 16) for x in span.split("-"))
            if region_holds(memory, at, end, canary):
                return True
    return False


def region_holds(memory, at, end, canary):
    tail = b""
    while at < end:
        try:
            memory.seek(at)
            data = memory.read(min(CHUNK, end - at))
        except (OSError, ValueError, OverflowError):
            return False
        if not data:
            return False
        if canary in tail + data:
            return True
        tail = data[-len(canary):]
        at += len(data)
    return False


class Canary(Case):
    publishing = {"url": "http://status.test"}
    issuer_options = {"ocsp_key_label": "manufacturing-ocsp"}

    @classmethod
    def setUpClass(cls):
        cls.pin = secrets.token_hex(16)
        original = harness.Site.secret_file
        cls.addClassCleanup(setattr, harness.Site, "secret_file", original)
        harness.Site.secret_file = lambda site, name, text: original(
            site, name, cls.pin if name == "pin" else text)
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


if __name__ == "__main__":
    harness.main()
