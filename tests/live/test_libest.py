# SPDX-License-Identifier: Apache-2.0
"""Cisco's libest: devices on our library at its estserver, our server in front of it as
registration authority, and its estclient at our server. What they could do is written to
docs/interop.md, which is committed: when it changes, this test fails once and leaves the new one
there to be looked at.

Debian 13 has libest. Where this machine has not, it is run in a small Debian 13 of its own.
"""

import base64
import ctypes
import fcntl
import pathlib
import re
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import unittest

from harness import (PATIENCE, Case, Connection, Key, certificates_in, finish, main, openssl,
                     public_of, run, serial_of, subject_of, until)
from ra import Ra, RaSite
from test_device import Unit, serial
from test_image import make_debian
from test_interop import CMC, DOCUMENT, LIBEST, OPERATIONS

PACKAGE = "libest-utils"
# estserver knows this one user.
USER, PASSWORD = "estuser", "estpwd"
CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1

CA_CONFIG = """\
[ca]
default_ca = foreign
[foreign]
database = {folder}/index.txt
serial = {folder}/serial
new_certs_dir = {folder}/issued
certificate = {folder}/ca.pem
private_key = {folder}/ca.key
default_days = 30
default_md = sha256
policy = any
email_in_dn = no
unique_subject = no
copy_extensions = none
x509_extensions = device
[any]
commonName = supplied
serialNumber = optional
[device]
basicConstraints = CA:FALSE
keyUsage = digitalSignature
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""

# Why something does not work, as the document says it.
CAUSES = {
    "http": "`estclient` asks in HTTP/1.0 and knows no answer whose status line does not say "
            "HTTP/1.0 too; ours says HTTP/1.1 (RFC 9110, 6.2).",
    "extensions": "`estclient` copies every extension of the old certificate into the request, "
                  "authorityKeyIdentifier too, which our server refuses as one that no profile "
                  "sets.",
    "closed": "`estserver` ends each connection with its answer, and a device has the channel "
              "binding from the answer to cacerts: there is no connection left that a request "
              "could be bound to. The device sends unbound requests, which an `estserver -t` "
              "refuses, or none when it was told to bind them.",
    "version": "libest speaks TLS 1.2 only.",
}
# How it shows in what libest or our server says.
SIGNS = {
    "http": r"Unhandled HTTP response HTTP/1\.1 ",
    "extensions": r"refused: the request asks for extension \S+ \(authorityKeyIdentifier\)",
    "version": r"TLSV1_ALERT_PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL",
}


def private_network():
    """estserver listens on every address there is: this test gets a network with only one."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    with socket.socket() as sock:
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def unused_port():
    """In a network where nobody else takes one."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


class Libest:
    """Where libest's programs run."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="touchmark-libest-"))
        status = run("dpkg-query", "--show", "--showformat", "${Status}", PACKAGE, check=False)
        self.prefix, self.root = [], pathlib.Path("/")
        if not status.stdout.endswith(b" installed"):
            self.root = self.folder / "debian"
            make_debian(self.root, f"--include={PACKAGE}")
            self.prefix = ["chroot", str(self.root)]
        self.version = re.match(r"[\d.]+", run(
            *self.prefix, "dpkg-query", "--show", "--showformat", "${Version}",
            PACKAGE).stdout.decode()).group()
        # Has one name inside and outside.
        self.shared = self.root / str(self.folder).lstrip("/") / "shared"
        self.shared.mkdir(parents=True)

    def inside(self, path):
        return pathlib.Path("/") / path.relative_to(self.root)

    def command(self, env, *args):
        return [*self.prefix, "env", *(f"{k}={v}" for k, v in env.items()), *map(str, args)]

    def remove(self):
        shutil.rmtree(self.folder)


