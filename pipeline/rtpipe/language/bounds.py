"""How much a pipeline may hold: one bound for each way in which a text can grow.

All of them are far above what anybody writes by hand. Together they keep the reading of any text
below a second and a hundred megabytes. `rtpipe explain E013` tells them.
"""

from __future__ import annotations

MAX_BYTES = 512 * 1024
"""Of one file; in characters also: what aliases unfold it to, and a pipeline with its includes."""

MAX_DEPTH = 50
"""Lists and mappings inside one another; variables that need one another."""

MAX_NODES = 10_000
"""Values, in a file with its aliases unfolded, and in a pipeline with its includes."""

MAX_FILES = 100
"""Files of a pipeline, each counted as often as it is included."""

MAX_FILLED = 1024 * 1024
"""Characters of all values that references fill."""

MAX_SECRETS = 100
"""Different values that must be masked wherever they stand."""

MAX_INPUTS = 100
"""Stages that one stage reads."""

MAX_GLOBS = 500
"""Different events and globs under `match`."""

LONGEST_GLOB = 200
"""Characters of one."""

MAX_ARGUMENTS = 2000
"""Arguments of all action calls together."""

MAX_EXPRESSION = 10_000
"""Characters of `-x`."""

MAX_SETS = 500
"""How often `--set` may be given."""

MAX_SET = 32_000
"""Characters of all `--set` together."""
