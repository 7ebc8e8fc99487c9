"""One lab: its directory, its names, and the lock that keeps commands apart.

FAASPROV_LAB names the directory (default /run/faasprov-lab).  Every lab has
network namespaces and cgroups of its own, so that several can run side by side.
"""
import fcntl
import json
import os
import re

from .say import BadInput, Fail

DEFAULT = "/run/faasprov-lab"


class Lab:
    def __init__(self):
        self.dir = os.path.abspath(os.environ.get("FAASPROV_LAB") or DEFAULT)
        name = os.path.basename(self.dir)
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name):
            raise BadInput(f"FAASPROV_LAB={self.dir}: its last part may have letters, digits, '.', '_' and '-' only")
        self.tag = "" if self.dir == DEFAULT else "-" + name.removeprefix("faasprov-")
        self.cgroup = "faasprov" + self.tag
        self._lock = None

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def make(self, *parts, mode=0o755):
        path = self.path(*parts)
        os.makedirs(path, mode=mode, exist_ok=True)
        return path

    def netns(self, name):
        """Name of one of this lab's network namespaces."""
        return f"fp{self.tag}-{name}"

    def log(self, name):
        return self.path("log", name + ".log")

    def lock(self, wait=False):
        """One command at a time may change a lab."""
        os.makedirs(self.dir, exist_ok=True)
        self._lock = open(self.path("lock"), "w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise Fail(f"another command is changing the lab in {self.dir}")

    def save(self, name, value):
        """Writes a small JSON file so that it is there whole or not at all."""
        path = self.path(name + ".json")
        with open(path + ".new", "w") as file:
            json.dump(value, file, indent=1)
        os.replace(path + ".new", path)

    def load(self, name, default=None):
        try:
            with open(self.path(name + ".json")) as file:
                return json.load(file)
        except FileNotFoundError:
            return default

    def running(self):
        """The description of what is up; fails when nothing is."""
        about = self.load("lab")
        if not about:
            raise Fail("no lab is up; start one: scripts/lab up STACK.yml", 1)
        return about
