"""Tests the reader of WebSocket frames by RFC 6455.

The tables restate the cases of the Autobahn test suite's groups 1 to 7, 9 and 10, as data.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterable
from functools import partial
from itertools import pairwise
from time import process_time

import pytest
from aiohttp._websocket.helpers import _websocket_mask_python, websocket_mask
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.protocol.close_codes import INVALID_TEXT, PROTOCOL_ERROR, TOO_LARGE, Close
from gateway.protocol.websocket_reader import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    VIOLATION,
    WebSocketReader,
)
from tests.protocol.websocket_frames import HEARTBEAT, LIMIT, MASK, frame, masked, new_reader, read

Seen = list[tuple[int, bytes] | Close]

PART: tuple[int, bytes] | Close = (CONTINUATION, b"")
"""What the reader returns for a fragment that is not the last."""

HELLO = "Hello-µ@ßöäüàá-UTF-8!!".encode()


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def fragments(opcode: int, payload: bytes, size: int) -> bytes:
    """A message in fragments of `size` bytes."""
    parts = cut(payload, size)
    return b"".join(
        frame(opcode if number == 0 else CONTINUATION, part, fin=number == len(parts) - 1)
        for number, part in enumerate(parts)
    )


# Groups 1 and 9: messages of each size, sent whole and in pieces

SIZES = [0, 1, 2, 124, 125, 126, 127, 128, 255, 256, 65_535, 65_536, 65_537, LIMIT]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("chop", [None, 997, 13], ids=["in one piece", "in pieces", "in small pieces"])
def test_a_message_of_any_size_arrives_whole(opcode: int, size: int, chop: int | None) -> None:
    payload = b"*" * size if opcode == TEXT else bytes(index * 7 % 256 for index in range(size))
    data = frame(opcode, payload)
    assert read([data] if chop is None else cut(data, chop)) == [(opcode, payload)]


@pytest.mark.parametrize("size", [64, 256, 1024, 4096, 16_384, 65_536])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_message_in_fragments_arrives_whole(opcode: int, size: int) -> None:
    payload = b"*" * LIMIT
    seen = read(cut(fragments(opcode, payload, size), 5000))
    assert seen[-1] == (opcode, payload)
    assert set(seen[:-1]) == {PART}


# Group 10: a message in fragments that are cut at another size


def test_a_message_is_put_together_from_fragments_that_arrive_cut_elsewhere() -> None:
    payload = b"*" * 65_536
    assert read(cut(fragments(TEXT, payload, 1300), 1500))[-1] == (TEXT, payload)


# The rules, one case a line: what is sent, and what the reader returns


def begin(payload: bytes = b"") -> bytes:
    """The first fragment of a text."""
    return frame(TEXT, payload, fin=False)


def more(payload: bytes = b"") -> bytes:
    """A fragment that is neither the first nor the last."""
    return frame(CONTINUATION, payload, fin=False)


text, binary, close = partial(frame, TEXT), partial(frame, BINARY), partial(frame, CLOSE)
ping, pong, last = partial(frame, PING), partial(frame, PONG), partial(frame, CONTINUATION)

NAMES = {"text": TEXT, "binary": BINARY, "ping": PING, "pong": PONG, "close": CLOSE}
UNKNOWN = (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
GOOD_CODES = (1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999)
BAD_CODES = (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
BEFORE = (TEXT, HEARTBEAT)
F1, F2 = HEARTBEAT[:10], HEARTBEAT[10:]
WHOLE = (TEXT, HEARTBEAT)
TEN_PINGS = b"".join(ping(b"%d" % number) for number in range(10))
FIVE = [
    begin(b"["),
    more(HEARTBEAT[1:9]),
    ping(b"p1"),
    more(),
    more(HEARTBEAT[9:20]),
    ping(b"p2"),
    last(HEARTBEAT[20:]),
]
FIVE_SEEN: Seen = [PART, PART, (PING, b"p1"), PART, PART, (PING, b"p2"), WHOLE]
TEN_SEEN: Seen = [(PING, b"%d" % number) for number in range(10)]

CASES: dict[str, tuple[list[bytes], Seen]] = {
    # Group 2: pings and pongs
    "2.1 a ping without payload": ([ping()], [(PING, b"")]),
    "2.2 a ping with a text": ([ping(b"Hello, world!")], [(PING, b"Hello, world!")]),
    "2.3 a ping with bytes": (
        [ping(b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff")],
        [(PING, b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff")],
    ),
    "2.4 a ping of 125 bytes": ([ping(b"\xfe" * 125)], [(PING, b"\xfe" * 125)]),
    "2.5 a ping of 126 bytes": ([ping(b"\xfe" * 126)], [PROTOCOL_ERROR]),
    "2.5 a ping of 70,000 bytes": ([ping(b"\xfe" * 70_000)], [PROTOCOL_ERROR]),
    "2.6 a ping byte by byte": (cut(ping(b"\xfe" * 125), 1), [(PING, b"\xfe" * 125)]),
    "2.7 a pong without payload": ([pong()], [(PONG, b"")]),
    "2.8 a pong with payload": ([pong(b"unsolicited")], [(PONG, b"unsolicited")]),
    "2.9 a pong, then a ping": ([pong(b"p") + ping(b"q")], [(PONG, b"p"), (PING, b"q")]),
    "2.10 ten pings": ([TEN_PINGS], TEN_SEEN),
    "2.11 ten pings byte by byte": (cut(TEN_PINGS, 1), TEN_SEEN),
    # Group 3: reserved bits
    **{
        f"3.{rsv} reserved bits {rsv:03b} on {name}": (
            [text(HEARTBEAT) + frame(opcode, b"x", rsv=rsv) + ping()],
            [BEFORE, PROTOCOL_ERROR],
        )
        for rsv in range(1, 8)
        for name, opcode in NAMES.items()
    },
    # Group 4: opcodes
    **{
        f"4 opcode {opcode}": ([text(HEARTBEAT) + frame(opcode, payload) + ping()], [BEFORE, PROTOCOL_ERROR])
        for opcode in UNKNOWN
        for payload in (b"", b"x")
    },
    # Group 5: fragments
    "5.1 a ping in fragments": ([ping(b"f1", fin=False) + last(b"f2")], [PROTOCOL_ERROR]),
    "5.2 a pong in fragments": ([pong(b"f1", fin=False) + last(b"f2")], [PROTOCOL_ERROR]),
    "5.2 a close in fragments": ([close(b"\x03", fin=False) + last(b"\xe8")], [PROTOCOL_ERROR]),
    "5.3 two fragments": ([begin(F1) + last(F2)], [PART, WHOLE]),
    "5.4 two fragments, each by itself": ([begin(F1), last(F2)], [PART, WHOLE]),
    "5.5 two fragments byte by byte": (cut(begin(F1) + last(F2), 1), [PART, WHOLE]),
    "5.6 a ping between fragments": ([begin(F1) + ping(b"p") + last(F2)], [PART, (PING, b"p"), WHOLE]),
    "5.7 a ping between fragments, each by itself": (
        [begin(F1), ping(b"p"), last(F2)],
        [PART, (PING, b"p"), WHOLE],
    ),
    "5.8 a ping between fragments byte by byte": (
        cut(begin(F1) + ping(b"p") + last(F2), 1),
        [PART, (PING, b"p"), WHOLE],
    ),
    "5.9 a last continuation of nothing, then a text": ([last(b"x") + text(b"y")], [PROTOCOL_ERROR]),
    "5.10 the same, each by itself": ([last(b"x"), text(b"y")], [PROTOCOL_ERROR]),
    "5.11 the same byte by byte": (cut(last(b"x") + text(b"y"), 1), [PROTOCOL_ERROR]),
    "5.12 a continuation of nothing, then a text": ([more(b"x") + text(b"y")], [PROTOCOL_ERROR]),
    "5.13 the same, each by itself": ([more(b"x"), text(b"y")], [PROTOCOL_ERROR]),
    "5.14 the same byte by byte": (cut(more(b"x") + text(b"y"), 1), [PROTOCOL_ERROR]),
    "5.15 a continuation after a whole message": (
        [begin(F1) + last(F2) + more(b"f3") + text(b"f4")],
        [PART, WHOLE, PROTOCOL_ERROR],
    ),
    "5.16 a continuation of nothing before a message": ([more(F1) + begin(F2)], [PROTOCOL_ERROR]),
    "5.17 a last continuation of nothing before a message": ([(last(F1) + begin(F1) + last(F2)) * 2], [PROTOCOL_ERROR]),
    "5.18 a text within a text": ([begin(F1) + text(F2)], [PART, PROTOCOL_ERROR]),
    "5.18 a binary within a text": ([begin(F1) + binary(F2)], [PART, PROTOCOL_ERROR]),
    "5.18 a fragmented text within a text": ([begin(F1) + begin(F2)], [PART, PROTOCOL_ERROR]),
    "5.18 a text within a text whose first fragment is empty": ([begin(b"") + text(F2)], [PART, PROTOCOL_ERROR]),
    "5.19 pings between five fragments": ([b"".join(FIVE)], FIVE_SEEN),
    "5.20 the same, each by itself": (FIVE, FIVE_SEEN),
    "5 a close within a message": ([begin(b"f1") + close() + last(b"f2")], [PART, (CLOSE, b"")]),
    "5 a binary in fragments": ([binary(b"\xff", fin=False) + last(b"\xfe")], [PART, (BINARY, b"\xff\xfe")]),
    # Group 6: UTF-8, whole and in fragments
    "6.1 an empty text": ([text()], [(TEXT, b"")]),
    "6.1 three empty fragments": ([begin() + more() + last()], [PART, PART, (TEXT, b"")]),
    "6.1 a fragment between empty ones": ([begin() + more(b"middle") + last()], [PART, PART, (TEXT, b"middle")]),
    "6.2 UTF-8 whole": ([text(HELLO)], [(TEXT, HELLO)]),
    "6.2 UTF-8 in two fragments between characters": ([begin(HELLO[:6]) + last(HELLO[6:])], [PART, (TEXT, HELLO)]),
    "6.2 UTF-8 in fragments of one byte": ([fragments(TEXT, HELLO, 1)], [PART] * (len(HELLO) - 1) + [(TEXT, HELLO)]),
    "6.3 bad UTF-8 whole": ([text(HELLO + b"\xed\xa0\x80edited")], [INVALID_TEXT]),
    "6.3 bad UTF-8 in fragments of one byte": (
        [fragments(TEXT, b"\xce\xbaok\xed\xa0\x80edited", 1)],
        [PART] * 6 + [INVALID_TEXT],
    ),
    "6.4 bad UTF-8 in the first fragment": ([begin(b"\xce\xba\xf4\x90\x80\x80")], [INVALID_TEXT]),
    "6.4 bad UTF-8 across fragments": ([begin(b"\xce\xba\xf4") + more(b"\x90")], [PART, INVALID_TEXT]),
    "6 a character that never ends": ([begin(b"\xf0\x9f") + last(b"\x98")], [PART, INVALID_TEXT]),
    "6 a character that an ASCII fragment breaks": ([begin(b"\xf0\x9f") + last(b"ab")], [PART, INVALID_TEXT]),
    "6 a character that an empty last fragment cuts off": ([begin(b"\xf0\x9f") + last()], [PART, INVALID_TEXT]),
    "6 a ping within a character": (
        [begin(b"\xc2") + ping() + last(b"\xb5")],
        [PART, (PING, b""), (TEXT, b"\xc2\xb5")],
    ),
    "6 what is no UTF-8 may be sent as binary": ([binary(b"\xff")], [(BINARY, b"\xff")]),
    # Group 7: closes
    "7.1.1 a close after a text": ([text(HEARTBEAT) + close()], [BEFORE, (CLOSE, b"")]),
    "7.1.2 two closes": ([close() + close()], [(CLOSE, b"")]),
    "7.1.3 a ping after a close": ([close() + ping()], [(CLOSE, b"")]),
    "7.1.4 a text after a close": ([close(), text(b"Hello World!")], [(CLOSE, b"")]),
    "7.1.5 a fragment before a close and one after": ([begin(b"f1"), close(), last(b"f2")], [PART, (CLOSE, b"")]),
    "7.1.6 a text of 65,000 bytes, a text, a close and a ping": (
        [text(HEARTBEAT.ljust(65_000)) + text(HEARTBEAT) + close(b"\x03\xe8") + ping()],
        [(TEXT, HEARTBEAT.ljust(65_000)), BEFORE, (CLOSE, b"\x03\xe8")],
    ),
    "7.3.1 a close without payload": ([close()], [(CLOSE, b"")]),
    "7.3.2 a close of one byte": ([close(b"\x03")], [PROTOCOL_ERROR]),
    "7.3.3 a close with a code": ([close(b"\x03\xe8")], [(CLOSE, b"\x03\xe8")]),
    "7.3.4 a close with a reason": ([close(b"\x03\xe8Hello World!")], [(CLOSE, b"\x03\xe8Hello World!")]),
    "7.3.5 a close with the longest reason": ([close(b"\x03\xe8" + b"*" * 123)], [(CLOSE, b"\x03\xe8" + b"*" * 123)]),
    "7.3.6 a close with a longer reason": ([close(b"\x03\xe8" + b"*" * 124)], [PROTOCOL_ERROR]),
    "7.5.1 a close with a reason that is no UTF-8": ([close(b"\x03\xe8\xce\xba\xed\xa0\x80edited")], [INVALID_TEXT]),
    **{f"7.7 a close with {code}": ([close(code.to_bytes(2))], [(CLOSE, code.to_bytes(2))]) for code in GOOD_CODES},
    **{f"7.9 a close with {code}": ([close(code.to_bytes(2))], [PROTOCOL_ERROR]) for code in BAD_CODES},
    # Masks (5.1): each frame of a client has one
    **{
        f"no mask on {name} of {len(payload)}": (
            [text(HEARTBEAT) + frame(opcode, payload, mask=None) + ping()],
            [BEFORE, PROTOCOL_ERROR],
        )
        for name, opcode in {**NAMES, "continuation": CONTINUATION}.items()
        for payload in (b"", b"x" * 100, b"x" * 70_000)
    },
    "no mask on a continuation within a message": ([begin(b"f1") + last(b"f2", mask=None)], [PART, PROTOCOL_ERROR]),
    "a mask of zeros": ([text(b"x", mask=bytes(4))], [(TEXT, b"x")]),
    # Lengths (5.2): the shortest form, and no sign
    "one byte in the form of two": ([text(b"x" * 125, bytes_of_size=2)], [PROTOCOL_ERROR]),
    "no bytes in the form of eight": ([text(b"", bytes_of_size=8)], [PROTOCOL_ERROR]),
    "two bytes in the form of eight": ([text(b"x" * 65_535, bytes_of_size=8)], [PROTOCOL_ERROR]),
    "a length with the highest bit": ([b"\x82\xff" + b"\x80" + bytes(7) + MASK], [PROTOCOL_ERROR]),
    # Violations are found before the rest of the frame is there
    "two bytes are enough for a missing mask": ([b"\x81\x05"], [PROTOCOL_ERROR]),
    "two bytes are enough for a long ping": ([b"\x89\xfe"], [PROTOCOL_ERROR]),
    "two bytes are enough for a bad opcode": ([b"\x83\x80"], [PROTOCOL_ERROR]),
    "the length is enough for a large message": ([b"\x82\xff" + (2**62).to_bytes(8)], [TOO_LARGE]),
    # Sizes
    "a message of the largest size": ([text(b"x" * LIMIT)], [(TEXT, b"x" * LIMIT)]),
    "a message of one byte more": ([text(b"x" * (LIMIT + 1))[:20]], [TOO_LARGE]),
    "fragments of the largest size": (
        [begin(b"x" * (LIMIT - 1)) + last(b"y")],
        [PART, (TEXT, b"x" * (LIMIT - 1) + b"y")],
    ),
    "fragments of one byte more": ([begin(b"x" * (LIMIT - 1)) + last(b"yz")], [PART, TOO_LARGE]),
    "a ping within a message that may not grow": (
        [begin(b"x" * LIMIT) + ping(b"p" * 125) + last()],
        [PART, (PING, b"p" * 125), (TEXT, b"x" * LIMIT)],
    ),
    "two messages of the largest size": (
        [binary(b"x" * LIMIT, fin=False) + last() + binary(b"y" * LIMIT)],
        [PART, (BINARY, b"x" * LIMIT), (BINARY, b"y" * LIMIT)],
    ),
}


@pytest.mark.parametrize(("sent", "seen"), CASES.values(), ids=CASES.keys())
def test_frames_mean_what_the_rfc_says(sent: list[bytes], seen: Seen) -> None:
    assert read(sent) == seen
    if sum(map(len, sent)) < 3000:
        assert read(cut(b"".join(sent), 1)) == seen


# The sequences of Autobahn's group 6.5 to 6.23, and of Kuhn's test of UTF-8 decoders

KOSME = "\u03ba\u1f79\u03c3\u03bc\u03b5"
GOOD_UTF8 = [
    KOSME, "hello$world", "hello¢world", "hello€world", "hello\U00024b62world",
    *(KOSME[:size] for size in range(1, 5)),
    "\u0000", "\u007f", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\ufdd0", "\ufffd", "\ufffe", "\uffff",
    "\U00010000", "\U0010ffff", "\ufeff", "😀" * 50,
    *(chr(plane << 16 | low) for plane in range(1, 17) for low in (0xFFFE, 0xFFFF)),
]  # fmt: skip
"""Correct text, the first and the last character of each length, and what is no character but may be sent."""
CUT_OFF = [
    b"\xc0", b"\xe0\x80", b"\xf0\x80\x80", b"\xf8\x80\x80\x80", b"\xfc\x80\x80\x80\x80",
    b"\xdf", b"\xef\xbf", b"\xf7\xbf\xbf", b"\xfb\xbf\xbf\xbf", b"\xfd\xbf\xbf\xbf\xbf",
]  # fmt: skip
"""Sequences of each length without their last byte: the smallest and the largest."""
OVERLONG = [
    bytes(head) + b"\x80" * zeros + last
    for last in (b"\xaf", b"\x80")
    for head, zeros in (((0xE0, 0x80), 0), ((0xF0, 0x80), 1), ((0xF8, 0x80), 2), ((0xFC, 0x80), 3))
]
HIGH = [b"\xed\xa0\x80", b"\xed\xad\xbf", b"\xed\xae\x80", b"\xed\xaf\xbf"]
LOW = [b"\xed\xb0\x80", b"\xed\xbe\x80", b"\xed\xbf\xbf"]
"""Halves of pairs of UTF-16."""
BAD_UTF8 = [
    *(KOSME.encode()[:size] for size in (1, 3, 4, 6, 8, 10)),
    b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80", b"\xf7\xbf\xbf\xbf", b"\xfb\xbf\xbf\xbf\xbf",
    b"\xfd\xbf\xbf\xbf\xbf\xbf", b"\xf4\x90\x80\x80", b"\xc2", b"\xe0\xa0", b"\xf0\x90\x80",
    *((b"\x80\xbf" * 3)[:size] for size in range(1, 7)), b"\xbf", bytes(range(0x80, 0xC0)),
    *(b" ".join(bytes((start,)) for start in range(first, last + 1)) + b" "
      for first, last in ((0xC0, 0xDF), (0xE0, 0xEF), (0xF0, 0xF7), (0xF8, 0xFB), (0xFC, 0xFD))),
    *(bytes((start,)) for start in (0xC1, 0xF5, 0xFE, 0xFF)), b"\xfe\xfe\xff\xff",
    *CUT_OFF, b"".join(CUT_OFF), *OVERLONG, b"\xc0\xaf", b"\xc0\x80",
    b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf", b"\xf8\x87\xbf\xbf\xbf", b"\xfc\x83\xbf\xbf\xbf\xbf",
    *HIGH, *LOW, *(high + low for high in HIGH for low in LOW),
]  # fmt: skip


@pytest.mark.parametrize("text", GOOD_UTF8)
def test_every_character_may_be_sent_whole_or_cut_between_fragments(text: str) -> None:
    payload = text.encode("utf-8")
    assert read([frame(TEXT, payload)]) == [(TEXT, payload)]
    for size in range(1, min(len(payload), 5) + 1):
        assert read([fragments(TEXT, payload, size)])[-1] == (TEXT, payload)


@pytest.mark.parametrize("payload", BAD_UTF8)
def test_bad_utf8_is_found_whole_or_cut_between_fragments(payload: bytes) -> None:
    for around in (payload, b"before " + payload + b" behind"):
        assert read([frame(TEXT, around)]) == [INVALID_TEXT]
        for size in range(1, 6):
            assert read([fragments(TEXT, around, size)])[-1] == INVALID_TEXT
        assert read([frame(BINARY, around)]) == [(BINARY, around)]


# Any bytes

opcodes = st.sampled_from([CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG])
payloads = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=100).map(lambda text: text.encode()),
    st.integers(0, 70_000).map(lambda size: b"z" * size),
    st.sampled_from([b"\x03\xe8", b"\x03\xee", b"\x03\xe8bye", b"\x03"]),
)
good_frames = st.builds(frame, opcodes, payloads, fin=st.booleans(), mask=st.binary(min_size=4, max_size=4))
any_frames = st.builds(
    frame,
    st.integers(0, 15),
    payloads,
    fin=st.booleans(),
    rsv=st.sampled_from([0] * 9 + [1]),
    mask=st.sampled_from([MASK, None]),
)
streams = st.lists(st.one_of(good_frames, any_frames, st.binary(max_size=30)), max_size=12).map(b"".join)
sessions = st.lists(good_frames, max_size=12).map(b"".join)


def pieces(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    places = sorted({place % (len(data) + 1) for place in cuts} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(places)]


@given(st.one_of(streams, sessions), st.lists(st.integers(0, 2**20), max_size=20))
def test_bytes_cut_anywhere_mean_the_same_as_in_one_piece(data: bytes, cuts: list[int]) -> None:
    assert read(pieces(data, cuts)) == read([data])


@settings(max_examples=50)
@given(st.binary(max_size=300))
def test_any_bytes_one_by_one_raise_nothing(data: bytes) -> None:
    assert read(cut(data, 1)) == read([data])


@given(
    st.lists(
        st.tuples(st.sampled_from([TEXT, BINARY]), st.text(max_size=300), st.integers(1, 50), st.booleans()), max_size=8
    )
)
def test_every_message_that_is_sent_is_read(sent: list[tuple[int, str, int, bool]]) -> None:
    data, expected = b"", []
    for opcode, text, size, has_ping in sent:
        payload = text.encode()
        parts = cut(payload, size) or [b""]
        for number, part in enumerate(parts):
            data += frame(opcode if number == 0 else CONTINUATION, part, fin=number == len(parts) - 1)
            if has_ping:
                data += frame(PING, b"p")
        expected.append((opcode, payload))
    assert [event for event in read([data]) if isinstance(event, tuple) and event[0] in (TEXT, BINARY)] == expected


@given(streams, st.integers(1, 5000))
def test_no_message_is_larger_than_the_limit(data: bytes, limit: int) -> None:
    for event in read(cut(data, 1000), limit):
        if isinstance(event, tuple) and event[0] in (TEXT, BINARY):
            assert len(event[1]) <= limit


def kept(reader: WebSocketReader) -> int:
    """The bytes that the reader keeps."""
    values = [getattr(reader, name, None) for name in WebSocketReader.__slots__]
    return sum(len(value) for value in values if isinstance(value, bytes | bytearray))


@given(streams, st.integers(1, 5000), st.integers(1, 3000))
def test_no_more_bytes_are_kept_than_the_limit_a_frame_and_what_was_fed(data: bytes, limit: int, size: int) -> None:
    reader = new_reader(limit)
    for piece in cut(data, size):
        reader.feed(piece)
        assert kept(reader) <= limit + len(piece) + 300
        while reader.next() is not None:
            assert kept(reader) <= limit + len(piece) + 300
        # A head of at most 14 bytes, a control frame of at most 125, and the parts of a character.
        assert kept(reader) <= limit + 160


@given(st.binary(min_size=4, max_size=4), st.binary(max_size=300))
@pytest.mark.parametrize("unmask", [websocket_mask, _websocket_mask_python])
def test_a_payload_is_unmasked_by_every_routine(
    unmask: Callable[[bytes, bytearray], object], mask: bytes, payload: bytes
) -> None:
    reader = WebSocketReader(1000, unmask)
    reader.feed(frame(BINARY, payload, mask=mask))
    assert reader.next() == (BINARY, payload)


# Memory and time


def test_nothing_is_read_after_the_end() -> None:
    for last in (frame(CLOSE), frame(TEXT, mask=None)):
        reader = new_reader()
        reader.feed(frame(TEXT, b"x" * 5000, fin=False) + last + b"y" * 5000)
        while reader.next() is not None:
            pass
        reader.feed(b"z" * 5000)
        assert (reader.next(), reader.has_bytes) == (None, False)


def memory_of(feed: Callable[[WebSocketReader], None]) -> int:
    """The most bytes that are allocated while `feed` runs, and that were not before."""
    reader = WebSocketReader(1_000_000, websocket_mask)
    tracemalloc.start()
    try:
        feed(reader)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_large_length_alone_allocates_nothing() -> None:
    def feed(reader: WebSocketReader) -> None:
        reader.feed(b"\x82\xff" + (1_000_000).to_bytes(8) + MASK + b"x")
        assert reader.next() is None

    assert memory_of(feed) < 10_000


def test_fragments_need_little_more_memory_than_their_bytes() -> None:
    part = frame(CONTINUATION, b"x", fin=False)

    def feed(reader: WebSocketReader) -> None:
        reader.feed(frame(BINARY, b"", fin=False))
        for _ in range(100_000):
            reader.next()
            reader.feed(part)

    assert memory_of(feed) < 300_000


def test_a_message_that_never_ends_is_kept_once() -> None:
    part = frame(BINARY, b"x" * 999_990)

    def feed(reader: WebSocketReader) -> None:
        for start in range(0, len(part) - 10, 50_000):
            reader.feed(part[start : min(start + 50_000, len(part) - 10)])
            assert reader.next() is None

    assert memory_of(feed) < 2_600_000


def seconds_of(data: list[bytes], limit: int = 10_000_000) -> float:
    """The CPU seconds that a reader takes."""
    reader = WebSocketReader(limit, websocket_mask)
    before = process_time()
    for piece in data:
        reader.feed(piece)
        while reader.next() is not None:
            pass
    return process_time() - before


def test_the_time_grows_with_the_number_of_fragments_and_not_faster() -> None:
    def flood(count: int) -> list[bytes]:
        parts = frame(BINARY, b"x", fin=False) + frame(CONTINUATION, b"x", fin=False) * (count - 1)
        return cut(parts, 65_536)

    few, many = min(seconds_of(flood(10_000)) for _ in range(3)), min(seconds_of(flood(100_000)) for _ in range(3))
    assert many < 30 * few


def test_the_time_grows_with_the_size_of_a_message_that_comes_in_small_pieces_and_not_faster() -> None:
    def drip(size: int) -> list[bytes]:
        return cut(frame(BINARY, b"x" * size), 20)

    few, many = min(seconds_of(drip(200_000)) for _ in range(3)), min(seconds_of(drip(2_000_000)) for _ in range(3))
    assert many < 30 * few


def test_the_masks_of_the_tests_are_those_of_the_rfc() -> None:
    # The examples of RFC 6455 (5.7).
    assert frame(TEXT, b"Hello") == b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
    assert masked(b"\x7f\x9f\x4d\x51\x58") == b"Hello"
    assert read([b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"]) == [(TEXT, b"Hello")]
    assert read([b"\x81\x05\x48\x65\x6c\x6c\x6f"]) == [PROTOCOL_ERROR]
    assert VIOLATION not in range(16)
