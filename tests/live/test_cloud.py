# SPDX-License-Identifier: Apache-2.0
"""Registering an issuer with AWS IoT Core and Azure IoT DPS: certificates that prove the CA's key, by
two officers or, where there are none, at once; and what is exported for either cloud."""

import json
import os
import re
import secrets
import subprocess

from harness import (Case, Key, PATIENCE, TOUCHMARK, TOUCHMARKD, field, main, openssl, run,
                     serial_of, until)
from officers import Officer, OfficersCase, open_socket

DAY = 24 * 3600
PROOFS_A_DAY = 16


def aws_code():
    return secrets.token_hex(32)


def azure_code():
    return secrets.token_hex(24).upper()


class Proofs:
    """What a proof must be, whoever asked for it."""

    def check_proof(self, pem, code):
        path = self.site.folder / "proof.pem"
        path.write_text(pem)
        openssl("verify", "-x509_strict", "-CAfile", self.site.root, "-untrusted",
                self.site.issuer, path)
        # as a cloud does it, which knows the issuing CA alone
        openssl("verify", "-partial_chain", "-CAfile", self.site.issuer, path)
        self.assertEqual(field(pem, "-subject", "-nameopt", "RFC2253"), f"subject=CN={code}")
        self.assertEqual(field(pem, "-issuer", "-nameopt", "RFC2253").split("=", 1)[1],
                         field(self.site.issuer.read_text(), "-subject", "-nameopt",
                               "RFC2253").split("=", 1)[1])
        text = field(pem, "-text")
        self.assertRegex(text, r"Basic Constraints: critical\s+CA:FALSE")
        self.assertRegex(text, r"Key Usage: critical\s+Digital Signature\n")
        for name in ("Extended Key Usage", "Alternative Name", "CRL Distribution",
                     "Authority Information"):
            self.assertNotIn(name, text)
        openssl("x509", "-noout", "-checkend", str(6 * DAY), stdin=pem.encode())
        late = run("openssl", "x509", "-noout", "-checkend", str(7 * DAY), stdin=pem.encode(),
                   check=False)
        self.assertEqual(late.returncode, 1)


