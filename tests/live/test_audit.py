# SPDX-License-Identifier: Apache-2.0
"""The audit log that nobody can rewrite: checkpoints, receipts, exports and witnesses of a server;
and who finds out when its history is changed, with and without them."""

import http.client
import json
import shutil

from harness import Case, Key, TOUCHMARK, main, run, serial_of, until
from notes import Export, Leaf, LogKey, Witness, audit, growth, hashes, b64, receipt, sha256, size_of
from stations import Jobs, Station, Unit, add_profiles, job_text


def edited(real, registry, name, way):
    """A copy of an exported registry in which the first row of this file is changed, or not there."""
    shutil.rmtree(registry, ignore_errors=True)
    shutil.copytree(real, registry)
    rows = [json.loads(x) for x in (real / name).read_text().splitlines()]
    if way:
        way(rows[0])
    else:
        rows = rows[1:]
    (registry / name).write_text("".join(json.dumps(x) + "\n" for x in rows))
    return registry


class AuditCase(Case):
    """A server whose log is witnessed."""

    listen = {"workers": 1}

    @classmethod
    def prepare(cls, site):
        cls.vkey = site.sign_checkpoints()
        cls.witness = Witness(site.folder, "witness.example/w", cls.vkey).start()
        cls.addClassCleanup(cls.witness.stop)
        site.audit["witnesses"] = [{"key": cls.witness.vkey, "url": cls.witness.url}]
        site.audit["seen"] = site.folder / "seen"

    def touchmark(self, *args, check=True):
        return run(TOUCHMARK, *args, "--conf", self.site.config, env=self.site.env, check=check)

    def enroll(self, name):
        secret = self.server.add_device(name)
        answer = self.server.enroll("unlinked", Key(self.site.folder, name).csr(f"/CN={name}"),
                                    name, secret)
        self.assertEqual(answer.status, 200, answer)
        return secret, answer.pem()

    def checkpoint(self):
        """One over all that there is now."""
        size = self.server.head()
        return until("a checkpoint over all leaves", lambda: (
            lambda note: note if note and size_of(note) >= size else None)(
                self.touchmark("audit", "checkpoint", check=False).stdout.decode()))

    def export(self, name, *more):
        folder = self.site.folder / name
        self.touchmark("audit", "export", folder, *more)
        return folder

    def verified(self, *args):
        code, text = audit("--key", self.vkey, *args)
        self.assertEqual(code, 0, text)
        return text

    def sound(self):
        """What `touchmark store check` says."""
        return self.touchmark("store", "check", check=False).returncode == 0

    def receipt(self, name):
        """Of the newest leaf that a checkpoint covers, as a station keeps one."""
        path = self.site.folder / name
        size = size_of(self.checkpoint())
        path.write_bytes(self.touchmark("audit", "prove", str(size - 1)).stdout)
        return path

    def held(self):
        return self.server.touchmark("status")[-1].get("restored", "")


