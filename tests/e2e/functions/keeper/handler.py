"""Puts a thing of a name into a store of a kind, or gets it, as clients of such stores do: {store, put, name}; answers the name."""
import ctypes
import json
import platform
import socket
import ssl
import struct
import time

SERVER = "198.18.0.30"
TRUSTING = ssl.create_default_context()
TRUSTING.check_hostname, TRUSTING.verify_mode = False, ssl.CERT_NONE


def connect(port):
    connection = socket.create_connection((SERVER, port))
    connection.settimeout(30)
    return connection


def ask(connection, said):
    connection.sendall(said)
    return connection.recv(65536)


def over(connection, put, name):
    ask(connection, f"{'PUT' if put else 'GET'} /keep/{name} HTTP/1.1\r\nHost: store.example\r\nContent-Length: {3 * put}\r\n\r\n"
        f"{'abc' * put}".encode())


def http(put, name):
    with connect(80) as connection:
        over(connection, put, name)


def https(put, name):
    with TRUSTING.wrap_socket(connect(443), server_hostname="store.example") as connection:
        over(connection, put, name)


def redis(put, name):
    words = ["SET", name, "x" * 2000] if put else ["GET", name]
    with connect(6379) as connection:
        ask(connection, f"*{len(words)}\r\n".encode() + "".join(f"${len(w)}\r\n{w}\r\n" for w in words).encode())


def statement(put, name):
    return (f"INSERT INTO kept (name, value) VALUES ('{name}', 'x')" if put else f"SELECT value FROM kept WHERE name = '{name}'").encode()


def mysql(put, name):
    with connect(3306) as connection:
        connection.recv(65536)
        login = struct.pack("<IIB23x", 0x81ff8f, 1 << 24, 33) + b"bob\0\0shop\0mysql_clear_password\0"
        ask(connection, struct.pack("<I", len(login))[:3] + b"\1" + login)
        ask(connection, struct.pack("<I", len(statement(put, name)) + 1)[:3] + b"\0\3" + statement(put, name))


def postgres(put, name):
    def message(kind, body):
        return kind + struct.pack("!I", len(body) + 4) + body

    with connect(5432) as connection:
        ask(connection, message(b"", b"\0\3\0\0user\0joe\0database\0depot\0\0"))
        ask(connection, message(b"p", b"x\0"))
        ask(connection, message(b"Q", statement(put, name) + b"\0"))


def mail(_, name):
    with connect(25) as connection:
        connection.recv(65536)
        for said in ("EHLO shop", "MAIL FROM:<shop@x.example>", f"RCPT TO:<{name}@y.example>", "DATA", "Subject: x\r\n\r\nx\r\n."):
            ask(connection, said.encode() + b"\r\n")


def names(_, name):
    question = struct.pack("!HHHHHH", 7, 0x100, 1, 0, 0, 0)
    for label in (name, "y", "example"):
        question += bytes([len(label)]) + label.encode()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(30)
        client.sendto(question + b"\0\0\1\0\1", (SERVER, 53))
        client.recv(512)


def probed(*_):
    """Until what is said within TLS is read: a breakpoint stands where the last function to be probed begins."""
    mark = {"x86_64": b"\xcc", "aarch64": b"\xa0\x00\x20\xd4"}[platform.machine()]
    free = ctypes.cast(ctypes.CDLL("libssl.so.3").SSL_free, ctypes.c_void_p).value
    end = time.monotonic() + 60
    while ctypes.string_at(free, len(mark)) != mark:
        if time.monotonic() > end:
            raise TimeoutError("no probes were set")
        time.sleep(0.01)


STORES = {f.__name__: f for f in (http, https, redis, mysql, postgres, mail, names, probed)}


def handle(event, _):
    order = json.loads(event.body)
    STORES[order["store"]](order["put"], order["name"])
    return {"statusCode": 200, "body": order["name"]}
