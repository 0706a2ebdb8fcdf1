# SPDX-License-Identifier: Apache-2.0
"""Registration authority (requirement A9): a Touchmark that has policy, registry and audit, and
another EST server that signs. Here that is a second Touchmark, and one that means ill."""

import base64
import os
import pathlib
import shutil
import signal
import tempfile

from harness import (WELL_KNOWN, Key, certificates_in, check_log, finish, main, openssl, public_of,
                     serial_of, subject_of)
from ra import AUTHORITY, PATHS, Base, HostileServer, Pair, Ra, RaSite, TokenlessSite, gmt


class TwoTouchmarks(Pair):
    def enrolled(self, name=None):
        name, key, ask = self.request(name)
        answer = ask()
        self.assertEqual(answer.status, 200, f"{answer}\n{self.ra.tail()}")
        path = self.ra.site.folder / f"{name}.pem"
        path.write_text(answer.pem())
        return name, key, path

    def verify(self, path):
        site = self.upstream.site
        openssl("verify", "-purpose", "sslclient", "-CAfile", site.root, "-untrusted", site.issuer,
                path)

    def test_enrolls_and_repeats(self):
        name, key, ask = self.request()
        pem = ask().pem()
        path = self.ra.site.folder / "first.pem"
        path.write_text(pem)
        self.verify(path)
        self.assertEqual(public_of(pem), key.public())
        self.assertEqual(self.signed_for(name), [serial_of(pem)])
        self.assertEqual(ask().pem(), pem)
        self.assertEqual(self.signed_for(name), [serial_of(pem)])
        [own] = self.ra.device(name)["certificates"]
        self.assertEqual(own["status"], "active")
        self.assertNotEqual(own["serial"], serial_of(pem))
        leaf = self.ra.issued_leaf(name)
        self.assertEqual(leaf["serial"], own["serial"])
        self.assertEqual(leaf["reason"], f"issuer factory signed it as {serial_of(pem)}")
        upstream = [x for x in self.upstream.leaves() if x.get("device") == name][-1]
        self.assertEqual(upstream["event"], "issued")
        self.assertRegex(upstream["actor"], rf"^cert:[0-9a-f]{{64}} ra:{AUTHORITY}$")

    def test_cacerts_are_the_upstream_ones(self):
        own = certificates_in(self.ra.ask("GET", f"{WELL_KNOWN}/ldevid/cacerts").body)
        theirs = certificates_in(self.upstream.ask("GET", f"{WELL_KNOWN}/byra/cacerts").body)
        self.assertEqual(sorted(own), sorted(theirs))

    def test_linked_to_the_session_with_the_registration_authority(self):
        """Which has verified that; upstream it is another session (RFC 7030, 3.7)."""
        name = self.name()
        self.upstream.add_device(name, secret=False)
        secret = self.ra.add_device(name)
        key = Key(self.ra.site.folder, name)
        said = self.ra.estc("--csr-key", key.path, "--subject", f"/CN={name}", "--user",
                            f"{name}:{secret}", "--link", "exporter", label="linked")
        self.assertEqual(said["status"], "500", said)  # what the upstream makes is not this profile's
        self.assertIn("lasts longer than profile linked allows", self.refusals(name)[0]["reason"])
        said = self.ra.estc("--csr-key", key.path, "--subject", f"/CN={name}", "--user",
                            f"{name}:{secret}", "--link", "exporter", label="ldevid")
        self.assertEqual(said["status"], "200", said)

    def renew(self, path, old_key, key, server=None):
        pem = path.read_text()
        return (server or self.ra).enroll("ldevid", key.csr(subject_of(pem)), cert=path,
                                          key=old_key.path, operation="simplereenroll")

    def test_renews_with_what_the_upstream_signed(self):
        name, key, path = self.enrolled()
        new = Key(self.ra.site.folder, f"{name}-2")
        answer = self.renew(path, key, new)
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(self.signed_for(name)[0], serial_of(answer.pem()))
        self.assertEqual(public_of(answer.pem()), new.public())
        second = self.ra.site.folder / f"{name}-2.pem"
        second.write_text(answer.pem())
        self.verify(second)
        self.assertEqual(self.renew(path, key, new).pem(), answer.pem())
        states = [c["status"] for c in self.ra.device(name)["certificates"]]
        self.assertEqual(states, ["active", "superseded"])
        # The upstream takes the same key for the request before, which is over here.
        again = self.renew(second, new, new)
        self.assertEqual(again.status, 503, again)
        self.assertIn("there is already", again.text)

    def test_what_is_revoked_here_is_refused_here(self):
        name, key, path = self.enrolled()
        [own] = self.ra.device(name)["certificates"]
        [shown] = self.ra.touchmark("cert", "show", own["serial"])
        self.assertEqual(shown["signed_as"], serial_of(path.read_text()))
        said = self.ra.touchmark("cert", "revoke", own["serial"], "--reason", "keyCompromise")[-1]
        self.assertIn("have it revoked there, too", said["note"])
        answer = self.renew(path, key, Key(self.ra.site.folder, f"{name}-2"))
        self.assertEqual(answer.status, 403, answer)
        self.assertIn("revoked", answer.text)
        self.assertEqual(len(self.signed_for(name)), 1)

    def test_who_is_suspended_here_is_refused_here(self):
        name, key, path = self.enrolled()
        self.ra.transition(name, "suspended")
        answer = self.renew(path, key, Key(self.ra.site.folder, f"{name}-2"))
        self.assertEqual(answer.status, 403, answer)
        self.assertEqual(len(self.signed_for(name)), 1)

    def test_a_device_that_the_upstream_does_not_know(self):
        name, _, ask = self.first_request()
        answer = ask()
        self.assertEqual(answer.status, 403, answer)
        self.assertIn(f"device {name} is not registered", answer.text)
        self.check_nothing_released(name)
        self.assertEqual([x["event"] for x in self.refusals(name)], ["burned", "refused"])
        self.assertEqual(self.refusals(name)[-1]["outcome"], "upstream-no")
        self.upstream.add_device(name, secret=False)
        self.assertEqual(ask().status, 200)

    def test_policy_comes_first(self):
        name, key, _ = self.request()
        head = self.upstream.head()
        answer = self.ra.enroll("ldevid", key.csr(f"/CN={name}"), name, "wrong")
        self.assertEqual(answer.status, 401, answer)
        secret = self.ra.secret(name)
        answer = self.ra.enroll("ldevid", key.csr("/CN=another"), name, secret)
        self.assertEqual(answer.status, 400, answer)
        answer = self.ra.enroll("ldevid", key.csr("/"), name, secret)
        self.assertEqual(answer.status, 400, answer)
        self.assertIn("has to name the device", answer.text)
        self.assertEqual(self.upstream.head(), head)
        self.assertEqual(self.ra.enroll("ldevid", key.csr(f"/CN={name}"), name, secret).status, 200)

    def test_what_takes_the_key_of_the_issuer(self):
        for operation, kind in (("fullcmc", "application/pkcs7-mime; smime-type=CMC-request"),
                                ("serverkeygen", "application/pkcs10")):
            name, key, _ = self.request()
            answer = self.ra.enroll("ldevid", key.csr(f"/CN={name}"), operation=operation,
                                    headers={"Content-Type": kind})
            self.assertEqual(answer.status, 501, answer)
            text = base64.b64decode(answer.body) if operation == "fullcmc" else answer.body
            self.assertIn(b"signs elsewhere", text)

    def test_nothing_is_claimed_about_its_certificates(self):
        self.assertEqual(self.ra.touchmark("status")[-1]["upstream"], {"factory": "ready"})
        [factory] = [x for x in self.ra.touchmark("keys", "list") if x["name"] == "factory"]
        self.assertEqual(factory["upstream"], self.ra.site.upstream["url"])
        self.assertNotIn("token", factory)

    def test_upstream_is_away(self):
        name, _, ask = self.request()
        self.upstream.stop()
        answer = ask()
        self.assertEqual(answer.status, 503, answer)
        self.assertRegex(answer.headers["Retry-After"], r"^\d+$")
        self.check_nothing_released(name)
        self.assertEqual(self.ra.touchmark("status")[-1]["upstream"], {"factory": "down"})
        self.upstream.start()
        pem = self.ra.ask_until(200, ask).pem()
        self.assertEqual(self.signed_for(name), [serial_of(pem)])

    # ---- the other direction: what the upstream thinks of registration authorities ----

    def ask_as(self, certificate, key, subject, label="byra", server=None):
        own = Key(self.upstream.site.folder, f"other-{os.urandom(4).hex()}")
        return (server or self.upstream).enroll(label, own.csr(subject), cert=certificate, key=key)

    def test_whom_the_upstream_takes_for_a_registration_authority(self):
        certificate, key = (self.ra.site.upstream[x] for x in ("certificate", "key"))
        known = self.name()
        self.upstream.add_device(known, secret=False)
        self.assertEqual(self.ask_as(certificate, key, f"/CN={known}").status, 200)
        # Nobody that the registry does not know, nobody without a name, not under every profile.
        unknown = self.ask_as(certificate, key, "/CN=nobody-knows")
        self.assertEqual(unknown.status, 403, unknown)
        self.assertIn("not registered", unknown.text)
        self.assertEqual(self.ask_as(certificate, key, "/").status, 400)
        label = self.ask_as(certificate, key, f"/CN={known}", label="ldevid")
        self.assertEqual(label.status, 403, label)
        self.assertIn("registration authorities", label.text)
        # A device is none, with or without the purpose; and one that is, is not without it.
        plain, plain_key = self.upstream.enrolled(self.name())
        self.assertIn(self.ask_as(plain, plain_key.path, f"/CN={known}").status, (400, 403))
        unlisted, unlisted_key = self.upstream.enrolled(self.name(), label="ra")
        self.assertIn(self.ask_as(unlisted, unlisted_key.path, f"/CN={known}").status, (400, 403))
        bare, bare_key = self.upstream.enrolled(AUTHORITY, secret=self.upstream.secret(AUTHORITY))
        self.assertIn(self.ask_as(bare, bare_key.path, f"/CN={known}").status, (400, 403))
        # Its own certificate it renews like any device.
        renewed = self.upstream.enroll(
            "ra", Key(self.upstream.site.folder, "ra-2").csr(f"/CN={AUTHORITY}"), cert=certificate,
            key=key, operation="simplereenroll")
        self.assertEqual(renewed.status, 200, renewed)

    def test_zz_a_suspended_registration_authority(self):
        name, _, ask = self.request()
        self.upstream.transition(AUTHORITY, "suspended")
        answer = ask()
        self.assertEqual(answer.status, 403, answer)
        self.assertIn("is suspended", answer.text)
        self.upstream.transition(AUTHORITY, "activated")
        self.assertEqual(ask().status, 200)

    # ---- processes that come and go ----

    def test_the_upstream_role_is_killed(self):
        name, _, ask = self.request()
        before = self.ra.ready()["upstream"]
        os.kill(before, signal.SIGKILL)
        pem = self.ra.ask_until(200, ask).pem()
        self.assertEqual(self.signed_for(name), [serial_of(pem)])
        self.assertNotEqual(self.ra.pids("upstream"), [before])

    def test_reload_while_asked(self):
        name, _, ask = self.request()
        self.ra.process.send_signal(signal.SIGHUP)
        pem = self.ra.ask_until(200, ask).pem()
        self.assertEqual(self.signed_for(name), [serial_of(pem)])


