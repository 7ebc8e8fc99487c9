"""Secrets that a function is told, and tells others in every way it can, leave the node nowhere."""
import base64
import ctypes
import ctypes.util
import glob
import json
import os
import signal
import sqlite3
import time
import unittest

from e2e.world import BIN, FUNCTIONS, LabCase, checked, needs_recording, run

CARD = "4012888888881881"
NAMES = """query bearer cookie header url_password basic body userinfo chunk late
redis_auth redis_hello redis_value redis_config redis_script redis_argument
mysql_password sql_literal sql_quoted sql_set sql_user sql_parameter sql_variable sql_comment
postgres_password postgres_literal postgres_dollar postgres_parameter postgres_copy postgres_role
smtp_plain smtp_login smtp_subject smtp_body
argv_mysql argv_sql argv_url argv_where argv_bearer argv_user argv_cookie argv_query argv_option argv_token argv_redis argv_ssh
shell_assign shell_user shell_url environment pipe file file_token file_password link unix
asked_query asked_bearer asked_cookie asked_body""".split()
# what a function must have done for its silence to mean something: each of these is no secret, and must be there
CANARIES = """canary-get canary-post canary-proxy canary-chunked canary:1 canary:2 canary_text canary_where canary_prepared
canary_comment canary_pg canary_bound canary_copy canary-to@y.example canary-dns canary-argv canary-files""".split()
FORMATS = ("text", "dot", "svg", "json", "graphml", "prov-json", "prov-n")


def unpack(data):
    """All that is packed by zstd in there."""
    library = ctypes.CDLL(ctypes.util.find_library("zstd") or "libzstd.so.1")
    library.ZSTD_findFrameCompressedSize.restype = library.ZSTD_decompress.restype = ctypes.c_size_t
    room = ctypes.create_string_buffer(16 << 20)
    at, found = data.find(b"\x28\xb5\x2f\xfd"), []
    while at >= 0:
        packed = data[at:]
        size = library.ZSTD_findFrameCompressedSize(packed, ctypes.c_size_t(len(packed)))
        if not library.ZSTD_isError(ctypes.c_size_t(size)):
            n = library.ZSTD_decompress(room, ctypes.c_size_t(len(room)), packed[:size], ctypes.c_size_t(size))
            if not library.ZSTD_isError(ctypes.c_size_t(n)):
                found.append(room.raw[:n])
        at = data.find(b"\x28\xb5\x2f\xfd", at + 4)
    return b"\n".join(found)


def forms(secret):
    """As it is, in hexadecimal, and in base64 wherever it stands in there."""
    raw = secret.encode()
    yield raw
    yield raw.hex().encode()
    for before in range(3):
        packed = base64.b64encode(b"\0" * before + raw)
        yield packed[4 if before else 0:len(packed) // 4 * 4 - 4]


@needs_recording
class SecretsStayOnTheNode(LabCase):
    nodes = "1"

    @classmethod
    def stack(cls):
        return os.path.join(FUNCTIONS, "teller.yml")

    @classmethod
    def story(cls):
        cls.secrets = {name: f"hush{number:02d}{name.replace('_', '')}Zq8" for number, name in enumerate(NAMES)}
        cls.places = {}  # where: bytes
        s = {**cls.secrets, "card": CARD, "path_user": "u1"}
        aggregator = next(row for row in json.loads(cls.lab("status", "--json"))["rows"] if row["name"] == "aggregator")["pid"]
        # while nobody takes it, what was recorded waits on disk
        os.kill(aggregator, signal.SIGSTOP)
        try:
            answer = cls.invoke("teller", json.dumps(s), "--path", f"?password={s['asked_query']}&card={CARD}",
                                "--header", f"Authorization: Bearer {s['asked_bearer']}", "--header", f"Cookie: a={s['asked_cookie']}")
            if answer["body"] != "all said":
                raise AssertionError(answer)
            cls.request = answer["request"]
            cls.read_spool()
        finally:
            os.kill(aggregator, signal.SIGCONT)
        cls.lab("sync")
        for path in glob.glob(cls.store + "*"):
            cls.add(os.path.basename(path), path)
        for pattern in ("agent-*/**", "aggregator/**"):
            for path in glob.glob(os.path.join(cls.home, pattern), recursive=True):
                cls.add(os.path.relpath(path, cls.home), path)
        for name in ("agent-node1", "aggregator"):
            cls.places[f"log of {name}"] = cls.lab("logs", name).encode()

    @classmethod
    def read_spool(cls):
        """Until it holds the end of the request."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            spool = b""
            for path in glob.glob(os.path.join(cls.home, "agent-*/spool/*")):
                with open(path, "rb") as file:
                    spool += file.read()
            cls.places["spool, unpacked"] = unpack(spool)
            if b"canary-files" in cls.places["spool, unpacked"]:
                cls.places["spool"] = spool
                return
            time.sleep(0.1)
        raise AssertionError("nothing came into the spool")

    @classmethod
    def add(cls, name, path):
        if os.path.isfile(path):
            with open(path, "rb") as file:
                data = file.read()
            cls.places[name] = data
            cls.places[name + ", unpacked"] = unpack(data)

    def nowhere(self, places):
        found = []
        for where, data in places.items():
            for name, secret in {**self.secrets, "card": CARD}.items():
                for form in forms(secret):
                    at = data.find(form)
                    if at >= 0:
                        found.append(f"{name} in {where}: …{data[max(at - 60, 0):at + 60]}…")
        self.assertEqual([], found)

    def test_none_is_in_files(self):
        self.nowhere(self.places)

    def test_none_is_in_stored_values(self):
        """Each value by itself: in the file, a large one is in pieces."""
        database = sqlite3.connect(f"file:{self.store}?mode=ro", uri=True)
        values = {}
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            parts = []
            for row in database.execute(f'SELECT * FROM "{table}"'):
                for value in row:
                    if isinstance(value, bytes):
                        parts += [value, unpack(value)]
                    elif isinstance(value, str):
                        parts.append(value.encode())
            values[f"table {table}"] = b"\n".join(parts)
        self.assert_canaries(b"\n".join(values.values()))
        self.nowhere(values)

    def test_none_is_in_answers(self):
        faasprov = os.path.join(BIN, "faasprov")
        said = {f"trace as {format}": checked(faasprov, "trace", self.request, "--conservative", "--max-nodes", "0", "--format",
                                              format, "--store", self.store).encode() for format in FORMATS}
        for verb, *options in (("export", "--format", "json"), ("export", "--format", "graphml"), ("requests",), ("stats",)):
            said[f"{verb} {' '.join(options)}"] = checked(faasprov, verb, *options, "--store", self.store).encode()
        said["flag"] = run(faasprov, "flag", "--store", self.store).stdout.encode()
        self.assert_canaries(said["export --format json"])
        self.nowhere(said)

    def test_the_spool_was_read(self):
        self.assert_canaries(self.places["spool, unpacked"])

    def assert_canaries(self, data):
        self.assertEqual([], [canary for canary in CANARIES if canary.encode() not in data])

    def test_what_was_masked_is_seen_to_be(self):
        """A secret that is gone leaves a mark where it stood, and the rest of the name."""
        labels = {node["label"] for node in self.ask("export")["nodes"]}
        for label in ("/tmp/canary-files/card-***.json.old", "/tmp/canary-files/page?token=***"):
            self.assertIn(label, labels)

    def test_all_was_recorded(self):
        self.assert_complete(self.ask("trace", self.request))


if __name__ == "__main__":
    unittest.main()
