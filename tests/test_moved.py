"""A process that is moved into a recorded cgroup while it runs is known, with what it holds, as if it had been there from the
start; what it did before, and does after it has left, is not recorded."""
import json
import os
import signal
import socket
import subprocess
import sys
import unittest

from e2e.world import BIN, checked, needs_recording
from recorded_cgroup import AGENT, RecordedCgroup, hierarchy

# Has a file, a pipe and a connection open, and once had another file; then uses them whenever it is told to, and opens the next.
WARM = """
import os, socket, sys
def path(name):
    return os.path.join(sys.argv[1], name)
past = os.open(path("past"), os.O_CREAT | os.O_RDWR)
os.write(past, b"past")
os.close(past)
held = os.open(path("held"), os.O_RDWR)
ends = os.pipe()
connection = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
turn = 0
os.write(1, b"r")
while os.read(0, 1):
    turn += 1
    assert os.pread(held, 100, 0) == b"content"
    os.write(ends[1], b"through")
    os.read(ends[0], 100)
    connection.send(b"said")
    with open(path(f"turn{turn}"), "wb", buffering=0) as file:
        file.write(b"turn")
    os.write(1, b"d")
"""


@needs_recording
class MovedTest(RecordedCgroup, unittest.TestCase):
    kind = "moved"

    def setUp(self):
        super().setUp()
        self.store = os.path.join(self.scratch, "store.db")
        self.function = os.path.join(self.cgroup, "function")
        self.make_cgroup(self.function)
        self.outside = os.path.join(hierarchy(), self.name + "-outside")
        self.make_cgroup(self.outside)
        with open(os.path.join(self.scratch, "held"), "wb") as file:
            file.write(b"content")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.listener.close)

    def start_agent(self):
        ready = os.path.join(self.scratch, "ready")
        if os.path.exists(ready):
            os.unlink(ready)
        self.agent = subprocess.Popen(
            [AGENT, "serve", "--cgroup", self.cgroup, "--store", self.store, "--state", self.scratch, "--ring-size", "1",
             "--runc-root", os.path.join(self.scratch, "none")], stderr=subprocess.DEVNULL)
        self.addCleanup(self.end, self.agent)
        self.wait_for(self.agent, ready)

    def start_warm(self):
        warm = self.start_in(self.outside, sys.executable, "-c", WARM, self.scratch, str(self.listener.getsockname()[1]),
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(warm.stdout.close)
        self.addCleanup(warm.stdin.close)
        self.assertEqual(b"r", os.read(warm.stdout.fileno(), 1))
        return warm

    def move(self, process, cgroup):
        with open(os.path.join(cgroup, "cgroup.procs"), "w", encoding="ascii") as procs:
            procs.write(str(process.pid))

    def work(self, process):
        os.write(process.stdin.fileno(), b"g")
        self.assertEqual(b"d", os.read(process.stdout.fileno(), 1))

    def graph(self):
        self.end(self.agent, signal.SIGTERM)
        return json.loads(checked(os.path.join(BIN, "faasprov"), "export", "--store", self.store, "--format", "json"))

    def file_of(self, graph, name):
        path = os.path.join(self.scratch, name)
        found = [node for node in graph["nodes"] if node["kind"] == "file" and node["label"] == path]
        self.assertLessEqual(len(found), 1)
        return found[0] if found else None

    def edges(self, graph, kind, node):
        return [edge for edge in graph["edges"] if edge["kind"] == kind and node["id"] in (edge["from"], edge["to"])]

    def assert_known(self, graph, process, turns):
        """Of these turns, and of no others, what the process did with what it had brought along."""
        node, = [node for node in graph["nodes"] if node["kind"] == "process" and node["attributes"]["host_pid"] == process.pid]
        self.assertEqual("in another cgroup", node["attributes"]["started"])
        self.assertEqual(os.getpid(), node["attributes"]["moved_by_pid"])
        self.assertIn("moved_by", node["attributes"])
        self.assertEqual(["-c", WARM.replace("\n", "\\x0a")], node["attributes"]["argv"][1:3])
        self.assertEqual(os.getpid(), node["attributes"]["host_parent"])
        labels = {other["id"]: other["label"] for other in graph["nodes"]}
        # each time that it comes it is walked: one edge, or two where other things were told in between
        loaded = {labels[edge["from"]] for edge in graph["edges"] if edge["kind"] == "load" and edge["to"] == node["id"]}
        self.assertEqual(1, len([path for path in loaded if "/libc.so" in path]), loaded)
        held = self.file_of(graph, "held")
        self.assertIsNotNone(held)
        self.assertEqual("before recording", held["attributes"]["opened"])
        read = [edge for edge in self.edges(graph, "read", held) if edge["to"] == node["id"]]
        self.assertEqual(len(turns) * len(b"content"), sum(edge["bytes"] for edge in read))
        sent = [edge for edge in graph["edges"] if edge["kind"] == "send" and edge["from"] == node["id"]]
        self.assertEqual(len(turns) * len(b"said"), sum(edge["bytes"] for edge in sent))
        self.assertIsNone(self.file_of(graph, "past"))
        for turn in range(1, 5):
            self.assertEqual(turn in turns, self.file_of(graph, f"turn{turn}") is not None, turn)

    def test_in_and_out_and_in_again(self):
        self.start_agent()
        warm = self.start_warm()
        self.work(warm)
        self.move(warm, self.function)
        self.work(warm)
        self.move(warm, self.outside)
        self.work(warm)
        self.move(warm, self.function)
        self.work(warm)
        graph = self.graph()
        self.assert_known(graph, warm, (2, 4))
        node, = [node for node in graph["nodes"] if node["kind"] == "process" and node["attributes"]["host_pid"] == warm.pid]
        self.assertEqual("/" + os.path.basename(self.outside), node["attributes"]["left_to"])
        self.assertEqual(os.getpid(), node["attributes"]["left_by_pid"])
        self.assertIn("left_by", node["attributes"])
        self.assertGreater(node["attributes"]["left"], node["attributes"]["moved"])
        # what it did there is not known, and every answer over that time says so
        self.assertFalse(graph["complete"])
        self.assertEqual([("left", 1)], [(missing["cause"], missing["lost"]) for missing in graph["missing"]])

    def test_while_no_agent_lives(self):
        """The kernel side goes on, and the next agent walks who has come."""
        self.start_agent()
        self.end(self.agent)
        warm = self.start_warm()
        self.move(warm, self.function)
        self.work(warm)
        self.start_agent()
        self.work(warm)
        graph = self.graph()
        self.assert_known(graph, warm, (1, 2))
        self.assertTrue(graph["complete"])


if __name__ == "__main__":
    unittest.main()
