# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the status role at every step of a publication, and under load: the folder holds the
old or the new file, each whole, and no number falls, neither there nor for anybody who asks."""

import http.client
import pathlib
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "live"))

from harness import SLOW, main, until  # noqa: E402
from status_rig import Ca, Rig  # noqa: E402

# Every named point (base/crash.h), and whether the new file is in its place by then.
POINTS = {"status.file_written": False, "status.file_synced": False, "status.file_renamed": True,
          "status.folder_synced": True}
NAME = "manufacturing.crl"
KILLS = 8 if SLOW else 12
BURST = 6
ENTRIES = 3000
PAUSE_S = 0.01  # of who asks, between two answers


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.rig = Rig()
        cls.addClassCleanup(cls.rig.close)
        cls.ca = Ca(cls.rig.folder)
        cls.rig.open()

    def on_disk(self):
        return (self.rig.dir / NAME).read_bytes()


class Points(Case):
    def test_every_point(self):
        old, number = self.ca.crl(1), 1
        first = self.rig.link(self.rig.start())
        self.assertEqual(self.rig.publish(first, "crl", number, old), "good ")
        self.end(first)
        for point, there in POINTS.items():
            with self.subTest(point):
                number += 1
                new = self.ca.crl(number)
                role = self.rig.link(self.rig.start(point))
                since = self.rig.send(role, "crl", number, new)
                self.rig.hear(f"ended {role} signal 9", since)
                self.assertNotIn("published", " ".join(self.rig.lines[since:]))
                self.assertEqual(self.on_disk(), new if there else old)
                self.check_successor(number, old, new, there)
                old = new

    def check_successor(self, number, old, new, there):
        """It serves at once, leaves nothing of the dead one, and takes no lower number."""
        role = self.rig.link(self.rig.start())
        self.assertEqual([p.name for p in self.rig.dir.iterdir() if p.suffix != ".crl"], [])
        self.assertEqual(self.rig.ask(f"/{NAME}").body, new if there else old)
        self.assertEqual(self.on_disk(), new if there else old)
        self.assertRegex(self.rig.publish(role, "crl", number - 2, self.ca.crl(number - 2)),
                         "^bad number")
        self.assertEqual(self.rig.publish(role, "crl", number, new), "good ")
        self.assertEqual(self.on_disk(), new)
        self.end(role)

    def end(self, role):
        self.rig.say("kill", role)
        self.rig.hear(f"ended {role} ")

    def test_a_file_that_was_there_first(self):
        """The first of its name: nothing, or the whole file."""
        for number, (point, there) in enumerate(POINTS.items(), 1):
            with self.subTest(point):
                issuer = f"first-{number}"
                crl = self.ca.crl(number)
                role = self.rig.link(self.rig.start(point))
                since = self.rig.send(role, "crl", number, crl, issuer)
                self.rig.hear(f"ended {role} signal 9", since)
                path = self.rig.dir / f"{issuer}.crl"
                self.assertEqual(path.exists(), there)
                if there:
                    self.assertEqual(path.read_bytes(), crl)


class Reader(threading.Thread):
    """Asks without end; what it gets has to be whole, and its number not to fall."""

    def __init__(self, rig, numbers):
        super().__init__()
        self.rig, self.numbers = rig, numbers
        self.over, self.wrong, self.highest, self.count = threading.Event(), [], 0, 0

    def run(self):
        while not self.over.wait(PAUSE_S):
            try:
                answer = self.rig.ask(f"/{NAME}")
            except (OSError, http.client.HTTPException):
                continue  # it was killed
            if answer.status != 200:
                continue
            number = self.numbers.get(answer.body)
            self.count += 1
            if number is None or number < self.highest:
                self.wrong.append((number, self.highest, len(answer.body)))
            self.highest = max(self.highest, number or 0)


class Load(Case):
    def test_kills_under_load(self):
        numbers = {}
        role = self.rig.start()
        readers = [Reader(self.rig, numbers) for _ in range(3)]
        for reader in readers:
            reader.start()
        try:
            acknowledged, count = self.kill_again_and_again(role, numbers)
            until("there were answers", lambda: sum(r.count for r in readers) > KILLS)
        finally:
            for reader in readers:
                reader.over.set()
            for reader in readers:
                reader.join()
        for reader in readers:
            self.assertEqual(reader.wrong, [])
        print(f"{count // BURST} kills, {acknowledged} of {count} publications acknowledged, "
              f"{sum(r.count for r in readers)} answers", flush=True)
        self.assertGreater(acknowledged, KILLS)
        self.assertLess(acknowledged, count)

    def kill_again_and_again(self, role, numbers):
        """How many publications were acknowledged, of how many. It goes on while none was cut."""
        acknowledged = count = 0
        for i in range(10 * KILLS):
            if i >= KILLS and acknowledged < count:
                break
            self.rig.link(role)
            first = i * BURST + 1
            crls = {n: self.ca.crl(n, ENTRIES + n % 7) for n in range(first, first + BURST)}
            numbers.update((crl, n) for n, crl in crls.items())
            count += BURST
            since = [self.rig.send(role, "crl", n, crl) for n, crl in crls.items()][0]
            wait_for = first + i % BURST  # the others are killed where they are
            self.rig.hear(f"published {role} manufacturing crl {wait_for} good", since)
            self.rig.say("kill", role)
            self.rig.hear(f"ended {role} signal 9", since)
            good = [int(line.split()[4]) for line in self.rig.lines[since:]
                    if line.startswith(f"published {role} ") and line.split()[5] == "good"]
            acknowledged += len(good)
            # What was acknowledged is there, or what came after it.
            self.assertGreaterEqual(numbers[self.on_disk()], max(good))
            before = numbers[self.on_disk()]
            role = self.rig.start()
            self.assertEqual(numbers[self.on_disk()], before)
            self.assertEqual(numbers[self.rig.ask(f"/{NAME}").body], before)
        return acknowledged, count


if __name__ == "__main__":
    main()
