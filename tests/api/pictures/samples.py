"""Makes pictures such as people and attackers upload, and lists the metadata that a picture file contains."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any

from PIL import Image, ImageCms, PngImagePlugin

from api.pictures.processing import PictureLimits

LIMITS = PictureLimits(
    max_bytes=10 * 1024 * 1024,
    max_pixels=60_000_000,
    max_jpeg_pixels=200_000_000,
    side=2048,
    medium_side=800,
    thumbnail_side=480,
)

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
SECRET = b"somebody's secret"
"""Every piece of metadata in a sample contains this."""


def encoded(image: Image.Image, format_name: str, **options: Any) -> bytes:
    output = BytesIO()
    image.save(output, format_name, **options)
    return output.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    return image


def quarters() -> Image.Image:
    """An upright picture: red at upper left, green at upper right, blue at lower left, white at lower right."""
    image = Image.new("RGB", (96, 64), WHITE)
    image.paste(RED, (0, 0, 48, 32))
    image.paste(GREEN, (48, 0, 96, 32))
    image.paste(BLUE, (0, 32, 48, 64))
    return image


def corners(image: Image.Image) -> list[str]:
    """The colours near the corners, by name: upper left, upper right, lower left, lower right."""
    rgb = image.convert("RGB")
    right, lower = rgb.width - 9, rgb.height - 9
    return [_name(rgb.getpixel(place)) for place in ((8, 8), (right, 8), (8, lower), (right, lower))]


def _name(pixel: Any) -> str:
    names = {"red": RED, "green": GREEN, "blue": BLUE, "white": WHITE, "black": (0, 0, 0), "grey": (128, 128, 128)}
    return min(names, key=lambda name: sum(abs(a - b) for a, b in zip(names[name], pixel, strict=True)))


def exif(orientation: int = 1) -> Image.Exif:
    """Exif data as a phone writes it: orientation, position, owner."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    tags[0x013B] = SECRET.decode()
    tags.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0), 0x1D: SECRET.decode()})
    return tags


def xmp() -> bytes:
    return b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><place>' + SECRET + b"</place></x:xmpmeta>"


def turning_xmp(orientation: int = 6) -> bytes:
    """XMP that gives an orientation, as some editors write it."""
    return (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="%d"/></rdf:RDF></x:xmpmeta>'
    ) % orientation


def turned_by() -> dict[str, tuple[bytes, bool]]:
    """Pictures whose metadata says that they lie on their side, by name, and whether browsers heed it."""
    profile, raw = PngImagePlugin.PngInfo(), exif(6).tobytes()
    profile.add_text("Raw profile type exif", f"\nexif\n{len(raw):8}\n{raw.hex()}\n", zip=True)
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", turning_xmp().decode())
    image = quarters()
    return {
        "JPEG, EXIF": (encoded(image, "JPEG", exif=exif(6)), True),
        "JPEG, EXIF and contrary XMP": (encoded(image, "JPEG", exif=exif(6), xmp=turning_xmp(1)), True),
        "JPEG, XMP": (encoded(image, "JPEG", xmp=turning_xmp()), False),
        "JPEG, XMP and contrary EXIF": (encoded(image, "JPEG", exif=exif(1), xmp=turning_xmp()), False),
        "PNG, EXIF": (encoded(image, "PNG", exif=exif(6)), True),
        "PNG, EXIF as text": (encoded(image, "PNG", pnginfo=profile), False),
        "PNG, XMP": (encoded(image, "PNG", pnginfo=text), False),
        "WebP, EXIF": (encoded(image, "WEBP", exif=exif(6)), False),
        "WebP, XMP": (encoded(image, "WEBP", xmp=turning_xmp()), False),
        "AVIF, rotated": (encoded(image, "AVIF", exif=exif(6)), True),
        "AVIF, XMP": (encoded(image, "AVIF", xmp=turning_xmp()), False),
    }


def swapping_profile() -> bytes:
    """An sRGB profile with red and blue exchanged: a test sees by the colours whether it was applied."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    entries = {bytes(profile[at : at + 4]): at for at in range(132, 132 + 12 * _u32(profile, 128), 12)}
    red, blue = entries[b"rXYZ"] + 4, entries[b"bXYZ"] + 4
    profile[red : red + 8], profile[blue : blue + 8] = profile[blue : blue + 8], profile[red : red + 8]
    return bytes(profile)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_claiming(width: int, height: int) -> bytes:
    """A small file whose header declares `width` by `height` RGB pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = png_chunk(b"IDAT", zlib.compress(bytes(1000))) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + body


def webp_claiming(width: int, height: int) -> bytes:
    """A small file whose header declares a canvas of `width` by `height` pixels."""
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    small = encoded(Image.new("RGB", (16, 16)), "WEBP", lossless=True)[12:]
    body = b"WEBP" + b"VP8X" + struct.pack("<I", 10) + bytes(4) + canvas + small
    return b"RIFF" + struct.pack("<I", len(body)) + body


def jpeg_that_takes_minutes() -> bytes:
    """A progressive JPEG that repeats its last scan two thousand times: each one passes over all pixels."""
    image = Image.new("RGB", (4000, 4000))
    data = encoded(image, "JPEG", progressive=True)
    last_scan = data.rindex(b"\xff\xda")
    scans, end = data[last_scan:-2], data[-2:]
    return data[:-2] + scans * 2000 + end


def jpeg_segments(data: bytes) -> list[str]:
    """The names of all markers of a JPEG in order; bytes after its end are an error."""
    names = {0xC0: "SOF0", 0xC2: "SOF2", 0xC4: "DHT", 0xDB: "DQT", 0xDD: "DRI", 0xDA: "SOS", 0xFE: "COM"}
    assert data[:2] == b"\xff\xd8"
    found = ["SOI"]
    at = 2
    while True:
        assert data[at] == 0xFF
        marker = data[at + 1]
        if marker == 0xD9:
            assert at + 2 == len(data)
            return [*found, "EOI"]
        found.append(names.get(marker, f"APP{marker - 0xE0}" if 0xE0 <= marker <= 0xEF else hex(marker)))
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA:
            # Entropy-coded bytes: to the next marker that is neither a stuffed zero nor a restart.
            while data[at] != 0xFF or data[at + 1] == 0 or 0xD0 <= data[at + 1] <= 0xD7:
                at += 1


def webp_chunks(data: bytes) -> list[str]:
    """The names of all chunks of a WebP in order; bytes after its end are an error."""
    assert data[:4] == b"RIFF"
    assert data[8:12] == b"WEBP"
    assert 8 + struct.unpack("<I", data[4:8])[0] == len(data)
    found = []
    at = 12
    while at < len(data):
        found.append(data[at : at + 4].decode("ascii"))
        length = struct.unpack("<I", data[at + 4 : at + 8])[0]
        at += 8 + length + length % 2
    assert at == len(data)
    return found


def _u32(data: bytearray, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")
