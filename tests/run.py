"""Builds and runs the tests in stages, counts test cases, and prints the total.

Called by scripts/test.  ctest runs programs; what they write says how many test
cases that were: TAP (cmocka, tests/unit.py) or JSON (go test).  A program that
says nothing of the kind is one case.  A program that fails without a failing
case (it crashed, or ran out of time) is one failure more.
"""
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
JOBS = str(os.cpu_count() or 1)
PAIR = "2"  # labs and agents at once: they wait for each other most of the time, and are many programs each
OUTPUT_MAX = str(64 << 20)  # ctest would cut what it passes on


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.failures = []  # (name, what it wrote)

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.failures += other.failures

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


# --- counting -------------------------------------------------------------------

def count_tap(lines):
    counts, planned, seen = Tally(), 0, 0
    for line in lines:
        plan = re.match(r"1\.\.(\d+)\s*$", line)
        case = re.match(r"(not )?ok \d+\b(.*)", line)
        if plan:
            planned += int(plan[1])
        elif case:
            seen += 1
            if "# SKIP" in case[2]:
                counts.skipped += 1
            elif case[1]:
                counts.failed += 1
            else:
                counts.passed += 1
    return (counts, seen < planned) if seen else None


def count_go(lines):
    counts, seen = Tally(), False
    for line in lines:
        if not line.startswith('{"'):
            continue
        try:
            event = json.loads(line)
        except ValueError:
            continue
        action = event.get("Action")
        if "Test" in event and action in ("pass", "fail", "skip"):
            seen = True
            counts.passed += action == "pass"
            counts.failed += action == "fail"
            counts.skipped += action == "skip"
    return (counts, False) if seen else None


def count_case(name, status, output):
    """How many cases one program was, from what ctest says of it and what it wrote."""
    lines = output.splitlines()
    found = count_tap(lines) or count_go(lines)
    counts, incomplete = found or (Tally(), False)
    if not found:
        counts.passed = int(status == "run")
        counts.skipped = int(status in ("notrun", "disabled"))
    if (status == "fail" and counts.failed == 0) or incomplete:
        counts.failed += 1
    if counts.failed:
        counts.failures.append((name, output))
    return counts


def count_junit(path, stage):
    counts = Tally()
    for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
        name = f"{stage}: {case.get('name')}"
        counts.add(count_case(name, case.get("status"), case.findtext("system-out") or ""))
    return counts


# --- building and running ---------------------------------------------------------

def say(text):
    print(f"--- {text}", flush=True)


def tell(name, output, lines_max):
    """The last lines of what a failed program wrote; what passed in it says nothing."""
    print(f"\n--- failed: {name}")
    lines = [line for line in output.splitlines() if not re.match(r"ok \d+", line)]
    print("\n".join("    " + line for line in lines[-lines_max:]), flush=True)


def fail(name, output):
    counts = Tally()
    counts.failed = 1
    counts.failures.append((name, output))
    return counts


def run(*command, env=None):
    done = subprocess.run(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace")
    return done.returncode, done.stdout


def configure(preset):
    """With the Go that scripts/setup chose for the release."""
    cache = os.path.join(build_directory("release"), "CMakeCache.txt")
    go = None
    if preset != "release" and os.path.exists(cache):
        with open(cache, encoding="utf-8") as file:
            go = re.search(r"^FP_GO:\w+=(.+)$", file.read(), re.M)
    return run("cmake", "--preset", preset, *([f"-DFP_GO={go[1]}"] if go else []))


def build(preset, *targets):
    """None, or the failure.  Without targets: all that the preset builds."""
    say(f"building ({preset})")
    make = ["cmake", "--build", "--preset", preset, "-j", JOBS, *(["--target", *targets] if targets else [])]
    for step in (lambda: configure(preset), lambda: run(*make)):
        status, output = step()
        if status != 0:
            return fail(f"{preset}: build", output)
    return None


def build_directory(preset):
    return os.path.join(ROOT, "build" if preset == "release" else f"build-{preset}")


def test(preset, stage, *selection, **environment):
    """Runs those of a build's tests that ctest's options select."""
    say(stage)
    directory = build_directory(preset)
    report = os.path.join(directory, "test-report.xml")
    if os.path.exists(report):
        os.remove(report)
    env = {**os.environ, "CMOCKA_MESSAGE_OUTPUT": "TAP", "LC_ALL": "C.UTF-8", "UBSAN_OPTIONS": "print_stacktrace=1",
           **environment}
    status = subprocess.run(["ctest", "--test-dir", directory, "--output-junit", report, "--test-output-size-passed",
                             OUTPUT_MAX, "--test-output-size-failed", OUTPUT_MAX, *selection],
                            cwd=ROOT, env=env, stdin=subprocess.DEVNULL).returncode
    if not os.path.exists(report):
        return fail(stage, f"ctest exited with {status} and without a report")
    counts = count_junit(report, stage)
    for failure in counts.failures:
        tell(*failure, lines_max=20)
    return counts


def has_preset(name):
    with open(os.path.join(ROOT, "CMakePresets.json"), encoding="utf-8") as file:
        presets = json.load(file)
    return any(preset["name"] == name for preset in presets["configurePresets"])


def stages(quick):
    broken = build("release")
    if broken:
        yield broken
        return
    yield test("release", "modules", "-j", JOBS, "-LE", "go|bpf|e2e")
    yield test("release", "watchdog", "-L", "go", GOFLAGS="-json")
    if quick:
        return
    yield test("release", "kernel side", "-j", PAIR, "-L", "bpf")
    yield test("release", "end to end", "-j", PAIR, "-L", "e2e")
    broken = build("asan", "fp_checks")
    yield broken or test("asan", "modules, sanitized", "-j", JOBS, "-L", "unit|golden|oom")
    if has_preset("fuzz"):
        broken = build("fuzz")
        yield broken or test("fuzz", "fuzzers", "-j", JOBS, "-L", "fuzz")


def lock():
    """One run at a time; the lock is gone with the process, however it ends."""
    os.makedirs(build_directory("release"), exist_ok=True)
    file = open(os.path.join(build_directory("release"), ".test-lock"), "w", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("waiting for another run to end")
        fcntl.flock(file, fcntl.LOCK_EX)
    return file


def main():
    quick = sys.argv[1:] == ["--quick"]
    if not shutil.which("cmake") or not shutil.which("ninja"):
        print("test: cmake and ninja are needed: scripts/setup installs them", file=sys.stderr)
        return 4
    held = lock()
    total = Tally()
    for counts in stages(quick):
        total.add(counts)
    for name, output in total.failures:
        tell(name, output, lines_max=60)
    print(total, flush=True)
    held.close()
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
