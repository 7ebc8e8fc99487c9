"""What is shipped for OpenFaaS, Kubernetes and systemd is as their documentation says, and fits the programs and sources here."""
import glob
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import unittest

import yaml

from tests import openfaas

SHOP = openfaas.SHOP
REPO = os.path.dirname(SHOP)
PACKAGING = os.path.join(REPO, "packaging")
BIN = os.environ.get("FAASPROV_BIN", os.path.join(REPO, "build", "bin"))
PROGRAMS = ("faasprov", "faasprov-agent", "faasprov-aggregator", "faasprov-stitcher")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def instructions(path):
    """Of a Dockerfile: (instruction, words), continued lines joined."""
    text = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", read(path), flags=re.M))
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in text.splitlines() if line.strip()]


class StackTest(unittest.TestCase):
    def test_faas_cli_would_take_the_stack(self):
        self.assertEqual([], openfaas.check_stack(openfaas.load("hello-retail.yml"), SHOP))

    def test_and_the_template(self):
        template = openfaas.load("template/node/template.yml")
        self.assertEqual([], openfaas.check_fields("template.yml", template, openfaas.TEMPLATE))
        self.assertEqual(("node", "node index.js"), (template["language"], template["fprocess"]))

    def test_the_check_finds_what_it_is_for(self):
        stack = openfaas.load("hello-retail.yml")
        for change in ({"image": "no tag"}, {"langs": "node"}, {"environment": {"a": ["b"]}}, {"secrets": "one"},
                       {"handler": "./nowhere"}, {"labels": {"a": "b c"}}, {"lang": "cobol"}):
            broken = {**stack, "functions": {"one": {**stack["functions"]["product-photos"], **change}}}
            self.assertTrue(openfaas.check_stack(broken, SHOP), change)

    def test_secrets_are_there(self):
        stack = openfaas.load("hello-retail.yml")
        names = {name for about in stack["functions"].values() for name in about.get("secrets", [])}
        self.assertEqual(names, set(os.listdir(os.path.join(SHOP, "secrets"))))


@unittest.skipUnless(shutil.which("node") and os.path.isdir(os.path.join(SHOP, "node_modules")), "needs node and the shop's packages")
class ContextTest(unittest.TestCase):
    """What faas-cli hands to docker build."""

    @classmethod
    def setUpClass(cls):
        cls.home = tempfile.mkdtemp(prefix="context")
        cls.addClassCleanup(shutil.rmtree, cls.home)
        cls.stack = openfaas.load("hello-retail.yml")
        for name in cls.stack["functions"]:
            openfaas.make_context(cls.stack, name, os.path.join(cls.home, name))

    def test_every_handler_finds_what_it_asks_for(self):
        """With the packages that `npm ci` puts into the function's directory."""
        for name in self.stack["functions"]:
            place = os.path.join(self.home, name)
            os.symlink(os.path.join(SHOP, "node_modules"), os.path.join(place, "function", "node_modules"))
            done = subprocess.run(["node", "-e", "if (typeof require('./function/handler') !== 'function') process.exit(3)"],
                                  cwd=place, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True, timeout=300, check=False)
            os.unlink(os.path.join(place, "function", "node_modules"))
            self.assertEqual(0, done.returncode, f"{name}: {done.stdout}")

    def test_everything_that_is_copied_is_there(self):
        for name in self.stack["functions"]:
            place = os.path.join(self.home, name)
            stages, copied = set(), 0
            for instruction, words in instructions(os.path.join(place, "Dockerfile")):
                self.assertIn(instruction, {"ARG", "FROM", "RUN", "COPY", "WORKDIR", "USER", "ENV", "EXPOSE", "HEALTHCHECK", "CMD"})
                if instruction == "FROM" and " AS " in words:
                    stages.add(words.split(" AS ")[1])
                if instruction == "COPY":
                    copied += 1
                    words = words.split()
                    if words[0].startswith("--from="):
                        self.assertIn(words[0][7:], stages)
                    else:
                        self.assertEqual([], [w for w in words[:-1] if not os.path.exists(os.path.join(place, w))], name)
            self.assertEqual(4, copied)

    def test_programs_that_the_functions_start_are_in_the_image(self):
        """Those of the sources and the attacks; the rest is the shell's and of every Debian."""
        packages = dict(words.split("=", 1) for instruction, words in instructions(os.path.join(SHOP, "template/node/Dockerfile"))
                        if instruction == "ARG" and "=" in words)["ADDITIONAL_PACKAGE"].strip('"').split()
        self.assertEqual({"curl", "mariadb-client"}, set(packages))
        scripts = "".join(read(path) for path in glob.glob(f"{SHOP}/attacks/www/*") + glob.glob(f"{SHOP}/functions/**/*.sh", recursive=True))
        commands = set(re.findall(r"^\s*(?:if \[ |\$\()?([a-z][a-z0-9]+)(?= )", scripts, re.M))
        of_the_shell = {"case", "echo", "exit", "export", "kind", "double", "sum", "rest", "digit", "while", "if", "do", "done"}
        self.assertEqual({"curl", "mysqldump", "rm", "sh", "sha256sum"}, commands - of_the_shell)


