"""Says the secrets of the request's body (name: secret) to everybody, in every way that functions do."""
import base64
import json
import os
import socket
import struct
import subprocess
import sys

SERVER = "198.18.0.30"


def connect(port):
    connection = socket.create_connection((SERVER, port))
    connection.settimeout(10)
    return connection


def ask(connection, *pieces):
    for piece in pieces:
        connection.sendall(piece if isinstance(piece, bytes) else piece.encode())
    return connection.recv(65536)


def http(s):
    web = connect(80)
    ask(web, f"GET /canary-get/{s['path_user']}?api_key={s['query']}&card={s['card']} HTTP/1.1\r\nHost: bank.example\r\n"
        f"Authorization: Bearer {s['bearer']}\r\nCookie: sid={s['cookie']}\r\nX-Api-Key: {s['header']}\r\n\r\n")
    # a head in two pieces, and a body that looks like a request
    ask(web, f"POST /canary-post?password={s['url_password']} HTTP/1.1\r\nHost: bank.example\r\nAuthorization: Ba",
        f"sic {s['basic']}\r\nContent-Length: {len(s['body']) + 16}\r\n\r\n", f"GET /?x={s['body']} HTTP/")
    ask(web, f"GET http://bob:{s['userinfo']}@bank.example/canary-proxy HTTP/1.1\r\nHost: bank.example\r\n\r\n")
    ask(web, "POST /canary-chunked HTTP/1.1\r\nHost: bank.example\r\nTransfer-Encoding: chunked\r\n\r\n"
        f"{len(s['chunk']):x}\r\n{s['chunk']}\r\n0\r\n\r\n")
    ask(web, f"GET /canary-{'x' * 600}?token={s['late']} HTTP/1.1\r\nHost: bank.example\r\n\r\n")


def redis(s):
    def command(*words):
        return f"*{len(words)}\r\n" + "".join(f"${len(w)}\r\n{w}\r\n" for w in words)

    store = connect(6379)
    ask(store, command("AUTH", s["redis_auth"]))
    ask(store, command("HELLO", "3", "AUTH", "bob", s["redis_hello"]))
    ask(store, command("SET", "canary:1", s["redis_value"]))
    ask(store, command("SET", f"canary:{s['card']}", s["redis_value"] * 100))
    ask(store, command("CONFIG", "SET", "requirepass", s["redis_config"]))
    ask(store, command("EVAL", f"return '{s['redis_script']}'", "1", "canary:2", s["redis_argument"]))
    ask(store, command("MSET", "canary:3", s["redis_value"], "canary:4", s["redis_value"]) * 20)


def mysql(s):
    def command(kind, body):
        return struct.pack("<I", len(body) + 1)[:3] + b"\0" + kind + body

    database = connect(3306)
    database.recv(65536)
    login = struct.pack("<IIB23x", 0x81ff8f, 1 << 24, 33) + b"bob\0" + bytes([len(s["mysql_password"])]) + s["mysql_password"].encode() + b"shop\0mysql_clear_password\0"
    ask(database, struct.pack("<I", len(login))[:3] + b"\1" + login)
    ask(database, command(b"\3", f"INSERT INTO canary_text (a, b) VALUES ('{s['sql_literal']}', {s['card']})".encode()))
    ask(database, command(b"\3", f"SELECT * FROM canary_where WHERE pan = '{s['card']}' AND owner = \"{s['sql_quoted']}\"".encode()))
    ask(database, command(b"\3", f"SET PASSWORD FOR bob = PASSWORD('{s['sql_set']}')".encode()))
    ask(database, command(b"\3", f"CREATE USER alice IDENTIFIED BY '{s['sql_user']}'".encode()))
    ask(database, command(b"\x16", b"SELECT * FROM canary_prepared WHERE pan = ?"))
    value = s["sql_parameter"].encode()
    ask(database, command(b"\x17", struct.pack("<IBI", 1, 0, 1) + b"\0\1\xfd\0" + bytes([len(value)]) + value))
    # as a text: prepared there, with a variable
    ask(database, command(b"\3", f"SET @a = '{s['sql_variable']}'".encode()))
    ask(database, command(b"\3", f"SELECT 1 /* {s['sql_comment']} */ FROM canary_comment".encode()))


