# SPDX-License-Identifier: Apache-2.0
"""A whole production: one job that two officers opened, stations that work on it side by side, and a
server, its processes and stations that are killed meanwhile. At the end everything that anybody wrote
down is compared: the stations' journals, the registry, the audit log and the units' own flash."""

import collections
import contextlib
import hashlib
import json
import os
import random
import signal
import statistics
import threading
import time

from floor import AGAIN, DONE, FAILED, LINE, WRONG_UNIT, Dut, Line, Station
from harness import (BUILD, SANITIZER_SPEAKS, TOUCHMARK, Server, Site, finish, point_in, run,
                     until)
from officers import Officer, open_socket, open_to_all
from stations import VPN_PROFILE, Jobs, add_profiles, job_text

JOB, BATCH = "line-1", "b7"
SLOTS = ("factory", "vpn")
AUDITOR = BUILD / "auditor" / "touchmark-audit"
TRIES = 6  # of one unit
QUESTIONS = 24  # that a station asks a unit with two certificates
RECORDS = 34  # that its journal has of such a unit


def trouble(dice, unit):
    """What goes wrong with a unit that something goes wrong with."""
    question = dice.randint(1, QUESTIONS)
    return dice.choice((f"drop-line:{question}", f"power-cut:{question}",
                        f"power-cut:{question}:{dice.randint(0, 1)}", f"swap:{question}:X{unit}",
                        "garbage", "slow:20", "fails-test", "bad-read", "refuses-lock"))


class Seat(threading.Thread):
    """A station, its line, and who works there: takes the next unit until there is none."""

    def __init__(self, plant, number):
        super().__init__(daemon=True)
        self.plant, self.dice = plant, random.Random(number)
        folder = plant.site.folder / f"floor-{number}"
        folder.mkdir()
        name = f"ST-{number}"
        self.dut = Dut(folder, "--product", "gw-100").start()
        plant.addCleanup(self.dut.stop)
        self.station = Station(folder, name, plant.server.port, plant.site.root, self.dut,
                               plant.site.env, secret=plant.server.add_device(name),
                               label="station", environment="test")
        self.good("enroll")
        self.line = None
        self.again = collections.Counter()  # why units were scanned again, and runs begun again
        self.deadly = False  # this station is to be killed in the middle of its next unit
        self.killed = 0

    def good(self, *words):
        code = self.station.run(*words)
        if code != DONE:
            raise AssertionError(f"{self.station.name}: {' '.join(words)}: {code}\n"
                                 f"{self.station.said[-4000:]}")
        return self.station.out

    def fetch(self):
        self.good("job", "fetch", JOB)
        self.station.manifest(JOB, timeouts={"answer": "1s", "slow_answer": "5s", "line": "60s",
                                             "unit": "60s"})

    # ---- units ----

    def run(self):
        try:
            self.line = Line(self.plant, self.station, "run", JOB)
            while unit := self.plant.next_unit():
                self.put_through(unit)
            code = self.line.end()
            if code not in (DONE, FAILED, WRONG_UNIT, LINE):  # of the worst unit of the run
                raise AssertionError(f"{self.station.name} ended with {code}: {self.tail()}")
        except BaseException as error:  # shown by who waits for all
            self.plant.failures.append(error)

    def tail(self):
        return self.line.text()[-2000:]

    def put_through(self, unit):
        faults = [trouble(self.dice, unit)] if self.dice.random() < self.plant.troubled else []
        for _ in range(TRIES):
            self.dut.plug(unit, *faults)
            said = self.scanned(unit)
            if said == "passed":
                self.plant.count_passed()
                return
            self.again[said] += 1
            faults = []
        raise AssertionError(f"{unit} does not pass at {self.station.name}: {self.tail()}")

    def scanned(self, unit):
        """What came of it: "passed", "failed at ...", "left at ...", or "run ended"."""
        before = self.journal_size()
        self.line.scan(unit)
        if self.deadly:
            self.die(before)
        while (said := self.line.line()) is not None:
            ident, *words = said.split(":")[0].split(" ", 3)
            if ident == unit and words[0] in ("passed", "failed", "left"):
                return words[0] if words[0] == "passed" else " ".join(words[:3])
        self.resume()
        return "run ended"

    def resume(self):
        """A run ended: by a kill, or because the server did not answer. Somebody begins another."""
        code = self.line.end()
        if code not in (AGAIN, -signal.SIGKILL):
            raise AssertionError(f"{self.station.name} ended with {code}: {self.tail()}")
        self.line = Line(self.plant, self.station, "resume", JOB)

    # ---- death ----

    def journal_size(self):
        path = self.station.jobs / f"{JOB}.journal"
        return path.stat().st_size if path.exists() else 0

    def die(self, before):
        """When the journal has so many records of the unit; with the next one, if this one was
        through already."""
        wanted = self.dice.randint(1, RECORDS - 2)

        def written():
            with open(self.station.jobs / f"{JOB}.journal", "rb") as journal:
                journal.seek(before)
                return journal.read().count(b"\n") >= wanted
        until(f"{self.station.name} is in the middle of a unit", lambda: written()
              or not self.line.lines.empty() or self.line.process.poll() is not None)
        if written():
            self.line.process.kill()
            self.deadly = False
            self.killed += 1


