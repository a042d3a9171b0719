"""Draws a car as a JPEG: by its body and colour, in a place and at a time of day that a number chooses.

The same car and number give the same pixels. Everything is drawn twice as large and then halved, which smooths it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from itertools import pairwise
from random import Random
from types import MappingProxyType

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from api.demo.shapes import Point, Shape, rounded, shape_of

WIDTH, HEIGHT = 1024, 768
VIEWS = 3
"""From the left, from the right, and the front half from nearby."""

Colour = tuple[int, int, int]

_SCALE = 2
_GROUND = 0.8
"""Where the wheels stand, from the top."""
_PAINT: Mapping[str, Colour] = MappingProxyType(
    {
        "black": (38, 40, 46), "white": (236, 238, 241), "silver": (178, 184, 190), "grey": (112, 118, 125),
        "blue": (32, 84, 168), "red": (186, 32, 38), "green": (32, 104, 72), "brown": (110, 74, 50),
        "beige": (212, 196, 164), "yellow": (240, 194, 44), "orange": (230, 118, 36), "gold": (190, 154, 84),
        "purple": (98, 58, 138), "other": (54, 140, 148),
    }
)  # fmt: skip
_SKIES: Sequence[tuple[Colour, Colour, Colour]] = (
    # The upper sky, the horizon, and hills far away.
    ((96, 160, 222), (222, 236, 246), (128, 160, 150)),
    ((60, 92, 158), (250, 206, 160), (96, 98, 122)),
    ((148, 172, 192), (232, 236, 238), (128, 146, 150)),
    ((72, 140, 196), (214, 236, 232), (98, 140, 104)),
)
_VERGES: Sequence[Colour] = ((150, 152, 152), (182, 170, 146), (124, 150, 100))
_ROADS: Sequence[tuple[Colour, Colour]] = (((134, 136, 140), (92, 94, 98)), ((158, 154, 148), (118, 114, 108)))


def draw_car(body: str | None, colour: str | None, number: int, view: int) -> bytes:
    """Returns a JPEG of WIDTH by HEIGHT pixels. `view` is less than VIEWS; `number` chooses the place."""
    random = Random(f"{body} {colour} {number}")
    shape, paint = shape_of(body), _PAINT.get(colour or "silver", _PAINT["silver"])
    picture = _scenery(random)
    metre = _SCALE * WIDTH / (5.9 if view < 2 else 3.3)
    left = (_SCALE * WIDTH - shape.length * metre) / 2 if view < 2 else 0.07 * _SCALE * WIDTH
    car = _Car(picture, shape, paint, metre, left, _GROUND * HEIGHT * _SCALE)
    car.draw(random)
    done = picture.reduce(_SCALE)
    if view == 1:
        done = done.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    output = BytesIO()
    done.save(output, "JPEG", quality=88)
    return output.getvalue()


def _mixed(first: Colour, second: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def _gradient(width: int, height: int, top: Colour, bottom: Colour) -> Image.Image:
    ramp = Image.linear_gradient("L").resize((1, max(1, height))).resize((max(1, width), max(1, height)))
    return Image.merge(
        "RGB", [ramp.point([round(a + (b - a) * n / 255) for n in range(256)]) for a, b in _pairs(top, bottom)]
    )


def _pairs(top: Colour, bottom: Colour) -> Iterable[tuple[int, int]]:
    return zip(top, bottom, strict=True)


def _scenery(random: Random) -> Image.Image:
    width, height = WIDTH * _SCALE, HEIGHT * _SCALE
    sky, horizon, hills = random.choice(_SKIES)
    verge, (far, near) = random.choice(_VERGES), random.choice(_ROADS)
    line, road = round(height * 0.6), round(height * 0.675)
    picture = Image.new("RGB", (width, height))
    picture.paste(_gradient(width, line, sky, horizon), (0, 0))
    picture.paste(_gradient(width, road - line, _mixed(verge, hills, 0.3), verge), (0, line))
    picture.paste(_gradient(width, height - road, far, near), (0, road))
    draw = ImageDraw.Draw(picture)
    _sun(draw, random, horizon)
    for depth in range(3):
        colour = _mixed(horizon, hills, 0.4 + 0.3 * depth)
        tops = [(width * step / 9, line - height * random.uniform(0.02, 0.2 - 0.05 * depth)) for step in range(10)]
        draw.polygon([(0, line), *_smooth(tops), (width, line)], fill=colour)
    for _ in range(random.randrange(4, 9)):
        _tree(draw, random, width, line, _mixed(hills, (36, 66, 44), 0.7))
    # A kerb, and the line in the middle of the road.
    draw.rectangle([(0, road - height // 90), (width, road)], fill=_mixed(far, (255, 255, 255), 0.45))
    draw.rectangle([(0, round(height * 0.93)), (width, round(height * 0.942))], fill=_mixed(near, (250, 250, 240), 0.6))
    return picture


def _smooth(points: Sequence[Point]) -> list[Point]:
    """Returns an open line of more points between these, on waves from each to the next."""
    found = []
    for (x, y), (right, other) in pairwise(points):
        for step in range(12):
            share = (1 - math.cos(math.pi * step / 12)) / 2
            found.append((x + (right - x) * step / 12, y + (other - y) * share))
    return [*found, points[-1]]


def _sun(draw: ImageDraw.ImageDraw, random: Random, horizon: Colour) -> None:
    x, y = random.uniform(0.1, 0.9) * WIDTH * _SCALE, random.uniform(0.1, 0.35) * HEIGHT * _SCALE
    radius = 55 * _SCALE
    draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=_mixed(horizon, (255, 250, 232), 0.8))


def _tree(draw: ImageDraw.ImageDraw, random: Random, width: int, line: int, colour: Colour) -> None:
    x, size = random.uniform(0, width), random.uniform(45, 100) * _SCALE
    draw.rectangle([x - size * 0.06, line - size * 0.5, x + size * 0.06, line], fill=_mixed(colour, (70, 52, 40), 0.6))
    for _ in range(5):
        at, up, radius = x + random.uniform(-0.3, 0.3) * size, random.uniform(0.5, 1.1) * size, 0.32 * size
        shade = _mixed(colour, (150, 180, 120), random.uniform(0, 0.25))
        draw.ellipse([at - radius, line - up - radius, at + radius, line - up + radius], fill=shade)


class _Car:
    """Draws one car onto a picture; `metre` is its number of pixels."""

    def __init__(
        self, picture: Image.Image, shape: Shape, paint: Colour, metre: float, left: float, ground: float
    ) -> None:
        self._picture, self._shape, self._paint = picture, shape, paint
        self._metre, self._left, self._ground = metre, left, ground
        self._draw = ImageDraw.Draw(picture)

    def draw(self, random: Random) -> None:
        self._shadow()
        if self._shape.roof is None:
            self._open_top()
        self._body()
        self._lines()
        for window in self._shape.glass():
            self._window(window)
        self._lamps()
        spokes = random.choice((5, 6, 8, 10))
        for x in self._shape.wheels:
            self._wheel(x, spokes)

    def _at(self, points: Iterable[Point]) -> list[Point]:
        return [(self._left + x * self._metre, self._ground - y * self._metre) for x, y in points]

    def _box(self, x: float, y: float, radius: float) -> list[Point]:
        return self._at([(x - radius, y + radius), (x + radius, y - radius)])

    def _shadow(self) -> None:
        mask = Image.new("L", self._picture.size)
        box = self._at([(-0.15, 0.16), (self._shape.length + 0.15, -0.2)])
        ImageDraw.Draw(mask).ellipse(box, fill=150)
        # Blurred at a fraction of the size, which looks the same and takes a fraction of the time.
        small = mask.reduce(8).filter(ImageFilter.GaussianBlur(6)).resize(mask.size)
        self._picture.paste((24, 24, 28), (0, 0), small)

    def _body(self) -> None:
        mask = Image.new("L", self._picture.size)
        ImageDraw.Draw(mask).polygon(self._at(rounded(self._shape.outline())), fill=255)
        light, dark = _mixed(self._paint, (255, 255, 255), 0.32), _mixed(self._paint, (0, 0, 0), 0.42)
        shoulder = self._shape.hood * 0.78
        self._fill(mask, self._shape.height + 0.05, shoulder, light, self._paint)
        self._fill(mask, shoulder, self._shape.clearance, self._paint, dark)
        sill = self._at([(0.1, self._shape.clearance + 0.09), (self._shape.length - 0.1, self._shape.clearance)])
        self._band(mask, sill, (34, 35, 38))

    def _fill(self, mask: Image.Image, upper: float, lower: float, top: Colour, bottom: Colour) -> None:
        """Paint the part of the mask between two heights with a gradient."""
        (left, first), (right, last) = self._at([(-0.1, upper), (self._shape.length + 0.1, lower)])
        box = (max(0, round(left)), max(0, round(first)), min(mask.width, round(right)), round(last))
        paint = _gradient(box[2] - box[0], box[3] - box[1], top, bottom)
        self._picture.paste(paint, box[:2], mask.crop(box))

    def _band(self, mask: Image.Image, box: list[Point], colour: Colour) -> None:
        band = Image.new("L", mask.size)
        ImageDraw.Draw(band).rectangle(box, fill=255)
        self._picture.paste(colour, (0, 0), ImageChops.multiply(mask, band))

    def _line(self, points: Sequence[Point], colour: Colour, width: float) -> None:
        self._draw.line(self._at(points), fill=colour, width=max(2, round(width * self._metre)), joint="curve")

    def _lines(self) -> None:
        shape, seam = self._shape, _mixed(self._paint, (0, 0, 0), 0.5)
        for x in shape.doors():
            bottom = x
            # A door ends above the arch of a wheel.
            for wheel in shape.wheels:
                if abs(x - wheel) < shape.wheel + 0.12:
                    bottom = wheel + math.copysign(shape.wheel + 0.14, x - wheel)
            self._line([(x, shape.hood), (x, shape.hood * 0.62), (bottom, shape.clearance + 0.12)], seam, 0.012)
        bright = _mixed(self._paint, (255, 255, 255), 0.4)
        self._line([(0.35, shape.hood * 0.8), (shape.length - 0.25, shape.hood * 0.84)], bright, 0.014)
        for x in shape.doors()[1:]:
            box = self._at([(x - 0.26, shape.hood * 0.9), (x - 0.08, shape.hood * 0.86)])
            self._draw.rounded_rectangle(box, radius=0.02 * self._metre, fill=_mixed(self._paint, (20, 20, 20), 0.55))
        if shape.roof is not None:
            mirror = self._at([(shape.cowl + 0.3, shape.hood + 0.14), (shape.cowl + 0.5, shape.hood + 0.02)])
            self._draw.rounded_rectangle(mirror, radius=0.04 * self._metre, fill=_mixed(self._paint, (0, 0, 0), 0.25))

    def _window(self, points: Sequence[Point]) -> None:
        mask = Image.new("L", self._picture.size)
        ImageDraw.Draw(mask).polygon(self._at(rounded(points, 1)), fill=255)
        (_, top), (_, bottom) = points[1], points[0]
        self._fill(mask, top, bottom, (92, 116, 134), (30, 38, 46))
        (left, low), (right, high) = points[0], points[2]
        middle = left + (right - left) * 0.45
        shine = Image.new("L", mask.size)
        ImageDraw.Draw(shine).polygon(
            self._at([(middle, low), (middle + 0.3, high), (middle + 0.45, high), (middle + 0.15, low)]), fill=60
        )
        self._picture.paste((255, 255, 255), (0, 0), ImageChops.multiply(mask, shine))

    def _open_top(self) -> None:
        """The windscreen and the seats of a car without a roof."""
        shape = self._shape
        base, top = shape.cowl + 0.1, shape.hood + 0.36
        self._draw.polygon(
            self._at([(base, shape.hood - 0.1), (base + 0.62, top), (base + 0.7, top), (base + 0.3, shape.hood - 0.1)]),
            fill=(120, 142, 156),
        )
        self._line([(base, shape.hood - 0.05), (base + 0.64, top)], (40, 42, 46), 0.035)
        for seat in (base + 0.85, base + 1.2):
            box = self._at([(seat, shape.hood + 0.24), (seat + 0.2, shape.hood - 0.2)])
            self._draw.rounded_rectangle(box, radius=0.07 * self._metre, fill=(62, 44, 36))

    def _lamps(self) -> None:
        shape = self._shape
        front = self._at([(0.06, shape.hood - 0.16), (0.36, shape.hood - 0.29)])
        self._draw.rounded_rectangle(
            front, radius=0.05 * self._metre, fill=(250, 244, 220), outline=(90, 94, 98), width=4
        )
        rear = self._at([(shape.length - 0.26, shape.rear - 0.14), (shape.length - 0.04, shape.rear - 0.3)])
        self._draw.rounded_rectangle(rear, radius=0.04 * self._metre, fill=(190, 24, 28), outline=(90, 16, 18), width=4)

    def _wheel(self, x: float, spokes: int) -> None:
        radius = self._shape.wheel
        self._draw.ellipse(self._box(x, radius, radius + 0.07), fill=(22, 22, 25))
        self._draw.ellipse(self._box(x, radius, radius), fill=(34, 34, 37))
        self._draw.ellipse(self._box(x, radius, radius * 0.7), fill=(58, 60, 64))
        for spoke in range(spokes):
            angle = 2 * math.pi * spoke / spokes
            end = (x + radius * 0.66 * math.sin(angle), radius + radius * 0.66 * math.cos(angle))
            self._line([(x, radius), end], (196, 200, 204), 0.42 / spokes)
        ring = self._box(x, radius, radius * 0.7)
        self._draw.ellipse(ring, outline=(206, 210, 214), width=max(2, round(0.03 * self._metre)))
        self._draw.ellipse(self._box(x, radius, radius * 0.16), fill=(150, 154, 158))
