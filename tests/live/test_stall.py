# SPDX-License-Identifier: Apache-2.0
"""Clients that stop in the middle: hundreds of connections with half a ClientHello, half a header or
half a body. Others are served meanwhile, the server's CPU stays near zero, and each connection
is closed, after its deadline and not before."""

import collections
import select
import socket
import ssl
import time

from harness import SLOW, Case, Key, WELL_KNOWN, main, until

COUNT = 40 if SLOW else 130  # of each kind
QUIET = 3  # seconds for which the server's CPU is looked at
DEADLINE = 30 if SLOW else 15  # seconds; set for handshake, header and body below


class Stall(Case):
    listen = {"handshake_timeout": f"{DEADLINE}s", "header_timeout": f"{DEADLINE}s",
              "body_timeout": f"{DEADLINE}s"}

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
        """One enrollment, on a new connection."""
        name, secret, csr = device
        answer = self.server.enroll("ldevid", csr, name, secret)
        self.assertEqual(answer.status, 200, answer)

    def devices(self, count):
        for i in range(count):
            name = f"D{i:02}"
            yield name, self.server.add_device(name), Key(self.site.folder, name).csr(f"/CN={name}")

    def closed_among(self, stalled, poll, ms):
        """Takes out what is closed by now; it is not closed before its time."""
        for fd, _ in poll.poll(ms):
            sock, began, kind = stalled[fd]
            if self.is_closed(sock):
                self.assertGreaterEqual(time.monotonic() - began, DEADLINE, f"half a {kind}")
                poll.unregister(fd)
                stalled.pop(fd)[0].close()

    def test_connections_that_stop_in_the_middle(self):
        devices = list(self.devices(6))
        stalled, poll = {}, select.poll()
        for _ in range(COUNT):
            for kind, make in (("hello", self.half_hello), ("header", self.half_header),
                               ("body", self.half_body)):
                began = time.monotonic()
                sock = make()
                stalled[sock.fileno()] = sock, began, kind
                poll.register(sock, select.POLLIN | select.POLLHUP)
        for device in devices:
            self.serve_others(device)
        # Nothing is asked of the server now: what it uses, it uses for the stalled ones.
        cpu, start, held = self.server.cpu(), time.monotonic(), len(stalled)
        while stalled and time.monotonic() < start + QUIET:
            self.closed_among(stalled, poll, 100)
        share = (self.server.cpu() - cpu) / 1e9 / (time.monotonic() - start)
        print(f"{held} stalled, CPU {share * 100:.2f} %", flush=True)
        self.assertLess(share, 0.25, "who waits for deadlines needs no processor")
        until(lambda: f"all are closed; {collections.Counter(k for _, _, k in stalled.values())} "
              "are left", lambda: self.closed_among(stalled, poll, 100) or not stalled)
        print(f"closed after {time.monotonic() - start:.1f} s at most", flush=True)

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


if __name__ == "__main__":
    main()
