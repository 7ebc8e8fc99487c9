import os
import tempfile
import unittest

from lib import stack
from lib.say import REPO, BadInput


class ShopTest(unittest.TestCase):
    def test_the_shop_is_read(self):
        shop = stack.read(os.path.join(REPO, "hello-retail", "stack.yml"))
        functions = {f.name: f for f in shop.functions}
        purchase = functions["product-purchase"]
        self.assertEqual(("node", 1, 1), (purchase.lang, purchase.node, purchase.replicas))
        self.assertEqual({"gateway": "http://gateway:8080"}, purchase.environment)
        self.assertEqual("1", functions["product-purchase-authorize-cc"].environment["decline_percent"])
        self.assertEqual(["shop"], list(purchase.copies))
        self.assertTrue(os.path.isfile(shop.services["mariadb"]["init"][0]))

    def test_the_whole_shop_is_read(self):
        shop = stack.read(os.path.join(REPO, "hello-retail", "hello-retail.yml"))
        functions = {f.name: f for f in shop.functions}
        self.assertEqual(14, len(functions))
        self.assertEqual(["issuer-key", "cluster-token"], list(functions["product-purchase-authorize-cc"].secrets))
        self.assertEqual({"mail": 25, "cluster": 6443},
                         {name: about["port"] for name, about in shop.services["programs"].items()})


class BadStackTest(unittest.TestCase):
    def setUp(self):
        self.home = tempfile.TemporaryDirectory()
        self.addCleanup(self.home.cleanup)
        os.mkdir(os.path.join(self.home.name, "f"))

    def refuse(self, text, reason):
        path = os.path.join(self.home.name, "stack.yml")
        with open(path, "w") as file:
            file.write(text)
        with self.assertRaises(BadInput) as caught:
            stack.read(path)
        message = str(caught.exception)
        self.assertIn(reason, message)
        self.assertNotIn("\n", message)
        self.assertEqual(3, caught.exception.code)

    def test_what_is_not_a_stack_is_refused(self):
        self.refuse("functions: [", "not YAML")
        self.refuse("[]", "no functions")
        self.refuse("functions: {}", "no functions")
        self.refuse("functions: {f: 1}", "not a mapping")

    def test_bad_functions_are_refused(self):
        self.refuse("functions: {'../x': {lang: node, handler: f}}", "a name has")
        self.refuse("functions: {x: {lang: cobol, handler: f}}", "'cobol', not one of")
        self.refuse("functions: {x: {lang: node, handler: none}}", "not a directory")
        self.refuse("functions: {x: {lang: node}}", "not a directory")
        self.refuse("functions: {x: {lang: node, handler: f, environment: [a]}}", "environment")
        self.refuse("functions: {x: {lang: node, handler: f, environment: {a: {b: c}}}}", "environment")
        self.refuse("functions: {x: {lang: node, handler: f, labels: {faasprov.replicas: 0}}}", "faasprov.replicas")
        self.refuse("functions: {x: {lang: node, handler: f, labels: {faasprov.node: -1}}}", "faasprov.node")

    def test_nothing_is_copied_from_outside(self):
        functions = "functions: {x: {lang: node, handler: f}}\n"
        for name in ("/etc", "..", "f/../..", "none"):
            self.refuse(functions + f"configuration: {{copy: ['{name}']}}", "copy")

    def test_bad_secrets_are_refused(self):
        self.refuse("functions: {x: {lang: node, handler: f, secrets: key}}", "not a list of names")
        self.refuse("functions: {x: {lang: node, handler: f, secrets: [../key]}}", "not a list of names")
        self.refuse("functions: {x: {lang: node, handler: f, secrets: [key]}}", "not a file")

    def test_bad_services_are_refused(self):
        functions = "functions: {x: {lang: node, handler: f}}\n"
        self.refuse(functions + "x-services: [oracle]", "x-services knows")
        self.refuse(functions + "x-services: {mariadb: {init: none.sql}}", "none.sql")
        self.refuse(functions + "x-services: {web: {w: {address: 10.0.0.1, directory: f}}}", "address")
        self.refuse(functions + "x-services: {web: {node1: {address: 198.18.9.9, directory: f}}}", "not a name")
        self.refuse(functions + "x-services: {web: {site: {address: 198.18.9.9, directory: g}}}", "not a directory")
        self.refuse(functions + "x-services: {programs: {prog: {address: 198.18.9.9, port: 0, run: f}}}", "port")
        self.refuse(functions + "x-services: {programs: {prog: {address: 198.18.9.9, port: 1, run: f}}}", "executable")
        self.refuse(functions + "x-nameserver: 10.0.0.1", "x-nameserver")
