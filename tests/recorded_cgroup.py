"""A cgroup of a test's own, which an agent is to record, and what runs in it."""
import os
import shutil
import signal
import subprocess
import tempfile
import time

from e2e.world import BIN, run

AGENT = os.path.join(BIN, "faasprov-agent")
WAIT = 240  # seconds, for what is sure to come


def hierarchy():
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        return next(line.split()[1] for line in mounts if line.split()[2] == "cgroup2")


def text_of(path):
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read()


class RecordedCgroup:
    """For a unittest.TestCase; `kind` names what it makes."""
    kind = None

    def setUp(self):
        self.scratch = tempfile.mkdtemp(prefix=f"faasprov-{self.kind}-")
        self.addCleanup(shutil.rmtree, self.scratch)
        self.name = os.path.basename(self.scratch)
        self.cgroup = os.path.join(hierarchy(), self.name)
        self.make_cgroup(self.cgroup)
        self.addCleanup(run, AGENT, "--unpin", "--cgroup", self.cgroup)

    def make_cgroup(self, path):
        os.mkdir(path)
        self.addCleanup(self.remove_cgroup, path)
        return os.stat(path).st_ino

    def remove_cgroup(self, path):
        # who was killed is there a moment longer
        self.wait_until(lambda: "populated 0" in text_of(os.path.join(path, "cgroup.events")))
        os.rmdir(path)

    def wait_until(self, condition):
        deadline = time.monotonic() + WAIT
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)

    def wait_for(self, process, path):
        """Until the process has made the file; one that ends before fails at once."""
        self.wait_until(lambda: os.path.exists(path) or process.poll() is not None)
        self.assertIsNone(process.poll(), f"{process.args[:2]} has ended")

    def end(self, process, number=signal.SIGKILL):
        if process.poll() is None:
            process.send_signal(number)
        process.wait(timeout=WAIT)

    def start_in(self, cgroup, *argv, **options):
        def enter():
            with open(os.path.join(cgroup, "cgroup.procs"), "w", encoding="ascii") as procs:
                procs.write("0")
        process = subprocess.Popen(argv, preexec_fn=enter, **options)
        self.addCleanup(self.end, process)
        return process
