# SPDX-License-Identifier: Apache-2.0
"""The container image: built from docker/Dockerfile on a Debian made by debootstrap, then run as
its configuration says. Devices enroll from outside with curl and openssl.

Everything, storage and base included, is in one temporary folder. The containers share the
network of this machine, so they listen on 127.0.0.1 at a port of the kernel's choice.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

import test_arrows
from harness import (body_of, certificates_in, field, Key, main, openssl, PATIENCE, run, serial_of,
                     stat_of, subject_of, tree, until, WELL_KNOWN)

BUILD_SECONDS = 1500
BASE = "localhost/debian:trixie-slim"
IMAGE = "localhost/touchmark"
TOKEN = "/var/lib/touchmark/token"
STORE = "/var/lib/touchmark/store"
CONF = "/etc/touchmark"
EX_CONFIG = 78
# Where containers write what they print: with the isolation used here buildah 1.28 passes standard
# output on through pipes, and drops what is left in them when the program ends.
OUTPUT, ANSWER = "run/touchmark/output", "run/touchmark/answer"
# A container as docker/compose.yaml has it run: the first process of its own process namespace,
# without capabilities or a way to any, on a root file system that it cannot write to.
# Arguments: root, token, store, user, its ID, command.
CONFINED = """set -eu
mount --bind "$1" "$1"
mount --rbind /dev "$1/dev"
mount -t proc proc "$1/proc"
mount --bind "$2" "$1/var/lib/touchmark/token"
mount --bind "$3" "$1/var/lib/touchmark/store"
for folder in run etc; do
    mount -t tmpfs -o "uid=$5,gid=$5,mode=0750" tmpfs "$1/$folder/touchmark"
done
mount -o remount,bind,ro "$1"
exec chroot "$1" setpriv --reuid "$4" --regid "$4" --clear-groups --bounding-set -all \\
    --inh-caps -all --no-new-privs "$6"
"""


def debian_source():
    """Where this machine's apt gets Debian from."""
    targets = run("apt-get", "indextargets", "--format", "$(ORIGIN)\t$(LABEL)\t$(SITE)",
                  "Created-By: Packages").stdout.decode()
    for line in targets.splitlines():
        origin, label, site = line.split("\t")
        if (origin, label) == ("Debian", "Debian"):
            return site
    raise AssertionError("apt knows no Debian archive")


def make_debian(folder, *options):
    """A minimal Debian 13. What debootstrap mounts is gone with its namespace."""
    run("unshare", "--mount", "debootstrap", "--variant=minbase", *options, "trixie", folder,
        debian_source(), timeout=BUILD_SECONDS)


