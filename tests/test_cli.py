"""What every program promises: --help, --version, and one specific line for a wrong option."""
import os
import re
import subprocess
import sys
import unittest

BIN = os.environ.get("FAASPROV_BIN", os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "build", "bin"))
PROGRAMS = ("faasprov", "faasprov-agent", "faasprov-aggregator", "faasprov-stitcher", "fwatchdog")
VERBS = ("trace", "slice", "path", "requests", "export", "verify", "stats")


def run(program, *arguments):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FAASPROV")}
    return subprocess.run([os.path.join(BIN, program), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=60, env=environment, cwd="/", check=False)


class ContractTest(unittest.TestCase):
    def each(self, check, programs=PROGRAMS):
        for program in programs:
            with self.subTest(program=program):
                self.assertTrue(os.access(os.path.join(BIN, program), os.X_OK), f"{program} was not built")
                check(program)

    def assert_usage_error(self, done, *words):
        """Code 2, and one specific line plus where to get help."""
        self.assertEqual((2, ""), (done.returncode, done.stdout))
        lines = done.stderr.splitlines()
        self.assertIn(len(lines), (1, 2), done.stderr)
        for word in words + ("--help",):
            self.assertIn(word, done.stderr)

    def test_help(self):
        def check(program):
            done = run(program, "--help")
            self.assertEqual((0, ""), (done.returncode, done.stderr))
            self.assertIn(program, done.stdout)
            self.assertIn("--help", done.stdout)

        self.each(check)

    def test_version(self):
        def check(program):
            done = run(program, "--version")
            self.assertEqual((0, ""), (done.returncode, done.stderr))
            self.assertRegex(done.stdout, rf"^{re.escape(program)} \d+\.\d+\.\d+\b[^\n]*\n$")

        self.each(check)

    def test_unknown_option(self):
        self.each(lambda program: self.assert_usage_error(run(program, "--no-such-option"), program, "no-such-option"))

    def test_unknown_verb(self):
        self.each(lambda program: self.assert_usage_error(run(program, "frobnicate"), "frobnicate"),
                  ("faasprov", "faasprov-agent"))

    def test_unexpected_argument(self):
        self.each(lambda program: self.assert_usage_error(run(program, "surplus"), "surplus"),
                  ("faasprov-aggregator", "faasprov-stitcher"))

    def test_nothing_asked(self):
        self.each(lambda program: self.assert_usage_error(run(program)), ("faasprov", "faasprov-agent"))

    def test_each_verb_has_help(self):
        verbs = re.findall(r"(?m)^\s+(?:faasprov )?([a-z]+)\s", run("faasprov", "--help").stdout)
        self.assertEqual(set(), set(VERBS) - set(verbs))
        for verb in VERBS:
            with self.subTest(verb=verb):
                done = run("faasprov", verb, "--help")
                self.assertEqual((0, ""), (done.returncode, done.stderr))
                self.assertIn(verb, done.stdout)
                self.assert_usage_error(run("faasprov", verb, "--no-such-option"), "no-such-option")


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
