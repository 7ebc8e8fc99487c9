"""The lab itself, with small functions: needs root, runc and the built watchdog."""
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

from lib import cgroup
from lib.say import BIN, REPO, mounts

LAB = os.path.join(REPO, "scripts", "lab")
STACK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "functions", "stack.yml")
NEEDS = None if os.geteuid() == 0 and os.access(f"{BIN}/fwatchdog", os.X_OK) and shutil.which("runc") \
    else "needs root, runc and build/bin/fwatchdog"


def lab(home, *argv, stdin="", check=True):
    done = subprocess.run([LAB, *argv], input=stdin, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env={**os.environ, "FAASPROV_LAB": home})
    if check and done.returncode:
        raise AssertionError(f"lab {' '.join(argv)}: {done.returncode}: {done.stderr}")
    return done


def leftovers(home):
    """Whatever there is of a lab that is down."""
    tag = os.path.basename(home)
    left = [m for m in mounts() if tag in m]
    left += [f"/run/netns/{n}" for n in (os.listdir("/run/netns") if os.path.isdir("/run/netns") else []) if tag in n]
    left += [path for path, _, _ in os.walk(cgroup.root()) if tag in path]
    left += [f"{home}/{n}" for n in os.listdir(home) if n not in ("lock", "log")]
    return left


class LabCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if NEEDS:
            raise unittest.SkipTest(NEEDS)
        cls.home = tempfile.mkdtemp(prefix="fptest", dir="/run")
        cls.addClassCleanup(shutil.rmtree, cls.home)
        cls.addClassCleanup(lab, cls.home, "down")


class InvokeTest(LabCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        lab(cls.home, "up", STACK, "--nodes", "2", "--agents", "off")

    def call(self, *argv, stdin="", check=True):
        done = lab(self.home, "invoke", *argv, "--json", stdin=stdin, check=check)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_node_handler_gets_the_event(self):
        answer, = self.call("node", "--data", "-", "--path", "a/b?x=1&y=2", stdin='{"k": [1]}')
        body = json.loads(answer["body"])
        self.assertEqual((202, "yes"), (answer["status"], answer["headers"]["X-Own"]))
        self.assertEqual(({"k": [1]}, "POST", "/a/b", {"x": "1", "y": "2"}),
                         (body["body"], body["method"], body["path"], body["query"]))

    def test_python_handler_gets_the_event(self):
        answer, = self.call("python3", "--data", "-", "--path", "p?x=1", stdin="text")
        self.assertEqual({"body": "text", "method": "POST", "path": "/p", "query": {"x": "1"}},
                         json.loads(answer["body"]))

    def test_a_container_is_confined(self):
        answer, = self.call("binary", "--data", "-", stdin="hello")
        lines = answer["body"].splitlines()
        tag = os.path.basename(self.home)
        for line in ("input: hello", "user: 10001", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000",
                     "NoNewPrivs:\t1", f"0::/faasprov-{tag}/node2/binary-1", "usr: read-only", "home: writable",
                     "interfaces: eth0 lo "):
            self.assertIn(line, lines)

    def test_the_gateway_sets_what_openfaas_sets(self):
        answer, = self.call("node")
        headers = json.loads(answer["body"])["headers"]
        self.assertRegex(headers["x-call-id"], r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
        self.assertEqual(headers["x-call-id"], answer["call_id"])
        self.assertRegex(headers["x-start-time"], r"^[0-9]{19}$")
        self.assertRegex(headers["x-forwarded-for"], r"^198\.18\.0\.10:[0-9]+\b")

    def test_the_gateway_keeps_what_the_caller_sent(self):
        answer, = self.call("node", "--header", "X-Call-Id: mine", "--header", "X-Forwarded-For: 1.2.3.4:5")
        headers = json.loads(answer["body"])["headers"]
        self.assertEqual(("mine", "mine"), (headers["x-call-id"], answer["call_id"]))
        self.assertRegex(headers["x-forwarded-for"], r"^1\.2\.3\.4:5\b")

    def test_calls_go_to_replicas_in_turn_or_to_the_one_asked_for(self):
        def names(answers):
            return sorted(json.loads(a["body"])["hostname"] for a in answers)
        self.assertEqual(["node-1"] * 3 + ["node-2"] * 3, names(self.call("node", "--count", "6")))
        self.assertEqual(["node-2"] * 3, names(self.call("node", "--count", "3", "--replica", "2")))

    def test_many_at_once_are_all_answered(self):
        answers = self.call("node", "--count", "60", "--concurrency", "6")
        self.assertEqual(60, len({a["call_id"] for a in answers}))

    def test_a_failing_function_is_reported(self):
        done = lab(self.home, "invoke", "node", "--path", "?fail=1", check=False)
        self.assertEqual((1, "as asked\n"), (done.returncode, done.stdout))
        self.assertIn("1 of 1 answers", done.stderr)
        self.assertIn("as asked", lab(self.home, "logs", "node").stdout)

    def test_unknown_names_are_errors(self):
        self.assertEqual(1, lab(self.home, "invoke", "nobody", check=False).returncode)
        self.assertEqual(1, lab(self.home, "logs", "nobody", check=False).returncode)
        self.assertEqual(2, lab(self.home, "invoke", "node", "--header", "bad", check=False).returncode)

    def test_status_names_everything(self):
        rows = json.loads(lab(self.home, "status", "--json").stdout)["rows"]
        self.assertEqual({"node-1", "node-2", "python3-1", "binary-1", "gateway", "queue"}, {r["name"] for r in rows})
        self.assertTrue(all(r["up"] for r in rows))

    def test_a_second_up_is_refused(self):
        done = lab(self.home, "up", STACK, "--agents", "off", check=False)
        self.assertEqual(4, done.returncode)
        self.assertIn("up already", done.stderr)


class LifeTest(LabCase):
    def test_down_leaves_nothing(self):
        for _ in range(2):
            lab(self.home, "up", STACK, "--agents", "off")
            lab(self.home, "down")
            self.assertEqual([], leftovers(self.home))
        lab(self.home, "down")

    def test_nothing_is_left_after_a_kill(self):
        for tenths in (1, 2, 3, 4, 5, 7, 9):
            up = subprocess.Popen([LAB, "up", STACK, "--agents", "off"], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, env={**os.environ, "FAASPROV_LAB": self.home})
            try:
                up.wait(tenths / 10)
            except subprocess.TimeoutExpired:
                up.send_signal(signal.SIGKILL)
                up.wait()
            if tenths % 2:
                lab(self.home, "down")
                self.assertEqual([], leftovers(self.home), f"killed after 0.{tenths} s")
        lab(self.home, "down")
        self.assertEqual([], leftovers(self.home))

    def test_a_function_that_does_not_come_up_is_named(self):
        with tempfile.TemporaryDirectory() as home:
            with open(f"{home}/handler.js", "w") as file:
                file.write("throw new Error('broken on purpose');\n")
            with open(f"{home}/stack.yml", "w") as file:
                file.write("functions: {broken: {lang: node, handler: .}}\n")
            done = lab(self.home, "up", f"{home}/stack.yml", "--agents", "off", check=False)
        self.assertEqual(4, done.returncode)
        self.assertRegex(done.stderr, re.compile(r"container broken-1.*broken on purpose", re.DOTALL))
        self.assertEqual([], leftovers(self.home))
