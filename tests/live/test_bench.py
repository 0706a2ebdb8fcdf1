# SPDX-License-Identifier: Apache-2.0
"""touchmark-bench: every way to make load, its figures, its floors, and that it notices errors."""

import os
import socket

from harness import BENCH, PATIENCE, SLOW, Bench, Case, main, run

COUNT = 40 if SLOW else 200


class Load(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.bench = Bench(cls.server).prepare(48)

    def load(self, *options, done=COUNT):
        figures = self.bench.run("--count", COUNT, "--threads", 8, "--seconds", PATIENCE, *options)
        self.assertEqual(figures["errors"], "0", figures["text"])
        self.assertEqual(int(figures["enrollments"].split()[0]), done, figures["text"])
        return figures

    def issued(self):
        return len([x for x in self.server.leaves() if x["event"] == "issued"])

    def test_full_handshakes(self):
        before = self.issued()
        for version in ("1.2", "1.3"):
            figures = self.load("--tls", version)
            self.assertEqual(figures["connections"], f"{COUNT}, resumed 0")
        self.assertEqual(self.issued() - before, 2 * COUNT, "each is an enrollment of its own")

    def test_kept_connections(self):
        figures = self.load("--mode", "keepalive")
        self.assertEqual(figures["connections"], "8, resumed 0")

    def test_resumed_connections(self):
        for version in ("1.2", "1.3"):
            figures = self.load("--mode", "resume", "--tls", version)
            self.assertGreater(int(figures["connections"].split("resumed ")[1]), 0)

    def test_enroll_by_secret(self):
        """Each device's secret serves once, then the pool is out of them."""
        bench = Bench(self.server, "unlinked").prepare(16)
        bench.prepare_secrets()
        before = self.issued()
        figures = bench.run("--operation", "enroll", "--credential", "secret", "--mode",
                            "keepalive", "--threads", 8, "--count", 100, "--seconds", PATIENCE)
        self.assertEqual((figures["errors"], figures["enrollments"].split()[0]), ("0", "16"))
        self.assertEqual(self.issued() - before, 16)
        done = run(BENCH, *bench.arguments(), "--operation", "enroll", "--credential", "secret",
                   "--threads", 8, check=False)
        self.assertEqual(done.returncode, 1)

    def test_cacerts(self):
        self.load("--operation", "cacerts", "--mode", "keepalive")

    def test_idle_connections(self):
        figures = self.load("--idle", 100)
        self.assertEqual(figures["idle connections"], "100 of 100 still open")

    def test_floors_and_server_cost(self):
        os.environ["SOFTHSM2_CONF"] = self.site.env["SOFTHSM2_CONF"]
        figures = self.load("--floor", "--server-pid", self.server.process.pid, "--module",
                            self.site.module, "--token", "touchmark-test", "--key-label",
                            "manufacturing", "--pin-file", self.site.folder / "pin")
        print(figures["text"], flush=True)
        self.assertGreater(float(figures["server CPU"].split()[0]), 0)
        self.assertGreater(
            float(figures["ratio, server CPU per enrollment to bare handshake"]), 0)
        self.assertGreater(float(figures["floor, bare token"].split()[0]), 0)
        for role in ("core", "signer", "front", "supervisor"):
            self.assertTrue([x for x in figures if x.startswith(f"server CPU: {role} (")], role)

    def test_errors_are_counted_by_kind(self):
        """Devices that are suspended are refused, and that is what the figures say."""
        bench = Bench(self.server, "named").prepare(8, "--transition", "suspended")
        figures = bench.run("--count", 8, "--threads", 2, "--seconds", PATIENCE)
        self.assertEqual(figures["errors"], "8")
        self.assertEqual(figures["errors: HTTP 403"], "8")

    def test_server_that_is_not_there(self):
        with socket.socket() as deaf:
            deaf.bind(("127.0.0.1", 0))  # held by us, and nobody listens: refused for certain
            port = deaf.getsockname()[1]
            figures = self.bench.run("--count", 4, "--threads", 2, "--seconds", PATIENCE, "--url",
                                     f"https://127.0.0.1:{port}/x")
        self.assertEqual(figures["errors: no TCP connection"], "4")

    def test_server_that_is_not_trusted(self):
        figures = self.bench.run("--count", 4, "--threads", 2, "--seconds", PATIENCE, "--cacert",
                                 self.site.folder / "foreign.pem")
        self.assertEqual(figures["errors: TLS handshake failed"], "4")


if __name__ == "__main__":
    main()
