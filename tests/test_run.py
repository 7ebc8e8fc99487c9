"""That the total counts what the test programs said."""
import contextlib
import io
import os
import subprocess
import tempfile
import unittest
from unittest import mock

import run
import unit

GO = """{"Action":"start","Package":"p"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p","Test":"TestB"}
{"Action":"skip","Package":"p","Test":"TestC"}
{"Action":"fail","Package":"p"}
"""


REPORT = """<testsuite><testcase name="good" status="run"><system-out>1..1
ok 1 - fine
</system-out></testcase><testcase name="bad" status="fail"><system-out>1..2
ok 1 - fine
not ok 2 - wrong
# why
</system-out></testcase></testsuite>
"""


class StageTest(unittest.TestCase):
    def test_what_failed_is_told_when_its_stage_ends(self):
        said = io.StringIO()
        with tempfile.TemporaryDirectory() as built:
            def ctest(*_, **__):
                with open(os.path.join(built, "test-report.xml"), "w", encoding="utf-8") as file:
                    file.write(REPORT)
                return subprocess.CompletedProcess([], 8)

            with mock.patch.object(run, "build_directory", lambda _: built), \
                    mock.patch.object(run.subprocess, "run", ctest), contextlib.redirect_stdout(said):
                counts = run.test("release", "modules")
        self.assertEqual("2 passed, 1 failed, 0 skipped", str(counts))
        self.assertEqual(["--- modules", "", "--- failed: modules: bad", "    1..2", "    not ok 2 - wrong", "    # why"],
                         said.getvalue().splitlines())


class CountTest(unittest.TestCase):
    def check(self, expected, status, output):
        self.assertEqual(expected, str(run.count_case("x", status, output)))

    def test_tap(self):
        self.check("2 passed, 1 failed, 1 skipped", "fail",
                   "1..4\nok 1 - a\nnot ok 2 - b\n# why\nnot ok 3 # SKIP c\nok 4 - d\n# not ok - tests\n")

    def test_tap_that_ends_early(self):
        self.check("1 passed, 1 failed, 0 skipped", "fail", "1..3\nok 1 - a\n")
        self.check("1 passed, 1 failed, 0 skipped", "run", "1..3\nok 1 - a\n")

    def test_several_groups_of_tap(self):
        self.check("3 passed, 0 failed, 0 skipped", "run", "1..1\nok 1 - a\n1..2\nok 1 - b\nok 2 - c\n")

    def test_go(self):
        self.check("1 passed, 1 failed, 1 skipped", "fail", GO)

    def test_python(self):
        class Case(unittest.TestCase):
            def test_passes(self):
                pass

            def test_fails(self):
                self.fail("so")

            @unittest.skip("lacks something")
            def test_skips(self):
                pass

            def test_parts(self):
                for part in (1, 2):
                    with self.subTest(part=part):
                        self.assertEqual(1, part)

        result, out = unit.TapResult(), io.StringIO()
        with contextlib.redirect_stdout(out):
            unittest.defaultTestLoader.loadTestsFromTestCase(Case).run(result)
        self.check("1 passed, 2 failed, 1 skipped", "fail", out.getvalue())

    def test_programs_that_say_nothing(self):
        self.check("1 passed, 0 failed, 0 skipped", "run", "")
        self.check("0 passed, 0 failed, 1 skipped", "notrun", "")
        self.check("0 passed, 1 failed, 0 skipped", "fail", "Segmentation fault")

    def test_a_crash_behind_cases_that_passed(self):
        self.check("1 passed, 1 failed, 0 skipped", "fail", "1..1\nok 1 - a\n==1==ERROR: LeakSanitizer\n")


if __name__ == "__main__":
    unittest.main()
