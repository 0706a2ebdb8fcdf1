# SPDX-License-Identifier: Apache-2.0
"""The registry as operators and the factory use it (requirements C1 to C6): products and their
rules, lifecycle with what it does to certificates, bulk import and export."""

import base64
import csv
import hashlib
import io
import json
import re
import subprocess
import threading

from harness import (PATIENCE, SLOW, SOURCE, TOUCHMARK, Case, Key, main, openssl, point_in, run,
                     serial_of, subject_of, until)

REFUSED, USAGE, CONFIG = 1, 64, 78

GATEWAY = ("id_prefix: GW-\nid_min: 8\nid_max: 8\nid_charset: [digits]\ncheck_digit: luhn\n"
           "profiles: [idevid, ldevid, named]\nrework: reissue\nmax_reworks: 2\nrma: revoke\n"
           "refurbishment: reuse\nmax_rmas: 1\nid_reuse: out-of-use\n")
SENSOR = "id_charset: [digits, upper]\nprofiles: [ldevid]\n"


def luhn(digits):
    total = 0
    for i, c in enumerate(reversed(digits)):
        d = int(c) * (1 if i % 2 else 2)
        total += d // 10 + d % 10
    return str(-total % 10)


def gateway(number):
    """A device ID of product gw."""
    return f"GW-{number:04}{luhn(f'{number:04}')}"


class RegistryCase(Case):
    @classmethod
    def prepare(cls, site):
        """Tenant globex takes products only; acme takes what comes."""
        folder = site.folder / "products"
        folder.mkdir()
        (folder / "gw.yaml").write_text(GATEWAY)
        (folder / "sensor.yaml").write_text(SENSOR)
        plain = site.write_config

        def write_config():
            plain()
            text = site.config.read_text()
            text = text.replace("environment: test\n",
                                f"environment: test\nproducts_dir: {folder}\n")
            text = text.replace("  - name: globex\n", "  - name: globex\n    products: required\n")
            site.config.write_text(text)
        site.write_config = write_config

    def ask(self, *args, code=0):
        """Output of a command, or its error output when it is to fail."""
        done = run(TOUCHMARK, *args, "--conf", self.site.config, check=False, env=self.site.env)
        self.assertEqual(done.returncode, code, done.stdout.decode() + done.stderr.decode())
        return (done.stderr if code else done.stdout).decode()

    def rows(self, *args):
        return [json.loads(line) for line in self.ask(*args, "--json").splitlines()]

    def leaves_of(self, device):
        return [leaf for leaf in self.server.leaves() if leaf.get("device") == device]


