# SPDX-License-Identifier: Apache-2.0
"""Sites with two officers, for what takes both of them to change."""

import re

from harness import until
from officers import Officer, OfficersCase
from rotation import RotationCase


class AgreedCase(RotationCase, OfficersCase):
    listen = {"workers": 1}

    @classmethod
    def prepare(cls, site):
        RotationCase.prepare.__func__(cls, site)
        OfficersCase.prepare.__func__(cls, site)
        site.officers[0]["role"] = "officer"  # root, who writes the files; signs nothing
        site.write_config()

    @classmethod
    def appoint(cls, site):
        cls.alice = Officer(site, "alice", "daemon", kind="p256")
        cls.bob = Officer(site, "bob", "bin", kind="ed25519")
        cls.ann = Officer(site, "ann", "news", role="auditor")

    # ---- acts ----

    def proposed(self, kind, count=1):
        """The acts of a kind that wait for signatures; the one, if there is to be one."""
        found = [act for act in self.acts(self.ann, kind) if act["status"] == "open"]
        self.assertEqual(len(found), count, found)
        return found[0] if count == 1 else found

    def signed(self, act):
        self.signed_by(act, self.alice, self.bob)

    # ---- touchmarkd ----

    def started(self):
        code, out, _ = self.ann.ask("status", "--json")
        found = re.search(r'"started":\s*"([^"]+)"', out)
        return found.group(1) if code == 0 and found and '"ready"' in out else None

    def reload(self):
        before = self.started()
        self.alice.good("reload")
        until("the new core serves", lambda: self.started() not in (None, before))
        self.server.await_ready()

    def leaves_of(self, event):
        return [leaf for leaf in self.server.leaves() if leaf["event"] == event]

    def signer_of(self, name, label=None):
        path, _ = self.server.enrolled(name, label) if label else self.server.enrolled(name)
        return self.issuer_of(path)
