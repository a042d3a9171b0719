"""Tells whether a picture is a copy of another: compressed anew, scaled, mirrored, or cropped by a tenth of its sides.

A picture's likeness is a small grey print of it, and its lowest frequencies (the coefficients of a DCT, as in
perceptual hashes). A crop moves the frequencies in four directions, one for each side, by about as much as it takes
away. So copies are found in three steps, each of which is finer and is done for fewer pictures:

- The lowest frequencies of a copy are within `reach` of the original's. An index of Postgres finds such pictures.
- What a crop can move is left out, and the rest of the frequencies is compared: `likeliest`.
- The prints are laid over each other, so that they differ as little as possible: `is_copy`.

Copies are looked for as the picture is and mirrored: `looks`.

Pure functions on pixels. The worker makes the likeness when it has decoded the picture anyway.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product as combinations
from operator import mul
from typing import Final

from PIL import Image, ImageChops, ImageOps, ImageStat

from shared.domain.pictures import Likeness

SIDE: Final = 32
"""Pixels of a print's side, whatever shape the picture has. A print is these greys, row by row, and coarse colours."""
_LAID = 16
"""Prints are laid over each other at this side, at which the blur of scaling does not count."""
_FLATTEST = 6.0
"""A picture whose print differs less from one grey has no likeness: it is a blank wall, and like many others."""
_MOST_CROPPED = 0.12
_STEP, _SMALLEST_STEP = 0.03, 0.004
_MOST_LEFT = 0.09
"""The most that two prints may differ when one is laid over the other, as a share of their contrast."""
_TINTS = 4
"""The colours of a print are kept in so many columns and rows: they tell two cars of one model apart."""
_MOST_TINTED = 8.0
"""The most that these colours may differ where the prints lie over each other: the root of the mean square, of 255."""
_TINTED_SHARE = 0.75
"""The most that those of a colourful picture may differ, as a share of how much they differ among themselves."""
_FAR_TINTED = 2.0
"""How many times as much they may differ before that, since a crop shifts them too."""
_HOPELESS = 0.6
"""Prints that differ by more before they are shifted in small steps are of different pictures."""

_HIGHEST = 7
_FREQUENCIES = sorted(
    ((x, y) for x in range(_HIGHEST) for y in range(_HIGHEST) if 0 < x + y <= _HIGHEST),
    key=lambda pair: (pair[0] + pair[1], pair),
)
_INDEXED = tuple(_FREQUENCIES.index(pair) for pair in ((1, 0), (0, 1), (1, 1), (2, 0), (0, 2), (2, 1), (1, 2), (2, 2)))
_COSINES = [[math.cos(math.pi * k * (2 * n + 1) / (2 * SIDE)) for n in range(SIDE)] for k in range(_HIGHEST)]
MOST_COMPARED = 20
"""The most prints that are laid over one another for one picture."""
MOST_DIFFERENT = 0.4
"""Pictures that differ by more are never copies of each other: a crop of a tenth of each side leaves 0.38."""
_CROP = 0.1
_WIDER = 1.6
"""The picture whose copies are looked for reaches so much farther: a larger crop moves the frequencies in curves."""
_SLACK = 0.01
"""What compression moves a frequency at most."""

Frequencies = tuple[float, ...]


def likeness_of(picture: Image.Image) -> Likeness | None:
    """Returns the likeness of a decoded picture; None if there is nothing on it that could be recognised."""
    is_large = min(picture.size) >= 2 * SIDE
    resampling = Image.Resampling.BOX if is_large else Image.Resampling.LANCZOS
    small, *colours = picture.convert("RGB").resize((SIDE, SIDE), resampling).convert("YCbCr").split()
    if _contrast(small) < _FLATTEST:
        return None
    return _likeness(small, [colour.resize((_TINTS, _TINTS), Image.Resampling.BOX) for colour in colours])


def looks(print: bytes) -> list[Likeness]:
    """Returns the likenesses with which the copies of a picture are looked for: as it is, and mirrored."""
    images = [_image(print), *_tints(print)]
    found = []
    for one in (images, [ImageOps.mirror(image) for image in images]):
        seen = _likeness(one[0], one[1:])
        found.append(replace(seen, reach=tuple(_WIDER * reach for reach in seen.reach)))
    return found


