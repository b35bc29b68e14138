"""Where things are, and what cannot be shipped with them."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = os.environ.get("SBVI_DATA_DIR")

# Data sets that cannot be shipped: without their files these tests are left out, and the last lines say so.
needs_data = pytest.mark.skipif(not DATA, reason="SBVI_DATA_DIR is not set: real MNIST, Frey faces and silhouettes")
