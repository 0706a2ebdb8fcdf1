# SPDX-License-Identifier: Apache-2.0
"""Power fails at every call with which a device changes its files, while it enrolls, renews, rolls back
and recovers against a real server: afterwards it goes on by itself, and the registry holds no
more than one live certificate of each kind, the one that the device uses."""

import collections
import concurrent.futures
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "live"))

from harness import Case, PATIENCE, main  # noqa: E402
from test_device import Unit, serial  # noqa: E402

SHIM = os.environ["TM_POWERCUT"]
KILLED = -9
CUTS_MAX = 300  # of one lane
KEEPS = ("synced", "names", "all")


class PowerCuts(Case):
    listen = {"workers": 1}

    def cut(self, unit, at, keep, words):
        """Does the words, with the power failing before call number `at`. Was there such a call?"""
        env = {**os.environ, "LD_PRELOAD": SHIM, "POWERCUT_FOLDER": str(unit.folder),
               "POWERCUT_AT": str(at), "POWERCUT_KEEP": keep}
        done = subprocess.run(unit.arguments(*words), env=env, capture_output=True,
                              timeout=PATIENCE, check=False)
        self.assertIn(done.returncode, (0, KILLED), done.stderr)
        return done.returncode == KILLED

    def check(self, unit):
        """Goes on without a cut: the device is whole, and the registry holds what it uses and
        nothing else. Returns how many LDevIDs are new since the last time."""
        _, status = unit.do("run")
        device = self.server.device(unit.name)
        live = [c["serial"] for c in device["certificates"] if c["status"] == "active"]
        held = [serial(status, "idevid"), serial(status, "current")]
        self.assertEqual(sorted(live), sorted(held), device)
        self.assertNotIn("next", status["slots"])
        self.assertFalse(unit.has_bootstrap())
        self.assertEqual([p.name for p in unit.folder.iterdir() if "tmp" in p.name], [])
        seen = self.seen.setdefault(unit.name, {})
        new = [c for c in device["certificates"] if c["serial"] not in seen]
        seen.update((c["serial"], c["profile"]) for c in new)
        return sum(c["profile"] == "ldevid" for c in new)

    def check_audit(self):
        """Nothing was made between the checks that the registry had forgotten by the next."""
        made = collections.defaultdict(dict)
        for leaf in self.server.leaves(self.since):
            if leaf["event"] == "issued":
                made[leaf["device"]][leaf["serial"]] = leaf["profile"]
        self.assertEqual(made, self.seen)
        for profiles in made.values():
            self.assertEqual(list(profiles.values()).count("idevid"), 1)

    def enroll_lane(self, keep):
        """A new device for each cut."""
        for at in range(1, CUTS_MAX):
            unit = Unit(self, f"enroll-{keep}-{at}").provision()
            was_cut = self.cut(unit, at, keep, ["run"])
            self.assertEqual(self.check(unit), 1)
            if not was_cut:
                return at - 1
        raise AssertionError("it never ends")

    def change_lane(self, name, keep, words, after):
        """One device for all cuts. `after`: what brings it back to where it began."""
        unit = Unit(self, f"{name}-{keep}").provision()
        unit.do("run")
        for step in after:
            unit.do(*step)
        self.check(unit)
        for at in range(1, CUTS_MAX):
            was_cut = self.cut(unit, at, keep, words)
            if was_cut and after:
                unit.do(*words)
            for step in after:
                unit.do(*step)
            self.assertIn(self.check(unit), (0, 1), unit.name)
            if not was_cut:
                return at - 1
        raise AssertionError("it never ends")

    def test_every_cut(self):
        """All stories at once: they mostly wait."""
        change = self.change_lane
        stories = {
            "enroll": self.enroll_lane,
            "renew": lambda keep: change("renew", keep, ["renew"], []),
            "recover": lambda keep: change("recover", keep, ["refused", "--times", "3"], []),
            # The registry goes by what it issued, so a device that stepped back renews.
            "roll back": lambda keep: change("rollback", keep, ["refused"], [["renew"]]),
        }
        self.since, self.seen = self.server.head(), {}
        with concurrent.futures.ThreadPoolExecutor(len(stories) * len(KEEPS)) as pool:
            lanes = {(name, keep): pool.submit(story, keep)
                     for name, story in stories.items() for keep in KEEPS}
        for (name, keep), lane in lanes.items():
            with self.subTest(story=name, keep=keep):
                cuts = lane.result()
                print(f"{name}, {keep} stays: {cuts} cuts", flush=True)
                self.assertGreater(cuts, 10)
        self.check_audit()


if __name__ == "__main__":
    main()