class Workshop:
    """buildah with a storage of its own, and the image."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="touchmark-image-"))
        self.folder.chmod(0o755)
        self.env = {**os.environ, "BUILDAH_ISOLATION": "chroot", "TMPDIR": str(self.folder)}

    def command(self, *args):
        return [str(a) for a in ("buildah", "--storage-driver", "vfs", "--root",
                                 self.folder / "storage", "--runroot", self.folder / "run", *args)]

    def buildah(self, *args, check=True, timeout=BUILD_SECONDS):
        return run(*self.command(*args), env=self.env, check=check, timeout=timeout)

    def name(self, *args):
        """The one line that a command prints."""
        return self.buildah(*args).stdout.decode().strip()

    def make_base(self):
        base = self.folder / "base"
        make_debian(base)
        # As in the images that Debian publishes.
        (base / "etc/dpkg/dpkg.cfg.d/image").write_text(
            "force-unsafe-io\npath-exclude /usr/share/doc/*\npath-exclude /usr/share/man/*\n"
            "path-exclude /usr/share/locale/*\n")
        container = self.name("from", "scratch")
        self.buildah("add", "--quiet", container, base, "/")
        self.buildah("commit", "--quiet", "--rm", container, BASE)
        shutil.rmtree(base)

    def make_image(self):
        context = self.folder / "context"
        for name in test_arrows.tracked():
            target = context / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(test_arrows.SOURCE / name, target)
        self.buildah("bud", "--format", "docker", "--pull-never", "--build-arg", f"BASE={BASE}",
                     "--file", context / "docker/Dockerfile", "--tag", IMAGE, context)

    def image(self):
        """Its configuration."""
        text = self.buildah("inspect", "--type", "image", IMAGE).stdout
        return json.loads(text)["Docker"]["config"]

    def remove(self):
        mounts = [line for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
                  if f" {self.folder}/" in line]
        if mounts:
            raise AssertionError(f"still mounted: {mounts}")
        shutil.rmtree(self.folder)


class Volumes:
    """What outlives containers: token and store."""

    def __init__(self, workshop, owner):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="volumes-", dir=workshop.folder))
        self.folder.chmod(0o755)
        self.token, self.store = self.folder / "token", self.folder / "store"
        for path in (self.token, self.store):
            path.mkdir(mode=0o700)
            os.chown(path, owner, owner)

    @property
    def root(self):
        return self.token / "ca" / "root.pem"


class Container:
    """One container of the image; stop() or remove() ends it."""

    host = "localhost"
    environment = {"TOUCHMARK_LISTEN": "127.0.0.1", "TOUCHMARK_PORT": "0"}

    def __init__(self, workshop, volumes, conf=None):
        self.workshop = workshop
        self.image = workshop.image()
        self.volumes = volumes
        self.mounts = ["--volume", f"{volumes.token}:{TOKEN}",
                       "--volume", f"{volumes.store}:{STORE}"]
        if conf:
            self.mounts += ["--volume", f"{conf}:{CONF}/touchmark.yaml:ro"]
        self.name = workshop.name("from", "--pull-never", IMAGE)
        # buildah 1.28 prefers empty folders of its own to some of those that it is given.
        for path in self.image["Volumes"]:
            workshop.buildah("config", "--volume", f"{path}-", self.name)
        self.files = pathlib.Path(workshop.name("mount", self.name))
        self.ready = self.files / "run/touchmark/touchmarkd.ready"
        self.log = workshop.folder / f"{self.name}.log"
        self.said = self.files / OUTPUT
        self.process = None

    def command(self, *args, env=()):
        options = [word for item in env for word in ("--env", item)]
        return self.workshop.command("run", *self.mounts, *options, self.name, "--", *args)

    def user(self):
        """The ID of the image's user."""
        for line in (self.files / "etc/passwd").read_text().splitlines():
            name, _, uid, *_ = line.split(":")
            if name == self.image["User"]:
                return int(uid)
        raise AssertionError(f"the image has no user {self.image['User']!r}")

    def inside(self, *args, check=True):
        return run(*self.command(*args), env=self.workshop.env, check=check)

    def touchmark(self, *args):
        self.inside("sh", "-c", 'exec "$@" >"$0"', f"/{ANSWER}", "touchmark", *args, "--json")
        return json.loads((self.files / ANSWER).read_text().splitlines()[-1])

    def start_command(self):
        return self.command("sh", "-c", 'exec "$@" >>"$0" 2>&1', f"/{OUTPUT}",
                            *self.image["Entrypoint"],
                            env=[f"{name}={value}" for name, value in self.environment.items()])

    def start(self, wait=True):
        self.ready.unlink(missing_ok=True)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.start_command(),
                                            env={**self.workshop.env, **self.environment},
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if wait:
            until(lambda: f"the container is ready; its log ends:\n{self.tail()}", self.is_ready)
        return self

    def is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the container ended:\n{self.tail()}")
        return self.ready.exists()

    def tail(self):
        return "".join(path.read_text(errors="replace") for path in (self.log, self.said)
                       if path.exists())[-4000:]

    def port(self):
        return json.loads(self.ready.read_text())["port"]

    def processes(self):
        """Those of the image; buildah's own end with them."""
        found = []
        for pid in tree(self.process.pid):
            with contextlib.suppress(OSError):
                if not pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"buildah"):
                    found.append(pid)
        return found

    def stop(self):
        """As a container engine stops it: by the image's signal to the first process."""
        pids = self.processes()
        os.kill(pids[0], getattr(signal, self.image["StopSignal"]))
        code = self.process.wait(PATIENCE)
        left = [pid for pid in pids if (stat_of(pid) or (0, 0, "Z"))[2] != "Z"]
        if code != 0 or left:
            raise AssertionError(f"ended with {code}, processes left: {left}\n{self.tail()}")

    def kill(self):
        """Everything at once, as a power cut would."""
        pids = self.processes()
        while pids and self.process.poll() is None:
            for pid in pids:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            pids = self.processes()
        self.process.wait(PATIENCE)

    def remove(self):
        if self.process and self.process.poll() is None:
            self.kill()
        self.workshop.buildah("rm", self.name)


