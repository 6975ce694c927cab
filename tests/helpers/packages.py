"""What a test needs beside the package it is about: skipped, saying so, where it was taken away."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

_SERVER = "rtpipe_realtime_server"
needs_server = pytest.mark.skipif(find_spec(_SERVER) is None, reason=f"needs {_SERVER}")
