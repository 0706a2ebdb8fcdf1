# SPDX-License-Identifier: Apache-2.0
"""Sites of registration authorities: an upstream Touchmark that knows one, a Touchmark in front of
another EST server, and a TLS server of the tests that is one and answers what it is told to."""

import base64
import contextlib
import http.client
import http.server
import re
import ssl
import threading
import time
import unittest

from harness import Key, Server, Site, finish, openssl, until

AUTHORITY = "RA-1"  # as the upstream's registry has it

# What devices get: at the upstream for registration authorities alone, else as the shipped ldevid.
BY_RA = "credentials: [ra]"
PATHS = {"workers": 1}
RA_PROFILE = ("kind: ldevid\nkeys: [p256]\nsubject:\n  - type: CN\n    value: '{id}'\n"
              "key_usage: [digitalSignature]\next_key_usage: [clientAuth, cmcRA]\nvalidity: 30d\n"
              "credentials: [secret, ldevid]\nlink: 'off'\nstates: [registered, activated]\n"
              "next_state: activated\nexisting: supersede\nreenroll: true\nretry_window: 1h\n")


class UpstreamSite(Site):
    """Its tenant acme has a registration authority; label "byra" is for it, "ra" its own."""

    authorities = [AUTHORITY]

    def write_profiles(self):
        super().write_profiles()
        ldevid = (self.folder / "profiles" / "ldevid.yaml").read_text()
        own = "credentials: [secret, idevid, ldevid, foreign]"
        assert own in ldevid
        (self.folder / "profiles" / "byra.yaml").write_text(ldevid.replace(own, BY_RA))
        (self.folder / "profiles" / "ra.yaml").write_text(RA_PROFILE)

    def write_config(self):
        super().write_config()
        text = self.config.read_text()
        text = text.replace("  - name: acme\n", "  - name: acme\n    registration_authorities: ["
                            + ", ".join(self.authorities) + "]\n")
        for name in ("byra", "ra"):
            text += f"  - label: {name}\n    tenant: acme\n    profile: {name}\n"
        self.config.write_text(text)


class RaSite(Site):
    """Tenant acme's certificates are signed by the CA of `upstream`, a dict of options; globex and
    the server itself have the CA on the token."""

    def __init__(self, certificate, chain, upstream, **kw):
        self.ca, self.ca_chain, self.upstream = certificate, chain, upstream
        super().__init__(**kw)

    def write_config(self):
        self.tls = {"tenant": "globex"}
        super().write_config()
        issuer = f"  - name: factory\n    kind: est\n    certificate: {self.ca}\n"
        issuer += f"    chain: {self.ca_chain}\n" if self.ca_chain else ""
        issuer += "    upstream:\n"
        issuer += "".join(f"      {k}: {v}\n" for k, v in self.upstream.items())
        text = self.config.read_text()
        text = text.replace("  - name: acme\n    issuer: manufacturing\n",
                            "  - name: acme\n    issuer: factory\n")
        text = text.replace("tenants:\n  - name: acme", issuer + "tenants:\n  - name: acme", 1)
        assert "issuer: factory" in text and "kind: est" in text
        self.config.write_text(text)


class TokenlessSite(RaSite):
    """Nobody but the other CA signs: there is no token, and what serves TLS is from elsewhere."""

    def write_config(self):
        super().write_config()
        text = self.config.read_text()
        own = text.index("  - name: manufacturing\n")
        text = text[:own] + text[text.index("  - name: factory\n"):]
        text = re.sub(r"signer:\n(  .*\n)+", "", text)
        text = text.replace("self_issue: true", "self_issue: false")
        text = text.replace("issuer: manufacturing", "issuer: factory")
        self.config.write_text(text)


class Ra(Server):
    """A registration authority; devices ask it until there is an answer that is final."""

    def ask_until(self, wanted, ask, seconds=None):
        """Some answers say "later", some connections break: devices go on."""
        last = [None]

        def done():
            try:
                last[0] = ask()
            except (ConnectionError, ssl.SSLError, http.client.HTTPException, TimeoutError) as e:
                last[0] = e
                return False
            return last[0].status == wanted
        until(lambda: f"an answer with {wanted}, the last one: {last[0]}\n{self.tail()}", done,
              seconds)
        return last[0]

    def issued_leaf(self, name):
        return [x for x in self.leaves() if x["event"] == "issued" and x.get("device") == name][-1]


