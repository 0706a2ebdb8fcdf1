# SPDX-License-Identifier: Apache-2.0
"""The status role by itself: what it serves and how, what it takes from a core and what not, and
what it does while there is none."""

import base64
import contextlib
import email.utils
import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time
import unittest
import urllib.parse

import harness
from harness import PATIENCE, main, openssl, run, until
from status_rig import SERIAL, Answer, Ca, Rig

SENTENCE = r"\A[^\n]{8,300}\n\Z"


class Case(unittest.TestCase):
    options = {}
    path = ""
    core_seconds = PATIENCE

    @classmethod
    def setUpClass(cls):
        cls.rig = Rig(cls.path, cls.core_seconds, **cls.options)
        cls.addClassCleanup(cls.rig.close)
        cls.ca = Ca(cls.rig.folder)
        cls.rig.open()
        cls.role = cls.rig.link(cls.rig.start())

    def check_sentence(self, answer, status):
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.headers["Content-Type"], "text/plain; charset=utf-8")
        self.assertEqual(answer.headers["Cache-Control"], "no-store")
        self.assertEqual(int(answer.headers["Content-Length"]), len(answer.body))
        self.assertRegex(answer.body.decode(), SENTENCE)


def seconds_of(date):
    return email.utils.parsedate_to_datetime(date).timestamp()


