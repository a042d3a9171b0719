"""Presence as bytes: whatever is packed is unpacked unchanged, and malformed bytes are refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.presence.state import Change, Entry
from gateway.presence.wire import BadPresence, own_copy, pack_change, pack_entry, unpack_change, unpack_entry

text = st.text(st.characters(exclude_categories=["Cs"]))
json: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner) | st.dictionaries(text, inner),
    max_leaves=10,
)
entries = st.builds(
    lambda key, meta, ref: Entry(key, {**meta, "phx_ref": ref}), text, st.dictionaries(text, json), text
)


@given(entries)
def test_an_entry_is_unpacked_unchanged(entry: Entry) -> None:
    assert unpack_entry(pack_entry(entry)) == entry


@given(
    st.builds(
        Change, st.integers(0, 2**62), st.integers(0, 2**62), st.lists(entries).map(tuple), st.lists(text).map(tuple)
    )
)
def test_a_change_is_unpacked_unchanged(change: Change) -> None:
    assert unpack_change(pack_change(change)) == change


@given(st.binary() | json.map(lambda value: pack_entry(Entry("", {"v": value}))))
def test_malformed_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(BadPresence):
        unpack_change(data)
    with pytest.raises(BadPresence):
        unpack_entry(data)


def test_what_a_later_release_adds_is_ignored_and_a_later_version_is_refused() -> None:
    entry = Entry("a", {"phx_ref": "r"})
    assert unpack_entry(b'["a",{"phx_ref":"r"},1,"more"]') == entry
    assert unpack_change(b'[2,1,[["a",{"phx_ref":"r"},1]],["q"],1,"more"]') == Change(2, 1, (entry,), ("q",))
    for later in (b'["a",{"phx_ref":"r"},2]', b"[2,1,[],[],2]", b'[2,1,[["a",{"phx_ref":"r"},2]],[]]'):
        unpack = unpack_change if later.startswith(b"[2") else unpack_entry
        with pytest.raises(BadPresence, match="version 2"):
            unpack(later)


def test_a_meta_nested_too_deeply_is_refused() -> None:
    meta: dict[str, Any] = {}
    for _ in range(100_000):
        meta = {"m": meta}
    with pytest.raises(ValueError, match="nested"):
        own_copy("key", meta)
