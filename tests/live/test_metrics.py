# SPDX-License-Identifier: Apache-2.0
"""What monitoring sees of a server: its numbers, as Prometheus' own library reads them, against what
was really done; whether it says that it is ready when it is, and why not when it is not. And that
who follows the audit log holds up nobody."""

import collections
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

from harness import PATIENCE, TOUCHMARK, WELL_KNOWN, Case, Key, field, main, run, until
from notes import Witness
from stations import Jobs, Station, Unit, add_profiles, job_text

# Debian's module, when another python3 comes first in PATH.
if "/usr/lib/python3/dist-packages" not in sys.path:
    sys.path.append("/usr/lib/python3/dist-packages")

from prometheus_client.parser import text_string_to_metric_families  # noqa: E402

TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Scrape:
    """One answer to GET /metrics."""

    def __init__(self, text):
        self.text = text
        self.samples, self.types = {}, {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                key = sample.name, frozenset(sample.labels.items())
                if key in self.samples:
                    raise AssertionError(f"twice: {key}\n{text}")
                self.samples[key] = sample.value
                self.types[sample.name] = family.type
            if not family.documentation:
                raise AssertionError(f"{family.name} has no HELP")

    def value(self, name, **labels):
        """0 where nothing was counted."""
        return self.samples.get((f"touchmark_{name}", frozenset(labels.items())), 0)

    def has(self, name, **labels):
        return (f"touchmark_{name}", frozenset(labels.items())) in self.samples

    def labelled(self, name, label):
        return {dict(labels)[label]: value for (full, labels), value in self.samples.items()
                if full == f"touchmark_{name}"}


class MetricsCase(Case):
    @classmethod
    def prepare(cls, site):
        site.metrics = {"enabled": "true", "port": 0}
        site.process = {"log_format": "text"}

    def get(self, path, method="GET", body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.ready()["metrics_port"],
                                                timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()

    def scrape(self):
        """With the core's numbers: on a busy machine it may answer too late for one scrape."""
        def answered():
            status, headers, text = self.get("/metrics")
            self.assertEqual((status, headers["Content-Type"]), (200, TEXT_TYPE))
            found = Scrape(text)
            return found.value("up") == 1 and found
        return until("the core answers", answered)

    def reasons(self):
        status, _, text = self.get("/readyz")
        return (status, text.splitlines())


class Metrics(MetricsCase):
    def test_counts(self):
        before = self.scrape()
        done = [(name, *self.server.enrolled(name, "unlinked")) for name in ("m-1", "m-2", "m-3")]
        name, certificate, key = done[0]
        other = Key(self.site.folder, "m-other")
        again = self.server.enroll("unlinked", other.csr(f"/CN={name}"), operation="simplereenroll",
                                   cert=certificate, key=key.path)
        self.assertEqual(again.status, 200, again)
        again = self.server.enroll("unlinked", other.csr(f"/CN={name}"), operation="simplereenroll",
                                   cert=certificate, key=key.path)
        self.assertEqual(again.status, 200, again)  # the same again
        for _ in range(2):
            refused = self.server.enroll("unlinked", key.csr(f"/CN={name}"), name, "wrong")
            self.assertEqual(refused.status, 401)
        self.assertEqual(self.server.ask("POST", f"{WELL_KNOWN}/nowhere/simpleenroll", b"x").status,
                         404)
        after = self.scrape()

        def more(metric, **labels):
            return after.value(metric, **labels) - before.value(metric, **labels)
        enrolled = {"operation": "simpleenroll", "profile": "unlinked"}
        renewed = {"operation": "simplereenroll", "profile": "unlinked"}
        self.assertEqual(more("enrollments_total", **enrolled, outcome="issued"), 3)
        self.assertEqual(more("enrollments_total", **renewed, outcome="issued"), 1)
        self.assertEqual(more("enrollments_total", **renewed, outcome="repeated"), 1)
        self.assertEqual(more("enrollments_total", **enrolled, outcome="bad-secret"), 2)
        self.assertEqual(more("renewals_total"), 1)
        self.assertEqual(more("issuance_seconds_count"), 4)
        self.assertGreaterEqual(more("token_signature_seconds_count", token="signer"), 4)
        self.assertGreaterEqual(more("audit_leaves"), 6)
        self.assertGreaterEqual(more("store_commits_total"), 6)
        self.assertGreaterEqual(more("store_batches_total"), more("store_commits_total"))
        self.check_histogram(after)
        accepted = sum(after.labelled("front_connections_total", "process").values()) - sum(
            before.labelled("front_connections_total", "process").values())
        self.assertGreaterEqual(accepted, 8)
        # What a front refuses it tells the core in its own time; then the command says the same.
        until("both say the same", lambda: self.totals() == (
            self.server.touchmark("status")[-1]["outcomes"], self.server.head()))

    def totals(self):
        """Requests by outcome, and leaves."""
        scrape = self.scrape()
        found = collections.Counter()
        for (name, labels), value in scrape.samples.items():
            if name == "touchmark_enrollments_total":
                found[dict(labels)["outcome"]] += value
        return found, scrape.value("audit_leaves")

    def check_histogram(self, scrape):
        buckets = scrape.labelled("issuance_seconds_bucket", "le")
        rising = [value for _, value in sorted(buckets.items(), key=lambda x: float(x[0]))]
        self.assertEqual(rising, sorted(rising))
        self.assertEqual(buckets["+Inf"], scrape.value("issuance_seconds_count"))
        self.assertLessEqual(scrape.value("issuance_seconds_sum"),
                             scrape.value("issuance_seconds_count") * PATIENCE)
        self.assertEqual(scrape.types["touchmark_issuance_seconds_bucket"], "histogram")
        self.assertEqual(scrape.types["touchmark_token_signature_seconds_sum"], "summary")

    def test_state(self):
        until("all is linked, and what was before a reload is gone", lambda: (
            self.reasons()[0] == 200 and len(self.server.pids("front")) == 2))
        scrape = self.scrape()
        self.assertEqual(scrape.value("ready"), 1)
        self.assertEqual(self.reasons(), (200, ["ready"]))
        self.assertEqual(scrape.value("token_ready", token="signer"), 1)
        self.assertEqual(scrape.value("token_in_use", token="signer"), 1)
        self.assertEqual(scrape.labelled("token_breaker", "state"),
                         {"closed": 1, "open": 0, "half-open": 0})
        self.assertEqual(scrape.value("faces_linked", role="front"), 2)
        self.assertTrue(scrape.has("requests_under_way"))
        self.assertGreater(scrape.value("requests_limit"), 0)
        self.assertEqual(scrape.value("store_full"), 0)
        self.assertEqual(scrape.value("store_free_bytes") + scrape.value("store_used_bytes"),
                         scrape.value("store_limit_bytes"))
        self.assertIn("test", scrape.labelled("build_info", "environment"))
        now = time.time()
        processes = ["core", "front", "front", "metrics", "signer-0"]
        for metric in ("process_cpu_seconds_total", "process_resident_memory_bytes"):
            found = scrape.labelled(metric, "process")
            self.assertEqual(sorted(re.sub(r"^front-.*", "front", x) for x in found), processes)
            self.assertTrue(all(value > 0 for value in found.values()), found)
        self.assertTrue(all(now - 3600 < x <= now for x in
                            scrape.labelled("process_start_time_seconds", "process").values()))
        self.assertEqual(set(scrape.labelled("samples_dropped", "process").values()), {0})
        self.check_expiry(scrape.value("issuer_expiry_timestamp_seconds", issuer="manufacturing"),
                          self.site.issuer.read_text())
        tls = scrape.labelled("tls_expiry_timestamp_seconds", "process")
        self.assertEqual(len(tls), 2)
        for seconds in tls.values():
            self.check_expiry(seconds, (self.site.folder / "server.pem").read_text())

    def check_expiry(self, seconds, pem):
        text = field(pem, "-enddate").split("=")[1]
        self.assertEqual(time.strftime("%b %e %H:%M:%S %Y GMT", time.gmtime(seconds)), text)

    def test_paths(self):
        status, headers, text = self.get("/healthz")
        self.assertEqual((status, text), (200, "ok\n"))
        self.assertEqual(headers["Content-Type"], "text/plain; charset=utf-8")
        self.assertEqual(self.get("/metrics", "HEAD")[::2], (200, ""))
        for path in ("/", "/metrics/", "/%6detrics", f"{WELL_KNOWN}/cacerts"):
            self.assertEqual(self.get(path)[0], 404, path)
        for path in ("/healthz", "/readyz", "/metrics"):
            status, headers, _ = self.get(path, "POST", b"x" * 100000)
            self.assertEqual((status, headers["Allow"]), (405, "GET, HEAD"), path)

    def test_handshakes_that_fail(self):
        def failed():
            return sum(self.scrape().labelled("front_handshake_failures_total", "process").values())
        before = failed()
        with socket.create_connection(("127.0.0.1", self.server.port)) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):  # what it did not read is gone
                while plain.recv(4096):
                    pass
        until("it is counted", lambda: failed() == before + 1)

    def test_the_signer_is_killed(self):
        """Its successor finds no PIN at first."""
        pin = self.site.folder / "pin"
        away = pin.with_name("pin.away")
        until("it is ready", lambda: self.reasons()[0] == 200)
        pin.rename(away)
        os.kill(self.server.ready()["signer"], signal.SIGKILL)
        until("it says so", lambda: self.reasons() == (
            503, ["token signer: no signer that can be asked has shown its keys"]))
        scrape = self.scrape()
        self.assertEqual((scrape.value("ready"), scrape.value("token_ready", token="signer")),
                         (0, 0))
        self.assertEqual(self.get("/healthz")[0], 200)
        away.rename(pin)
        until("it is back", lambda: self.reasons() == (200, ["ready"]))
        self.server.enrolled("m-back", "unlinked")

    def test_the_core_does_not_answer(self):
        core = self.server.ready()["core"]
        until("it is ready", lambda: self.reasons()[0] == 200)
        os.kill(core, signal.SIGSTOP)
        try:
            self.assertEqual(self.reasons(), (503, ["the core does not answer"]))
            status, _, text = self.get("/metrics")
            scrape = Scrape(text)
            self.assertEqual((status, scrape.value("up"), scrape.value("ready")), (200, 0, 0))
            self.assertTrue(scrape.has("up"))
            self.assertFalse(scrape.has("audit_leaves"))
            self.assertEqual(self.get("/healthz")[0], 200)
        finally:
            os.kill(core, signal.SIGCONT)
        until("it is back", lambda: self.reasons()[0] == 200)

    def test_many_ask(self):
        """Each gets an answer, of which many share one."""
        found = []
        threads = [threading.Thread(target=lambda: found.append(self.get("/metrics")[0]))
                   for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(found, [200] * 30)

    def test_reload(self):
        """The successor serves on the same port, with the numbers of the new processes."""
        before = self.server.ready()
        os.kill(before["pid"], signal.SIGHUP)
        until("a new core and a new face are there", lambda: self.server.ready()["core"] not in (
            0, before["core"]) and self.server.ready()["metrics"] != before["metrics"])
        self.assertEqual(self.server.ready()["metrics_port"], before["metrics_port"])
        until("it is ready", lambda: self.reasons()[0] == 200)
        self.assertEqual(self.scrape().value("enrollments_total", operation="simpleenroll",
                                             profile="unlinked", outcome="issued"), 0)

    def test_log_as_text(self):
        line = re.compile(r"(<[3467]>)?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z "
                          r"(error|warn|info|debug) [a-z]+(-\d+)?\[\d+\]( [0-9a-f]{16})?: .+")
        for text in self.server.log.read_text().splitlines():
            self.assertRegex(text, line)


class Factory(MetricsCase):
    """The numbers of audit log, index and production, and the log's consumers."""

    listen = {"workers": 1}

    @classmethod
    def prepare(cls, site):
        super().prepare(site)
        add_profiles(site)
        vkey = site.sign_checkpoints()
        cls.witness = Witness(site.folder, "witness.example/w", vkey).start()
        cls.addClassCleanup(cls.witness.stop)
        site.audit["witnesses"] = [{"key": cls.witness.vkey, "url": cls.witness.url}]

    def touchmark(self, *args):
        return run(TOUCHMARK, *args, "--conf", self.site.config, env=self.site.env).stdout

    def test_jobs(self):
        jobs = Jobs(self.server)

        def numbers():
            scrape = self.scrape()
            return scrape.labelled("jobs", "status"), scrape.value("quarantined_units")
        none = {"open": 0, "stopped": 0, "closing": 0}
        self.assertEqual(numbers(), (none, 0))
        jobs.open(job_text("J", ["ST-1"], "J-1", "J-9"))
        self.assertEqual(numbers(), ({**none, "open": 1}, 0))
        station, unit = Station(self.server, "ST-1"), Unit(self.server, "J-1")
        self.assertEqual(unit.enroll(station).status, 200)
        self.assertEqual(numbers(), ({**none, "open": 1}, 1))
        unit.pass_through(station, "J")
        self.server.touchmark("job", "stop", "J", "--reason", "test")
        self.assertEqual(numbers(), ({**none, "stopped": 1}, 1))
        self.server.touchmark("job", "close", "J", "--counts", "1,0,0")
        until("its unit has left quarantine", lambda: numbers() == (none, 0))

    def test_log(self):
        before = self.scrape()
        self.assertEqual(before.labelled("cosigned_leaves", "witness"), {"witness.example/w": 0})
        self.assertEqual(before.value("cosigned_timestamp_seconds", witness="witness.example/w"), 0)
        self.server.add_device("log-1", secret=False)
        head = self.server.head()
        signed = until("a checkpoint over all", lambda: (
            lambda x: x if x.value("checkpoint_leaves") >= head else None)(self.scrape()))
        now = time.time()
        self.assertGreater(signed.value("checkpoint_leaves"), before.value("checkpoint_leaves"))
        self.assertTrue(now - 3600 < signed.value("checkpoint_timestamp_seconds") <= now)
        self.touchmark("audit", "witness")
        cosigned = self.scrape()
        self.assertGreaterEqual(cosigned.value("cosigned_leaves", witness="witness.example/w"),
                                head)
        self.assertTrue(now - 3600 < cosigned.value(
            "cosigned_timestamp_seconds", witness="witness.example/w") <= time.time())

    def test_import(self):
        path = self.site.folder / "devices.csv"
        path.write_text("device\n" + "".join(f"import-{i}\n" for i in range(3)))

        def indexed():
            scrape = self.scrape()
            self.assertLessEqual(scrape.value("index_lag_leaves"), scrape.value("audit_leaves"))
            return scrape if (scrape.value("index_ready"), scrape.has("index_lag_leaves"),
                              scrape.value("index_lag_leaves")) == (1, True, 0) else None
        before = until("the index knows all", indexed)
        self.touchmark("device", "import", path, "--dry-run")
        self.assertEqual(self.scrape().value("imported_devices_total"),
                         before.value("imported_devices_total"))
        self.touchmark("device", "import", path)
        after = until("the index knows all", indexed)
        for metric in ("imported_devices_total", "index_devices"):
            self.assertEqual(after.value(metric), before.value(metric) + 3, metric)

    # ---- consumers ----

    def follow(self):
        """A program that reads all there is and waits for more; its lines."""
        process = subprocess.Popen(
            [str(x) for x in (TOUCHMARK, "events", "--consumer", "erp", "--follow", "--conf",
                              self.site.config)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=self.site.env)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def lag(self):
        scrape = self.scrape()
        return scrape.has("consumer_lag_leaves", consumer="events:erp") and scrape.value(
            "consumer_lag_leaves", consumer="events:erp")

    def read(self, process, got, count):
        while len(got) < count:
            got.append(json.loads(process.stdout.readline())["sequence"])

    def test_a_consumer_that_stops_holds_up_nobody_and_gets_everything_once(self):
        """Also when the server is killed meanwhile."""
        first, got = self.follow(), []
        self.read(first, got, self.server.head())
        until("it has said so", lambda: self.lag() == 0)
        first.send_signal(signal.SIGSTOP)
        begun = self.server.head()
        for i in range(5):
            self.server.enrolled(f"behind-{i}", "unlinked")
        self.assertEqual(self.lag(), self.server.head() - begun)
        self.server.kill()
        self.server.start()
        until("it is ready", lambda: self.reasons()[0] == 200)
        self.server.enrolled("behind-last", "unlinked")
        head = self.server.head()
        self.assertEqual(self.lag(), head - begun)
        first.send_signal(signal.SIGCONT)
        rest, _ = first.communicate(timeout=PATIENCE)
        self.assertNotEqual(first.returncode, 0)
        got += [json.loads(line)["sequence"] for line in rest.splitlines()]
        self.read(self.follow(), got, head)
        self.assertEqual(got, list(range(head)))
        until("it has said so", lambda: self.lag() == 0)


if __name__ == "__main__":
    main()