class Foreign:
    """estserver with a CA of its own."""

    def __init__(self, libest, password, *options):
        self.password = password
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="estserver-", dir=libest.shared))
        self.make_ca(libest.inside(self.folder))
        self.port = unused_port()
        inside = libest.inside(self.folder)
        env = {"EST_TRUSTED_CERTS": inside / "ca.pem", "EST_CACERTS_RESP": inside / "ca.pem",
               "EST_OPENSSL_CACONFIG": inside / "ca.cnf"}
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                libest.command(env, "estserver", "-c", inside / "tls.pem", "-k",
                               inside / "tls.key", "-r", "touchmark", "-o", "-p", self.port,
                               *options),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until(lambda: f"estserver is ready: {self.log()}", self.is_ready)

    def make_ca(self, inside):
        f = self.folder
        make_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        openssl("req", "-x509", *make_key, "-days", "30", "-subj", "/CN=Foreign CA", "-addext",
                "keyUsage=critical,keyCertSign,cRLSign", "-keyout", f / "ca.key", "-out",
                f / "ca.pem")
        csr = openssl("req", "-new", *make_key, "-subj", "/CN=estserver", "-keyout", f / "tls.key")
        (f / "tls.cnf").write_text("subjectAltName=IP:127.0.0.1\nauthorityKeyIdentifier=keyid\n")
        (f / "tls.pem").write_bytes(openssl(
            "x509", "-req", "-CA", f / "ca.pem", "-CAkey", f / "ca.key", "-CAcreateserial",
            "-days", "2", "-extfile", f / "tls.cnf", stdin=csr))
        (f / "ca.cnf").write_text(CA_CONFIG.format(folder=inside))
        (f / "issued").mkdir()
        (f / "index.txt").touch()
        (f / "serial").write_text("1000\n")

    @property
    def root(self):
        return self.folder / "ca.pem"

    def log(self):
        return (self.folder / "log").read_text(errors="replace")[-4000:]

    def is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"estserver ended:\n{self.log()}")
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    def add_device(self, _name):
        """Nobody is registered: it knows USER. This is what the device gets as the secret."""
        return self.password

    def issued(self):
        """Serial numbers that its CA's database has, oldest first."""
        lines = (self.folder / "index.txt").read_text().splitlines()
        return [line.split("\t")[3].lower() for line in lines]

    def stop(self):
        self.process.kill()
        self.process.wait()


def setUpModule():
    global libest
    libest = Libest()
    unittest.addModuleCleanup(libest.remove)
    private_network()


def tearDownModule():
    text = document()
    own, mark, rest = DOCUMENT.read_text().partition(LIBEST)
    theirs, next_mark, others = rest.partition(CMC)
    if text != mark + theirs:
        DOCUMENT.write_text(own + text + next_mark + others)
        raise AssertionError(f"{DOCUMENT} was not what this run shows; it is now:\n{text}")


# ---- the document ----

DEVICE, CLIENT = "our device library at `estserver`", "`estclient` at our server"
AUTHORITY = "our server as registration authority of `estserver`"
COLUMNS = (*OPERATIONS, "bound to TLS", "TLS 1.3")
results = {DEVICE: {}, CLIENT: {}, AUTHORITY: {}}  # column -> "yes", or one of CAUSES


def cause_of(said, *causes):
    for cause in causes:
        if re.search(SIGNS[cause], said):
            return cause
    raise AssertionError(f"it failed in a new way:\n{said}")


def document():
    lines = [LIBEST.rstrip("\n"), "",
             f"Cisco's libest {libest.version} (Debian package `{PACKAGE}`), written by "
             "`tests/live/test_libest.py`. The first",
             "enrollment is by HTTP Basic, the renewal by the certificate that this gave; "
             "`estserver` runs with `-o`.", "",
             "| | " + " | ".join(COLUMNS) + " |", "|---|" + "---|" * len(COLUMNS)]
    notes = []
    for row, columns in results.items():
        cells = []
        for column in COLUMNS:
            cause = columns.get(column, "-")
            if cause in CAUSES and cause not in notes:
                notes.append(cause)
            cells.append(f"no ({notes.index(cause) + 1})" if cause in CAUSES else cause)
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    lines.append("")
    lines += [f"{i}. {CAUSES[cause]}" for i, cause in enumerate(notes, 1)]
    return "\n".join(lines) + "\n"


