# SPDX-License-Identifier: Apache-2.0
"""A production line in small: two stations, two certificates for each unit, and a server, its core
and a station killed on the way. What journals, registry, audit log and flash say is compared; and
that the comparison would notice is shown by taking something away."""

import unittest

from floor import DENIED
from harness import PATIENCE, SLOW, main
from line import JOB, SLOTS, Plant, Reckoning

UNITS = 16 if SLOW else 60


class Production(unittest.TestCase):
    def test_counts_reconcile(self):
        with Plant(UNITS, 2, troubled=0.2) as plant:
            plant.work([(0.25, "station"), (0.5, "server"), (0.75, "core")], PATIENCE)
            self.check_nobody_closes_alone(plant.seats[0].station)
            plant.end_job(PATIENCE)
            self.assertEqual((plant.kills["server"], plant.kills["core"]), (1, 1))
            self.assertEqual(plant.kills["station"], 1)
            reckoning = Reckoning(plant)
            print(*reckoning.describe(), sep="\n", flush=True)
            self.assertEqual(reckoning.differences, [])
            self.assertEqual(reckoning.issued, len(SLOTS) * UNITS)
            bad = {why for why in reckoning.again() if why.startswith("failed")}
            self.assertLessEqual(bad, {"failed at read", "failed at test", "failed at lock"},
                                 "units failed that have no fault")
            self.check_it_notices(plant)
            plant.stop()

    def check_nobody_closes_alone(self, station):
        self.assertEqual(station.run("job", "close", JOB), DENIED)
        self.assertIn(f"the counts differ: recorded are {UNITS} passed", station.said)

    def check_it_notices(self, plant):
        """A certificate too many, and one unit's flash with another one's certificate."""
        seat = plant.seats[0]
        first, second, *_ = [path for path in sorted(seat.dut.flash.glob("U*"))
                             if (path / "vpn.crt").exists()]
        (second / "vpn.crt").write_bytes((first / "vpn.crt").read_bytes())
        (second / "more.crt").write_bytes((first / "factory.crt").read_bytes())
        found = "\n".join(Reckoning(plant).differences)
        for what in (f"flash: {second.name} more has 1", "serials are not unique",
                     "2 certificates have the key", f"registry: {second.name} has",
                     f"{second.name} vpn: "):
            self.assertIn(what, found)


if __name__ == "__main__":
    main()
