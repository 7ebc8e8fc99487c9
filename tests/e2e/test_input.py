"""What is wrong with the input or the machine is said in one specific line, with the right code."""
import os
import shutil
import subprocess
import tempfile
import unittest

from e2e.world import BIN, needs_recording, run

NOBODY = 65534


def ask(*arguments):
    return run(os.path.join(BIN, "faasprov"), *arguments)


class WrongCase(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.mkdtemp(prefix="faasprov-e2e-")
        self.addCleanup(shutil.rmtree, self.scratch)

    def path(self, name):
        return os.path.join(self.scratch, name)

    def assert_refused(self, done, code, *words):
        self.assertEqual((code, ""), (done.returncode, done.stdout))
        self.assertEqual(1, len(done.stderr.splitlines()), done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)

    def each_verb(self, store, code, *words):
        for question in (("trace", "x"), ("slice", "file:/x"), ("requests",), ("stats",), ("export",), ("verify",)):
            with self.subTest(verb=question[0]):
                self.assert_refused(ask(*question, "--store", store), code, store, *words)


class NoStoreTest(WrongCase):
    def test_there_is_none(self):
        self.each_verb(self.path("nothing.db"), 3)

    def test_none_is_made_by_asking(self):
        ask("requests", "--store", self.path("nothing.db"))
        self.assertEqual([], os.listdir(self.scratch))

    def test_a_text(self):
        with open(self.path("notes"), "w", encoding="utf-8") as file:
            file.write("remember the milk\n" * 1000)
        self.each_verb(self.path("notes"), 3)

    def test_a_directory(self):
        self.each_verb(self.scratch, 3)

    def test_an_empty_file(self):
        open(self.path("empty"), "w", encoding="utf-8").close()
        self.each_verb(self.path("empty"), 3)

    def test_another_database(self):
        import sqlite3

        with sqlite3.connect(self.path("other.db")) as database:
            database.execute("CREATE TABLE batch (id INTEGER)")
        database.close()
        self.each_verb(self.path("other.db"), 3)

    def test_the_other_programs(self):
        with open(self.path("notes"), "w", encoding="utf-8") as file:
            file.write("remember the milk\n" * 1000)
        for program, options in (("faasprov-stitcher", ()), ("faasprov-aggregator", ("--listen", "127.0.0.1:0"))):
            with self.subTest(program=program):
                self.assert_refused(run(os.path.join(BIN, program), *options, "--store", self.path("notes")), 3, "notes")


@needs_recording
class DamagedStoreTest(WrongCase):
    def setUp(self):
        super().setUp()
        self.store = self.path("run.db")
        done = run(os.path.join(BIN, "faasprov-agent"), "run", "--store", self.store, "--", "sh", "-c",
                   "for i in 1 2 3 4 5 6 7 8 9; do cat /etc/passwd >/dev/null; done; exit 7")
        self.assertEqual(7, done.returncode, done.stderr)
        self.assertEqual(0, run(os.path.join(BIN, "faasprov-stitcher"), "--quiet", "--store", self.store).returncode)
        self.assertEqual(0, ask("verify", "--store", self.store).returncode)

    def test_truncated(self):
        with open(self.store, "r+b") as file:
            file.truncate(os.path.getsize(self.store) // 2)
        for question in (("trace", "x"), ("requests",), ("verify",)):
            with self.subTest(verb=question[0]):
                done = ask(*question, "--store", self.store)
                self.assertEqual((3, ""), (done.returncode, done.stdout))
                self.assertEqual(1, len(done.stderr.splitlines()), done.stderr)

    def test_changed_bytes_do_not_pass_for_whole(self):
        """One bit in the middle of the evidence: verify notices, or the store is refused."""
        size = os.path.getsize(self.store)
        with open(self.store, "rb") as file:
            whole = file.read()
        # the batch is the largest thing in it
        for at in range(size // 4, size, size // 16):
            changed = bytearray(whole)
            changed[at] ^= 0x10
            with open(self.store, "wb") as file:
                file.write(changed)
            done = ask("verify", "--store", self.store)
            self.assertIn(done.returncode, (0, 1, 3), done.stderr)
            if done.returncode == 0:
                # what was hit was nobody's: the same answer as before
                with open(self.store, "wb") as file:
                    file.write(whole)
                continue
            return
        self.fail("no change was noticed")

    def test_unknown_names(self):
        self.assert_refused(ask("trace", "nosuch", "--store", self.store), 1, "nosuch")
        self.assert_refused(ask("slice", "file:/no/such/file", "--store", self.store), 1, "/no/such/file")
        self.assert_refused(ask("slice", "fruit:apple", "--store", self.store), 2, "fruit")

    def test_output_that_cannot_be_written(self):
        done = ask("export", "--format", "json", "--store", self.store, "-o", self.path("no/such/dir"))
        self.assert_refused(done, 4, "no/such/dir")


@unittest.skipUnless(os.geteuid() == 0, "needs root, to give it up")
class NoPrivilegeTest(WrongCase):
    def run_as_nobody(self, *argv):
        program = shutil.copy(os.path.join(BIN, "faasprov-agent"), self.scratch)
        os.chmod(self.scratch, 0o777)
        return subprocess.run([program, *argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, check=False, timeout=60, user=NOBODY, group=NOBODY, extra_groups=[])

    def test_run_says_what_it_needs(self):
        done = self.run_as_nobody("run", "--store", self.path("x.db"), "--", "true")
        self.assertEqual((4, ""), (done.returncode, done.stdout))
        self.assertRegex(done.stderr, "root|CAP_")

    def test_probe_says_what_it_needs(self):
        done = self.run_as_nobody("--probe")
        self.assertEqual(4, done.returncode)
        self.assertRegex(done.stdout + done.stderr, "CAP_BPF|root")

    def test_serve_says_what_it_needs(self):
        done = self.run_as_nobody("serve", "--cgroup", "/sys/fs/cgroup", "--runc-root", "/run/runc", "--store", self.path("x.db"))
        self.assertEqual(4, done.returncode, done.stderr)


if __name__ == "__main__":
    unittest.main()