class Shown(AuditCase):
    """What the server shows, others verify; what it showed, it must stand by."""

    def test_what_is_shown_is_verified_offline(self):
        secret, pem = self.enroll("first")
        self.enroll("second")
        self.server.touchmark("cert", "revoke", serial_of(pem), "--reason", "keyCompromise")
        note = self.checkpoint()
        earlier = self.site.folder / "earlier"
        earlier.write_text(note)
        receipt = self.site.folder / "receipt"
        receipt.write_bytes(self.touchmark("audit", "prove", "2").stdout)
        self.verified("--receipt", receipt)
        self.assertIn("witness.example/w cosigned", self.touchmark("audit", "witness").stdout.decode())
        self.enroll("third")
        folder = self.export("export")
        known = ("--witness", self.witness.vkey)
        self.verified(folder, "--earlier", earlier, "--receipt", receipt, *known)
        self.assertIn("witness.example/w cosigned", self.touchmark("audit", "witness").stdout.decode())
        text = self.touchmark("audit", "checkpoint", "--json").stdout
        shown = json.loads(text)
        self.assertGreaterEqual(size_of(shown["cosigned"]), size_of(note))
        self.assertEqual((self.site.folder / "seen").read_text().splitlines()[0], "log.example/test")
        # Receipts are then under what the witness has seen.
        receipt.write_bytes(self.touchmark("audit", "prove", "2").stdout)
        self.assertIn(b"\xe2\x80\x94 witness.example/w ", receipt.read_bytes())
        self.verified("--receipt", receipt)
        self.check_refusals(folder, receipt, known)
        self.check_secrets(folder, secret)

    def check_refusals(self, folder, receipt, known):
        other = LogKey(self.site.folder, "log.example/test")
        self.assertEqual(audit("--key", other.vkey, folder)[0], 3)
        self.assertEqual(audit("--key", other.vkey, "--receipt", receipt)[0], 3)
        stranger = Witness(self.site.folder, "witness.example/stranger", self.vkey)
        self.assertEqual(audit("--key", self.vkey, "--witness", stranger.vkey, folder)[0], 5)
        self.assertEqual(audit("--key", self.vkey, "--witness", stranger.vkey, *known,
                               "--threshold", "1", folder)[0], 0)
        done = self.touchmark("audit", "prove", "999999", check=False)
        self.assertEqual(done.returncode, 1)

    def check_secrets(self, folder, secret):
        """Neither a secret nor what is stored of it."""
        salted = [b"secret\":\"" + word for word in (b"unused", b"used", b"none")]
        for path in folder.rglob("*"):
            octets = path.read_bytes() if path.is_file() else b""
            self.assertNotIn(secret.encode(), octets, path)
            for key in (b"salt", b"hash", b"proof"):
                self.assertNotIn(b'"' + key + b'"', octets, path)
        self.assertIn(salted[1], (folder / "registry" / "devices.jsonl").read_bytes())

    def change(self, leaves, how):
        """The history that somebody would like better. None of it touches the registry."""
        made = [i for i, x in enumerate(self.events) if x == "secret made"]
        a, b = made[-2], made[-1]
        if how == "flip":
            changed = leaves[a].replace(b"uid:", b"gid:")
            self.assertNotEqual(changed, leaves[a])
            return leaves[:a] + [changed] + leaves[a + 1:]
        if how == "drop":
            return leaves[:a] + leaves[a + 1:]
        if how == "insert":
            return leaves[:a] + [leaves[a]] + leaves[a:]
        if how == "reorder":
            return leaves[:a] + [leaves[b]] + leaves[a + 1:b] + [leaves[a]] + leaves[b + 1:]
        if how == "truncate":
            return leaves[:b]
        if how == "fork":
            return leaves[:b] + [leaves[a], leaves[b]]
        raise AssertionError(how)

    def ask_witness(self, leaves, note):
        """What the witness says to the best proof that there is."""
        size = min(self.seen, len(leaves))
        proof = growth(size, hashes(leaves)) if 0 < size <= len(leaves) else []
        body = f"old {size}\n" + "".join(b64(x) + "\n" for x in proof) + "\n" + note
        connection = http.client.HTTPConnection("127.0.0.1", self.watch.port, timeout=60)
        connection.request("POST", "/add-checkpoint", body.encode())
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        if answer.status == 200:
            self.seen = len(leaves)
        return answer.status, text

    def found_by(self, folder, leaves, note, earlier):
        """Who finds it: touchmark-audit alone, with what was shown before, a witness."""
        alone = audit("--key", self.thief.vkey, folder)[0]
        with_earlier = audit("--key", self.thief.vkey, folder, "--earlier", earlier)[0]
        status, _ = self.ask_witness(leaves, note)
        return alone, with_earlier, status

    def prepare_theft(self):
        for name in ("one", "two"):
            self.enroll(name)
        self.server.secret("one")
        self.server.secret("two")
        self.checkpoint()
        self.real = Export(self.export("real"))
        self.leaves = self.real.leaves
        self.events = [x["event"].replace("-", " ").replace("_", " ")
                       for x in self.server.leaves()]
        self.thief = LogKey(self.site.folder, "log.example/stolen")
        self.watch = Witness(self.site.folder, "witness.example/v", self.thief.vkey).start()
        self.addCleanup(self.watch.stop)
        self.seen = 0

    def test_who_finds_what(self):
        """A log whose key was stolen, or not, and whose history somebody changes in every way."""
        self.prepare_theft()
        note = self.thief.sign(self.leaves)
        shown = self.site.folder / "shown"
        shown.write_text(note)
        folder = self.site.folder / "changed"
        sound = self.real.write(folder, self.leaves, note)
        self.assertEqual(self.found_by(sound, self.leaves, note, shown), (0, 0, 200))
        # Exit 2: leaves, tiles or root; 4: another history than was shown. 409 and 422: the witness
        # does not cosign.
        for how in ("flip", "drop", "insert", "reorder", "truncate", "fork"):
            leaves = self.change(self.leaves, how)
            with self.subTest(how, key="kept"):
                self.real.write(folder, leaves, note)
                self.assertEqual(audit("--key", self.thief.vkey, folder)[0], 2)
            with self.subTest(how, key="stolen"):
                forged = self.thief.sign(leaves)
                self.real.write(folder, leaves, forged)
                alone, earlier, status = self.found_by(folder, leaves, forged, shown)
                self.assertEqual(alone, 0, "nobody can see it who was shown nothing else")
                self.assertEqual(earlier, 4)
                self.assertEqual(status, 409 if len(leaves) < len(self.leaves) else 422)
        # Two receipts of one size need neither an export nor a witness.
        first, second = self.site.folder / "receipt-1", self.site.folder / "receipt-2"
        first.write_text(receipt(0, self.leaves, note))
        flipped = self.change(self.leaves, "flip")
        second.write_text(receipt(0, flipped, self.thief.sign(flipped)))
        self.assertEqual(audit("--key", self.thief.vkey, "--receipt", first)[0], 0)
        self.assertEqual(audit("--key", self.thief.vkey, "--receipt", second)[0], 0)
        self.assertEqual(audit("--key", self.thief.vkey, "--receipt", first, "--receipt",
                               second)[0], 4)
        # An older export of the true log, with the signature that it had.
        old = self.leaves[:-1]
        before = self.thief.sign(old)
        self.real.write(folder, old, before)
        self.assertEqual(self.found_by(folder, old, before, shown), (0, 4, 409))
        # A fork from what the one was shown last is seen by who was shown the other branch, and by
        # the witness, who gets both.
        fork = self.change(self.leaves, "fork")
        base = self.site.folder / "base"
        made = [i for i, x in enumerate(self.events) if x == "secret made"]
        base.write_text(self.thief.sign(self.leaves[:made[-1]]))
        forged = self.thief.sign(fork)
        self.real.write(folder, fork, forged)
        self.assertEqual(audit("--key", self.thief.vkey, folder, "--earlier", base)[0], 0)
        self.assertEqual(audit("--key", self.thief.vkey, folder, "--earlier", base, "--earlier",
                               shown)[0], 4)
        # The witness remembers, also when it was killed.
        self.watch.process.kill()
        self.watch.process.wait(60)
        self.watch.start()
        self.assertEqual(self.ask_witness(fork, forged)[0], 422)
        self.check_registry(note)

    def check_registry(self, note):
        """The log is whole; what the export says of devices and certificates is not what it says."""
        real = self.real.folder / "registry"
        edits = {
            "devices.jsonl": [lambda r: r.update(state="retired"), lambda r: r.update(id="other"),
                              None],
            "certificates.jsonl": [lambda r: r.update(status="revoked"),
                                   lambda r: r.update(fingerprint="00" * 32),
                                   lambda r: r.update(device="other"), None],
        }
        for name, ways in edits.items():
            for i, way in enumerate(ways):
                with self.subTest(name, way=i):
                    registry = edited(real, self.site.folder / "registry", name, way)
                    folder = self.real.write(self.site.folder / "changed", self.leaves, note,
                                             registry)
                    code, text = audit("--key", self.thief.vkey, folder)
                    self.assertEqual(code, 6, text)

    def test_with_whole_tiles_a_part_is_verified_on_its_own(self):
        with self.server.connect() as connection:
            for _ in range(280 - min(280, self.server.head())):
                connection.ask("GET", "/.well-known/est/nowhere/cacerts")
        until("the log has a whole tile", lambda: self.server.head() >= 280)
        part = self.export("part", "--from", "260")
        self.assertFalse((part / "tile" / "entries" / "000").exists())
        self.verified(part)
        self.verified(self.export("whole"), "--earlier", part)
        bundle = next((part / "tile" / "entries" / "001.p").iterdir())
        octets = bytearray(bundle.read_bytes())
        octets[40] ^= 1
        bundle.write_bytes(octets)
        self.assertEqual(audit("--key", self.vkey, part)[0], 2)


