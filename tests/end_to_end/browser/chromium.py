"""Where Chromium is, and the flags that keep it quiet: no GPU, no QUIC, nothing of its own in the background."""

from __future__ import annotations

import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find_chromium() -> str | None:
    """The machine's own, or None."""
    return next((path for path in map(shutil.which, NAMES) if path), None)
