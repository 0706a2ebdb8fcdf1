# SPDX-License-Identifier: Apache-2.0
"""Years of a fleet in minutes: whatever happens to devices and server, no device is lost that policy
says can be saved, no certificate is made twice, and renewals spread over their window."""

import os
import pathlib
import re
import subprocess
import unittest

FLEET = pathlib.Path(os.environ["TM_BUILD"]) / "client/fleet/touchmark-fleet"
SANITIZED = os.environ["TM_SANITIZER"] != "none"
DEVICES = 40 if SANITIZED else 100
WINDOW_BINS = 10


def fleet(*options):
    done = subprocess.run([FLEET, *options], capture_output=True, text=True, timeout=1500,
                          check=False)
    return done.returncode, done.stdout, done.stderr


def number(report, what):
    """The sum of what stands before the words: "17 renewed"."""
    found = re.findall(rf"(\d+) {what}", report)
    assert found, f"{what} is not in the report:\n{report}"
    return sum(int(n) for n in found)


def bins(report):
    return {label: int(n) for label, n in
            re.findall(r"^  ((?:before |after )?0\.\d{3}) +(\d+) #*$", report, re.M)}


class Fleet(unittest.TestCase):
    def survives(self, scenario, devices=DEVICES, years=3, seed=1, *options):
        code, report, findings = fleet("-c", scenario, "-n", str(devices), "-y", str(years),
                                       "-s", str(seed), *options)
        self.assertEqual((code, findings), (0, ""), report)
        self.assertIn("\n  lost 0, duplicates 0, findings 0\n", report)
        self.assertGreater(number(report, "well"), devices * 0.8)
        return report

    def test_renewals_spread_over_their_window(self):
        devices = 100 if SANITIZED else 400
        counts = bins(self.survives("calm", devices, 2, 1, "--histogram"))
        inside = [counts[f"{2 / 3 + i / 120:.3f}"] for i in range(WINDOW_BINS)]
        self.assertEqual(sum(counts.values()), sum(inside), "renewed outside the window")
        mean = sum(inside) / WINDOW_BINS
        self.assertGreater(mean, devices * 0.8)
        for n in inside:
            self.assertLess(abs(n - mean), 5 * mean ** 0.5, inside)

    def test_the_servers_window_takes_the_place_of_the_devices(self):
        report = self.survives("steered", DEVICES, 2, 1, "--histogram")
        counts = bins(report)
        self.assertEqual(sum(counts.values()), counts["before 0.667"])
        # Between a third and a half of 90 days: 16 to 24 renewals in two years.
        self.assertGreater(number(report, "renewed, "), DEVICES * 2 * 16)

    def test_outages_are_waited_out(self):
        report = self.survives("outages")
        self.assertGreater(number(report, "cacerts"), 2 * number(report, "requests"))
        self.assertEqual(number(report, "discarded"), 0)

    def test_lost_answers_make_no_second_certificate(self):
        report = self.survives("lossy")
        self.assertGreater(number(report, "got the same certificate"), DEVICES // 4)

    def test_wrong_certificates_are_discarded(self):
        report = self.survives("bad", seed=2)
        wrong = number(report, "wrong on purpose")
        self.assertGreater(wrong, DEVICES // 4)
        self.assertEqual(number(report, "discarded"), wrong)

    def test_certificates_that_do_not_work_are_rolled_back(self):
        report = self.survives("probe")
        self.assertGreater(number(report, "rolled back"), DEVICES)

    def test_a_new_root_reaches_everybody_who_was_there(self):
        report = self.survives("rollover", seed=3)
        self.assertGreater(number(report, "anchors changed"), DEVICES)
        self.assertGreater(number(report, "off for the whole rollover"), 0)

    def test_devices_come_back_after_their_certificate_ended(self):
        report = self.survives("offline")
        self.assertGreater(number(report, "recovered by IDevID"), DEVICES // 6)
        self.assertGreater(number(report, "lapsed without IDevID"), 0)

    def test_revoked_certificates_are_replaced_and_revoked_devices_say_so(self):
        for scenario in ("revoked", "strict"):
            with self.subTest(scenario):
                report = self.survives(scenario)
                self.assertGreater(number(report, "recovered by IDevID"), DEVICES // 8)
                given_up = number(report, "revoked devices")
                self.assertGreater(given_up, 0)
                self.assertGreaterEqual(number(report, "stranded"), given_up)

    def test_power_may_fail_in_any_write(self):
        report = self.survives("power")
        self.assertGreater(int(re.search(r"within a write (\d+)", report)[1]), DEVICES)

    def test_devices_without_a_clock_renew_in_time(self):
        report = self.survives("clockless", seed=4)
        self.assertEqual(number(report, "recovered by IDevID"), 0)

    def test_a_seed_repeats_a_run(self):
        runs = [re.sub(r"(?m)^  cost .*$", "", self.survives("storm", 30, 2, 7)) for _ in range(2)]
        self.assertEqual(*runs)

    def test_short_certificates(self):
        self.survives("lossy", 30, 2, 1, "--lifetime", "14")

    def test_everything_at_once(self):
        devices = 60 if SANITIZED else 300  # docs/fleet.md has 10,000, which take minutes
        report = self.survives("storm", devices)
        self.assertGreater(number(report, "renewed, "), devices * 2 * 12)

    def test_options_are_checked(self):
        for options in (["-n", "0"], ["-y", "1"], ["-c", "nonsense"], ["stray"]):
            with self.subTest(options):
                code, report, sentence = fleet(*options)
                self.assertNotEqual(code, 0)
                self.assertEqual(report, "")
                self.assertIn(options[-1], sentence)


if __name__ == "__main__":
    unittest.main(verbosity=2)
