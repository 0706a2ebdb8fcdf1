# SPDX-License-Identifier: Apache-2.0
"""What somebody gets who has stolen a station's key: at most the rest of its open batch, and nothing
of use in the field. The numbers are printed."""

import json
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from harness import Case, Key, main, until
from officers import Officer, OfficersCase
from stations import PATH, Jobs, Station, Unit, add_profiles, job_text

QUOTA = 10


class Attacks(Case):
    gains = []  # (attack, tried, certificates, what else)

    @classmethod
    def prepare(cls, site):
        add_profiles(site)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.jobs = Jobs(cls.server)

    @classmethod
    def tearDownClass(cls):
        print("\nWith a stolen station key:", file=sys.stderr)
        for attack, tried, got, words in cls.gains:
            print(f"  {attack}: {got} certificates of {tried} tries{words}", file=sys.stderr)
        super().tearDownClass()

    def gained(self, attack, answers, most, words=""):
        got = sum(a.status == 200 for a in answers)
        self.gains.append((attack, len(answers), got, words))
        self.assertLessEqual(got, most, attack)
        return got

    def bench(self, letter, **more):
        """A station of its own with an open job: (station, job's name, ID of a number)."""
        station = Station(self.server, f"ST-{letter}")
        job = f"job-{letter}"

        def name(n):
            return f"{letter}{n:05}"
        self.jobs.open(job_text(job, [station.name], name(1), name(200), **{"quota": QUOTA, **more}))
        return station, job, name

    def status(self, job):
        return self.jobs.show(job)["status"]

    def issued(self, job):
        return int(self.jobs.show(job)["issued"]["factory"].split()[0])

    def test_without_a_job(self):
        station = Station(self.server, "ST-0")
        answers = [Unit(self.server, f"Z{n:05}").enroll(station) for n in range(3)]
        self.gained("no open job", answers, 0)
        self.assertIn("no job of station ST-0", answers[0].text)
        leaf = [x for x in self.server.leaves() if x["event"] == "refused"][-1]
        self.assertEqual(leaf["station"], "ST-0")

    def test_ids_outside_the_grant(self):
        station, job, name = self.bench("A")
        ids = ["B00001", "A00000", "A00201", "A0001", "A000011", "a00001", "A0000x"]
        answers = [Unit(self.server, x).enroll(station) for x in ids]
        self.assertEqual({a.status for a in answers}, {403})
        while self.status(job) == "open" and len(answers) < 50:
            answers.append(Unit(self.server, "C00001").enroll(station))
        self.gained("IDs outside the grant", answers, 0, f"; the job stopped after {len(answers)}")
        self.assertIn("unknown_ids", self.jobs.show(job)["reason"])
        late = Unit(self.server, name(1)).enroll(station)
        self.assertEqual(late.status, 403)
        self.assertIn("stopped", late.text)
        self.assertTrue([x for x in self.server.leaves()
                         if x["event"] == "job-stopped" and x["job"] == job])

    def test_over_quota_by_many_at_once(self):
        station, job, name = self.bench("B", stop={"errors": 0})
        with ThreadPoolExecutor(8) as pool:
            units = list(pool.map(lambda n: Unit(self.server, name(n)), range(1, 101)))
        with ThreadPoolExecutor(100) as pool:
            answers = list(pool.map(lambda u: u.enroll(station), units))
        got = self.gained(f"100 at once at a quota of {QUOTA}", answers, QUOTA)
        self.assertEqual(got, QUOTA)
        self.assertEqual({a.status for a in answers}, {200, 403})
        self.assertEqual(self.issued(job), QUOTA)

    def test_copies(self):
        station, job, name = self.bench("C")
        unit = Unit(self.server, name(1))
        self.assertEqual(unit.enroll(station).status, 200)
        self.assertEqual(unit.enroll(station).pem(), unit.certificate)  # a retry is none
        answers = []
        while self.status(job) == "open" and len(answers) < 50:
            answers.append(Unit(self.server, name(1)).enroll(station))
        self.gained("duplicate ID", answers, 0, f"; the job stopped after {len(answers)}")
        self.assertEqual({a.status for a in answers}, {409})
        self.assertEqual(self.issued(job), 1)

    def test_one_key_for_many(self):
        station, job, name = self.bench("D")
        key = Key(self.site.folder, "shared")
        first = Unit(self.server, name(1), key).enroll(station)
        self.assertEqual(first.status, 200)
        answers = []
        while self.status(job) == "open" and len(answers) < 50:
            answers.append(Unit(self.server, name(2 + len(answers)), key).enroll(station))
        self.gained("the same key for more IDs", answers, 0,
                    f"; the job stopped after {len(answers)}")
        self.assertEqual({a.status for a in answers}, {409})

    def test_outside_window_network_and_profile(self):
        gone = {"from": "2020-01-01T00:00:00Z", "until": "2020-02-01T00:00:00Z"}
        cases = {"E": ("outside the window", gone, "factory"),
                 "F": ("outside the network", {"networks": ["192.0.2.0/24"]}, "factory"),
                 "G": ("another profile", {}, "idevid")}
        for letter, (words, more, label) in cases.items():
            station, _, name = self.bench(letter, **more)
            answers = [Unit(self.server, name(n)).enroll(station, label) for n in range(1, 4)]
            self.gained(words, answers, 0)
            self.assertEqual({a.status for a in answers}, {403})
            self.check_sentence(answers[0])
        station, _, name = self.bench("H", networks=["127.0.0.0/8", "2001:db8::/32"])
        self.assertEqual(Unit(self.server, name(1)).enroll(station).status, 200)

    def test_nobody_works_there(self):
        station, job, name = self.bench("I", operator=True)
        made = self.server.touchmark("operator", "add", "ada")[-1]
        answers = [Unit(self.server, name(n)).enroll(station) for n in range(1, 4)]
        self.gained("no operator", answers, 0)
        self.assertEqual({a.status for a in answers}, {401})
        self.assertEqual(station.ask("close", job=job, passed=0, failed=0, scrapped=0).status, 401)
        wrong = [station.ask("login", operator="ada", secret="not this one") for _ in range(4)]
        self.assertEqual([a.status for a in wrong], [401, 401, 401, 429])
        self.assertGreaterEqual(int(wrong[-1].headers["Retry-After"]), 1)
        until("the right one is taken", lambda: station.ask(
            "login", operator="ada", secret=made["secret"]).status == 200)
        self.assertEqual(station.good("jobs")["operator"], "ada")
        unit = Unit(self.server, name(5))
        self.assertEqual(unit.enroll(station).status, 200)
        self.assertEqual(self.server.device(name(5))["operator"], "ada")
        self.server.touchmark("operator", "remove", "ada")
        self.assertEqual(Unit(self.server, name(6)).enroll(station).status, 401)
        log = self.server.log.read_text(errors="replace")
        self.assertNotIn(made["secret"], log + json.dumps(self.server.leaves()))

    def test_replayed_challenge(self):
        station, job, name = self.bench("J")
        a, b = Unit(self.server, name(1)), Unit(self.server, name(2))
        for unit in (a, b):
            self.assertEqual(unit.enroll(station).status, 200)

        def verify(unit, challenge, signature):
            return station.ask("verify", job=job, device=unit.name, profile="factory",
                               challenge=challenge, signature=signature)

        def fresh(unit):
            return station.good("challenge", job=job, device=unit.name)["challenge"]
        mine = fresh(a)
        signature = a.sign(mine)
        refused = [verify(b, mine, a.sign(mine)), verify(b, mine, b.sign(mine)),
                   verify(b, fresh(b), a.sign(mine)), verify(a, mine, b.sign(mine, a.name)),
                   verify(a, mine, signature[:-4] + "AAA=")]
        self.assertEqual([x.status for x in refused], [410, 410, 409, 409, 409])
        passed = {"result": "passed", "reason": "", "locked": True, "seconds": {}}
        self.assertEqual(station.ask("report", job=job, device=a.name, **passed).status, 409)
        self.assertEqual(verify(a, mine, signature).status, 200)
        self.assertEqual(verify(a, mine, signature).status, 200)  # its answer got lost
        newer = fresh(a)
        self.assertEqual(verify(a, newer, a.sign(newer)).status, 200)
        self.assertEqual(verify(a, mine, signature).status, 410)
        self.gains.append(("replayed challenges", len(refused) + 1, 0, ", and no unit verified"))
        self.assertEqual(station.good("report", job=job, device=a.name, **passed)["result"], "passed")
        self.assertEqual(station.ask("report", job=job, device=b.name, **passed).status, 409)

    def test_minted_at_home(self):
        """IDevIDs up to the quota, and none of them gets an LDevID before the counts agree."""
        station, job, name = self.bench("K", quota=3)
        honest, home = Unit(self.server, name(1)), Unit(self.server, name(2))
        answers = [honest.enroll(station), home.enroll(station)]
        self.assertEqual({a.status for a in answers}, {200})
        self.assertEqual(honest.pass_through(station, job)["result"], "passed")
        own = Key(self.site.folder, "home-ldevid")

        def ldevid(unit):
            return self.server.enroll("ldevid", own.csr(f"/CN={unit.name}"), cert=unit.path(),
                                      key=unit.key.path)
        refused = [ldevid(home), ldevid(honest)]
        self.gained("an LDevID for what was minted at home", refused, 0)
        self.assertEqual({a.status for a in refused}, {403})
        self.assertIn("quarantine until job", refused[0].text)
        counts = {"passed": 1, "failed": 0, "scrapped": 0}
        answer = station.ask("close", job=job, **counts)
        self.assertEqual(answer.status, 409)
        self.assertIn("1 without a result", answer.text)
        with self.assertRaisesRegex(AssertionError, "1 without a result"):
            self.server.touchmark("job", "close", job, "--counts", "1,0,0")
        station.good("report", job=job, device=home.name, result="scrapped", reason="not on the line",
                     locked=False, seconds={})
        self.assertEqual(station.good("close", job=job, passed=1, failed=0, scrapped=1),
                         {"status": "closed"})
        until("the job is closed", lambda: self.status(job) == "closed")
        self.assertEqual(self.server.device(honest.name)["state"], "stocked")
        self.assertEqual(self.server.device(home.name)["state"], "retired")
        self.assertEqual(self.server.device(home.name)["certificates"][0]["status"], "revoked")
        self.gained("the same after the job is closed", [ldevid(home)], 0)
        self.assertEqual(ldevid(honest).status, 200)
        self.assertEqual(Unit(self.server, name(3)).enroll(station).status, 403)

    def test_the_rest_of_the_batch(self):
        """All that it can get: what the job has left, minus nothing."""
        station, job, name = self.bench("L", quota=4)
        self.assertEqual(Unit(self.server, name(1)).enroll(station).status, 200)
        answers = [Unit(self.server, name(n)).enroll(station) for n in range(2, 9)]
        got = self.gained("the rest of a batch of 4 with 1 used", answers, 3, ", in quarantine")
        self.assertEqual(got, 3)

    def test_requests_that_are_none(self):
        station, job, name = self.bench("M")
        kind = {"Content-Type": "application/json"}
        path = "/touchmark/v1/station/jobs"
        ask = self.server.ask
        self.assertEqual(ask("POST", path, b"{}", kind).status, 401)
        self.assertEqual(ask("GET", path, **station.credentials).status, 405)
        self.assertEqual(ask("POST", path, b"{}", **station.credentials).status, 415)
        self.assertEqual(ask("POST", path + "?x", b"{}", kind, **station.credentials).status, 404)
        self.assertEqual(ask("POST", path + "x", b"{}", kind, **station.credentials).status, 404)
        self.assertEqual(ask("POST", path, b" " * 16385, kind, **station.credentials).status, 413)
        for body in (b"[]", b"{", b'{"a":1}', b'{"job":"x","job":"y"}', b"\xff"):
            self.assertEqual(ask("POST", path, body, kind, **station.credentials).status, 400, body)
        for members in ({"job": job}, {"job": job, "device": 1}, {"job": job, "device": "x", "y": 0}):
            self.assertEqual(station.ask("unit", **members).status, 400, members)
        self.assertEqual(station.ask("unit", job=job, device=name(1)).status, 404)
        self.assertEqual(station.ask("unit", job="nothing", device=name(1)).status, 404)
        other = Station(self.server, "ST-N")
        self.assertEqual(other.ask("unit", job=job, device=name(1)).status, 403)
        certificate, key = self.server.enrolled("no-station")
        self.assertEqual(ask("POST", path, b"{}", kind, cert=certificate, key=key.path).status, 403)
        [own] = station.good("jobs")["jobs"]
        self.assertEqual((own["job"], own["first"], own["labels"]),
                         (job, name(1), [{"label": "factory", "profile": "factory",
                                          "quota": QUOTA, "used": 0}]))

    def test_a_station_that_is_suspended_or_returned(self):
        """At once, on a connection that it has open already, and by every way in."""
        for letter, move in (("R", "suspended"), ("S", "returned")):
            station, job, name = self.bench(letter)
            unit = Unit(self.server, name(1))
            kept = self.server.connect(**station.credentials)
            own = Key(self.site.folder, f"own-{letter}").csr(f"/CN={station.name}")

            def tries():
                kind = {"Content-Type": "application/json"}
                members = json.dumps({"job": job, "device": name(1)}).encode()
                return [station.enroll(unit.der, connection=kept), station.enroll(unit.der),
                        kept.ask("POST", f"{PATH}/jobs", b"{}", kind),
                        kept.ask("POST", f"{PATH}/challenge", members, kind),
                        station.ask("stop", job=job, reason="mine"), station.ask("jobs"),
                        self.server.enroll("station", own, **station.credentials),
                        self.server.enroll("station", own, operation="simplereenroll",
                                           **station.credentials)]
            with kept:
                self.assertEqual(station.enroll(unit.der, connection=kept).status, 200)
                self.server.transition(station.name, move)
                answers = tries()
                self.gained(f"a station that is {move}", answers, 0)
                self.assertEqual({a.status for a in answers}, {403})
                for answer in answers:
                    self.check_sentence(answer)
                self.assertEqual(self.status(job), "open")
                self.server.transition(station.name,
                                       "activated" if move == "suspended" else "refurbished")
            self.assertEqual(station.ask("jobs").status, 200)

    def test_two_stations_at_once(self):
        """Fifty units on two stations of one job, which ask for the same at the same moment: each
        unit has one certificate, and which of the stations got it."""
        stations = [Station(self.server, f"ST-T{n}") for n in (1, 2)]
        self.jobs.open(job_text("job-T", [s.name for s in stations], "T00001", "T00050", 50,
                                stop={"errors": 0, "duplicate_ids": 0, "duplicate_keys": 0}))
        with ThreadPoolExecutor(4) as pool:
            units = list(pool.map(lambda n: Unit(self.server, f"T{n:05}"), range(1, 51)))
        # Of every other unit the second asks with a new signature, of the rest with the very octets.
        asked = [(s, u, u.key.csr(f"/CN={u.name}") if s is stations[1] and n % 2 else u.der)
                 for n, u in enumerate(units) for s in stations]
        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda a: a[0].enroll(a[2]), asked))
        self.assertEqual({a.status for a in answers}, {200})
        got = {}
        for (_, unit, _), answer in zip(asked, answers):
            got.setdefault(unit.name, set()).add(answer.pem())
        self.assertEqual({len(pems) for pems in got.values()}, {1})
        leaves = [x["device"] for x in self.server.leaves()
                  if x["event"] == "issued" and x.get("job") == "job-T"]
        self.assertEqual(sorted(leaves), [u.name for u in units])
        self.assertEqual(self.issued("job-T"), 50)
        self.gains.append(("50 units at two stations at once", 100, 50, ", one for each unit"))

    def test_zz_a_stop_outlives_a_killed_core(self):
        station, job, name = self.bench("P")
        self.assertEqual(station.good("stop", job=job, reason="smoke"), {"status": "stopped"})
        [core] = self.server.pids("core")
        os.kill(core, signal.SIGKILL)
        until("another core", lambda: self.server.pids("core") not in ([], [core]))
        answers = []
        until("an answer", lambda: answers.append(Unit(self.server, name(1)).enroll(station))
              or answers[-1].status != 503)
        self.assertEqual(answers[-1].status, 403)
        self.assertIn("stopped: smoke", answers[-1].text)
        self.server.touchmark("job", "resume", job, "--reason", "no fire")
        self.assertEqual(Unit(self.server, name(1)).enroll(station).status, 200)

    def test_a_list_of_ids(self):
        station = Station(self.server, "ST-Q")
        path = self.site.folder / "ids.txt"
        ids = [f"Q{n * 7:06}" for n in range(3000)]
        path.write_text("\n".join(reversed(ids)) + "\n")
        self.jobs.open(job_text("job-Q", [station.name], None, None, ids=None), path)
        self.assertEqual(self.jobs.show("job-Q")["ids"].split()[0], "3000")
        for ident in (ids[0], ids[1500], ids[-1]):
            self.assertEqual(Unit(self.server, ident).enroll(station).status, 200)
        for ident in ("Q000001", "Q999999", "P000000"):
            self.assertEqual(Unit(self.server, ident).enroll(station).status, 403)