class KubernetesTest(unittest.TestCase):
    """The API's own decoder took these files, strictly (docs/deploy.md); here: do they fit together and the programs?"""

    @classmethod
    def setUpClass(cls):
        cls.objects = {}
        for path in sorted(glob.glob(f"{PACKAGING}/kubernetes/*.yaml")):
            for document in yaml.safe_load_all(read(path)):
                cls.objects[document["kind"], document["metadata"]["name"]] = document

    def pod(self, kind, name):
        about = self.objects[kind, name]["spec"]
        self.assertEqual(about["selector"]["matchLabels"], about["template"]["metadata"]["labels"])
        return about["template"]["spec"]

    def test_what_is_mounted_is_a_volume(self):
        for kind, name in (("DaemonSet", "agent"), ("Deployment", "aggregator")):
            pod = self.pod(kind, name)
            self.assertEqual({v["name"] for v in pod["volumes"]}, {m["name"] for c in pod["containers"] for m in c["volumeMounts"]})
            for volume in pod["volumes"]:
                claim = volume.get("persistentVolumeClaim", {}).get("claimName")
                self.assertTrue(claim is None or ("PersistentVolumeClaim", claim) in self.objects)

    def test_everything_is_in_the_namespace(self):
        self.assertEqual({"faasprov"}, {o["metadata"].get("namespace", "faasprov") for o in self.objects.values()})
        self.assertIn(("Namespace", "faasprov"), self.objects)

    def test_agents_find_the_aggregator(self):
        agent, aggregator = (self.pod(*key)["containers"][0] for key in (("DaemonSet", "agent"), ("Deployment", "aggregator")))
        service = self.objects["Service", "aggregator"]["spec"]
        self.assertEqual(service["selector"], self.objects["Deployment", "aggregator"]["spec"]["template"]["metadata"]["labels"])
        port = service["ports"][0]
        self.assertEqual([port["targetPort"]], [p["name"] for p in aggregator["ports"]])
        self.assertIn(f"aggregator.faasprov:{port['port']}", agent["command"])
        self.assertIn(f"0.0.0.0:{aggregator['ports'][0]['containerPort']}", aggregator["command"])

    def test_the_agent_may_do_what_it_must(self):
        pod = self.pod("DaemonSet", "agent")
        self.assertTrue(pod["hostPID"] and pod["containers"][0]["securityContext"]["privileged"])
        mounted = {m["mountPath"] for m in pod["containers"][0]["volumeMounts"]}
        self.assertLessEqual({"/sys/fs/cgroup", "/sys/fs/bpf", "/sys/kernel/btf"}, mounted)
        words = pod["containers"][0]["command"]
        for option in ("--runc-root", "--spool"):
            self.assertTrue(any(words[words.index(option) + 1].startswith(path) for path in mounted), option)


class ProgramsTest(unittest.TestCase):
    """Command lines in what is shipped name options that the programs have."""

    def command_lines(self):
        for path in glob.glob(f"{PACKAGING}/kubernetes/*.yaml"):
            for document in yaml.safe_load_all(read(path)):
                for container in document["spec"].get("template", {}).get("spec", {}).get("containers", []) if "spec" in document else []:
                    yield path, container["command"]
        for path in glob.glob(f"{PACKAGING}/systemd/*.service"):
            for line in read(path).splitlines():
                if line.startswith("ExecStart="):
                    words = shlex.split(line[len("ExecStart="):])
                    yield path, [os.path.basename(words[0]), *words[1:]]

    @unittest.skipUnless(os.access(f"{BIN}/faasprov-agent", os.X_OK), "needs the built programs")
    def test_options_exist(self):
        seen = 0
        for path, words in self.command_lines():
            helped = [os.path.join(BIN, words[0]), *(["serve"] if "serve" in words else []), "--help"]
            text = subprocess.run(helped, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True).stdout
            known = set(re.findall(r"--[a-z-]+", text))
            used = {word for word in words if word.startswith("--")}
            self.assertEqual(set(), used - known, f"{path}: {words[0]}")
            seen += 1
        self.assertEqual(4, seen)

    @unittest.skipUnless(shutil.which("systemd-analyze"), "needs systemd-analyze")
    def test_systemd_takes_the_units(self):
        """But for the programs, which are not installed where this runs."""
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", *sorted(glob.glob(f"{PACKAGING}/systemd/*.service"))],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        ours = [line for line in done.stdout.splitlines() if "faasprov" in line and "is not executable" not in line]
        self.assertEqual([], ours)

    @unittest.skipUnless(shutil.which("ldd") and shutil.which("dpkg") and os.access(f"{BIN}/faasprov-agent", os.X_OK),
                         "needs the built programs on Debian")
    def test_the_image_has_the_libraries(self):
        needed = set()
        for program in PROGRAMS:
            text = subprocess.run(["readelf", "-d", os.path.join(BIN, program)], stdout=subprocess.PIPE, text=True, check=True).stdout
            needed |= set(re.findall(r"\(NEEDED\).*\[(.*)\]", text))
        paths = subprocess.run(["ldd", *[os.path.join(BIN, program) for program in PROGRAMS]], stdout=subprocess.PIPE, text=True,
                               check=True).stdout
        where = dict(re.findall(r"(\S+) => (/\S+)", paths))
        packages = set()
        for name in needed - {"libc.so.6", "libm.so.6"}:
            done = subprocess.run(["dpkg", "-S", os.path.realpath(where[name]), where[name]], stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, text=True, check=False)
            packages.add(done.stdout.partition(":")[0])
        run = next(words for instruction, words in instructions(f"{PACKAGING}/images/Dockerfile") if instruction == "RUN")
        listed = set(re.search(r"--no-install-recommends(.*?)&&", run).group(1).split())
        # libelf and zlib: of libbpf's own making
        self.assertEqual(set(), packages - listed - {"libc6"})
        self.assertLessEqual(listed - packages, {"libelf1", "zlib1g", "libcdt5"})


if __name__ == "__main__":
    unittest.main()
