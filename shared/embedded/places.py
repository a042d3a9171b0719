"""Where the embedded servers may keep what they need: folders a system user can enter, and sockets with short paths."""

from __future__ import annotations

import os
import pwd
import stat
import tempfile
from pathlib import Path

from shared.embedded.child import ServerFailed

MAX_SOCKET_PATH = 107
"""Bytes: what a `sockaddr_un` holds, without its closing NUL."""
STATE_FOLDERS = (Path("/var/lib"), Path("/var/tmp"))
"""Where root's own data goes when the checkout lies in a private folder; the first one that can be written."""
REMEMBERED = "postgres_location"


def system_user() -> str | None:
    """Whom Postgres runs as: root may not, so a system user steps in for it; None: whoever we are."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise ServerFailed("Postgres does not run as root, and there is no user 'postgres' or 'nobody' to run it as")


def postgres_directory(data_directory: Path) -> Path:
    """The folder for Postgres that belongs to a data directory: inside it where that can work.

    A system user cannot get into a private folder, such as a checkout under root's home, and nobody's folder is opened
    up for it: then the data goes under /var, and the data directory remembers where.
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
    """Whether a user without any group gets into a folder, by the modes of all folders on the way."""
    uid = pwd.getpwnam(user).pw_uid
    directory = directory.resolve()
    for folder in (directory, *directory.parents):
        status = folder.stat()
        needed = stat.S_IXUSR if status.st_uid == uid else stat.S_IXOTH
        if not status.st_mode & needed:
            return False
    return True


def socket_directory(directory: Path, longest_name: str, user: str | None = None) -> Path:
    """The folder for a server's socket: `directory` itself, or a short one under /tmp where its path will not do.

    The short one is private to `user`, remembered in `directory`, and used again after a crash.
    """
    # libpq takes a comma for the end of one host and the start of another.
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
    """Take the short folder away again, once its server has stopped."""
    if sockets != directory:
        for left in sockets.iterdir():
            left.unlink()
        sockets.rmdir()
        (directory / "socket_location").unlink(missing_ok=True)


def _may_be_trusted(folder: Path) -> bool:
    """Others may write below /var/tmp: a folder that is not ours could be theirs by now."""
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
