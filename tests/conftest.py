"""What holds for every test.

Hypothesis sets no time limit, since the machine is shared. The code that a test writes is trusted;
tests of trust itself take that back.
"""

from __future__ import annotations

import os

from hypothesis import settings

os.environ["RTPIPE_TRUST"] = "1"

settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")