class Products(RegistryCase):
    def test_products_in_use_are_shown(self):
        found = {row["sku"]: row for row in self.rows("product", "list")}
        self.assertEqual(set(found), {"gw", "sensor"})
        self.assertEqual(found["gw"]["id_example"], "GW-00000")
        [shown] = self.rows("product", "show", "gw")
        self.assertEqual((shown["hash"], shown["rma"], shown["id_prefix"]),
                         (found["gw"]["hash"], "revoke", "GW-"))
        self.assertIn("no product none", self.ask("product", "show", "none", code=REFUSED))

    def test_check_asks_nobody_and_names_line_and_key(self):
        path = self.site.folder / "new.yaml"
        path.write_text(GATEWAY.replace("id_max: 8", "id_max: 7"))
        done = run(TOUCHMARK, "product", "check", path, SOURCE / "conf/products/gateway.yaml",
                   check=False)
        self.assertEqual(done.returncode, REFUSED)
        self.assertIn(f"{path}:3: id_max: is less than id_min", done.stderr.decode())
        self.assertIn("an ID: GW-00000", done.stdout.decode())

    def test_a_products_ids_are_held_to_its_rule(self):
        self.ask("device", "add", gateway(1), "--sku", "gw")
        for name, says in (("GW-00017", "ID GW-00017: check digit is 7, it must be 8 (luhn)"),
                           ("GW-018", "product gw wants 8 to 8"), ("XX-00018", "begin with GW-")):
            with self.subTest(name):
                self.assertIn(says, self.ask("device", "add", name, "--sku", "gw", code=REFUSED))
        self.ask("device", "add", "GW-00017", "--sku", "something-else")

    def test_where_products_are_required_every_device_is_of_one(self):
        for more in ((), ("--sku", "toaster")):
            says = self.ask("device", "add", "T-1", "--tenant", "globex", *more, code=REFUSED)
            self.assertIn("must be a product: gw, sensor", says)
        self.ask("device", "add", gateway(2), "--tenant", "globex", "--sku", "gw")

    def test_a_profile_that_the_product_does_not_name_is_refused(self):
        name = gateway(3)
        self.ask("device", "add", name, "--sku", "gw")
        key = Key(self.site.folder, name)
        answer = self.server.enroll("short", key.csr(f"/CN={name}"), name, self.server.secret(name))
        self.assertEqual(answer.status, 403, answer)
        self.check_sentence(answer)
        self.assertIn("no certificate of profile short, only of: idevid, ldevid, named",
                      answer.text)
        self.assertEqual(self.leaves_of(name)[-1]["event"], "refused")
        self.server.enrolled(name, "named", secret=self.server.secret(name))

    def test_a_changed_product_is_in_the_audit_and_strands_nobody(self):
        path = self.site.folder / "products" / "sensor.yaml"
        self.ask("device", "add", "S1", "--sku", "sensor")
        self.ask("device", "add", "S2", "--sku", "sensor")
        certificate, key = self.server.enrolled("S1", secret=self.server.secret("S1"))
        before = self.server.head()
        try:
            path.write_text(SENSOR + "id_min: 5\n")
            self.ask("reload")
            [shown] = until("the new rule holds", lambda: [
                row for row in self.rows("product", "show", "sensor") if row["id_min"] == "5"])
            reasons = [leaf["reason"] for leaf in self.server.leaves(before)
                       if leaf["event"] == "product"]
            self.assertEqual(reasons, [f"sensor: hash {shown['hash']}"])
            answer = self.server.enroll("ldevid", key.csr(subject_of(certificate.read_text())),
                                        operation="simplereenroll", cert=certificate, key=key.path)
            self.assertEqual(answer.status, 200, answer)
            new = Key(self.site.folder, "S2")
            answer = self.server.enroll("ldevid", new.csr("/CN=S2"), "S2", self.server.secret("S2"))
            self.assertEqual((answer.status, "wants 5 to 64" in answer.text), (403, True), answer)
            path.unlink()
            self.ask("reload")
            until("the product is gone", lambda: len(self.rows("product", "list")) == 1)
            self.assertEqual(self.server.leaves()[-2]["reason"],
                             "sensor: there is no such product any more")
        finally:
            path.write_text(SENSOR)
            self.ask("reload")
            until("the products are back", lambda: len(self.rows("product", "list")) == 2)