class Files(Case):
    path = "/pki/v1"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.crl = cls.ca.crl(5)
        cls.shard = cls.ca.crl(9, url="http://status.test/pki/v1/manufacturing-7.crl")
        now = int(time.time() * 1000)
        cls.filter = cls.rig.make_filter(3, now, now + 3600_000)
        cls.files = {"/manufacturing.crl": ("crl", 5, cls.crl, "application/pkix-crl"),
                     "/manufacturing-7.crl": ("crl-7", 9, cls.shard, "application/pkix-crl"),
                     "/manufacturing.cer": ("certificate", 0, cls.ca.der, "application/pkix-cert"),
                     "/manufacturing.filter": ("filter", 3, cls.filter,
                                               "application/octet-stream")}
        for what, number, content, _ in cls.files.values():
            said = cls.rig.publish(cls.role, what, number, content)
            if said != "good ":
                raise AssertionError(said)

    def test_what_is_published_is_served(self):
        for path, (_, _, content, media_type) in self.files.items():
            with self.subTest(path):
                answer = self.rig.ask(path)
                self.assertEqual((answer.status, answer.body), (200, content))
                self.assertEqual(answer.headers["Content-Type"], media_type)
                self.assertEqual(answer.headers["ETag"],
                                 f'"{hashlib.sha256(content).hexdigest()}"')
                self.assertIn(", public, no-transform, must-revalidate",
                              answer.headers["Cache-Control"])
                self.assertEqual((self.rig.dir / path[1:]).read_bytes(), content)
                self.assertEqual((self.rig.dir / path[1:]).stat().st_mode & 0o777, 0o644)

    def test_foreign_tools_take_it(self):
        url = f"http://127.0.0.1:{self.rig.port}{self.path}"
        crl = run("curl", "-sSf", f"{url}/manufacturing.crl").stdout
        text = openssl("crl", "-inform", "DER", "-noout", "-text", "-CAfile", self.ca.pem,
                       stdin=crl).decode()
        self.assertIn("Serial Number: 00000000000000001000000000000002".replace("0" * 16, ""),
                      text.replace("0" * 16, ""))
        saved = self.rig.folder / "saved.crl"
        args = ("curl", "-sSf", "-w", "%{http_code}", "-o", saved, "--etag-save",
                self.rig.folder / "etag", "--etag-compare", self.rig.folder / "etag",
                f"{url}/manufacturing.crl")
        self.assertEqual(run(*args).stdout, b"200")
        self.assertEqual(run(*args).stdout, b"304")

    def test_times(self):
        """Last-Modified and Expires are what the CRL says; copies are the newest for crl_delay."""
        answer = self.rig.ask("/manufacturing.crl")
        said = openssl("crl", "-inform", "DER", "-noout", "-lastupdate", "-nextupdate",
                       "-dateopt", "iso_8601", stdin=self.crl).decode()
        for header, name in (("Last-Modified", "lastUpdate"), ("Expires", "nextUpdate")):
            text = time.strftime(f"{name}=%Y-%m-%d %H:%M:%SZ",
                                 time.gmtime(seconds_of(answer.headers[header])))
            self.assertIn(text, said)
        self.assertTrue(answer.headers["Cache-Control"].startswith("max-age=60, "))
        self.assertIsNone(self.rig.ask("/manufacturing.cer").headers["Expires"])

    def test_conditions(self):
        first = self.rig.ask("/manufacturing.crl")
        tag, since = first.headers["ETag"], first.headers["Last-Modified"]
        before = email.utils.formatdate(seconds_of(since) - 1, usegmt=True)
        for headers, status in (({"If-None-Match": tag}, 304),
                                ({"If-None-Match": f'"other", W/{tag}'}, 304),
                                ({"If-None-Match": "*"}, 304),
                                ({"If-None-Match": '"other"'}, 200),
                                ({"If-Modified-Since": since}, 304),
                                ({"If-Modified-Since": before}, 200),
                                ({"If-Modified-Since": "yesterday"}, 200),
                                ({"If-None-Match": '"other"', "If-Modified-Since": since}, 200)):
            with self.subTest(headers), self.rig.connect() as connection:
                for method in ("GET", "HEAD"):
                    answer = self.rig.ask_on(connection, "/manufacturing.crl", method,
                                             headers=headers)
                    self.assertEqual(answer.status, status)
                    self.assertEqual(answer.headers["ETag"], tag)
                    self.assertEqual(answer.body, self.crl if (method, status) == ("GET", 200)
                                     else b"")
                    if status == 200:
                        self.assertEqual(int(answer.headers["Content-Length"]), len(self.crl))

    def test_refusals(self):
        for method, path, status in (("GET", "/other.crl", 404), ("GET", "/", 404),
                                     ("GET", "/manufacturing-8.crl", 404),
                                     ("GET", "/manufacturing-07.crl", 404),
                                     ("GET", "/../touchmark.yaml", 404),
                                     ("GET", "/..%2ftouchmark.yaml", 404),
                                     ("GET", "//manufacturing.crl", 404),
                                     ("GET", "/x/manufacturing.crl", 404),
                                     ("GET", "/.touchmark.new", 404),
                                     ("GET", "/manufacturing-3.crl", 503),
                                     ("POST", "/manufacturing.crl", 405),
                                     ("PUT", "/manufacturing.crl", 405),
                                     ("DELETE", "/ocsp", 405), ("GET", "/ocsp", 405),
                                     ("GET", "/ocsp/%%%", 400), ("GET", "/ocsp/a", 400),
                                     ("POST", "/ocsp", 415)):
            with self.subTest(f"{method} {path}"):
                answer = self.rig.ask(path, method, b"x" if method in ("POST", "PUT") else None)
                self.check_sentence(answer, status)
                if status == 405:
                    self.assertEqual(answer.headers["Allow"],
                                     "POST" if path == "/ocsp" else "GET, HEAD")
                self.assertEqual("Retry-After" in answer.headers, status == 503)
        with self.rig.connect() as connection:  # another path than the URL's
            connection.request("GET", "/manufacturing.crl")
            self.assertEqual(connection.getresponse().status, 404)

    def test_too_large(self):
        for size in (5000, 60000):
            answer = self.rig.ask("/ocsp", "POST", b"x" * size,
                                  {"Content-Type": "application/ocsp-request"})
            self.check_sentence(answer, 413)
        large = self.rig.folder / "large"
        with open(large, "wb") as file:
            file.truncate(10 << 20)
        said = run("curl", "-sS", "-o", self.rig.folder / "said", "-w", "%{http_code}", "-H",
                   "Content-Type: application/ocsp-request", "--data-binary", f"@{large}",
                   f"http://127.0.0.1:{self.rig.port}{self.path}/ocsp", check=False).stdout
        self.assertEqual(said, b"413")

    def test_many_requests_on_a_connection(self):
        with self.rig.connect() as connection:
            for path, (_, _, content, _) in list(self.files.items()) * 5:
                self.assertEqual(self.rig.ask_on(connection, path).body, content)


