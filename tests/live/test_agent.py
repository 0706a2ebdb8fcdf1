# SPDX-License-Identifier: Apache-2.0
"""touchmark-agent as its users meet it: from one YAML to certificates that services use, renewed by
the daemon against the real server, through outages, reloads and its own death."""

import contextlib
import ctypes
import grp
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import stat
import struct
import subprocess
import threading

from agents import AGAIN, AGENT, CONFIG, DENIED, DONE, USAGE, AgentCase, yaml
from harness import PATIENCE, field, main, openssl, run, serial_of, softhsm_module, until


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def pem_blocks(path):
    return pathlib.Path(path).read_text().count("BEGIN CERTIFICATE")


class Relay:
    """A port in front of the server that nobody answers on until it is opened."""

    def __init__(self, port):
        self.target = port
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))  # reserved, and connections are refused
        self.port = self.listener.getsockname()[1]
        self.threads = []

    def open(self):
        self.listener.listen()
        self.spawn(self.accept)

    def spawn(self, work, *args):
        thread = threading.Thread(target=work, args=args, daemon=True)
        self.threads.append(thread)
        thread.start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                self.spawn(self.serve, near)

    def serve(self, near):
        with near, contextlib.suppress(OSError), \
                socket.create_connection(("127.0.0.1", self.target)) as far:
            back = threading.Thread(target=self.pump, args=(far, near), daemon=True)
            back.start()
            self.pump(near, far)
            back.join()

    @staticmethod
    def pump(source, sink):
        with contextlib.suppress(OSError):
            while octets := source.recv(65536):
                sink.sendall(octets)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(PATIENCE)
        self.listener.close()


class Watch:
    """Names of what changes in a folder, as a path unit of systemd is told (inotify)."""

    CHANGES = 0x008 | 0x040 | 0x080 | 0x100 | 0x200  # closed after writing, moved, made, deleted

    def __init__(self, folder):
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if libc.inotify_add_watch(self.fd, os.fsencode(folder), self.CHANGES) < 0:
            raise OSError(ctypes.get_errno(), "inotify_add_watch")

    def seen(self):
        names, octets = [], os.read(self.fd, 65536)
        os.close(self.fd)
        while octets:
            size = 16 + struct.unpack_from("=iIII", octets)[3]
            names.append(octets[16:size].rstrip(b"\0"))
            octets = octets[size:]
        return names


