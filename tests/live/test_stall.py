# SPDX-License-Identifier: Apache-2.0
"""Clients that stop in the middle: 400 connections each with half a ClientHello, half a header or
half a body. Others are served as before, the server's CPU stays near zero, and each connection
is closed at its deadline."""

import select
import socket
import ssl
import time

from harness import Case, Key, WELL_KNOWN, basic, body_of, main

COUNT = 400
# Seconds; set for handshake, header and body below. On a busy machine 400 handshakes alone take four.
DEADLINE = 10
SLACK = 2.5


class Stall(Case):
    listen = {"handshake_timeout": f"{DEADLINE}s", "header_timeout": f"{DEADLINE}s",
              "body_timeout": f"{DEADLINE}s", "idle_timeout": "60s"}

    def half_hello(self):
        """The first half of a real ClientHello."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        hello = outgoing.read()
        sock = socket.create_connection(("127.0.0.1", self.server.port))
        sock.sendall(hello[:len(hello) // 2])
        return sock

    def after_handshake(self, octets):
        connection = self.server.connect()
        connection.send(octets)
        return connection.sock

    def half_header(self):
        return self.after_handshake(
            f"POST {WELL_KNOWN}/ldevid/simpleenroll HTTP/1.1\r\nHost: h\r\nContent-".encode())

    def half_body(self):
        return self.after_handshake(
            f"POST {WELL_KNOWN}/ldevid/simpleenroll HTTP/1.1\r\nHost: h\r\n"
            "Content-Type: application/pkcs10\r\nContent-Length: 400\r\n\r\n".encode() + b"A" * 200)

    def serve_others(self, device):
        """Seconds that one enrollment takes meanwhile, on a new connection."""
        name, secret, key = device
        start = time.monotonic()
        with self.server.connect() as c:
            answer = c.ask("POST", f"{WELL_KNOWN}/ldevid/simpleenroll", body_of(key),
                           {"Content-Type": "application/pkcs10",
                            "Authorization": basic(name, secret)})
        self.assertEqual(answer.status, 200, answer)
        return time.monotonic() - start

    def stall(self, kind, make):
        devices = []
        for i in range(12):
            name = f"{kind}{i:02}"
            devices.append((name, self.server.add_device(name),
                            Key(self.site.folder, name).csr(f"/CN={name}")))
        alone = sorted(self.serve_others(d) for d in devices[:6])[3]
        stalled, closed, began = {}, [], {}
        poll = select.poll()
        for _ in range(COUNT):
            sock = make()
            stalled[sock.fileno()] = sock
            began[sock.fileno()] = time.monotonic()
            poll.register(sock, select.POLLIN | select.POLLHUP)
        # Nothing is asked of the server now: what it uses, it uses for the stalled ones.
        self.assertEqual([fd for fd, _ in poll.poll(0) if self.is_closed(stalled[fd])], [],
                         "closed before the deadline")
        cpu, start = self.server.cpu(), time.monotonic()
        last = max(began.values())
        quiet = max(0.5, min(began.values()) + DEADLINE - start - 0.5)
        poll_until = start + quiet
        while time.monotonic() < poll_until:
            for fd, _ in poll.poll(100):
                self.assertFalse(self.is_closed(stalled[fd]), "closed before the deadline")
        share = (self.server.cpu() - cpu) / 1e9 / (time.monotonic() - start)
        print(f"{kind}: {COUNT} stalled, CPU {share * 100:.2f} %", flush=True)
        self.assertLess(share, 0.05)
        meanwhile = sorted(self.serve_others(d) for d in devices[6:])[3]
        print(f"{kind}: an enrollment takes {meanwhile * 1000:.1f} ms, {alone * 1000:.1f} ms alone",
              flush=True)
        self.assertLess(meanwhile, alone * 3 + 0.05)
        while stalled and time.monotonic() < last + DEADLINE + SLACK:
            for fd, _ in poll.poll(100):
                if self.is_closed(stalled[fd]):
                    closed.append(time.monotonic() - began[fd])
                    poll.unregister(fd)
                    stalled.pop(fd).close()
        self.assertEqual(len(closed), COUNT, f"{len(stalled)} are still open after the deadline")
        print(f"{kind}: closed after {min(closed):.1f} to {max(closed):.1f} s", flush=True)
        self.assertGreater(min(closed), DEADLINE - 0.5)

    @staticmethod
    def is_closed(sock):
        """Reads what there is (session tickets, an alert, 408) until nothing or the end."""
        sock.setblocking(False)
        try:
            while True:
                if not socket.socket.recv(sock, 65536):
                    return True
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True

    def test_half_a_client_hello(self):
        self.stall("hello", self.half_hello)

    def test_half_a_header(self):
        self.stall("header", self.half_header)

    def test_half_a_body(self):
        self.stall("body", self.half_body)


if __name__ == "__main__":
    main()