class Publishing(Case):
    def refused(self, said, why):
        self.assertRegex(said, f"^bad .*{why}")

    def served(self, name="/manufacturing.crl"):
        answer = self.rig.ask(name)
        return answer.body if answer.status == 200 else None

    def test_numbers_rise(self):
        old, new = self.ca.crl(10), self.ca.crl(11)
        self.assertEqual(self.rig.publish(self.role, "crl", 10, old), "good ")
        self.assertEqual(self.rig.publish(self.role, "crl", 11, new), "good ")
        self.refused(self.rig.publish(self.role, "crl", 10, old), "number 11 is there already")
        self.refused(self.rig.publish(self.role, "crl", 11, self.ca.crl(11, 4)), "other content")
        self.assertEqual(self.rig.publish(self.role, "crl", 11, new), "good ")  # again
        self.assertEqual(self.served(), new)
        self.assertEqual((self.rig.dir / "manufacturing.crl").read_bytes(), new)

    def test_what_is_not_what_it_says(self):
        crl = self.ca.crl(1 << 40)
        number = 1 << 40
        before = self.served()
        for fault, why in (("unsealed", "sealed"), ("size", "hash"), ("hash", "hash")):
            self.refused(self.rig.publish(self.role, "crl", number, crl, fault=fault), why)
        self.refused(self.rig.publish(self.role, "crl", number + 1, crl), "number")
        self.refused(self.rig.publish(self.role, "crl", number, crl[:-1]), "kind")
        self.refused(self.rig.publish(self.role, "crl", number, crl + b"\0"), "kind")
        self.refused(self.rig.publish(self.role, "certificate", 0, crl), "kind")
        self.refused(self.rig.publish(self.role, "filter", number, crl), "kind")
        shard = self.ca.crl(number, url="http://status.test/manufacturing-1.crl")
        self.refused(self.rig.publish(self.role, "crl", number, shard), "kind")
        for issuer, what in (("../x", "crl"), ("a/b", "crl"), ("manufacturing", "crl-07"),
                             ("manufacturing", "crl-"), ("manufacturing", "crlx")):
            self.refused(self.rig.publish(self.role, what, number, crl, issuer), "issuer")
        self.assertEqual(self.served(), before)
        self.assertEqual([p.name for p in self.rig.folder.glob("x*")], [])

    def test_what_cannot_be_read_is_passed_over(self):
        log = self.rig.log.stat().st_size
        self.rig.send(self.role, "crl", 1, self.ca.crl(1), fault="none")
        until("the log says so", lambda: "cannot be read" in self.rig.log.read_text()[log:])
        self.assertEqual(self.rig.publish(self.role, "crl", 1, self.ca.crl(1), "fine"), "good ")

    def test_a_filter_whose_body_is_another(self):
        good = self.rig.make_filter(7, 1, 2)
        self.refused(self.rig.publish(self.role, "filter", 7, good + b"x", "bent"), "kind")
        self.assertEqual(self.rig.publish(self.role, "filter", 7, good, "bent"), "good ")
        self.refused(self.rig.publish(self.role, "filter", 6, self.rig.make_filter(6, 1, 2),
                                      "bent"), "number 7")

    def test_certificates_have_no_numbers(self):
        other = Ca(self.rig.folder, "second")
        for der in (self.ca.der, other.der, self.ca.der):
            self.assertEqual(self.rig.publish(self.role, "certificate", 0, der), "good ")
            self.assertEqual(self.served("/manufacturing.cer"), der)

    def test_many_at_once(self):
        """As a new core does: all there is, without waiting for each."""
        crls = {n: self.ca.crl(n, url=f"http://status.test/many-{n}.crl") for n in range(1, 9)}
        numbers = [n for n in range(1, 9)] * 20
        since = None
        for n in numbers:
            before = self.rig.send(self.role, f"crl-{n}", n, crls[n], "many")
            since = before if since is None else since
        until("all are published", lambda: len(
            [x for x in self.rig.lines[since:] if " many " in x]) == len(numbers))
        self.assertEqual([x for x in self.rig.lines[since:] if " many " in x and "good" not in x],
                         [])
        for n, crl in crls.items():
            self.assertEqual(self.served(f"/many-{n}.crl"), crl)

    def test_a_new_link_to_a_core(self):
        crl = self.ca.crl(3)
        self.assertEqual(self.rig.publish(self.role, "crl", 3, crl, "linked"), "good ")
        self.rig.say("unlink", self.role)
        self.assertEqual(self.served("/linked.crl"), crl)
        self.rig.link(self.role)
        self.assertEqual(self.rig.publish(self.role, "crl", 3, crl, "linked"), "good ")
        newer = self.ca.crl(4)
        self.assertEqual(self.rig.publish(self.role, "crl", 4, newer, "linked"), "good ")
        self.assertEqual(self.served("/linked.crl"), newer)


