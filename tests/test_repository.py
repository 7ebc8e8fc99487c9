"""What is checked in holds on any machine: no host a package once came from, no path of one machine."""
import os
import re
import subprocess
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Hosts that serve packages, by how such hosts are called.
HOSTS = re.compile(r"\b(?:registry|proxy|sum|index|deb|security|files|static|mirrors?)\."
                   r"(?:[a-z0-9-]+\.)*(?:org|com|io|dev|net|cn)\b|\b(?:pypi|pythonhosted|rubygems|crates)\.(?:org|io)\b", re.I)
RESOLVED = re.compile(r'"resolved"\s*:\s*"https?:')
# Directories that no Debian has at its root.
MACHINE = re.compile(r"(?<![\w./$}~-])/(?:work|workspace|workspaces|Users|home/(?!app\b|user\b|bob\b|alice\b)\w+)/")
BINARY = (".png", ".zip", ".rar", ".gz", ".zst", ".ico")


def tracked():
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], stdout=subprocess.PIPE, check=True).stdout
    for name in listed.decode().split("\0"):
        path = os.path.join(ROOT, name)
        if name and not name.endswith(BINARY) and os.path.isfile(path) and not os.path.islink(path):
            yield name, path


def lines_with(pattern):
    for name, path in tracked():
        with open(path, encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, 1):
                if pattern.search(line):
                    yield f"{name}:{number}: {line.strip()[:120]}"


def begins_a_script(path):
    with open(path, "rb") as file:
        return file.read(2) == b"#!"


def is_checkout():
    return os.path.exists(os.path.join(ROOT, ".git"))


@unittest.skipUnless(is_checkout(), "not a git checkout")
class RepositoryTest(unittest.TestCase):
    def test_no_package_host(self):
        self.assertEqual([], list(lines_with(HOSTS)))

    def test_lock_files_name_no_place(self):
        self.assertEqual([], list(lines_with(RESOLVED)))

    def test_no_path_of_one_machine(self):
        self.assertEqual([], list(lines_with(MACHINE)))

    def test_scripts_can_be_run(self):
        self.assertEqual([], [name for name, path in tracked() if name.startswith(("scripts/", ".ci/"))
                              and begins_a_script(path) and not os.access(path, os.X_OK)])


class PatternTest(unittest.TestCase):
    def test_hosts(self):
        # put together here, so that this file stands its own test
        for name in ("registry", "proxy", "deb", "index"):
            self.assertTrue(HOSTS.search(f"https://{name}.example.org/x"), name)
        for text in ("api.example.test", "registry", "proxy.c", "index.js", "static.h", "github.com/openfaas"):
            self.assertFalse(HOSTS.search(text), text)

    def test_machine_paths(self):
        self.assertTrue(MACHINE.search("cd /home/" + "somebody/x"))
        for text in ("/home/app/x", "https://h/work/x", "../work/x", "$HOME/work/x"):
            self.assertFalse(MACHINE.search(text), text)


if __name__ == "__main__":
    unittest.main()