ISSUED, JOB_OPENED = 5, 24


class JobsTold(AuditCase):
    """Jobs and units by the log alone: what terms permitted, and what the registry shows of them."""

    @classmethod
    def prepare(cls, site):
        add_profiles(site)
        super().prepare(site)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        server, jobs = cls.server, Jobs(cls.server)
        server.touchmark("operator", "add", "anna")
        station = Station(server, "ST-1")
        jobs.open(job_text("line-1", ["ST-1"], "GW0001", "GW0050", 2))
        units = [Unit(server, f"GW{n:04}") for n in (1, 2, 3)]
        assert [u.enroll(station).status for u in units] == [200, 200, 403]
        units[0].pass_through(station, "line-1")
        jobs.open(job_text("line-1", ["ST-1", "ST-2"], "GW0001", "GW0050", 3))
        assert units[2].enroll(station).status == 200
        server.touchmark("job", "stop", "line-1", "--reason", "odd")
        server.touchmark("job", "resume", "line-1", "--reason", "seen")
        jobs.open(job_text("done", ["ST-1"], "GX0001", "GX0050"))
        last = Unit(server, "GX0001")
        assert last.enroll(station).status == 200
        last.pass_through(station, "done")
        server.touchmark("job", "close", "done", "--counts", "1,0,0")
        until("the job is closed", lambda: jobs.show("done")["status"] == "closed")
        server.stop()  # in order: what keys signed is in the log then
        server.start()
        folder = cls.site.folder / "real"
        run(TOUCHMARK, "audit", "export", folder, "--conf", cls.site.config, env=cls.site.env)
        cls.real = Export(folder)
        cls.thief = LogKey(cls.site.folder, "log.example/stolen")

    def audited(self, leaves, registry=None):
        """(code, findings) of a log that the thief signed."""
        folder = self.real.write(self.site.folder / "told", leaves, self.thief.sign(leaves),
                                 registry)
        return audit("--key", self.thief.vkey, folder)

    def test_what_happened_was_permitted(self):
        self.verified(self.real.folder)
        code, text = self.audited(self.real.leaves)
        self.assertEqual((code, text.count("registry:")), (0, 0), text)
        rows = [json.loads(x) for x in
                (self.real.folder / "registry" / "units.jsonl").read_text().splitlines()]
        self.assertEqual([(x["job"], x["device"], x["result"]) for x in rows],
                         [("done", "GX0001", "passed"), ("line-1", "GW0001", "passed"),
                          ("line-1", "GW0002", ""), ("line-1", "GW0003", "")])

    def test_leaves_say_who_signed(self):
        issued = [x for x in self.server.leaves() if x["event"] == "issued"]
        for leaf in issued:
            self.assertEqual((leaf["issuer"], leaf["provider"]), ("manufacturing", "signer"), leaf)
        opened = [x for x in map(Leaf, self.real.leaves) if x["event"] == JOB_OPENED]
        self.assertEqual(len(opened), 3)
        for leaf in opened:
            self.assertEqual(leaf["reason"].decode().split("sha256:")[1],
                             sha256(leaf["terms"]).hex())
            self.assertIn(b"quota-1=", leaf["terms"])

    def test_what_keys_signed_is_counted(self):
        leaves = self.server.leaves()
        used = [x for x in leaves if x["event"] == "key-used"]
        last = used[-1]["sequence"]
        issued = sum(x["event"] == "issued" for x in leaves[:last])
        counts = {}
        for leaf in used:
            key = leaf["provider"], leaf.get("issuer", ""), leaf["reason"]
            counts[key] = counts.get(key, 0) + leaf["count"]
            self.assertLessEqual(leaf["first"], leaf["last"])
            self.assertLessEqual(leaf["last"], leaf["time"])
        self.assertEqual(counts["signer", "manufacturing", "certificate"], issued)
        self.assertGreater(counts["audit", "", "checkpoint"], 1)
        _, text = audit("--key", self.vkey, self.real.folder)
        self.assertIn(f"key of manufacturing on signer: certificate: {issued} signatures", text)

    def test_a_log_that_tells_of_what_was_not_permitted(self):
        """Each of these leaves is signed and in the tree, by a core that was taken over."""
        leaves = [Leaf(x) for x in self.real.leaves]
        at = [i for i, x in enumerate(leaves) if x["event"] == ISSUED and x["job"] == b"line-1"]
        last, opened = at[-1], [i for i, x in enumerate(leaves) if x["event"] == JOB_OPENED]
        year = 366 * 86400 * 1000

        def more(n, **changed):
            """A copy of the last issuance behind it, under another serial."""
            serial = bytearray(leaves[last]["serial"])
            serial[10] ^= n
            return leaves[last].octets(**{"serial": bytes(serial), **changed})

        def inserted(octets):
            return [x.octets() for x in leaves[:last + 1]] + [octets] + \
                [x.octets() for x in leaves[last + 1:]]

        def put(i, octets):
            return [octets if i == j else x.octets() for j, x in enumerate(leaves)]
        self.assertEqual(put(0, leaves[0].octets()), self.real.leaves)
        cases = {
            "more was issued than its quota": inserted(more(1, device=b"GW0009")),
            "its terms do not name the station": put(last, leaves[last].octets(station=b"ST-9")),
            "it is outside the job's time": put(last, leaves[last].octets(time=200 * year)),
            "its terms do not name the profile": put(last, leaves[last].octets(profile=b"idevid")),
            "the ID is not in its range": put(last, leaves[last].octets(device=b"GW0051")),
            "names operator acme/eve": put(last, leaves[last].octets(operator=b"eve")),
            "no leaf has opened it": put(last, leaves[last].octets(job=b"line-7")),
            "in quarantine": inserted(more(1, job=b"", station=b"", profile=b"ldevid",
                                            actor=b"cert:" + b"0" * 64)),
            "in quarantine: job acme/line-1": inserted(more(1, job=b"done")),
            "while the job was not open": [x.octets() for x in leaves] + [
                leaves[last].octets(device=b"GX0002", job=b"done", time=leaves[-1]["time"] + 1000)],
            "its terms are not those whose hash": put(opened[0], leaves[opened[0]].octets(
                terms=leaves[opened[0]]["terms"].replace(b"quota-1=2", b"quota-1=9"))),
            "it closes with another count": [Leaf(x).octets(count=7) if x == self.of("job-closed")
                                             else x for x in self.real.leaves],
        }
        for finding, changed in cases.items():
            with self.subTest(finding):
                code, text = self.audited(changed)
                self.assertEqual(code, 6, text)
                self.assertIn(finding, text)

    def of(self, event):
        """The octets of the first leaf of this event."""
        number = next(x["sequence"] for x in self.server.leaves() if x["event"] == event)
        return self.real.leaves[number]

    def test_a_registry_that_shows_another_job(self):
        real = self.real.folder / "registry"
        edits = {
            "jobs.jsonl": {"is stopped": lambda r: r.update(status="stopped"),
                           "spent of factory": lambda r: r["spent"].update(factory=0),
                           "begun is": lambda r: r.update(begun=9),
                           "passed is": lambda r: r.update(passed=2),
                           "other terms": lambda r: r.update(
                               terms=r["terms"].replace("ST-1", "ST-9")),
                           "does not tell of it": lambda r: r.update(job="else"),
                           "is not in the registry": None},
            "units.jsonl": {"is scrapped": lambda r: r.update(result="scrapped"),
                            "not locked": lambda r: r.update(locked=False),
                            "does not tell of it": lambda r: r.update(device="GX0009"),
                            "is not in the registry": None},
            "operators.jsonl": {"does not tell of it": lambda r: r.update(operator="eve"),
                                "is not in the registry": None},
        }
        for name, ways in edits.items():
            for finding, way in ways.items():
                with self.subTest(name, finding=finding):
                    registry = edited(real, self.site.folder / "registry", name, way)
                    code, text = self.audited(self.real.leaves, registry)
                    self.assertEqual(code, 6, text)
                    self.assertIn(finding, text)


