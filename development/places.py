"""Chooses the folders of the development servers: a system user can enter them, and paths of sockets are short."""

from __future__ import annotations

import os
import pwd
import stat
import tempfile
from pathlib import Path

from development.child import ServerFailed

MAX_SOCKET_PATH = 107
"""The most bytes of a path in a `sockaddr_un`, without the closing NUL."""
STATE_FOLDERS = (Path("/var/lib"), Path("/var/tmp"))
"""If root's checkout is in a private folder, the data is in the first of these that is writable."""
REMEMBERED = "postgres_location"


def system_user() -> str | None:
    """Returns the system user for Postgres if this process is root, which Postgres refuses; else None."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise ServerFailed("Postgres does not run as root, and there is no user 'postgres' or 'nobody' to run it as")


def postgres_directory(data_directory: Path) -> Path:
    """Returns the folder for Postgres of a data directory, inside it if possible.

    A system user cannot enter a private folder, such as a checkout under root's home, and the modes of folders are not
    changed. The data is then under /var, and a file in the data directory names the place.
    """
    inside = data_directory / "postgres"
    user = system_user()
    if user is None or can_enter(data_directory, user):
        return inside
    remembered = data_directory / REMEMBERED
    if remembered.is_file():
        elsewhere = Path(remembered.read_text(encoding="utf-8"))
        if elsewhere.is_dir() and _may_be_trusted(elsewhere):
            return elsewhere / "postgres"
    elsewhere = _make_state_folder()
    remembered.write_text(str(elsewhere), encoding="utf-8")
    return elsewhere / "postgres"


def can_enter(directory: Path, user: str) -> bool:
    """True if a user without any group can enter a folder, by the modes of all folders on the way."""
    uid = pwd.getpwnam(user).pw_uid
    directory = directory.resolve()
    for folder in (directory, *directory.parents):
        status = folder.stat()
        needed = stat.S_IXUSR if status.st_uid == uid else stat.S_IXOTH
        if not status.st_mode & needed:
            return False
    return True


def socket_directory(directory: Path, longest_name: str, user: str | None = None) -> Path:
    """Returns the folder for a server's socket: `directory`, or a short one under /tmp if that path does not work.

    The short one is private to `user`. A file in `directory` names it, so that it is used again after a crash.
    """
    # libpq treats a comma as a separator of hosts.
    if len(os.fsencode(directory / longest_name)) <= MAX_SOCKET_PATH and "," not in str(directory):
        return directory
    remembered = directory / "socket_location"
    if remembered.is_file():
        short = Path(remembered.read_text(encoding="utf-8"))
        if short.is_dir() and short.stat().st_uid == _uid(user):
            return short
    short = Path(tempfile.mkdtemp(prefix="daveslist-", dir="/tmp"))
    if user is not None:
        os.chown(short, _uid(user), -1)
    remembered.write_text(str(short), encoding="utf-8")
    return short


def remove_socket_directory(directory: Path, sockets: Path) -> None:
    """Remove the short folder after its server has stopped."""
    if sockets != directory:
        for left in sockets.iterdir():
            left.unlink()
        sockets.rmdir()
        (directory / "socket_location").unlink(missing_ok=True)


def _may_be_trusted(folder: Path) -> bool:
    """True if the folder is still ours: others may write to /var/tmp, and could have replaced it."""
    return folder.stat().st_uid == os.geteuid()


def _uid(user: str | None) -> int:
    return os.geteuid() if user is None else pwd.getpwnam(user).pw_uid


def _make_state_folder() -> Path:
    for folder in STATE_FOLDERS:
        try:
            made = Path(tempfile.mkdtemp(prefix="daveslist-", dir=folder))
        except OSError:
            continue
        made.chmod(0o711)
        return made
    raise ServerFailed(f"no place for Postgres' data: cannot write to {' or '.join(map(str, STATE_FOLDERS))}")
