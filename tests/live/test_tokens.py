# SPDX-License-Identifier: Apache-2.0
"""Issuing keys on several tokens: each tenant's certificates come from its own, one that is out
costs nobody else anything, and each PIN is in one process."""

import os
import signal

from harness import (SLOW, TOUCHMARK, TOUCHMARKD, WELL_KNOWN, Case, Key, basic, body_of, field, main,
                     role_of, run, until)
from test_canary import MAY_LOOK, memory_holds

PINS = {"pin": "4711471147", "pin-b": "second-9d41c6f0b7e2"}

CEREMONY = """\
environment: test
transcript: {f}/second.transcript
out: {f}/second
tokens:
  - {{name: offline, module: {module}, softhsm_conf: {f}/softhsm-c.conf, label: second-root,
      pin: {f}/pin-b, so_pin: {f}/so-pin, init: true}}
  - {{name: issuing, module: {module}, softhsm_conf: {f}/softhsm-b.conf, label: second-test,
      pin: {f}/pin-b, so_pin: {f}/so-pin, init: true}}
root:
  name: root
  token: offline
  key_label: root
  years: 30
  subject: [{{type: CN, value: Second Root CA}}]
intermediates:
  - name: globex
    token: issuing
    key_label: globex
    years: 20
    subject: [{{type: CN, value: Globex CA}}]
"""


def token_folder(site, letter):
    """A SoftHSM of its own; returns its configuration."""
    (site.folder / f"tokens-{letter}").mkdir(mode=0o700)
    path = site.folder / f"softhsm-{letter}.conf"
    path.write_text(f"directories.tokendir = {site.folder}/tokens-{letter}\n"
                    "objectstore.backend = file\nlog.level = ERROR\n")
    return path


def second_token(site):
    """Tenant globex has a CA of its own, on a token of its own."""
    conf = token_folder(site, "b")
    token_folder(site, "c")
    site.secret_file("pin-b", PINS["pin-b"])
    ceremony = site.folder / "second.yaml"
    ceremony.write_text(CEREMONY.format(f=site.folder, module=site.module))
    run(TOUCHMARK, "ceremony", ceremony, env=site.env)
    site.tokens = [{"name": "second", "module": site.module, "token": "second-test",
                    "pin_file": site.folder / "pin-b", "softhsm_conf": conf}]
    site.issuers = [{"name": "globex", "token": "second", "key_label": "globex",
                     "certificate": site.folder / "second" / "globex.pem",
                     "chain": site.folder / "second" / "globex-chain.pem"}]
    site.tenant_issuers = {"globex": "globex"}


