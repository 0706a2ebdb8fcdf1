# SPDX-License-Identifier: Apache-2.0
"""Where PINs come from: a descriptor, a credential of the service manager, a person at the terminal.
Each is read by the one signer whose it is, also by the next one when that dies; what could be read
only once is refused."""

import os
import pty
import select
import signal
import tempfile
import termios
import time

from harness import PATIENCE, Case, finish, main, role_of, until
from test_canary import MAY_LOOK, memory_holds
from test_tokens import PINS, second_token

PROMPT = b"User PIN of token %s: "


class Terminal:
    """A person who types when asked, and remembers what was shown."""

    def __init__(self):
        self.fd, self.other = pty.openpty()
        self.shown = b""

    def answer(self, token, pin):
        """Waits for the question."""
        end, seen = time.monotonic() + PATIENCE, len(self.shown)
        while PROMPT % token not in self.shown[seen:]:
            if not select.select([self.fd], [], [], max(0, end - time.monotonic()))[0]:
                raise AssertionError(f"{token} was not asked for: {self.shown}")
            self.shown += os.read(self.fd, 4096)
        os.write(self.fd, pin.encode() + b"\n")

    def echoes(self):
        return bool(termios.tcgetattr(self.other)[3] & termios.ECHO)

    def close(self):
        os.close(self.fd)
        os.close(self.other)


class Pins(Case):
    @classmethod
    def prepare(cls, site):
        second_token(site)

    def setUp(self):
        self.before = self.server.head()
        self.server.stop()
        finish(self.server)
        self.saved = dict(self.site.signer), dict(self.site.tokens[0])

    def tearDown(self):
        """SoftHSM may lose a token whose signer is killed while it logs in, so what runs is stopped."""
        if self.server.process.poll() is None:
            self.server.stop()
        self.site.signer, self.site.tokens[0] = self.saved
        self.server.start()

    def memory_file(self, text):
        fd = os.memfd_create("pin")
        os.write(fd, text.encode())
        self.addCleanup(os.close, fd)
        return fd

    def check_serves(self, tag):
        self.server.enrolled(f"{tag}-A")
        self.server.enrolled(f"{tag}-G", "other", "globex")

    def kill_signer(self, name):
        pid = self.server.ready()["signers"][name]
        os.kill(pid, signal.SIGKILL)
        return lambda: self.server.ready()["signers"].get(name) not in (None, pid)

    def holders(self, pin):
        return {role_of(pid) for pid in self.server.pids() if memory_holds(pid, pin.encode())}

    def test_descriptors(self):
        first, second = self.memory_file(PINS["pin"]), self.memory_file(PINS["pin-b"] + "\n")
        self.site.signer["pin_file"] = f"fd:{first}"
        self.site.tokens[0]["pin_file"] = f"fd:{second}"
        self.server.start(pass_fds=(first, second))
        self.check_serves("FD")
        for name in ("signer", "second"):
            until("another has the PIN, too", self.kill_signer(name))
        before = self.server.ready()["core"]
        self.server.process.send_signal(signal.SIGHUP)
        until("reloaded", lambda: self.server.ready()["core"] not in (0, before))
        self.check_serves("FD2")
        if not MAY_LOOK:
            return
        self.assertEqual(self.holders(PINS["pin"]), {"signer-0"})
        self.assertEqual(self.holders(PINS["pin-b"]), {"signer-1"})
        for pid in self.server.pids():  # only the supervisor keeps them
            open_files = [os.readlink(f"/proc/{pid}/fd/{x}") for x in os.listdir(f"/proc/{pid}/fd")]
            self.assertEqual(sum("memfd:pin" in x for x in open_files),
                             2 if role_of(pid) == "supervisor" else 0, role_of(pid))

    def refused(self, sentence, **start):
        log = self.server.log.stat().st_size
        self.server.start(wait=False, **start)
        self.assertEqual(self.server.process.wait(PATIENCE), 78)
        self.assertRegex(self.server.log.read_text()[log:], sentence)

    def test_what_can_be_read_once_is_refused(self):
        ours, theirs = os.pipe()
        try:
            os.write(theirs, PINS["pin"].encode())
            self.site.signer["pin_file"] = f"fd:{ours}"
            self.refused("token signer: pin_file fd:.* only once", pass_fds=(ours,))
        finally:
            os.close(ours)
            os.close(theirs)

    def test_wrong_pin_is_tried_once(self):
        """Tokens lock themselves after a few wrong ones: retries must not be what does it."""
        self.site.tokens[0]["pin_file"] = self.site.folder / "so-pin"
        log = self.server.log.stat().st_size
        self.server.start()
        self.server.enrolled("WRONG-A")
        # Which takes longer than any other failure would be put off; a slow start takes longer yet.
        until(lambda: f"the alarm; the log ends:\n{self.server.tail()}", lambda: any(
            "token second is not there" in x["reason"] for x in self.server.leaves(self.before)
            if x["event"] == "alarm"))
        said = self.server.log.read_text()[log:]
        self.assertEqual(said.count("token second refused its PIN"), 1)
        self.assertEqual(said.count("signer cannot start"), 1)
        self.site.tokens[0]["pin_file"] = self.site.folder / "pin-b"
        self.site.write_config()
        self.server.process.send_signal(signal.SIGHUP)
        until("it is taken up", lambda: "second" in self.server.ready()["signers"])
        self.server.enrolled("WRONG-G", "other", "globex")

    def test_what_is_not_there_is_refused(self):
        self.site.signer["pin_file"] = "fd:77"
        self.refused("fd:77: touchmarkd was not started with this descriptor")
        self.site.signer["pin_file"] = "fd:1"
        self.refused("signer.pin_file.*from 3 to 9999")
        self.site.signer["pin_file"] = "prompt"
        self.refused("prompt: standard input is no terminal")

    def test_credentials(self):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in PINS.items():
                path = os.path.join(folder, name)
                with open(path, "w", encoding="ascii") as file:
                    file.write(text)
            self.site.signer["pin_file"] = "credential:pin"
            self.site.tokens[0]["pin_file"] = "credential:pin-b"
            self.server.start(CREDENTIALS_DIRECTORY=folder)
            self.check_serves("CRED")
            until("another has the PIN, too", self.kill_signer("second"))
            self.check_serves("CRED2")
            self.server.stop()

    def test_prompt(self):
        terminal = Terminal()
        self.addCleanup(terminal.close)
        self.site.signer["pin_file"] = "prompt"
        self.site.tokens[0]["pin_file"] = "prompt"
        self.server.start(wait=False, terminal=terminal.other)
        terminal.answer(b"signer", PINS["pin"])
        terminal.answer(b"second", PINS["pin-b"])
        self.server.await_ready()
        self.check_serves("ASK")
        restarted = self.kill_signer("second")
        terminal.answer(b"second", PINS["pin-b"])  # a person has to come again
        until("it goes on", restarted)
        self.check_serves("ASK2")
        if MAY_LOOK:
            self.assertEqual(self.holders(PINS["pin"]), {"signer-0"})
            self.assertEqual(self.holders(PINS["pin-b"]), {"signer-1"})
        for pin in PINS.values():
            self.assertNotIn(pin.encode(), terminal.shown)
        self.assertTrue(terminal.echoes())
        self.server.stop()

    def test_stopped_while_it_asks(self):
        terminal = Terminal()
        self.addCleanup(terminal.close)
        self.site.signer["pin_file"] = "prompt"
        self.server.start(wait=False, terminal=terminal.other)
        until("it asks", lambda: not terminal.echoes())
        self.server.stop()
        self.assertTrue(terminal.echoes())


if __name__ == "__main__":
    main()
