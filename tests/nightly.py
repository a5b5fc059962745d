"""Whether this is the long run of the night, in which some tests do much more of the same."""

import os

NIGHTLY = bool(os.environ.get("FUSEDOPTIM_NIGHTLY"))
