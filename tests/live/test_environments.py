# SPDX-License-Identifier: Apache-2.0
"""Trust of development, test and production is apart (requirement B7): a CA, a store or a token of
another environment serves nobody. That devices refuse the roots of another one is shown with the
agent (test_agent.py) and the library (test_anchors.c)."""

import unittest

from harness import CEREMONY, TOUCHMARK, TOUCHMARKD, Server, Site, finish, main, run

CONFIG = 78


class Production(Site):
    """A site whose CA and store are of production, on SoftHSM with consent."""

    PROD = "environment: prod\nsofthsm_in_prod: true\n"

    def ceremony(self):
        path = self.folder / "ceremony.yaml"
        text = CEREMONY.format(folder=self.folder, module=self.module)
        path.write_text(text.replace("environment: test\n", self.PROD))
        run(TOUCHMARK, "ceremony", path, env=self.env)

    def write_config(self):
        super().write_config()
        text = self.config.read_text()
        self.config.write_text(text.replace("environment: test\n", self.PROD))


class Environments(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.site = Site()
        cls.addClassCleanup(cls.site.remove)
        cls.twin = Site()  # the same names, labels and PINs; other keys
        cls.addClassCleanup(cls.twin.remove)

    def config(self, name, *changes):
        text = self.site.config.read_text()
        for old, new in changes:
            self.assertIn(old, text)
            text = text.replace(old, new)
        path = self.site.folder / f"{name}.yaml"
        path.write_text(text)
        return path

    def refused(self, path):
        """touchmarkd ends by itself; what it says."""
        done = run(TOUCHMARKD, "--conf", path, check=False, env=self.site.env)
        said = done.stdout.decode() + done.stderr.decode()
        self.assertEqual(done.returncode, CONFIG, said)
        return said

    def test_a_test_ca_does_not_serve_production(self):
        prod = ("environment: test\n", "environment: prod\nsofthsm_in_prod: true\n")
        self.assertIn('its certificate\'s subject does not say \\"OU=Environment prod\\"',
                      self.refused(self.config("prod", prod)))

    def test_keys_in_files_do_not_serve_production(self):
        path = self.config("soft", ("environment: test\n", "environment: prod\n"))
        self.assertIn("softhsm_in_prod", self.refused(path))

    def test_a_ca_of_another_environment_is_not_taken_up_by_a_reload(self):
        server = Server(self.site)
        self.addCleanup(server.kill)
        server.start()
        good = self.site.config.read_text()
        self.site.config.write_text(
            good.replace("environment: test\n", "environment: dev\n", 1))
        done = run(TOUCHMARK, "reload", "--socket",
                   self.site.folder / "run" / "admin.sock", check=False, env=self.site.env)
        self.assertEqual(done.returncode, 1, done)
        self.assertIn(b"not good", done.stderr)
        self.assertTrue(server.enrolled("still-1"))
        reasons = [leaf["reason"] for leaf in server.leaves() if leaf["event"] == "started"]
        self.assertRegex(reasons[0], r"^touchmark [0-9.]+, environment test$")
        self.site.config.write_text(good)
        server.stop()
        finish(server)

    def test_a_token_with_other_keys_of_the_same_names(self):
        path = self.config("twin", (f"softhsm_conf: {self.site.folder}/softhsm2.conf",
                                    f"softhsm_conf: {self.twin.folder}/softhsm2.conf"))
        self.assertIn("the token's key \\\"manufacturing\\\" is not the one in its certificate",
                      self.refused(path))

    def test_consent_to_keys_in_files_is_in_the_audit(self):
        site = Production()
        self.addCleanup(site.remove)
        server = Server(site)
        self.addCleanup(server.kill)
        server.start()
        self.assertEqual(server.touchmark("status")[-1]["environment"], "prod")
        reasons = [leaf["reason"] for leaf in server.leaves() if leaf["event"] == "started"]
        self.assertRegex(reasons[0], r"^touchmark [0-9.]+, environment prod, softhsm_in_prod$")
        server.stop()
        finish(server)


if __name__ == "__main__":
    main()