class Tokens(Case):
    listen = {"reply_timeout": "17s" if SLOW else "8s"}
    core = {"request_timeout": "15s" if SLOW else "6s", "queue": 64}
    prepare = staticmethod(second_token)

    def tokens(self):
        return {x["name"]: x for x in self.server.touchmark("status")[-1]["tokens"]}

    def ask_globex(self, name):
        secret = self.server.add_device(name, "globex")
        key = Key(self.site.folder, name)
        return self.server.enroll("other", key.csr(f"/CN={name}"), name, secret)

    def take_away(self):
        """The second token is gone, and its signer cannot start."""
        folder = self.site.folder / "tokens-b"
        folder.rename(self.site.folder / "tokens-b.away")
        os.kill(self.server.ready()["signers"]["second"], signal.SIGKILL)
        until("it is gone", lambda: self.tokens()["second"]["state"] == "down")

    def give_back(self):
        (self.site.folder / "tokens-b.away").rename(self.site.folder / "tokens-b")
        until("it is back", lambda: self.tokens()["second"]["state"] == "ready")

    def test_each_tenant_has_its_own(self):
        acme, _ = self.server.enrolled("EACH-A")
        globex, _ = self.server.enrolled("EACH-G", "other", "globex")
        self.assertIn("Test Manufacturing CA", field(acme.read_text(), "-issuer"))
        self.assertIn("Globex CA", field(globex.read_text(), "-issuer"))
        signers = self.server.ready()["signers"]
        self.assertEqual(sorted(signers), ["second", "signer"])
        self.assertEqual({name: role_of(pid) for name, pid in signers.items()},
                         {"signer": "signer-0", "second": "signer-1"})
        self.assertEqual(self.server.ready()["signer"], signers["signer"])
        keys = {x["name"]: x for x in self.server.touchmark("keys", "list")}
        self.assertEqual((keys["manufacturing"]["token_name"], keys["manufacturing"]["token"]),
                         ("signer", True))
        self.assertEqual((keys["globex"]["token_name"], keys["globex"]["token"]), ("second", True))
        for token in self.tokens().values():
            self.assertEqual((token["state"], token["breaker"], token["in_use"], token["waiting"]),
                             ("ready", "closed", True, 0))
            self.assertGreaterEqual(token["mean_ms"], 0)

    def test_one_that_is_out_costs_the_others_nothing(self):
        head = self.server.head()
        self.take_away()
        try:
            self.assertEqual(self.server.touchmark("status")[-1]["signer"], "partly")
            answer = self.ask_globex("OUT-G")
            self.assertEqual(answer.status, 503, answer)
            self.assertGreater(int(answer.headers["Retry-After"]), 0)
            # More than there are places for all tenants together.
            for i in range(3):
                self.server.enrolled(f"OUT-A{i}")
            alarms = until("the audit has it", lambda: [
                x["reason"] for x in self.server.leaves(head) if x["event"] == "alarm"])
            self.assertRegex(alarms[0], "^token second is (not there|left alone)")
        finally:
            self.give_back()
        certificate, _ = self.server.enrolled("OUT-G2", "other", "globex")
        self.assertIn("Globex CA", field(certificate.read_text(), "-issuer"))
        self.assertEqual(self.server.touchmark("status")[-1]["signer"], "ready")

    def test_waiting_tickets_leave_room(self):
        """Requests for a token that is out do not take all places of core.queue."""
        self.take_away()
        try:
            names = [f"ROOM-{i}" for i in range(3 * 16)]
            requests = [(n, self.server.add_device(n, "globex"),
                         Key.with_csr(self.site.folder, n, f"/CN={n}")[1]) for n in names]
            connections = []
            for name, secret, der in requests:
                connection = self.server.connect()
                connections.append(connection)
                self.send(connection, name, secret, der)
            self.server.enrolled("ROOM-A")
            statuses = {c.receive().status for c in connections}
            self.assertEqual(statuses, {503})
            self.assertLessEqual(self.tokens()["second"]["waiting"], 16)
            for connection in connections:
                connection.close()
        finally:
            self.give_back()
        until("what waited is signed", lambda: self.tokens()["second"]["waiting"] == 0)
        until("no intent is open", lambda: not self.server.intents())

    @staticmethod
    def send(connection, name, secret, der):
        body = body_of(der)
        connection.send(f"POST {WELL_KNOWN}/other/simpleenroll HTTP/1.1\r\nHost: h\r\n"
                        f"Content-Type: application/pkcs10\r\nContent-Length: {len(body)}\r\n"
                        f"Authorization: {basic(name, secret)}\r\n\r\n".encode() + body)

    def test_it_starts_without_one(self):
        self.server.stop()
        (self.site.folder / "tokens-b").rename(self.site.folder / "tokens-b.away")
        try:
            self.server.start()
            self.assertNotIn("second", self.server.ready()["signers"])
            self.server.enrolled("START-A")
        finally:
            self.give_back()
        self.server.enrolled("START-G", "other", "globex")

    def test_it_does_not_start_without_the_default_one(self):
        self.server.stop()
        folder = self.site.folder / "tokens"
        folder.rename(self.site.folder / "tokens.away")
        try:
            self.server.start(wait=False)
            self.assertNotEqual(self.server.process.wait(60), 0)
        finally:
            (self.site.folder / "tokens.away").rename(folder)
        self.server.start()

    def test_each_pin_is_in_one_process(self):
        self.server.enrolled("PIN-A")
        self.server.enrolled("PIN-G", "other", "globex")
        if not MAY_LOOK:
            return
        for file, holder in (("pin", "signer-0"), ("pin-b", "signer-1")):
            holders = {role_of(pid) for pid in self.server.pids()
                       if memory_holds(pid, PINS[file].encode())}
            self.assertEqual(holders, {holder}, file)

    def test_reload_moves_tokens_about(self):
        """Positions are no names: after a reload in another order each issuer has its token."""
        self.site.tokens.insert(0, {"name": "idle", "module": self.site.module, "token": "idle",
                                    "pin_file": self.site.folder / "pin-b",
                                    "softhsm_conf": self.site.folder / "softhsm-c.conf"})
        before = self.server.ready()["core"]
        try:
            self.site.write_config()
            self.server.process.send_signal(signal.SIGHUP)
            until("a new core serves", lambda: self.server.ready()["core"] not in (0, before))
            signers = self.server.ready()["signers"]
            self.assertEqual(role_of(signers["second"]), "signer-2")
            self.assertNotIn("idle", signers)  # no issuer has keys there
            self.server.enrolled("MOVE-G", "other", "globex")
            self.server.enrolled("MOVE-A")
        finally:
            del self.site.tokens[0]
            self.server.stop()
            self.server.start()

    def refused(self, change, sentence):
        saved = [dict(x) for x in self.site.tokens], [dict(x) for x in self.site.issuers]
        try:
            change()
            self.site.write_config()
            done = run(TOUCHMARKD, "--check", "--conf", self.site.config, check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertRegex(done.stderr.decode(), sentence)
        finally:
            self.site.tokens, self.site.issuers = saved
            self.site.write_config()

    def test_what_cannot_work_is_refused(self):
        token, issuer = self.site.tokens, self.site.issuers
        softhsm = self.site.folder / "softhsm2.conf"
        cases = [
            (lambda: issuer[0].update(token="nowhere"), "issuers.*token.*nowhere.*not the name"),
            (lambda: token[0].update(name="signer"), "tokens.name.*earlier token"),
            (lambda: token[0].update(softhsm_conf=softhsm), "each token has one signer process"),
            (lambda: token[0].update(standby_for="nobody"), "not the name of another token"),
            (lambda: token[0].update(standby_for="second"), "not the name of another token"),
            (lambda: token[0].update(standby_for="signer"), "issuers.*token.*is a standby"),
        ]
        for change, sentence in cases:
            token, issuer = self.site.tokens, self.site.issuers
            with self.subTest(sentence):
                self.refused(change, sentence)


if __name__ == "__main__":
    main()
