"""Which folders' code may be run by who only looks: those that were trusted, or run, before.

Looking at a pipeline (`rtpipe validate`, `print`, `stages`, ...) must not run the Python that lies
beside it unasked. Running it is consent, and is remembered; so is `rtpipe trust`.

Each trusted folder has a file of its own in the user's state folder, as direnv has them: nothing is
read, changed and written back, so two commands cannot undo each other's.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rtpipe.errors import ExitCode, RtpipeError, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rtpipe.wording.diagnostics import Findings, Span

VARIABLE = "RTPIPE_TRUST"
"""`1` in the environment trusts every folder, and remembers none: for CI."""

_ROOT = 0
_MOST_NAMED = 3
_MOST_READ = 100_000
"""Characters of a record; a path has 4096 at most."""
_PLANTED = "it is another user's, in a folder that everybody may write to"


@dataclass(frozen=True, slots=True)
class TrustedFolder:
    """A folder that is remembered.

    Attributes:
        folder: Its real path: symlinks are resolved, and a folder that moved is another one.
        owner: Whose it was then, as a user's number; it is not trusted once it is another's.
        by: What was the consent.
        since: When, in ISO 8601, UTC.
    """

    folder: Path
    owner: int
    by: Literal["trust", "run"]
    since: str


@dataclass(frozen=True, slots=True)
class Withheld:
    """Code that was not run, since its folder is not trusted.

    Attributes:
        folder: The folder that would have to be trusted.
        names: What was not run: files, from that folder, or modules.
        reason: Why, where it is not simply that nobody trusted the folder.
    """

    folder: Path
    names: tuple[str, ...]
    reason: str = ""

    @property
    def message(self) -> str:
        """What was not run, and what that means, in one sentence."""
        why = self.reason or "the folder is not trusted"
        return f"{self.what} was not run, so its kinds are missing: {why}"

    @property
    def what(self) -> str:
        """What was not run."""
        more = len(self.names) - _MOST_NAMED
        named = ", ".join(self.names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
        return shown(f"{named} in {self.folder}")

    @property
    def help(self) -> str:
        """What lets it run."""
        return _help([self])


def _help(withheld: Sequence[Withheld]) -> str:
    if any(each.reason == _PLANTED for each in withheld):
        return "move it to a folder that only you may write to; `--trust` runs it this once"
    here = _real(Path())
    folders = ["." if each.folder == here else shlex.quote(str(each.folder)) for each in withheld]
    if shown(*folders) != " ".join(folders):
        return "read it, then `rtpipe trust .` in its folder; `--trust` runs it this once"
    return printable(
        f"read it, then `rtpipe trust {' '.join(folders)}`; `--trust` runs it this once"
    )


@dataclass(slots=True)
class Trust:
    """Decides for one command, or one load, which folders' code may be run.

    Attributes:
        everything: Whether all may be: somebody runs it, or said `--trust`, or `RTPIPE_TRUST=1`.
        used: The folders whose code was allowed because everything is.
    """

    everything: bool = field(default_factory=lambda: os.environ.get(VARIABLE) == "1")
    used: set[Path] = field(default_factory=set)
    _withheld: dict[Path, Withheld] = field(default_factory=dict)

    @property
    def withheld(self) -> list[Withheld]:
        """What may not be run, by folder."""
        return list(self._withheld.values())

    def allows(self, folder: Path, code: Iterable[Path], names: Iterable[str]) -> bool:
        """Return whether code that lies in a folder, or that a file in it names, may be run.

        Args:
            folder: The folder of the pipeline file, or the one that `plugins/` is in.
            code: The files at stake: none may be another user's that anyone could have put there.
            names: What people call it.
        """
        real = _real(folder)
        if self.everything:
            self.used.add(real)
            return True
        entry, reason = _recall(real)
        if entry is not None:
            if not any(_is_planted(path, entry.owner) for path in code):
                return True
            reason = _PLANTED
        known = self._withheld.get(real, Withheld(real, (), reason))
        together = tuple(dict.fromkeys((*known.names, *names)))
        self._withheld[real] = replace(known, names=together)
        return False

    def report_unknown(self, what: str, span: Span | None, findings: Findings) -> bool:
        """Report what nobody who is installed knows, but code that was not run may.

        Args:
            what: What is unknown, "a stage `tremolo`".
            span: Where it stands.
            findings: Takes the error.

        Returns:
            Whether there is such code; if not, nothing is reported.
        """
        withheld = self.withheld
        if withheld:
            unread = "; ".join(each.what for each in withheld)
            findings.error(
                "E404",
                f"whether there is {what} is not known without running {unread}",
                span,
                label="not known to what is installed",
                help=_help(withheld),
            )
        return bool(withheld)

    def remember(self) -> None:
        """Remember the folders whose code was run, as far as this machine lets us.

        Not where everything is trusted anyway: a test run would leave thousands.
        """
        if os.environ.get(VARIABLE) == "1":
            return
        for folder in self.used:
            if _recall(folder)[0] is None:
                with suppress(RtpipeError):  # a service has no state folder, and looks at nothing
                    trust_folder(folder, by="run")


def shown(*paths: Path | str) -> str:
    """Return paths on one line: a stranger chose what stands in them."""
    return printable(" ".join(map(str, paths))).replace("\n", "\\n")


def trust_folder(folder: Path, *, by: Literal["trust", "run"] = "trust") -> Path:
    """Trust a folder from now on; return its real path.

    Raises:
        RtpipeError: It is no folder, or what is trusted cannot be kept.
    """
    real = _real(folder)
    place = _file_of(real)
    try:
        owner = real.stat().st_uid
        now = datetime.now(UTC).isoformat(timespec="seconds")
        text = json.dumps({"folder": str(real), "owner": owner, "by": by, "since": now})
        above = next(each for each in place.parents if each.exists())
        if _is_foreign(
            above.stat()
        ):  # root with the HOME of somebody: what it made would be root's
            raise PermissionError(f"{above} is another user's")
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _replace(place, text)
    except OSError as error:
        raise RtpipeError(
            f"cannot remember that {real} is trusted: {error}",
            help=f"`{VARIABLE}=1` in the environment trusts every folder; "
            "`XDG_STATE_HOME` says where the trusted ones are remembered",
            exit_code=ExitCode.NO_PERMISSION,
        ) from error
    return real


def forget(folder: Path) -> bool:
    """Trust a folder no more; return whether it was remembered.

    Raises:
        RtpipeError: It cannot be forgotten.
    """
    place = _file_of(_real(folder))
    try:
        place.unlink()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise RtpipeError(
            f"cannot forget that {folder} is trusted: {error}", exit_code=ExitCode.NO_PERMISSION
        ) from error
    return True


def remembered() -> tuple[list[TrustedFolder], list[str]]:
    """Return the trusted folders, by path, and what is wrong with others that were remembered."""
    found: list[TrustedFolder] = []
    problems: list[str] = []
    try:
        places = sorted(_state_folder().glob("*.json"))
    except (OSError, RtpipeError):  # nowhere to remember any
        places = []
    for place in places:
        entry, problem = _read(place)
        if entry is not None:
            found.append(entry)
        elif problem:
            problems.append(problem)
    return sorted(found, key=lambda entry: entry.folder), problems


def _recall(real: Path) -> tuple[TrustedFolder | None, str]:
    """Return what is remembered of a folder; None with the reason, if there is one to tell."""
    try:
        entry, problem = _read(_file_of(real))
        if entry is not None and entry.owner != real.stat().st_uid:
            return None, "the folder belongs to another user than when it was trusted"
    except (OSError, RtpipeError):
        return None, ""
    return entry, problem


def _read(place: Path) -> tuple[TrustedFolder | None, str]:
    """Return what a file remembers; None with the reason, if it is damaged or not ours."""
    try:
        with open(place, encoding="utf-8", errors="replace", opener=_no_link) as file:
            status = os.fstat(file.fileno())
            text = file.read(_MOST_READ)
    except (FileNotFoundError, NotADirectoryError):
        return None, ""
    except OSError as error:
        return None, f"{place} cannot be read: {error.strerror}"
    if _is_foreign(status) or (os.name == "posix" and status.st_mode & 0o022):
        return None, f"others than you may write to {place}, so it counts for nothing"
    try:
        entry = _parsed(text)
    except (ValueError, KeyError, TypeError):
        entry = None
    if entry is not None and _name_of(entry.folder) == place.name:
        return entry, ""
    aside = place.with_suffix(".damaged")
    with suppress(OSError):
        place.replace(aside)
        return None, f"{place} was damaged, and is set aside as {aside.name}"
    return None, f"{place} is damaged"


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0))


def _parsed(text: str) -> TrustedFolder:
    said: Any = json.loads(text)
    folder, owner, by, since = said["folder"], said["owner"], said["by"], said["since"]
    if not (isinstance(folder, str) and isinstance(owner, int) and isinstance(since, str)):
        raise TypeError(said)
    return TrustedFolder(Path(folder), owner, "run" if by == "run" else "trust", since)


def _replace(place: Path, text: str) -> None:
    """Write a file that is the old one or the new one whenever the power fails, for us alone."""
    number, name = tempfile.mkstemp(dir=place.parent, prefix=".")  # 0600
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(number)
        Path(name).replace(place)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _is_planted(path: Path, trusted: int) -> bool:
    """Return whether another user may have put a file there: anyone may write to its folder."""
    try:
        if os.name != "posix" or not path.parent.stat().st_mode & stat.S_IWOTH:
            return False
        owners = {path.lstat().st_uid, path.stat().st_uid}  # whose link it is counts, too
    except OSError:
        return True
    return not owners <= {os.geteuid(), _ROOT, trusted}


def _is_foreign(status: os.stat_result) -> bool:
    return os.name == "posix" and status.st_uid not in {os.geteuid(), _ROOT}


def _state_folder() -> Path:
    """Return where it is remembered: a folder in the user's state folder.

    Raises:
        RtpipeError: This user has none.
    """
    given = Path(os.environ.get("XDG_STATE_HOME", ""))
    if given.is_absolute():  # what is not must be ignored, says the specification
        return given / "rtpipe" / "trusted"
    if os.name == "nt":
        local = os.environ.get("LOCALAPPDATA", "")
        if Path(local).is_absolute():
            return Path(local) / "rtpipe" / "trusted"
    with suppress(RuntimeError):  # a user without a home
        home = Path.home()
        if home.is_dir():
            return home / ".local" / "state" / "rtpipe" / "trusted"
    raise RtpipeError(
        "there is no home folder in which to remember the trusted folders",
        help="`XDG_STATE_HOME` says where they are remembered",
        exit_code=ExitCode.NO_PERMISSION,
    )


def _file_of(real: Path) -> Path:
    return _state_folder() / _name_of(real)


def _name_of(real: Path) -> str:
    return f"{hashlib.sha256(os.fsencode(real)).hexdigest()[:32]}.json"


def _real(folder: Path) -> Path:
    """Return the one path that a folder has, without symlinks."""
    return Path(os.path.realpath(folder))