def _likeness(small: Image.Image, colours: Sequence[Image.Image]) -> Likeness:
    frequencies = _frequencies(small)
    moved = [_moved(frequencies, cropped) for cropped in _cropped(small)]
    reach = tuple(sum(abs(side[at]) for side in moved) / 2 + _SLACK for at in _INDEXED)
    indexed = tuple(frequencies[at] for at in _INDEXED)
    return Likeness(b"".join(image.tobytes() for image in (small, *colours)), frequencies, indexed, reach)


def is_sound(likeness: Likeness) -> bool:
    """True if `likeness_of` may have returned it: it has the right number of finite numbers and of bytes."""
    numbers = (*likeness.frequencies, *likeness.indexed, *likeness.reach)
    lengths = (len(likeness.print), len(likeness.frequencies), len(likeness.indexed), len(likeness.reach))
    expected = (SIDE * SIDE + 2 * _TINTS * _TINTS, len(_FREQUENCIES), len(_INDEXED), len(_INDEXED))
    return lengths == expected and all(map(math.isfinite, numbers))


def likeliest(
    frequencies: Sequence[float],
    print: bytes,
    candidates: Sequence[tuple[int, Sequence[float]]],
) -> list[int]:
    """Returns the ids of the candidates that are the likeliest to be copies, the likeliest first."""
    search = _Search(frequencies, print)
    by_difference = sorted((search.difference(candidate), number) for number, candidate in candidates)
    return [number for difference, number in by_difference[:MOST_COMPARED] if difference <= MOST_DIFFERENT]


class _Search:
    """Looks for the copies of one picture."""

    def __init__(self, frequencies: Sequence[float], print: bytes) -> None:
        self._frequencies = frequencies
        moved = [_moved(frequencies, cropped) for cropped in _cropped(_image(print))]
        self._directions = _orthonormal(moved)

    def difference(self, frequencies: Sequence[float]) -> float:
        """Returns how far another picture is from this one, apart from what a crop may have moved; 0 is the same."""
        apart = [a - b for a, b in zip(self._frequencies, frequencies, strict=True)]
        by_crops = sum(_product(apart, direction) ** 2 for direction in self._directions)
        return _product(apart, apart) - by_crops


def is_copy(one: bytes, other: bytes) -> bool:
    """True if two prints are of one picture, or if one of the two pictures is a crop of the other."""
    first, second = _image(one), _image(other)
    most_tinted = max(_MOST_TINTED, _TINTED_SHARE * min(_colourful(one), _colourful(other)))
    if _tinted_apart(one, other, (0.0, 0.0, 0.0, 0.0)) > _FAR_TINTED * most_tinted:
        return False
    most = _MOST_LEFT * max(1.0, (_contrast(first) + _contrast(second)) / 2)
    hopeless = most * _HOPELESS / _MOST_LEFT
    for whole, part in ((one, other), (other, one)):
        left, sides = _best(_image(whole), _image(part), most, hopeless)
        if left <= most and _tinted_apart(whole, part, sides) <= most_tinted:
            return True
    return False


def _colourful(print: bytes) -> float:
    """Returns how much the coarse colours differ among themselves: the root of the mean square."""
    return math.hypot(*map(_contrast, _tints(print))) / math.sqrt(2)


def _tinted_apart(whole: bytes, part: bytes, sides: tuple[float, ...]) -> float:
    """Returns how much the coarse colours of the part differ from those of the whole without these sides."""
    left, top, right, bottom = (_TINTS * side for side in sides)
    squares = 0.0
    for one, other in zip(_tints(whole), _tints(part), strict=True):
        window = one.resize((_TINTS, _TINTS), Image.Resampling.BICUBIC, (left, top, _TINTS - right, _TINTS - bottom))
        squares += ImageStat.Stat(ImageChops.difference(window, other)).rms[0] ** 2
    return math.sqrt(squares / 2)