class HostileServer:
    """An EST server that answers simpleenroll with what `self.answer(der)` says: (status, headers,
    body), or None for none at all."""

    def __init__(self, folder):
        self.folder = folder
        make = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        for name in ("ca", "other"):  # the other one calls itself the same
            openssl("req", "-x509", *make, "-days", "30", "-subj", "/CN=Foreign CA", "-addext",
                    "keyUsage=critical,keyCertSign,cRLSign", "-keyout", folder / f"{name}.key",
                    "-out", folder / f"{name}.pem")
        csr = openssl("req", "-new", *make, "-subj", "/CN=est", "-keyout", folder / "tls.key")
        (folder / "tls.cnf").write_text("subjectAltName=IP:127.0.0.1\n")
        (folder / "tls.pem").write_bytes(openssl(
            "x509", "-req", "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key",
            "-CAcreateserial", "-days", "2", "-extfile", folder / "tls.cnf", stdin=csr))
        self.answer = None
        self.bodies = []  # DER of every request, in order
        self.authorizations = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 1 << 16  # headers and body leave together

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                answer = outer.reply(self.path, body, self.headers)
                if answer is None:
                    self.close_connection = True
                    return
                status, headers, body = answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

            do_GET = do_POST

            def log_message(self, *_):
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                """Connections that break are what some tests are about."""

        self.server = Quiet(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "tls.pem", folder / "tls.key")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                 do_handshake_on_connect=False)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()
        self.port = self.server.server_address[1]

    def reply(self, path, body, headers):
        if not path.endswith("/simpleenroll"):
            return 404, {}, b"no such operation"
        self.bodies.append(base64.b64decode(body))
        self.authorizations.append(headers["Authorization"])
        return self.answer(self.bodies[-1])

    def stop(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def sign(self, der, ca="ca", subject=None, key=None, extensions="", days=30, start=None):
        """A certificate for the request, or for another key or subject."""
        if key:
            der = key.csr(subject)
        options = f"basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=clientAuth\n" \
                  "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
        for line in extensions.splitlines():  # in place of the one of the same name
            name = line.split("=")[0]
            options = "".join(f"{x}\n" for x in options.splitlines()
                              if not x.startswith(name + "=")) + line + "\n"
        config = self.folder / "sign.cnf"
        config.write_text("[ca]\ndefault_ca=x\n[x]\n"
                          f"database={self.folder}/index.txt\nserial={self.folder}/serial\n"
                          f"new_certs_dir={self.folder}\npolicy=any\ndefault_md=sha256\n"
                          "unique_subject=no\nemail_in_dn=no\nrand_serial=yes\nx509_extensions=e\n"
                          "[any]\ncommonName=optional\nserialNumber=optional\n[e]\n" + options)
        (self.folder / "index.txt").write_text("")
        (self.folder / "request.der").write_bytes(der)
        openssl("req", "-inform", "DER", "-in", self.folder / "request.der", "-out",
                self.folder / "request.pem")
        when = ["-startdate", start[0], "-enddate", start[1]] if start else ["-days", str(days)]
        subject = ["-subj", subject] if subject else []
        openssl("ca", "-batch", "-notext", "-config", config, "-cert", self.folder / f"{ca}.pem",
                "-keyfile", self.folder / f"{ca}.key", "-in", self.folder / "request.pem", "-out",
                self.folder / "signed.pem", *when, *subject)
        return self.folder / "signed.pem"

    def certs_only(self, *paths):
        args = [word for path in paths for word in ("-certfile", path)]
        der = openssl("crl2pkcs7", "-nocrl", *args, "-outform", "DER")
        return (200, {"Content-Type": "application/pkcs7-mime; smime-type=certs-only"},
                base64.b64encode(der) + b"\n")


def gmt(days):
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + days * 86400))


def authority_of(upstream):
    """The RA's certificate and key at a running upstream."""
    certificate, key = upstream.enrolled(AUTHORITY, label="ra")
    return certificate, key.path


def options_for(upstream, label="byra"):
    """What an RaSite needs to ask that Touchmark."""
    certificate, key = authority_of(upstream)
    site = upstream.site
    return {"url": f"https://127.0.0.1:{upstream.port}/.well-known/est/{label}",
            "anchors": site.root, "certificate": certificate, "key": key, "timeout": "5s"}


class Base(unittest.TestCase):
    count = 0

    @classmethod
    def keep(cls, server):
        cls.addClassCleanup(server.site.remove)
        cls.addClassCleanup(server.kill)
        return server

    @classmethod
    def name(cls):
        Base.count += 1
        return f"D{Base.count:04}"

    def first_request(self, name=None, server=None):
        """A device that is registered here, its key, and its request as a function."""
        name = name or self.name()
        server = server or self.ra
        secret = server.add_device(name)
        key = Key(server.site.folder, name)
        der = key.csr(f"/CN={name}")
        return name, key, lambda: server.enroll("ldevid", der, name, secret)

    def refusals(self, name, server=None):
        return [x for x in (server or self.ra).leaves()
                if x.get("device") == name and x["event"] in ("refused", "burned")]

    def check_nothing_released(self, name):
        self.assertEqual(self.ra.device(name)["certificates"], [])
        self.assertEqual(self.ra.intents(), [])


class Pair(Base):
    """A registration authority and the Touchmark that signs for it."""

    @classmethod
    def setUpClass(cls):
        cls.upstream = cls.keep(Server(UpstreamSite(listen=PATHS))).start()
        cls.upstream.site.listen["port"] = cls.upstream.port  # it may be started again there
        options = options_for(cls.upstream)
        site = cls.upstream.site
        cls.ra = cls.keep(Ra(RaSite(site.issuer, site.folder / "ca" / "manufacturing-chain.pem",
                                    options, listen=PATHS)))
        cls.ra.start()

    @classmethod
    def tearDownClass(cls):
        for server in (cls.ra, cls.upstream):
            server.stop()
            finish(server)

    def request(self, name=None):
        name = name or self.name()
        self.upstream.add_device(name, secret=False)
        return self.first_request(name)

    def signed_for(self, name):
        """Serial numbers of the device's certificates at the upstream, newest first."""
        return [c["serial"] for c in self.upstream.device(name)["certificates"]]
