"""What text may be kept: Postgres has no NUL, and UTF-8 no lone surrogates, though JSON can spell both. Pure."""

from __future__ import annotations


def is_storable(text: str) -> bool:
    """Whether Postgres can keep it, exactly as it is."""
    if "\x00" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def text_fault(text: str, longest: int) -> str | None:
    """Why this is no text of 1 to `longest` characters that says something, or None if it is one."""
    if not text or text.isspace():
        return "Must not be blank."
    if len(text) > longest:
        return f"Longer than {longest} characters."
    if not is_storable(text):
        return "Contains characters that cannot be stored."
    return None
