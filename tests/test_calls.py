"""Every system call is recorded, with tests that exist, or stands in docs/capture.md with the reason why it is not."""
import glob
import os
import re
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WORD = re.compile(r"[a-z_][a-z0-9_]+")
# x86-64; and what arm64 and all newer architectures share.
HEADERS = ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h", "/usr/include/asm-generic/unistd.h")
# Not calls, and the names that 32-bit kernels have for what goes beyond 32 bits.
NO_CALL = re.compile(r"syscalls$|.*_time64$|(clock_adjtime|clock_gettime|clock_settime|fadvise64_|fcntl|fstat|fstatfs"
                     r"|ftruncate|lstat|sendfile|stat|statfs|timerf?d?_[gs]ettime|truncate)64$|fstatat(64)?$|llseek$|mmap2$")


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def rows(heading, columns):
    """The cells of each row of the first table behind the heading."""
    found = []
    for line in read("docs", "capture.md").split(heading, 1)[1].splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if line.startswith("|") and len(cells) == columns and not line.startswith("| ---"):
            found.append(cells)
        elif found and not line.startswith("|"):
            break
    return found[1:]


def recorded():
    return set(re.findall(r"^FP_CALL\((\w+), \w+\)", read("agent", "calls.def"), re.M))


def listed():
    return [name for row in rows("\n## Not recorded\n", 2) for name in row[1].split()]


class Calls(unittest.TestCase):
    def test_each_row_names_tests_that_exist(self):
        """«same»: those of the row before.  «none»: and why."""
        tests = set()
        for path in glob.glob(os.path.join(ROOT, "agent", "tests", "test_*.c")):
            with open(path, encoding="utf-8") as file:
                tests.update(re.findall(r"cmocka_unit_test\((\w+)\)", file.read()))
        found = rows("\n## Hooks\n", 4)
        self.assertGreater(len(found), 30)
        for operation, _, _, cell in found:
            named = re.findall(r"`(\w+)`", cell)
            self.assertTrue(named or cell.startswith("same") or cell.startswith("none"), operation)
            self.assertEqual([], [name for name in named if name not in tests], operation)

    def test_each_recorded_call_is_in_a_row(self):
        words = {word for row in rows("\n## Hooks\n", 4) for word in WORD.findall(row[0])}
        self.assertGreater(len(recorded()), 100)
        self.assertEqual([], sorted(recorded() - words))

    def test_each_other_call_of_the_kernel_is_listed(self):
        headers = [path for path in HEADERS if os.path.exists(path)]
        if not headers:
            self.skipTest("no headers of the kernel")
        calls = set()
        for path in headers:
            with open(path, encoding="utf-8") as file:
                calls.update(re.findall(r"^#define __NR(?:3264)?_(\w+)\s", file.read(), re.M))
        calls = {name for name in calls if not NO_CALL.match(name)}
        self.assertGreater(len(calls), 300)
        self.assertEqual([], sorted(calls - recorded() - set(listed())))

    def test_narrow_calls_have_their_numbers_and_none_is_missing(self):
        """agent/calls32.def against the system's header: each call that is recorded is recorded when it comes by the old gate."""
        header = "/usr/include/x86_64-linux-gnu/asm/unistd_32.h"
        if not os.path.exists(header):
            self.skipTest("no headers of the kernel")
        with open(header, encoding="utf-8") as file:
            numbers = {name: int(n) for name, n in re.findall(r"^#define __NR_(\w+)\s+(\d+)", file.read(), re.M)}
        narrow = re.findall(r"^FP_FOREIGN_CALL\((\d+), (\w+), (\w+)\)", read("agent", "calls32.def"), re.M)
        self.assertGreater(len(narrow), 150)
        for number, name, native in narrow:
            self.assertEqual(int(number), numbers.get(name, int(number)), name)
            self.assertIn(native, recorded(), name)
        self.assertEqual(len(narrow), len({number for number, _, _ in narrow}))
        # the first select takes one structure; nobody has called it for decades
        self.assertEqual([], sorted((recorded() & set(numbers)) - {name for _, name, _ in narrow} - {"select"}))

    def test_no_call_is_listed_twice_or_recorded(self):
        names = listed()
        self.assertEqual([], sorted({name for name in names if names.count(name) > 1}))
        self.assertEqual([], sorted(set(names) & recorded()))


if __name__ == "__main__":
    unittest.main()
