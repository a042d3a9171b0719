"""Processes an upload: checks its pixels, turns it upright, scales it and encodes it anew.

A pure function on bytes. It trusts nothing that the sender says about the file, and keeps only what is visible: no
EXIF, GPS, XMP, comment, colour profile, further frame or trailing byte.

Strangers can feed the decoders directly, so `workers` runs this module in separate processes. It silences warnings for
the whole process while it runs: do not call it from several threads.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, TypeVar

# Importing these plugins registers them. Otherwise Pillow would import all its plugins to find WebP. Pillow imports the
# plugins for the metadata of a JPEG only when it meets some, and a confined process cannot do that.
from PIL import (
    AvifImagePlugin,
    GifImagePlugin,  # noqa: F401
    Image,
    ImageCms,
    JpegImagePlugin,  # noqa: F401
    MpoImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
)
from pillow_heif import register_heif_opener

from api.pictures.cut_jpegs import with_end
from api.pictures.errors import BrokenPicture, PictureTooLarge
from api.pictures.formats import AVIF, JPEG, PNG, WEBP, format_of
from api.pictures.likeness import likeness_of
from api.pictures.structure import MAX_PARTS, MAX_SCANS, check_structure
from shared.domain.pictures import Likeness

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.settings import Settings


register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
# One picture uses one core.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
# The limits here are checked before anything is decoded. Pillow's own would refuse a JPEG that they allow.
Image.MAX_IMAGE_PIXELS = None

Result = TypeVar("Result")

JPEG_QUALITY = 85
WEBP_QUALITY = 85
SMALLER_QUALITY = 75
"""Of the sizes that browsers choose from: all read WebP, which takes half the bytes of a JPEG that looks the same."""

_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    # EXIF's orientation -> the transformation that makes the picture upright (Exif 2.32, 4.6.4 A)
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TURNED_BY_EXIF = frozenset({JPEG, PNG, AVIF})
"""The formats that browsers turn by EXIF. They heed neither the EXIF of a WebP nor the orientation that XMP gives.