class Once(AgentCase):
    def test_yaml_becomes_both_identities_and_files_for_services(self):
        agent = self.agent("ONCE-1", labels={"idevid": "idevid"})
        self.assertEqual(agent.run("--check"), DONE, agent.said)
        self.once(agent)
        status = agent.status()
        self.assertEqual((status["device"], status["phase"], status["failures"]),
                         ("ONCE-1", "idle", 0))
        self.assertIsNotNone(status["slots"]["idevid"])
        self.assertEqual(status["slots"]["current"]["serial"].lstrip("0"),
                         serial_of(agent.certificate()).lstrip("0"))
        self.assertEqual(field(agent.certificate(), "-fingerprint", "-sha256").split("=")[1]
                         .replace(":", "").lower(), status["slots"]["current"]["sha256"])
        self.assertEqual(status["slots"]["idevid"]["not_after"], "9999-12-31T23:59:59.000Z")
        self.assertLess(status["renew_at"], status["slots"]["current"]["not_after"])
        self.assertEqual(self.server.device("ONCE-1")["state"], "activated")

        self.assertEqual(mode(agent.state), 0o700)
        self.assertEqual(mode(agent.export), 0o755)
        for name, want in (("certificate.pem", 0o644), ("chain.pem", 0o644), ("ca.pem", 0o644),
                           ("key.pem", 0o600)):
            self.assertEqual(mode(agent.export / name), want, name)
        for path in agent.state.iterdir():
            self.assertEqual(mode(path), 0o644 if path.name == "status.json" else 0o600, path)
        self.assertEqual(pem_blocks(agent.export / "certificate.pem"), 1)
        self.assertEqual(pem_blocks(agent.export / "chain.pem"), 2)

    def test_secret_is_gone_once_it_was_used(self):
        agent = self.agent("ONCE-2")
        self.once(agent)
        self.assertFalse(agent.bootstrap.exists())
        for path in agent.folder.rglob("*"):
            if path.is_file():
                self.assertNotIn(agent.secret.encode(), path.read_bytes(), path)

    def test_what_was_done_is_not_done_again(self):
        agent = self.agent("ONCE-3")
        self.once(agent)
        before, leaves = agent.certificate(), self.server.head()
        self.once(agent)
        self.assertEqual(agent.certificate(), before)
        self.assertEqual(self.server.head(), leaves)
        self.assertEqual(len(agent.hooks()), 1)

    def test_hook_learns_what_changed_and_nothing_else(self):
        agent = self.agent("ONCE-4")
        agent.env["SECRET_OF_THE_SERVICE"] = "x"
        (agent.folder / "hook").write_text(f"#!/bin/sh\nenv > {agent.folder}/environment\n")
        self.once(agent)
        seen = dict(line.split("=", 1)
                    for line in (agent.folder / "environment").read_text().splitlines())
        for name in ("PWD", "SHLVL", "_", "OLDPWD"):  # the shell's own
            seen.pop(name, None)
        self.assertTrue(seen.pop("PATH"))
        export = f"{agent.export}"
        self.assertEqual(seen, {
            "TOUCHMARK_EVENT": "enrolled", "TOUCHMARK_DEVICE": "ONCE-4",
            "TOUCHMARK_CERTIFICATE": f"{export}/certificate.pem",
            "TOUCHMARK_CHAIN": f"{export}/chain.pem", "TOUCHMARK_KEY": f"{export}/key.pem",
            "TOUCHMARK_CA": f"{export}/ca.pem"})

    def test_openssl_and_curl_use_the_export(self):
        agent = self.agent("ONCE-5")
        self.once(agent)
        openssl("verify", "-CAfile", self.site.root, "-untrusted", agent.export / "chain.pem",
                agent.export / "certificate.pem")
        openssl("verify", "-CAfile", agent.export / "ca.pem", agent.export / "certificate.pem")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.site.folder / "server.pem", self.site.folder / "server.key")
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(self.site.root)  # the root alone: the chain must be whole
        subject = []

        def serve(listener):
            plain, _ = listener.accept()
            with context.wrap_socket(plain, server_side=True) as tls:
                tls.recv(4096)
                subject.append(tls.getpeercert()["subject"])
                tls.sendall(b"HTTP/1.0 204 Good\r\n\r\n")

        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(PATIENCE)
            thread = threading.Thread(target=serve, args=(listener,), daemon=True)
            thread.start()
            run("curl", "--silent", "--show-error", "--fail", "--cacert", agent.export / "ca.pem",
                "--cert", agent.export / "chain.pem", "--key", agent.export / "key.pem",
                f"https://127.0.0.1:{listener.getsockname()[1]}/")
            thread.join(PATIENCE)
        self.assertIn((("commonName", "ONCE-5"),), subject[0])

    def test_services_of_a_group_may_read_the_key(self):
        agent = self.agent("ONCE-6", export={"group": "daemon"})
        self.once(agent)
        key = os.stat(agent.export / "key.pem")
        self.assertEqual(stat.S_IMODE(key.st_mode), 0o640)
        self.assertEqual(key.st_gid, grp.getgrnam("daemon").gr_gid)

    def test_hook_that_fails_is_reported_and_harms_nothing(self):
        agent = self.agent("ONCE-7", hook_tail="exit 3")
        self.once(agent)
        self.assertEqual(agent.status()["hook"]["result"], "exit code 3")
        self.assertIn("exit code 3", agent.text())

    def test_hook_that_hangs_is_killed_with_its_children(self):
        agent = self.agent("ONCE-8", hook={"timeout": "5s"})
        (agent.folder / "hook").write_text('#!/bin/sh\nsleep 3600 & echo $! > "${0%/*}/child"\nwait\n')
        self.once(agent)
        self.assertEqual(agent.status()["hook"]["result"], "killed after 5 s")
        child = int((agent.folder / "child").read_text())
        until("the hook's child is gone", lambda: not alive(child))

    def test_export_that_was_lost_comes_back(self):
        agent = self.agent("ONCE-9")
        self.once(agent)
        before = agent.certificate()
        shutil.rmtree(agent.export)
        self.once(agent)
        self.assertEqual(agent.certificate(), before)
        self.assertEqual([h["TOUCHMARK_EVENT"] for h in agent.hooks()], ["enrolled", "restored"])

    def test_change_is_told_though_the_agent_was_killed(self):
        agent = self.agent("ONCE-11", hook_tail='[ -e "$0.ran" ] || { touch "$0.ran"; '
                                                'kill -9 $PPID; }')
        self.once(agent, -signal.SIGKILL)
        self.once(agent)
        self.once(agent)
        self.assertEqual([h["TOUCHMARK_EVENT"] for h in agent.hooks()], ["enrolled", "restored"])

    def test_device_that_came_with_an_idevid_needs_no_secret(self):
        idevid, key = self.server.enrolled("ONCE-12", label="idevid")
        agent = self.agent("ONCE-12", secret=None, idevid="idevid.pem")
        (agent.folder / "idevid.pem").write_text(idevid.read_text() + self.site.issuer.read_text())
        self.once(agent, CONFIG)
        self.assertIn("number 0", agent.said)
        (agent.state / "key-0.pem").touch(mode=0o600)
        (agent.state / "key-0.pem").write_bytes(openssl("pkey", "-in", key.path))
        self.once(agent)
        self.assertEqual(agent.status()["slots"]["idevid"]["serial"].lstrip("0"),
                         serial_of(idevid.read_text()).lstrip("0"))

    def test_status_needs_no_agent(self):
        agent = self.agent("ONCE-10")
        self.assertEqual(agent.run("--status"), AGAIN)
        self.once(agent)
        self.assertEqual(agent.run("--status"), DONE)
        self.assertEqual(json.loads(agent.out), agent.status())


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Refused(AgentCase):
    def test_bad_configuration_is_refused_with_its_line(self):
        agent = self.agent("BAD-1", secret=None)
        for change, line, sentence in (
                ("sever: x", 1, "server"),
                ("renewal:\n  soak: soon", 2, "must be a duration"),
                ("server: http://x.example", 1, "must begin with https://"),
                ("keys:\n  store: pkcs11", 1, "keys.module"),
                ("keys:\n  store: paper", 2, "files, pkcs11, tpm"),
                ("hook:\n  program: hook", 2, "export.folder")):
            with self.subTest(change):
                keys = {change.split(":")[0]} | ({"export"} if "program" in change else set())
                rest = {k: v for k, v in agent.values.items() if k not in keys}
                agent.config.write_text(change + "\n" + yaml(rest))
                for option in ("--check", "--once"):
                    self.assertEqual(agent.run(option), CONFIG, agent.said)
                    self.assertRegex(agent.said, rf"touchmark-agent\.yaml:{line}: .*{sentence}")

    def test_wrong_usage(self):
        agent = self.agent("BAD-2", secret=None)
        self.assertEqual(agent.run("--once", "--status"), USAGE)
        self.assertEqual(agent.run("--sample"), DONE)
        sample = agent.folder / "sample.yaml"
        sample.write_text(agent.out)
        done = run(AGENT, "--conf", sample, "--check", check=False)
        self.assertEqual(done.returncode, CONFIG)
        self.assertIn(b"/etc/touchmark/anchors.pem", done.stderr)  # it loads, and that is missing

    def test_files_are_refused_before_anything_is_kept(self):
        agent = self.agent("BAD-3", anchors="nowhere.pem")
        self.once(agent, CONFIG)
        self.assertIn("nowhere.pem", agent.said)
        agent.configure(anchors=self.site.root, environment="prod")
        self.once(agent, CONFIG)
        self.assertIn("Environment prod", agent.said)
        agent.configure(environment="test")
        agent.bootstrap.chmod(0o644)
        self.once(agent, CONFIG)
        self.assertIn("0600", agent.said)
        self.assertTrue(agent.bootstrap.exists())
        agent.bootstrap.chmod(0o600)
        self.once(agent)

    def test_no_answer_and_no_are_told_apart(self):
        agent = self.agent("BAD-4", port=1)
        self.once(agent, AGAIN)
        self.assertEqual(agent.status()["failures"], 1)
        self.assertTrue(agent.status()["text"])
        agent.configure(server=f"https://127.0.0.1:{self.server.port}")
        self.once(agent)
        wrong = self.agent("BAD-5", secret="0123456789")
        self.server.add_device("BAD-5")
        self.once(wrong, DENIED)
        strange = self.agent("BAD-6", anchors=self.site.folder / "foreign.pem", environment="any")
        self.once(strange, DENIED)
        self.assertNotIn(strange.secret, self.server.tail())

    def test_new_secret_brings_on_a_device_that_was_refused(self):
        agent = self.agent("BAD-7", secret="0123456789")
        secret = self.server.add_device("BAD-7")
        self.once(agent, DENIED)
        self.assertFalse(agent.bootstrap.exists())
        agent.bootstrap.touch(mode=0o600)
        agent.bootstrap.write_text(secret)
        self.once(agent)
        self.assertNotIn(secret, agent.text())

    def test_second_agent_keeps_off(self):
        agent = self.serving(self.agent("BAD-8"))
        self.once(agent, AGAIN)
        self.assertIn("another process", agent.said)
        self.assertEqual(agent.stop(), DONE)