class Restart(Case):
    def publish(self, number, issuer, role=None):
        crl = self.ca.crl(number)
        said = self.rig.publish(self.role if role is None else role, "crl", number, crl, issuer)
        self.assertEqual(said, "good ")
        return crl

    def restart(self):
        cls = type(self)
        self.rig.say("stop", self.role)
        self.rig.hear(f"ended {self.role} exit 0")
        cls.role = self.rig.start()
        return self.role

    def test_it_serves_without_a_core(self):
        crl = self.publish(4, "alone")
        self.restart()
        self.assertEqual(self.rig.ask("/alone.crl").body, crl)
        self.rig.link(self.role)
        self.assertRegex(self.rig.publish(self.role, "crl", 3, self.ca.crl(3), "alone"),
                         "bad number 4 is there already")
        self.assertEqual(self.rig.publish(self.role, "crl", 4, crl, "alone"), "good ")

    def test_files_that_are_not_whole(self):
        """They are not served, are said, and make room; what a dead writer left is removed."""
        crl = self.publish(4, "torn")
        path = self.rig.dir / "torn.crl"
        path.write_bytes(crl[:-10])
        (self.rig.dir / "index.html").write_text("another server's")
        (self.rig.dir / ".touchmark.new").write_bytes(crl[:100])
        (self.rig.dir / "link.crl").symlink_to(self.rig.config)
        (self.rig.dir / "folder.crl").mkdir()
        log = self.rig.log.stat().st_size
        self.rig.link(self.restart())
        for name in ("torn.crl", "link.crl", "folder.crl"):
            self.assertEqual(self.rig.ask(f"/{name}").status, 404)
            self.assertIn(f"{name} in status.dir is not served", self.rig.log.read_text()[log:])
        self.assertEqual(self.rig.ask("/index.html").status, 404)
        self.assertFalse((self.rig.dir / ".touchmark.new").exists())
        self.assertTrue((self.rig.dir / "index.html").exists())
        self.assertEqual(self.rig.publish(self.role, "crl", 4, crl, "torn"), "good ")
        self.assertEqual(path.read_bytes(), crl)
        (self.rig.dir / "link.crl").unlink()
        (self.rig.dir / "folder.crl").rmdir()

    def test_a_file_that_changed_where_it_lies(self):
        """The core's word counts, under the same number too."""
        crl = self.publish(4, "changed")
        (self.rig.dir / "changed.crl").write_bytes(self.ca.crl(4, 5))
        self.rig.link(self.restart())
        self.assertEqual(self.rig.publish(self.role, "crl", 4, crl, "changed"), "good ")
        self.assertEqual(self.rig.ask("/changed.crl").body, crl)
        self.assertEqual((self.rig.dir / "changed.crl").read_bytes(), crl)

    def test_a_file_that_went(self):
        crl = self.publish(4, "gone")
        (self.rig.dir / "gone.crl").unlink()
        self.assertEqual(self.rig.ask("/gone.crl").body, crl)
        self.rig.link(self.role)
        self.assertRegex(self.rig.publish(self.role, "crl", 3, self.ca.crl(3), "gone"), "^bad ")
        self.assertEqual(self.rig.publish(self.role, "crl", 4, crl, "gone"), "good ")
        self.assertEqual((self.rig.dir / "gone.crl").read_bytes(), crl)

    def test_two_take_over_from_one_another(self):
        """Both write while one replaces the other; neither undoes what the other did."""
        self.publish(1, "both")
        cls = type(self)
        old, new = self.role, self.rig.link(self.rig.start())
        newest = self.publish(3, "both", new)
        self.assertRegex(self.rig.publish(old, "crl", 2, self.ca.crl(2), "both"),
                         "bad number 3 is there already")
        self.assertEqual(self.rig.publish(old, "crl", 3, newest, "both"), "good ")
        last = self.publish(4, "both", old)
        self.assertEqual(self.rig.publish(new, "crl", 4, last, "both"), "good ")
        self.assertEqual((self.rig.dir / "both.crl").read_bytes(), last)
        self.rig.say("drain", old)
        self.rig.hear(f"ended {old} exit 0")
        cls.role = new
        self.assertEqual(self.rig.ask("/both.crl").body, last)

    def test_drain_finishes_what_is_under_way(self):
        crl = self.ca.crl(2, 60000)  # more than the kernel keeps for who does not read
        self.assertEqual(self.rig.publish(self.role, "crl", 2, crl, "large"), "good ")
        cls = type(self)
        old = self.role
        with socket.create_connection(("127.0.0.1", self.rig.port)) as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.sendall(b"GET /large.crl HTTP/1.1\r\nHost: x\r\n\r\n")
            got = slow.recv(100)
            cls.role = self.rig.link(self.rig.start())
            self.rig.say("drain", old)
            self.assertEqual(self.rig.ask("/large.crl").body, crl)
            while chunk := slow.recv(65536):
                got += chunk
                if got.endswith(crl[-100:]) and len(got) > len(crl):
                    break
        self.assertTrue(got.endswith(crl))
        self.rig.hear(f"ended {old} exit 0")


MALFORMED, TRY_LATER, UNAUTHORIZED = (bytes([0x30, 3, 0x0a, 1, n]) for n in (1, 3, 6))