class Devices(unittest.TestCase):
    """Our devices at estserver, which is to a Unit both the site and the server of its test."""

    def unit(self, *server_options, options=(), password=PASSWORD):
        self.site = self.server = Foreign(libest, password, *server_options)
        self.addCleanup(self.server.stop)
        return Unit(self, USER, idevid=None, ldevid="", options=options).provision()

    def check_issued(self, unit, status, count):
        serials = self.server.issued()
        self.assertEqual(len(serials), count)
        self.assertEqual(serial(status), serials[-1])
        path = unit.folder / "leaf.pem"
        path.write_bytes(unit.certificate(status))
        openssl("verify", "-purpose", "sslclient", "-CAfile", self.server.root, path)

    def test_enrolls_and_renews(self):
        unit = self.unit()
        kinds, first = unit.do("run")
        self.assertEqual(kinds, ["enrolled", "bootstrap-erased"])
        self.check_issued(unit, first, 1)
        self.assertFalse(unit.has_bootstrap())
        kinds, second = unit.do("renew")
        self.assertEqual(kinds, ["renewed"])
        self.check_issued(unit, second, 2)
        self.assertNotEqual(unit.public(first), unit.public(second))
        kinds, third = unit.do("--keep-key", "renew")
        self.assertEqual(kinds, ["renewed"])
        self.check_issued(unit, third, 3)
        self.assertEqual(unit.public(second), unit.public(third))
        for operation in ("cacerts", "simpleenroll", "simplereenroll"):
            results[DEVICE][operation] = "yes"

    def test_wrong_password_is_refused(self):
        unit = self.unit(password="another")
        unit.do("run", "--stop-at", "failed")
        self.assertEqual(unit.events[-1]["text"], "HTTP status 401")
        self.assertTrue(unit.has_bootstrap())
        self.assertEqual(self.server.issued(), [])

    def test_binding_to_the_connection(self):
        unit = self.unit("-t")
        unit.do("run", "--stop-at", "failed")
        self.assertEqual(unit.events[-1]["text"], "HTTP status 401")
        self.assertEqual(self.server.issued(), [])
        unit = self.unit(options=("--linking", "required"))
        unit.do("run", "--stop-at", "failed")
        self.assertEqual(unit.events[-1]["text"],
                         "the connection has no channel binding (RFC 7030, 3.5)")
        self.assertEqual(self.server.issued(), [])
        results[DEVICE]["bound to TLS"] = "closed"

    def test_tls_versions(self):
        self.unit()
        with Connection(self.server.port, self.server.root, version=ssl.TLSVersion.TLSv1_2) as c:
            self.assertEqual(c.sock.version(), "TLSv1.2")
        try:
            Connection(self.server.port, self.server.root,
                       version=ssl.TLSVersion.TLSv1_3).close()
            results[DEVICE]["TLS 1.3"] = "yes"
        except ssl.SSLError as error:
            results[DEVICE]["TLS 1.3"] = cause_of(str(error), "version")


class Authority(unittest.TestCase):
    """Our server, whose certificates estserver's CA signs: it is asked by simpleenroll for first
    ones and for renewals."""

    def setUp(self):
        self.foreign = Foreign(libest, PASSWORD)
        self.addCleanup(self.foreign.stop)
        password = self.foreign.folder / "password"
        password.write_text(PASSWORD + "\n")
        password.chmod(0o600)
        site = RaSite(self.foreign.root, None,
                      {"url": f"https://127.0.0.1:{self.foreign.port}/.well-known/est",
                       "anchors": self.foreign.root, "user": USER, "password_file": password},
                      listen={"workers": 1})
        self.addCleanup(site.remove)
        self.ra = Ra(site)
        self.addCleanup(self.ra.kill)
        self.ra.start()

    def check(self, pem, key, name, count):
        path = self.ra.site.folder / f"{name}-{count}.pem"
        path.write_text(pem)
        openssl("verify", "-purpose", "sslclient", "-CAfile", self.foreign.root, path)
        self.assertEqual(public_of(pem), key.public())
        serials = self.foreign.issued()
        self.assertEqual((len(serials), serial_of(pem)), (count, serials[-1]))
        self.assertEqual(self.ra.issued_leaf(name)["reason"],
                         f"issuer factory signed it as {serial_of(pem)}")
        return path

    def test_enrolls_and_renews(self):
        name = "A0001"
        secret = self.ra.add_device(name)
        key, new = (Key(self.ra.site.folder, f"{name}-{i}") for i in (1, 2))
        # The CA has the names from the request; they are to be the profile's.
        der = key.csr(f"/CN={name}/serialNumber={name}")
        answer = self.ra.enroll("ldevid", der, name, secret)
        self.assertEqual(answer.status, 200, f"{answer}\n{self.ra.tail()}\n{self.foreign.log()}")
        path = self.check(answer.pem(), key, name, 1)
        self.assertEqual(self.ra.enroll("ldevid", der, name, secret).pem(), answer.pem())
        renewed = self.ra.enroll("ldevid", new.csr(subject_of(answer.pem())), cert=path,
                                 key=key.path, operation="simplereenroll")
        self.assertEqual(renewed.status, 200, renewed)
        self.check(renewed.pem(), new, name, 2)
        for operation in ("simpleenroll", "simplereenroll"):
            results[AUTHORITY][operation] = "yes"
        self.assertEqual(certificates_in(self.ra.ask("GET", "/.well-known/est/ldevid/cacerts").body),
                         [self.foreign.root.read_text()])
        self.ra.stop()
        finish(self.ra)


