"""Folders include only what ARCHITECTURE.md lets them, and lib/ stays silent."""
import os
import re
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAMS = ("agent", "aggregator", "stitcher", "query")

# Headers of the libraries that the table names.
LIBRARIES = {
    "libsodium": r"sodium\.h", "zstd": r"zstd\.h", "uthash": r"ut(hash|list)\.h", "libuv": r"uv\.h", "openssl": r"openssl/",
    "sqlite3": r"sqlite3\.h", "igraph": r"igraph/", "libbpf": r"bpf/", "http-parser": r"http_parser\.h", "zlib": r"zlib\.h",
    "jansson": r"jansson\.h", "graphviz": r"graphviz/", "libxml2": r"libxml/", "cmocka": r"cmocka\.h",
}
# Headers of the C library, POSIX and Linux.
SYSTEM = re.compile(r"(sys|linux|arpa|net|netinet|asm)/|(assert|byteswap|ctype|dirent|elf|endian|errno|fcntl|fnmatch|ftw|getopt|grp"
                    r"|inttypes|libgen|limits|locale|malloc|math|mntent|poll|pthread|pwd|sched|search|setjmp|signal|spawn|stdarg|stdatomic"
                    r"|stdbool|stddef|stdint|stdio|stdlib|string|strings|time|unistd|wchar|wctype)\.h$")


def rules():
    """What ARCHITECTURE.md lets each folder use: {folder: (folders, libraries)}."""
    found = {}
    with open(os.path.join(ROOT, "ARCHITECTURE.md"), encoding="utf-8") as file:
        for line in file:
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if len(cells) == 4 and re.fullmatch(r"`[\w/]+`", cells[0]):
                found[cells[0].strip("`")] = (re.findall(r"`([\w/]+)`", cells[2]), cells[3].split())
    return found


RULES = rules()
CALL = re.compile(r"(?<![\w.>])(printf|vprintf|puts|putchar|perror|fp_log|fp_die_line|syslog|warnx?|errx?|exit|_exit|abort)\s*\(")
STREAM = re.compile(r"\b(stdout|stderr)\b")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"", re.S)


def sources(folder):
    for directory, names, files in os.walk(os.path.join(ROOT, folder)):
        names[:] = [name for name in names if not name.startswith((".", "build")) and name != "node_modules"]
        for file in files:
            if file.endswith((".c", ".h", ".def")):
                yield os.path.relpath(os.path.join(directory, file), ROOT)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def is_test(path):
    return "/tests/" in path or "/fuzz/" in path


def is_in(path, folder):
    return path == folder or path.startswith(folder + "/")


def folder_of(path):
    """The most particular folder of the table that a file is in."""
    return max((folder for folder in RULES if is_in(path, folder)), key=len, default=None)


def resolve(path, included):
    """Where a quoted include is found: beside the file, from the root, or from lib/."""
    beside = os.path.normpath(os.path.join(os.path.dirname(path), included))
    for candidate in (beside, included, os.path.join("lib", included)):
        if os.path.exists(os.path.join(ROOT, candidate)):
            return candidate
    return None


def wrong_library(folder, header, test):
    if SYSTEM.match(header):
        return None
    library = next((name for name, pattern in LIBRARIES.items() if re.match(pattern, header)), None)
    allowed = RULES[folder][1] + (["cmocka"] if test else [])
    # a test may look with the libraries of whatever folder is its own
    if library in allowed or (test and any(library in libraries for name, (_, libraries) in RULES.items() if is_in(folder, name))):
        return None
    return f"{folder} must not use {library or header}"


def wrong_includes(path, text, where=resolve):
    """Includes of a file that the table does not allow."""
    folder = folder_of(path)
    for kind, included in INCLUDE.findall(text):
        if kind == "<":
            wrong = wrong_library(folder, included, is_test(path))
        else:
            target = where(path, included)  # what is found nowhere is made by the build
            allowed = [folder, *RULES[folder][0], *(["lib"] if is_test(path) else [])]
            wrong = target and not any(is_in(target, other) for other in allowed) and f"{folder} must not include {target}"
        if wrong:
            yield f"{path}: {wrong}"


def spoken(text):
    """What of a source writes to people or ends the program."""
    code = COMMENT.sub(lambda found: '""' if found[0].startswith('"') else " ", text)
    return [found[0] for found in CALL.finditer(code)] + [found[0] for found in STREAM.finditer(code)]


class DirectionTest(unittest.TestCase):
    def test_includes(self):
        wrong = [line for folder in ("lib",) + PROGRAMS for path in sources(folder)
                 for line in wrong_includes(path, read(path))]
        self.assertEqual([], wrong)

    def test_every_folder_of_lib_has_a_rule(self):
        folders = {"lib/" + name for name in os.listdir(os.path.join(ROOT, "lib"))
                   if os.path.isdir(os.path.join(ROOT, "lib", name))}
        self.assertEqual(set(), folders - set(RULES))

    def test_the_check_finds_what_it_is_for(self):
        def where(path, included):
            return included

        for path, include in (("lib/base/x.c", '"agent/app/app.h"'), ("lib/base/x.c", '"lib/wire/batch.h"'),
                              ("query/x.c", '"stitcher/y.h"'), ("agent/app/x.c", '"agent/pipeline.h"'),
                              ("stitcher/x.c", "<sqlite3.h>"), ("query/x.c", "<graphviz/gvc.h>"),
                              ("stitcher/x.c", "<bpf/libbpf.h>"), ("query/x.c", "<igraph/igraph.h>")):
            self.assertEqual(1, len(list(wrong_includes(path, f"#include {include}\n", where))), (path, include))
        for path, include in (("lib/wire/x.c", '"lib/base/buffer.h"'), ("agent/x.c", '"lib/store/store.h"'),
                              ("lib/store/x.c", "<sqlite3.h>"), ("query/render/x.c", "<graphviz/gvc.h>"),
                              ("agent/redact/x.c", '"agent/app/sql_token.h"'), ("agent/x.c", '"agent/app/app.h"')):
            self.assertEqual([], list(wrong_includes(path, f"#include {include}\n", where)), (path, include))


class SilenceTest(unittest.TestCase):
    def test_lib_says_nothing(self):
        # base/log is the one place that does, for programs to call
        loud = [f"{path}: {what}" for path in sources("lib") if not is_test(path) and not path.startswith("lib/base/log.")
                for what in spoken(read(path))]
        self.assertEqual([], loud)

    def test_the_check_finds_what_it_is_for(self):
        self.assertTrue(spoken('int f(void) { printf("x"); }'))
        self.assertTrue(spoken('fprintf(stderr, "x");'))
        self.assertTrue(spoken("exit(1);"))
        self.assertEqual([], spoken('/* printf("x") */ snprintf(a, 1, "printf(stderr)"); // exit(1)\nx->exit(1);'))


if __name__ == "__main__":
    unittest.main()
