# SPDX-License-Identifier: Apache-2.0
"""A whole Touchmark in a temporary folder, for tests that use it as its users do.

Site makes the folder: SoftHSM token and CA by `touchmark ceremony`, store, profiles and
touchmark.yaml with two tenants. Server runs touchmarkd on it. Case is the unittest base:
at the end of every test class the server stops, no process may be left, the store must be
sound and no sanitizer may have spoken.

The programs come from the environment (meson sets it): TM_BUILD is the build folder.
"""

import base64
import collections
import contextlib
import fcntl
import glob
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import termios
import threading
import time
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("TM_BUILD", SOURCE / "build"))
TOUCHMARKD = BUILD / "server" / "touchmarkd"
TOUCHMARK = BUILD / "admin" / "touchmark"
BENCH = BUILD / "bench" / "touchmark-bench"
ESTC = BUILD / "tests" / "live" / "estc"
SHIM = BUILD / "tests" / "hsm" / "shim_pkcs11.so"
# With sanitizers every step costs several times as much: fewer of the same steps are taken.
SANITIZER = os.environ.get("TM_SANITIZER", "none")
SLOW = SANITIZER != "none"
PATIENCE = 180 if SLOW else 60
SANITIZER_SPEAKS = re.compile(
    rb"(AddressSanitizer|ThreadSanitizer|LeakSanitizer|runtime error:).*")
WELL_KNOWN = "/.well-known/est"


def until(what, holds, seconds=None):
    """Polls until holds() is true and returns its value; a bounded wait for things that tell no
    one when they happen."""
    end = time.monotonic() + (seconds or PATIENCE)
    while True:
        value = holds()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"never happened: {what() if callable(what) else what}")
        time.sleep(0.01)


def run(*args, stdin=None, check=True, env=None, timeout=None, cwd=None):
    """Runs a program to its end; its output is in the exception when it fails."""
    done = subprocess.run([str(a) for a in args], input=stdin, capture_output=True, env=env,
                          timeout=timeout or PATIENCE, cwd=cwd)
    if check and done.returncode != 0:
        raise AssertionError(
            f"{' '.join(map(str, args))} ended with {done.returncode}\n"
            f"{done.stdout.decode(errors='replace')}{done.stderr.decode(errors='replace')}")
    return done


def openssl(*args, **kw):
    return run("openssl", *args, **kw).stdout


