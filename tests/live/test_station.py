# SPDX-License-Identifier: Apache-2.0
"""A factory line against the real server: one unit with the seconds of its steps, and a whole job
with all that goes wrong on a line. In the end journal, registry and the units' own flash agree."""

import json
import os
import re
import sys

import stations
from floor import DENIED, DONE, FAILED, STOPPED, USAGE, WRONG_UNIT, Dut, Line, Station
from harness import (SANITIZER_SPEAKS, SLOW, TOUCHMARK, Case, field, main, run, serial_of,
                     until)
from stations import KINDS, Jobs, Unit, add_profiles, job_text

UNITS = 20 if SLOW else 100
SLOT = "factory"


class Factory(Case):
    @classmethod
    def prepare(cls, site):
        add_profiles(site)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = cls.site.folder / "floor"
        folder.mkdir()
        cls.dut = Dut(folder, "--product", "gw-100").start()
        cls.addClassCleanup(cls.dut.stop)
        cls.station = Station(folder, "ST-1", cls.server.port, cls.site.root, cls.dut,
                              cls.site.env, secret=cls.server.add_device("ST-1"),
                              label="station", environment="test")
        assert cls.station.run("enroll") == DONE, cls.station.said
        cls.jobs = Jobs(cls.server)

    def tearDown(self):
        self.assertIsNone(SANITIZER_SPEAKS.search(self.station.log.read_bytes()))

    def expect(self, code, *words, **kw):
        self.assertEqual(self.station.run(*words, **kw), code, self.station.said)

    def fetch(self, job, last, **more):
        """A job for IDs of its own, which is never stopped by what goes wrong."""
        self.jobs.open(job_text(job, ["ST-1"], f"{job}-0001", f"{job}-{last:04}", quota=last,
                                stop={"errors": 0}, **more))
        self.expect(DONE, "job", "fetch", job)
        self.station.manifest(job, timeouts={"answer": "1s" if SLOW else "300ms",
                                             "slow_answer": "10s", "line": "60s", "unit": "60s"})

    def closed(self, job):
        """Its units leave quarantine first."""
        until(f"{job} is closed", lambda: self.jobs.show(job)["status"] == "closed")

    def test_one_unit(self):
        self.fetch("one", 1)
        self.expect(DONE, "status")
        self.assertIn("one open: gw-100, 0 begun", self.station.said)
        self.dut.plug("one-0001")
        self.expect(DONE, "job", "run", "one", ids=["one-0001"])
        print(self.station.out, file=sys.stderr)
        self.assertRegex(self.station.out, r"one-0001 passed in \d+\.\d+ s: probe .* keygen .* "
                                           r"enroll .* verify .* lock .* report ")
        [own] = self.server.device("one-0001")["certificates"]
        self.assertEqual(own["serial"], serial_of(self.dut.certificate("one-0001", SLOT)))
        self.assertTrue(self.dut.is_locked("one-0001"))
        self.expect(DONE, "job", "report", "one")
        self.assertIn("1 units: 1 passed, 0 failed, 0 scrapped, 0 begun; 0 differences",
                      self.station.out)
        self.expect(DONE, "job", "close", "one")
        self.closed("one")

    def test_somebody_has_to_be_logged_in(self):
        [said] = self.server.touchmark("operator", "add", "anna")
        self.fetch("who", 1, operator=True)
        self.dut.plug("who-0001")
        self.expect(DENIED, "job", "run", "who", ids=["who-0001"])
        for secret, code in (("not-the-secret", DENIED), (said["secret"], DONE)):
            read, write = os.pipe()
            os.write(write, secret.encode() + b"\n")
            os.close(write)
            self.expect(code, "login", "anna", "--secret-fd", str(read), fds=(read,))
            os.close(read)
        self.expect(DONE, "status")
        self.assertIn("logged in: anna", self.station.said)
        self.expect(DONE, "job", "run", "who", ids=["who-0001"])
        leaf = [x for x in self.server.leaves() if x["event"] == "issued"
                and x.get("device") == "who-0001"][-1]
        self.assertEqual((leaf["station"], leaf["job"], leaf["operator"]), ("ST-1", "who", "anna"))
        self.assertNotIn(said["secret"], self.station.log.read_text())
        self.expect(DONE, "logout")
        self.expect(DENIED, "job", "resume", "who")

    # ---- kinds of keys ----

    def keys(self, job, **kinds):
        """What the manifest says that the unit makes, by label."""
        path = self.station.jobs / f"{job}.yaml"
        text = path.read_text()
        for label, kind in kinds.items():
            text, n = re.subn(rf"(label: {label}, profile: \S+ key:) \w+", rf"\1 {kind}", text)
            self.assertEqual(n, 1, text)
        path.write_text(text)

    def test_other_kinds_of_keys(self):
        profiles = [{"profile": kind, "quota": 1} for kind in KINDS]
        self.fetch("kinds", 1, profiles=profiles)
        self.keys("kinds", **{kind: kind for kind in KINDS})
        self.dut.plug("kinds-0001")
        self.expect(DONE, "job", "run", "kinds", ids=["kinds-0001"])
        own = {x["profile"]: x for x in self.server.device("kinds-0001")["certificates"]}
        for kind, words in zip(KINDS, ("secp384r1", "ED25519", "2048 bit"), strict=True):
            with self.subTest(kind):
                pem = self.dut.certificate("kinds-0001", kind)
                self.assertEqual(own[kind]["serial"], serial_of(pem))
                self.assertIn(words, field(pem, "-text"))
        self.assertEqual(sorted(self.jobs.units("kinds")[0]["verified"]), sorted(KINDS))
        self.expect(DONE, "job", "report", "kinds")
        self.expect(DONE, "job", "close", "kinds")
        self.closed("kinds")

    def test_a_kind_of_key_that_the_profile_does_not_take(self):
        self.fetch("wrong", 1)
        self.keys("wrong", factory="ed25519")
        self.dut.plug("wrong-0001")
        self.expect(FAILED, "job", "run", "wrong", ids=["wrong-0001"])
        self.assertRegex(self.station.said, r"wrong-0001 failed at enroll: .*the key is Ed25519; "
                                            r"profile factory takes p256, p384")

    # ---- what does not go on by itself ----

    def test_stop(self):
        self.fetch("stop", 1)
        self.expect(USAGE, "job", "stop", "stop")
        self.expect(DONE, "job", "stop", "stop", "--reason", "smoke on the line")
        self.expect(DONE, "job", "stop", "stop", "--reason", "again")  # it stays as it is
        self.dut.plug("stop-0001")
        self.expect(STOPPED, "job", "run", "stop", ids=["stop-0001"])
        self.assertIn("job stop is stopped: smoke on the line", self.station.said)
        [leaf] = [x for x in self.server.leaves() if x["event"] == "job-stopped"
                  and x["job"] == "stop"]
        self.assertEqual(leaf["reason"], "smoke on the line")
        self.assertTrue(leaf["actor"].startswith("cert:"))
        self.expect(DENIED, "job", "stop", "nothing", "--reason", "smoke")
        self.server.touchmark("job", "resume", "stop", "--reason", "no fire")
        self.expect(DONE, "job", "run", "stop", ids=["stop-0001"])

    def test_rework(self):
        self.fetch("rework", 2)
        unit = "rework-0001"
        self.dut.plug(unit, "fails-test")
        self.expect(FAILED, "job", "run", "rework", ids=[unit])
        first = serial_of(self.dut.certificate(unit, SLOT))
        [row] = self.jobs.units("rework")
        self.assertEqual(row["result"], "failed")
        self.dut.plug(unit)
        self.expect(DONE, "device", "rework", "rework", unit)
        self.assertIsNone(self.dut.certificate(unit, SLOT))
        self.expect(FAILED, "job", "run", "rework", ids=[unit])  # nobody has two
        self.assertIn("has its certificate of profile factory, for another key", self.station.said)
        self.server.touchmark("device", "rework", unit, "--reason", "the antenna is new")
        self.server.touchmark("cert", "revoke", first, "--reason", "superseded")
        self.expect(DONE, "job", "run", "rework", ids=[unit])
        second = serial_of(self.dut.certificate(unit, SLOT))
        own = {x["serial"]: x["status"] for x in self.server.device(unit)["certificates"]}
        self.assertEqual(own, {first: "revoked", second: "active"})
        self.assertEqual(self.jobs.show("rework")["issued"]["factory"], "2 of 2")
        self.expect(DONE, "job", "report", "rework")
        self.expect(FAILED, "device", "rework", "rework", unit)
        self.assertIn(f"{unit} is passed", self.station.said)
        self.expect(DONE, "job", "close", "rework")
        self.closed("rework")
        self.assertEqual(self.server.device(unit)["state"], "stocked")

    def test_a_renewed_station_gets_what_was_under_way(self):
        """The answer got lost, and the station has another certificate when it asks again."""
        station = stations.Station(self.server, "ST-R")
        self.jobs.open(job_text("renew", ["ST-R"], "renew-0001", "renew-0009", quota=1))
        unit = Unit(self.server, "renew-0001")
        self.assertEqual(unit.enroll(station).status, 200)
        lost, before = unit.certificate, station.credentials
        station.renew()
        self.assertNotEqual(station.credentials, before)
        self.assertEqual(unit.enroll(station).pem(), lost)
        unit.der = unit.key.csr(f"/CN={unit.name}")  # other octets, the same key and subject
        self.assertEqual(unit.enroll(station).pem(), lost)
        self.assertEqual(self.jobs.show("renew")["issued"]["factory"], "1 of 1")
        self.assertEqual(unit.pass_through(station, "renew")["result"], "passed")
        station.good("close", job="renew", passed=1, failed=0, scrapped=0)
        self.closed("renew")

    def test_a_station_that_is_gone(self):
        """Its units leave quarantine all the same."""
        station = stations.Station(self.server, "ST-G")
        self.jobs.open(job_text("gone", ["ST-G"], "gone-0001", "gone-0009"))
        units = [Unit(self.server, f"gone-{n:04}") for n in range(1, 6)]
        for unit in units:
            self.assertEqual(unit.enroll(station).status, 200)
        units[0].pass_through(station, "gone")
        ask = self.server.touchmark
        ask("job", "stop", "gone", "--reason", "the station burnt")
        with self.assertRaisesRegex(AssertionError, "4 without a result"):
            ask("job", "close", "gone", "--counts", "1,0,0")
        with self.assertRaisesRegex(AssertionError, "was reported passed"):
            ask("job", "scrap", "gone", units[0].name, "--reason", "no")
        with self.assertRaisesRegex(AssertionError, "job gone has no unit gone-0009"):
            ask("job", "scrap", "gone", "gone-0009", "--reason", "no")
        with self.assertRaisesRegex(AssertionError, "either the ID of a unit or --all"):
            ask("job", "scrap", "gone", "--reason", "no")
        [said] = ask("job", "scrap", "gone", units[1].name, "--reason", "burnt too")
        self.assertEqual((said["device"], said["result"]), (units[1].name, "scrapped"))
        rest = ask("job", "scrap", "gone", "--all", "--reason", "nobody knows")
        self.assertEqual([x["device"] for x in rest], [x.name for x in units[2:]])
        leaf = [x for x in self.server.leaves() if x["event"] == "unit"
                and x["device"] == units[1].name][-1]
        self.assertEqual((leaf["reason"], leaf["job"]), ("scrapped: burnt too", "gone"))
        self.assertIn("uid:", leaf["actor"])
        events = run(TOUCHMARK, "events", "--conf", self.site.config, env=self.site.env).stdout
        told = [x for x in map(json.loads, events.splitlines())
                if x.get("reason") == "scrapped: burnt too"]
        self.assertEqual([x["device"] for x in told], [units[1].name])
        ask("job", "close", "gone", "--counts", "1,0,4")
        self.closed("gone")
        self.assertEqual(self.server.device(units[0].name)["state"], "stocked")
        for unit in units[1:]:
            device = self.server.device(unit.name)
            self.assertEqual((device["state"], device["certificates"][0]["status"]),
                             ("retired", "revoked"))

    # ---- a whole job ----

    def trouble(self, n, name):
        """What happens to the n-th unit, and what is said of it at last."""
        question = n // 10 % 14 + 1
        return {0: [f"drop-line:{question}"], 1: [f"power-cut:{question}"],
                2: [f"power-cut:{question}:{n // 10 % 2}"], 3: [f"swap:{question + 1}:{name(n + 1)}"],
                4: ["garbage"], 5: ["kill"], 6: ["fails-test" if n % 40 == 6 else "slow:20"],
                7: ["refuses-lock" if n % 40 == 7 else "drop-line:7"]}.get(n % 10, [])

    def resume(self, job):
        return Line(self, self.station, "resume", job)

    def kill_at(self, line, job, unit, records):
        """The station dies when the journal has so many records of the unit; another one goes on."""
        self.station.dut.plug(unit)
        line.scan(unit)
        until(lambda: f"{unit} is begun: {line.text()[-500:]}",
              lambda: self.records(job, unit) >= records)
        line.kill()
        done = self.station.results(job)[unit]["result"] == "passed"  # it was quicker
        after = self.resume(job)
        said = f"{unit} passed in time" if done else after.line()
        while said is not None and not said.startswith(f"{unit} passed"):
            self.assertIn("was begun", said)
            said = after.line()
        return after, said

    def records(self, job, unit):
        path = self.station.jobs / f"{job}.journal"
        return path.read_text().count(f'"unit":"{unit}"') if path.exists() else 0

    def one_of_many(self, line, job, n, name):
        """Puts a unit through; returns the run, which may be another one by then, and what it said."""
        unit, faults = name(n), self.trouble(n, name)
        if faults == ["kill"]:
            return self.kill_at(line, job, unit, n // 10 * 2 + 1)
        said = line.unit(unit, *faults)
        if " left at " in said:  # another one was there: this one comes back and is scanned again
            self.assertIn("swap", faults[0], said)
            said = line.unit(unit)
        return line, said

    def test_a_whole_job(self):
        def name(n):
            return f"all-{n:04}"
        self.fetch("all", UNITS)
        line, failed, runs = Line(self, self.station, "run", "all"), [], set()
        for n in range(1, UNITS + 1):
            runs.add(line)
            line, said = self.one_of_many(line, "all", n, name)
            if " failed at " in said:
                failed.append(name(n))
                self.assertRegex(said, "radio|fuse")
            else:
                self.assertRegex(said, rf"^{name(n)} passed in ")
        code = line.end()
        said = "\n".join(x.text() for x in runs | {line})
        self.assertGreaterEqual(said.count(" is on the station, not "), UNITS // 20)
        self.assertGreaterEqual(said.count(" was begun"), UNITS // 25)
        self.assertGreaterEqual(said.count("the line is gone"), UNITS // 20)
        self.assertGreater(sum(self.dut.boots(name(n)) > 1 for n in range(1, UNITS, 10)), UNITS // 20)
        print(line.text()[-1200:], file=sys.stderr)
        self.assertIn(code, (FAILED, WRONG_UNIT, DONE))
        self.expect(DONE, "job", "report", "all")
        self.assertIn(f"{UNITS} units: {UNITS - len(failed)} passed, {len(failed)} failed, "
                      "0 scrapped, 0 begun; 0 differences", self.station.out)
        self.agree("all", {name(n) for n in range(1, UNITS + 1)}, failed)
        self.expect(DONE, "job", "close", "all")
        self.closed("all")

    def agree(self, job, names, failed):
        """Journal, registry and flash: each unit has one certificate, the same in all three."""
        results = self.station.results(job)
        self.assertEqual(set(results), names)
        for unit in sorted(names):
            with self.subTest(unit):
                self.assertEqual(results[unit]["result"], "failed" if unit in failed else "passed")
                [recorded] = results[unit]["certificates"]
                self.assertEqual(self.dut.fingerprint(unit, SLOT), recorded)
                self.assertEqual(self.dut.is_locked(unit), unit not in failed)
                [own] = self.server.device(unit)["certificates"]
                self.assertEqual(own["serial"], serial_of(self.dut.certificate(unit, SLOT)))


if __name__ == "__main__":
    main()
