"""Makes the README's pictures of a real run: the terminal (SVG), the page in Chromium (PNG).

    python -m tools.picture
    python -m tools.picture --look FOLDER

The second takes screenshots of the drawings as a README shows them, wide and narrow, light and
dark, for somebody to look at.
"""

from __future__ import annotations

import re
import sys
from itertools import product
from pathlib import Path

from tools.picture.browser import SCHEMES, screenshot
from tools.picture.control import photograph
from tools.picture.kiosk import ROOT, draw

PICTURES = {"kiosk": 80, "kiosk-narrow": 50}
"""How many columns the terminal has; the narrow one is for telephones."""
_PICTURE = re.compile(r"<picture>.*?</picture>", re.DOTALL)
_PAGE = """<!doctype html><meta charset="utf-8"><meta name="color-scheme" content="light dark">
<base href="{root}/"><style>img {{ max-width: 100% }}
body {{ margin: 16px auto; max-width: 830px; padding: 0 16px }}</style>{pictures}"""


def main() -> None:
    """Draw the pictures, or look at them."""
    if sys.argv[1:2] == ["--look"]:
        look(Path(sys.argv[2]))
        return
    for name, columns in PICTURES.items():
        path = ROOT / "docs" / f"{name}.svg"
        path.write_text(draw(columns), "utf-8")
        print(f"wrote {path.relative_to(ROOT)}")
    for path in photograph(ROOT / "docs"):
        print(f"wrote {path.relative_to(ROOT)}")


def look(folder: Path) -> None:
    """Take screenshots of what is drawn."""
    shown = folder / "readme.html"
    shown.write_text(readme(), "utf-8")
    for width, scheme in product((390, 1280), SCHEMES):
        path = folder / f"kiosk-{width}-{scheme}.png"
        screenshot(shown.as_uri(), path, width, 800, scheme)
        print(f"wrote {path}")


def readme() -> str:
    """Return the pictures of the README on a page with its margins."""
    pictures = _PICTURE.findall((ROOT / "README.md").read_text("utf-8"))
    return _PAGE.format(root=ROOT.as_uri(), pictures="\n".join(pictures))


if __name__ == "__main__":
    main()