class Lifecycle(RegistryCase):
    def move(self, name, what, code=0):
        return self.ask("device", what, name, "--reason", f"test of {what}", code=code)

    def transition(self, name, *states):
        for state in states:
            self.server.transition(name, state)

    def device_of(self, name):
        """A gateway in the field, with certificates of two profiles; (certificate, key) of one."""
        self.ask("device", "add", name, "--sku", "gw")
        self.server.enrolled(name, "idevid", secret=self.server.secret(name))
        self.transition(name, "activated")
        return self.server.enrolled(name, "named", secret=self.server.secret(name))

    def renew(self, certificate, key):
        return self.server.enroll("named", key.csr(subject_of(certificate.read_text())),
                                  operation="simplereenroll", cert=certificate, key=key.path)

    def statuses(self, name):
        return {c["profile"]: c["status"] for c in reversed(self.server.device(name)["certificates"])}

    def test_suspended_and_resumed(self):
        name = gateway(100)
        certificate, key = self.device_of(name)
        self.move(name, "suspend")
        self.assertIn("is suspended", self.renew(certificate, key).text)
        self.assertIn("is suspended and may become", self.move(name, "rework", code=REFUSED))
        self.move(name, "resume")
        self.assertEqual(self.renew(certificate, key).status, 200)
        self.assertIn("is activated and may become", self.move(name, "resume", code=REFUSED))
        self.ask("device", "add", gateway(99), "--sku", "gw")
        self.assertIn("not in a state for that", self.move(gateway(99), "resume", code=REFUSED))

    def test_a_return_revokes_by_policy_and_refurbishment_starts_anew(self):
        name = gateway(101)
        certificate, key = self.device_of(name)
        head = self.server.head()
        self.move(name, "return")
        found = self.server.device(name)
        self.assertEqual((found["state"], found["rma_count"], found["secret"]),
                         ("returned", 1, "none"))
        self.assertEqual(self.statuses(name), {"idevid": "revoked", "named": "revoked"})
        leaves = self.server.leaves(head)
        self.assertEqual([leaf["event"] for leaf in leaves], ["revoked", "revoked", "transition"])
        self.assertEqual({leaf["reason"] for leaf in leaves}, {"test of return"})
        shown = self.rows("cert", "show", serial_of(certificate.read_text()))[0]
        self.assertEqual((shown["status"], shown["reason"]), ("revoked", 5))
        self.move(name, "refurbish")
        self.assertEqual(self.renew(certificate, key).status, 403)
        self.transition(name, "provisioning")
        self.server.enrolled(name, "idevid", secret=self.server.secret(name))
        self.assertEqual(self.server.device(name)["state"], "manufactured")
        self.transition(name, "returned")
        self.assertIn("was returned 2 times, and product gw allows 1",
                      self.move(name, "refurbish", code=REFUSED))
        self.move(name, "retire")

    def test_each_profile_has_its_own_current_and_next(self):
        """Three profiles; two of them were renewed, and the one before still brings its next. What
        comes back takes them all along, and nothing else."""
        name = gateway(106)
        named, key = self.device_of(name)
        self.server.enrolled(name, "ldevid", secret=self.server.secret(name))
        ldevid = self.site.folder / f"ldevid-{name}.pem"
        own = Key.__new__(Key)
        own.path = self.site.folder / f"ldevid-{name}.key"

        def renew(label, certificate, used):
            return self.server.enroll(label, used.csr(subject_of(certificate.read_text())),
                                      operation="simplereenroll", cert=certificate, key=used.path)
        for label, certificate, used in (("named", named, key), ("ldevid", ldevid, own)):
            self.assertEqual(renew(label, certificate, used).status, 200)
        for certificate, used in ((named, key), (ldevid, own)):
            new = Key(self.site.folder, f"next-{certificate.stem}")
            label = "named" if certificate is named else "ldevid"
            answer = self.server.enroll(label, new.csr(subject_of(certificate.read_text())),
                                        operation="simplereenroll", cert=certificate, key=used.path)
            self.assertEqual(answer.status, 200, answer)
        found = sorted((c["profile"], c["status"])
                       for c in self.server.device(name)["certificates"])
        self.assertEqual(found, [("idevid", "active")] + [
            (p, s) for p in ("ldevid", "named") for s in ("active", "superseded", "superseded")])
        self.move(name, "return")
        found = [c["status"] for c in self.server.device(name)["certificates"]]
        self.assertEqual(found, ["revoked"] * 7)

    def test_a_rework_issues_anew_to_the_same_id(self):
        name = gateway(102)
        self.ask("device", "add", name, "--sku", "gw")
        self.server.enrolled(name, "idevid", secret=self.server.secret(name))
        key = Key(self.site.folder, "other-board")
        answer = self.server.enroll("idevid", key.csr(f"/CN={name}"), name,
                                    self.server.secret(name))
        self.assertEqual(answer.status, 409, answer)
        self.move(name, "rework")
        found = self.server.device(name)
        self.assertEqual((found["state"], found["rework_count"]), ("provisioning", 1))
        answer = self.server.enroll("idevid", key.csr(f"/CN={name}"), name,
                                    self.server.secret(name))
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(sorted(c["status"] for c in self.server.device(name)["certificates"]),
                         ["active", "superseded"])

    def test_an_id_goes_to_another_device_when_the_one_before_is_retired(self):
        name = gateway(103)
        certificate, key = self.device_of(name)
        self.assertIn("it is in use", self.ask("device", "add", name, "--sku", "gw", code=REFUSED))
        self.move(name, "retire")
        self.assertIn("its ID is never given to another",
                      self.ask("device", "add", name, code=REFUSED))
        self.ask("device", "add", name, "--sku", "gw", "--batch", "second")
        found = self.server.device(name)
        self.assertEqual((found["state"], found["batch"]), ("registered", "second"))
        self.assertEqual(self.statuses(name), {"idevid": "revoked", "named": "revoked"})
        self.assertEqual(self.renew(certificate, key).status, 403)
        self.server.enrolled(name, "idevid", secret=self.server.secret(name))

    def test_what_happens_at_once_happens_one_after_the_other(self):
        name = gateway(104)
        self.device_of(name)
        head = self.server.head()
        many = 8 if SLOW else 24
        command = [str(x) for x in (TOUCHMARK, "device", "return", name, "--reason", "at once",
                                    "--conf", self.site.config)]
        started = [subprocess.Popen(command, env=self.site.env, stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE) for _ in range(many)]
        said = [process.communicate(timeout=PATIENCE)[1].decode() for process in started]
        codes = sorted(process.returncode for process in started)
        self.assertEqual(codes, [0] + [REFUSED] * (many - 1), said)
        self.assertEqual(sum("is returned and may become" in text for text in said), many - 1)
        self.assertEqual(self.server.device(name)["rma_count"], 1)
        self.assertEqual([leaf["event"] for leaf in self.server.leaves(head)],
                         ["revoked", "revoked", "transition"])

    def test_moves_and_renewals_at_once_leave_one_history(self):
        """Suspended and resumed over and over while the device renews: every certificate that it
        was given is in its record, and the leaves tell of one state after the other."""
        name = gateway(105)
        certificate, key = self.device_of(name)
        head = self.server.head()
        rounds = 3 if SLOW else 10
        answers = []

        def renews():
            for _ in range(rounds):
                answers.append(self.renew(certificate, key).status)
        thread = threading.Thread(target=renews)
        thread.start()
        for _ in range(rounds):
            self.move(name, "suspend")
            self.move(name, "resume")
        thread.join()
        self.assertLessEqual(set(answers), {200, 403, 503})
        state = "activated"
        for leaf in self.server.leaves(head):
            if leaf["event"] == "transition":
                self.assertEqual(leaf["from"], state)
                state = leaf["to"]
        self.assertEqual(state, "activated")
        self.assertEqual(self.renew(certificate, key).status, 200)


