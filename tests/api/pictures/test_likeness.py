"""Copies of pictures are recognised, and other pictures are not: the demo's drawn cars, and pictures like photos."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from functools import cache
from io import BytesIO

import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from api.demo.drawing import draw_car
from api.pictures.likeness import is_copy, is_sound, likeliest, likeness_of, looks
from shared.domain.pictures import Likeness
from tests.api.pictures.samples import encoded, opened

CARS: Sequence[tuple[str | None, str, int]] = [
    *(("sedan", "silver", number) for number in range(3)),
    *((body, colour, 0) for body in ("pickup", None) for colour in ("white", "black")),
]
PHOTOS = 6


def photo(number: int) -> Image.Image:
    """A picture with large and small structures, like a photo: the same one for the same number."""
    chance = random.Random(number)
    bands = []
    for _ in range(3):
        band = Image.new("L", (640, 480), 128)
        for size, share in ((3, 0.8), (5, 0.5), (17, 0.4), (65, 0.2)):
            noise = Image.frombytes("L", (size, size), chance.randbytes(size * size))
            band = Image.blend(band, noise.resize(band.size, Image.Resampling.BICUBIC), share)
        bands.append(band)
    picture = Image.merge("RGB", bands)
    draw = ImageDraw.Draw(picture)
    for _ in range(5):
        x, y, wide, high = (chance.randrange(20, most) for most in (600, 440, 300, 200))
        colour = (chance.randrange(256), chance.randrange(256), chance.randrange(256))
        draw.rectangle((x, y, x + wide, y + high), fill=colour)
    return picture.filter(ImageFilter.GaussianBlur(1))


@cache
def originals() -> list[Image.Image]:
    drawn = (opened(draw_car(body, colour, number, number % 3)) for body, colour, number in CARS)
    cars = [picture.convert("RGB").reduce(2) for picture in drawn]
    return [*cars, *map(photo, range(PHOTOS))]


@cache
def likenesses() -> list[Likeness]:
    return [likeness(picture) for picture in originals()]


def likeness(picture: Image.Image) -> Likeness:
    found = likeness_of(picture)
    assert found is not None
    assert is_sound(found)
    return found


def again(picture: Image.Image, format_name: str, quality: int) -> Image.Image:
    return Image.open(BytesIO(encoded(picture, format_name, quality=quality))).convert("RGB")


def scaled(picture: Image.Image, share: float) -> Image.Image:
    return again(picture.resize((round(picture.width * share), round(picture.height * share))), "JPEG", 75)


def cropped(picture: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    wide, high = picture.size
    box = (round(left * wide), round(top * high), round((1 - right) * wide), round((1 - bottom) * high))
    return again(picture.crop(box), "JPEG", 60)


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG of quality 30": lambda picture: again(picture, "JPEG", 30),
    "JPEG of quality 90": lambda picture: again(picture, "JPEG", 90),
    "WebP of quality 40": lambda picture: again(picture, "WEBP", 40),
    "scaled to 0.3": lambda picture: scaled(picture, 0.3),
    "scaled to 1.5": lambda picture: scaled(picture, 1.5),
    "cropped by 0.05 on all sides": lambda picture: cropped(picture, 0.05, 0.05, 0.05, 0.05),
    "cropped at the bottom": lambda picture: cropped(picture, 0, 0, 0, 0.05),
    "cropped in a corner": lambda picture: cropped(picture, 0.05, 0.05, 0, 0),
    "cropped by 0.08 on all sides": lambda picture: cropped(picture, 0.08, 0.08, 0.08, 0.08),
    "cropped by 0.1 on both sides": lambda picture: cropped(picture, 0.1, 0, 0.1, 0),
    "cropped by 0.1 at the right": lambda picture: cropped(picture, 0, 0, 0.1, 0),
    "cropped by 0.1 at the bottom": lambda picture: cropped(picture, 0, 0, 0, 0.1),
    "cropped by 0.1 in the first corner": lambda picture: cropped(picture, 0.1, 0.1, 0, 0),
    "cropped by 0.1 in the last corner": lambda picture: cropped(picture, 0, 0, 0.1, 0.1),
    "mirrored": lambda picture: again(ImageOps.mirror(picture), "JPEG", 60),
    "mirrored and cropped": lambda picture: cropped(ImageOps.mirror(picture), 0.05, 0.05, 0.05, 0.05),
    "cropped, scaled and compressed": lambda picture: again(
        scaled(cropped(picture, 0.03, 0, 0.05, 0.04), 0.4), "WEBP", 30
    ),
}


def overlap(one: Likeness, other: Likeness) -> bool:
    """Whether the index of Postgres gives the one when it is asked for the other."""
    sides = zip(one.indexed, other.indexed, one.reach, other.reach, strict=True)
    return all(abs(a - b) <= reach + others for a, b, reach, others in sides)


def found(one: Likeness) -> list[int]:
    """The numbers of the originals of which it is a copy."""
    copies: set[int] = set()
    for look in looks(one.print):
        others = [(at, other.frequencies) for at, other in enumerate(likenesses()) if overlap(look, other)]
        near = likeliest(look.frequencies, look.print, others)
        copies |= {at for at in near if is_copy(look.print, likenesses()[at].print)}
    return sorted(copies)


@pytest.mark.parametrize("way", COPIES)
def test_a_copy_is_found_and_nothing_else(way: str) -> None:
    wrong = [at for at, picture in enumerate(originals()) if found(likeness(COPIES[way](picture))) != [at]]
    assert not wrong


def test_an_original_that_comes_after_its_crop_is_found_too() -> None:
    for picture, whole in zip(originals(), likenesses(), strict=True):
        part = likeness(cropped(picture, 0.08, 0.05, 0.03, 0.08))
        look, _ = looks(whole.print)
        assert overlap(look, part)
        assert likeliest(look.frequencies, look.print, [(1, part.frequencies)]) == [1]
        assert is_copy(look.print, part.print)


def test_no_picture_is_taken_for_another_one() -> None:
    assert [found(one) for one in likenesses()] == [[at] for at in range(len(likenesses()))]


def test_a_car_in_another_colour_is_another_picture() -> None:
    red, green = (likeness(_painted(colour)) for colour in ((150, 60, 60), (40, 110, 60)))
    assert not is_copy(red.print, green.print)


def _painted(colour: tuple[int, int, int]) -> Image.Image:
    picture = Image.new("RGB", (320, 240), (200, 200, 200))
    ImageDraw.Draw(picture).rectangle((40, 80, 280, 200), fill=colour)
    return picture


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_blank_picture_has_no_likeness(grey: int) -> None:
    assert likeness_of(Image.new("RGB", (300, 200), (grey, grey, grey))) is None


def test_what_only_a_taken_over_decoder_says_is_no_likeness() -> None:
    good = likenesses()[0]
    for change in (
        {"print": good.print[:-1]},
        {"print": good.print * 2},
        {"frequencies": good.frequencies[1:]},
        {"frequencies": (float("nan"), *good.frequencies[1:])},
        {"indexed": (*good.indexed, 0.0)},
        {"reach": (float("inf"), *good.reach[1:])},
    ):
        assert not is_sound(dataclasses.replace(good, **change)), change