class ByOfficers(OfficersCase, Proofs):
    core = {"proof_profile": "cloud-proof"}

    @classmethod
    def appoint(cls, site):
        cls.alice = Officer(site, "alice", "daemon", kind="p256")
        cls.bob = Officer(site, "bob", "bin", kind="ed25519")
        cls.olga = Officer(site, "olga", "lp", role="operator")

    def propose(self, cloud, code):
        return self.alice.good("cloud", "proof", cloud, code, "--issuer", "manufacturing")

    def print(self, officer, act):
        code, out, err = officer.ask("cloud", "proof", "--act", act["id"])
        self.assertEqual((code, err), (0, ""))
        return out

    def ended(self, act):
        def over():
            found = self.act(self.alice, act["id"])
            return found if found["status"] not in ("open", "running") else None
        return until(lambda: f"the act ends: {self.act(self.alice, act['id'])}", over)

    def sign(self, act):
        self.alice.sign(act)
        self.bob.sign(act)
        found = self.ended(act)
        self.assertEqual(found["status"], "done", found)
        return found

    def test_two_officers_prove_the_issuer_to_aws(self):
        code = aws_code()
        before = self.server.head()
        act = self.propose("aws", code)
        fingerprint = field(self.site.issuer.read_text(), "-fingerprint", "-sha256")
        fingerprint = fingerprint.split("=")[1].replace(":", "").lower()
        lines = act["text"].splitlines()
        self.assertIn("kind: cloud-proof", lines)
        self.assertEqual([line for line in lines if line.startswith("parameter ")],
                         [f"parameter certificate-sha256: {fingerprint}", "parameter cloud: aws",
                          f"parameter code: {code}", "parameter issuer: manufacturing"])
        fetch = ("cloud", "proof", "--act", act["id"])
        self.assertIn("the act has 0 of 2 signatures", self.alice.refused(*fetch))
        self.alice.sign(act)
        self.assertIn("the act has 1 of 2 signatures", self.alice.refused(*fetch))
        self.assertEqual(self.certificates(code), [])
        self.bob.sign(act)
        found = self.ended(act)
        self.assertEqual(found["status"], "done", found)

        pem = self.print(self.bob, act)
        self.check_proof(pem, code)
        self.assertEqual(found["result"], f"certificate {serial_of(pem)}")
        self.assertEqual(found["done"], 1)
        self.check_books(act, code, pem, before)

    def certificates(self, code):
        """As the registry has them."""
        return [row for row in self.server.touchmark("cert", "list") if row["device"] == code]

    def check_books(self, act, code, pem, before):
        self.assertEqual([row["serial"] for row in self.certificates(code)], [serial_of(pem)])
        shown = self.alice.good("cert", "show", serial_of(pem))
        self.assertEqual((shown["device"], shown["profile"], shown["issuer"], shown["status"]),
                         (code, "cloud-proof", "manufacturing", "active"))
        leaves = self.server.leaves(before)
        own = [leaf for leaf in leaves if act["id"] in leaf.get("reason", "")]
        self.assertEqual([leaf["event"] for leaf in own],
                         ["act-proposed", "act-signed", "act-signed", "act-ended"])
        for officer, leaf in zip((self.alice, self.bob), own[1:3]):
            self.assertEqual(leaf["actor"], officer.actor)
            self.assertTrue(officer.verifies(act["text"], leaf["reason"].split(" ")[1]))
        issued = [leaf for leaf in leaves if leaf["event"] == "issued"]
        self.assertEqual([(leaf["serial"], leaf["actor"], leaf["device"]) for leaf in issued],
                         [(serial_of(pem), f"act:{act['id']} alice bob", code)])

    def test_a_code_has_one_certificate(self):
        code = azure_code()
        first, second = self.propose("azure", code), self.propose("azure", code)
        self.assertNotEqual(first["id"], second["id"])
        self.sign(first)
        pem = self.print(self.alice, first)
        self.check_proof(pem, code)
        self.sign(second)
        self.assertEqual(self.print(self.alice, second), pem)
        self.assertEqual([row["serial"] for row in self.certificates(code)], [serial_of(pem)])
        listed = self.alice.good("cloud", "proof", "--act", second["id"])
        self.assertEqual((listed["pem"], listed["serial"]), (pem, serial_of(pem)))

    def test_what_is_no_code_is_refused(self):
        for cloud, code, pattern in (
                ("aws", "0123456789abcdef", "64 hexadecimal digits"),
                ("aws", "x" * 64, "64 hexadecimal digits"),
                ("aws", aws_code() + "0", "64 hexadecimal digits"),
                ("azure", "A B", "1 to 64 of A-Z a-z 0-9"),
                ("azure", "CN=x,O=y", "1 to 64 of A-Z a-z 0-9"),
                ("azure", "é", "1 to 64 of A-Z a-z 0-9"),
                ("azure", "", "1 to 64 of A-Z a-z 0-9"),
                ("azure", "a\nparameter code: b", "1 to 64 of A-Z a-z 0-9"),
                ("azure", "a" * 65, "1 to 64 of A-Z a-z 0-9"),
                ("azure", "a" * 300, "1 to 64 of A-Z a-z 0-9"),
                ("gcp", aws_code(), "the cloud is aws .* or azure")):
            before = self.server.head()
            sentence = self.alice.refused("cloud", "proof", cloud, code, "--issuer",
                                          "manufacturing")
            self.assertRegex(sentence, rf"\Atouchmark: [^\n]*{pattern}[^\n]*\Z")

            def recorded():
                return [(leaf["actor"], "touchmark: " + leaf["reason"])
                        for leaf in self.server.leaves(before) if leaf["event"] == "refused"]
            self.assertEqual(until("the refusal is recorded", recorded),
                             [(self.alice.actor, sentence)])
        self.assertIn('there is no issuer "other"', self.alice.refused(
            "cloud", "proof", "azure", azure_code(), "--issuer", "other"))

    def test_who_may_not_and_what_is_no_question(self):
        ask = ("cloud", "proof", "azure", azure_code(), "--issuer", "manufacturing")
        self.assertIn("takes the role officer; yours is operator", self.olga.refused(*ask))
        for args in (["azure", azure_code()], ["--issuer", "manufacturing"], [],
                     ["azure", azure_code(), "--issuer", "manufacturing", "--act", "00" * 16]):
            self.assertEqual(self.alice.ask("cloud", "proof", *args)[0], 64, args)
        self.assertIn("there is no act with this ID",
                      self.alice.refused("cloud", "proof", "--act", "00" * 16))
        withdrawn = self.propose("aws", aws_code())
        self.bob.good("act", "withdraw", withdrawn["id"], "--reason", "wrong account")
        self.assertIn("the act was withdrawn",
                      self.alice.refused("cloud", "proof", "--act", withdrawn["id"]))

    def test_a_device_of_that_name_gets_in_nobodys_way(self):
        """Proofs are touchmarkd's own: a device that was registered under the code stays as it is."""
        code = azure_code()
        self.server.touchmark("device", "add", code)
        act = self.propose("azure", code)
        self.alice.sign(act)
        self.bob.sign(act)
        self.assertEqual(self.ended(act)["status"], "done")
        self.assertEqual(self.server.device(code)["state"], "registered")
        self.assertEqual(self.server.device(code)["certificates"], [])

    def refused(self, name):
        secret = self.server.add_device(name)
        key = Key(self.site.folder, f"key-{name[:8]}")
        answer = self.server.enroll("unlinked", key.csr(f"/CN={name}"), name, secret)
        self.assertEqual(answer.status, 403, answer)
        self.assertIn("is a cloud's registration code", answer.text)

    def test_no_device_is_certified_under_a_code(self):
        """Its certificate would serve for a proof that nobody signed for."""
        for code in (aws_code(), aws_code().upper()):
            self.refused(code)
        open_one, used = azure_code(), azure_code()
        self.propose("azure", open_one)
        self.sign(self.propose("azure", used))
        for code in (open_one, used, used.lower()):
            self.refused(code)
        self.server.stop()
        self.server.start()
        open_socket(self.site)
        other = azure_code()
        self.propose("azure", other)
        for code in (open_one.lower(), other):
            self.refused(code)
        for name in ("a" * 63, "c" * 62 + "xy", azure_code()):
            self.server.enrolled(name, "unlinked")

    def test_killed_between_certificate_and_end(self):
        """The act goes on at the next start and finds the certificate that it has made."""
        code = aws_code()
        self.server.stop()
        # the 1st certificate that this core records is the proof: its own is from before
        self.server.start(TOUCHMARK_CRASH="core.recorded")
        open_socket(self.site)
        before, pids = self.server.head(), self.server.pids("core")
        act = self.propose("aws", code)
        self.alice.sign(act)
        self.bob.ask("act", "sign", act["id"], "--key", self.bob.key)

        def back():
            status, out, _ = self.alice.ask("act", "show", act["id"], "--json")
            return status == 0 and json.loads(out)["status"] == "done"
        until(lambda: f"the act is done after a restart:\n{self.server.tail()}", back)
        self.assertNotEqual(self.server.pids("core"), pids)
        pem = self.print(self.alice, act)
        self.check_proof(pem, code)
        self.check_books(act, code, pem, before)
        self.server.stop()
        self.server.start()
        open_socket(self.site)


