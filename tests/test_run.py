"""That the total counts what the test programs said."""
import unittest

import run

GO = """{"Action":"start","Package":"p"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p","Test":"TestB"}
{"Action":"skip","Package":"p","Test":"TestC"}
{"Action":"fail","Package":"p"}
"""


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

    def test_unittest(self):
        self.check("3 passed, 0 failed, 2 skipped", "run", "..s.s\n-----\nRan 5 tests in 0.1s\n\nOK (skipped=2)\n")
        self.check("1 passed, 2 failed, 0 skipped", "fail", "Ran 3 tests in 0.1s\n\nFAILED (failures=1, errors=1)\n")

    def test_programs_that_say_nothing(self):
        self.check("1 passed, 0 failed, 0 skipped", "run", "")
        self.check("0 passed, 0 failed, 1 skipped", "notrun", "")
        self.check("0 passed, 1 failed, 0 skipped", "fail", "Segmentation fault")

    def test_a_crash_behind_cases_that_passed(self):
        self.check("1 passed, 1 failed, 0 skipped", "fail", "1..1\nok 1 - a\n==1==ERROR: LeakSanitizer\n")


if __name__ == "__main__":
    unittest.main()
