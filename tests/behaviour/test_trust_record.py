"""What is remembered of the folders that are trusted: where, whose, and until when."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from helpers.strange_folder import PLAIN, SPY, Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.mark.slow
def test_trust_is_taken_back(desk: Desk) -> None:
    assert desk.rtpipe("trust", desk.folder / "p.yaml").out == (
        f"{desk.folder} is trusted: looking at it runs its plugins\n"
    )
    assert desk.rtpipe("trust", "--list").out.startswith(f"{desk.folder} (trust, ")
    (listed,) = json.loads(desk.rtpipe("trust", "--json").out)
    assert (listed["folder"], listed["by"]) == (str(desk.folder), "trust")
    assert desk.rtpipe("validate", "p.yaml").code == 0
    assert desk.rtpipe("trust", "--revoke", cwd=desk.folder).code == 0
    assert desk.rtpipe("trust", "--list").out == ""
    assert desk.rtpipe("validate", "p.yaml").code == 78
    assert desk.rtpipe("trust", "--revoke").out == f"{desk.folder} was not trusted\n"
    assert desk.rtpipe("trust", "nowhere").code == 2
    assert desk.rtpipe("trust", "--list", ".").code == 2


@pytest.mark.slow
def test_the_real_folder_counts(desk: Desk, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(desk.folder)
    assert desk.rtpipe("trust", link).code == 0
    assert desk.rtpipe("validate", "p.yaml").code == 0
    assert desk.rtpipe("validate", link / "p.yaml", cwd=tmp_path).code == 0
    inner = desk.folder / "inner"
    inner.mkdir()
    (inner / "plugins").mkdir()
    (inner / "plugins" / "other.py").write_text(SPY)
    assert "E404" in desk.rtpipe("stages", cwd=inner).err  # not what lies deeper
    moved = desk.folder.rename(tmp_path / "moved")
    desk.ran(moved)
    assert desk.rtpipe("validate", "p.yaml", cwd=moved).code == 78
    assert not desk.ran(moved)
    desk.folder.symlink_to(moved)  # a link in the place of what was trusted
    assert desk.rtpipe("validate", desk.folder / "p.yaml", cwd=tmp_path).code == 78
    assert not desk.ran(moved)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="names that only POSIX has")
def test_a_name_that_a_stranger_chose_is_told_on_one_line(desk: Desk, tmp_path: Path) -> None:
    odd = desk.folder.rename(tmp_path / "a\nwarning: \x1b[31m$(touch x)\udcff")
    looked = desk.rtpipe("stages", cwd=odd)
    (line,) = looked.err.splitlines()
    assert "a\\nwarning: \\u001b[31m$(touch x)\\udcff" in line
    elsewhere = desk.rtpipe("validate", odd / "plain.yaml", cwd=tmp_path)
    assert "`rtpipe trust .` in its folder" in elsewhere.err
    assert len(desk.rtpipe("trust", odd, cwd=tmp_path).out.splitlines()) == 1
    assert len(desk.rtpipe("trust", "--list", cwd=tmp_path).out.splitlines()) == 1
    assert desk.rtpipe("validate", odd / "p.yaml", cwd=tmp_path).code == 0


@pytest.mark.slow
def test_a_run_without_code_trusts_nothing(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "plain.yaml").write_text(PLAIN)
    assert desk.rtpipe("run", "plain.yaml", cwd=tmp_path).code == 0
    assert not desk.records
    assert desk.rtpipe("run", "plain.yaml").code == 0
    (record,) = desk.records
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    assert stat.S_IMODE(record.parent.stat().st_mode) == 0o700
    before = record.stat().st_mtime_ns
    assert desk.rtpipe("run", "plain.yaml").code == 0
    assert record.stat().st_mtime_ns == before
    assert desk.rtpipe("run", "p.yaml", RTPIPE_TRUST="1", XDG_STATE_HOME=str(tmp_path)).code == 0
    assert not (tmp_path / "rtpipe").exists()


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["", "{}", "[1]", '{"folder": 3}', "\x00\xff", "another"])
def test_a_damaged_record_is_set_aside_and_said(desk: Desk, damage: str) -> None:
    assert desk.rtpipe("trust").code == 0
    (record,) = desk.records
    text = record.read_text()
    record.write_text(text.replace("a folder", "b folder") if damage == "another" else damage)
    looked = desk.rtpipe("stages")
    assert looked.code == 0
    assert not desk.ran()
    assert f"{record} was damaged, and is set aside as {record.stem}.damaged" in looked.err
    assert [path.name for path in desk.records] == [f"{record.stem}.damaged"]
    assert "set aside" not in desk.rtpipe("stages").err
    assert desk.rtpipe("trust").code == 0
    assert desk.rtpipe("stages").err == ""


@pytest.mark.slow
def test_a_record_that_others_may_write_to_or_that_is_a_link_counts_for_nothing(
    desk: Desk, tmp_path: Path
) -> None:
    assert desk.rtpipe("trust").code == 0
    (record,) = desk.records
    record.chmod(0o666)
    assert "counts for nothing" in desk.rtpipe("stages").err
    assert "counts for nothing" in desk.rtpipe("trust", "--list").err
    record.chmod(0o600)
    record.symlink_to(record.rename(tmp_path / "record"))
    assert "cannot be read" in desk.rtpipe("stages").err
    assert not desk.ran()


@pytest.mark.slow
def test_where_nothing_can_be_remembered(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for env in (
        {"XDG_STATE_HOME": str(tmp_path / "file")},
        {"XDG_STATE_HOME": "", "HOME": "/proc/1/nobody"},
        {"XDG_STATE_HOME": "relative", "HOME": "/dev/null"},
    ):
        ran = desk.rtpipe("run", "p.yaml", **env)
        assert ran.code == 0, ran.err
        assert "trust" not in ran.err
        assert desk.ran()
        assert desk.rtpipe("validate", "p.yaml", **env).code == 78
        refused = desk.rtpipe("trust", **env)
        assert refused.code == 77
        assert "XDG_STATE_HOME" in refused.err
        assert desk.rtpipe("trust", "--list", **env).code == 0
        assert not desk.ran()


@pytest.mark.slow
def test_the_home_folder_where_no_other_is_named(desk: Desk, tmp_path: Path) -> None:
    env = {"XDG_STATE_HOME": "", "HOME": str(tmp_path)}
    assert desk.rtpipe("trust", **env).code == 0
    assert list((tmp_path / ".local" / "state" / "rtpipe" / "trusted").glob("*.json"))
    assert desk.rtpipe("validate", "p.yaml", **env).code == 0


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="makes files of another user")
def test_what_another_user_put_into_a_shared_folder_is_not_run(desk: Desk) -> None:
    desk.folder.chmod(0o1777)
    assert desk.rtpipe("trust").code == 0
    assert desk.rtpipe("stages").err == ""
    assert desk.ran()
    os.chown(desk.folder / "plugins", 12345, 12345)
    looked = desk.rtpipe("stages")
    assert "another user's" in looked.err
    (desk.folder / "plugins").rename(desk.folder / "mine")
    os.chown(desk.folder / "mine", 0, 0)
    (desk.folder / "plugins").symlink_to("mine")
    os.chown(desk.folder / "plugins", 12345, 12345, follow_symlinks=False)
    looked = desk.rtpipe("stages")
    unreachable = Path("/proc/sys/fs/protected_symlinks").read_text().strip() == "1"
    assert unreachable or "another user's" in looked.err, "where the system lets anybody follow it"
    (desk.folder / "plain.yaml").write_text(f"plugins: [mine/tremolo.py]\n{PLAIN}")
    os.chown(desk.folder / "plain.yaml", 12345, 12345)
    assert "another user's" in desk.rtpipe("validate", "plain.yaml").err
    assert not (desk.folder / "mine" / "RAN").exists()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="makes files of another user")
def test_a_folder_that_became_another_users(desk: Desk) -> None:
    assert desk.rtpipe("trust").code == 0
    os.chown(desk.folder, 12345, 12345)
    assert "belongs to another user" in desk.rtpipe("stages").err
    assert not desk.ran()
    assert desk.rtpipe("trust").code == 0  # read and trusted anew
    assert desk.rtpipe("stages").err == ""
