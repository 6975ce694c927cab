"""`python -m rtpipe`, and the `rtpipe` command."""

from __future__ import annotations

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    # `python -m` lets modules of the folder that one stands in come before those installed: code
    # that would run by looking at it.
    del sys.path[0]

from rtpipe.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
