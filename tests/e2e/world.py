"""A lab of its own for each test class, and questions to the store it fills."""
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import zlib

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("FAASPROV_BIN", os.path.join(ROOT, "build", "bin"))
FUNCTIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "functions")
SHOP = os.path.join(ROOT, "hello-retail")
PROGRAMS = ("faasprov", "faasprov-agent", "faasprov-aggregator", "faasprov-stitcher", "fwatchdog")

sys.path.insert(0, os.path.join(ROOT, "scripts"))
from lib import truth  # noqa: E402,F401  (for the tests)


@functools.lru_cache
def lacking():
    """What this machine lacks for recording containers, or None."""
    if os.geteuid() != 0:
        return "needs root"
    if not shutil.which("runc", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
        return "needs runc"
    missing = [name for name in PROGRAMS if not os.access(os.path.join(BIN, name), os.X_OK)]
    if missing:
        return f"not built: {', '.join(missing)}"
    if subprocess.run([os.path.join(BIN, "faasprov-agent"), "--probe"], stdin=subprocess.DEVNULL,
                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode:
        return "this kernel does not let the agent record"
    return None


needs_recording = unittest.skipIf(lacking(), lacking() or "")


def run(*argv, stdin=None, env=None):
    return subprocess.run(argv, input=stdin, stdin=None if stdin is not None else subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, timeout=300,
                          env={**os.environ, **(env or {})})


def checked(*argv, **options):
    done = run(*argv, **options)
    if done.returncode:
        raise AssertionError(f"{' '.join(argv)}: {done.returncode}: {done.stderr}")
    return done.stdout


class LabCase(unittest.TestCase):
    """The lab is up for the whole class, and what `story` does in it is recorded and stitched."""
    nodes = "2"
    watchdog = "patched"

    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.mkdtemp(prefix="faasprov-e2e-")
        cls.addClassCleanup(shutil.rmtree, cls.scratch)
        # the same again after a run that was killed, another one for another checkout
        cls.home = f"/run/faasprov-e2e-{zlib.crc32(ROOT.encode()) & 0xffff:04x}-{cls.__name__.lower()}"
        cls.store = os.path.join(cls.scratch, "store.db")
        cls.addClassCleanup(shutil.rmtree, cls.home, True)
        cls.addClassCleanup(cls.lab, "down")
        cls.lab("down")
        cls.lab("up", *cls.up_options(), cls.stack(), "--nodes", cls.nodes, "--store", cls.store, "--watchdog", cls.watchdog)
        cls.story()
        cls.lab("sync")
        cls.lab("down")  # of a lab that still runs, answers may differ from one to the next
        checked(os.path.join(BIN, "faasprov-stitcher"), "--quiet", "--store", cls.store)
        cls.requests = cls.ask("requests")["requests"]

    @classmethod
    def up_options(cls):
        return []

    @classmethod
    def lab(cls, *argv, stdin=None):
        return checked(os.path.join(ROOT, "scripts", "lab"), *argv, stdin=stdin, env={"FAASPROV_LAB": cls.home})

    @classmethod
    def invoke(cls, function, body, *options):
        """Sends one request; its answer as `lab invoke --json` gives it, whatever the status."""
        done = run(os.path.join(ROOT, "scripts", "lab"), "invoke", function, "--data", "-", "--json", *options,
                   stdin=body, env={"FAASPROV_LAB": cls.home})
        if done.returncode not in (0, 1):
            raise AssertionError(f"invoke {function}: {done.returncode}: {done.stderr}")
        return json.loads(done.stdout)

    @classmethod
    def ask(cls, verb, *arguments):
        return json.loads(checked(os.path.join(BIN, "faasprov"), verb, *arguments, "--format", "json",
                                  "--store", cls.store))

    # --- what requests belong together, by what the watchdogs and the store say ---

    def family(self, *roots):
        """The requests and all that were made on their behalf."""
        family, size = set(roots), 0
        while len(family) > size:
            size = len(family)
            family |= {request["id"] for request in self.requests if request["parent"] in family}
        return family

    def strangers(self, *roots):
        return {request["id"] for request in self.requests} - self.family(*roots)

    # --- what every answer has to hold ---

    def assert_complete(self, trace):
        self.assertEqual((True, 0, []), (trace["complete"], trace["lost"], trace["missing"]))

    def assert_free_of(self, trace, requests):
        """None of the requests is named anywhere in the answer, not as a candidate either."""
        text = json.dumps(trace)
        named = [request for request in requests if request in text]
        self.assertEqual([], named[:3], f"{len(named)} of {len(requests)} are named")

    def assert_reaches(self, trace, *requests):
        reached = {node["request"] for node in trace["nodes"]}
        self.assertEqual([], [request for request in requests if request not in reached], f"of {len(reached)} reached")

    def assert_sound(self, trace):
        time = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")
        ids = [node["id"] for node in trace["nodes"]]
        self.assertEqual(len(ids), len(set(ids)))
        for edge in trace["edges"]:
            self.assertIn(edge["from"], ids)
            self.assertIn(edge["to"], ids)
            self.assertRegex(edge["first"], time)
            self.assertRegex(edge["last"], time)
            self.assertLessEqual(edge["first"], edge["last"])
            self.assertGreaterEqual(edge["count"], 1)
            self.assertIn(edge["attribution"], ("exact", "derived", "ambiguous", "none"))

    def edges(self, trace, source, kind, target, **wanted):
        """Edges of a kind between nodes (kind, pattern of the whole label)."""
        nodes = {node["id"]: node for node in trace["nodes"]}

        def fits(node, form):
            return node["kind"] == form[0] and re.fullmatch(form[1], node["label"], re.DOTALL)

        return [edge for edge in trace["edges"] if edge["kind"] == kind and fits(nodes[edge["from"]], source)
                and fits(nodes[edge["to"]], target) and all(edge.get(key) == value for key, value in wanted.items())]

    def assert_edge(self, trace, source, kind, target, **wanted):
        self.assertTrue(self.edges(trace, source, kind, target, **wanted), f"no {kind} from {source} to {target}")


def rewritten_shop(scratch, change):
    """A copy of Hello, Retail! with another stack file and a web directory of its own."""
    import yaml

    home = os.path.join(scratch, "shop")
    shutil.copytree(SHOP, home, ignore=shutil.ignore_patterns("node_modules", "recordings"))
    os.symlink(os.path.join(SHOP, "node_modules"), os.path.join(home, "node_modules"))
    path = os.path.join(home, "stack.yml")
    with open(path, encoding="utf-8") as file:
        document = yaml.safe_load(file)
    change(document, home)
    with open(path, "w", encoding="utf-8") as file:
        yaml.safe_dump(document, file)
    return path
