"""The warm-container attack end to end: needs root, a kernel that lets the agent record, and the built programs."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest

from lib import truth
from lib.say import BIN, REPO

LAB = os.path.join(REPO, "scripts", "lab")
DEMO = os.path.join(REPO, "scripts", "demo")
SHOP = os.path.join(REPO, "hello-retail", "stack.yml")
ATTACK = os.path.join(REPO, "hello-retail", "attacks", "warm-container")
VICTIM = "product-purchase-authorize-cc"
PROGRAMS = ("faasprov", "faasprov-agent", "faasprov-aggregator", "faasprov-stitcher", "fwatchdog")


def why_not():
    if os.geteuid() != 0:
        return "needs root"
    missing = [name for name in PROGRAMS if not os.access(f"{BIN}/{name}", os.X_OK)]
    if missing:
        return f"needs build/bin/{missing[0]}"
    probe = subprocess.run([f"{BIN}/faasprov-agent", "--probe"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return None if probe.returncode == 0 else "this kernel does not let the agent record"


def purchases(number):
    return "".join(json.dumps({"id": f"100{n % 5 + 1}", "user": "alice", "creditCard": "4012888888881881"}) + "\n"
                   for n in range(number))


class AttackTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if why_not():
            raise unittest.SkipTest(why_not())
        cls.home = tempfile.mkdtemp(prefix="fpattack", dir="/run")
        cls.addClassCleanup(shutil.rmtree, cls.home)
        cls.addClassCleanup(cls.run_program, LAB, "down")
        cls.store = f"{cls.home}/store.db"

    @classmethod
    def run_program(cls, *argv, stdin=""):
        done = subprocess.run(argv, input=stdin, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env={**os.environ, "FAASPROV_LAB": cls.home})
        if done.returncode:
            raise AssertionError(f"{' '.join(argv)}: {done.returncode}: {done.stderr}")
        return done.stdout

    def traffic(self):
        """Ordinary purchases, several at a time, over all containers."""
        self.run_program(LAB, "invoke", "product-purchase", "--data", "-", "--lines", "--concurrency", "4",
                         stdin=purchases(30))

    def attack(self, part, replica):
        return json.loads(self.run_program(ATTACK, part, "--entry", VICTIM, "--replica", str(replica),
                                           "--directory", "/tmp"))

    def trace(self, request):
        return json.loads(self.run_program(f"{BIN}/faasprov", "trace", request, "--both", "--format", "json",
                                           "--store", self.store))

    def test_the_poisoned_one_of_three_warm_containers_is_found(self):
        self.run_program(LAB, "up", SHOP, "--replicas", f"{VICTIM}=3")
        self.traffic()
        plant = self.attack("plant", 2)
        self.traffic()
        self.assertNotIn("INSERT INTO", self.attack("execute", 1)["body"])
        execute = self.attack("execute", 2)
        self.assertIn("INSERT INTO", execute["body"])
        self.traffic()
        self.run_program(LAB, "sync")
        trace = self.trace(execute["request"])
        known = json.loads(self.run_program(ATTACK, "truth", "--entry", VICTIM, "--directory", "/tmp"))
        roots = {"plant": plant["request"], "execute": execute["request"]}
        self.assertEqual([], truth.check(known, trace, roots, VICTIM))
        self.assertEqual((True, 0), (trace["complete"], trace["lost"]))
        self.assertEqual({f"{VICTIM}-2"}, {n["instance"] for n in trace["nodes"] if n["kind"] == "request"})


class DemoTest(unittest.TestCase):
    def demo(self, *options):
        return subprocess.run([DEMO, *options], stdin=subprocess.DEVNULL, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)

    def check(self, done):
        self.assertEqual(0, done.returncode, done.stdout)
        self.assertIn("It shows the whole attack and none of the 25 benign purchases.", done.stdout)
        for name in ("trace.svg", "trace.txt", "trace.json"):
            self.assertGreater(os.path.getsize(os.path.join(REPO, "demo-out", name)), 0)
        self.assertFalse(os.path.exists("/run/faasprov-demo"))

    def test_the_demo_gives_the_right_answer(self):
        if why_not():
            self.skipTest(why_not())
        self.check(self.demo())

    def test_the_recording_gives_it_too(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
        done = self.demo("--replay")
        self.check(done)
        self.assertIn("nothing was recorded on this machine", done.stdout)

    def test_unknown_options_are_errors(self):
        self.assertEqual(2, self.demo("--frob").returncode)
