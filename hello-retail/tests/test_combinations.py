"""The whole shop in two shapes: every function, what is stored of each call, and nothing left; `combinations` has all."""
import json
import unittest

from tests import shopkeeper
from tests.test_slices import lacking


@unittest.skipIf(lacking(), lacking() or "")
class ShapeTest(unittest.TestCase):
    maxDiff = None

    def check(self, *shape, tries=1):
        for _ in range(tries):
            row = shopkeeper.run(*shape)
            if not all(line.startswith(("calls of ", "trace of ")) for line in row["wrong"]) or not row["wrong"]:
                break
        self.assertEqual([], row["wrong"], json.dumps(row["wrong"], indent=1))
        # 31 calls of each container, of which three make three more.
        self.assertEqual((31 * shape[1], 40 * shape[1]), (row["calls"], row["requests"]))

    def test_patched_on_three_nodes(self):
        self.check(3, 1, "patched", "on")

    def test_vanilla_with_two_containers_each(self):
        # Without marks and assist a call that is made when Node's clock fires, once a second, may be what an earlier
        # request left behind (docs/attribution.md): then no caller is named.  What is missing each time is no chance.
        self.check(1, 2, "vanilla", "on", tries=3)


if __name__ == "__main__":
    unittest.main()