class Clients(Case):
    """estclient at our server. It knows no labels; its exit status says nothing."""

    def ask(self, folder, *args, port=None):
        """(what is there of its answers, what it said)"""
        at = libest.shared / folder
        at.mkdir(exist_ok=True)
        (at / "root.pem").write_bytes(self.site.root.read_bytes())
        before = self.server.head()
        done = run(*libest.command({"EST_OPENSSL_CACERT": libest.inside(at) / "root.pem"},
                                   "estclient", "-v", "-s", "127.0.0.1", "-p",
                                   port or self.server.port, "-o", libest.inside(at), *args),
                   check=False)
        said = (done.stdout + done.stderr).decode(errors="replace")
        said += "".join(f"refused: {leaf['reason']}\n" for leaf in self.server.leaves(before)
                        if leaf["event"] == "refused")
        return at, said

    def read(self, at, name, said, column, *causes):
        """The file that an operation is to make; without it the cause has to be a known one."""
        path = at / name
        if path.exists():
            results[CLIENT][column] = "yes"
            return path.read_bytes()
        results[CLIENT][column] = cause_of(said, *causes)
        return None

    def check_certificate(self, body, key, name):
        [pem] = certificates_in(body)
        path = self.site.folder / f"{name}.pem"
        path.write_text(pem)
        openssl("verify", "-CAfile", self.site.root, "-untrusted", self.site.issuer, path)
        self.assertEqual(public_of(pem), key.public())
        statuses = {x["serial"]: x["status"] for x in self.server.device(name)["certificates"]}
        self.assertEqual(statuses[serial_of(pem)], "active")

    def test_cacerts(self):
        at, said = self.ask("cacerts", "-g")
        body = self.read(at, "cacert-0-0.pkcs7", said, "cacerts", "http")
        if body:
            self.assertEqual(len(certificates_in(body)), 2)

    def test_csrattrs(self):
        at, said = self.ask("csrattrs", "-a")
        body = self.read(at, "csr-0-0.base64", said, "csrattrs", "http")
        if body:
            openssl("asn1parse", "-inform", "DER", stdin=base64.b64decode(body))

    def enroll(self, name, column, *options):
        secret = self.server.add_device(name)
        at = libest.shared / name
        at.mkdir()
        key = Key(at, "device")
        _, said = self.ask(name, "-e", "-u", name, "-h", secret, "--common-name", name, "-x",
                           libest.inside(key.path), *options)
        body = self.read(at, "cert-0-0.pkcs7", said, column, "http")
        if body:
            self.check_certificate(body, key, name)
        return said

    def test_simpleenroll(self):
        self.enroll("L0001", "simpleenroll")

    def test_binding_to_the_connection(self):
        said = self.enroll("L0002", "bound to TLS", "-z")
        if results[CLIENT]["bound to TLS"] == "yes":
            self.assertIn("include challengePassword", said)

    def test_simplereenroll(self):
        path, key = self.server.enrolled("L0003")
        at = libest.shared / "L0003"
        at.mkdir()
        shutil.copy(path, at / "device.pem")
        shutil.copy(key.path, at / "device.key")
        _, said = self.ask("L0003", "-r", "-c", libest.inside(at / "device.pem"), "-k",
                           libest.inside(at / "device.key"))
        body = self.read(at, "cert-0-0.pkcs7", said, "simplereenroll", "extensions")
        if body:
            self.check_certificate(body, key, "L0003")

    def test_tls_versions(self):
        """A server of TLS 1.3 alone is asked."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(self.site.folder / "server.pem", self.site.folder / "server.key")
        heard = []

        def serve(listener):
            try:
                connection, _ = listener.accept()
                with connection, context.wrap_socket(connection, server_side=True):
                    heard.append("yes")
            except OSError as error:
                heard.append(str(error))

        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(PATIENCE)
            thread = threading.Thread(target=serve, args=(listener,))
            thread.start()
            self.ask("versions", "-g", port=listener.getsockname()[1])
            thread.join()
        [said] = heard
        results[CLIENT]["TLS 1.3"] = said if said == "yes" else cause_of(said, "version")


if __name__ == "__main__":
    main()