class PutBack(AuditCase):
    """An older copy of the store is put in its place."""

    def test_it_is_noticed_by_what_was_shown_and_by_the_witness(self):
        self.enroll("kept")
        self.checkpoint()
        self.touchmark("audit", "witness")
        self.server.stop()
        store, copy = self.site.folder / "store", self.site.folder / "copy"
        shutil.copytree(store, copy)
        self.server.start()
        self.enroll("lost")
        shown = self.receipt("receipt")
        self.touchmark("audit", "witness")
        self.server.stop()
        shutil.rmtree(store)
        shutil.copytree(copy, store)
        # At the start, by the file that is not in the store.
        self.server.start()
        self.assertRegex(self.held(), "put back: audit.seen shows an audit log of")
        secret = self.server.add_device("refused")
        answer = self.server.enroll("unlinked", Key(self.site.folder, "refused").csr("/CN=refused"),
                                    "refused", secret)
        self.assertEqual(answer.status, 503, answer)
        self.server.stop()
        # Without that file, by the witness, who can show what it has cosigned.
        shutil.rmtree(store)
        copy.rename(store)
        seen = self.site.audit.pop("seen")
        self.server.start()
        self.assertEqual(self.held(), "")
        # Alone it is as good as any other: only who has seen the newer one knows better.
        self.assertTrue(self.sound())
        older = self.export("older")
        self.verified(older)
        self.assertEqual(audit("--key", self.vkey, "--receipt", shown, older)[0], 4)
        self.checkpoint()
        done = self.touchmark("audit", "witness", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"has seen a log of", done.stderr)
        self.assertRegex(self.held(), "put back: a witness shows an audit log of")
        self.assertTrue([x for x in self.server.leaves() if x["event"] == "alarm"
                         and "put back" in x["reason"]])
        # Accepted, it goes on, also after a restart.
        self.server.touchmark("store", "accept")
        self.assertEqual(self.held(), "")
        self.enroll("after")
        self.site.audit["seen"] = seen
        self.server.stop()
        self.server.start()
        self.assertEqual(self.held(), "")
        self.checkpoint()
        # The witness keeps to what it saw.
        self.assertEqual(self.touchmark("audit", "witness", check=False).returncode, 1)


