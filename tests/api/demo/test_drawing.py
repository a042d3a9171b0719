"""Tests the drawn cars: every body and colour that a listing can have, the same pixels each time."""

from __future__ import annotations

import pytest

from api.demo import drawing
from api.demo.drawing import HEIGHT, VIEWS, WIDTH, draw_car
from api.demo.shapes import SHAPES, shape_of
from shared.domain.cars import Body, Colour
from tests.api.pictures.samples import opened


def test_every_body_and_colour_can_be_drawn() -> None:
    assert set(SHAPES) == set(Body) - {Body.OTHER}
    assert set(drawing._PAINT) == set(Colour)
    assert shape_of(Body.OTHER) == shape_of(None) == SHAPES["sedan"]


@pytest.mark.parametrize("body", SHAPES)
def test_a_shape_is_that_of_a_car(body: str) -> None:
    shape = SHAPES[body]
    xs, ys = zip(*shape.outline(), strict=True)
    assert (min(xs), max(xs), min(ys)) == (0, shape.length, shape.clearance)
    front, rear = shape.wheels
    assert shape.wheel < front < rear < shape.length - shape.wheel
    for window in shape.glass():
        lower_left, upper_left, upper_right, lower_right = window
        assert lower_left[0] < lower_right[0]
        assert upper_left[0] < upper_right[0]
        assert shape.hood < lower_left[1] < upper_left[1] < shape.height


def test_the_same_car_has_the_same_pixels_and_others_have_not() -> None:
    first = draw_car("coupe", "red", 1, 0)
    assert draw_car("coupe", "red", 1, 0) == first
    assert opened(first).size == (WIDTH, HEIGHT)
    others = [
        draw_car("van", "red", 1, 0),
        draw_car("coupe", "blue", 1, 0),
        draw_car("coupe", "red", 2, 0),
        *(draw_car("coupe", "red", 1, view) for view in range(1, VIEWS)),
    ]
    assert len({first, *others}) == 1 + len(others)


@pytest.mark.parametrize(("colour", "strongest"), [("red", 0), ("green", 1), ("blue", 2)])
def test_a_car_has_its_colour(colour: str, strongest: int) -> None:
    image = opened(draw_car("sedan", colour, 1, 0))
    # The middle of a door.
    pixel = image.getpixel((WIDTH // 2, round(HEIGHT * 0.8 - 0.55 * WIDTH / 5.9)))
    assert isinstance(pixel, tuple)
    assert max(pixel) == pixel[strongest] > sum(pixel) * 0.45
