"""What a command says to databases, stores, name servers and mail servers stands in the graph; what it must not tell does not."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest

from e2e.world import BIN, needs_recording, run

HERE = os.path.dirname(os.path.abspath(__file__))

# Servers that answer as the real ones do, as far as the client asks; in a network namespace of their own.
SERVERS = r'''
import socket, struct, sys, threading

def lines(connection):
    return connection.makefile("rwb", buffering=0)

def redis(connection):
    stream = lines(connection)
    while head := stream.readline():
        words = []
        for _ in range(int(head[1:])):
            size = int(stream.readline()[1:])
            words.append(stream.read(size + 2)[:-2])
        stream.write(b"$5\r\nvalue\r\n" if words[0] == b"GET" else b"+OK\r\n")

def postgres(connection):
    stream = lines(connection)
    stream.read(struct.unpack("!I", stream.read(4))[0] - 4)
    stream.write(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I")
    while kind := stream.read(1):
        stream.read(struct.unpack("!I", stream.read(4))[0] - 4)
        if kind in b"QS":
            stream.write(b"C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I")

def smtp(connection):
    stream = lines(connection)
    stream.write(b"220 mail\r\n")
    in_mail = False
    while line := stream.readline():
        if in_mail:
            in_mail = line != b".\r\n"
            if in_mail:
                continue
        if line.upper() == b"DATA\r\n":
            in_mail = True
        stream.write(b"354 go\r\n" if in_mail else b"221 bye\r\n" if line.upper() == b"QUIT\r\n" else b"250 ok\r\n")

def web(connection):
    while connection.recv(65536):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

def names(server):
    while True:
        asked, peer = server.recvfrom(512)
        a = asked[-4:-2] == b"\0\1"
        server.sendto(asked[:2] + b"\x81\x80" + asked[4:6] + (b"\0\1" if a else b"\0\0") + b"\0\0\0\0" + asked[12:] +
                      (b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\x04\xc6\x12\x4d\x01" if a else b""), peer)

def serve(port, handler):
    server = socket.create_server(("0.0.0.0", port))
    def loop():
        while True:
            threading.Thread(target=handler, args=[server.accept()[0]], daemon=True).start()
    threading.Thread(target=loop, daemon=True).start()

for port, handler in ((6379, redis), (5432, postgres), (25, smtp), (80, web)):
    serve(port, handler)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", 53))
threading.Thread(target=names, args=[udp], daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
'''


class ApplicationCase(unittest.TestCase):
    """`client` is recorded against the servers, once for the class."""

    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.mkdtemp(prefix="faasprov-e2e-")
        cls.addClassCleanup(shutil.rmtree, cls.scratch)
        cls.store = os.path.join(cls.scratch, "store.db")
        for name, text in (("servers.py", SERVERS), ("client.py", cls.client), ("resolv.conf", "nameserver 127.0.0.1\n"),
                           ("tls_servers.py", cls.server), ("client.js", cls.node)):
            with open(os.path.join(cls.scratch, name), "w", encoding="utf-8") as file:
                file.write(text)
        script = ("mount --bind \"$1/resolv.conf\" /etc/resolv.conf; ip link set lo up; ip addr add 198.18.77.1/32 dev lo;"
                  " exec 3>&1; mkfifo \"$1/stop\" \"$1/ready\"; python3 \"$1/servers.py\" <\"$1/stop\" >\"$1/ready\" &"
                  " exec 4>\"$1/stop\"; read -r ready <\"$1/ready\"; shift; \"$@\"; code=$?; exec 4>&-; wait; exit $code")
        done = run("unshare", "--net", "--mount", "sh", "-c", script, "sh", cls.scratch,
                   os.path.join(BIN, "faasprov-agent"), "run", "--store", cls.store, "--",
                   "python3", os.path.join(cls.scratch, "client.py"), *cls.arguments)
        if done.returncode:
            raise AssertionError(done.stderr)
        cls.graph = json.loads(run(os.path.join(BIN, "faasprov"), "export", "--store", cls.store, "--format", "json").stdout)

    arguments = ()
    server = node = ""

    def edges_of(self, label):
        """The kinds of edges of the one node with this label."""
        nodes = [node["id"] for node in self.graph["nodes"] if node["label"] == label]
        self.assertEqual(1, len(nodes), [node["label"] for node in self.graph["nodes"] if node["kind"] in ("object", "host")])
        return sorted({edge["kind"] for edge in self.graph["edges"] if nodes[0] in (edge["from"], edge["to"])})


@needs_recording
class SaidTest(ApplicationCase):
    client = r'''
import os, smtplib, socket, struct
redis = socket.create_connection(("127.0.0.1", 6379))
def command(*words):
    redis.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
    return redis.recv(100)
command(b"SET", b"user:1", b"x" * 3000)
command(b"GET", b"user:1")
postgres = socket.create_connection(("127.0.0.1", 5432))
def message(kind, body):
    return kind + struct.pack("!I", len(body) + 4) + body
start = b"\0\3\0\0user\0joe\0database\0shop\0\0"
postgres.sendall(struct.pack("!I", len(start) + 4) + start)
postgres.recv(100)
postgres.sendall(message(b"Q", b"INSERT INTO cards VALUES (1)\0"))
postgres.recv(100)
# as some drivers do: each message a piece of its own
os.writev(postgres.fileno(), [message(b"P", b"\0SELECT * FROM cards WHERE id = $1\0\0\0"),
                              message(b"B", b"\0\0\0\0\0\1\0\0\0\1" + b"7\0\0"), message(b"E", b"\0\0\0\0\0"), message(b"S", b"")])
postgres.recv(100)
with smtplib.SMTP("127.0.0.1", 25, local_hostname="shop") as mail:
    mail.sendmail("shop@x.example", ["bob@y.example"], "Subject: x\n\nRCPT TO:<evil@z.example>\n")
web = socket.create_connection(("evil.example", 80))
web.sendall(b"GET /x HTTP/1.1\r\nHost: evil.example\r\n\r\n")
web.recv(100)
# HTTP/2 as a client that knows speaks it: the preface, settings, a request whose frames hold what looks like other protocols
second = socket.create_connection(("evil.example", 80))
second.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
second.recv(100)
for frame in (b"GET /forged HTTP/1.1\r\nHost: forged.example\r\n\r\n", b"*2\r\n$3\r\nGET\r\n$6\r\nforged\r\n"):
    second.sendall(frame)
    second.recv(100)
'''

    def test_key(self):
        key = [node["label"] for node in self.graph["nodes"] if node["label"].startswith("redis:127.0.0.1:6379@")]
        self.assertEqual(1, len(key), key)
        self.assertTrue(key[0].endswith("/0/user:1"), key)
        self.assertEqual(["get", "put"], self.edges_of(key[0]))

    def test_table(self):
        self.assertEqual(["get", "put"], self.edges_of("sql:shop.cards"))

    def test_http2_is_said_to_be_there_and_not_read(self):
        self.assertEqual(["get"], self.edges_of("http2:198.18.77.1:80"))
        self.assertNotIn("forged", json.dumps(self.graph))

    def test_mail(self):
        self.assertEqual(["put"], self.edges_of("mail:bob@y.example"))
        self.assertNotIn("evil@z", json.dumps(self.graph["nodes"]))

    def test_name_of_an_address(self):
        self.assertEqual(["get"], self.edges_of("dns:evil.example"))
        self.assertIn("connect", self.edges_of("198.18.77.1:80 (evil.example)"))


@needs_recording
@unittest.skipUnless(shutil.which("openssl"), "needs openssl to make a certificate")
class EncryptedTest(ApplicationCase):
    """Said within TLS, by clients that use OpenSSL in each of its ways; eight servers, so that a mix-up would show."""
    PORTS = range(8440, 8448)
    EACH = 5
    client = r'''
import asyncio, ctypes, http.client, os, platform, shutil, socket, ssl, subprocess, sys, threading, time
here, first, last, each = os.path.dirname(os.path.abspath(__file__)), *map(int, sys.argv[1:4])
subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", here + "/key", "-out", here + "/cert",
                "-days", "2", "-subj", "/CN=x.example", "-addext", "subjectAltName=DNS:x.example"], check=True, capture_output=True)
server = subprocess.Popen([sys.executable, here + "/tls_servers.py", here, str(first), str(last)], stdout=subprocess.DEVNULL)
while True:
    try:
        socket.create_connection(("127.0.0.1", last - 1)).close()
        break
    except ConnectionRefusedError:
        time.sleep(0.05)
context = ssl.create_default_context(cafile=here + "/cert")
context.check_hostname = False
# the probes are set while these processes run, SSL_free's last: then a breakpoint stands where it began
breakpoint = {"x86_64": b"\xcc", "aarch64": b"\xa0\x00\x20\xd4"}[platform.machine()]
patience = time.monotonic() + 60
while ctypes.string_at(ctypes.cast(ctypes.CDLL("libssl.so.3").SSL_free, ctypes.c_void_p).value, len(breakpoint)) != breakpoint:
    assert time.monotonic() < patience, "no probes were set"
    time.sleep(0.01)

def thread(port):
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context)
    for i in range(each):
        connection.request("POST" if i % 2 else "GET", f"/thread/{port}/{i}?token=PLANTED-TOKEN-1", b"y" * (i % 2 * 3000),
                           headers={"Host": "x.example", "Authorization": "Bearer PLANTED-BEARER-2"})
        connection.getresponse().read()

async def task(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="x.example")
    for i in range(each):
        body = b"z" * (i % 3 * 20000)
        writer.write(f"POST /task/{port}/{i} HTTP/1.1\r\nHost: x.example\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        await reader.readuntil(b"hello")
    writer.close()

async def tasks():
    await asyncio.gather(*(task(port) for port in range(first, last)))

threads = [threading.Thread(target=thread, args=[port]) for port in range(first, last)]
for one in threads:
    one.start()
for one in threads:
    one.join()
asyncio.run(tasks())
if len(sys.argv) > 4:
    subprocess.run([sys.argv[4], here + "/client.js", here, str(first), str(last), str(each)], check=True)
# a library that is not OpenSSL, and no name of a server
if shutil.which("wget"):
    subprocess.run(["wget", "-q", "-O", "/dev/null", "--no-check-certificate", f"https://127.0.0.1:{first}/gnutls"], check=True)
server.kill()
'''
    server = r'''
import asyncio, ssl, sys
here, first, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(here + "/cert", here + "/key")

async def serve(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            for line in head.split(b"\r\n"):
                if line.lower().startswith(b"content-length:"):
                    await reader.readexactly(int(line.split(b":")[1]))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
            await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        writer.close()

async def main():
    for port in range(first, last):
        await asyncio.start_server(serve, "127.0.0.1", port, ssl=context, backlog=100)
    await asyncio.sleep(20)

asyncio.run(main())
'''
    node = r'''
const https = require("https");
const [here, first, last, each] = [process.argv[2], ...process.argv.slice(3).map(Number)];
const agent = new https.Agent({keepAlive: true, maxSockets: 2});
const ca = require("fs").readFileSync(here + "/cert");
const ask = (port, path, n) => new Promise((resolve, reject) => {
  const request = https.request({host: "127.0.0.1", servername: "x.example", port, path, ca, agent, method: n ? "POST" : "GET",
    headers: {Host: "x.example", "Content-Length": n}}, (answer) => answer.resume().on("end", resolve));
  request.on("error", reject);
  request.end("x".repeat(n));
});
setTimeout(async () => {
  const all = [];
  for (let i = 0; i < each; i++)
    for (let port = first; port < last; port++)
      all.push(ask(port, `/node/${port}/${i}`, [0, 10, 5000, 70000][(i + port) % 4]));
  await Promise.all(all);
  process.exit(0);
}, 500);
'''

    @classmethod
    def setUpClass(cls):
        node = shutil.which("node")
        cls.ways = ["thread", "task"] + (["node"] if node else [])
        cls.arguments = [str(cls.PORTS.start), str(cls.PORTS.stop), str(cls.EACH)] + ([node] if node else [])
        super().setUpClass()

    def test_every_request_is_read_and_is_its_own_servers(self):
        nodes = {node["id"]: node for node in self.graph["nodes"]}
        served = {(nodes[edge["to"]]["label"], nodes[edge["from"]]["label"]) for edge in self.graph["edges"]
                  if nodes[edge["from"]]["kind"] == "host" and nodes[edge["to"]]["kind"] == "object"}
        expected = {(f"https://x.example/{way}/{port}/{i}", f"127.0.0.1:{port}")
                    for way in self.ways for port in self.PORTS for i in range(self.EACH)}
        self.assertEqual(set(), {pair for pair in served if pair[0].startswith("https://")} ^ expected)

    def test_secrets_within_stay_there(self):
        """The query, and headers that the parser sees only here."""
        stored = json.dumps(self.graph).encode()
        for name in os.listdir(self.scratch):
            if name.startswith("store.db"):
                with open(os.path.join(self.scratch, name), "rb") as file:
                    stored += file.read()
        for secret in (b"PLANTED-TOKEN-1", b"PLANTED-BEARER-2"):
            self.assertNotIn(secret, stored)

    def test_the_connection_is_marked_opaque(self):
        self.assertEqual(["get"], self.edges_of("tls:x.example"))

    @unittest.skipUnless(shutil.which("wget"), "needs wget, which uses GnuTLS")
    def test_other_libraries_are_opaque_and_their_servers_known(self):
        nameless = [node["label"] for node in self.graph["nodes"] if node["label"].startswith("tls:127.0.0.1:8440@")]
        self.assertEqual(1, len(nameless))
        self.assertEqual(["get"], self.edges_of(nameless[0]))
        self.assertNotIn("/gnutls", json.dumps([node["label"] for node in self.graph["nodes"]]))
