# SPDX-License-Identifier: Apache-2.0
"""A factory line against the real server: one unit with the seconds of its steps, and a whole job
with all that goes wrong on a line. In the end journal, registry and the units' own flash agree."""

import os
import sys

from floor import DENIED, DONE, FAILED, WRONG_UNIT, Dut, Line, Station
from harness import SANITIZER_SPEAKS, SLOW, Case, main, serial_of, until
from stations import Jobs, add_profiles, job_text

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
