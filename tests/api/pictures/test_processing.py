"""Tests what processing makes of an upload: an upright sRGB picture of bounded size without metadata, or a refusal."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageCms, PngImagePlugin
from pillow_heif import from_bytes

from api.pictures.errors import BrokenPicture, PictureRefused, PictureTooLarge, UnsupportedPicture
from api.pictures.processing import ProcessedPicture, process_picture
from tests.api.pictures.samples import (
    LIMITS,
    SECRET,
    WHITE,
    corners,
    encoded,
    exif,
    jpeg_segments,
    opened,
    png_chunk,
    png_claiming,
    quarters,
    swapping_profile,
    turned_by,
    webp_chunks,
    webp_claiming,
    xmp,
)
from tests.support.examples import examples

UPRIGHT = ["red", "green", "blue", "white"]
JPEG_SEGMENTS = {"SOI", "APP0", "DQT", "SOF2", "DHT", "SOS", "EOI"}
WEBP_CHUNKS = {"VP8X", "ALPH", "VP8 ", "VP8L"}


def processed(data: bytes) -> ProcessedPicture:
    """Process a picture, and check what must be true of every result."""
    picture = process_picture(data, LIMITS)
    for content_type, file, width, height, side in (
        (picture.content_type, picture.data, picture.width, picture.height, LIMITS.side),
        (picture.medium_content_type, picture.medium, picture.medium_width, picture.medium_height, LIMITS.medium_side),
        (
            picture.thumbnail_content_type,
            picture.thumbnail,
            picture.thumbnail_width,
            picture.thumbnail_height,
            LIMITS.thumbnail_side,
        ),
    ):
        image = opened(file)
        assert image.size == (width, height)
        assert max(image.size) <= side
        assert image.mode == {"image/jpeg": "RGB", "image/webp": "RGBA"}[picture.content_type]
        assert_nothing_but_pixels(content_type, file)
    # Every browser reads WebP. The large size is also shown by programs that read only JPEG.
    assert picture.medium_content_type == picture.thumbnail_content_type == "image/webp"
    return picture


def assert_nothing_but_pixels(content_type: str, file: bytes) -> None:
    if content_type == "image/jpeg":
        segments = jpeg_segments(file)
        assert set(segments) <= JPEG_SEGMENTS
        assert segments.count("APP0") == 1
    else:
        assert set(webp_chunks(file)) <= WEBP_CHUNKS
    assert SECRET not in file
    image = opened(file)
    assert not {"exif", "icc_profile", "xmp", "comment", "photoshop", "mp"} & set(image.info)
    assert not image.getexif()
    assert getattr(image, "n_frames", 1) == 1


def as_stored_by_a_camera(upright: Image.Image, orientation: int) -> Image.Image:
    """The pixels that a camera stores with this Exif orientation: a viewer has to turn them back."""
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    return upright if undo is None else upright.transpose(undo)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_turned_upright_and_forgets_where_it_was_taken(orientation: int) -> None:
    photo = encoded(
        as_stored_by_a_camera(quarters(), orientation),
        "JPEG",
        quality=95,
        exif=exif(orientation),
        comment=SECRET,
        xmp=xmp(),
        icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    )
    assert photo.count(SECRET) >= 4
    assert opened(photo).getexif().get_ifd(0x8825)
    picture = processed(photo)
    assert (picture.width, picture.height) == (96, 64)
    for file in (picture.data, picture.medium, picture.thumbnail):
        assert corners(opened(file)) == UPRIGHT


def test_pictures_of_the_other_formats_forget_their_metadata_too() -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", SECRET.decode())
    texts.add_itxt("XML:com.adobe.xmp", xmp().decode(), zip=False)
    image = as_stored_by_a_camera(quarters(), 6)
    for sent in (
        encoded(image, "PNG", exif=exif(6), pnginfo=texts),
        encoded(quarters(), "WEBP", exif=exif(), xmp=xmp(), quality=95),
        encoded(image, "AVIF", exif=exif(6), xmp=xmp(), quality=95),
        encoded(quarters(), "HEIF", exif=exif(6), xmp=xmp(), quality=95),
        encoded(quarters(), "GIF", comment=SECRET),
    ):
        assert SECRET in sent
        assert corners(opened(processed(sent).data)) == UPRIGHT


@pytest.mark.parametrize("sent", turned_by())
def test_a_picture_is_turned_where_browsers_turn_it(sent: str) -> None:
    data, is_turned = turned_by()[sent]
    picture = processed(data)
    assert (picture.width, picture.height) == ((64, 96) if is_turned else (96, 64))
    assert corners(opened(picture.data)) == (["blue", "red", "white", "green"] if is_turned else UPRIGHT)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_name", ["AVIF", "HEIF"])
def test_a_photo_in_a_new_format_is_turned_once(format_name: str, orientation: int) -> None:
    stored = as_stored_by_a_camera(quarters(), orientation)
    # The encoder of HEIC makes a rotation of what is here, and that of AVIF of the option.
    stored.info["exif"] = exif(orientation).tobytes()
    options = {"exif": exif(orientation)} if format_name == "AVIF" else {}
    picture = processed(encoded(stored, format_name, quality=95, **options))
    assert corners(opened(picture.data)) == UPRIGHT


def test_a_heic_of_tiles_with_ten_bits_and_a_wide_profile_is_taken() -> None:
    """Telephones make them so."""
    large = quarters().resize((768, 512))
    tiled = encoded(large, "HEIF", tile_size=256, icc_profile=swapping_profile(), quality=90)
    assert corners(opened(processed(tiled).data)) == ["blue", "green", "red", "white"]
    deep = from_bytes("RGB;16", (96, 64), b"".join(part.to_bytes(2, "little") for part in deep_pixels(quarters())))
    output = BytesIO()
    deep.save(output, quality=95)
    assert corners(opened(processed(output.getvalue()).data)) == UPRIGHT


def deep_pixels(image: Image.Image) -> Iterator[int]:
    for part in image.tobytes():
        yield part * 257


@pytest.mark.parametrize("format_name", ["HEIF", "AVIF"])
def test_transparency_in_a_new_format_is_kept(format_name: str) -> None:
    image = quarters().convert("RGBA")
    image.paste((0, 0, 0, 0), (48, 32, 96, 64))
    picture = processed(encoded(image, format_name, quality=95))
    assert picture.content_type == "image/webp"
    assert opened(picture.data).getpixel((80, 50)) == (0, 0, 0, 0)


def test_a_heic_is_told_by_any_of_its_brands() -> None:
    data = encoded(quarters(), "HEIF", quality=95)
    for brand in (b"mif1", b"heix", b"msf1"):
        assert corners(opened(processed(data[:8] + brand + data[12:]).data)) == UPRIGHT


@pytest.mark.parametrize("missing", [1, 2, 3, 12])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"exif": exif(), "quality": 95, "subsampling": 0}])
def test_a_jpeg_without_its_last_bytes_is_taken_as_in_browsers(options: dict[str, Any], missing: int) -> None:
    photo = Image.effect_noise((400, 300), 60).convert("RGB")
    whole = encoded(photo, "JPEG", **options)
    picture = processed(whole[:-missing])
    difference = ImageChops.difference(opened(picture.data), opened(processed(whole).data))
    # All but the last rows of blocks is the same.
    assert difference.crop((0, 0, 400, 280)).getbbox() is None
    # The thumbnail after the picture of some cameras is no part of it.
    assert processed(whole + encoded(quarters(), "JPEG")[:-missing]).width == 400


def test_a_jpeg_with_a_scan_for_each_colour_may_lack_only_the_end_of_the_last() -> None:
    whole = encoded(Image.effect_noise((400, 300), 60).convert("RGB"), "JPEG", progressive=True)
    last = whole.rindex(b"\xff\xda")
    assert processed(whole[: last + 100]).width == 400
    for kept in (last, last - 10):
        with pytest.raises(BrokenPicture):
            process_picture(whole[:kept], LIMITS)


def test_a_picture_with_damaged_metadata_is_accepted() -> None:
    picture = processed(encoded(quarters(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f" + SECRET, quality=95))
    assert corners(opened(picture.data)) == UPRIGHT


def test_bytes_after_the_end_of_a_picture_are_dropped() -> None:
    payload = b"PK\x03\x04<script>alert(1)</script>" + SECRET
    for format_name in ("JPEG", "PNG", "WEBP"):
        picture = processed(encoded(quarters(), format_name) + payload)
        assert b"<script>" not in picture.data
        assert b"<script>" not in picture.thumbnail


def test_a_colour_profile_is_applied_and_dropped() -> None:
    exchanged = ["blue", "green", "red", "white"]
    for sent in (
        encoded(quarters(), "JPEG", quality=95, icc_profile=swapping_profile()),
        encoded(quarters(), "PNG", icc_profile=swapping_profile()),
        encoded(quarters().quantize(8), "PNG", icc_profile=swapping_profile()),
    ):
        assert corners(opened(processed(sent).data)) == exchanged
    half_clear = quarters().convert("RGBA")
    half_clear.putalpha(128)
    picture = opened(processed(encoded(half_clear, "WEBP", lossless=True, icc_profile=swapping_profile())).data)
    assert corners(picture) == exchanged
    assert picture.getchannel("A").getextrema() == (128, 128)


@pytest.mark.parametrize("profile", [b"no profile" + SECRET, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))])
def test_a_colour_profile_that_does_not_fit_is_ignored(profile: bytes | ImageCms.ImageCmsProfile) -> None:
    profile = profile if isinstance(profile, bytes) else profile.tobytes()
    assert corners(opened(processed(encoded(quarters(), "JPEG", quality=95, icc_profile=profile)).data)) == UPRIGHT


def test_a_cmyk_jpeg_becomes_rgb() -> None:
    sent = encoded(quarters().convert("CMYK"), "JPEG", quality=95)
    assert opened(sent).mode == "CMYK"
    assert corners(opened(processed(sent).data)) == UPRIGHT


def test_a_palette_with_transparency_keeps_both() -> None:
    image = quarters().quantize(8)
    clear = image.getpixel((90, 60))
    sent = encoded(image, "PNG", transparency=clear)
    assert opened(sent).mode == "P"
    picture = processed(sent)
    assert picture.content_type == "image/webp"
    for kept in map(opened, (picture.data, picture.medium, picture.thumbnail)):
        assert corners(kept)[:3] == UPRIGHT[:3]
        alpha = kept.getchannel("A")
        assert [alpha.getpixel(place) for place in ((8, 8), (90, 60))] == [255, 0]


def test_colours_of_fully_transparent_pixels_are_erased() -> None:
    image = quarters().convert("RGBA")
    image.paste((*WHITE, 0), (0, 0, 96, 32))
    picture = opened(processed(encoded(image, "PNG")).data)
    assert picture.getpixel((8, 8)) == (0, 0, 0, 0)
    assert picture.getpixel((8, 40))[3] == 255  # type: ignore[index]


def test_an_alpha_channel_that_hides_nothing_becomes_a_jpeg() -> None:
    picture = processed(encoded(quarters().convert("RGBA"), "PNG"))
    assert picture.content_type == "image/jpeg"
    assert corners(opened(picture.data)) == UPRIGHT


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA"])
@pytest.mark.parametrize("format_name", ["PNG", "WEBP"])
def test_pictures_of_every_mode_keep_their_look(mode: str, format_name: str) -> None:
    image = Image.new("L", (96, 64), 255)
    image.paste(0, (0, 0, 48, 64))
    if mode == "PA" and format_name == "PNG":
        image = image.convert("P").convert("PA").convert("RGBA")
    else:
        image = image.convert(mode)
    picture = processed(encoded(image, format_name, **({"lossless": True} if format_name == "WEBP" else {})))
    assert corners(opened(picture.data)) == ["black", "white", "black", "white"]


def test_sixteen_bits_of_grey_keep_their_shades() -> None:
    image = Image.new("I;16", (96, 64), 128 * 256)
    image.paste(65535, (0, 0, 48, 32))
    image.paste(0, (0, 32, 48, 64))
    sent = encoded(image, "PNG")
    assert opened(sent).mode == "I;16"
    assert corners(opened(processed(sent).data)) == ["white", "grey", "black", "grey"]


def test_only_the_first_frame_of_an_animation_is_kept() -> None:
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "green", "blue")]
    for format_name in ("WEBP", "PNG", "GIF", "AVIF"):
        sent = encoded(frames[0], format_name, save_all=True, append_images=frames[1:], duration=100)
        assert opened(sent).n_frames == 3  # type: ignore[attr-defined]
        assert corners(opened(processed(sent).data)) == ["red"] * 4


def test_a_photo_with_more_photos_appended_is_accepted() -> None:
    sent = encoded(quarters(), "MPO", save_all=True, append_images=[Image.new("RGB", (64, 64), "blue")], quality=95)
    assert opened(sent).format == "MPO"
    assert corners(opened(processed(sent).data)) == UPRIGHT


@pytest.mark.slow
@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP"])
def test_a_big_picture_is_scaled_down_and_keeps_its_shape(format_name: str) -> None:
    picture = processed(encoded(quarters().resize((6000, 4000)), format_name))
    assert (picture.width, picture.height) == (2048, 1365)
    assert (picture.medium_width, picture.medium_height) == (800, 533)
    assert (picture.thumbnail_width, picture.thumbnail_height) == (480, 320)
    for file in (picture.data, picture.medium, picture.thumbnail):
        assert corners(opened(file)) == UPRIGHT


def test_a_small_picture_is_not_scaled_up() -> None:
    picture = processed(encoded(Image.new("RGB", (1, 1)), "PNG"))
    assert (picture.width, picture.height) == (picture.thumbnail_width, picture.thumbnail_height) == (1, 1)
    assert (picture.medium_width, picture.medium_height) == (1, 1)


@pytest.mark.parametrize(("medium", "thumbnail"), [(80, 40), (40, 80), (40, 40)])
def test_each_size_is_what_the_settings_say_whichever_is_larger(medium: int, thumbnail: int) -> None:
    limits = replace(LIMITS, medium_side=medium, thumbnail_side=thumbnail)
    picture = process_picture(encoded(quarters(), "PNG"), limits)
    assert (picture.medium_width, picture.thumbnail_width) == (medium, thumbnail)
    assert corners(opened(picture.medium)) == corners(opened(picture.thumbnail)) == UPRIGHT


def test_a_very_narrow_picture_keeps_a_width_of_one_pixel() -> None:
    picture = processed(encoded(Image.new("L", (60_000, 1)), "PNG"))
    assert (picture.width, picture.height) == (2048, 1)
    assert (picture.medium_width, picture.medium_height) == (800, 1)
    assert (picture.thumbnail_width, picture.thumbnail_height) == (480, 1)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8",
        b"This is text, whatever its name says.\n",
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        b"%PDF-1.7\n",
        encoded(quarters(), "BMP"),
        encoded(quarters(), "TIFF"),
        b"\0\0\0\x1cftypisom\0\0\2\0isomiso2avc1mp41" + bytes(100),
        b"GIF88a" + bytes(100),
    ],
    ids=["empty", "two bytes", "text", "svg", "pdf", "bmp", "tiff", "film", "no gif"],
)
def test_other_formats_are_refused_by_their_content(data: bytes) -> None:
    with pytest.raises(UnsupportedPicture, match="only JPEG, PNG, WebP, GIF, HEIC and AVIF"):
        process_picture(data, LIMITS)


@pytest.mark.parametrize("claiming", [png_claiming, webp_claiming])
def test_a_decompression_bomb_is_refused_by_its_header(claiming: type) -> None:
    for width, height in ((16_000, 16_000), (10_000, 6_001)):
        with pytest.raises(PictureTooLarge, match="pixels"):
            process_picture(claiming(width, height), LIMITS)
    with pytest.raises(BrokenPicture):
        process_picture(claiming(10_000, 5_999), LIMITS)


def test_a_jpeg_may_have_more_pixels_and_is_refused_by_its_header_as_well() -> None:
    data = bytearray(encoded(quarters(), "JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", 16_001, 12_500)
    with pytest.raises(PictureTooLarge, match="200000000 pixels"):
        process_picture(bytes(data), LIMITS)
    with pytest.raises(PictureTooLarge, match="200000000 pixels"):
        process_picture(bytes(data[:-2]), LIMITS)
    data[at : at + 4] = struct.pack(">HH", 16_000, 12_500)
    with pytest.raises(BrokenPicture):
        process_picture(bytes(data[:-2]), LIMITS)


def test_a_header_that_pillow_itself_refuses_is_refused() -> None:
    with pytest.raises(PictureTooLarge):
        process_picture(png_claiming(2**31 - 1, 2**31 - 1), LIMITS)
    with pytest.raises(PictureTooLarge):
        process_picture(webp_claiming(2**24, 2**24), LIMITS)


def test_a_text_chunk_that_unpacks_to_a_huge_text_is_refused() -> None:
    data = encoded(quarters(), "PNG")
    bomb = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(64 * 1024 * 1024)))
    with pytest.raises(PictureRefused):
        process_picture(data[:33] + bomb + data[33:], LIMITS)


def test_a_picture_without_pixels_is_refused() -> None:
    for width, height in ((0, 10), (10, 0), (0, 0)):
        with pytest.raises(BrokenPicture):
            process_picture(png_claiming(width, height), LIMITS)


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "GIF", "HEIF", "AVIF"])
@pytest.mark.parametrize("kept", [0.05, 0.5, 0.9])
def test_a_truncated_picture_is_refused(format_name: str, kept: float) -> None:
    data = encoded(Image.effect_noise((200, 200), 90).convert("RGB"), format_name)
    with pytest.raises(BrokenPicture):
        process_picture(data[: int(len(data) * kept)], LIMITS)


def test_a_truncated_progressive_jpeg_is_refused() -> None:
    data = encoded(Image.effect_noise((400, 400), 90).convert("RGB"), "JPEG", progressive=True)
    with pytest.raises(BrokenPicture):
        process_picture(data[: len(data) // 2], LIMITS)


def test_too_many_bytes_are_refused_before_decoding() -> None:
    data = encoded(quarters(), "PNG")
    assert process_picture(data, replace(LIMITS, max_bytes=len(data))).width == 96
    with pytest.raises(PictureTooLarge, match=f"at most {len(data) - 1} bytes"):
        process_picture(data, replace(LIMITS, max_bytes=len(data) - 1))


def _samples() -> list[bytes]:
    image = quarters()
    return [
        encoded(image, "JPEG", exif=exif(6), progressive=True, icc_profile=swapping_profile()),
        encoded(image, "PNG", exif=exif(3), icc_profile=swapping_profile()),
        encoded(image.quantize(4), "PNG", transparency=1),
        encoded(image.convert("RGBA"), "WEBP", exif=exif(8), xmp=xmp()),
        encoded(image, "JPEG", quality=60)[:-2],
        encoded(image, "GIF", comment=SECRET),
        encoded(image, "AVIF", exif=exif(6)),
    ]


SAMPLES = _samples()


@settings(max_examples=examples(150), deadline=None)
@given(sample=st.sampled_from(SAMPLES), at=st.floats(0, 1), replacement=st.binary(max_size=16))
@example(sample=SAMPLES[0], at=0.0, replacement=b"")
def test_a_damaged_picture_is_processed_or_refused(sample: bytes, at: float, replacement: bytes) -> None:
    place = int(at * len(sample))
    damaged = sample[:place] + replacement + sample[place + len(replacement) :]
    try:
        picture = process_picture(damaged, LIMITS)
    except PictureRefused:
        return
    assert_nothing_but_pixels(picture.content_type, picture.data)
    assert opened(picture.data).size == (picture.width, picture.height)