class Plant:
    """All of it, in a folder of its own. troubled: with how many of the units something goes wrong."""

    def __init__(self, devices, stations, troubled=0.05):
        self.devices, self.troubled = devices, troubled
        self.units = [f"U{n:06}" for n in range(1, devices + 1)]
        self.failures, self.passed, self.dealt = [], 0, 0
        self.lock = threading.Lock()
        self.kills = collections.Counter()
        self.seconds = 0
        self.cleanups = contextlib.ExitStack()
        self.addCleanup = self.cleanups.callback  # as floor.Line wants it
        try:
            self.set_up(stations)
        except BaseException:
            self.close()
            raise

    def set_up(self, stations):
        self.site = Site()
        if "TM_KEEP" not in os.environ:
            self.addCleanup(self.site.remove)
        self.server = Server(self.site)
        self.addCleanup(self.server.kill)
        add_profiles(self.site, vpn=VPN_PROFILE)
        open_to_all(self.site)
        self.site.officers.append({"name": "ops", "user": "root", "role": "operator"})
        officers = (Officer(self.site, "alice", "daemon", kind="p256"),
                    Officer(self.site, "bob", "bin", kind="ed25519"))
        self.vkey = self.site.sign_checkpoints()
        self.server.start()
        self.site.listen["port"] = self.server.port  # it is started again there
        open_socket(self.site)
        self.jobs = Jobs(self.server)
        self.seats = [Seat(self, n + 1) for n in range(stations)]
        self.open_job(*officers)
        for seat in self.seats:
            seat.fetch()

    def open_job(self, first, second):
        path = self.site.folder / "job.yaml"
        path.write_text(job_text(JOB, [seat.station.name for seat in self.seats], self.units[0],
                                 self.units[-1], batch=BATCH,
                                 profiles=[{"profile": x, "quota": self.devices} for x in SLOTS]))
        act = first.good("job", "open", path)
        first.sign(act)
        second.sign(act)
        until("the job is open", lambda: any(x["job"] == JOB for x in
                                             self.server.touchmark("job", "list")))

    def close(self):
        self.cleanups.close()

    def stop(self):
        """A graceful stop of all; no process, a sound store, no sanitizer's report."""
        self.server.stop()
        finish(self.server)
        for seat in self.seats:
            found = SANITIZER_SPEAKS.search(seat.station.log.read_bytes())
            if found:
                raise AssertionError(f"a sanitizer reports: {found.group(0)}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- work ----

    def next_unit(self):
        with self.lock:
            if self.failures or self.dealt == self.devices:
                return None
            self.dealt += 1
            return self.units[self.dealt - 1]

    def count_passed(self):
        with self.lock:
            self.passed += 1

    def work(self, kills, patience, tell=lambda text: None):
        """All units, with the kills: (after which share of the units, what), what being "server",
        one of its roles or "station". patience: seconds in which the next of them has to come."""
        began = time.monotonic()
        for seat in self.seats:
            seat.start()
        for i, (share, what) in enumerate(sorted(kills)):
            self.await_units(int(share * self.devices), patience)
            tell(f"{self.passed} units, {time.monotonic() - began:.0f} s: {what} is killed")
            self.kill(what, i)
        self.await_units(self.devices, patience)
        self.seconds = time.monotonic() - began
        for seat in self.seats:
            seat.join(patience)
            if seat.is_alive():
                raise AssertionError(f"{seat.station.name} does not end: {seat.tail()}")
        self.fail_if_one_did()
        self.kills["station"] = sum(seat.killed for seat in self.seats)

    def fail_if_one_did(self):
        if self.failures:
            raise self.failures[0]

    def await_units(self, count, patience):
        def there():
            self.fail_if_one_did()
            return self.passed >= count
        until(lambda: f"{count} units passed; {self.passed} did. {self.server.tail()}", there,
              patience)

    def kill(self, what, number):
        if what == "station":
            self.seats[number % len(self.seats)].deadly = True
            return
        if what == "server":
            self.kills[what] += 1
            self.server.kill()
            self.server.start()
            return
        for pid in self.server.pids(what):
            self.kills[what] += 1
            os.kill(pid, signal.SIGKILL)

    # ---- the end of the job ----

    def end_job(self, patience):
        """Each station compares; then who is responsible adds their counts up and closes it."""
        sums = collections.Counter()
        for seat in self.seats:
            for result in seat.station.results(JOB).values():
                sums[result["result"]] += 1
            seat.good("job", "report", JOB)
        counts = ",".join(str(sums[x]) for x in ("passed", "failed", "scrapped"))
        self.server.touchmark("job", "close", JOB, "--counts", counts)
        until(f"{JOB} is closed", lambda: self.jobs.show(JOB)["status"] == "closed", patience)


# ---- the reckoning ----

def serial_in(der):
    """Of a certificate (RFC 5280, 4.1), hex."""
    at = der.index(b"\xa0\x03\x02\x01\x02\x02") + 6  # behind [0] EXPLICIT version 3: INTEGER
    return der[at + 1:at + 1 + der[at]].hex()


class Reckoning:
    """What everybody has written down of a plant's job that is closed."""

    def __init__(self, plant):
        self.plant, self.server = plant, plant.server
        self.differences = []
        self.issued = self.burned = 0
        self.began = {}  # ms
        self.begun, self.step_seconds = collections.Counter(), collections.defaultdict(list)
        self.read_journals()
        self.read_flash()
        self.read_registry()
        self.events = collections.Counter()
        self.read_audit()
        self.compare_job()
        self.compare_units()

    def check(self, holds, what):
        if not holds:
            self.differences.append(what)

    def once(self, found, where):
        """{(unit, slot): [values]}: each has one, and nobody else has any."""
        wanted = {(unit, slot) for unit in self.plant.units for slot in SLOTS}
        for key in sorted(wanted | set(found)):
            values = found.get(key, [])
            self.check(key in wanted and len(values) == 1,
                       f"{where}: {' '.join(key)} has {len(values)}: {' '.join(values)}")
        return {key: values[0] for key, values in found.items() if values}

    # ---- stations ----

    def read_journals(self):
        found, self.worked, ends = collections.defaultdict(list), {}, collections.Counter()
        for seat in self.plant.seats:
            for record in seat.station.journal(JOB)[1:]:
                unit = record["unit"]
                at = self.worked.setdefault(unit, seat.station.name)
                self.check(at == seat.station.name, f"{unit} was at {at} and {seat.station.name}")
                self.take_record(record, found, ends)
        self.journals = self.once(found, "journals")
        for unit in self.plant.units:
            self.check(ends[unit] == 1, f"journals: {unit} passed {ends[unit]} times")

    def take_record(self, record, found, ends):
        began = self.began.setdefault(record["unit"], record["t"])
        self.begun[record["step"]] += record["mark"] == "begin"
        if record["mark"] != "done":
            return
        self.step_seconds[record["step"]].append(record["seconds"])
        if record["step"] == "report":
            ends[record["unit"]] += 1
            self.begun["unit"] += 1
            self.step_seconds["unit"].append((record["t"] - began) / 1000)
        if record["step"] == "enroll":
            values = found[record["unit"], record["label"]]
            if record["fingerprint"] not in values:
                values.append(record["fingerprint"])

    # ---- units ----

    def read_flash(self):
        found, keys, self.serials = collections.defaultdict(list), collections.Counter(), {}
        locked = set()
        for seat in self.plant.seats:
            for path in seat.dut.flash.glob("*/*.crt"):
                der = path.read_bytes()
                key = path.parent.name, path.stem
                found[key].append(hashlib.sha256(der).hexdigest())
                self.serials[key] = serial_in(der)
                keys[point_in(der)] += 1
            locked |= {path.parent.name for path in seat.dut.flash.glob("*/locked")}
        self.flash = self.once(found, "flash")
        self.check(locked == set(self.plant.units), f"flash: {len(locked)} units are locked")
        self.check(len(set(self.serials.values())) == len(self.serials), "serials are not unique")
        for point, count in keys.items():
            self.check(count == 1, f"{count} certificates have the key {point.hex()}")

    # ---- the server ----

    def read_registry(self):
        folder = self.plant.site.folder / f"export-{time.monotonic_ns()}"
        run(TOUCHMARK, "audit", "export", folder, "--conf", self.plant.site.config,
            env=self.plant.site.env)
        done = run(AUDITOR, "--key", self.plant.vkey, folder, check=False)
        self.check(done.returncode == 0,
                   f"touchmark-audit: {done.returncode} {done.stdout.decode()[-2000:]}")
        registry, certificates = collections.defaultdict(list), {}
        for text in (folder / "registry" / "certificates.jsonl").read_text().splitlines():
            row = json.loads(text)
            if row["status"] == "burned":  # a serial only: what was being signed in a killed process
                self.burned += 1
                continue
            if row["profile"] not in SLOTS:
                continue
            certificates[row["serial"]] = row
            registry[row["device"], row["profile"]].append(row["fingerprint"])
            self.check(row["status"] == "active", f"registry: {row} is not active")
        self.issued = len(certificates)
        self.registry, self.certificates = self.once(registry, "registry"), certificates
        for text in (folder / "registry" / "devices.jsonl").read_text().splitlines():
            row = json.loads(text)
            if row["id"] in self.worked:
                self.check(row["state"] == "stocked" and row["job"] == JOB,
                           f"registry: {row['id']} is {row['state']}, job {row.get('job')}")
                own = sorted((x["profile"], x["serial"], x["status"]) for x in row["certificates"])
                self.check(own == [(x, self.serials.get((row["id"], x)), "active") for x in SLOTS],
                           f"registry: {row['id']} has {own}")

    def read_audit(self):
        found = collections.defaultdict(list)
        for leaf in self.server.leaves():
            self.events[leaf["event"]] += 1
            if leaf["event"] == "issued" and leaf.get("job") == JOB:
                key = leaf["device"], leaf["profile"]
                found[key].append(leaf["serial"])
                self.check(leaf["serial"] in self.certificates,
                           f"audit: leaf {leaf['sequence']} has no certificate")
                self.check(leaf["station"] == self.worked.get(leaf["device"]),
                           f"audit: leaf {leaf['sequence']} is of {leaf['station']}")
        audit = self.once(found, "audit")
        self.check(sorted(audit.values()) == sorted(self.certificates),
                   "audit and registry have other serials")
        self.audit = audit

    def find(self):
        """IDs by the index, once it knows all that has happened."""
        def answer():
            *rows, fresh = self.server.touchmark("device", "find", "matching", "--batch", BATCH,
                                                 check=False) or [{}]
            return rows if fresh.get("complete_to") == fresh.get("of", -1) else None
        return {row["id"] for row in until("the index knows everything", answer)}

    def compare_job(self):
        job, count = self.plant.jobs.show(JOB), self.plant.devices
        said = {x: job[x] for x in ("begun", "passed", "failed", "scrapped")}
        self.check(said == {"begun": count, "passed": count, "failed": 0, "scrapped": 0},
                   f"job: {said}")
        for slot in SLOTS:
            self.check(job["issued"][slot] == f"{count} of {count}",
                       f"job: {slot} {job['issued'][slot]}")
        rows = self.server.touchmark("job", "units", JOB)
        self.check(sorted(row["device"] for row in rows) == self.plant.units,
                   f"job: {len(rows)} units")
        for row in rows:
            self.check(row["result"] == "passed" and row["locked"]
                       and sorted(row["verified"]) == sorted(SLOTS)
                       and row["station"] == self.worked.get(row["device"]), f"job: {row}")
        self.check(self.find() == set(self.plant.units), "device find has other units")

    # ---- all of them ----

    def compare_units(self):
        for unit in self.plant.units:
            for slot in SLOTS:
                key = unit, slot
                prints = {x.get(key) for x in (self.journals, self.flash, self.registry)}
                serials = {x.get(key) for x in (self.audit, self.serials)}
                self.check(len(prints) == 1 and len(serials) == 1,
                           f"{unit} {slot}: {prints} {serials}")

    # ---- for people ----

    def again(self):
        return sum((seat.again for seat in self.plant.seats), collections.Counter())

    def describe(self):
        plant, again = self.plant, self.again()
        boots = sum(seat.dut.boots(path.name) - 1 for seat in plant.seats
                    for path in seat.dut.flash.iterdir())
        yield (f"{plant.devices} units at {len(plant.seats)} stations in {plant.seconds:.0f} s: "
               f"{plant.devices / plant.seconds:.1f} units/s")
        yield (f"certificates issued altogether: {self.issued}, wanted {len(SLOTS) * plant.devices}; "
               f"serials burned: {self.burned}")
        yield "killed: " + ", ".join(f"{n} {what}" for what, n in sorted(plant.kills.items()))
        yield ("scanned again: " + (", ".join(f"{n} ({why})" for why, n in sorted(again.items()))
                                    or "none") + f"; units that started again: {boots} times")
        for step, values in self.step_seconds.items():
            values.sort()
            yield (f"  {step:8} begun {self.begun[step]:6}, done {len(values):6}, seconds: median "
                   f"{statistics.median(values):.3f}, p99 {values[len(values) * 99 // 100]:.3f}, "
                   f"max {values[-1]:.3f}")
        yield "audit: " + ", ".join(f"{n} {event}" for event, n in sorted(self.events.items()))
        yield f"differences: {len(self.differences)}"
        yield from self.differences
