"""The oracle's functions, which say themselves which request each of their steps is of, and what became of that."""
import json
import os
import subprocess
import sys

from e2e.world import ROOT, LabCase

ORACLE = os.path.join(ROOT, "tests", "oracle")
VERDICTS = ("right", "WRONG", "named", "MISSED", "none")


class JudgedCase(LabCase):
    """`counts`: for each way to do a step, how often the recording was right about it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        done = subprocess.run([sys.executable, os.path.join(ORACLE, "evaluate"), "--json", cls.store],
                              stdout=subprocess.PIPE, check=True)
        cls.counts = json.loads(done.stdout)