class Daemon(AgentCase):
    def test_renews_when_told(self):
        agent = self.serving(self.agent("DAEMON-1"))
        first, first_status = agent.certificate(), agent.status()
        watched = Watch(agent.export)
        torn, stop = [], threading.Event()

        def watch():
            """What one look at `current` shows always fits together."""
            while not stop.is_set():
                folder = os.path.realpath(agent.export / "current")
                try:
                    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(
                        f"{folder}/chain.pem", f"{folder}/key.pem")
                except FileNotFoundError:
                    continue  # it was replaced meanwhile, as a whole
                except ssl.SSLError as error:
                    torn.append(error)

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            for _ in range(3):
                self.renew(agent)
        finally:
            stop.set()
            thread.join()
        self.assertEqual(torn, [])
        self.assertEqual(set(watched.seen()), {b"current"})
        self.until(agent, "the hook has ended",
                   lambda: agent.status()["hook"]["result"] == "done")
        status = agent.status()
        self.assertNotEqual(agent.certificate(), first)
        self.assertEqual(serial_of(agent.certificate()).lstrip("0"),
                         status["slots"]["current"]["serial"].lstrip("0"))
        self.assertEqual((status["phase"], status["event"]["name"], status["hook"]["result"]),
                         ("soak", "renewed", "done"))
        self.assertIsNotNone(status["slots"]["previous"])
        self.assertNotEqual(status["slots"]["previous"]["serial"],
                            first_status["slots"]["current"]["serial"])
        self.assertEqual([h["TOUCHMARK_EVENT"] for h in agent.hooks()],
                         ["enrolled"] + 3 * ["renewed"])
        keys = [p for p in agent.export.rglob("key.pem") if not p.is_symlink()]
        self.assertEqual(len(keys), 1, "old keys stay")
        self.assertEqual(agent.stop(), DONE)

    def test_server_that_comes_later_is_found(self):
        relay = Relay(self.server.port)
        self.addCleanup(relay.close)
        agent = self.agent("DAEMON-2", port=relay.port).start()
        self.until(agent, "it failed twice",
                   lambda: agent.status() and agent.status()["failures"] >= 2)
        self.assertIsNone(agent.current())
        self.assertIsNotNone(agent.status()["next_try"])
        for name in ("cmdline", "environ"):
            self.assertNotIn(agent.secret.encode(),
                             pathlib.Path(f"/proc/{agent.process.pid}/{name}").read_bytes())
        relay.open()
        self.until(agent, "it has a certificate", agent.current)
        self.until(agent, "all is good again", lambda: agent.status()["failures"] == 0)
        self.assertEqual(agent.stop(), DONE)

    def test_outage_loses_no_certificate(self):
        relay = Relay(self.server.port)
        self.addCleanup(relay.close)
        relay.open()
        agent = self.serving(self.agent("DAEMON-3", port=relay.port))
        before = agent.certificate()
        relay.target = 1  # nobody
        agent.process.send_signal(signal.SIGUSR1)
        self.until(agent, "it failed", lambda: agent.status()["failures"] >= 1)
        self.assertEqual(agent.certificate(), before)
        relay.target = self.server.port
        self.until(agent, "it renewed", lambda: agent.certificate() != before)
        self.assertEqual(agent.stop(), DONE)

    def test_killed_agent_goes_on(self):
        agent = self.serving(self.agent("DAEMON-4"))
        before = agent.certificate()
        agent.kill()
        agent.start()
        self.until(agent, "it runs again",
                   lambda: agent.status()["pid"] == agent.process.pid)
        self.assertEqual(agent.certificate(), before)
        self.renew(agent)
        self.assertEqual(agent.stop(), DONE)

    def test_hangup_reads_the_configuration_again(self):
        agent = self.serving(self.agent("DAEMON-5"))
        new = agent.folder / "elsewhere"
        good = agent.config.read_text()
        agent.config.write_text("device:\n")
        agent.process.send_signal(signal.SIGHUP)
        self.until(agent, "it refuses the new one",
                   lambda: "the configuration is as before" in agent.text())
        agent.config.write_text(good)
        agent.configure(export={"folder": new})
        agent.process.send_signal(signal.SIGHUP)
        self.until(agent, "it exports to the new folder", (new / "key.pem").exists)
        self.until(agent, "the hook was told", lambda: len(agent.hooks()) == 2)
        self.assertEqual(agent.hooks()[-1]["TOUCHMARK_CERTIFICATE"], f"{new}/certificate.pem")
        self.assertEqual(agent.stop(), DONE)

    def test_service_manager_is_told(self):
        agent = self.agent("DAEMON-6")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(f"{agent.folder}/notify")
            manager.settimeout(PATIENCE)
            agent.start(NOTIFY_SOCKET=f"{agent.folder}/notify", WATCHDOG_USEC="200000")
            told = ""
            while "READY=1" not in told or "STATUS=certificate until" not in told:
                told += manager.recv(4096).decode() + "\n"
            calls = 0  # it is idle now, and still says that it lives
            while calls < 3:
                calls += manager.recv(4096).decode() == "WATCHDOG=1"
            self.assertEqual(agent.stop(), DONE)
            while "STOPPING=1" not in told:
                told += manager.recv(4096).decode() + "\n"