A HEIC or AVIF declares its rotation in a property of its own: libheif turns a HEIC, and Pillow presents it as EXIF.
"""
_PROFILE_MODES = {"RGB": ("RGB",), "GRAY": ("L",), "CMYK": ("CMYK",)}


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureLimits:
    """The limits of an upload, and the sizes of the stored files."""

    max_bytes: int
    max_pixels: int
    """Maximum of width times height, as declared in the file's header; of a JPEG, see below."""
    max_jpeg_pixels: int
    side: int
    """The longer side of the stored picture, in pixels. Smaller pictures are not enlarged."""
    medium_side: int
    thumbnail_side: int
    max_scans: int = MAX_SCANS
    max_parts: int = MAX_PARTS

    @classmethod
    def from_settings(cls, settings: Settings) -> PictureLimits:
        """Returns the limits of the settings."""
        return cls(
            max_bytes=settings.max_picture_bytes,
            max_pixels=settings.max_picture_pixels,
            max_jpeg_pixels=settings.max_jpeg_pixels,
            side=settings.picture_side,
            medium_side=settings.medium_side,
            thumbnail_side=settings.thumbnail_side,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessedPicture:
    """A picture that can be stored and served: JPEG if it is opaque, else WebP; in sRGB and upright.

    Its smaller sizes are WebP.
    """

    content_type: str
    """`image/jpeg` or `image/webp`."""
    data: bytes
    width: int
    height: int
    medium_content_type: str
    medium: bytes
    medium_width: int
    medium_height: int
    thumbnail_content_type: str
    thumbnail: bytes
    thumbnail_width: int
    thumbnail_height: int
    likeness: Likeness | None


def process_picture(data: bytes, limits: PictureLimits) -> ProcessedPicture:
    """Returns one upload checked, cleaned and scaled. Raises UnsupportedPicture, PictureTooLarge or BrokenPicture."""
    if len(data) > limits.max_bytes:
        raise PictureTooLarge(f"a picture may have at most {limits.max_bytes} bytes, this one has {len(data)}")
    format_name = format_of(data)
    check_structure(data, format_name, max_scans=limits.max_scans, max_parts=limits.max_parts)
    if format_name == WEBP:
        # Pillow allocates the WebP decoder and its canvas as soon as it opens the file.
        _check_pixels(*_declared_webp_size(data), limits.max_pixels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        picture = _decoding(lambda: _decode(data, format_name, limits))
        medium = _scaled(picture, limits.medium_side)
        # It is the sooner done the fewer pixels it is made from.
        thumbnail = _scaled(medium if limits.thumbnail_side <= limits.medium_side else picture, limits.thumbnail_side)
        content_type, encoded = _encode(picture)
        medium_content_type, medium_encoded = _encode_smaller(medium)
        thumbnail_content_type, thumbnail_encoded = _encode_smaller(thumbnail)
    return ProcessedPicture(
        content_type=content_type,
        data=encoded,
        width=picture.width,
        height=picture.height,
        medium_content_type=medium_content_type,
        medium=medium_encoded,
        medium_width=medium.width,
        medium_height=medium.height,
        thumbnail_content_type=thumbnail_content_type,
        thumbnail=thumbnail_encoded,
        thumbnail_width=thumbnail.width,
        thumbnail_height=thumbnail.height,
        likeness=likeness_of(thumbnail),
    )


def _declared_webp_size(data: bytes) -> tuple[int, int]:
    """Returns the width and height of the WebP's canvas in pixels (RFC 9649, 2.5 to 2.7)."""
    header = data[12:30]
    if len(header) == 18:
        if header[:4] == b"VP8X":
            return 1 + int.from_bytes(header[12:15], "little"), 1 + int.from_bytes(header[15:18], "little")
        if header[:4] == b"VP8L":
            bits = int.from_bytes(header[9:13], "little")
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        if header[:4] == b"VP8 ":
            return int.from_bytes(header[14:16], "little") & 0x3FFF, int.from_bytes(header[16:18], "little") & 0x3FFF
    raise BrokenPicture("the WebP picture has no valid header")


def _check_pixels(width: int, height: int, most: int) -> None:
    if width < 1 or height < 1:
        raise BrokenPicture(f"the picture is {width} by {height} pixels")
    if width * height > most:
        raise PictureTooLarge(f"a picture may have at most {most} pixels, this one is {width} by {height}")


def _decoding(step: Callable[[], Result]) -> Result:
    """Run a step that reads the upload's bytes. Raises BrokenPicture or PictureTooLarge if it fails."""
    try:
        return step()
    except (BrokenPicture, PictureTooLarge):
        raise
    except Image.DecompressionBombError:
        raise PictureTooLarge("the picture has too many pixels") from None
    except MemoryError:
        raise PictureTooLarge("the picture needs too much memory") from None
    except Exception as error:
        # Pillow's decoders have no common base error: OSError, SyntaxError, ValueError, struct.error, zlib.error, ...
        raise BrokenPicture("the picture is damaged or incomplete") from error


def _decode(data: bytes, format_name: str, limits: PictureLimits) -> Image.Image:
    """Returns the first frame as RGB or RGBA in sRGB, upright, within the limits, and without metadata."""
    # A JPEG is decoded at a fraction of its size, so many more pixels need hardly more memory.
    most = limits.max_jpeg_pixels if format_name == JPEG else limits.max_pixels
    with Image.open(BytesIO(data), formats=(format_name,)) as source:
        _check_pixels(source.width, source.height, most)
    if format_name == JPEG:
        data = with_end(data)
    with Image.open(BytesIO(data), formats=(format_name,)) as source:
        # A JPEG can be decoded at 1/2, 1/4 or 1/8 of its size, which saves most of the time and memory for a big photo.
        source.draft(None, _fitting(source.width, source.height, limits.side))
        source.load()
        profile = source.info.get("icc_profile")
        upright = _UPRIGHT.get(_orientation(source)) if format_name in _TURNED_BY_EXIF else None
        picture = _scaled(_with_plain_mode(source), limits.side)
    if upright is not None:
        picture = picture.transpose(upright)
    return _bare(_to_srgb(picture, profile))


def _orientation(image: Image.Image) -> int:
    # Not `image.getexif()`, which also believes XMP, and text that some programs write into a PNG.
    exif, found = Image.Exif(), image.info.get("exif")
    try:
        exif.load(found if isinstance(found, bytes) else b"")
        orientation = exif.get(_ORIENTATION_TAG, 1)
    except Exception:
        # Damaged metadata does not matter: it is removed anyway.
        return 1
    return orientation if isinstance(orientation, int) else 1


def _with_plain_mode(image: Image.Image) -> Image.Image:
    """Returns the same pixels as L, RGB, CMYK or RGBA: scaling and colour management understand these."""
    if image.mode.startswith("I"):
        # 16 bits of grey: `convert` alone would clip all values above 255. A colour that the file declares transparent
        # becomes visible.
        return image.point(lambda value: value * (1 / 256)).convert("L")
    if image.has_transparency_data:
        return image.convert("RGBA")
    if image.mode in ("L", "RGB", "CMYK"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _to_srgb(image: Image.Image, profile: object) -> Image.Image:
    """Returns the image as RGB or RGBA in sRGB. Ignores an unreadable or unfitting profile, as browsers do."""
    target = "RGBA" if image.mode == "RGBA" else "RGB"
    if not isinstance(profile, bytes) or not profile:
        return image.convert(target)
    colours = image.convert("RGB") if target == "RGBA" else image
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        if colours.mode not in _PROFILE_MODES.get(source.profile.xcolor_space.strip(), ()):
            return image.convert(target)
        converted = ImageCms.profileToProfile(
            colours,
            source,
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (OSError, ImageCms.PyCMSError, ValueError, TypeError):
        return image.convert(target)
    if converted is None:
        return image.convert(target)
    if target == "RGBA":
        converted.putalpha(image.getchannel("A"))
    return converted


def _bare(image: Image.Image) -> Image.Image:
    """Returns a new image of the visible pixels alone: Pillow would write the old image's comments and profiles."""
    if image.mode == "RGBA" and image.getchannel("A").getextrema() == (255, 255):
        image = image.convert("RGB")
    if image.mode == "RGBA":
        # Editors keep the pixels of cut-out parts under full transparency; multiplying by alpha erases them.
        image = image.convert("RGBa").convert("RGBA")
    bare = Image.new(image.mode, image.size)
    bare.paste(image)
    return bare


def _fitting(width: int, height: int, side: int) -> tuple[int, int]:
    longer = max(width, height)
    if longer <= side:
        return width, height
    return max(1, round(width * side / longer)), max(1, round(height * side / longer))


def _scaled(image: Image.Image, side: int) -> Image.Image:
    size = _fitting(image.width, image.height, side)
    if size == image.size:
        return image
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _encode(image: Image.Image) -> tuple[str, bytes]:
    """Returns the media type and the file. Transparent pictures become WebP: as PNG, a photo would take megabytes."""
    output = BytesIO()
    if image.mode == "RGB":
        image.save(output, "JPEG", quality=JPEG_QUALITY, progressive=True, optimize=True)
        return "image/jpeg", output.getvalue()
    image.save(output, "WEBP", quality=WEBP_QUALITY, method=4)
    return "image/webp", output.getvalue()


def _encode_smaller(image: Image.Image) -> tuple[str, bytes]:
    """Returns the media type and the file of a smaller size."""
    output = BytesIO()
    # The slower methods take three times as long, and save a fiftieth of the bytes.
    image.save(output, "WEBP", quality=SMALLER_QUALITY, method=2)
    return "image/webp", output.getvalue()
