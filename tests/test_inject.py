"""The header that the agent adds to calls of the gateway, when asked: what gets it, and that nothing else changes by a byte."""
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from e2e.world import BIN, ROOT, needs_recording  # noqa: E402

sys.path.insert(0, os.path.join(ROOT, "scripts"))
from lib import cgroup  # noqa: E402

# Inside the cgroup: sends each part by one call, then waits for the end, or reads an answer where it is told to.
CLIENT = """
import socket, sys, time, fcntl, struct, termios
host, port, *parts = sys.argv[1:]
c = socket.create_connection((host, int(port)))
for part in parts:
    if part == 'ANSWER':
        c.recv(100)
    elif part == 'ASK':
        while c.recv(1, socket.MSG_PEEK) == b'': pass
        print(struct.unpack('i', fcntl.ioctl(c, termios.FIONREAD, b'    '))[0])
    elif part.startswith('BYTES'):
        c.sendall(b'b' * int(part[5:]))
    else:
        c.sendall(part.encode().decode('unicode_escape').encode('latin-1'))
        time.sleep(0.02)
print(c.getsockname()[1])
"""
LINE = 40


def escaped(text):
    return text.encode("unicode_escape").decode()


@needs_recording
class Inject(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="faasprov-inject-")
        cls.addClassCleanup(cls.scratch.cleanup)
        cls.group = f"{cgroup.root()}/fp-inject-{os.getpid()}"
        os.makedirs(f"{cls.group}/one")
        cls.addClassCleanup(cls.remove_group)
        cls.gateway, cls.other = cls.listener(), cls.listener()
        state = os.path.join(cls.scratch.name, "state")
        os.makedirs(state)
        with open(os.path.join(cls.scratch.name, "agent.log"), "wb") as log:
            cls.agent = subprocess.Popen([os.path.join(BIN, "faasprov-agent"), "serve", "--cgroup", cls.group, "--store",
                                          os.path.join(cls.scratch.name, "store.db"), "--state", state, "--forwarded-for",
                                          f"127.0.0.1:{cls.gateway.getsockname()[1]}"], stdin=subprocess.DEVNULL,
                                         stdout=log, stderr=log)
        cls.addClassCleanup(cls.stop_agent)
        patience = time.monotonic() + 30
        while not os.path.exists(os.path.join(state, "ready")):
            if cls.agent.poll() is not None or time.monotonic() > patience:
                with open(os.path.join(cls.scratch.name, "agent.log"), encoding="utf-8") as log:
                    raise AssertionError(f"the agent does not start: {log.read()}")
            time.sleep(0.05)

    @classmethod
    def listener(cls):
        listener = socket.create_server(("127.0.0.1", 0))
        cls.addClassCleanup(listener.close)
        return listener

    @classmethod
    def stop_agent(cls):
        cls.agent.send_signal(signal.SIGTERM)
        cls.agent.wait(20)

    @classmethod
    def remove_group(cls):
        os.rmdir(f"{cls.group}/one")
        os.rmdir(cls.group)

    def send(self, *parts, to=None, inside=True):
        """What a server got, and the caller's port; and what the client printed before that."""
        listener, got = to or self.gateway, bytearray()

        def serve():
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(10)
                while data := connection.recv(65536):
                    got.extend(data)
                    if "ANSWER" in parts or "ASK" in parts:
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        server = threading.Thread(target=serve)
        server.start()
        words = [sys.executable, "-c", CLIENT, "127.0.0.1", str(listener.getsockname()[1]),
                 *(part if part in ("ANSWER", "ASK") or part.startswith("BYTES") else escaped(part) for part in parts)]
        if inside:
            words = ["sh", "-c", f'echo $$ > "{self.group}/one/cgroup.procs" && exec "$@"', "sh", *words]
        out = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, timeout=30, text=True)
        server.join(20)
        self.assertFalse(server.is_alive())
        *printed, port = out.stdout.split()
        return bytes(got).decode("latin-1"), port, printed

    def with_line(self, request, port):
        first, rest = request.split("\r\n", 1)
        return f"{first}\r\nX-Forwarded-For:{f'127.0.0.1:{port}':>22}\r\n{rest}"

    def assert_added(self, *parts):
        got, port, _ = self.send(*parts)
        sent = "".join("b" * int(p[5:]) if p.startswith("BYTES") else p for p in parts)
        self.assertEqual(self.with_line(sent, port), got)

    def assert_untouched(self, *parts, **options):
        got, _, _ = self.send(*parts, **options)
        self.assertEqual("".join("b" * int(p[5:]) if p.startswith("BYTES") else p for p in parts), got)

    GET = "GET /function/pay HTTP/1.1\r\nHost: g\r\n\r\n"

    def test_a_request_gets_it(self):
        self.assert_added(self.GET)

    def test_with_a_body_in_the_same_send_or_in_others(self):
        head = "POST /function/pay HTTP/1.1\r\nContent-Length: {}\r\n\r\n"
        self.assert_added(head.format(5) + "hello")
        self.assert_added(head.format(5), "he", "llo")
        self.assert_added(head.format(300000), "BYTES300000")

    def test_a_body_that_looks_like_a_request_is_a_body(self):
        self.assert_added(f"POST / HTTP/1.1\r\nContent-Length: {len(self.GET)}\r\n\r\n", self.GET)

    def test_each_request_on_a_kept_connection(self):
        got, port, _ = self.send(self.GET, "ANSWER", self.GET, "ANSWER", "POST /x HTTP/1.1\r\nContent-Length: 2\r\n\r\n", "ab",
                                 "ANSWER", self.GET)
        self.assertEqual(4, got.count(f"127.0.0.1:{port}\r\n"))
        self.assertEqual(re.sub("X-Forwarded-For: .*\r\n", "", got),
                         2 * self.GET + "POST /x HTTP/1.1\r\nContent-Length: 2\r\n\r\nab" + self.GET)

    def test_set_by_the_application(self):
        self.assert_untouched("GET / HTTP/1.1\r\nHost: g\r\nx-forwarded-FOR: 1.2.3.4\r\n\r\n")

    def test_a_head_in_pieces(self):
        self.assert_untouched("GET / HTTP/1.1\r\nHo", "st: g\r\n\r\n", self.GET)

    def test_a_long_head(self):
        self.assert_untouched(f"GET / HTTP/1.1\r\nA: {'a' * 5000}\r\n\r\n")

    def test_pipelined_requests(self):
        """The first gets it; where the next begins is then known, but it came along with the first."""
        got, port, _ = self.send(self.GET + self.GET, self.GET)
        self.assertEqual(self.with_line(self.GET, port) + 2 * self.GET, got)

    def test_chunks_end_it(self):
        chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        self.assert_untouched(chunked, "2\r\nab\r\n0\r\n\r\n", self.GET)

    def test_what_is_no_http(self):
        self.assert_untouched("\x16\x03\x01\x00\x05hello", self.GET)
        self.assert_untouched("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self.assert_untouched("HELO x\r\n\r\n")
        self.assert_untouched("x" * 9000)

    def test_the_client_learns_how_much_waits_for_it(self):
        """Some kernels say 0 of every connection in a map of sockets."""
        _, _, inside = self.send(self.GET, "ASK")
        _, _, outside = self.send(self.GET, "ASK", inside=False)
        if inside != outside:
            self.skipTest(f"this kernel says {inside[0]} instead of {outside[0]} (docs/propagation.md)")

    def test_elsewhere(self):
        self.assert_untouched(self.GET, to=self.other)
        self.assert_untouched(self.GET, inside=False)


if __name__ == "__main__":
    unittest.main()
