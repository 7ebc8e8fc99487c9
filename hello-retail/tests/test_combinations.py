"""The whole shop in two shapes: every function, what is stored of each call, and nothing left; `combinations` has all."""
import json
import unittest

from tests import shopkeeper
from tests.test_slices import lacking


@unittest.skipIf(lacking(), lacking() or "")
class ShapeTest(unittest.TestCase):
    maxDiff = None

    def check(self, *shape):
        row = shopkeeper.run(*shape)
        self.assertEqual([], row["wrong"], json.dumps(row["wrong"], indent=1))
        # 31 calls of each container, of which three make three more.
        self.assertEqual((31 * shape[1], 40 * shape[1]), (row["calls"], row["requests"]))

    def test_patched_on_three_nodes(self):
        self.check(3, 1, "patched", "on")

    def test_vanilla_with_two_containers_each(self):
        self.check(1, 2, "vanilla", "on")


if __name__ == "__main__":
    unittest.main()
