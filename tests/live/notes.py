# SPDX-License-Identifier: Apache-2.0
"""Trees, notes and exports of an audit log, made independently of the programs: by RFC 6962 and
c2sp.org, with signatures by openssl."""

import base64
import hashlib
import json
import pathlib
import shutil
import subprocess

from harness import BUILD, openssl, until

AUDITOR = BUILD / "auditor" / "touchmark-audit"
WITNESS = BUILD / "witness" / "touchmark-witness"


def sha256(octets):
    return hashlib.sha256(octets).digest()


def root_of(hashes):
    if not hashes:
        return sha256(b"")
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while 2 * k < len(hashes):
        k *= 2
    return sha256(b"\x01" + root_of(hashes[:k]) + root_of(hashes[k:]))


def growth(m, hashes, whole=True):
    """The consistency proof from the first m of them (RFC 6962, 2.1.2)."""
    if m == len(hashes):
        return [] if whole else [root_of(hashes)]
    k = 1
    while 2 * k < len(hashes):
        k *= 2
    if m <= k:
        return growth(m, hashes[:k], whole) + [root_of(hashes[k:])]
    return growth(m - k, hashes[k:], False) + [root_of(hashes[:k])]


def inclusion(m, hashes):
    """The proof that leaf m is among them (RFC 6962, 2.1.1)."""
    if len(hashes) == 1:
        return []
    k = 1
    while 2 * k < len(hashes):
        k *= 2
    if m < k:
        return inclusion(m, hashes[:k]) + [root_of(hashes[k:])]
    return inclusion(m - k, hashes[k:]) + [root_of(hashes[:k])]


def receipt(m, leaves, note):
    """As a station has one: leaf, proof and checkpoint (c2sp.org/tlog-proof)."""
    proof = "".join(b64(x) + "\n" for x in inclusion(m, hashes(leaves)))
    return f"c2sp.org/tlog-proof@v1\nextra {b64(leaves[m])}\nindex {m}\n{proof}\n{note}"


def b64(octets):
    return base64.b64encode(octets).decode()


class LogKey:
    """A log's key in a file: what somebody has who stole it."""

    def __init__(self, folder, origin):
        self.path, self.origin = folder / f"{origin.replace('/', '-')}.pem", origin
        openssl("genpkey", "-algorithm", "ed25519", "-out", self.path)
        public = openssl("pkey", "-in", self.path, "-pubout", "-outform", "DER")[-32:]
        self.id = sha256(f"{origin}\n\x01".encode() + public)[:4]
        self.vkey = f"{origin}+{self.id.hex()}+{b64(bytes([1]) + public)}"

    def sign(self, leaves):
        """The signed checkpoint of a log of these leaves."""
        text = f"{self.origin}\n{len(leaves)}\n{b64(root_of(hashes(leaves)))}\n"
        file = self.path.with_suffix(".text")
        file.write_text(text)
        signature = openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.path, "-in", file)
        return f"{text}\n— {self.origin} {b64(self.id + signature)}\n"


def hashes(leaves):
    return [sha256(b"\x00" + leaf) for leaf in leaves]


def size_of(note):
    return int(note.splitlines()[1])


class Leaf:
    """An audit leaf as it is stored: its fields by name, as store/records.c has them."""

    FIELDS = [("event", 1), ("time", 8), ("request", 8), ("origin", 1), ("operation", 1),
              ("outcome", 1), ("from", 1), ("to", 1), ("count", 4), ("tenant", 0), ("device", 0),
              ("profile", 0), ("serial", -20), ("serial_n", 1), ("fingerprint", -32),
              ("actor", 0), ("remote", 0), ("site", 0), ("reason", 0), ("station", 0),
              ("job", 0), ("operator", 0)]
    NEWER = [("issuer", 0), ("provider", 0), ("since", 8), ("until", 8), ("terms", 0)]

    def __init__(self, octets):
        self.head, octets = octets[:3], octets[3:]
        self.names = self.FIELDS + (self.NEWER if self.head[2] > 2 else [])
        self.values = {}
        for name, width in self.names:
            if width <= 0:
                n = -width
                if not width:
                    n, octets = int.from_bytes(octets[:4], "big"), octets[4:]
                self.values[name], octets = octets[:n], octets[n:]
            else:
                self.values[name], octets = int.from_bytes(octets[:width], "big"), octets[width:]
        assert not octets

    def __getitem__(self, name):
        return self.values[name]

    def octets(self, **changed):
        """The same leaf, but for these."""
        values, out = {**self.values, **changed}, bytes(self.head)
        for name, width in self.names:
            value = values[name]
            if width > 0:
                out += value.to_bytes(width, "big")
            else:
                out += (b"" if width else len(value).to_bytes(4, "big")) + value
        return out


class Export:
    """The folder that `touchmark audit export` wrote; of fewer than 256 leaves."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.summary = json.loads((self.folder / "export.json").read_text())
        self.leaves = []
        octets = next((self.folder / "tile" / "entries" / "000.p").iterdir()).read_bytes()
        while octets:
            n = int.from_bytes(octets[:2], "big")
            self.leaves.append(octets[2:2 + n])
            octets = octets[2 + n:]

    def write(self, folder, leaves, note, registry=None):
        """One like it, of other leaves under this note; their tile is recomputed."""
        shutil.rmtree(folder, ignore_errors=True)
        size = len(leaves)
        tile = folder / "tile"
        for name in ("entries", "0"):
            (tile / name / "000.p").mkdir(parents=True)
        (tile / "entries" / "000.p" / str(size)).write_bytes(
            b"".join(len(x).to_bytes(2, "big") + x for x in leaves))
        (tile / "0" / "000.p" / str(size)).write_bytes(b"".join(hashes(leaves)))
        (folder / "checkpoint").write_text(note)
        (folder / "export.json").write_text(json.dumps(
            {"format": 2, "from": 0, "size": size, "registry": {"from": size, "to": size}}))
        shutil.copytree(registry or self.folder / "registry", folder / "registry")
        return folder


def audit(*args):
    """(exit code, output) of touchmark-audit."""
    done = subprocess.run([str(AUDITOR), *map(str, args)], capture_output=True, text=True,
                          timeout=60)
    if done.returncode not in (0, 2, 3, 4, 5, 6):
        raise AssertionError(f"touchmark-audit {args} ended with {done.returncode}: {done.stderr}")
    return done.returncode, done.stdout


class Witness:
    """touchmark-witness, watching a log."""

    def __init__(self, folder, name, *vkeys):
        self.folder, self.name, self.vkeys = folder, name, vkeys
        self.process = self.port = None
        self.log = folder / f"{name.replace('/', '-')}.log"
        self.arguments = ["--name", name, "--key", f"{self.log}.key", "--state",
                          f"{self.log}.state", "--port", "0"]
        done = subprocess.run([str(WITNESS), *self.arguments, "--show"], capture_output=True,
                              text=True, check=True)
        self.vkey = done.stdout.strip()

    def start(self):
        logs = [x for vkey in self.vkeys for x in ("--log", vkey)]
        with open(self.log, "w") as log:
            self.process = subprocess.Popen([str(WITNESS), *self.arguments, *logs], stdout=log,
                                            stderr=log)

        def port():
            lines = self.log.read_text().split()
            if self.process.poll() is not None:
                raise AssertionError(f"touchmark-witness ended: {self.log.read_text()}")
            return lines[-1] if "port" in lines and lines[-1] != "port" else None
        self.port = until("the witness listens", port)
        return self

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(60)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"
