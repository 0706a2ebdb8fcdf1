# SPDX-License-Identifier: Apache-2.0
"""Stations of tests: sites that have profiles for them, jobs, and the HTTPS operations of
docs/stations.md."""

import base64
import hashlib
import json

from harness import WELL_KNOWN, Key, body_of, openssl
from ra import RA_PROFILE

PATH = "/touchmark/v1/station"
UNTIL = "2100-01-01T00:00:00Z"


# Slots of units with keys of other kinds; the profile is called as its kind is.
KINDS = ("p384", "ed25519", "rsa2048")
# A second certificate for units on a line: of another kind than the IDevID, and once as well.
VPN_PROFILE = ("kind: ldevid\nkeys: [p256]\nsubject:\n  - type: CN\n    value: '{id}'\n"
               "key_usage: [digitalSignature]\next_key_usage: [clientAuth]\nvalidity: 3650d\n"
               "credentials: [ra]\nlink: 'off'\nstates: [registered, provisioning, manufactured]\n"
               "next_state: manufactured\nexisting: refuse\nreenroll: false\n")


def add_profiles(site, **more):
    """Labels "station", for stations themselves, and "factory", IDevIDs that only they ask for; the
    same once for each other kind of key; more: further ones, by name."""
    folder = site.folder / "profiles"
    idevid = (folder / "idevid.yaml").read_text()
    own = "credentials: [secret, foreign]"
    assert own in idevid
    factory = idevid.replace(own, "credentials: [ra]")
    profiles = {"factory": factory, "station": RA_PROFILE, **more}
    for kind in KINDS:
        profiles[kind] = (factory.replace("keys: [p256, p384]", f"keys: [{kind}]")
                          .replace("states: [registered, provisioning]",
                                   "states: [registered, provisioning, manufactured]"))
    for name, text in profiles.items():
        (folder / f"{name}.yaml").write_text(text)
    write = site.write_config

    def write_config():
        write()
        with site.config.open("a") as config:
            for name in profiles:
                config.write(f"  - label: {name}\n    tenant: acme\n    profile: {name}\n")
    site.write_config = write_config


def job_text(name, stations, first, last, quota=10, **more):
    """A job's file; what is None is left out."""
    lines = {"job": name, "product": "gw-100", "batch": "b7", "site": "plant-2",
             "profiles": [{"profile": "factory", "quota": quota}],
             "ids": {"first": first, "last": last}, "until": UNTIL,
             "stations": stations, "operator": False, **more}
    return "".join(f"{k}: {json.dumps(v)}\n" for k, v in lines.items() if v is not None)


class Station:
    """Its key and certificate: whoever has a copy of them is it."""

    def __init__(self, server, name):
        self.server, self.name = server, name
        certificate, key = server.enrolled(name, label="station")
        self.credentials = {"cert": certificate, "key": key.path}

    def renew(self):
        """Another key and certificate from now on."""
        key, der = Key.with_csr(self.server.site.folder, f"renewed-{self.name}", f"/CN={self.name}")
        answer = self.server.enroll("station", der, operation="simplereenroll", **self.credentials)
        if answer.status != 200:
            raise AssertionError(f"{self.name} could not renew: {answer}")
        path = key.path.with_suffix(".pem")
        path.write_text(answer.pem())
        self.credentials = {"cert": path, "key": key.path}

    def enroll(self, der, label="factory", connection=None):
        if connection:
            return connection.ask("POST", f"{WELL_KNOWN}/{label}/simpleenroll", body_of(der),
                                  {"Content-Type": "application/pkcs10"})
        return self.server.enroll(label, der, **self.credentials)

    def ask(self, operation, **members):
        body = json.dumps(members).encode()
        return self.server.ask("POST", f"{PATH}/{operation}", body,
                               {"Content-Type": "application/json"}, **self.credentials)

    def good(self, operation, **members):
        answer = self.ask(operation, **members)
        if answer.status != 200:
            raise AssertionError(f"{operation}: {answer}")
        return json.loads(answer.body)


class Unit:
    """A device on a station: a key, and its certificate when it has one."""

    def __init__(self, server, name, key=None):
        self.server, self.name = server, name
        folder = server.site.folder
        self.key, self.der = (key, key.csr(f"/CN={name}")) if key else \
            Key.with_csr(folder, f"unit-{name}-{len(list(folder.glob('unit-*')))}", f"/CN={name}")
        self.certificate = None

    def enroll(self, station, label="factory"):
        answer = station.enroll(self.der, label)
        if answer.status == 200:
            self.certificate = answer.pem()
        return answer

    def path(self):
        path = self.key.path.with_suffix(".pem")
        path.write_text(self.certificate)
        return path

    def sign(self, challenge, name=None):
        """Over a challenge, as docs/stations.md has it; base64."""
        der = openssl("x509", "-in", self.path(), "-outform", "DER")
        octets = (b"touchmark unit 1\0" + (name or self.name).encode() + b"\0"
                  + hashlib.sha256(der).digest() + base64.b64decode(challenge))
        made = openssl("dgst", "-sha256", "-sign", self.key.path, stdin=octets)
        return base64.b64encode(made).decode()

    def pass_through(self, station, job):
        """All that a station does after the certificate is there."""
        challenge = station.good("challenge", job=job, device=self.name)["challenge"]
        station.good("verify", job=job, device=self.name, profile="factory", challenge=challenge,
                     signature=self.sign(challenge))
        return station.good("report", job=job, device=self.name, result="passed", reason="",
                            locked=True, seconds={"keygen": 0.5, "csr": 1})


class Jobs:
    """What an operator does on the administration socket."""

    def __init__(self, server):
        self.server = server

    def open(self, text, ids=None):
        path = self.server.site.folder / "job.yaml"
        path.write_text(text)
        return self.server.touchmark("job", "open", path, *(["--ids", ids] if ids else []))[-1]

    def show(self, name):
        return self.server.touchmark("job", "show", name)[-1]

    def units(self, name):
        return self.server.touchmark("job", "units", name)
