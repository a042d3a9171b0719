"""The page's files: the modules, styles and pictures of api/web, the private chat client, and what is made of them.

The address of a file has the version of all files and the file's path in the checkout. The version lets browsers keep a
file for ever. What browsers load is the script that is made of the modules which everybody needs (`SCRIPT`), and later
ones for those who need more; the style is in each document.
"""

from __future__ import annotations

import gzip
import hashlib
import posixpath
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path

from api.assets import script, style
from shared.settings import Settings

CHECKOUT = Path(__file__).parents[2]
FOLDER = CHECKOUT / "api" / "web"
CLIENT = CHECKOUT / "clients" / "javascript" / "private_chat"

SCRIPT = "api/web/all.js"
"""The script of the page. No file of this name exists: it is made of main.js and all that it imports."""
LATER = {name: f"api/web/later/for_{name}.js" for name in ("newcomers", "users", "staff")}
"""The modules that are imported while the page runs, by the names that the page has for them: each becomes a script."""
_MAIN = "api/web/main.js"
_BANNER = "// Made of the modules beside it. vendor/README.md names the libraries, with their licences.\n"
_STYLES = FOLDER / "styles"
_MEDIA_TYPES = {
    ".css": "text/css",
    ".ico": "image/vnd.microsoft.icon",
    ".js": "text/javascript",
    ".md": "text/plain",
    ".mjs": "text/javascript",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
    # Licences have no file name extension.
    "": "text/plain",
}
PICTURES = ("image/png", "image/vnd.microsoft.icon")
"""The media types of what is no text."""


@dataclass(frozen=True)
class Asset:
    data: bytes
    media_type: str

    @cached_property
    def compressed(self) -> bytes:
        return gzip.compress(self.data, mtime=0)


@dataclass(frozen=True, slots=True)
class Assets:
    version: str
    files: Mapping[str, Asset]
    """By path."""
    later: Mapping[str, str]
    """The paths of the later scripts, by their names in `LATER`."""
    style: str
    """The whole style sheet, as it is in each document."""
    style_source: str
    """The source that a content security policy names for this style: its hash (CSP 3, 2.3.1)."""


def assets(settings: Settings) -> Assets:
    """Returns the files: in production as they were at the start, in development as they are now.

    Raises CannotJoin if the modules cannot be made into one script.
    """
    return _kept() if settings.is_production else _read(_paths())


@cache
def _kept() -> Assets:
    return _read(_paths())


def _paths() -> tuple[tuple[str, Path, int], ...]:
    """Returns every file to serve: its name in addresses, its path, and the time of its last change."""
    files = (path for folder in (FOLDER, CLIENT) for path in sorted(folder.rglob("*")))
    return tuple(
        (path.relative_to(CHECKOUT).as_posix(), path, path.stat().st_mtime_ns)
        for path in files
        if path.suffix in _MEDIA_TYPES and path.is_file()
    )


@lru_cache(maxsize=1)
def _read(paths: tuple[tuple[str, Path, int], ...]) -> Assets:
    files = {name: Asset(path.read_bytes(), _MEDIA_TYPES[path.suffix]) for name, path, _ in paths}
    modules = {name: one.data.decode() for name, one in files.items() if one.media_type == "text/javascript"}
    scripts = script.joined(modules, _MAIN)
    folder = posixpath.dirname(SCRIPT)
    made = {SCRIPT: scripts.first} | {f"{folder}/{name}": text for name, text in scripts.later.items()}
    for path, text in made.items():
        files[path] = Asset((_BANNER + text).encode(), "text/javascript")
    # The scripts count too: another way of joining makes others of the same modules.
    digest = hashlib.sha256()
    for name, asset in files.items():
        digest.update(f"{name}\0{len(asset.data)}\0".encode() + asset.data)
    later = {name: f"{folder}/{scripts.names[path]}" for name, path in LATER.items()}
    styles = {path.name: files[name].data.decode() for name, path, _ in paths if path.parent == _STYLES}
    whole = style.joined(styles, "main.css")
    source = f"'sha256-{b64encode(hashlib.sha256(whole.encode()).digest()).decode()}'"
    return Assets(digest.hexdigest()[:16], files, later, whole, source)