class NewProfile(OfficersCase):
    """Officers sign for the profile, too, when a store has not seen it before."""

    @classmethod
    def appoint(cls, site):
        cls.alice = Officer(site, "alice", "daemon", kind="ed25519")
        cls.bob = Officer(site, "bob", "bin", kind="ed25519")

    def test_it_is_withheld_until_they_do(self):
        self.server.stop()
        self.site.core = {"proof_profile": "cloud-proof"}
        self.server.start()
        open_socket(self.site)
        ask = ("cloud", "proof", "azure", azure_code(), "--issuer", "manufacturing")
        self.assertIn("profile cloud-proof is not one that officers approved",
                      self.alice.refused(*ask))
        self.assertEqual(self.alice.good("act", "list"), [])


class AtOnce(Case, Proofs):
    """Without officers."""

    core = {"proof_profile": "cloud-proof"}

    def ask(self, *args, check=True):
        done = run(TOUCHMARK, "cloud", *args, "--socket",
                   self.site.folder / "run" / "admin.sock", env=self.site.env, check=check)
        return done.stdout.decode() if check else (done.returncode, done.stderr.decode())

    def test_the_certificate_is_printed(self):
        code = azure_code()
        pem = self.ask("proof", "azure", code, "--issuer", "manufacturing")
        self.check_proof(pem, code)
        self.assertEqual(self.ask("proof", "azure", code, "--issuer", "manufacturing"), pem)
        leaf = [leaf for leaf in self.server.leaves() if leaf["event"] == "issued"][-1]
        self.assertEqual((leaf["serial"], leaf["actor"]), (serial_of(pem), f"uid:{os.getuid()}"))
        path = self.site.folder / "aws-proof.pem"
        path.write_text(self.ask("proof", "aws", aws_code(), "--issuer", "manufacturing"))
        text = run(TOUCHMARK, "cloud", "export", "aws", "--issuer", "manufacturing", "--proof",
                   path, "--conf", self.site.config).stdout
        self.assertEqual(json.loads(text)["verificationCertificate"], path.read_text())

    def test_the_signer_makes_few_in_a_day(self):
        before = [row for row in self.server.touchmark("cert", "list")
                  if row["profile"] == "cloud-proof"]
        for _ in range(PROOFS_A_DAY - len(before)):
            self.ask("proof", "azure", azure_code(), "--issuer", "manufacturing")
        code, err = self.ask("proof", "azure", azure_code(), "--issuer", "manufacturing",
                             check=False)
        self.assertEqual(code, 1)
        self.assertIn("the signer's ceiling is reached", err)
        made = [row for row in self.server.touchmark("cert", "list")
                if row["profile"] == "cloud-proof" and row["status"] == "active"]
        self.assertEqual(len(made), PROOFS_A_DAY)
        # devices have nothing to do with it
        self.server.enrolled("after-the-ceiling")

    def test_the_store_remembers_codes(self):
        """What was proved without an act is told from the registry; last, since the signer's count
        begins anew."""
        proofs = [row["device"] for row in self.server.touchmark("cert", "list")
                  if row["profile"] == "cloud-proof"]
        code = [name for name in proofs if len(name) == 48][0]
        self.server.stop()
        self.server.start()
        secret = self.server.add_device(code)
        key = Key(self.site.folder, "under-a-code")
        answer = self.server.enroll("unlinked", key.csr(f"/CN={code}"), code, secret)
        self.assertEqual(answer.status, 403, answer)