class OcspCase(Case):
    """Each test has a role and an empty memory of its own."""
    options = {"max_connections": 1024}

    def setUp(self):
        self.role = self.rig.link(self.rig.start())
        self.request = self.ca.request(SERIAL)
        self.since = len(self.rig.lines)

    def tearDown(self):
        self.rig.say("kill", self.role)
        self.rig.hear(f"ended {self.role} ")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.rig.say("kill", cls.role)
        cls.rig.hear(f"ended {cls.role} ")

    def mark(self):
        self.since = len(self.rig.lines)

    def asked(self):
        return self.rig.asked(self.role, self.since)

    def settle(self):
        self.rig.settle(self.role, self.ca.der)

    def drop(self, serial="-"):
        self.rig.say("drop", self.role, "manufacturing", serial)
        self.settle()

    def not_asked(self):
        """What the core is told after a question would have been sent comes first."""
        self.settle()
        self.assertEqual(self.rig.count_asked(self.since), 0)

    def serve(self, request=None, issuer="manufacturing", **options):
        """One question all the way; what was answered."""
        waiting = self.rig.later(request or self.request)
        number, cert_id = self.asked()
        response = self.ca.respond(cert_id, **options)
        self.rig.answer(self.role, number, *response, issuer=issuer)
        self.assertEqual(waiting.result(PATIENCE).body, response[0])
        self.mark()
        return response[0]

    def said(self, request, body):
        """An error: never kept by anybody."""
        answer = self.rig.post(request)
        self.assertEqual((answer.status, answer.body), (200, body), answer)
        self.assertEqual(answer.headers["Content-Type"], "application/ocsp-response")
        self.assertEqual(answer.headers["Cache-Control"], "no-store")
        self.assertNotIn("ETag", answer.headers)


