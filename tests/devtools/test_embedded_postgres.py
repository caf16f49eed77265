"""The embedded server uses only folders of its own user, and every account can run it, also root."""

import os
import pwd
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from devtools import embedded_files
from devtools.embedded_files import (
    Account,
    EmbeddedPostgresError,
    ensure_own_folder,
    get_binaries,
    reachable_folder,
)
from devtools.embedded_postgres import EmbeddedPostgres

pytestmark = pytest.mark.proof

ROOT = 0
IS_ROOT = os.getuid() == ROOT
only_root = pytest.mark.skipif(not IS_ROOT, reason="only root can give files to others, and needs to share")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_a_link_a_file_and_a_folder_that_others_may_write_to_are_refused(place: Path) -> None:
    (place / "private").mkdir(mode=0o700)
    (place / "link").symlink_to(place / "private")
    (place / "file").touch()
    for name, mode in (("group", 0o770), ("all", 0o1777)):
        (place / name).mkdir()
        (place / name).chmod(mode)
    for name in ("link", "file", "group", "all"):
        with pytest.raises(EmbeddedPostgresError, match=f"{name} must be a folder of this user"):
            ensure_own_folder(place / name)
        with pytest.raises(EmbeddedPostgresError, match=f"{name} must be a folder of this user"):
            EmbeddedPostgres(place / name, durable=False).start()
    ensure_own_folder(place / "private")


def test_a_folder_of_another_user_is_refused(place: Path) -> None:
    foreign = Path("/usr")
    if IS_ROOT:
        foreign = place / "foreign"
        foreign.mkdir()
        os.chown(foreign, pwd.getpwnam("nobody").pw_uid, -1)
    with pytest.raises(EmbeddedPostgresError, match="must be a folder of this user"):
        ensure_own_folder(foreign)


def test_the_servers_account_owns_its_data_and_nothing_else(place: Path) -> None:
    server = EmbeddedPostgres(place / "postgres", durable=False)
    server.start()
    try:
        assert (server.folder, mode_of(server.folder)) == (place / "postgres", 0o711)
        owners = {path.name: path.stat().st_uid for path in (server.folder, *server.folder.iterdir())}
        account = Account.choose().uid
        ours = dict.fromkeys(("postgres", "lock", "server.log"), os.getuid())
        assert owners == {**ours, "data": account, "password": account}
        assert (mode_of(server.folder / "data"), mode_of(server.folder / "password")) == (0o700, 0o600)
    finally:
        server.stop()
    # What is there already is used again.
    server.start()
    server.stop()


@only_root
def test_a_shared_folder_name_that_is_already_a_link_is_not_used(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_files, "SHARED_FOLDER", place)
    trap = place / "trap"
    trap.mkdir()
    (place / f"portal-postgres-of-{os.getuid()}").symlink_to(trap)
    hidden = place / "home"
    hidden.mkdir(mode=0o700)
    with pytest.raises(EmbeddedPostgresError, match="must be a folder of this user"):
        EmbeddedPostgres(hidden / "data" / "postgres", durable=False)
    assert list(trap.iterdir()) == []


@only_root
def test_what_the_servers_account_cannot_reach_is_shared_by_all_processes_of_its_user(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_files, "SHARED_FOLDER", place)
    monkeypatch.setattr(embedded_files, "_is_readable_by_all", lambda _: False)
    account = Account.choose()
    binaries = get_binaries(account)
    made = binaries.stat().st_ino
    assert get_binaries(account).stat().st_ino == made
    assert binaries.is_relative_to(place / "portal-postgres-of-0")
    server = EmbeddedPostgres(place / "hidden" / "postgres", durable=False)
    assert server.folder.parent == place / "portal-postgres-of-0"
    server.start()
    server.stop()


@only_root
def test_root_keeps_no_data_below_a_folder_of_another_user(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_files, "SHARED_FOLDER", place)
    foreign = place / "foreign"
    foreign.mkdir()
    assert reachable_folder(foreign / "postgres", Account.choose()) == foreign / "postgres"
    os.chown(foreign, pwd.getpwnam("nobody").pw_uid, -1)
    assert reachable_folder(foreign / "postgres", Account.choose()).parent == place / "portal-postgres-of-0"


# Becomes the user after it has imported all: root's Python may be where others cannot walk to.
RUN = """
import asyncio, ctypes, os, sys
from pathlib import Path
from devtools.embedded_postgres import embedded_postgres
_, folder, user, group = sys.argv
os.environ["HOME"] = str(Path(folder).parents[1])
os.setgroups([])
os.setgid(int(group))
os.setuid(int(user))
with embedded_postgres(Path(folder), durable=False) as server:
    server.recreate("portal")
"""


@only_root
def test_an_ordinary_user_runs_it_too(place: Path) -> None:
    if not embedded_files._is_readable_by_all(get_binaries(Account(os.getuid(), os.getgid()))):
        pytest.skip("nobody else may walk to this virtual environment")
    nobody = pwd.getpwnam("nobody")
    home = place / "home"
    home.mkdir(mode=0o700)
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    arguments = [str(home / "data" / "postgres"), str(nobody.pw_uid), str(nobody.pw_gid)]
    root = Path(embedded_files.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments], cwd=root, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (home / "data" / "postgres" / "data").stat().st_uid == nobody.pw_uid
