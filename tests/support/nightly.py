"""Whether this is the long test run (HYPOTHESIS_PROFILE=nightly), in which Monte-Carlo tests draw many times more."""

import os

NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