class WithoutProfile(Case):
    def test_there_are_none(self):
        done = run(TOUCHMARK, "cloud", "proof", "azure", azure_code(), "--issuer", "manufacturing",
                   "--socket", self.site.folder / "run" / "admin.sock", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("core.proof_profile names no profile", done.stderr.decode())

    def test_another_kind_is_refused(self):
        own = self.site.config.read_text()
        path = self.site.folder / "other.yaml"
        path.write_text(own.replace("core:\n", "core:\n  proof_profile: ldevid\n"))
        done = run(TOUCHMARKD, "--check", "--conf", path, check=False, env=self.site.env)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("ldevid is not of the kind proof", done.stderr.decode())


class Export(Case):
    """Files from the configuration alone; the server runs beside, and is not asked."""

    def export(self, cloud, *more, check=True, issuer="manufacturing"):
        return run(TOUCHMARK, "cloud", "export", cloud, "--issuer", issuer, "--conf",
                   self.site.config, *more, check=check)

    def refused(self, *args, code=1, **kw):
        done = self.export(*args, check=False, **kw)
        self.assertEqual(done.returncode, code, done)
        return done.stderr.decode()

    def check_certificate(self, pem):
        """The CA's, and one that AWS and Azure take as a CA's."""
        own = openssl("x509", "-in", self.site.issuer, "-outform", "DER")
        self.assertEqual(openssl("x509", "-outform", "DER", stdin=pem.encode()), own)
        self.assertEqual(pem.count("BEGIN CERTIFICATE"), 1)
        self.assertRegex(field(pem, "-text"), r"Basic Constraints: critical\s+CA:TRUE")

    def check_folder(self, folder, *more):
        names = {"manufacturing.pem", "manufacturing-chain.pem", *more}
        self.assertEqual({path.name for path in folder.iterdir()}, names)
        self.check_certificate((folder / "manufacturing.pem").read_text())
        openssl("verify", "-CAfile", folder / "manufacturing-chain.pem",
                folder / "manufacturing.pem")

    def test_aws(self):
        folder = self.site.folder / "aws"
        listed = self.export("aws", "--out", folder).stdout.decode().splitlines()
        self.assertEqual(sorted(listed), sorted(str(path) for path in folder.iterdir()))
        self.check_folder(folder, "register-ca-certificate.json", "provisioning-template.json")
        asked = json.loads((folder / "register-ca-certificate.json").read_text())
        self.assertEqual(set(asked), {"caCertificate", "verificationCertificate",
                                      "certificateMode", "setAsActive", "allowAutoRegistration",
                                      "registrationConfig"})
        self.check_certificate(asked["caCertificate"])
        self.assertEqual((asked["certificateMode"], asked["setAsActive"],
                          asked["allowAutoRegistration"]), ("DEFAULT", True, True))
        template = json.loads((folder / "provisioning-template.json").read_text())
        self.assertEqual(json.loads(asked["registrationConfig"]["templateBody"]), template)
        self.assertEqual(set(template), {"Parameters", "Resources"})
        # every Ref is to a parameter, and devices' subjects have what the parameters are taken of
        self.assertEqual(set(re.findall(r'"Ref": "([^"]*)"', json.dumps(template))),
                         set(template["Parameters"]))
        self.assertEqual(set(template["Parameters"]),
                         {"AWS::IoT::Certificate::CommonName", "AWS::IoT::Certificate::Id"})

    def test_azure(self):
        folder = self.site.folder / "azure"
        self.export("azure", "--out", folder)
        self.check_folder(folder, "enrollment-group.json")
        group = json.loads((folder / "enrollment-group.json").read_text())
        self.assertEqual(group["enrollmentGroupId"], "manufacturing")
        self.assertEqual(group["provisioningStatus"], "enabled")
        attestation = group["attestation"]
        self.assertEqual(attestation["type"], "x509")
        self.assertEqual(list(attestation["x509"]), ["signingCertificates"])
        self.check_certificate(attestation["x509"]["signingCertificates"]["primary"]["certificate"])
        self.assertEqual(json.loads(self.export("azure").stdout), group)

    def test_what_is_there_stays(self):
        folder = self.site.folder / "twice"
        self.export("azure", "--out", folder)
        (folder / "enrollment-group.json").write_text("filled in\n")
        self.assertIn("File exists", self.refused("azure", "--out", folder))
        self.assertEqual((folder / "enrollment-group.json").read_text(), "filled in\n")

    def test_refusals(self):
        self.assertIn("CLOUD is aws or azure", self.refused("gcp", code=64))
        self.assertIn('there is no issuer "other"', self.refused("aws", issuer="other"))
        self.assertIn("No such file", self.refused("aws", "--proof", self.site.folder / "none"))
        for other in (self.site.issuer, self.site.folder / "foreign.pem"):
            self.assertIn("not one certificate that manufacturing has signed",
                          self.refused("aws", "--proof", other))
        done = subprocess.run([TOUCHMARK, "cloud", "export", "aws"], capture_output=True,
                              timeout=PATIENCE)
        self.assertEqual(done.returncode, 64)
        self.assertIn(b"--issuer is missing", done.stderr)


if __name__ == "__main__":
    main()
