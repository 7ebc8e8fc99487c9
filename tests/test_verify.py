"""What was changed after it was recorded is told: the evidence, what stands beside it, and the graph made of it."""
import glob
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BIN = os.environ.get("FAASPROV_BIN", os.path.join(ROOT, "build", "bin"))
RECORDINGS = sorted(glob.glob(os.path.join(ROOT, "hello-retail", "recordings", "warm-container", "*.recording")))
ATTACK = "file:/home/app/sqldump.sh"
FOREIGN = "the graph is not the one that was made of this evidence"


def run(program, *arguments):
    return subprocess.run([os.path.join(BIN, program), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=120, check=False)


class VerifyTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.original = tempfile.mkdtemp(prefix="faasprov-verify-")
        cls.addClassCleanup(shutil.rmtree, cls.original)
        store = os.path.join(cls.original, "s.db")
        for program, arguments in (("faasprov-agent", ("replay", "--store", store, *RECORDINGS)),
                                   ("faasprov-stitcher", ("--quiet", "--store", store))):
            done = run(program, *arguments)
            if done.returncode != 0:
                raise AssertionError(done.stderr)

    def setUp(self):
        self.scratch = tempfile.mkdtemp(prefix="faasprov-verify-")
        self.addCleanup(shutil.rmtree, self.scratch)
        self.store = os.path.join(self.scratch, "s.db")
        self.restore()

    def restore(self):
        for name in os.listdir(self.scratch):
            os.unlink(os.path.join(self.scratch, name))
        for name in ("s.db", "s.db-graph"):
            shutil.copy(os.path.join(self.original, name), self.scratch)

    def ask(self, *question):
        return run("faasprov", *question, "--store", self.store)

    def verify(self, *options):
        """The exit code and what verify says."""
        done = self.ask("verify", "--format", "json", *options)
        return done.returncode, json.loads(done.stdout) if done.stdout else None

    def alter(self, end, *statements):
        """As somebody would who can write the file."""
        database = sqlite3.connect(self.store + end)
        with database:
            for statement, *values in statements:
                database.execute(statement, values)
        database.close()

    def flip(self, path, at):
        with open(path, "r+b") as file:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 0x10]))

    def assert_told(self, *parts):
        """verify says 3, and names these parts and no other."""
        code, said = self.verify()
        self.assertEqual(3, code)
        self.assertFalse(said["whole"])
        self.assertEqual(set(parts), {problem["part"] for problem in said["problems"]}, said["problems"])
        return said

    def assert_foreign(self):
        """An answer over this graph says that it is not the graph of this evidence, in one line, and is not complete."""
        done = self.ask("slice", ATTACK, "--format", "json")
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual(1, len(done.stderr.splitlines()), done.stderr)
        self.assertIn(FOREIGN, done.stderr)
        answer = json.loads(done.stdout)
        self.assertFalse(answer["complete"])
        self.assertIn("foreign-graph", [missing["cause"] for missing in answer["missing"]])
        for question in (("trace", "call-execute", "--all"), ("requests",), ("export", "--format", "json"), ("stats",),
                         ("path", ATTACK, ATTACK)):
            self.assertIn(FOREIGN, self.ask(*question).stderr, question)

    def test_whole(self):
        code, said = self.verify()
        self.assertEqual((0, True, []), (code, said["whole"], said["problems"]))
        self.assertEqual("same", said["graph"]["is"])
        self.assertEqual("sealed", self.verify("--no-stitch")[1]["graph"]["is"])
        self.assertIn("is what the evidence says", self.ask("verify").stdout)
        self.assertEqual("", self.ask("slice", ATTACK).stderr)

    def test_without_a_graph(self):
        os.unlink(self.store + "-graph")
        self.assertEqual("none", self.verify()[1]["graph"]["is"])
        self.assertEqual(0, self.verify()[0])

    def test_a_graph_that_waits_for_newer_evidence(self):
        half = os.path.join(self.scratch, "half.db")
        for program, arguments in (("faasprov-agent", ("replay", "--store", half, RECORDINGS[0])),
                                   ("faasprov-stitcher", ("--quiet", "--store", half)),
                                   ("faasprov-agent", ("replay", "--store", half, RECORDINGS[1]))):
            self.assertEqual(0, run(program, *arguments).returncode)
        self.store = half
        code, said = self.verify()
        self.assertEqual((0, "same"), (code, said["graph"]["is"]))
        batches = json.loads(self.ask("stats", "--no-stitch", "--format", "json").stdout)["batches"]
        self.assertLess(said["graph"]["batch"], batches)

    def places_of_the_evidence(self):
        """Where one byte matters, by what it is of."""
        with open(self.store, "rb") as file:
            data = file.read()
        database = sqlite3.connect(self.store)
        frame, digest, host, boot = database.execute("SELECT frame, hash, host, boot FROM batch WHERE id = 1").fetchone()
        seal, = database.execute("SELECT hash FROM seal").fetchone()
        database.close()
        beside = data.index(host.encode() + boot)
        return {
            "the middle of a frame": (data.index(frame[200:264]) + 30, {"batch"}),
            "the hash beside it": (data.index(digest), {"batch"}),
            "the host beside it": (beside, {"batch"}),
            "the boot beside it": (beside + len(host), {"batch"}),
            "the seal": (data.index(seal), {"store"}),
            "a trigger": (data.index(b"evidence stays"), {"store"}),
        }

    def test_one_byte_of_the_evidence(self):
        for name, (at, parts) in self.places_of_the_evidence().items():
            with self.subTest(name):
                self.restore()
                self.flip(self.store, at)
                code, said = self.verify()
                self.assertEqual(3, code)
                if said:  # else it was refused as a whole
                    self.assertLessEqual(parts, {problem["part"] for problem in said["problems"]}, said["problems"])

    def test_any_byte_of_the_evidence(self):
        """What is not told does no harm: all that can be asked is answered as before."""
        size = os.path.getsize(self.store)
        before = self.ask("export", "--format", "json", "--no-stitch").stdout
        told = 0
        for at in range(11, size, size // 14):
            self.restore()
            self.flip(self.store, at)
            code = self.verify()[0]
            self.assertIn(code, (0, 3), f"byte {at}")
            told += code == 3
            if code == 0:
                self.assertEqual(before, self.ask("export", "--format", "json", "--no-stitch").stdout, f"byte {at}")
        self.assertGreater(told, 7)

    def test_any_byte_of_the_graph(self):
        size = os.path.getsize(self.store + "-graph")
        for at in range(7, size, size // 14):
            self.restore()
            self.flip(self.store + "-graph", at)
            code, said = self.verify("--no-stitch")
            self.assertEqual(3, code, f"byte {at}")
            self.assertEqual({"graph"}, {problem["part"] for problem in said["problems"]}, f"byte {at}")

    def test_a_graph_that_was_changed(self):
        for statement, said in (
                ('UPDATE edge SET "from" = "to", "to" = "from" WHERE id = 9', "edge 9 is not as the evidence says"),
                ("UPDATE edge SET attribution = 1, rule = 1, candidates = NULL WHERE id = 11", "edge 11 is not"),
                ("UPDATE node SET label = 'harmless' WHERE id = 3", "node 3 is not as the evidence says"),
                ("DELETE FROM edge WHERE id = 10", "edge 10 is missing"),
                ("DELETE FROM request WHERE node = (SELECT max(node) FROM request)", "is missing"),
                ("INSERT INTO loss VALUES (NULL, NULL, 1, 1, 2, 5)", "loss is nothing that the evidence says")):
            with self.subTest(statement):
                self.restore()
                self.alter("-graph", (statement,))
                problems = [problem["text"] for problem in self.assert_told("graph")["problems"]]
                self.assertTrue(any(said in text for text in problems), problems)
                self.assert_foreign()

    def test_a_graph_that_was_changed_and_sealed(self):
        """Who can write the evidence's file too can seal what he likes: only that it is made anew tells."""
        self.alter("-graph", ('UPDATE edge SET "from" = "to", "to" = "from" WHERE id = 9',))
        with open(self.store + "-graph", "rb") as file:
            seal = hashlib.blake2b(file.read(), digest_size=32).digest()
        self.alter("", ("UPDATE seal SET hash = ?", seal))
        self.assertEqual("", self.ask("slice", ATTACK).stderr)
        self.assertEqual(0, self.verify("--no-stitch")[0])
        said = self.assert_told("graph")
        self.assertEqual(["edge 9 is not as the evidence says"], [problem["text"] for problem in said["problems"]])

    def test_an_index_that_leaves_edges_out(self):
        self.alter("-graph", ("DROP INDEX edge_to",), ('CREATE INDEX edge_to ON edge ("to", first) WHERE first < 5',))
        self.assert_told("graph")
        self.assert_foreign()

    def test_the_graph_of_other_evidence(self):
        other = os.path.join(self.scratch, "o.db")
        self.assertEqual(0, run("faasprov-agent", "replay", "--store", other, RECORDINGS[0]).returncode)
        self.assertEqual(0, run("faasprov-stitcher", "--quiet", "--store", other).returncode)
        os.replace(other + "-graph", self.store + "-graph")
        self.assert_told("graph")

    def test_evidence_that_ends_before_the_graph(self):
        self.alter("", ("DROP TRIGGER batch_kept",), ("DELETE FROM batch WHERE id = (SELECT max(id) FROM batch)",))
        self.assert_told("store", "graph")
        self.assert_foreign()

    def test_made_anew_it_is_right_again(self):
        self.alter("-graph", ("DELETE FROM edge WHERE id = 10",))
        self.assertEqual(0, run("faasprov-stitcher", "--quiet", "--rebuild", "--store", self.store).returncode)
        self.assertEqual(0, self.verify()[0])
        self.assertEqual("", self.ask("slice", ATTACK).stderr)

    def test_without_the_stitcher_nothing_is_said_to_be_whole(self):
        program = shutil.copy(os.path.join(BIN, "faasprov"), self.scratch)
        done = subprocess.run([program, "verify", "--store", self.store], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=120, check=False)
        self.assertEqual(3, done.returncode)
        self.assertIn("could not be compared", done.stdout)


if __name__ == "__main__":
    unittest.main()
