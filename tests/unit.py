"""Runs unittest modules and reports each test in TAP, as the C tests do.

    unit.py MODULE...        exit: 0 passed, 1 failed, 77 all were skipped
"""
import sys
import unittest


class TapResult(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.number = self.passes = 0

    def say(self, ok, test, note=""):
        self.number += 1
        self.passes += ok and not note
        print(f"{'ok' if ok else 'not ok'} {self.number} - {test.id()}{note}", flush=True)

    def explain(self, trace):
        print("\n".join("# " + line for line in trace.splitlines()), flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.say(True, test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.say(False, test)
        self.explain(self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self.say(False, test)
        self.explain(self.errors[-1][1])

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            self.say(False, subtest)
            self.explain((self.failures + self.errors)[-1][1])

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.say(True, test, f" # SKIP {reason}")

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self.say(True, test)

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.say(False, test)


def main():
    sys.path.insert(0, "")
    result = TapResult()
    unittest.defaultTestLoader.loadTestsFromNames(sys.argv[1:]).run(result)
    print(f"1..{result.number}")
    if not result.wasSuccessful():
        return 1
    return 77 if result.skipped and not result.passes else 0


if __name__ == "__main__":
    sys.exit(main())
