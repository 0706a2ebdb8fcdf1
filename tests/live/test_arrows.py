# SPDX-License-Identifier: Apache-2.0
"""The house rules that a compiler does not see: which folder may include which, where the
libraries' own headers may appear, and that every source says its licence."""

import pathlib
import re
import subprocess
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]

# docs/architecture.md, "Folders". A folder may always include itself.
ARROWS = {
    "base": set(),
    "ipc": {"base"},
    "pki": {"base"},
    "audit": {"base", "pki"},
    "est/wire": {"base", "pki"},
    "est/service": {"base", "ipc", "pki", "est/wire"},
    "mqtt/wire": {"base", "pki"},
    "conf": {"base"},
    "ca": {"base", "ipc", "pki", "est/wire", "conf"},
    "store": {"base", "audit", "ipc", "ca"},
    "pkcs11": {"base", "audit", "ipc", "pki", "est/wire", "ca"},
    "bench": {"base", "ipc", "pki", "est/wire", "mqtt/wire", "conf", "ca", "store"},
    "mqtt/bridge": {"base", "ipc", "mqtt/wire"},
    "client": {"base", "pki", "est/wire"},
    "client/port": {"base", "pki", "est/wire", "mqtt/wire", "client"},
    "client/agent": {"base", "pki", "conf", "client", "client/port"},
    "client/examples": {"client", "client/port"},
    "client/fleet": {"base", "pki", "est/wire", "client", "client/port"},
    "client/station/wire": {"base", "est/wire"},
    "client/station": {"base", "pki", "est/wire", "conf", "client", "client/port", "client/agent",
                       "client/station/wire"},
    "client/dut": {"base", "pki", "client/port", "client/station/wire"},
    "admin": {"base", "ipc", "conf"},
    "auditor": {"base", "audit", "ca", "store"},
    "witness": {"base", "audit"},
    "server": {"base", "audit", "ipc", "pki", "est/wire", "est/service", "conf", "ca", "store", "pkcs11",
               "mqtt/bridge"},
}
# The offline commands work on token and store without a server, and an import judges IDs as the
# registry does: these files of admin/ alone may reach further.
OFFLINE = {"pki", "audit", "ca", "pkcs11", "store"}
OFFLINE_FILES = re.compile(r"^admin/(audit|ceremony|cloud_export|import|job|keys|operator|product|profile|store|offline)[a-z_]*\.[ch]$")

# Foreign headers and the one place that knows them.
LIBRARIES = {
    r"microhttpd\.h": r"^(server/(front|metrics|status)|witness)/",
    r"lmdb\.h": r"^store/",
    r"libp11\.h": r"^pkcs11/",
    r"(p11-kit/)?pkcs11\.h": r"^(pkcs11|bench|client/port)/",
    r"curl/.*": r"^(client/port/|server/upstream/|admin/audit_witness\.c$)",
    r"tss2/.*": r"^client/port/",
    r"mbedtls/.*": r"^client/port/",
    r"yaml\.h": r"^conf/",
    r"pb_.*\.h": r"^mqtt/wire/",
    r"(mosquitto.*|mqtt_protocol)\.h": r"^(mqtt/bridge|client/port|bench)/",
    r"seccomp\.h": r"^server/",
    r"openssl/.*": r"^(audit/crypto\.c$|(ca|store|pkcs11|bench|server|admin|mqtt/bridge|client/(port|agent|dut|fleet|station))/)",
    r"jansson\.h": r"^(server|admin|auditor|mqtt/bridge|client/(agent|dut|port|station))/",
}
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)


def tracked():
    names = subprocess.run(["git", "-C", SOURCE, "ls-files", "-z", "--cached", "--others",
                            "--exclude-standard"], capture_output=True, check=True).stdout
    return [n for n in names.decode().split("\0") if n and (SOURCE / n).is_file()]


def folder_of(name):
    for folder in sorted(ARROWS, key=len, reverse=True):
        if name.startswith(folder + "/"):
            return folder
    return None


def includes(name):
    return INCLUDE.findall((SOURCE / name).read_text())


class Arrows(unittest.TestCase):
    def setUp(self):
        self.sources = [n for n in tracked() if re.search(r"\.[ch]$", n)]
        self.assertGreater(len(self.sources), 50, "no sources found: is this a checkout?")

    def test_folders_include_only_what_they_may(self):
        wrong = []
        for name in self.sources:
            folder = folder_of(name)
            if not folder:
                continue
            allowed = ARROWS[folder] | (OFFLINE if OFFLINE_FILES.match(name) else set())
            for kind, target in includes(name):
                other = folder_of(target)
                if kind == '"' and not other:
                    wrong.append(f"{name}: {target} is not below a folder of the project")
                elif kind == '"' and other != folder and other not in allowed:
                    wrong.append(f"{name} includes {target}: {folder} may not use {other}")
        self.assertEqual(wrong, [])

    def test_libraries_stay_in_their_folder(self):
        wrong = []
        for name in self.sources:
            if name.startswith("tests/"):
                continue
            for kind, target in includes(name):
                for header, place in LIBRARIES.items():
                    if kind == "<" and re.fullmatch(header, target) and not re.match(place, name):
                        wrong.append(f"{name} includes <{target}>")
        self.assertEqual(wrong, [])

    def test_all_code_folders_are_known(self):
        tops = {n.split("/")[0] for n in self.sources} - {"tests"}
        known = {folder.split("/")[0] for folder in ARROWS}
        self.assertEqual(tops - known, set(), "name the folder and its arrows in this test")


class House(unittest.TestCase):
    def test_every_source_names_its_licence(self):
        wrong = []
        for name in tracked():
            if not re.search(r"(\.[ch]|\.py|\.java|\.sh|/check|/quickstart)$", "/" + name):
                continue
            head = (SOURCE / name).read_text()[:200]
            if "SPDX-License-Identifier: Apache-2.0" not in head:
                wrong.append(name)
        self.assertEqual(wrong, [])

    def test_nothing_is_left_to_do(self):
        wrong = []
        for name in tracked():
            if re.search(r"\.[ch]$", name) and re.search(
                    r"\b(TODO|FIXME|XXX|HACK)\b", (SOURCE / name).read_text()):
                wrong.append(name)
        self.assertEqual(wrong, [])

    def test_no_control_flow_hides_in_macros(self):
        wrong = []
        for name in tracked():
            if not re.search(r"\.[ch]$", name):
                continue
            text = (SOURCE / name).read_text().replace("\\\n", " ")
            for line in re.findall(r"^\s*#\s*define\s.*$", text, re.M):
                if re.search(r"\b(return|goto|break|continue)\b", line):
                    wrong.append(f"{name}: {line.split('(')[0].strip()}")
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
