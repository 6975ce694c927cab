"""What a command imports, by package: how long each takes by itself.

python -m benchmarks.subjects.imports -m rtpipe validate pipelines/kiosk.yaml
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

_MOST = 14


def main() -> None:
    """Print the packages that take longest: share of all imports, and how many modules."""
    command = [sys.executable, "-X", "importtime", *sys.argv[1:]]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    spent: Counter[str] = Counter()
    modules: Counter[str] = Counter()
    for line in ran.stderr.splitlines():
        if not line.startswith("import time:") or "|" not in line or "imported" in line:
            continue
        own, _, name = line.removeprefix("import time:").split("|")
        package = name.strip().partition(".")[0]
        if package in sys.stdlib_module_names:
            package = "the standard library"
        spent[package] += int(own)
        modules[package] += 1
    whole = sum(spent.values()) or 1
    rows = [
        {
            "function": f"{package}, {took / 1000:.1f} ms",
            "share": round(took / whole * 100, 1),
            "calls": modules[package],
        }
        for package, took in spent.most_common(_MOST)
    ]
    print(json.dumps({"profile": rows}))


if __name__ == "__main__":
    main()
