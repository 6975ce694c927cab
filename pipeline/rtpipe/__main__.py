"""`python -m rtpipe`, and the `rtpipe` command."""

from __future__ import annotations

from rtpipe.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
