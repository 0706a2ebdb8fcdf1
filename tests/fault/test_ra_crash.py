# SPDX-License-Identifier: Apache-2.0
"""kill -9 of a registration authority's processes between the question to the upstream CA and the
record of its answer: the same request gets the one certificate that the upstream made."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "live"))

from harness import main, serial_of  # noqa: E402
from ra import Pair  # noqa: E402

# Where the audit has to say that a question's end is not known.
UNKNOWN = ["core.upstream_asked", "core.upstream_answered", "upstream.before_request",
           "upstream.answer_received"]
# Here the store's thread may have made the record durable before the process dies.
EITHER = "core.record_submitted"


class Crashes(Pair):
    def test_every_point(self):
        for point in [*UNKNOWN, EITHER]:
            with self.subTest(point=point):
                name, _, ask = self.request()
                self.ra.stop()
                since = self.ra.log.stat().st_size
                self.ra.start(TOUCHMARK_CRASH=point)
                pem = self.ra.ask_until(200, ask).pem()
                self.assertIn(b"was killed by SIGKILL", self.ra.log.read_bytes()[since:])
                self.assertEqual(self.signed_for(name), [serial_of(pem)])
                self.assertEqual(len(self.ra.device(name)["certificates"]), 1)
                self.assertEqual(self.ra.intents(), [])
                self.assertRegex(self.ra.issued_leaf(name)["reason"],
                                 r" signed it as [0-9a-f]+(; asked \d times, [1-9] of them with an "
                                 r"end that is not known)" + ("?$" if point == EITHER else "$"))


if __name__ == "__main__":
    main()