class Keys(AgentCase):
    def test_pkcs11(self):
        agent = self.agent("TOKEN-1", keys={
            "store": "pkcs11", "module": softhsm_module(), "token": "an agent", "pin_file": "pin"})
        tokens = agent.folder / "tokens"
        tokens.mkdir()
        (agent.folder / "softhsm2.conf").write_text(f"directories.tokendir = {tokens}\n")
        agent.env["SOFTHSM2_CONF"] = f"{agent.folder}/softhsm2.conf"
        run("softhsm2-util", "--init-token", "--free", "--label", "an agent", "--pin", "846284628462",
            "--so-pin", "5927", env=agent.env)
        pin = agent.folder / "pin"
        pin.touch(mode=0o600)
        pin.write_text("1111\n")
        self.once(agent, CONFIG)
        self.assertIn("refuses the PIN", agent.said)
        pin.write_text("846284628462\n")
        self.serving(agent)
        uri = agent.hooks()[0]["TOUCHMARK_KEY"]
        self.assertRegex(uri, r"^pkcs11:token=an%20agent;object=touchmark;id=(%[0-9A-F]{2})+;"
                              r"type=private$")
        self.assertFalse((agent.export / "key.pem").is_symlink())
        self.renew(agent)
        self.assertNotEqual(agent.hooks()[1]["TOUCHMARK_KEY"], uri)
        self.assertEqual(agent.stop(), DONE)
        self.assertNotIn("846284628462", agent.text())

    def test_tpm(self):
        agent = self.agent("TPM-1")
        tpm = agent.folder / "tpm"
        tpm.mkdir()
        agent.configure(keys={"store": "tpm", "tcti": f"swtpm:path={tpm}/socket"})
        swtpm = subprocess.Popen(
            ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={tpm}", "--server",
             f"type=unixio,path={tpm}/socket", "--ctrl", f"type=unixio,path={tpm}/socket.ctrl",
             "--flags", "not-need-init,startup-clear"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(swtpm.wait)
        self.addCleanup(swtpm.kill)
        until("swtpm listens", (tpm / "socket").exists)
        self.once(agent)
        self.assertFalse((agent.export / "key.pem").is_symlink())
        place = pathlib.Path(agent.hooks()[0]["TOUCHMARK_KEY"])
        self.assertEqual(place.parent, agent.state)
        self.assertEqual(mode(place), 0o600)


if __name__ == "__main__":
    main()