class Confined(Container):
    """The same in namespaces and under limits that buildah does not make, and with a name more."""

    host = "127.0.0.1"
    environment = {**Container.environment, "TOUCHMARK_NAMES": "est.example, 127.0.0.1"}

    def start_command(self):
        user = self.image["User"]
        return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", CONFINED, "sh",
                self.files, self.volumes.token, self.volumes.store, user,
                str(self.volumes.token.stat().st_uid), *self.image["Entrypoint"]]

    def processes(self):
        return tree(self.process.pid)[1:]

    def is_ready(self):
        first = self.processes()[:1]
        if first:  # its own mounts are seen through it only
            self.ready = pathlib.Path(f"/proc/{first[0]}/root/run/touchmark/touchmarkd.ready")
        return super().is_ready()

    def touchmark(self, *args):
        return json.loads(self.inside("touchmark", *args, "--json").stdout.splitlines()[-1])

    def inside(self, *args, check=True):
        first = self.processes()[0]
        return run("nsenter", f"--target={first}", "--mount", "--pid", "--root", "--wd", "setpriv",
                   "--reuid", self.image["User"], "--clear-groups", *args, check=check)


class Image(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.workshop = Workshop()
        cls.addClassCleanup(cls.workshop.remove)
        cls.workshop.make_base()
        cls.workshop.make_image()
        probe = Container(cls.workshop, Volumes(cls.workshop, 0))
        cls.owner = probe.user()
        probe.remove()

    def volumes(self):
        return Volumes(self.workshop, self.owner)

    def container(self, volumes, conf=None, kind=Container):
        container = kind(self.workshop, volumes, conf)
        self.addCleanup(container.remove)
        return container

    def enroll(self, container, volumes, operation, key, subject, *credential):
        """curl's way from a key to a certificate that openssl has verified."""
        csr = openssl("req", "-new", "-key", key.path, "-subj", subject, "-outform", "DER")
        answer = run("curl", "--silent", "--show-error", "--fail-with-body", "--noproxy", "*",
                     "--max-time", str(PATIENCE), "--cacert", volumes.root, "-H",
                     "Content-Type: application/pkcs10", "--data-binary", "@-", *credential,
                     "--resolve", f"localhost:{container.port()}:127.0.0.1",
                     f"https://{container.host}:{container.port()}{WELL_KNOWN}/{operation}",
                     stdin=body_of(csr)).stdout
        pem, = certificates_in(answer)
        path = volumes.folder / f"{serial_of(pem)}.pem"
        path.write_text(pem)
        verified = openssl("verify", "-CAfile", volumes.root, "-untrusted",
                           volumes.token / "ca/manufacturing.pem", path)
        self.assertEqual(verified.decode(), f"{path}: OK\n")
        self.assertEqual(openssl("x509", "-noout", "-pubkey", "-in", path),
                         openssl("pkey", "-in", key.path, "-pubout"))
        return path

    def test_its_configuration(self):
        image = self.workshop.image()
        self.assertEqual(set(image["ExposedPorts"]), {"8443/tcp"})
        self.assertEqual(set(image["Volumes"]), {TOKEN, STORE})
        self.assertEqual(image["StopSignal"], "SIGTERM")
        self.assertNotEqual(self.owner, 0)

    def test_nothing_of_the_build_is_in_it(self):
        container = self.container(self.volumes())
        for path in ("usr/bin/gcc", "usr/bin/meson", "touchmark", "build", "usr/include/openssl"):
            self.assertFalse((container.files / path).exists(), path)

    def test_a_device_enrolls_and_a_later_container_renews_it(self):
        volumes = self.volumes()
        first = self.container(volumes).start()
        self.assertEqual(first.image["Healthcheck"]["Test"][0], "CMD")
        first.inside(*first.image["Healthcheck"]["Test"][1:])
        first.touchmark("device", "add", "unit-1")
        secret = first.touchmark("device", "secret", "unit-1")["secret"]
        key = Key(volumes.folder, "idevid")
        idevid = self.enroll(first, volumes, "idevid/simpleenroll", key, "/CN=unit-1",
                             "--user", f"unit-1:{secret}")
        self.assertIn("9999", field(idevid.read_text(), "-enddate"))
        own = Key(volumes.folder, "ldevid")
        ldevid = self.enroll(first, volumes, "simpleenroll", own, "/CN=unit-1",
                             "--cert", idevid, "--key", key.path)
        root = volumes.root.read_bytes()
        first.stop()
        first.inside("touchmark", "store", "check", "--offline")

        shutil.rmtree(volumes.token / "offline")  # the root's token went into the safe
        second = self.container(volumes).start()
        self.assertEqual(volumes.root.read_bytes(), root)
        self.assertNotIn("ceremony", second.tail())
        renewed = self.enroll(second, volumes, "simplereenroll", own,
                              subject_of(ldevid.read_text()), "--cert", ldevid, "--key", own.path)
        self.assertNotEqual(serial_of(renewed.read_text()), serial_of(ldevid.read_text()))
        second.stop()

    def test_it_runs_as_the_composition_confines_it(self):
        volumes = self.volumes()
        container = self.container(volumes, kind=Confined).start()
        container.touchmark("device", "add", "unit-2")
        secret = container.touchmark("device", "secret", "unit-2")["secret"]
        self.enroll(container, volumes, "idevid/simpleenroll", Key(volumes.folder, "unit"),
                    "/CN=unit-2", "--user", f"unit-2:{secret}")
        status = pathlib.Path(f"/proc/{container.processes()[0]}/status").read_text()
        for line in ("NSpid:.*\t1", "CapBnd:\t0+", "CapEff:\t0+", "NoNewPrivs:\t1"):
            self.assertRegex(status, f"(?m)^{line}$")
        self.assertNotEqual(container.inside("touch", "/usr/new", check=False).returncode, 0)
        container.stop()

    def test_the_composition_is_for_this_image(self):
        text = (test_arrows.SOURCE / "docker/compose.yaml").read_text()
        volumes = re.findall(r"(?m)^ +- \w+:(/\S+)$", text)
        self.assertEqual(set(volumes), set(self.workshop.image()["Volumes"]))
        owners = re.findall(r"uid=(\d+),gid=(\d+)", text)
        self.assertEqual(owners, [(str(self.owner), str(self.owner))] * 2)

    def test_secrets_are_closed_to_others_and_of_each_container_its_own(self):
        pins = []
        for _ in range(2):
            volumes = self.volumes()
            container = self.container(volumes).start()
            container.stop()
            secret = [path for path in volumes.token.rglob("*") if path.is_file()]
            self.assertEqual([p for p in secret if p.stat().st_mode & 0o077], [])
            pins += [(volumes.token / name / pin).read_text() for name in ("offline", "issuing")
                     for pin in ("pin", "so-pin")]
            log = container.tail()
            self.assertEqual([pin for pin in pins if pin in log], [])
        self.assertEqual(len(set(pins)), 8)
        self.assertEqual({len(pin) for pin in pins}, {32})

    def test_an_interrupted_first_start_is_taken_up(self):
        def steps_taken(volumes, count):
            """How far it got, by the files on the token volume."""
            with contextlib.suppress(OSError):
                return sum(1 for _ in volumes.token.rglob("*")) >= count
            return False
        for count in (3, 8, 12, 16, 20, 24, 28):
            with self.subTest(files=count):
                volumes = self.volumes()
                container = self.container(volumes).start(wait=False)
                until(f"{count} files", lambda: steps_taken(volumes, count))
                container.kill()
                container.start().stop()

    def test_a_store_or_token_that_is_missing_is_not_replaced(self):
        volumes = self.volumes()
        self.container(volumes).start().stop()
        for lost in (volumes.store, volumes.token):
            with self.subTest(lost=lost.name):
                kept = lost.with_suffix(".kept")
                lost.rename(kept)
                lost.mkdir(mode=0o700)
                os.chown(lost, self.owner, self.owner)
                container = self.container(volumes).start(wait=False)
                self.assertEqual(container.process.wait(PATIENCE), 1)
                self.assertIn("entrypoint.sh: the store", container.tail())
                self.assertEqual(list(lost.iterdir()), [])
                lost.rmdir()
                kept.rename(lost)

    def test_with_a_configuration_of_ones_own_nothing_is_made(self):
        volumes = self.volumes()
        conf = volumes.folder / "touchmark.yaml"
        conf.write_text("environment: elsewhere\n")
        container = self.container(volumes, conf).start(wait=False)
        self.assertEqual(container.process.wait(PATIENCE), EX_CONFIG)
        self.assertIn("touchmark.yaml:1", container.tail())
        self.assertEqual(conf.read_text(), "environment: elsewhere\n")
        self.assertEqual([*volumes.token.iterdir(), *volumes.store.iterdir()], [])


if __name__ == "__main__":
    main()
