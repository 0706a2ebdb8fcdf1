# SPDX-License-Identifier: Apache-2.0
"""HUP takes a new configuration without dropping a connection, TERM finishes what is under way,
and a configuration that is no good changes nothing."""

import json
import signal

from harness import (Bench, Case, Key, Load, PATIENCE, SLOW, TOUCHMARKD, WELL_KNOWN, main, run,
                     subject_of, until)

HUPS = 3 if SLOW else 8


class Reload(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.bench = Bench(cls.server).prepare(64)

    def tearDown(self):
        if self.server.process.poll() is not None:
            self.server.start()

    def hup(self):
        """Reloads and returns when the new processes serve."""
        before = set(self.server.ready()["fronts"])
        self.server.process.send_signal(signal.SIGHUP)
        until("new front processes serve", lambda: self.fronts_ready(before))

    def fronts_ready(self, before):
        try:
            ready = self.server.ready()
        except (OSError, json.JSONDecodeError):
            return False
        return not set(ready["fronts"]) & before

    def load_and_hup(self, *options):
        with Load(self.bench, *options) as load:
            for _ in range(HUPS):
                self.hup()
        print(f"{HUPS} reloads: {load.enrollments} enrollments, errors {load.errors()}", flush=True)
        self.assertEqual(load.errors(), {})
        self.assertGreater(load.enrollments, 0)

    def test_hup_under_load_of_new_connections(self):
        self.load_and_hup("--mode", "full")

    def test_hup_under_load_of_kept_connections(self):
        self.load_and_hup("--mode", "keepalive")

    def test_hup_takes_the_new_configuration(self):
        path = f"{WELL_KNOWN}/fresh/cacerts"
        self.assertEqual(self.server.ask("GET", path).status, 404)
        text = self.site.config.read_text()
        self.site.config.write_text(
            text + "  - label: fresh\n    tenant: acme\n    profile: ldevid\n")
        try:
            self.hup()
            self.assertEqual(self.server.ask("GET", path).status, 200)
        finally:
            self.site.config.write_text(text)
        self.hup()
        self.assertEqual(self.server.ask("GET", path).status, 404)

    def test_bad_configuration_changes_nothing(self):
        text = self.site.config.read_text()
        pids = self.server.pids()
        self.site.config.write_text(text + "unheard_of: 1\n")
        try:
            log = self.server.log.stat().st_size
            self.server.process.send_signal(signal.SIGHUP)
            said = until("the log says why", lambda: "unheard_of" in
                         self.server.log.read_text()[log:] and self.server.log.read_text()[log:])
            self.assertIn("touchmark.yaml:", said)
            self.assertEqual(sorted(self.server.pids()), sorted(pids))
            self.server.enrolled(f"after-bad-{len(pids)}")
            done = run(TOUCHMARKD, "--check", "--conf", self.site.config, check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertRegex(done.stderr.decode(), r"touchmark\.yaml:\d+: .*unheard_of")
        finally:
            self.site.config.write_text(text)
        run(TOUCHMARKD, "--check", "--conf", self.site.config)

    def test_term_under_load(self):
        """What was answered 200 is recorded; nothing else than "gone" is seen by the rest."""
        before = self.server.head()
        load = self.bench.start("--seconds", PATIENCE, "--count", 6000, "--threads", 8)
        until("the load is on", lambda: self.server.head() > before + 20)
        self.server.stop()
        self.assertEqual(self.server.leftovers(), [])
        figures = self.bench.finish(load)
        done = int(figures["enrollments"].split()[0])
        bad = [name for name in figures if name.startswith("errors: ") and name.split(": ")[1] in
               ("malformed answer", "certificate for another key", "timeout")]
        self.assertEqual(bad, [], figures["text"])
        self.server.start()
        issued = [x for x in self.server.leaves(before) if x["event"] == "issued"]
        print(f"stopped under load: {done} answered, {len(issued)} recorded", flush=True)
        self.assertGreaterEqual(len(issued), done)
        self.assertEqual(self.server.intents(), [])

    def test_restart_keeps_certificates_valid(self):
        cert, key = self.server.enrolled("K0001")
        self.server.stop()
        self.server.start()
        fresh = Key(self.site.folder, "K0001-fresh")
        answer = self.server.enroll("ldevid", fresh.csr(subject_of(cert.read_text())), cert=cert,
                                    key=key.path, operation="simplereenroll")
        self.assertEqual(answer.status, 200, answer)


if __name__ == "__main__":
    main()
