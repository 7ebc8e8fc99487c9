"""The shop's files fit together: stacks, schemas, attacks, the template for OpenFaaS."""
import glob
import json
import os
import subprocess
import unittest

import yaml

SHOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
REPO = os.path.dirname(SHOP)


def read(*path):
    with open(os.path.join(SHOP, *path), encoding="utf-8") as file:
        return file.read()


class StackTest(unittest.TestCase):
    def test_the_stack_has_every_function(self):
        stack = yaml.safe_load(read("hello-retail.yml"))
        self.assertEqual(set(os.listdir(os.path.join(SHOP, "functions"))), set(stack["functions"]))
        for name, about in stack["functions"].items():
            self.assertTrue(about["image"].startswith("hello-retail/"), name)

    def test_every_function_says_what_it_takes(self):
        for name in os.listdir(os.path.join(SHOP, "functions")):
            schemas = glob.glob(os.path.join(SHOP, "functions", name, "*schema.json"))
            self.assertTrue(schemas, name)
            for path in schemas:
                with open(path, encoding="utf-8") as file:
                    self.assertEqual("object", json.load(file)["type"], path)

    def test_the_template_serves_as_the_lab_does(self):
        with open(os.path.join(REPO, "scripts", "lib", "runtime", "index.js"), encoding="utf-8") as file:
            self.assertEqual(file.read(), read("template", "node", "index.js"))


class AttackTest(unittest.TestCase):
    def test_every_attack_has_its_truth(self):
        attacks = os.path.join(SHOP, "attacks")
        names = {name for name in os.listdir(attacks) if os.access(os.path.join(attacks, name), os.X_OK)
                 and os.path.isfile(os.path.join(attacks, name))}
        self.assertEqual({os.path.basename(path)[:-5] for path in glob.glob(f"{attacks}/*.json")}, names)
        for name in names:
            with self.subTest(name):
                done = subprocess.run([os.path.join(attacks, name), "truth"], stdout=subprocess.PIPE, check=True)
                truth = json.loads(done.stdout)
                self.assertEqual(set(truth["parts"]), set(truth["calls"]))
                self.assertIn(truth["trace"]["request"], truth["parts"])
                self.assertLessEqual({wanted["role"] for wanted in truth["must"]}, set(truth["parts"]))
                self.assertTrue(os.path.isfile(os.path.join(SHOP, truth["stack"])))


if __name__ == "__main__":
    unittest.main()
