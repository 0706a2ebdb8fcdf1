# SPDX-License-Identifier: Apache-2.0
"""Status roles of touchmarkd without a supervisor and a core: a test takes their places, by
statusc. Ca makes what a core would publish, by openssl."""

import concurrent.futures
import contextlib
import http.client
import pathlib
import shutil
import subprocess
import tempfile
import threading
import time

from harness import BUILD, PATIENCE, SLOW, TOUCHMARKD, check_log, openssl

STATUSC = BUILD / "tests" / "live" / "statusc"
CRL, CERTIFICATE, FILTER = 1, 2, 3
KINDS = {"crl": CRL, "certificate": CERTIFICATE, "filter": FILTER}


class Ca:
    """A CA that revokes what it is told to."""

    def __init__(self, folder, name="manufacturing"):
        self.folder = pathlib.Path(folder) / f"ca-{name}"
        self.folder.mkdir()
        self.key, self.pem = self.folder / "ca.key", self.folder / "ca.pem"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-days", "30", "-subj", f"/CN={name}", "-addext",
                "keyUsage=critical,keyCertSign,cRLSign", "-keyout", self.key, "-out", self.pem)
        self.der = openssl("x509", "-in", self.pem, "-outform", "DER")

    def crl(self, number, revoked=3, url=None, seconds=86400):
        """A CRL of this number that names so many certificates; url: of its shard."""
        lines = [f"R\t301231235959Z\t250101000000Z\t{1 << 60 | n:032X}\tunknown\t/CN={n}\n"
                 for n in range(revoked)]
        (self.folder / "index.txt").write_text("".join(lines))
        (self.folder / "crlnumber").write_text(f"{number:016X}\n")
        extensions = "authorityKeyIdentifier=keyid:always\n"
        if url:
            extensions += f"issuingDistributionPoint=critical,@idp\n[idp]\nfullname=URI:{url}\n"
        (self.folder / "ca.cnf").write_text(
            f"[ca]\ndefault_ca=own\n[own]\ndatabase={self.folder}/index.txt\n"
            f"crlnumber={self.folder}/crlnumber\ncrl_extensions=more\ndefault_md=sha256\n"
            f"[more]\n{extensions}")
        return openssl("crl", "-outform", "DER", stdin=openssl(
            "ca", "-config", self.folder / "ca.cnf", "-gencrl", "-crlsec", str(seconds), "-cert",
            self.pem, "-keyfile", self.key))


    # ---- OCSP ----

    def request(self, serial, *more):
        """An OCSPRequest by openssl; more: of its options, -sha256 first."""
        path = self.folder / "request"
        early = [x for x in more if x.startswith("-sha")]
        openssl("ocsp", *early, "-issuer", self.pem, "-serial", serial, "-reqout", path,
                *[x for x in more if x not in early])
        return path.read_bytes()

    def respond(self, cert_id, revoked=(), seconds=86400):
        """What a responder says to the CertID, and from when to when it is good: (DER, ms, ms)."""
        request = sequence(sequence(sequence(sequence(cert_id))))
        answer = self.folder / "answer"
        (self.folder / "status.txt").write_text("".join(
            f"{'R' if serial in revoked else 'V'}\t301231235959Z\t"
            f"{'250101000000Z' if serial in revoked else ''}\t{serial:032X}\tunknown\t/CN={serial}\n"
            for serial in (SERIAL, SERIAL + 1)))
        openssl("ocsp", "-index", self.folder / "status.txt", "-CA", self.pem, "-rsigner",
                self.pem, "-rkey", self.key, "-reqin", "/dev/stdin", "-respout", answer, "-nmin",
                str(max(1, seconds // 60)), stdin=request)
        now = int(time.time()) * 1000
        return answer.read_bytes(), now, now + seconds * 1000


SERIAL = 0x1234567890abcdef << 60  # of a certificate; another is the next


def sequence(content):
    n = len(content)
    length = bytes([n]) if n < 128 else bytes([0x81, n]) if n < 256 else bytes(
        [0x82, n >> 8, n & 255])
    return b"\x30" + length + content


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    def __repr__(self):
        return f"{self.status} {dict(self.headers)} {self.body[:100]!r}"


class Rig:
    """A folder with a configuration, and statusc on it. core_seconds: how long a question waits for
    the core's answer."""

    def __init__(self, path="", core_seconds=PATIENCE, **options):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="touchmark-status-"))
        self.dir = self.folder / "status"
        self.config, self.log = self.folder / "touchmark.yaml", self.folder / "log"
        self.options = {"url": f"http://status.test{path}", "address": "127.0.0.1", "port": 0,
                        "dir": self.dir, **options}
        self.path, self.port = path, None
        self.core_seconds = core_seconds
        self.process, self.lines, self.heard = None, [], threading.Condition()
        self.files = 0
        self.threads = concurrent.futures.ThreadPoolExecutor(400)

    def write_config(self):
        status = "".join(f"  {name}: {value}\n" for name, value in self.options.items())
        self.config.write_text(
            "environment: test\nprocess: {user: '', sandbox: %s}\n" % ("false" if SLOW else "true")
            + "tls: {self_issue: false}\nsigner: {token: none}\n"
            f"core: {{store: {self.folder}/store, request_timeout: 500ms}}\n"
            f"listen: {{reply_timeout: {self.core_seconds}s}}\nstatus:\n{status}"
            "issuers:\n"
            "  - {name: manufacturing, key_label: m, certificate: m, chain: r, crl_shards: 8}\n"
            "tenants: [{name: acme, issuer: manufacturing}]\n"
            "labels: [{label: idevid, tenant: acme, profile: idevid}]\n")

    def open(self):
        self.write_config()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([STATUSC, TOUCHMARKD, self.config], text=True,
                                            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=log)
        self.reader = threading.Thread(target=self.listen, daemon=True)
        self.reader.start()
        return self

    def listen(self):
        for line in self.process.stdout:
            with self.heard:
                self.lines.append(line.rstrip("\n"))
                self.heard.notify_all()
        with self.heard:
            self.lines.append("over")
            self.heard.notify_all()

    def close(self):
        """Ends all roles; no sanitizer may have spoken."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        if self.process:
            self.process.stdin.close()
            self.process.wait(PATIENCE)
            self.reader.join(PATIENCE)
            self.process.stdout.close()
            check_log(self.log)
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- the part of supervisor and core ----

    def say(self, *words):
        """How many lines were heard before."""
        before = len(self.lines)
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()
        return before

    def hear(self, what, since=0, seconds=PATIENCE):
        """The first line from `since` on that begins so."""
        end = time.monotonic() + seconds
        with self.heard:
            while True:
                for line in self.lines[since:]:
                    if line.startswith(what):
                        return line
                left = end - time.monotonic()
                if left <= 0 or "over" in self.lines:
                    raise AssertionError(f"nothing like {what!r} in {self.lines[since:]}\n"
                                         f"{self.log.read_text()[-4000:]}")
                self.heard.wait(left)

    def start(self, crash=None, wait=True):
        """Another role on the same socket; its number."""
        since = self.say("start", *([crash] if crash else []))
        index = int(self.hear("started ", since).split()[1])
        if wait:
            self.hear(f"ready {index}", since)
        self.port = int(self.hear("port ").split()[1])
        return index

    def pid(self, index):
        return int(self.hear(f"started {index} ").split()[2])

    def link(self, index):
        self.say("link", index)
        return index

    def send(self, index, what, number, content, issuer="manufacturing", fault=""):
        """Publishes; from where on what follows is heard."""
        self.files += 1
        path = self.folder / f"published-{self.files}"
        path.write_bytes(content)
        return self.say("publish", index, KINDS.get(what.split("-")[0], CRL), issuer, what, number, path,
                        *([fault] if fault else []))

    def publish(self, index, what, number, content, issuer="manufacturing", fault=""):
        """Publishes, and what the role says to it: "good " or "bad because ..."."""
        since = self.send(index, what, number, content, issuer, fault)
        start = f"published {index} {issuer} {what} {number} "
        return self.hear(start, since)[len(start):]

    def settle(self, index, certificate):
        """Returns when the role has taken all that it was told before: what comes from the core comes
        in order, but what clients ask comes by another way."""
        said = self.publish(index, "certificate", 0, certificate)
        if said != "good ":
            raise AssertionError(said)

    def make_filter(self, number, made_ms, next_ms):
        path = self.folder / f"filter-{number}"
        self.hear(f"made {path}", self.say("filter", path, number, made_ms, next_ms))
        return path.read_bytes()

    def asked(self, index, since):
        """The first question from `since` on: its number and CertID."""
        words = self.hear(f"asked {index} ", since).split()
        return int(words[2]), bytes.fromhex(words[3])

    def count_asked(self, since):
        return len([line for line in self.lines[since:] if line.startswith("asked ")])

    def answer(self, index, number, response, this_ms, next_ms, good=True,
               issuer="manufacturing"):
        self.say("answer", index, number, "good" if good else "bad", this_ms, next_ms, issuer,
                 response.hex())

    # ---- the part of who asks ----

    def post(self, request):
        return self.ask("/ocsp", "POST", request, {"Content-Type": "application/ocsp-request"})

    def later(self, request):
        """Asks beside us; the answer is a future's."""
        return self.threads.submit(self.post, request)

    def ask(self, path, method="GET", body=None, headers=None):
        with self.connect() as connection:
            return self.ask_on(connection, path, method, body, headers)

    @contextlib.contextmanager
    def connect(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            yield connection
        finally:
            connection.close()

    def ask_on(self, connection, path, method="GET", body=None, headers=None):
        connection.request(method, self.path + path, body=body, headers=headers or {})
        return Answer(connection.getresponse())
