# SPDX-License-Identifier: Apache-2.0
"""The access rules that docs/mqtt.md gives for mosquitto, on a mosquitto: devices and the bridge
reach what is theirs, and nothing of another's."""

import pathlib
import re
import shutil
import tempfile
import unittest

from harness import SOURCE
from mqtt import Broker, Client, client_tls, tls_files, tls_leaf

DEVICE, OTHER, BRIDGE = "gw-1", "gw-2", "touchmark"
OF_DEVICE = ["spBv1.0/g/NBIRTH/{}", "spBv1.0/g/NDEATH/{}", "spBv1.0/g/NDATA/{}",
             "spBv1.0/g/DBIRTH/{}/d", "spBv1.0/g/DDEATH/{}/d", "spBv1.0/g/DDATA/{}/d",
             "touchmark/v1/{}/offer", "touchmark/v1/{}/request"]
OF_BRIDGE = ["spBv1.0/g/NCMD/{}", "spBv1.0/g/DCMD/{}/d", "touchmark/v1/{}/response",
             "touchmark/v1/{}/response/7"]
FOR_ALL = "spBv1.0/STATE/touchmark"
LAST = "spBv1.0/last/NDATA/{}"
EVENT = "touchmark/v1/event/issued"


class Rules(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="touchmark-acl-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        rules = re.search(r"```acl\n(.*?)```", (SOURCE / "docs/mqtt.md").read_text(), re.S)
        acl = cls.folder / "acl"
        acl.write_text(rules.group(1))
        acl.chmod(0o600)
        server = tls_files(cls.folder)
        cls.ca = server[0]
        cls.leaves = {name: tls_leaf(cls.folder, cls.ca, cls.folder / "broker-ca.key", [name], name)
                      for name in (DEVICE, OTHER, BRIDGE)}
        cls.broker = Broker(tls=server, clients=cls.ca, lines=[f"acl_file {acl}"]).start()
        cls.addClassCleanup(cls.broker.close)

    def client(self, name):
        client = Client(self.broker.port, name, tls=client_tls(self.ca, *self.leaves[name]))
        self.addCleanup(client.close)
        return client

    def heard(self, listener, speaker, topics, last):
        """Which of these topics arrive; `last`, which is published behind them, is known to."""
        listener.subscribe("#")
        for topic in [*topics, last]:
            speaker.publish(topic, b"x", qos=1)
        listener.wait(lambda m: m.topic == last, last)
        return [m.topic for m in listener.find(lambda m: True)]

    def test_devices_write_below_their_own_names(self):
        own = [t.format(DEVICE) for t in OF_DEVICE]
        foreign = [t.format(OTHER) for t in OF_DEVICE]
        others = [t.format(name) for t in OF_BRIDGE for name in (DEVICE, OTHER)]
        heard = self.heard(self.client(BRIDGE), self.client(DEVICE),
                           [*foreign, *others, FOR_ALL, EVENT, *own], LAST.format(DEVICE))
        self.assertEqual(sorted(heard), sorted(own))

    def test_devices_read_what_is_for_them(self):
        own = [t.format(DEVICE) for t in OF_BRIDGE]
        foreign = [t.format(OTHER) for t in OF_BRIDGE]
        heard = self.heard(self.client(DEVICE), self.client(BRIDGE),
                           [*foreign, EVENT, *own], FOR_ALL)
        self.assertEqual(sorted(heard), sorted(own))

    def test_devices_do_not_hear_each_other(self):
        listener, speaker, bridge = (self.client(n) for n in (OTHER, DEVICE, BRIDGE))
        listener.subscribe("#")
        bridge.subscribe("#")
        for topic in OF_DEVICE:
            speaker.publish(topic.format(DEVICE), b"x", qos=1)
        bridge.wait(lambda m: m.topic == OF_DEVICE[-1].format(DEVICE), "the last one")
        bridge.publish(FOR_ALL, b"x", qos=1)
        listener.wait(lambda m: m.topic == FOR_ALL, FOR_ALL)
        self.assertEqual(listener.find(lambda m: True), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
