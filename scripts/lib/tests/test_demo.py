"""The demo, recorded here and replayed: needs root, the built programs and, to record, a kernel that allows it."""
import os
import shutil
import subprocess
import unittest

from lib.say import BIN, REPO

DEMO = os.path.join(REPO, "scripts", "demo")


def records():
    """Does this kernel let the agent record?"""
    probe = [f"{BIN}/faasprov-agent", "--probe"]
    return subprocess.run(probe, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


@unittest.skipUnless(os.geteuid() == 0, "needs root")
@unittest.skipUnless(os.access(f"{BIN}/faasprov-agent", os.X_OK), "needs the built programs")
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
        if not records():
            self.skipTest("this kernel does not let the agent record")
        self.check(self.demo())

    def test_what_is_kept_goes_on_and_ends(self):
        if not records():
            self.skipTest("this kernel does not let the agent record")
        lab = [os.path.join(REPO, "scripts", "lab")]
        kept = {"env": {**os.environ, "FAASPROV_LAB": "/run/faasprov-demo"}, "stdin": subprocess.DEVNULL, "text": True,
                "stdout": subprocess.PIPE}
        try:
            done = self.demo("--keep")
            self.assertEqual(0, done.returncode, done.stdout)
            self.assertIn("FAASPROV_LAB=/run/faasprov-demo scripts/lab down", done.stdout)
            self.assertEqual(0, subprocess.run([*lab, "status"], **kept).returncode)
            answer = subprocess.run([*lab, "invoke", "product-purchase-get-price", "--data", "-"], **{k: v for k, v in kept.items() if k != "stdin"},
                                    input='{"id": "1001"}')
            self.assertIn('"price":129.95', answer.stdout)
        finally:
            self.assertEqual(0, subprocess.run([*lab, "down"], **kept).returncode)
        self.assertNotEqual(0, subprocess.run([*lab, "status"], stderr=subprocess.DEVNULL, **kept).returncode)
        shutil.rmtree("/run/faasprov-demo")

    def test_the_shipped_recording_gives_it_too(self):
        done = self.demo("--replay")
        self.check(done)
        self.assertIn("nothing was recorded on this machine", done.stdout)

    def test_an_unknown_option_is_an_error(self):
        self.assertEqual(2, self.demo("--frob").returncode)
