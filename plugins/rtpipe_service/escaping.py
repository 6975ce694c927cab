"""How systemd wants texts to be written in a unit file (systemd.syntax(7), systemd.service(5))."""

from __future__ import annotations

from rtpipe import StageError

_NAMED = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def word(text: str) -> str:
    """Return one word of a list, such as a variable of `Environment=`: in quotes, % doubled."""
    escaped = "".join(_NAMED.get(character) or _character(character) for character in text)
    return f'"{escaped.replace("%", "%%")}"'


def argument(text: str) -> str:
    """Return an argument of a command: a word in which `$` names no variable."""
    return word(text.replace("$", "$$"))


def program(path: str) -> str:
    """Return the path of what a unit starts: in it, systemd takes no quotes and no backslash.

    Raises:
        StageError: There is no way to write it.
    """
    if any(character in "\\\"'" or _is_control(character) for character in path):
        raise StageError(
            f"systemd starts nothing that is called {path!r}",
            help="install rtpipe in a folder without quotes and backslashes in its name",
        )
    return word(path)


def rest_of_line(text: str) -> str:
    """Return a value that takes the whole rest of its line, as a path of `WorkingDirectory=`.

    Raises:
        StageError: There is no way to write it.
    """
    if any(map(_is_control, text)) or text != text.strip() or text.endswith("\\"):
        raise StageError(
            f"systemd has no way to write {text!r} in a unit",
            help="rename it: no white space at either end, no control character, "
            "no backslash at the end",
        )
    return text.replace("%", "%%")


def _character(character: str) -> str:
    return f"\\x{ord(character):02x}" if _is_control(character) else character


def _is_control(character: str) -> bool:
    return ord(character) < 32 or ord(character) == 127
