"""The bytes of a page: the same text with one tag, plain and in gzip."""

from __future__ import annotations

import gzip

import pytest

from api.pages.document import Middle, gzipped_page_of, page_of

MIDDLES = {"none": b"", "short": b"<style>", "longer than zlib's window": bytes(range(256)) * 300}


@pytest.mark.parametrize("middle", MIDDLES.values(), ids=MIDDLES.keys())
@pytest.mark.parametrize("behind", [b"", b"<style>and more", b"car " * 30_000])
def test_the_compressed_page_is_the_same_text(middle: bytes, behind: bytes) -> None:
    shared = Middle(middle)
    for before in (b"", b"<title>A car</title>"):
        plain, packed = page_of(before, shared, behind), gzipped_page_of(before, shared, behind)
        assert plain.body == before + middle + behind
        assert gzip.decompress(packed.body) == plain.body
        assert plain.tag == packed.tag


def test_what_repeats_the_middle_takes_few_bytes() -> None:
    words = b" ".join(b"%d" % (number * 7919) for number in range(1000))
    page = gzipped_page_of(b"", Middle(words), words)
    assert page.own_bytes < len(page.middle) / 10


def test_every_part_counts_in_the_tag() -> None:
    tags = {
        page_of(before, Middle(middle), behind).tag
        for before in (b"1", b"2") for middle in (b"", b"1", b"2") for behind in (b"3", b"4")
    }  # fmt: skip
    assert len(tags) == 12
