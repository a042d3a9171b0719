"""What a later release adds is read, and what only it can read is told apart from a forgery."""

from __future__ import annotations

import pytest

from shared.events.envelope import BadEnvelope, Envelope, pack, unpack
from shared.events.formats import READ, WRITTEN, LaterFormat

ENVELOPE = Envelope("node", "send", b"{}")


def test_a_release_reads_what_it_writes() -> None:
    assert WRITTEN <= READ
    assert unpack(pack(ENVELOPE)) == ENVELOPE


def test_an_envelope_has_the_form_of_version_1_of_the_release_before() -> None:
    assert pack(ENVELOPE) == b'["node","send","json"]\n{}'


@pytest.mark.parametrize("header", [b'["node","send","json","",1]', b'["node","send","json","",1,"more",{"a":[]}]'])
def test_what_a_later_release_adds_to_an_envelope_is_ignored(header: bytes) -> None:
    assert unpack(header + b"\n{}") == ENVELOPE


def test_an_envelope_that_only_a_later_release_reads_is_told_apart() -> None:
    with pytest.raises(LaterFormat, match=f"version {READ + 1}"):
        unpack(b'["node","send","new kind","",%d]\n{}' % (READ + 1))
    with pytest.raises(BadEnvelope):
        unpack(b'["node","send","json","","one"]\n{}')