def softhsm_module():
    for path in ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/*/softhsm/libsofthsm2.so"):
        for found in glob.glob(path):
            return found
    raise AssertionError("SoftHSM's module is not installed")


# ---- keys and requests ----

class Key:
    """A key in a file, and requests for it."""

    def __init__(self, folder, name, kind="P-256"):
        self.path = pathlib.Path(folder) / f"{name}.key"
        if kind.startswith("rsa"):
            openssl("genrsa", "-out", self.path, kind[3:])
        elif kind == "ed25519":
            openssl("genpkey", "-algorithm", "ed25519", "-out", self.path)
        else:
            openssl("ecparam", "-genkey", "-name", kind.replace("P-256", "prime256v1"), "-noout",
                    "-out", self.path)

    @classmethod
    def with_csr(cls, folder, name, subject):
        """A new P-256 key and a request for it, both by one program: (key, DER)."""
        key = cls.__new__(cls)
        key.path = pathlib.Path(folder) / f"{name}.key"
        return key, openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                            "-nodes", "-subj", subject, "-keyout", key.path, "-outform", "DER")

    def public(self):
        return openssl("pkey", "-in", self.path, "-pubout", "-outform", "DER")

    def csr(self, subject="/", san=None, digest="-sha256", password=None):
        """DER of a PKCS#10 request; password: its challengePassword."""
        text = "[req]\ndistinguished_name=dn\nprompt=no\n"
        if password:
            text += "attributes=attributes\n"
        text += "[dn]\n" + subject.replace("/", "\n") + "\n[attributes]\n"
        if password:
            text += f"challengePassword={password}\n"
        text += "[ext]\n"
        if san:
            text += f"subjectAltName={san}\n"
        with tempfile.NamedTemporaryFile("w", suffix=".cnf") as config:
            config.write(text)
            config.flush()
            args = ["req", "-new", "-key", self.path, "-outform", "DER", "-config", config.name]
            if subject == "/":  # which no configuration can say
                args += ["-subj", subject]
            if digest:
                args.append(digest)
            if san:
                args += ["-reqexts", "ext"]
            return openssl(*args)


def body_of(der):
    return base64.b64encode(der) + b"\n"


def point_in(der):
    """The P-256 public key in a request or certificate."""
    prefix = b"\x03\x42\x00\x04"  # BIT STRING of an uncompressed point
    at = der.index(prefix) + len(prefix)
    return der[at:at + 64]


def certificates_in(body):
    """The certificates of an EST answer, each as PEM, by openssl."""
    der = base64.b64decode(body)
    pem = openssl("pkcs7", "-inform", "DER", "-print_certs", stdin=der).decode()
    return re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", pem, re.S)


def field(pem, *args):
    return openssl("x509", "-noout", *args, stdin=pem.encode()).decode().strip()


def serial_of(pem):
    return field(pem, "-serial").split("=")[1].lower()


def subject_of(pem):
    """The subject as `openssl req -subj` takes it."""
    return field(pem, "-subject", "-nameopt", "compat").split("=", 1)[1]


def public_of(pem):
    text = openssl("x509", "-noout", "-pubkey", stdin=pem.encode())
    return openssl("pkey", "-pubin", "-outform", "DER", stdin=text)


# ---- the HTTP client of the tests ----

class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode(errors="replace")

    def pem(self):
        """The one certificate of an enrollment's answer."""
        found = certificates_in(self.body)
        if len(found) != 1:
            raise AssertionError(f"{len(found)} certificates in an answer of {self.status}")
        return found[0]

    def __repr__(self):
        return f"{self.status} {self.text!r}"


class Connection:
    """One TLS connection; raw octets or requests."""

    def __init__(self, port, root, cert=None, key=None, version=None, timeout=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(root)
        if version:
            context.minimum_version = context.maximum_version = version
        if cert:
            context.load_cert_chain(cert, key)
        plain = socket.create_connection(("127.0.0.1", port), timeout=timeout or PATIENCE)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = context.wrap_socket(plain, server_hostname="127.0.0.1")

    def send(self, octets):
        self.sock.sendall(octets)

    def receive(self, method="POST"):
        response = http.client.HTTPResponse(self.sock, method=method)
        response.begin()
        return Answer(response.status, response.headers, response.read())

    def ask(self, method, path, body=None, headers=None, length=True):
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
        headers = dict(headers or {})
        if body is not None and length:
            headers.setdefault("Content-Length", str(len(body)))
        lines += [f"{name}: {value}" for name, value in headers.items() if value is not None]
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b""))
        return self.receive(method)

    def close(self):
        with contextlib.suppress(OSError):
            self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def basic(user, secret):
    return "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()


# ---- processes ----

def stat_of(pid):
    """(parent, session, state) of a process, None when it is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text[text.rindex(")") + 2:].split()
    return int(fields[1]), int(fields[3]), fields[0]


def processes():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def tree(root):
    """root and everything below it."""
    parents = {}
    for pid in processes():
        found = stat_of(pid)
        if found:
            parents.setdefault(found[0], []).append(pid)
    result, todo = [], [root]
    while todo:
        pid = todo.pop()
        result.append(pid)
        todo += parents.get(pid, [])
    return result


def role_of(pid):
    try:
        words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return None
    for i, word in enumerate(words):
        if word.startswith(b"--role"):
            value = word.split(b"=")[1] if b"=" in word else words[i + 1]
            return value.decode()
    return "supervisor"


def cpu_ns(pid):
    """CPU time of all threads of a process."""
    total = 0
    for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        with contextlib.suppress(OSError):
            total += int(pathlib.Path(path).read_text().split()[0])
    return total


def is_gone(pid, state):
    """A zombie has closed all it had, unless a thread of it still waits, for a disk for instance."""
    try:
        return state == "Z" and len(os.listdir(f"/proc/{pid}/task")) == 1
    except OSError:
        return True


def in_session(session):
    """Processes of a session that are not gone."""
    found = []
    for pid in processes():
        s = stat_of(pid)
        if s and s[1] == session and not is_gone(pid, s[2]):
            found.append(pid)
    return found


# ---- the site ----

PROFILES = {
    # The shipped ones come from conf/profiles; these are for single tests.
    "short": "kind: ldevid\nkeys: [p256]\nsubject:\n  - type: CN\n    value: '{id}'\n"
             "key_usage: [digitalSignature]\next_key_usage: [clientAuth]\nnot_after: {soon}\n"
             "credentials: [secret, ldevid]\nlink: 'off'\n"
             "states: [registered, activated]\nnext_state: activated\nexisting: supersede\n"
             "reenroll: true\ngrace: 0s\nretry_window: 1h\n",
    "linked": "kind: ldevid\nkeys: [p256]\nsubject:\n  - type: CN\n    value: '{id}'\n"
              "key_usage: [digitalSignature]\next_key_usage: [clientAuth]\nvalidity: 30d\n"
              "credentials: [secret, ldevid]\nlink: required\n"
              "states: [registered, activated]\nnext_state: activated\nexisting: supersede\n"
              "reenroll: true\nretry_window: 1h\n",
    "unlinked": "kind: ldevid\nkeys: [p256]\nsubject:\n  - type: CN\n    value: '{id}'\n"
                "key_usage: [digitalSignature]\next_key_usage: [clientAuth]\nvalidity: 30d\n"
                "credentials: [secret, ldevid]\nlink: 'off'\n"
                "states: [registered, activated]\nnext_state: activated\nexisting: supersede\n"
                "reenroll: true\nretry_window: 1h\n",
    "approved": "kind: ldevid\nkeys: [p256]\nsubject:\n  - type: CN\n    value: '{id}'\n"
                "key_usage: [digitalSignature]\next_key_usage: [clientAuth]\nvalidity: 30d\n"
                "credentials: [secret]\nlink: optional\nstates: [registered]\n"
                "next_state: activated\nexisting: supersede\napproval: true\n",
    "named": "kind: ldevid\nkeys: [p256, rsa2048]\nsubject:\n  - type: CN\n    value: '{id}'\n"
             "san_uri: ['urn:device:{id}']\n"
             "key_usage: [digitalSignature]\next_key_usage: [clientAuth]\nvalidity: 30d\n"
             "credentials: [secret, ldevid]\nlink: 'off'\nstates: [registered, activated]\n"
             "next_state: activated\nexisting: supersede\nreenroll: true\nretry_window: 1h\n",
}

LABELS = [
    ("idevid", "acme", "idevid", False),
    ("ldevid", "acme", "ldevid", True),
    ("short", "acme", "short", False),
    ("linked", "acme", "linked", False),
    ("unlinked", "acme", "unlinked", False),
    ("approved", "acme", "approved", False),
    ("named", "acme", "named", False),
    ("other", "globex", "ldevid", False),
]


# On a machine that is busy with other things nobody is late: tests of lateness set times of their own.
UNHURRIED = {
    "listen": {**dict.fromkeys(("handshake_timeout", "header_timeout", "body_timeout"), "60s"),
               "idle_timeout": "300s", "reply_timeout": "40s"},
    "signer": {"watchdog": "30s"},
    "core": {"request_timeout": "30s"},
}


class Site:
    """Token, CA, store and configuration in a folder of their own."""

    def __init__(self, module=None, listen=None, signer=None, core=None, status=None, issuer=None,
                 tls_key_label=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="touchmark-"))
        self.module = module or softhsm_module()
        self.listen = {"workers": 2, **(listen or {})}
        self.signer = signer or {}
        self.core = core or {}
        self.process = {}
        self.tls_key_label = tls_key_label
        self.tls = {"key_label": tls_key_label} if tls_key_label else {}
        self.mqtt = {}
        self.audit = {}
        self.status = status or {}
        self.metrics = {}
        self.issuer_options = issuer or {}
        self.officers = []
        self.tokens = []  # further ones, as mappings of the configuration
        self.issuers = []  # likewise
        self.tenant_issuers = {}  # other than manufacturing
        self.env = {**os.environ, "SOFTHSM2_CONF": str(self.folder / "softhsm2.conf")}
        try:
            self.make()
        except BaseException:
            self.remove()
            raise

    def make(self):
        (self.folder / "tokens").mkdir(mode=0o700)
        (self.folder / "run").mkdir(mode=0o700)
        (self.folder / "softhsm2.conf").write_text(
            f"directories.tokendir = {self.folder}/tokens\nobjectstore.backend = file\n"
            "log.level = ERROR\n")
        self.secret_file("pin", "4711471147")
        self.secret_file("so-pin", "0815081508")
        self.write_profiles()
        self.foreign_ca()
        self.ceremony()
        self.write_config()
        run(TOUCHMARK, "store", "create", "--conf", self.config, env=self.env)

    def secret_file(self, name, text):
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(text + "\n")

    def write_profiles(self):
        shutil.copytree(SOURCE / "conf" / "profiles", self.folder / "profiles")
        # When certificates of profile "short" expire: late enough to enroll, soon enough to see it.
        self.soon = int(time.time()) + (120 if SLOW else 40)
        soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.soon))
        for name, text in PROFILES.items():
            (self.folder / "profiles" / f"{name}.yaml").write_text(text.replace("{soon}", soon))

    def foreign_ca(self):
        """A CA of another maker that tenant acme accepts."""
        self.make_ca("foreign", "Secure Element Maker")

    def make_ca(self, name, subject):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-days", "30", "-subj", f"/CN={subject}", "-addext",
                "keyUsage=critical,keyCertSign,cRLSign", "-keyout", self.folder / f"{name}.key",
                "-out", self.folder / f"{name}.pem")

    def foreign_device(self, name, ca="foreign", days=30):
        """A device certificate of that CA; returns (certificate, key) paths."""
        key = Key(self.folder, f"{ca}-{name}")
        csr = openssl("req", "-new", "-key", key.path, "-subj", f"/CN={name}")
        extensions = self.folder / "foreign.cnf"
        extensions.write_text("basicConstraints=critical,CA:FALSE\nkeyUsage=digitalSignature\n"
                              "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
        pem = openssl("x509", "-req", "-CA", self.folder / f"{ca}.pem", "-CAkey",
                      self.folder / f"{ca}.key", "-CAcreateserial", "-days", str(days),
                      "-extfile", extensions, stdin=csr)
        path = self.folder / f"{ca}-{name}.pem"
        path.write_bytes(pem)
        return path, key.path

    def ceremony(self):
        path = self.folder / "ceremony.yaml"
        text = CEREMONY.format(folder=self.folder, module=self.module)
        if "ocsp_key_label" in self.issuer_options:
            text += f"    ocsp_key_label: {self.issuer_options['ocsp_key_label']}\n"
        if self.tls_key_label:
            text += f"    tls_key_label: {self.tls_key_label}\n"
        path.write_text(text)
        run(TOUCHMARK, "ceremony", path, env=self.env)

    def sign_checkpoints(self, origin="log.example/test", **more):
        """A token of its own with the audit log's key; returns its verifier key."""
        (self.folder / "tokens-audit").mkdir(mode=0o700)
        conf = self.folder / "softhsm2-audit.conf"
        conf.write_text(f"directories.tokendir = {self.folder}/tokens-audit\n"
                        "objectstore.backend = file\nlog.level = ERROR\n")
        run("softhsm2-util", "--init-token", "--free", "--label", "audit-test", "--pin",
            (self.folder / "pin").read_text().strip(), "--so-pin", "0815081508",
            env={**self.env, "SOFTHSM2_CONF": str(conf)})
        # By way of the shim, which says what of SoftHSM's LeakSanitizer is to pass over.
        self.env["TM_SHIM_MODULE"] = softhsm_module()
        self.tokens.append({"name": "audit", "module": SHIM, "token": "audit-test",
                            "pin_file": self.folder / "pin", "softhsm_conf": conf,
                            "watchdog": UNHURRIED["signer"]["watchdog"]})
        self.audit = {"origin": origin, "token": "audit", "key_label": "audit-key",
                      "public_key": self.folder / "audit.pem", "interval": "200ms", **more}
        self.write_config()
        done = run(TOUCHMARK, "audit", "key", "--conf", self.config, env=self.env)
        return done.stdout.decode().strip()

    @property
    def root(self):
        return self.folder / "ca" / "root.pem"

    @property
    def issuer(self):
        return self.folder / "ca" / "manufacturing.pem"

    @property
    def config(self):
        return self.folder / "touchmark.yaml"

    def write_config(self):
        def section(name, values):
            return f"{name}:\n" + "".join(f"  {k}: {v}\n" for k, v in values.items())

        def rows(name, mappings):
            lines = "".join(f"  - {json.dumps(x, default=str)}\n" for x in mappings)
            return f"{name}:\n{lines}" if mappings else ""
        f = self.folder
        text = "environment: test\n" f"profiles_dir: {f}/profiles\n"
        text += section("process", {"user": '""', "run_dir": f / "run",
                                    "sandbox": "false" if SLOW else "true", **self.process})
        text += section("listen", {"address": "127.0.0.1", "port": 0, **UNHURRIED["listen"],
                                   **self.listen})
        key = {} if self.tls_key_label else {"key": f / "server.key"}
        text += section("tls", {"certificate": f / "server.pem", **key,
                                "self_issue": "true", "names": "[localhost, 127.0.0.1]",
                                "profile": "tls-server", "tenant": "acme", **self.tls})
        text += section("signer", {"module": self.module, "token": "touchmark-test",
                                   "pin_file": f / "pin", "softhsm_conf": f / "softhsm2.conf",
                                   **UNHURRIED["signer"], **self.signer})
        text += rows("tokens", self.tokens)
        text += section("core", {"store": f / "store", "admin_socket": f / "run" / "admin.sock",
                                 "refusals_per_second": 10000, **UNHURRIED["core"],
                                 **self.core})
        text += section("mqtt", self.mqtt) if self.mqtt else ""
        if self.status:
            text += section("status", {"address": "127.0.0.1", "port": 0, "dir": f / "status",
                                       **self.status})
        text += section("metrics", self.metrics) if self.metrics else ""
        text += section("audit", {k: json.dumps(v, default=str) for k, v in self.audit.items()}) \
            if self.audit else ""
        text += rows("officers", self.officers)
        text += ("issuers:\n  - name: manufacturing\n    key_label: manufacturing\n"
                 f"    certificate: {f}/ca/manufacturing.pem\n    chain: {f}/ca/manufacturing-chain.pem\n")
        for key, value in self.issuer_options.items():
            text += f"    {key}: {value}\n"
        text += rows("issuers", self.issuers).partition("\n")[2]
        acme, globex = (self.tenant_issuers.get(x, "manufacturing") for x in ("acme", "globex"))
        text += ("tenants:\n"
                 f"  - name: acme\n    issuer: {acme}\n    client_anchors: {f}/foreign.pem\n"
                 f"  - name: globex\n    issuer: {globex}\n")
        text += "labels:\n"
        for label, tenant, profile, default in LABELS:
            text += (f"  - label: {label}\n    tenant: {tenant}\n    profile: {profile}\n"
                     f"    default: {str(default).lower()}\n")
        self.config.write_text(text)

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)


CEREMONY = """\
environment: test
transcript: {folder}/ceremony.transcript
out: {folder}/ca
tokens:
  - name: offline
    module: {module}
    softhsm_conf: {folder}/softhsm2.conf
    label: touchmark-root
    pin: {folder}/pin
    so_pin: {folder}/so-pin
    init: true
  - name: issuing
    module: {module}
    softhsm_conf: {folder}/softhsm2.conf
    label: touchmark-test
    pin: {folder}/pin
    so_pin: {folder}/so-pin
    init: true
root:
  name: root
  token: offline
  key_label: root
  years: 30
  subject:
    - {{type: O, value: Touchmark tests}}
    - {{type: CN, value: Test Root CA}}
intermediates:
  - name: manufacturing
    token: issuing
    key_label: manufacturing
    years: 20
    subject:
      - {{type: O, value: Touchmark tests}}
      - {{type: CN, value: Test Manufacturing CA}}
"""


def take_terminal():
    """In a new session: standard input becomes its terminal."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Server:
    """touchmarkd on a site."""

    def __init__(self, site):
        self.site = site
        self.process = None
        self.log = site.folder / "touchmarkd.log"
        self.sessions = []

    @property
    def ready_file(self):
        return self.site.folder / "run" / "touchmarkd.ready"

    def start(self, wait=True, pass_fds=(), terminal=None, **env):
        """terminal: a descriptor that becomes the controlling terminal."""
        self.site.write_config()
        with contextlib.suppress(OSError):
            self.ready_file.unlink()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [TOUCHMARKD, "--conf", self.site.config],
                stdin=subprocess.DEVNULL if terminal is None else terminal, stdout=log,
                stderr=log, env={**self.site.env, **env}, pass_fds=pass_fds,
                preexec_fn=None if terminal is None else take_terminal, start_new_session=True)
        self.sessions.append(self.process.pid)
        if wait:
            self.await_ready()
        return self

    def await_ready(self):
        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"touchmarkd ended at once:\n{self.tail()}")
            return self.ready_file.exists()
        until(lambda: f"touchmarkd is ready; its log ends:\n{self.tail()}", ready)
        self.port = self.ready()["port"]

    def ready(self):
        return json.loads(self.ready_file.read_text())

    def tail(self):
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""

    def stop(self):
        """A graceful stop; nothing may be left."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"touchmarkd did not stop:\n{self.tail()}") from None
        code = self.process.returncode if self.process else 0
        if code != 0:
            raise AssertionError(f"touchmarkd ended with {code}:\n{self.tail()}")

    def kill(self):
        """Ends everything of this server, at once; what it had open is free then."""
        for pid in self.leftovers():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        if self.process:
            self.process.wait(PATIENCE)
        until("all that was killed is gone", lambda: not self.leftovers())

    def leftovers(self):
        return [pid for session in self.sessions for pid in in_session(session)]

    def pids(self, role=None):
        return [p for p in tree(self.process.pid)
                if role is None or (role_of(p) or "").split("-")[0] == role]

    def cpu(self):
        """Nanoseconds of CPU by all processes."""
        return sum(cpu_ns(pid) for pid in tree(self.process.pid))

    # ---- administration ----

    def touchmark(self, *args, check=True):
        done = run(TOUCHMARK, *args, "--socket", self.site.folder / "run" / "admin.sock", "--json",
                   env=self.site.env, check=check)
        return [json.loads(line) for line in done.stdout.splitlines() if line.strip()]

    def add_device(self, name, tenant="acme", secret=True):
        """Registers a device; returns its one-time secret."""
        self.touchmark("device", "add", name, "--tenant", tenant)
        return self.secret(name, tenant) if secret else None

    def secret(self, name, tenant="acme"):
        return self.touchmark("device", "secret", name, "--tenant", tenant)[-1]["secret"]

    def device(self, name, tenant="acme"):
        return self.touchmark("device", "show", name, "--tenant", tenant)[-1]

    def transition(self, name, state, tenant="acme"):
        self.touchmark("device", "transition", name, state, "--tenant", tenant, "--reason", "test")

    def leaves(self, since=0):
        return self.touchmark("audit", "list", "--from", since)

    def head(self):
        return self.touchmark("audit", "head")[-1]["size"]

    def intents(self):
        return self.touchmark("intent", "list")

    # ---- EST ----

    def connect(self, **kw):
        return Connection(self.port, self.site.root, **kw)

    def ask(self, method, path, body=None, headers=None, **kw):
        with self.connect(**kw) as connection:
            return connection.ask(method, path, body, headers)

    def enroll(self, label, der, user=None, secret=None, operation="simpleenroll", body=None,
               headers=None, **kw):
        own = {"Content-Type": "application/pkcs10", **(headers or {})}
        if user:
            own["Authorization"] = basic(user, secret)
        path = f"{WELL_KNOWN}/{label}/{operation}" if label else f"{WELL_KNOWN}/{operation}"
        return self.ask("POST", path, body_of(der) if body is None else body, own, **kw)

    def estc(self, *args, label="ldevid", check=True):
        """One request by the C client; its name=value lines."""
        done = run(ESTC, "--url", f"https://127.0.0.1:{self.port}{WELL_KNOWN}/{label}", "--cacert",
                   self.site.root, *args, check=check)
        return dict(line.split("=", 1) for line in done.stdout.decode().splitlines() if line)

    def enrolled(self, name, label="ldevid", tenant="acme", secret=None):
        """A device with a certificate; returns (certificate path, key)."""
        secret = secret or self.add_device(name, tenant)
        key = Key(self.site.folder, f"{label}-{name}")
        answer = self.enroll(label, key.csr(f"/CN={name}"), name, secret)
        if answer.status != 200:
            raise AssertionError(f"{name} could not enroll: {answer}")
        path = self.site.folder / f"{label}-{name}.pem"
        path.write_text(answer.pem())
        return path, key


class Figures(dict):
    """What touchmark-bench printed, by name. One that is not there shows the whole."""

    def __missing__(self, name):
        raise AssertionError(f"no figure {name!r} in:\n{self['text']}")


class Bench:
    """touchmark-bench against a server: prepared devices, and runs in the background."""

    def __init__(self, server, label="ldevid", tenant="acme"):
        self.server, self.label, self.tenant = server, label, tenant
        self.folder = server.site.folder / f"bench-{label}"

    def arguments(self):
        return ["--url", f"https://127.0.0.1:{self.server.port}{WELL_KNOWN}/{self.label}",
                "--cacert", self.server.site.root, "--dir", self.folder, "--timeout",
                1000 * PATIENCE]

    def administer(self, *more):
        run(BENCH, *self.arguments(), "--admin", self.server.site.folder / "run" / "admin.sock",
            "--tenant", self.tenant, *more)

    def prepare(self, count, *more):
        """Registers and enrolls devices, which then hold a certificate each."""
        self.administer("--prepare", count, "--prefix", f"B{self.label}", *more)
        return self

    def prepare_secrets(self):
        """Gives each a new one-time secret."""
        self.administer("--secrets")

    def start(self, *more):
        """Returns when the load is on."""
        process = subprocess.Popen([str(x) for x in (BENCH, *self.arguments(), *more)],
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        first = process.stdout.readline()
        if first != "load starts\n":
            process.kill()
            raise AssertionError(f"touchmark-bench says: {first}{process.communicate()[0]}")
        return process

    def run(self, *more):
        return self.finish(self.start(*more))

    @staticmethod
    def finish(process):
        """Its figures by name; errors by kind are under "errors: kind"."""
        text, _ = process.communicate(timeout=PATIENCE)
        if process.returncode != 0:
            raise AssertionError(f"touchmark-bench ended with {process.returncode}\n{text}")
        figures = Figures(text=text)
        section = ""
        for line in text.splitlines():
            name, _, value = line.partition(": ")
            if not line.startswith("  "):
                section = name
                figures[name] = value
            else:
                figures[f"{section}: {name.strip()}"] = value
        return figures


class Load:
    """touchmark-bench without end, until the block does: in two lanes that follow each other, so that
    one of them is always at it. What came of it is known afterwards."""
    LANES = 2

    def __init__(self, bench, *options):
        self.bench, self.options = bench, options
        self.over = threading.Event()
        self.figures, self.failures = [], []
        self.began = [threading.Event() for _ in range(self.LANES)]
        self.lanes = [threading.Thread(target=self.work, args=(i,)) for i in range(self.LANES)]

    def work(self, lane):
        folder = f"{self.bench.folder}-lane-{lane}"  # what it gets is kept there
        try:
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(self.bench.folder, folder)
            while not self.over.is_set():
                process = self.bench.start("--dir", folder, "--seconds", 1 + lane, "--count",
                                           400 if SLOW else 1500, "--threads", 2, *self.options)
                self.began[lane].set()
                self.figures.append(self.bench.finish(process))
        except BaseException as error:  # shown by the test, which runs in another thread
            self.failures.append(error)
            self.began[lane].set()

    def __enter__(self):
        for lane, began in zip(self.lanes, self.began):
            lane.start()
            began.wait()
        return self

    def __exit__(self, *_):
        self.over.set()
        for lane in self.lanes:
            lane.join()
        if self.failures:
            raise self.failures[0]

    @property
    def enrollments(self):
        return sum(int(figures["enrollments"].split()[0]) for figures in self.figures)

    def errors(self):
        """By kind."""
        found = collections.Counter()
        for figures in self.figures:
            for name, count in figures.items():
                if name.startswith("errors: "):
                    found[name.removeprefix("errors: ")] += int(count)
        return dict(found)


class Case(unittest.TestCase):
    """Tests of one server. Subclasses may set sections of the configuration, or prepare()."""

    listen = signer = core = publishing = issuer_options = None
    module = tls_key_label = None

    @classmethod
    def prepare(cls, site):
        """For subclasses: changes to the site before the server starts."""

    @classmethod
    def setUpClass(cls):
        cls.site = Site(cls.module, cls.listen, cls.signer, cls.core, cls.publishing,
                        cls.issuer_options, cls.tls_key_label)
        cls.server = Server(cls.site)
        cls.addClassCleanup(cls.clean)
        cls.prepare(cls.site)
        cls.server.start()

    @classmethod
    def clean(cls):
        try:
            cls.server.kill()
        finally:
            if "TM_KEEP" in os.environ:
                print(f"kept: {cls.site.folder}", file=sys.stderr)
            else:
                cls.site.remove()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        finish(cls.server)

    def check_sentence(self, answer):
        """A refusal says one clear sentence, in plain text on one line."""
        self.assertRegex(answer.headers["Content-Type"] or "", r"^text/plain(;.*)?$")
        self.assertRegex(answer.text, r"\A[^\n]{8,300}\n?\Z")


class FaultyCase(Case):
    """On the module that fails as it is told to (tests/hsm/shim_pkcs11.c)."""
    module = SHIM

    @classmethod
    def setUpClass(cls):
        for name, value in (("TM_SHIM_MODULE", softhsm_module()), ("TM_SHIM_CONTROL", "beside")):
            os.environ[name] = value
            cls.addClassCleanup(os.environ.pop, name)
        super().setUpClass()

    def fault(self, text, conf="softhsm2.conf"):
        """The fault that is on from now, "" for none, of the token of that SoftHSM."""
        path = self.site.folder / f"{conf}.fault"
        fresh = path.with_name(path.name + ".new")
        fresh.write_text(text + "\n")
        fresh.rename(path)


def finish(server):
    """After a stop: no process, a sound store, no sanitizer's report."""
    left = server.leftovers()
    if left:
        raise AssertionError(f"processes left behind: {[(p, role_of(p)) for p in left]}")
    check_store(server)
    check_log(server.log)


def check_store(server):
    run(TOUCHMARK, "store", "check", "--offline", "--conf", server.site.config,
        env=server.site.env)


def check_log(path):
    found = SANITIZER_SPEAKS.search(path.read_bytes())
    if found:
        raise AssertionError(f"a sanitizer reports: {found.group(0).decode(errors='replace')}\n"
                             + path.read_text(errors="replace")[-20000:])


def main():
    """Plain output: one line per test; a test that was skipped is a failure."""
    program = unittest.main(module="__main__", verbosity=2, exit=False)
    result = program.result
    ok = result.wasSuccessful() and not result.skipped and result.testsRun > 0
    sys.exit(0 if ok else 1)