def _best(whole: Image.Image, part: Image.Image, enough: float, hopeless: float) -> tuple[float, tuple[float, ...]]:
    """Returns how little the part differs from some window of the whole, and what this leaves out at each side.

    The difference is the root of the mean square, in greys.
    """
    laid = part.resize((_LAID, _LAID), Image.Resampling.BICUBIC)

    def apart(sides: tuple[float, ...]) -> float:
        left, top, right, bottom = (SIDE * side for side in sides)
        window = whole.resize((_LAID, _LAID), Image.Resampling.BICUBIC, (left, top, SIDE - right, SIDE - bottom))
        rms: float = ImageStat.Stat(ImageChops.difference(window, laid)).rms[0]
        return rms

    half = _MOST_CROPPED / 2
    best, sides = min((apart(one), one) for one in combinations((0.0, half), repeat=4))
    step = _STEP
    while enough < best < hopeless and step > _SMALLEST_STEP:
        around = [(apart(shifted), shifted) for shifted in _shifted(sides, step)]
        nearest = min(around)
        if nearest[0] < best:
            best, sides = nearest
        else:
            step /= 2
    return best, sides


def _shifted(sides: tuple[float, ...], step: float) -> Iterator[tuple[float, ...]]:
    """Returns the sides with one of them moved, or with both of one axis moved, which shifts or scales the window."""
    for one, other in ((0, 2), (1, 3)):
        for by, others in combinations((-step, 0.0, step), repeat=2):
            if by or others:
                moved = list(sides)
                moved[one] = min(_MOST_CROPPED, max(0.0, sides[one] + by))
                moved[other] = min(_MOST_CROPPED, max(0.0, sides[other] + others))
                yield tuple(moved)


def _image(pixels: bytes) -> Image.Image:
    return Image.frombytes("L", (SIDE, SIDE), pixels[: SIDE * SIDE])


def _tints(print: bytes) -> list[Image.Image]:
    size = _TINTS * _TINTS
    return [Image.frombytes("L", (_TINTS, _TINTS), print[at : at + size]) for at in (SIDE * SIDE, SIDE * SIDE + size)]


def _contrast(image: Image.Image) -> float:
    deviation: float = ImageStat.Stat(image).stddev[0]
    return deviation


def _frequencies(image: Image.Image) -> Frequencies:
    pixels = [float(grey) for grey in image.tobytes()]
    mean = sum(pixels) / len(pixels)
    scale = math.sqrt(sum((grey - mean) ** 2 for grey in pixels)) * SIDE / 2 or 1.0
    lines = [pixels[at : at + SIDE] for at in range(0, len(pixels), SIDE)]
    columns = [[_product(line, cosine) for line in lines] for cosine in _COSINES]
    return tuple(
        _product(columns[x], _COSINES[y]) / scale / (math.sqrt(2) if 0 in (x, y) else 1.0) for x, y in _FREQUENCIES
    )


def _cropped(image: Image.Image) -> Iterator[Image.Image]:
    """Returns the picture four times, each time without a part of another side."""
    cut = _CROP * SIDE
    for box in ((cut, 0, SIDE, SIDE), (0, cut, SIDE, SIDE), (0, 0, SIDE - cut, SIDE), (0, 0, SIDE, SIDE - cut)):
        yield image.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box)


def _moved(frequencies: Sequence[float], cropped: Image.Image) -> list[float]:
    return [after - before for after, before in zip(_frequencies(cropped), frequencies, strict=True)]


def _orthonormal(vectors: Sequence[Sequence[float]]) -> list[list[float]]:
    """Returns vectors of length 1, at right angles, that span the same (Gram and Schmidt)."""
    found: list[list[float]] = []
    for vector in vectors:
        rest = list(vector)
        for known in found:
            share = _product(rest, known)
            rest = [a - share * b for a, b in zip(rest, known, strict=True)]
        length = math.sqrt(_product(rest, rest))
        if length > 1e-9:
            found.append([a / length for a in rest])
    return found


def _product(one: Sequence[float], other: Sequence[float]) -> float:
    product: float = sum(map(mul, one, other))
    return product