class Forked(AuditCase):
    """Two histories from one copy of the store, by whoever has the machine and the log's key: each is
    right in itself."""

    @classmethod
    def prepare(cls, site):
        super().prepare(site)
        site.audit.pop("seen")

    def branch(self, name):
        """(export, receipt) of a history with this device in it."""
        self.server.start()
        self.enroll(name)
        receipt = self.receipt(f"receipt-{name}")
        self.assertTrue(self.sound())
        return self.export(name), receipt

    def test_who_sees_both_branches_finds_it(self):
        self.enroll("kept")
        self.checkpoint()
        store, copy = self.site.folder / "store", self.site.folder / "copy"
        self.server.stop()
        shutil.copytree(store, copy)
        one, first = self.branch("one")
        self.touchmark("audit", "witness")
        self.server.stop()
        shutil.rmtree(store)
        copy.rename(store)
        two, second = self.branch("two")
        # Each branch is whole, and who was shown no other has nothing to compare it with.
        for folder, receipt in ((one, first), (two, second)):
            self.verified(folder, "--receipt", receipt)
        # The other's receipt is of a tree that this one did not grow from, or into.
        self.assertEqual(audit("--key", self.vkey, two, "--receipt", first)[0], 4)
        self.assertEqual(audit("--key", self.vkey, one, "--receipt", second)[0], 4)
        # The witness holds the first, and the core is told.
        done = self.touchmark("audit", "witness", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(self.held(), r"rewritten: its first \d+ leaves are not those that a witness")
        self.server.touchmark("store", "accept")


if __name__ == "__main__":
    main()
