"""Encodes entries and changes as JSON arrays, for other nodes and for the store. Pure, no I/O.

A change is `[sequence, previous, [[key, meta], ...], [ref, ...]]`. An entry is `[key, meta]`; its meta has `phx_ref`.
An element behind these would be the version (shared/events/formats.py).
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.presence.state import Change, Entry, Meta
from shared.events import formats
from shared.events.formats import LaterFormat

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class _Entry(msgspec.Struct, array_like=True):
    key: str
    meta: dict[str, Any]
    version: int = 1


class _Change(msgspec.Struct, array_like=True):
    sequence: int
    previous: int
    joins: tuple[_Entry, ...]
    leaves: tuple[str, ...]
    version: int = 1


_decode_entry = msgspec.json.Decoder(_Entry).decode
_decode_change = msgspec.json.Decoder(_Change).decode


class BadPresence(ValueError):
    """The bytes do not come from a node of this service, or only a later release can read them."""


def own_copy(key: object, meta: object) -> tuple[str, Meta]:
    """Returns the key, and a copy of the meta that nobody else can change and that can be encoded.

    Raises TypeError if the key is not a string or the meta is not an object, ValueError if JSON cannot express them.
    """
    if not isinstance(key, str):
        raise TypeError(f"a presence's key is a string, not {type(key).__name__}")
    if not isinstance(meta, dict):
        raise TypeError(f"a presence's meta is an object, not {type(meta).__name__}")
    try:
        copy = _decode(_encode((key, meta)))[1]
    except RecursionError as error:
        raise ValueError("a presence's meta is nested too deeply") from error
    return key, copy


def pack_entry(entry: Entry) -> bytes:
    """Returns the entry as JSON."""
    return _encode(entry)


def unpack_entry(data: bytes) -> Entry:
    """Returns the entry in the bytes. Raises BadPresence."""
    try:
        return _entry(_decode_entry(data))
    except (msgspec.MsgspecError, RecursionError, LaterFormat) as error:
        raise BadPresence(str(error)) from error


def pack_change(change: Change) -> bytes:
    """Returns the change as JSON."""
    return _encode(change)


def unpack_change(data: bytes) -> Change:
    """Returns the change in the bytes. Raises BadPresence."""
    try:
        change = _decode_change(data)
        formats.check(change.version)
        return Change(change.sequence, change.previous, tuple(map(_entry, change.joins)), change.leaves)
    except (msgspec.MsgspecError, RecursionError, LaterFormat) as error:
        raise BadPresence(str(error)) from error


def _entry(read: _Entry) -> Entry:
    formats.check(read.version)
    if not isinstance(read.meta.get("phx_ref"), str):
        raise BadPresence("a meta without phx_ref")
    return Entry(read.key, read.meta)