def csv_of(rows, columns=("device", "sku", "batch")):
    lines = [",".join(columns)] + [",".join(row.get(c, "") for c in columns) for row in rows]
    return "\r\n".join(lines) + "\r\n"


class Bulk(RegistryCase):
    def write(self, name, text):
        path = self.site.folder / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def imported(self, path, *more, code=0):
        """What came of an import: its figures, and what it says on the standard error output."""
        done = run(TOUCHMARK, "device", "import", path, "--json", "--conf", self.site.config, *more,
                   check=False, env=self.site.env)
        self.assertEqual(done.returncode, code, done.stdout.decode() + done.stderr.decode())
        return (json.loads(done.stdout) if done.stdout else None), done.stderr.decode()

    def exported(self, *more):
        """Of tenant globex, by device."""
        text = self.ask("device", "export", "--tenant", "globex", *more)
        return {row["device"]: row for row in csv.DictReader(io.StringIO(text, newline=""))}

    def test_export_says_what_import_said(self):
        columns = ("device", "sku", "hardware_revision", "batch", "site", "job", "firmware",
                   "provisioning_version")
        rows = [dict(zip(columns, (gateway(1000 + i), "gw", "C2", f"b-{i % 3}", "works-1", "j-7",
                                   "1.0.2", "3"))) for i in range(300)]
        path = self.write("all.csv", csv_of(rows, columns))
        figures, said = self.imported(path, "--tenant", "globex")
        self.assertEqual((figures, said), ({"added": 300, "unchanged": 0, "bad": 0, "rows": 300},
                                           ""))
        found = self.exported()
        for row in rows:
            self.assertEqual({c: found[row["device"]][c] for c in columns}, row)
            self.assertEqual(found[row["device"]]["state"], "registered")
        added = [leaf for leaf in self.server.leaves()
                 if (leaf.get("tenant"), leaf.get("reason")) == ("globex", "import")]
        self.assertEqual({leaf["device"] for leaf in added}, {row["device"] for row in rows})
        # What was exported is imported again and changes nothing, in either format.
        head = self.server.head()
        for name, form in (("again.csv", "csv"), ("again.jsonl", "jsonl")):
            again = self.write(name, self.ask("device", "export", "--tenant", "globex", "--format",
                                              form))
            figures, said = self.imported(again, "--tenant", "globex")
            self.assertEqual((figures["added"], figures["unchanged"]), (0, len(found)))
            self.assertIn("not imported: ", said)
        self.assertEqual(self.server.head(), head)
        # And where nothing of it is there, it is all there afterwards, but what is each one's own.
        again = self.site.folder / "again.csv"
        figures, _ = self.imported(again, "--tenant", "acme")
        self.assertEqual((figures["added"], figures["bad"]), (len(found), 0))
        text = self.ask("device", "export", "--tenant", "acme", "--format", "jsonl")
        copies = {row["device"]: row for row in map(json.loads, text.splitlines())}
        for row in rows:
            self.assertEqual({c: str(copies[row["device"]][c]) for c in columns}, row)

    def test_every_bad_row_is_named_and_nothing_is_half_loaded(self):
        self.ask("device", "add", gateway(20), "--sku", "gw", "--batch", "other")
        path = self.write("bad.csv", "device,sku,batch\n"
                          f"{gateway(21)},gw,b\n"       # 2
                          "GW-00227,gw,b\n"             # 3: check digit
                          f"{gateway(23)},gw\n"         # 4: a field is missing
                          f'"{gateway(24)}","gw","b"\n\n'
                          f"{gateway(21)},gw,b\n"       # 7: twice
                          f"{gateway(20)},gw,b\n"       # 8: registered otherwise
                          'a"b,gw,b\n'                  # 9: a quote
                          "a b,other,b\n"               # 10: no ID
                          f"{gateway(25)},gw,b")
        figures, said = self.imported(path, code=REFUSED)
        self.assertIsNone(figures)
        lines = {int(line.split(":")[2]): line for line in said.splitlines() if f"{path}:" in line}
        self.assertEqual(sorted(lines), [3, 4, 7, 8, 9, 10])
        for line, says in ((3, "check digit is 7, it must be"), (4, "has 2 fields, and the header 3"),
                           (7, "is on line 2 already"), (8, 'with batch "other", not "b"'),
                           (9, "RFC 4180"), (10, 'device "a b" is not allowed')):
            self.assertIn(says, lines[line])
        self.assertIn("nothing was imported: 6 of 9 rows are bad", said)
        self.assertIn("has no device", self.ask("device", "show", gateway(21), code=REFUSED))
        figures, _ = self.imported(path, "--dry-run", "--skip-bad", code=REFUSED)
        self.assertEqual(figures, {"to_add": 3, "unchanged": 0, "bad": 6, "rows": 9})
        figures, _ = self.imported(path, "--skip-bad", code=REFUSED)
        self.assertEqual(figures, {"added": 3, "unchanged": 0, "bad": 6, "rows": 9})
        for number in (21, 24, 25):
            self.assertEqual(self.server.device(gateway(number))["batch"], "b")
        self.assertEqual(self.server.device(gateway(20))["batch"], "other")

    def test_a_file_that_is_none_is_refused_as_a_whole(self):
        for text, says in ((b"", ":1: the file has no header row"),
                           ("sku\nx\n", ":1: the header names no column device"),
                           ("device,colour\nx,red\n", 'no column "colour"; columns are device,'),
                           ("device,sku,sku\nx,a,b\n", "the header names sku twice"),
                           ("device\n\"" + "x" * 9000, ":2: the row, or a quoted field")):
            path = self.write("none.csv", text)
            _, said = self.imported(path, code=REFUSED)
            self.assertIn(f"{path}{says}" if says[0] == ":" else says, said)
        self.imported(self.site.folder, code=REFUSED)

    def test_json_lines(self):
        rows = [{"device": gateway(30), "provisioning_version": 7}, {"device": gateway(31)}]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        figures, _ = self.imported(self.write("a.jsonl", text), "--sku", "gw", "--batch", "b-1")
        self.assertEqual(figures["added"], 2)
        found = self.server.device(gateway(30))
        self.assertEqual((found["provisioning_version"], found["sku"], found["batch"]),
                         (7, "gw", "b-1"))
        path = self.write("b.jsonl", '{"device":"a","device":"b"}\n[1]\n{"device":7}\n'
                                     '{"device":"x","colour":"red"}\n{"sku":"gw"}\n')
        _, said = self.imported(path, code=REFUSED)
        for line, says in ((1, "duplicate object key"), (2, "is not one JSON object"),
                           (3, "device must be a text"), (4, 'no member "colour"'),
                           (5, "device is missing")):
            self.assertRegex(said, f":{line}: .*{says}")

    def kill_midway(self, path):
        """Begins an import and kills it when some of it is in."""
        command = [TOUCHMARK, "device", "import", path, "--conf", self.site.config, "--progress"]
        head = self.server.head()
        process = subprocess.Popen([str(x) for x in command], env=self.site.env,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        until("some are in", lambda: self.server.head() > head + 100)
        process.kill()
        self.assertRegex(process.communicate()[1].decode(), r"checked \d+ rows")

    def test_an_import_that_was_killed_is_resumed(self):
        for prefix in "KLMN":  # one may be done before it is killed
            total = 2000 if SLOW else 20000
            head = self.server.head()
            path = self.write("many.csv", csv_of([{"device": f"{prefix}{i:06}", "sku": "sensor"}
                                                  for i in range(total)]))
            self.kill_midway(path)
            found = len(self.exported_ids(prefix))
            if found < total:
                break
        self.assertIn(found, range(100, total))
        figures, _ = self.imported(path)
        self.assertEqual((figures["added"] + figures["unchanged"], figures["bad"]), (total, 0))
        self.assertGreaterEqual(figures["unchanged"], found)
        self.assertEqual(len(self.exported_ids(prefix)), total)
        leaves = [leaf["device"] for leaf in self.server.leaves(head)
                  if leaf.get("device", "").startswith(prefix)]
        self.assertEqual((len(leaves), len(set(leaves))), (total, total))

    def exported_ids(self, prefix):
        text = self.ask("device", "export", "--format", "jsonl")
        return {row["device"] for row in map(json.loads, text.splitlines())
                if row["device"].startswith(prefix)}

    def test_an_export_has_no_secrets(self):
        self.ask("device", "add", "SECRET1", "--sku", "sensor")
        secret = self.server.secret("SECRET1")
        text = self.ask("device", "export", "--format", "jsonl")
        self.assertNotIn(secret, text)
        self.assertNotIn("secret", text.replace("SECRET1", ""))


def b64url(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


class Manifest(RegistryCase):
    """Signed by openssl as a maker of secure elements does it."""

    @classmethod
    def prepare(cls, site):
        super().prepare(site)
        for name in ("maker", "stranger"):
            site.make_ca(name, f"Manifest signer {name}")
        former = site.folder / "former.key"
        openssl("ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", former)
        openssl("req", "-new", "-key", former, "-subj", "/CN=former", "-out",
                site.folder / "former.csr")
        config = site.folder / "former.cnf"
        config.write_text(f"[ca]\ndefault_ca=x\n[x]\ndatabase={site.folder}/former.txt\n"
                          f"new_certs_dir={site.folder}\npolicy=any\ndefault_md=sha256\n"
                          "rand_serial=yes\n[any]\ncommonName=supplied\n")
        (site.folder / "former.txt").write_text("")
        openssl("ca", "-batch", "-notext", "-selfsign", "-config", config, "-keyfile", former, "-in",
                site.folder / "former.csr", "-startdate", "20200101000000Z", "-enddate",
                "20210101000000Z", "-out", site.folder / "former.pem")

    def signed(self, payload, shown, signer="maker", algorithm="ES256"):
        """One element: a JWS in flattened JSON."""
        f = self.site.folder
        der = openssl("x509", "-in", f / f"{signer}.pem", "-outform", "DER")
        protected = {"typ": "JWT", "alg": algorithm,
                     "x5t#S256": b64url(hashlib.sha256(der).digest())}
        text = [b64url(json.dumps(x).encode()) for x in (protected, payload)]
        der = openssl("dgst", "-sha256", "-sign", f / f"{signer}.key", stdin=".".join(text).encode())
        rows = openssl("asn1parse", "-inform", "DER", stdin=der).decode()
        rs = b"".join(bytes.fromhex(x.rjust(64, "0")) for x in re.findall(r"INTEGER +:(\w+)", rows))
        return {"payload": text[1], "protected": text[0], "header": {"uniqueId": shown},
                "signature": b64url(rs)}

    def element(self, name, **more):
        """An element with a key and the certificate that its maker gave it: (JWS, certificate, key)."""
        certificate, key = self.site.foreign_device(name)
        point = point_in(openssl("x509", "-in", certificate, "-outform", "DER"))
        der = openssl("x509", "-in", certificate, "-outform", "DER")
        jwk = {"kid": "0", "kty": "EC", "crv": "P-256", "x": b64url(point[:32]),
               "y": b64url(point[32:]), "x5c": [base64.b64encode(der).decode()]}
        payload = {"version": 1, "model": "ATECC608B", "uniqueId": name, "groupId": "G",
                   "publicKeySet": {"keys": [jwk]}, **more.pop("payload", {})}
        return self.signed(payload, more.pop("shown", name), **more), certificate, key

    def imported(self, elements, *more, code=0, signer="maker"):
        path = self.site.folder / "manifest.json"
        path.write_text(json.dumps(elements, indent=1))
        return self.ask("device", "import", path, "--format", "manifest", "--signer",
                        self.site.folder / f"{signer}.pem", *more, code=code)

    def test_only_the_elements_own_key_enrolls(self):
        name = "0123f1822c38dd7a01"
        element, certificate, key = self.element(name)
        self.assertIn("added: 1\n", self.imported([element], "--batch", "reel-7"))
        self.assertIn("unchanged: 1\n", self.imported([element]))
        found = self.server.device(name)
        self.assertEqual((found["batch"], found["pinned"], found["state"]),
                         ("reel-7", True, "registered"))
        other = Key(self.site.folder, "other")
        for how in ({"cert": certificate, "key": key},
                    {"user": name, "secret": self.server.secret(name)}):
            answer = self.server.enroll("idevid", other.csr(f"/CN={name}"), **how)
            self.assertEqual((answer.status, "none of those" in answer.text), (400, True), answer)
        own = Key.__new__(Key)
        own.path = key
        answer = self.server.enroll("idevid", own.csr(f"/CN={name}"), cert=certificate, key=key)
        self.assertEqual(answer.status, 200, answer)
        # With that certificate, the device makes itself others for keys that it has made since.
        idevid = self.site.folder / "idevid.pem"
        idevid.write_text(answer.pem())
        answer = self.server.enroll("ldevid", other.csr(f"/CN={name}"), cert=idevid, key=key)
        self.assertEqual(answer.status, 200, answer)

    def test_what_is_not_signed_or_not_consistent_is_refused(self):
        good = self.element("0123000000000000aa")[0]
        another = self.element("0123000000000000ab")[0]
        wrong = self.element("0123000000000000ac")[0]["payload"]
        keys = json.loads(base64.urlsafe_b64decode(wrong + "=="))["publicKeySet"]
        cases = (
            (self.element("0123000000000000b1", signer="stranger")[0], "not signed by any"),
            ({**good, "payload": another["payload"]}, "not signed by any"),
            ({**good, "signature": good["signature"][:-4]}, "does not have 64 octets"),
            (self.element("0123000000000000b2", shown="0123000000000000b3")[0],
             "unique ID of its header is not the one"),
            (self.element("0123000000000000b4", algorithm="none")[0], "is not ES256"),
            (self.element("0123000000000000b5", payload={"publicKeySet": {"keys": []}})[0],
             "has no P-256 key"),
            (self.element("0123000000000000b6", payload={"publicKeySet": {"keys": [
                {**keys["keys"][0], "y": keys["keys"][0]["x"]}]}})[0], "no point of P-256"),
            (self.element("0123000000000000b7", payload={"publicKeySet": {"keys": [
                {**keys["keys"][0], "x5c": ["AAAA"]}]}})[0], "not that of its key"),
            ({"payload": good["payload"]}, "is no JWS"),
            ("text", "is no JWS"),
        )
        said = self.imported([good] + [case for case, _ in cases], code=REFUSED)
        lines = [line for line in said.splitlines() if "manifest.json:" in line]
        self.assertEqual(len(lines), len(cases), said)
        for line, (_, says) in zip(lines, cases):
            self.assertIn(says, line)
        self.assertIn(f"nothing was imported: {len(cases)} of {len(cases) + 1} rows are bad", said)
        self.imported([good, another], code=REFUSED, signer="stranger")
        late = [self.element("0123000000000000d1", signer="former")[0]]
        said = self.imported(late, code=REFUSED, signer="former")
        self.assertIn("certificate of --signer that has expired", said)
        self.assertIn("nothing was imported: 1 of 1 rows are bad", said)
        self.assertEqual([x["device"] for x in self.server.leaves()
                          if x.get("device", "").startswith("0123000000000000")], [])
        self.assertIn("key belongs to another device", self.claimed_twice())
        self.assertIn("added: 0\n", self.imported([]))

    def claimed_twice(self):
        """Two elements with one key."""
        first = self.element("0123000000000000c1")[0]
        self.imported([first])
        payload = json.loads(base64.urlsafe_b64decode(first["payload"] + "=="))
        second = self.signed({**payload, "uniqueId": "0123000000000000c2"}, "0123000000000000c2")
        return self.imported([second], code=REFUSED)


if __name__ == "__main__":
    main()
