# SPDX-License-Identifier: Apache-2.0
"""touchmark-agent in a folder of its own, for tests that use it as its users do."""

import contextlib
import json
import pathlib
import signal
import subprocess

from harness import BUILD, PATIENCE, SANITIZER_SPEAKS, Case, until

AGENT = BUILD / "client" / "agent" / "touchmark-agent"
DONE, CONFIG, USAGE, AGAIN, DENIED = 0, 2, 64, 75, 77

HOOK = """#!/bin/sh
{ env | grep '^TOUCHMARK_' | sort; sha256sum < "$TOUCHMARK_CERTIFICATE"; echo; } >> "%s"
%s
"""


def yaml(values, indent=""):
    text = ""
    for key, value in values.items():
        if isinstance(value, dict):
            text += f"{indent}{key}:\n{yaml(value, indent + '  ')}"
        else:
            text += f"{indent}{key}: {value}\n"
    return text


class Agent:
    """One agent in a folder of its own, configured as `values` says beside what all need."""

    def __init__(self, server, name, port=None, secret=None, hook_tail="", **values):
        self.server, self.name, self.secret = server, name, secret
        self.folder = server.site.folder / "agents" / name
        self.folder.mkdir(parents=True)
        self.state, self.export = self.folder / "state", self.folder / "export"
        self.bootstrap, self.hooked = self.folder / "bootstrap", self.folder / "hooked"
        self.config = self.folder / "touchmark-agent.yaml"
        self.log = self.folder / "log"
        self.env = dict(server.site.env)
        self.process = None
        hook = self.folder / "hook"
        hook.write_text(HOOK % (self.hooked, hook_tail))
        hook.chmod(0o755)
        if secret:
            self.bootstrap.touch(mode=0o600)
            self.bootstrap.write_text(secret + "\n")
        self.values = {
            "device": name, "server": f"https://127.0.0.1:{port or server.port}",
            "anchors": server.site.root, "bootstrap": "bootstrap", "state": "state",
            "environment": "test", "labels": {"ldevid": "ldevid"},
            "requests": {"timeout": "60s", "connect_timeout": "60s"},
            "renewal": {"backoff_min": "1s", "backoff_max": "1s", "soak": "1h"},
            "export": {"folder": "export"}, "hook": {"program": "hook"}}
        self.configure(**values)

    def configure(self, **values):
        for key, value in values.items():
            old = self.values.get(key)
            self.values[key] = {**old, **value} if isinstance(old, dict) else value
        self.config.write_text(yaml({k: v for k, v in self.values.items() if v is not None}))

    def run(self, *options):
        """To its end; every octet that it says stays in the log. Returns the exit code."""
        done = subprocess.run([AGENT, "--conf", self.config, *options], capture_output=True,
                              env=self.env, timeout=PATIENCE)
        with open(self.log, "ab") as log:
            log.write(done.stdout + done.stderr)
        self.said = (done.stdout + done.stderr).decode()
        self.out = done.stdout.decode()
        return done.returncode

    def start(self, **env):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([AGENT, "--conf", self.config], env={**self.env, **env},
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE)
        self.process = None
        return code

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait(PATIENCE)
            self.process = None

    def status(self):
        with contextlib.suppress(OSError):
            return json.loads((self.state / "status.json").read_text())
        return None

    def current(self):
        status = self.status()
        return status and status["slots"]["current"]

    def text(self):
        return self.log.read_text()

    def hooks(self):
        """The environment of each run of the hook."""
        if not self.hooked.exists():
            return []
        runs = self.hooked.read_text().split("\n\n")[:-1]
        return [dict(line.split("=", 1) for line in one.splitlines() if "=" in line)
                for one in runs]

    def certificate(self):
        return (self.export / "certificate.pem").read_text()


class AgentCase(Case):
    def agent(self, name, secret=True, **values):
        if secret is True:
            secret = self.server.add_device(name)
        agent = Agent(self.server, name, secret=secret, **values)
        self.addCleanup(self.check_agent, agent)
        return agent

    def check_agent(self, agent):
        """Whatever a test did: nothing is left, no sanitizer spoke, no secret was said."""
        agent.kill()
        text = agent.log.read_bytes() if agent.log.exists() else b""
        found = SANITIZER_SPEAKS.search(text)
        self.assertIsNone(found, text.decode(errors="replace")[-8000:])
        if agent.secret:
            self.assertNotIn(agent.secret.encode(), text)
        self.assertNotIn(b"PRIVATE KEY", text)

    def once(self, agent, code=DONE):
        self.assertEqual(agent.run("--once"), code, agent.said)

    def until(self, agent, what, holds):
        def holds_while_it_runs():
            self.assertIsNone(agent.process.poll(), agent.text()[-4000:])
            return holds()
        return until(lambda: f"{what}; the agent says:\n{agent.text()[-4000:]}",
                     holds_while_it_runs)

    def serving(self, agent, **env):
        """A daemon that has a certificate and told the hook."""
        agent.start(**env)
        self.until(agent, "it has a certificate", agent.current)
        self.until(agent, "the hook ran", agent.hooks)
        return agent

    def renew(self, agent):
        """Tells it to; returns when the new certificate is exported and the hook knows."""
        serial, hooks = agent.current()["serial"], len(agent.hooks())
        agent.process.send_signal(signal.SIGUSR1)
        self.until(agent, "it renewed", lambda: agent.current()["serial"] != serial)
        self.until(agent, "the hook ran again", lambda: len(agent.hooks()) > hooks)