class Agreed(OfficersCase):
    """Where there are officers, opening a job, changing it and resuming it takes two of them."""

    @classmethod
    def appoint(cls, site):
        add_profiles(site)
        cls.alice = Officer(site, "alice", "daemon", kind="p256")
        cls.bob = Officer(site, "bob", "bin", kind="ed25519")

    def test_a_jobs_life(self):
        station = Station(self.server, "ST-1")
        path = self.site.folder / "job.yaml"

        def propose(quota):
            path.write_text(job_text("line-4", [station.name], "GW0001", "GW0100", quota))
            return self.alice.good("job", "open", path)

        def asked(n):
            return Unit(self.server, f"GW{n:04}").enroll(station)
        act = propose(2)
        self.assertEqual(act["kind"], "job-open")
        for term in ("job: line-4", "ids: GW0001 to GW0100", "quota-1: 2 factory", "terms: 1",
                     "stations: ST-1", "networks: any", "operator: not required", "rate: any",
                     "stop: duplicate_ids 5, duplicate_keys 3, unknown_ids 10"):
            self.assertIn(f"parameter {term}", act["text"])
        self.assertEqual(asked(1).status, 403)
        self.alice.sign(act)
        self.assertEqual(asked(1).status, 403)
        self.signed_by_second(act)
        self.assertEqual([asked(n).status for n in (1, 2, 3)], [200, 200, 403])
        act = propose(3)
        self.assertEqual(act["kind"], "job-change")
        other = propose(50)
        self.signed_by(act, self.alice, self.bob)
        self.assertEqual([asked(n).status for n in (3, 4)], [200, 403])
        self.alice.sign(other)  # proposed for terms that are no more
        self.bob.sign(other)
        until("it failed", lambda: self.act(self.bob, other["id"])["status"] == "failed")
        self.assertIn("has changed since", self.act(self.bob, other["id"])["result"])
        self.server.touchmark("job", "stop", "line-4", "--reason", "odd")  # an operator alone
        act = self.bob.good("job", "resume", "line-4", "--reason", "seen")
        self.assertIn("parameter stopped: odd", act["text"])
        self.assertIn("the role officer; yours is operator", self.refused_to_operator())
        self.signed_by(act, self.alice, self.bob)
        job = self.alice.good("job", "show", "line-4")
        self.assertEqual((job["status"], job["terms"], job["act"]), ("open", "3", act["id"]))
        leaves = [x for x in self.server.leaves() if x.get("job") == "line-4"
                  and x["event"].startswith("job-")]
        self.assertEqual([x["event"] for x in leaves],
                         ["job-opened", "job-opened", "job-stopped", "job-resumed"])
        self.assertRegex(leaves[0]["actor"], r"^act:[0-9a-f]{32} alice bob$")
        act = self.alice.good("job", "revoke", "line-4", "--reason", "keyCompromise")
        self.signed_by(act, self.alice, self.bob)
        self.assertEqual(self.act(self.alice, act["id"])["done"], 3)

    def test_b_revoking_a_job_while_it_issues(self):
        """Its station goes on asking all the while: what was issued by then is revoked, and nothing
        is issued after it."""
        station = Station(self.server, "ST-2")
        path = self.site.folder / "job-5.yaml"
        path.write_text(job_text("line-5", [station.name], "GX0001", "GX0400", 400,
                                 stop={"errors": 0}))
        self.signed_by(self.alice.good("job", "open", path), self.alice, self.bob)
        numbers = iter(range(1, 401))
        answers, over = [], threading.Event()

        def works():
            for n in numbers:
                if over.is_set():
                    return
                answers.append(Unit(self.server, f"GX{n:04}").enroll(station).status)
        worker = threading.Thread(target=works)
        worker.start()
        try:
            until("there are some", lambda: answers.count(200) >= 10)
            act = self.alice.good("job", "revoke", "line-5", "--reason", "keyCompromise")
            self.signed_by(act, self.alice, self.bob)
            until("some were refused", lambda: answers[-3:] == [403] * 3)
        finally:
            over.set()
            worker.join()
        self.assertEqual(set(answers), {200, 403})
        leaves = [x for x in self.server.leaves() if x.get("device", "").startswith("GX")]
        issued = {x["serial"] for x in leaves if x["event"] == "issued"}
        revoked = {x["serial"] for x in leaves if x["event"] == "revoked"}
        self.assertEqual((len(issued), issued - revoked), (answers.count(200), set()))
        self.assertEqual(self.act(self.alice, act["id"])["done"], len(issued))
        job = self.alice.good("job", "show", "line-5")
        self.assertEqual(job["status"], "stopped")
        self.assertIn("revokes its certificates", job["reason"])

    def test_c_revoking_a_device_finds_what_its_record_names_no_more(self):
        station = Station(self.server, "ST-3")
        own, key = station.credentials["cert"], Key.__new__(Key)
        key.path = station.credentials["key"]
        der = key.csr("/CN=ST-3")
        for _ in range(15):
            answer = self.server.enroll("station", der, operation="simplereenroll",
                                        **station.credentials)
            self.assertEqual(answer.status, 200, answer)
            own.write_text(answer.pem())
        self.assertEqual(len(self.server.device("ST-3")["certificates"]), 12)
        act = self.alice.good("revoke", "--device", "ST-3", "--reason", "superseded")
        self.assertIn("parameter certificates: 16\n", act["text"])
        self.signed_by(act, self.alice, self.bob)
        until("it is done", lambda: self.act(self.bob, act["id"])["status"] == "done")
        self.assertEqual(self.act(self.bob, act["id"])["done"], 16)
        self.assertEqual(station.ask("jobs").status, 403)

    def signed_by_second(self, act):
        self.bob.sign(act)
        until("the act is done", lambda: self.act(self.bob, act["id"])["status"] == "done")

    def refused_to_operator(self):
        with self.assertRaises(AssertionError) as caught:
            self.server.touchmark("job", "resume", "line-4", "--reason", "seen")
        return str(caught.exception)


if __name__ == "__main__":
    main()