class Ocsp(OcspCase):
    def openssl(self, serial, *more):
        return subprocess.Popen(
            ["openssl", "ocsp", "-issuer", self.ca.pem, "-serial", str(serial), "-CAfile",
             self.ca.pem, "-url", f"http://127.0.0.1:{self.rig.port}/ocsp", *more],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def test_openssl_asks(self):
        for serial, status in ((SERIAL, "good"), (SERIAL + 1, "revoked")):
            self.mark()
            client = self.openssl(serial, "-no_nonce")
            number, cert_id = self.asked()
            self.rig.answer(self.role, number, *self.ca.respond(cert_id, [SERIAL + 1]))
            out, err = client.communicate(timeout=PATIENCE)
            self.assertIn(f"{serial}: {status}", out)
            self.assertIn("Response verify OK", err)
        self.mark()
        out, err = self.openssl(SERIAL).communicate(timeout=PATIENCE)  # with a nonce
        self.assertIn(f"{SERIAL}: good", out)
        self.assertIn("WARNING: no nonce in response", err)
        self.not_asked()

    def test_get_and_post_are_one(self):
        body = self.serve()
        text = base64.b64encode(self.request).decode()
        for path in (urllib.parse.quote(text, safe=""), text):
            answer = self.rig.ask(f"/ocsp/{path}")
            self.assertEqual((answer.status, answer.body), (200, body))
        self.assertEqual(self.rig.ask(f"/ocsp/{path}", "HEAD").body, b"")
        self.not_asked()

    def test_caching(self):
        """RFC 5019, 6.2."""
        body = self.serve(seconds=7200)
        path = "/ocsp/" + urllib.parse.quote(base64.b64encode(self.request).decode(), safe="")
        first = self.rig.ask(path)
        headers = first.headers
        self.assertEqual(headers["Content-Type"], "application/ocsp-response")
        self.assertEqual(headers["ETag"], f'"{hashlib.sha256(body).hexdigest()}"')
        self.assertEqual(headers["Cache-Control"],
                         "max-age=60, public, no-transform, must-revalidate")
        self.assertEqual(seconds_of(headers["Expires"]) - seconds_of(headers["Last-Modified"]),
                         7200)
        again = self.rig.ask(path, headers={"If-None-Match": headers["ETag"]})
        self.assertEqual((again.status, again.body), (304, b""))
        self.assertEqual(self.rig.post(self.request).status, 200)

    def test_equal_questions_are_one(self):
        waiting = [self.rig.later(self.request) for _ in range(40)]
        number, cert_id = self.asked()
        other = self.ca.request(SERIAL + 1)
        self.mark()
        waiting.append(self.rig.later(other))
        after, other_id = self.asked()
        self.assertNotEqual(cert_id, other_id)
        response = self.ca.respond(cert_id)
        self.rig.answer(self.role, number, *response)
        for one in waiting[:-1]:
            self.assertEqual(one.result(PATIENCE).body, response[0])
        self.assertFalse(waiting[-1].done())
        response = self.ca.respond(other_id)
        self.rig.answer(self.role, after, *response)
        self.assertEqual(waiting[-1].result(PATIENCE).body, response[0])
        self.assertEqual(self.rig.count_asked(self.since), 1)

    def test_too_many_questions(self):
        """Those under way are bounded; the next is told so at once."""
        plain = self.ca.request(SERIAL, "-no_nonce")
        requests = [plain.replace(SERIAL.to_bytes(16, "big"), (SERIAL + n).to_bytes(16, "big"))
                    for n in range(257)]
        waiting = [self.rig.later(r) for r in requests[:256]]
        until("all are asked", lambda: self.rig.count_asked(self.since) == 256)
        self.said(requests[256], TRY_LATER)
        for line in [x for x in self.rig.lines[self.since:] if x.startswith("asked ")]:
            self.rig.answer(self.role, int(line.split()[2]), TRY_LATER, 0, 0, good=False)
        for one in waiting:
            self.assertEqual(one.result(PATIENCE).body, TRY_LATER)
        self.mark()
        waiting = self.rig.later(requests[256])
        number, cert_id = self.asked()
        response = self.ca.respond(cert_id)
        self.rig.answer(self.role, number, *response)
        self.assertEqual(waiting.result(PATIENCE).body, response[0])

    def test_answers_end(self):
        """Before nextUpdate the next is asked for, and nobody waits for it; nothing is given
        beyond."""
        waiting = self.rig.later(self.request)
        number, cert_id = self.asked()
        body, now, _ = self.ca.respond(cert_id)
        self.rig.answer(self.role, number, body, now - 990_000, now + 10 * PATIENCE * 1000)
        self.assertEqual(waiting.result(PATIENCE).body, body)
        self.mark()
        self.assertEqual(self.rig.post(self.request).body, body)
        self.not_asked()
        self.drop()

        # Nearly all of its life is over.
        waiting = self.rig.later(self.request)
        number, _ = self.asked()
        self.rig.answer(self.role, number, body, now - 1000 * PATIENCE * 1000,
                        now + PATIENCE * 1000)
        self.assertEqual(waiting.result(PATIENCE).body, body)
        self.mark()
        self.assertEqual(self.rig.post(self.request).body, body)
        number, _ = self.asked()
        self.assertEqual(self.rig.post(self.request).body, body)
        self.assertEqual(self.rig.count_asked(self.since), 1)

        # The next is over soon, and there is no other.
        end = int(time.time() * 1000) + 1000
        self.rig.answer(self.role, number, body, end - 1000, end)
        self.settle()
        self.rig.say("unlink", self.role)
        until("it is not given any more", lambda: self.rig.post(self.request).body == TRY_LATER)
        self.assertGreaterEqual(time.time() * 1000, end)
        self.rig.link(self.role)
        self.settle()
        self.mark()
        self.serve()

    def test_drop(self):
        body = self.serve()
        other = self.ca.request(SERIAL + 1)
        kept = self.serve(other)
        foreign = self.ca.request(SERIAL, "-sha256")  # the same certificate, another CertID
        self.serve(foreign)
        self.drop(f"{SERIAL:032x}")
        self.assertNotEqual(self.serve(revoked=[SERIAL]), body)
        self.serve(foreign, revoked=[SERIAL])
        self.assertEqual(self.rig.post(other).body, kept)
        self.not_asked()

    def test_drop_of_an_issuer(self):
        self.serve()
        other = self.ca.request(SERIAL + 1)
        kept = self.serve(other, issuer="another")
        self.drop()
        self.serve()
        self.assertEqual(self.rig.post(other).body, kept)
        self.not_asked()

    def test_drop_while_it_is_asked(self):
        """What was asked before may be wrong now: neither given nor kept."""
        for serial in (f"{SERIAL:032x}", f"00{SERIAL:032x}", "-"):
            self.drop()
            self.mark()
            waiting = self.rig.later(self.request)
            before, cert_id = self.asked()
            self.mark()
            self.rig.say("drop", self.role, "manufacturing", serial)
            after, again = self.asked()
            self.assertEqual(again, cert_id)
            self.assertNotEqual(after, before)
            old, new = self.ca.respond(cert_id), self.ca.respond(cert_id, [SERIAL])
            self.rig.answer(self.role, before, *old)
            self.rig.answer(self.role, after, *new)
            self.assertEqual(waiting.result(PATIENCE).body, new[0])
            self.mark()
            self.assertEqual(self.rig.post(self.request).body, new[0])
            self.not_asked()

    def test_a_core_that_dies_over_a_question(self):
        waiting = self.rig.later(self.request)
        self.asked()
        self.rig.say("unlink", self.role)
        self.mark()
        self.rig.link(self.role)
        number, cert_id = self.asked()
        response = self.ca.respond(cert_id)
        self.rig.answer(self.role, number, *response)
        self.assertEqual(waiting.result(PATIENCE).body, response[0])

    def test_errors_are_not_kept(self):
        body = self.serve()
        self.drop()
        for error in (UNAUTHORIZED, TRY_LATER):
            self.mark()
            waiting = self.rig.later(self.request)
            number, _ = self.asked()
            self.rig.answer(self.role, number, error, 0, 0, good=False)
            self.assertEqual(waiting.result(PATIENCE).body, error)
        self.mark()
        self.assertNotEqual(self.serve(revoked=[SERIAL]), body)

    def test_requests_that_cannot_be_answered(self):
        self.said(b"", MALFORMED)
        self.said(b"no DER", MALFORMED)
        self.said(self.request[:-1], MALFORMED)
        two = self.ca.request(SERIAL, "-serial", str(SERIAL + 1))
        self.said(two, UNAUTHORIZED)  # RFC 5019, 2.1.1
        answer = self.rig.ask("/ocsp/" + base64.b64encode(two).decode())
        self.assertEqual((answer.status, answer.body), (200, UNAUTHORIZED))
        self.not_asked()

    def test_who_leaves(self):
        """A client that does not wait leaves nothing behind, and its answer is kept."""
        with socket.create_connection(("127.0.0.1", self.rig.port)) as sock:
            sock.sendall(b"POST /ocsp HTTP/1.1\r\nHost: x\r\nContent-Type: "
                         b"application/ocsp-request\r\nContent-Length: %d\r\n\r\n%s"
                         % (len(self.request), self.request))
            number, cert_id = self.asked()
        response = self.ca.respond(cert_id)
        self.rig.answer(self.role, number, *response)
        self.mark()
        self.assertEqual(self.rig.post(self.request).body, response[0])
        self.not_asked()


class Late(OcspCase):
    """Of a core that does not answer. So short a time may be over before a good answer is there, too:
    what needs one asks again."""
    core_seconds = 1

    def serve(self, request=None, issuer="manufacturing", **options):
        response = None

        def served():
            nonlocal response
            self.mark()
            waiting = self.rig.later(request or self.request)
            number, cert_id = self.asked()
            response = response or self.ca.respond(cert_id, **options)
            self.rig.answer(self.role, number, *response, issuer=issuer)
            return waiting.result(PATIENCE).body == response[0]
        until("the answer is in time", served)
        self.mark()
        return response[0]

    def test_a_core_that_is_late(self):
        waiting = self.rig.later(self.request)
        number, cert_id = self.asked()
        self.assertEqual(waiting.result(PATIENCE).body, TRY_LATER)
        self.mark()
        self.rig.answer(self.role, number, *self.ca.respond(cert_id))
        self.settle()
        self.serve()

    def test_while_the_core_is_away(self):
        body = self.serve()
        self.rig.say("unlink", self.role)
        other = self.ca.request(SERIAL + 1)
        until("the role has seen it", lambda: self.rig.post(other).body == TRY_LATER)
        self.assertEqual(self.rig.post(self.request).body, body)
        self.rig.link(self.role)
        self.settle()
        self.mark()
        # What the old core had to say may be lost: the new one is asked, and stood in for.
        waiting = self.rig.later(self.request)
        self.asked()
        self.assertEqual(waiting.result(PATIENCE).body, body)
        self.mark()
        self.assertNotEqual(self.serve(revoked=[SERIAL]), body)
        self.rig.post(self.request)
        self.not_asked()


class Bounds(Case):
    options = {"max_connections": 8}

    def connection(self):
        sock = socket.create_connection(("127.0.0.1", self.rig.port), timeout=PATIENCE)
        self.addCleanup(sock.close)
        return sock

    def test_connections(self):
        """More than there may be are closed, and when others end there is room again."""
        crl = self.ca.crl(1)
        self.assertEqual(self.rig.publish(self.role, "crl", 1, crl), "good ")
        held = [self.connection() for _ in range(8)]
        over = self.connection()
        self.assertEqual(over.recv(1), b"")
        for sock in held:
            sock.close()

        def serves():
            try:
                return self.rig.ask("/manufacturing.crl").body == crl
            except OSError:
                return False
        until("there is room again", serves)

    def test_slow_requests_end(self):
        """An octet now and then does not hold a connection."""
        started = time.monotonic()
        slow = [self.connection() for _ in range(3)]
        texts = [b"GET /manufacturing.crl HTTP/1.1\r\nHost: " + b"x" * 4000,
                 b"POST /ocsp HTTP/1.1\r\nHost: x\r\nContent-Type: application/ocsp-request\r\n"
                 b"Content-Length: 4000\r\n\r\n" + b"x" * 3900, b""]
        ended = set()
        while len(ended) < len(slow):
            self.assertLess(time.monotonic() - started, 2 * PATIENCE)  # each octet would take more
            for i, sock in enumerate(slow):
                if i in ended:
                    continue
                sock.settimeout(0.2)
                try:
                    sock.sendall(texts[i][:1])
                    texts[i] = texts[i][1:]
                    if sock.recv(1) == b"":
                        ended.add(i)
                except TimeoutError:
                    pass
                except OSError:
                    ended.add(i)
        self.assertGreater(time.monotonic() - started, 10)


class Whole(harness.Case):
    """With its supervisor and a real core."""
    publishing = {"url": "http://status.test"}

    def ready(self):
        return json.loads(self.server.ready_file.read_text())

    def replaced(self, old):
        """The ready file, once it names another process (or none, when old is None)."""
        def look():
            try:
                ready = self.ready()
            except (OSError, json.JSONDecodeError):
                return None
            if old is None:
                return "status" not in ready
            return ready.get("status", old) != old and ready
        return until("another status role is ready", look)

    def get(self, path="/manufacturing.cer", port=None):
        connection = http.client.HTTPConnection("127.0.0.1", port or self.ready()["status_port"],
                                                timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request("GET", path)
            return Answer(connection.getresponse())

    def setUp(self):
        until("all is published", lambda: self.get("/manufacturing.crl").status == 200)
        self.certificate = openssl("x509", "-in", self.site.issuer, "-outform", "DER")

    def hup(self):
        self.server.process.send_signal(signal.SIGHUP)

    def test_ready_file(self):
        ready = self.ready()
        self.assertEqual(self.server.pids("status"), [ready["status"]])
        self.assertEqual(self.get().body, self.certificate)
        self.assertNotEqual(ready["status_port"], ready["port"])

    def test_reload_loses_no_request(self):
        """The old process serves until the new one does, on the same socket, and finishes what is
        under way; kept connections are closed between requests at most."""
        ready = self.ready()
        over, wrong = threading.Event(), []

        def ask():
            while not over.is_set():
                answer = self.get(port=ready["status_port"])
                if answer.body != self.certificate:
                    wrong.append(answer)
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(3):
                before = self.ready()["status"]
                self.hup()
                self.assertEqual(self.replaced(before)["status_port"], ready["status_port"])
                until("the old one has ended", lambda: before not in self.server.pids())
        finally:
            over.set()
            for thread in threads:
                thread.join()
        self.assertEqual(wrong, [])
        self.assertEqual(self.server.pids("status"), [self.ready()["status"]])

    def test_a_killed_one_is_replaced(self):
        before = self.ready()
        os.kill(before["status"], signal.SIGKILL)
        self.assertEqual(self.replaced(before["status"])["status_port"], before["status_port"])
        self.assertEqual(self.get().body, self.certificate)

    def test_it_serves_while_others_hang(self):
        crl = self.get("/manufacturing.crl").body
        ready = self.ready()
        stopped = [ready["core"], ready["signer"]]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            os.kill(ready["status"], signal.SIGKILL)
            until("another serves", lambda: [p for p in self.server.pids("status")
                                             if p != ready["status"]])
            self.assertEqual(self.get("/manufacturing.crl").body, crl)
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
        self.replaced(ready["status"])

    def test_reload_takes_it_away_and_brings_it_back(self):
        before = self.ready()
        text = self.site.config.read_text()
        self.site.config.write_text(text.replace("  url:", "  #url:"))
        try:
            self.hup()
            self.replaced(None)
            self.assertEqual(self.server.pids("status"), [])
            self.assertNotIn("status_port", self.ready())
            with contextlib.suppress(OSError, http.client.HTTPException):  # another's by now
                self.assertNotEqual(self.get(port=before["status_port"]).body, self.certificate)
        finally:
            self.site.config.write_text(text)
            self.hup()
        self.replaced(before["status"])
        self.assertEqual(self.get().body, self.certificate)

    def test_a_port_that_is_taken_changes_nothing(self):
        before = self.ready()
        text = self.site.config.read_text()
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            log = self.server.log.stat().st_size
            head, tail = text.split("\nstatus:\n")
            self.site.config.write_text(head + "\nstatus:\n" + tail.replace(
                "port: 0", f"port: {port}", 1))
            try:
                self.hup()
                until("the log says that nothing changed", lambda: "configuration is as before" in
                      self.server.log.read_text()[log:])
                self.assertIn(f"cannot listen on 127.0.0.1 port {port}",
                              self.server.log.read_text()[log:])
            finally:
                self.site.config.write_text(text)
        self.assertEqual(self.ready(), before)
        self.assertEqual(self.get().body, self.certificate)


if __name__ == "__main__":
    main()
