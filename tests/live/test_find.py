# SPDX-License-Identifier: Apache-2.0
"""Finding devices, the report on certificates, and the audit log for consumers: what operators are
told against what was done, also when the server, its index or a consumer was done away with."""

import json
import os
import shutil
import signal
import subprocess

from harness import Case, Key, TOUCHMARK, main, role_of, run, subject_of, until


class Find(Case):
    def find(self, *args):
        """(devices, how fresh) once the index knows all that has happened."""
        def answer():
            done = run(TOUCHMARK, "device", "find", *args, "--json", "--conf", self.site.config,
                       env=self.site.env, check=False)
            if done.returncode == 1 and b"being built" in done.stderr:
                return None
            self.assertEqual((done.returncode, done.stderr), (0, b""))
            *rows, fresh = [json.loads(line) for line in done.stdout.splitlines()]
            return (rows, fresh) if fresh["complete_to"] == fresh["of"] else None
        return until("the index knows everything", answer)

    def ids(self, *args):
        return sorted(row["id"] for row in self.find(*args)[0])

    def add(self, name, **options):
        words = [x for key, value in options.items() for x in (f"--{key}", value)]
        self.server.touchmark("device", "add", name, *words)
        return self.server.secret(name)

    def refuse(self, label, name, secret, key, status):
        answer = self.server.enroll(label, key.csr(f"/CN={name}"), name, secret)
        self.assertEqual(answer.status, status, answer)

    def check_questions(self):
        find, ids = self.find, self.ids
        self.assertEqual(ids("matching", "--batch", "b7"), ["found-1", "found-2"])
        self.assertEqual(ids("matching", "--batch", "b7", "--site", "works-2"), ["found-2"])
        self.assertEqual(ids("matching", "--batch", "b7", "--state", "activated"), ["found-1"])
        self.assertEqual(ids("matching", "--batch", "b8"), [])
        self.assertEqual(ids("matching", "--tenant", "globex"), [])
        expiring = find("expiring", "--within", "400d", "--profile", "ldevid")[0]
        self.assertEqual(sorted((x["id"], x["profile"]) for x in expiring),
                         [("found-1", "ldevid"), ("twice-2", "ldevid")])
        shown = self.server.device("found-1")["certificates"][0]
        row = next(x for x in expiring if x["id"] == "found-1")
        self.assertEqual((row["serial"], row["not_after"]), (shown["serial"], shown["not_after"]))
        self.assertEqual(ids("expiring", "--within", "1h"), [])
        self.assertEqual(ids("expired"), [])
        self.assertEqual(ids("unrenewed", "--profile", "ldevid"), ["twice-2"])
        self.assertEqual(ids("unrenewed", "--batch", "b7"), [])
        self.assertEqual(ids("unrenewed"), ["touchmarkd", "twice-1", "twice-2"])
        failing = find("failing")[0]
        self.assertEqual(sorted((x["id"], x["outcome"], x["count"]) for x in failing),
                         [("twice-1", "already-issued", 1), ("twice-3", "duplicate-key", 1),
                          ("wrong-1", "bad-secret", 2)])
        self.assertEqual(ids("failing", "--outcome", "bad-secret"), ["wrong-1"])
        self.assertEqual(ids("duplicate"), ["twice-1", "twice-3"])
        self.assertEqual(ids("stuck", "--longer", "1ms"), ["found-2", "twice-1"])
        self.assertEqual(ids("stuck", "--longer", "1ms", "--state", "provisioning"), ["found-2"])
        self.assertEqual(ids("stuck"), [])

    def test_1_devices_are_found_by_what_happened_to_them(self):
        server = self.server
        cert, key = server.enrolled("found-1", secret=self.add("found-1", batch="b7",
                                                              site="works-1"))
        self.add("found-2", batch="b7", site="works-2")
        server.enrolled("twice-1", "idevid", secret=self.add("twice-1"))
        wrong = self.add("wrong-1")
        for _ in range(2):
            self.refuse("ldevid", "wrong-1", "0" * len(wrong), key, 401)
        self.refuse("idevid", "twice-1", server.secret("twice-1"),
                    Key(self.site.folder, "again"), 409)
        _, taken = server.enrolled("twice-2", secret=self.add("twice-2"))
        self.refuse("ldevid", "twice-3", self.add("twice-3"), taken, 409)
        server.transition("found-2", "provisioning")
        answer = server.enroll("ldevid", key.csr(subject_of(cert.read_text())),
                               operation="simplereenroll", cert=cert, key=key.path)
        self.assertEqual(answer.status, 200, answer)
        self.check_questions()

    def test_2_trouble_ends_with_a_certificate(self):
        self.assertIn("twice-3", self.ids("failing"))
        self.server.enrolled("twice-3", secret=self.server.secret("twice-3"))
        self.assertNotIn("twice-3", self.ids("failing"))
        self.assertIn("twice-3", self.ids("duplicate"))
        self.server.touchmark("cert", "revoke", self.server.device("twice-3")["certificates"][0][
            "serial"], "--reason", "superseded")
        self.assertNotIn("twice-3", self.ids("expiring", "--within", "400d"))

    def test_3_pages_and_wrong_questions(self):
        every = self.ids("matching")
        self.assertGreater(len(every), 5)
        rows, after = [], []
        while True:
            page, end = self.find("matching", "--limit", "2", *after)
            rows += page
            if "after" not in end:
                break
            after = ["--after", end["after"]]
        self.assertEqual(sorted(x["id"] for x in rows), every)
        for code, says, args in ((64, "the questions are", ["lost"]),
                                 (64, "--within goes with", ["stuck", "--within", "1d"]),
                                 (1, "no state", ["matching", "--state", "sold"]),
                                 (1, "no outcome", ["failing", "--outcome", "bad-luck"]),
                                 (1, "cursor", ["matching", "--after", "7"])):
            done = run(TOUCHMARK, "device", "find", *args, "--conf", self.site.config, check=False,
                       env=self.site.env)
            self.assertEqual(done.returncode, code, done)
            self.assertIn(says, done.stderr.decode())

    def test_4_the_report_counts_what_was_done(self):
        known = self.find("matching")[1]["of"]
        report = self.server.touchmark("report")[-1]
        self.assertEqual(report["index"]["complete_to"], known)
        leaves = [x for x in self.server.leaves() if x.get("tenant") == "acme"]
        profiles = {x["profile"]: x for x in report["profiles"]}
        row = profiles["ldevid"]
        self.assertEqual((row["in_use"], row["expired"], row["expiring_90d"], row["unrenewed"]),
                         (2, 0, 0, 1))
        for event, key in (("issued", "issued"), ("refused", "refused")):
            self.assertEqual(row[key], sum(x["event"] == event and x.get("profile") == "ldevid"
                                           for x in leaves), row)
        self.assertEqual(row["renewed"], 1)
        reasons = {(x["profile"], x["outcome"]): x["count"] for x in report["refusals"]}
        self.assertEqual(reasons, {("ldevid", "bad-secret"): 2, ("idevid", "already-issued"): 1,
                                   ("ldevid", "duplicate-key"): 1})
        text = run(TOUCHMARK, "report", "--conf", self.site.config, env=self.site.env).stdout
        self.assertRegex(text.decode(), r"PROFILE +IN USE +EXPIRED")

    # ---- consumers ----

    def events(self, *args):
        done = run(TOUCHMARK, "events", *args, "--conf", self.site.config, env=self.site.env)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_5_a_consumer_that_is_killed_misses_nothing(self):
        arguments = ["--consumer", "erp", "--conf", self.site.config]
        process = subprocess.Popen([str(x) for x in (TOUCHMARK, "events", "--follow", *arguments)],
                                   stdout=subprocess.PIPE, env=self.site.env)
        self.addCleanup(process.stdout.close)
        head, got = self.server.head(), []
        while len(got) < head:
            got.append(json.loads(process.stdout.readline())["sequence"])
        self.server.add_device("late-1", secret=False)  # it is told at once
        got.append(json.loads(process.stdout.readline())["sequence"])
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.assertEqual(got, list(range(head + 1)))
        for i in range(3):
            self.server.add_device(f"late-{2 + i}", secret=False)
        more = [x["sequence"] for x in self.events("--consumer", "erp")]
        head = self.server.head()
        self.assertEqual(sorted({*got, *more}), list(range(head)))
        self.assertEqual(self.events("--consumer", "erp"), [])
        # another one has a cursor of its own, which a limit moves no further than it was given
        self.assertEqual([x["sequence"] for x in self.events("--consumer", "mes", "--limit", "3")],
                         [0, 1, 2])
        self.assertEqual([x["sequence"] for x in self.events("--consumer", "mes", "--limit", "2")],
                         [3, 4])
        self.assertEqual([x["sequence"] for x in self.events("--from", head - 1)], [head - 1])
        self.assertEqual(self.events("--from", head - 1)[0], self.server.leaves(head - 1)[0])

    # ---- the index ----

    def test_6_the_index_is_right_after_a_kill_and_when_it_was_lost(self):
        before = self.ids("matching"), self.ids("failing"), self.ids("unrenewed")
        core, = self.server.pids("core")
        self.server.add_device("killed-1", secret=False)
        os.kill(core, signal.SIGKILL)
        until("another core", lambda: self.server.pids("core") not in ([], [core]))
        until("it answers", lambda: run(TOUCHMARK, "status", "--conf", self.site.config,
                                        env=self.site.env, check=False).returncode == 0)
        self.assertEqual(self.ids("matching"), sorted([*before[0], "killed-1"]))
        self.server.stop()
        shutil.rmtree(self.site.folder / "store" / "index")
        self.server.start()
        after = self.ids("matching"), self.ids("failing"), self.ids("unrenewed")
        self.assertEqual(after, (sorted([*before[0], "killed-1"]), *before[1:]))
        self.assertEqual(role_of(self.server.pids("core")[0]), "core")


if __name__ == "__main__":
    main()
