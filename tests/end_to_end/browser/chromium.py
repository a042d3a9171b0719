"""Finds Chromium; its flags switch off the GPU, QUIC and its own background requests.

The headless shell is preferred: it is the same browser without what a screen needs, and takes half the CPU time.
"""

from __future__ import annotations

import shutil

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome-stable", "google-chrome")

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
    """The path of the machine's Chromium; None without one."""
    return next((path for path in map(shutil.which, NAMES) if path), None)
