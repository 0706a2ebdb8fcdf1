# SPDX-License-Identifier: Apache-2.0
"""A lost answer never costs a second certificate: the connection is cut after every octet of the
response (of what comes over TCP, TLS records and all), then the same request is sent again."""

import base64
import socket
import ssl
import struct
from concurrent.futures import ThreadPoolExecutor

from harness import (Case, Key, PATIENCE, SLOW, WELL_KNOWN, basic, body_of, main, point_in,
                     subject_of, until)

STRIDE = 97 if SLOW else 1
PATH = f"{WELL_KNOWN}/ldevid/"


class Cable:
    """TLS whose octets pass through the test, so that it can be cut anywhere."""

    def __init__(self, port, root, cert=None, key=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(root)
        if cert:
            context.load_cert_chain(cert, key)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="127.0.0.1")
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.flush()
                self.incoming.write(self.sock.recv(65536))
        self.flush()

    def flush(self):
        self.sock.sendall(self.outgoing.read())

    def send(self, octets):
        self.tls.write(octets)
        self.flush()

    def take(self, count):
        """count octets as they come from the wire; fewer at its end."""
        got = b""
        while len(got) < count:
            part = self.sock.recv(count - len(got))
            if not part:
                break
            got += part
        return got

    def length(self):
        """Octets of a whole response on the wire."""
        text, total = b"", 0
        while True:
            part = self.sock.recv(1)
            total += len(part)
            self.incoming.write(part)
            try:
                text += self.tls.read(65536)
            except ssl.SSLWantReadError:
                continue
            head, _, body = text.partition(b"\r\n\r\n")
            size = int(head.lower().split(b"content-length:")[1].split()[0])
            if len(body) == size:
                return total

    def cut(self):
        """A reset: what is on its way is lost."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def request(operation, body, user=None, secret=None):
    lines = [f"POST {PATH}{operation} HTTP/1.1", "Host: 127.0.0.1",
             "Content-Type: application/pkcs10", f"Content-Length: {len(body)}",
             "Connection: close"]
    if user:
        lines.append(f"Authorization: {basic(user, secret)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Retry(Case):
    def issued(self, device=None):
        return [x for x in self.server.leaves() if x["event"] == "issued"
                and device in (None, x.get("device"))]

    def ask(self, *args, **kw):
        """As devices do: again while the same request is under way."""
        return self.until_answered(lambda: self.server.enroll("ldevid", *args, **kw))

    def until_answered(self, ask):
        def answered():
            answer = ask()
            return answer if answer.status not in (409, 503) else None
        return until("it is answered", answered)

    def cut_once(self, device, cut):
        """One new key's request: cut in the answer, then asked for twice more."""
        cert, key, subject = device
        who = {"cert": cert, "key": key.path}
        _, der = Key.with_csr(self.site.folder, f"cut{cut}", subject)
        body = body_of(der)
        cable = Cable(self.server.port, self.site.root, **who)
        cable.send(request("simplereenroll", body))
        got = cable.take(cut)
        cable.cut()
        # Signatures differ in length by a few octets: the last cuts may be after the end.
        self.assertGreater(len(got), cut - 16)
        with self.server.connect(**who) as connection:
            answers = [self.until_answered(lambda: connection.ask(
                "POST", PATH + "simplereenroll", body, {"Content-Type": "application/pkcs10"}))
                       for _ in range(2)]
        for answer in answers:
            self.assertEqual(answer.status, 200, f"after a cut at {cut}: {answer}")
        self.assertEqual(answers[0].body, answers[1].body, f"after a cut at {cut}")
        self.assertEqual(point_in(base64.b64decode(answers[0].body)), point_in(der))

    def test_reenroll_cut_after_every_octet(self):
        """Eight devices share the work; each does one thing after the other, as devices do."""
        devices = []
        for i in range(8):
            cert, key = self.server.enrolled(f"R{i:04}")
            devices.append((cert, key, subject_of(cert.read_text())))
        cert, key, subject = devices[0]
        probe = Cable(self.server.port, self.site.root, cert, key.path)
        probe.send(request("simplereenroll", body_of(key.csr(subject))))
        length = probe.length()
        probe.cut()
        cuts = list(range(0, length + 1, STRIDE))
        before = len(self.issued())

        def work(i):
            for cut in cuts[i::len(devices)]:
                self.cut_once(devices[i], cut)
        with ThreadPoolExecutor(len(devices)) as pool:
            list(pool.map(work, range(len(devices))))
        print(f"cut at {len(cuts)} places of {length} octets", flush=True)
        self.assertEqual(len(self.issued()) - before, len(cuts))

    def test_first_enrollment_cut_and_sent_again(self):
        for i in range(0, 1400, 1400 if SLOW else 70):
            name = f"F{i:04}"
            secret = self.server.add_device(name)
            new = Key(self.site.folder, name)
            body = body_of(new.csr(f"/CN={name}"))
            cable = Cable(self.server.port, self.site.root)
            cable.send(request("simpleenroll", body, name, secret))
            cable.take(i)
            cable.cut()
            first, second = (self.ask(None, name, secret, body=body) for _ in range(2))
            self.assertEqual(first.status, 200, first)
            self.assertEqual(first.body, second.body)
            self.assertEqual(len(self.issued(name)), 1)
            self.assertEqual(self.server.device(name)["secret"], "used")

    def test_another_signature_over_the_same_request(self):
        """ECDSA signs anew each time: what is asked for, not its octets, makes it the same."""
        secret = self.server.add_device("S0001")
        new = Key(self.site.folder, "S0001")
        one, two = new.csr("/CN=S0001"), new.csr("/CN=S0001")
        self.assertNotEqual(one, two)
        bodies = [self.server.enroll("ldevid", der, "S0001", secret).body for der in (one, two)]
        self.assertEqual(bodies[0], bodies[1])
        self.assertEqual(len(self.issued("S0001")), 1)

    def test_the_same_request_at_once(self):
        """Ten connections ask for the same at the same time."""
        secret = self.server.add_device("P0001")
        der = Key(self.site.folder, "P0001").csr("/CN=P0001")

        with ThreadPoolExecutor(10) as pool:
            answers = list(pool.map(lambda _: self.ask(der, "P0001", secret), range(10)))
        self.assertEqual({a.status for a in answers}, {200})
        self.assertEqual(len({a.body for a in answers}), 1)
        self.assertEqual(len(self.issued("P0001")), 1)


if __name__ == "__main__":
    main()
