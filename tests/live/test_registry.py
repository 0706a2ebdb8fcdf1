# SPDX-License-Identifier: Apache-2.0
"""The registry as operators and the factory use it (requirements C1 to C6): products and their
rules, lifecycle with what it does to certificates, bulk import and export."""

import json

from harness import SOURCE, TOUCHMARK, Case, Key, main, run, subject_of, until

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


if __name__ == "__main__":
    main()
