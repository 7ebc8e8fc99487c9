"""Two attacks among one and five benign requests: the whole slice and nothing else."""
import os
import shutil
import subprocess
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
BIN = os.environ.get("FAASPROV_BIN", os.path.join(os.path.dirname(os.path.dirname(HERE)), "build", "bin"))


def lacking():
    if os.geteuid() != 0:
        return "needs root"
    if not shutil.which("runc", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
        return "needs runc"
    if subprocess.run([os.path.join(BIN, "faasprov-agent"), "--probe"], stdin=subprocess.DEVNULL,
                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode:
        return "this kernel does not let the agent record"
    return None


@unittest.skipIf(lacking(), lacking() or "")
class SlicesTest(unittest.TestCase):
    def test_warm_container_and_bypass(self):
        done = subprocess.run([os.path.join(HERE, "slices"), "--one-lab", "warm-container", "bypass", "--benign", "1",
                               "--benign", "5"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False)
        self.assertEqual(0, done.returncode, done.stdout)


if __name__ == "__main__":
    unittest.main()
