"""Several requests asked on one connection before the first answer, of a watchdog and of servers without one."""
import json
import os
import subprocess
import sys
import unittest

from e2e.world import FUNCTIONS, ROOT, LabCase, needs_recording

# Run in the client's network: asks all of the requests on one connection, in so many pieces, and prints the statuses.
ASK = r"""
import json, re, socket, sys
address, pieces, answers = json.loads(sys.argv[1])
with socket.create_connection((address, 8080), 120) as connection:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for piece in pieces:
        connection.sendall(piece.encode())
    got = b""
    while len(re.findall(rb"HTTP/1.1 \d+", got)) < answers or got.count(b"done\n") < answers:
        data = connection.recv(65536)
        if not data:
            break
        got += data
print(json.dumps([int(status) for status in re.findall(rb"HTTP/1.1 (\d+)", got)]))
"""
TIMES = (60, 10, 40, 0)  # ms that each takes: who was asked first is not done first


@needs_recording
class Pipelined(LabCase):
    nodes = "1"

    @classmethod
    def stack(cls):
        return os.path.join(FUNCTIONS, "pipelined.yml")

    @classmethod
    def story(cls):
        from lib import net
        from lib.state import Lab

        os.environ["FAASPROV_LAB"] = cls.home
        cls.addClassCleanup(os.environ.pop, "FAASPROV_LAB")
        lab = Lab()
        addresses = {c["function"]: c["address"] for c in lab.load("lab")["containers"]}
        cls.names, cls.statuses = {}, {}
        for function, times in (("marked", TIMES), ("marked-alone", TIMES), ("plain-node", TIMES), ("plain-python", TIMES),
                                ("plain-node", TIMES[:1]), ("plain-python", TIMES[:1])):
            for together in (True, False):
                names = [cls.name() for _ in times]
                heads = [f"GET / HTTP/1.1\r\nHost: f\r\nX-Call-Id: {name}\r\nX-Milliseconds: {ms}\r\n\r\n"
                         for name, ms in zip(names, times)]
                asked = json.dumps([addresses[function], ["".join(heads)] if together else heads, len(heads)])
                done = subprocess.run([*net.enter(lab, "client"), sys.executable, "-c", ASK, asked], stdout=subprocess.PIPE,
                                      check=True, timeout=150)
                cls.names[function, len(times), together] = names
                cls.statuses[function, len(times), together] = json.loads(done.stdout)

    @classmethod
    def name(cls):
        cls.named = getattr(cls, "named", 0) + 1
        return f"cafe{cls.named:04x}"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        done = subprocess.run([sys.executable, os.path.join(ROOT, "tests", "oracle", "evaluate"), "--json", cls.store],
                              stdout=subprocess.PIPE, check=True)
        cls.counts = json.loads(done.stdout)

    def total(self, verdict, function=None):
        return sum(row.get(verdict, 0) for row in self.counts if function in (None, row["function"]))

    def test_all_are_answered(self):
        self.assertEqual({key: [200] * len(names) for key, names in self.names.items()}, self.statuses)

    def test_each_has_begun_and_ended(self):
        asked = sorted(name for names in self.names.values() for name in names)
        self.assertEqual(asked, sorted(request["call_id"] for request in self.requests))
        self.assertEqual([], [r["call_id"] for r in self.requests if not r["last"] or r["status"] != 200])

    def test_no_step_is_given_to_a_wrong_request(self):
        self.assertEqual([], [row for row in self.counts if row.get("WRONG") or row.get("MISSED") or row.get("none")])

    def test_every_step_was_seen(self):
        # a file that is made and written is two operations
        for function, steps in (("marked", 2 * 4 * 2), ("marked-alone", 2 * 4 * 2), ("plain-node", 2 * 5 * 2), ("plain-python", 2 * 5)):
            self.assertEqual(2 * steps, sum(self.total(verdict, function) for verdict in ("right", "named")), function)

    def test_a_watchdog_takes_one_after_the_other(self):
        self.assertEqual(0, self.total("named", "marked"))

    def test_who_is_asked_alone_is_right(self):
        """Of those that are asked at once nothing is left that casts doubt on the one after them."""
        self.assertGreaterEqual(self.total("right", "plain-python"), 2 * 2)
        self.assertGreaterEqual(self.total("right", "plain-node"), 2 * 2)


if __name__ == "__main__":
    unittest.main()