def postgres(s):
    def message(kind, body):
        return kind + struct.pack("!I", len(body) + 4) + body

    database = connect(5432)
    start = b"\0\3\0\0user\0joe\0database\0shop\0\0"
    ask(database, struct.pack("!I", len(start) + 4) + start)
    ask(database, message(b"p", s["postgres_password"].encode() + b"\0"))
    ask(database, message(b"Q", f"INSERT INTO canary_pg VALUES ('{s['postgres_literal']}', $tag${s['postgres_dollar']}$tag$)\0".encode()))
    value = s["postgres_parameter"].encode()
    ask(database, message(b"P", b"\0SELECT * FROM canary_bound WHERE pan = $1\0\0\0") +
        message(b"B", b"\0\0\0\0\0\1" + struct.pack("!I", len(value)) + value + b"\0\0") + message(b"E", b"\0\0\0\0\0") + message(b"S", b""))
    ask(database, message(b"Q", b"COPY canary_copy FROM STDIN\0"))
    ask(database, message(b"d", f"1\t{s['postgres_copy']}\n".encode()) + message(b"c", b"") + message(b"S", b""))
    ask(database, message(b"Q", f"ALTER ROLE joe PASSWORD '{s['postgres_role']}'\0".encode()))


def mail(s):
    server = connect(25)
    server.recv(65536)
    for said in ("EHLO shop\r\n", f"AUTH PLAIN {base64.b64encode(b'bob' + bytes(1) + s['smtp_plain'].encode()).decode()}\r\n",
                 f"AUTH LOGIN {base64.b64encode(s['smtp_login'].encode()).decode()}\r\n", "MAIL FROM:<canary-from@x.example>\r\n",
                 "RCPT TO:<canary-to@y.example>\r\n", "DATA\r\n"):
        ask(server, said)
    ask(server, f"Subject: {s['smtp_subject']}\r\n\r\nRCPT TO:<{s['smtp_body']}@z.example>\r\n{s['card']}\r\n.\r\n")


def names(s):
    question = struct.pack("!HHHHHH", 7, 0x100, 1, 0, 0, 0)
    for label in (s["card"], "canary-dns", "example"):
        question += bytes([len(label)]) + label.encode()
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.settimeout(10)
    client.sendto(question + b"\0\0\1\0\1", (SERVER, 53))
    client.recv(512)


def commands(s):
    def called(*argv, **more):
        subprocess.run(argv, executable="/bin/true", check=True, **more)

    called("mysql", "-h", "canary-argv", f"-p{s['argv_mysql']}", "-e", f"INSERT INTO t VALUES ('{s['argv_sql']}', {s['card']})")
    called("psql", f"postgresql://joe:{s['argv_url']}@db/shop", "-c", f"SELECT * FROM u WHERE p = '{s['argv_where']}'")
    called("curl", "-H", f"Authorization: Bearer {s['argv_bearer']}", "-u", f"bob:{s['argv_user']}", "-b", f"sid={s['argv_cookie']}",
           f"https://x.example/?token={s['argv_query']}")
    called("tool", "--password", s["argv_option"], f"--api-token={s['argv_token']}", s["card"])
    called("redis-cli", "-a", s["argv_redis"])
    called("sshpass", "-p", s["argv_ssh"], "ssh", "x")
    subprocess.run(["sh", "-c", f"PGPASSWORD={s['shell_assign']} true; true curl -u bob:{s['shell_user']} "
                                f"'http://x/?password={s['shell_url']}'"], check=True)
    called("quiet", env={"API_TOKEN": s["environment"], "PATH": os.environ["PATH"]})
    subprocess.run([sys.executable, "-c", "import sys; sys.stdin.read()"], input=s["pipe"].encode(), check=True)


def files(s):
    home = "/tmp/canary-files"
    os.makedirs(home)
    with open(f"{home}/report", "w", encoding="ascii") as file:
        file.write(s["file"])
    for name in (f"card-{s['card']}.json", f"page?token={s['file_token']}", f"{s['card']}", f"password={s['file_password']}"):
        with open(f"{home}/{name}", "w", encoding="ascii") as file:
            file.write("x")
        os.rename(f"{home}/{name}", f"{home}/{name}.old")
        os.link(f"{home}/{name}.old", f"{home}/{name}.link")
        os.chmod(f"{home}/{name}.link", 0o600)
        os.unlink(f"{home}/{name}.old")
    os.symlink(f"secret={s['link']}", f"{home}/lock")
    os.mkdir(f"{home}/{s['card']}.d")
    os.close(os.memfd_create(f"key-{s['card']}"))
    one, other = socket.socketpair()
    one.sendall(f"GET /?token={s['unix']} HTTP/1.1\r\n\r\n".encode())
    other.recv(1000)


def handle(event, context):
    secrets = json.loads(event.body)
    for way in (http, redis, mysql, postgres, mail, names, commands, files):
        way(secrets)
    return {"statusCode": 200, "body": "all said"}
