"""The bytes of presence between nodes and in the store: entries and changes as JSON arrays. Pure, no I/O.

A change: `[sequence, previous, [[key, meta], ...], [ref, ...]]`. An entry: `[key, meta]`, its meta with `phx_ref`.
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
    """Bytes that no node of this service wrote."""


def own_copy(key: object, meta: object) -> tuple[str, Meta]:
    """A key and a meta that nobody else can change, and that are sure to be written.

    Raises TypeError if the key is no string or the meta no object, ValueError if there is no JSON for them.
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
    return _encode(entry)


def unpack_entry(data: bytes) -> Entry:
    """Raises BadPresence."""
    try:
        return _entry(*_decode_entry(data))
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BadPresence(str(error)) from error


def pack_change(change: Change) -> bytes:
    return _encode(change)


def unpack_change(data: bytes) -> Change:
    """Raises BadPresence."""
    try:
        sequence, previous, joins, leaves = _decode_change(data)
        return Change(sequence, previous, tuple(_entry(key, meta) for key, meta in joins), leaves)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BadPresence(str(error)) from error


def _entry(key: str, meta: Meta) -> Entry:
    if not isinstance(meta.get("phx_ref"), str):
        raise BadPresence("a meta without phx_ref")
    return Entry(key, meta)