class HostileUpstream(Base):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="touchmark-hostile-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.hostile = HostileServer(cls.folder)
        cls.addClassCleanup(cls.hostile.stop)
        (cls.folder / "password").write_text("open sesame\n")
        (cls.folder / "password").chmod(0o600)
        cls.ra = cls.keep(Ra(RaSite(
            cls.folder / "ca.pem", None,
            {"url": f"https://127.0.0.1:{cls.hostile.port}/.well-known/est",
             "anchors": cls.folder / "ca.pem", "user": "ra", "timeout": "5s",
             "password_file": cls.folder / "password", "names": "request"}, listen=PATHS)))
        cls.ra.start()

    @classmethod
    def tearDownClass(cls):
        cls.ra.stop()
        finish(cls.ra)

    def ask(self, answer):
        """A new device's first request, while the upstream answers so."""
        name, key, ask = self.first_request()
        self.hostile.answer = answer
        return name, key, ask

    def good(self, der):
        return self.hostile.certs_only(self.hostile.sign(der))

    def test_a_good_one(self):
        name, key, ask = self.ask(self.good)
        answer = self.ra.ask_until(200, ask)
        self.assertEqual(public_of(answer.pem()), key.public())
        self.assertEqual(answer.pem(), ask().pem())
        expected = "Basic " + base64.b64encode(b"ra:open sesame").decode()
        self.assertEqual(self.hostile.authorizations[-1], expected)

    def test_the_chain_beside_it(self):
        hostile = self.hostile
        _, key, ask = self.ask(lambda der: hostile.certs_only(hostile.folder / "ca.pem",
                                                              hostile.sign(der)))
        self.assertEqual(public_of(self.ra.ask_until(200, ask).pem()), key.public())

    def test_certificates_that_are_not_what_was_asked_for(self):
        h = self.hostile
        other = Key(self.folder, "other-device")
        name = [""]
        wrong = {
            "for another key": lambda d: h.sign(d, key=other, subject=f"/CN={name[0]}"),
            "not signed by the pinned key": lambda d: h.sign(d, ca="other"),
            "another subject": lambda d: h.sign(d, subject="/CN=somebody"),
            "makes a CA": lambda d: h.sign(d, extensions="basicConstraints=critical,CA:TRUE"),
            "keyUsage allows more": lambda d: h.sign(
                d, extensions="keyUsage=digitalSignature,keyCertSign"),
            "purpose that the profile does not": lambda d: h.sign(
                d, extensions="extendedKeyUsage=clientAuth,serverAuth"),
            "for more than the profile's": lambda d: h.sign(
                d, extensions="extendedKeyUsage=anyExtendedKeyUsage"),
            "another subjectAltName": lambda d: h.sign(
                d, extensions="subjectAltName=DNS:bank.example.com"),
            "lasts longer": lambda d: h.sign(d, days=3000),
            "not valid now": lambda d: h.sign(d, start=(gmt(-20), gmt(-10))),
            "not valid yet": lambda d: h.sign(d, start=(gmt(2), gmt(10))),
            "is critical": lambda d: h.sign(d, extensions="1.2.3.4=critical,ASN1:NULL"),
        }
        said = {"for more than the profile's": "purpose that the profile does not",
                "not valid yet": "not valid now"}
        # The same request is good for a good answer in the end, and the audit knows of the others.
        name[0], _, ask = self.first_request()
        for what, make in wrong.items():
            with self.subTest(what=what):
                before = len(self.refusals(name[0]))
                h.answer = lambda der, make=make: h.certs_only(make(der))
                answer = ask()
                self.assertEqual(answer.status, 500, answer)
                self.check_nothing_released(name[0])
                burned, refused = self.refusals(name[0])[before:]
                self.assertEqual((burned["event"], refused["event"]), ("burned", "refused"))
                self.assertIn(said.get(what, what), burned["reason"])
                self.assertNotIn("BEGIN", answer.text)
        h.answer = self.good
        self.assertEqual(ask().status, 200)
        n = len(wrong)
        self.assertIn(f"asked {n + 1} times, {n} of them", self.ra.issued_leaf(name[0])["reason"])

    def test_answers_that_are_none(self):
        kind = {"Content-Type": "application/pkcs7-mime"}
        wrong = {
            "not base64": (500, (200, kind, b"\xff\x00garbage")),
            "garbage": (500, (200, kind, base64.b64encode(os.urandom(900)))),
            "nothing": (500, (200, kind, b"")),
            "a page": (500, (200, {"Content-Type": "text/html"}, b"<h1>Welcome</h1>")),
            "a flood": (500, (200, kind, b"A" * 3_000_000)),
            "no content": (500, (204, {}, b"")),
            "elsewhere": (403, (302, {"Location": "https://127.0.0.1:1/"}, b"")),
            "no": (403, (403, {"Content-Type": "text/plain"}, b"not you\x1b[31m\nsecond line")),
            "whom": (503, (401, {"WWW-Authenticate": "Basic realm=x"}, b"")),
            "broken": (503, (500, {}, b"oops")),
        }
        name, _, ask = self.first_request()
        for what, (status, answer) in wrong.items():
            with self.subTest(what=what):
                before = len(self.refusals(name))
                self.hostile.answer = lambda _, answer=answer: answer
                got = self.ra.ask_until(status, ask)
                self.assertNotIn("\x1b", got.text)
                self.check_nothing_released(name)
                self.assertGreater(len(self.refusals(name)), before)
                if what == "no":
                    self.assertIn("refused the request: not you?[31m", got.text)
                    self.assertNotIn("second line", got.text)
        self.hostile.answer = self.good
        self.ra.ask_until(200, ask)

    def test_not_yet(self):
        later = (202, {"Retry-After": "77", "Content-Type": "text/plain"}, b"ask an officer")
        name, _, ask = self.ask(lambda _: later)
        answer = self.ra.ask_until(202, ask)
        self.assertEqual(answer.headers["Retry-After"], "77")
        self.check_nothing_released(name)
        self.hostile.answer = self.good
        self.assertEqual(ask().status, 200)
        self.assertEqual(len(set(self.hostile.bodies[-2:])), 1)

    def test_an_officer_decides_before_the_other_ca_is_asked(self):
        name = self.name()
        secret = self.ra.add_device(name)
        key = Key(self.ra.site.folder, name)
        self.hostile.answer = lambda der: self.hostile.certs_only(self.hostile.sign(der, days=20))
        before = len(self.hostile.bodies)

        def ask():
            return self.ra.enroll("approved", key.csr(f"/CN={name}"), name, secret)
        self.assertEqual(ask().status, 202)
        self.assertEqual(len(self.hostile.bodies), before)
        self.ra.touchmark("pending", "approve", name)
        self.ra.ask_until(200, ask)
        self.assertRegex(self.ra.issued_leaf(name)["reason"],
                         rf"^approved by uid:{os.getuid()}; issuer factory signed it as [0-9a-f]+$")

    def test_an_answer_that_got_lost(self):
        """The request goes again with the same octets, though the device made new ones."""
        name = self.name()
        secret = self.ra.add_device(name)
        key = Key(self.ra.site.folder, name)
        self.hostile.answer = lambda _: None
        answer = self.ra.ask_until(
            503, lambda: self.ra.enroll("ldevid", key.csr(f"/CN={name}"), name, secret))
        self.assertIn("what came of it is not known", answer.text)
        self.check_nothing_released(name)
        asked = self.hostile.bodies[-1]
        self.hostile.answer = self.good
        self.ra.ask_until(200, lambda: self.ra.enroll("ldevid", key.csr(f"/CN={name}"), name, secret))
        self.assertEqual(self.hostile.bodies[-1], asked)
        self.assertRegex(self.ra.issued_leaf(name)["reason"], r"asked \d times, [1-9] of them")

    def test_without_any_token(self):
        site = TokenlessSite(self.folder / "ca.pem", None, self.ra.site.upstream, listen=PATHS)
        for name in ("pem", "key"):  # of a TLS server at 127.0.0.1
            shutil.copy(self.folder / f"tls.{name}", site.folder / f"server.{name}")
        shutil.copy(self.folder / "ca.pem", site.root)
        ra = Ra(site)
        try:
            ra.start()
            self.assertEqual(ra.pids("signer"), [])
            self.hostile.answer = self.good
            name, key, ask = self.first_request(server=ra)
            self.assertEqual(public_of(ra.ask_until(200, ask).pem()), key.public())
            self.assertNotIn("signer", ra.touchmark("status")[-1])
            ra.stop()
            finish(ra)
        finally:
            ra.kill()
            site.remove()

    def test_another_server_in_its_place(self):
        """Only what is pinned is trusted, for TLS too."""
        site = RaSite(self.folder / "ca.pem", None,
                      {**self.ra.site.upstream, "anchors": self.folder / "other.pem"}, listen=PATHS)
        ra = Ra(site)
        try:
            ra.start()
            name, _, ask = self.first_request(server=ra)
            before = len(self.hostile.bodies)
            answer = ask()
            self.assertEqual(answer.status, 503, answer)
            self.assertEqual(len(self.hostile.bodies), before)
            self.assertEqual(ra.device(name)["certificates"], [])
            ra.stop()
            check_log(ra.log)
        finally:
            ra.kill()
            site.remove()


if __name__ == "__main__":
    main()
