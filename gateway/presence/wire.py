"""Encodes entries and changes as JSON arrays, for other nodes and for the store. Pure, no I/O.

A change is `[sequence, previous, [[key, meta], ...], [ref, ...]]`. An entry is `[key, meta]`; its meta has `phx_ref`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.presence.state import Change, Entry, Meta

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_decode_entry = msgspec.json.Decoder(tuple[str, dict[str, Any]]).decode
_decode_change = msgspec.json.Decoder(tuple[int, int, tuple[tuple[str, dict[str, Any]], ...], tuple[str, ...]]).decode


class BadPresence(ValueError):
    """The bytes do not come from a node of this service."""


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
        return _entry(*_decode_entry(data))
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BadPresence(str(error)) from error


def pack_change(change: Change) -> bytes:
    """Returns the change as JSON."""
    return _encode(change)


def unpack_change(data: bytes) -> Change:
    """Returns the change in the bytes. Raises BadPresence."""
    try:
        sequence, previous, joins, leaves = _decode_change(data)
        return Change(sequence, previous, tuple(_entry(key, meta) for key, meta in joins), leaves)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BadPresence(str(error)) from error


def _entry(key: str, meta: Meta) -> Entry:
    if not isinstance(meta.get("phx_ref"), str):
        raise BadPresence("a meta without phx_ref")
    return Entry(key, meta)
