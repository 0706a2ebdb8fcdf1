# SPDX-License-Identifier: Apache-2.0
"""Officers of a test's site: system users who ask touchmarkd as themselves, and keys of their own.

The users are those that every Debian has. Becoming several of them takes root: who is not root can
show nothing here, and these tests then fail and say so.
"""

import base64
import json
import os
import pathlib
import pwd
import shutil
import subprocess

from harness import Case, PATIENCE, TOUCHMARK, openssl, until

KEYS = {"p256": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
        "p384": ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
        "ed25519": ["ed25519"],
        "rsa": ["rsa", "-pkeyopt", "rsa_keygen_bits:2048"]}


class Officer:
    def __init__(self, site, name, user, role="officer", kind=None, passphrase=None):
        self.site, self.name, self.role, self.kind = site, name, role, kind
        self.entry = pwd.getpwnam(user)
        self.key = site.folder / f"officer-{name}.key"
        self.public = site.folder / f"officer-{name}.pem"
        site.officers.append({"name": name, "user": user, "role": role})
        if kind:
            self.make_key(passphrase)
            site.officers[-1]["key"] = str(self.public)

    def make_key(self, passphrase):
        plain = openssl("genpkey", "-algorithm", *KEYS[self.kind])
        self.public.write_bytes(openssl("pkey", "-pubout", stdin=plain))
        if passphrase:
            plain = openssl("pkey", "-aes-256-cbc", "-passout", f"pass:{passphrase}", stdin=plain)
        self.key.write_bytes(plain)
        os.chown(self.key, self.entry.pw_uid, self.entry.pw_gid)
        self.key.chmod(0o400)

    @property
    def actor(self):
        return f"{self.name} uid:{self.entry.pw_uid}"

    def command(self, *args):
        return [str(a) for a in (self.site.folder / "touchmark", *args, "--socket",
                                 self.site.folder / "run" / "admin.sock")]

    def become(self):
        """Arguments for subprocess."""
        return {"user": self.entry.pw_uid, "group": self.entry.pw_gid, "extra_groups": []}

    def ask(self, *args):
        """(exit code, output, error output) of a command by this user."""
        done = subprocess.run(self.command(*args), capture_output=True, timeout=PATIENCE, text=True,
                              cwd="/", **self.become())
        return done.returncode, done.stdout, done.stderr

    def good(self, *args):
        code, out, err = self.ask(*args, "--json")
        if (code, err) != (0, ""):
            raise AssertionError(f"{self.name}: {' '.join(map(str, args))}: {code}\n{out}{err}")
        rows = [json.loads(line) for line in out.splitlines()]
        return rows[-1] if len(rows) == 1 else rows

    def refused(self, *args):
        """The sentence."""
        code, out, err = self.ask(*args)
        if code != 1:
            raise AssertionError(f"{self.name}: {' '.join(map(str, args))}: {code}\n{out}{err}")
        return err.strip()

    def sign(self, act, *more):
        return self.good("act", "sign", act["id"], "--key", self.key, *more)

    def sign_elsewhere(self, text, name="signature"):
        """As on a machine that only has openssl; the signature's file."""
        message = self.site.folder / f"{self.name}-{name}.text"
        path = self.site.folder / f"{self.name}-{name}.sig"
        message.write_bytes(text.encode())
        if self.kind == "ed25519":
            openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.key, "-in", message, "-out", path)
        else:
            digest = "-sha384" if self.kind == "p384" else "-sha256"
            openssl("dgst", digest, "-sign", self.key, "-out", path, message)
        path.chmod(0o644)
        return path

    def verifies(self, text, signature):
        """Does openssl take the signature (base64) over the text for this officer's?"""
        path = self.site.folder / "check.sig"
        message = self.site.folder / "check.text"
        path.write_bytes(base64.b64decode(signature))
        message.write_bytes(text.encode())
        if self.kind == "ed25519":
            args = ["pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", self.public, "-in", message,
                    "-sigfile", path]
        else:
            digest = "-sha384" if self.kind == "p384" else "-sha256"
            args = ["dgst", digest, "-verify", self.public, "-signature", path, message]
        done = subprocess.run(["openssl", *map(str, args)], capture_output=True, timeout=PATIENCE)
        return done.returncode == 0


def open_to_all(site):
    """Lets other users reach the administration socket and the program."""
    if os.getuid() != 0:
        raise AssertionError("officers are system users: these tests need root to become them")
    shutil.copy(TOUCHMARK, site.folder / "touchmark")
    (site.folder / "touchmark").chmod(0o755)
    site.folder.chmod(0o711)
    (site.folder / "run").chmod(0o711)


def open_socket(site):
    """When touchmarkd has made it."""
    (pathlib.Path(site.folder) / "run" / "admin.sock").chmod(0o666)


class OfficersCase(Case):
    """The site of a subclass names its officers in `appoint`. root is the operator `ops`, by whom
    the harness registers devices."""

    @classmethod
    def appoint(cls, site):
        raise NotImplementedError

    @classmethod
    def prepare(cls, site):
        open_to_all(site)
        site.officers.append({"name": "ops", "user": "root", "role": "operator"})
        cls.appoint(site)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        open_socket(cls.site)

    def device_of(self, name, **attributes):
        """A registered device with attributes, enrolled: (certificate path, key)."""
        options = [word for key, value in attributes.items() for word in (f"--{key}", value)]
        self.server.touchmark("device", "add", name, *options)
        return self.server.enrolled(name, secret=self.server.secret(name))

    def act(self, officer, ident):
        return officer.good("act", "show", ident)

    def acts(self, officer, kind):
        rows = officer.good("act", "list")
        rows = rows if isinstance(rows, list) else [rows]
        return [self.act(officer, row["id"]) for row in rows if row["kind"] == kind]

    def signed_by(self, act, first, second):
        """Two sign, and it is carried out."""
        first.sign(act)
        second.sign(act)
        until("the act is done", lambda: self.act(first, act["id"])["status"] == "done")

    def agreed(self, command, first, second, kind="issuer-change"):
        """A command that proposes acts of this kind, which two sign, and once more, which puts
        in force what they signed."""
        command()
        for act in self.acts(first, kind):
            if act["status"] == "open":
                self.signed_by(act, first, second)
        command()
