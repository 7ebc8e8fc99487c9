"""What the benchmarks share: statistics, plots, the variants under test and what they use."""
import os
import sys

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(REPO, "scripts"))  # the lab's own modules: lib.*
BUILT = os.path.join(REPO, "build", "benchmarks")
