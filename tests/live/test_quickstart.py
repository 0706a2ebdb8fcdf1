# SPDX-License-Identifier: Apache-2.0
"""./quickstart in a copy of the sources: from nothing to a serving CA and back, and again after
an interruption at any time."""

import contextlib
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import unittest

import test_arrows
from harness import PATIENCE, field, main, openssl, run, until

BUILD_SECONDS = 1500


def without_particulars(text):
    """What stays the same from run to run and from one OpenSSL to another."""
    text = re.sub(r"\b[0-9a-f]{64}\b", "<hash>", text)
    text = re.sub(r"(not\w+)=.*", r"\1=<time>", text).replace(" = ", "=")
    return re.sub(r"\d+", "<n>", text).strip().splitlines()


def block(name, kind=""):
    """The code block of README.md after a comment or line."""
    text = (test_arrows.SOURCE / "README.md").read_text()
    return re.search(re.escape(name) + r"\s+```" + kind + r"\n(.*?)```", text, re.S).group(1)


class Quickstart(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="touchmark-quickstart-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        for name in test_arrows.tracked():
            target = cls.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(test_arrows.SOURCE / name, target)
        cls.first = cls.quickstart("--background")
        cls.addClassCleanup(cls.quickstart, "--stop")

    @classmethod
    def quickstart(cls, *args):
        return run("./quickstart", *args, cwd=cls.folder, timeout=BUILD_SECONDS).stdout.decode()

    def variables(self):
        text = (self.folder / "var/quickstart.env").read_text()
        return dict(word.split("=", 1) for word in shlex.split(text, comments=True))

    def programs(self):
        return sorted(path for path in self.folder.rglob("touchmarkd") if path.is_file())

    def running(self, pid):
        return os.path.exists(f"/proc/{pid}")

    def test_variables_lead_to_a_certificate(self):
        tm = self.variables()
        for name in ("DEVICE", "IDEVID"):
            cert = tm[f"TM_{name}_CERT"]
            openssl("verify", "-CAfile", tm["TM_ROOT"], "-untrusted", tm["TM_CHAIN"], cert)
            public = openssl("pkey", "-in", tm[f"TM_{name}_KEY"], "-pubout")
            self.assertEqual(openssl("x509", "-noout", "-pubkey", "-in", cert), public)
        idevid = pathlib.Path(tm["TM_IDEVID_CERT"]).read_text()
        self.assertIn("9999", field(idevid, "-enddate"))
        key = self.folder / "var/test.key"
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
        csr = openssl("req", "-new", "-key", key, "-subj", f"/CN={tm['TM_SECRET_USER']}",
                      "-outform", "DER")
        body = openssl("base64", "-A", stdin=csr)
        answer = run("curl", "-sS", "--fail-with-body", "--noproxy", "*", "--cacert",
                     tm["TM_ROOT"], "--config", "-", "-H", "Content-Type: application/pkcs10",
                     "--data-binary", body.decode(),
                     f"https://{tm['TM_HOST']}:{tm['TM_EST_PORT']}/.well-known/est/"
                     f"{tm['TM_LABEL_IDEVID']}/simpleenroll",
                     stdin=f"user = \"{tm['TM_SECRET_USER']}:{tm['TM_SECRET_PASS']}\"".encode())
        der = openssl("base64", "-d", "-A", stdin=answer.stdout.replace(b"\n", b""))
        pem = openssl("pkcs7", "-inform", "DER", "-print_certs", stdin=der)
        self.assertIn(tm["TM_SECRET_USER"], field(pem.decode(), "-subject"))

    def test_the_readme_shows_what_is_printed(self):
        shown = block("<!-- transcript: ./quickstart --background -->")
        self.assertEqual(without_particulars(shown), without_particulars(self.first))

    def test_the_commands_of_the_readme_work(self):
        self.quickstart("--background") # a fresh secret
        commands = block("Enroll a device of your own against it:\n", "sh")
        done = run("bash", "-euo", "pipefail", "-c", commands, cwd=self.folder)
        self.assertEqual(done.stdout, b"unit.pem: OK\n")

    def test_a_second_run_is_quick_and_keeps_what_is_there(self):
        before = self.variables()
        root = pathlib.Path(before["TM_ROOT"]).read_text()
        serial = field(pathlib.Path(before["TM_DEVICE_CERT"]).read_text(), "-serial")
        programs = [(path, path.stat().st_mtime_ns) for path in self.programs()]
        self.assertNotEqual(programs, [])
        text = self.quickstart("--background")
        self.assertNotIn("ceremony", text)
        self.assertEqual([(path, path.stat().st_mtime_ns) for path in self.programs()], programs,
                         "something was built again")
        after = self.variables()
        for name in ("TM_EST_PORT", "TM_ROOT", "TM_PID", "TM_IDEVID_CERT"):
            self.assertEqual(after[name], before[name])
        self.assertEqual(pathlib.Path(after["TM_ROOT"]).read_text(), root)
        renewed = field(pathlib.Path(after["TM_DEVICE_CERT"]).read_text(), "-serial")
        self.assertNotEqual(renewed, serial)

    def test_stop_and_start_again_on_the_same_port(self):
        for _ in range(3):  # somebody else may have got the port meanwhile
            before = self.variables()
            self.quickstart("--stop")
            self.assertFalse(self.running(before["TM_PID"]))
            self.quickstart("--stop") # nothing runs: nothing to do
            self.quickstart("--background")
            if self.variables()["TM_EST_PORT"] == before["TM_EST_PORT"]:
                break
        self.assertEqual(self.variables()["TM_EST_PORT"], before["TM_EST_PORT"])

    def test_stop_leaves_foreign_processes_alone(self):
        self.quickstart("--stop")
        with subprocess.Popen(["sleep", "60"]) as sleeper:
            (self.folder / "var/run/touchmarkd.pid").write_text(f"{sleeper.pid}\n")
            self.quickstart("--stop")
            self.assertIsNone(sleeper.poll())
            sleeper.kill()
        self.quickstart("--background")

    def test_a_killed_server_is_replaced(self):
        before = self.variables()["TM_PID"]
        os.kill(int(before), signal.SIGKILL)
        until("the server is gone", lambda: not self.running(before))
        self.quickstart("--background")
        self.assertNotEqual(self.variables()["TM_PID"], before)

    def test_the_foreground_ends_with_its_server(self):
        self.quickstart("--stop")
        with subprocess.Popen(["./quickstart"], cwd=self.folder, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True) as process:
            for line in process.stdout:
                if "Ctrl-C" in line:
                    break
            pid = self.variables()["TM_PID"]
            self.assertTrue(self.running(pid))
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(PATIENCE), 0)
        self.assertFalse(self.running(pid))
        self.quickstart("--background")

    def test_no_secret_is_readable_by_others(self):
        wrong = [p for p in (self.folder / "var").rglob("*")
                 if not p.is_socket() and p.is_file() and self.open_to_others(p)
                 and p.name not in ("touchmarkd.pid", "server.pem", "status.json")
                 and p.suffix not in (".pem", ".ready", ".transcript")]
        self.assertEqual(wrong, [])
        self.assertEqual((self.folder / "var").stat().st_mode & 0o077, 0)

    @staticmethod
    def open_to_others(path):
        """What the server replaces meanwhile is gone."""
        with contextlib.suppress(FileNotFoundError):
            return path.stat().st_mode & 0o077
        return 0

    def test_an_interrupted_first_run_is_taken_up(self):
        self.quickstart("--stop")
        shutil.move(self.folder / "var", self.folder / "var.kept")
        try:
            for delay in (0.3, 0.5, 0.6, 0.7, 0.9, 1.2):
                with subprocess.Popen(["./quickstart", "--background"], cwd=self.folder,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                      start_new_session=True) as process:
                    try:
                        process.wait(delay) # how far it gets is what varies
                    except subprocess.TimeoutExpired:
                        os.killpg(process.pid, signal.SIGKILL)
            text = self.quickstart("--background")
            self.assertEqual(text.count(": OK\n"), 3, text)
            self.quickstart("--stop")
        finally:
            shutil.rmtree(self.folder / "var", ignore_errors=True)
            shutil.move(self.folder / "var.kept", self.folder / "var")
            self.quickstart("--background")


if __name__ == "__main__":
    main()
