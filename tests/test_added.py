"""A picture from outside: whatever it is, a small plain JPEG comes out, or one clear line."""

from io import BytesIO

import pytest
from PIL import Image

from pipeline.errors import SourceError
from pipeline.media.added import to_jpeg


def saved(image, form, **options):
    out = BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def opened(jpeg):
    image = Image.open(BytesIO(jpeg))
    assert image.format == "JPEG"
    assert image.mode == "RGB"
    return image


def halves(size=(60, 40)):
    """Red above, blue below."""
    image = Image.new("RGB", size, "blue")
    image.paste((255, 0, 0), (0, 0, size[0], size[1] // 2))
    return image


def is_near(one, other):
    return all(abs(a - b) < 40 for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_what_people_have_is_taken(form, tmp_path):
    content = saved(halves(), form)
    image = opened(to_jpeg(content))
    assert image.size == (60, 40)
    assert is_near(image.getpixel((30, 5)), (255, 0, 0))
    (tmp_path / "a picture").write_bytes(content)
    assert to_jpeg(tmp_path / "a picture") == to_jpeg(content)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1", "I;16"])
def test_every_kind_of_colour_is_taken(mode):
    image = halves().convert("L").convert("I").convert("I;16") if mode == "I;16" else halves().convert(mode)
    assert opened(to_jpeg(saved(image, "TIFF"))).size == (60, 40)


def test_what_is_clear_is_white():
    clear = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    assert is_near(opened(to_jpeg(saved(clear, "PNG"))).getpixel((20, 20)), (255, 255, 255))


def test_a_large_one_becomes_small():
    assert opened(to_jpeg(saved(halves((3000, 1500)), "JPEG"))).size == (1024, 512)


def test_one_that_was_turned_stands_upright_and_tells_nothing_else():
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    exif[0x010F] = "A camera"
    exif.get_ifd(0x8825)[1] = "N"  # a place
    image = opened(to_jpeg(saved(halves(), "JPEG", exif=exif)))
    assert is_near(image.getpixel((30, 5)), (0, 0, 255))
    assert not image.getexif()


def test_no_word_of_the_old_file_is_left():
    content = saved(halves(), "JPEG", comment=b"a secret comment")
    assert b"a secret comment" in content
    assert b"a secret comment" not in to_jpeg(content)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no picture",
        b"\x89PNG\r\n\x1a\n",
        saved(halves((400, 400)), "PNG")[:-200],
        b"%PDF-1.4 x",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    ],
)
def test_what_is_no_whole_picture_is_refused(content):
    with pytest.raises(SourceError, match=r"cannot be read\. Add"):
        to_jpeg(content)


def test_what_is_too_large_is_refused_before_it_is_decoded():
    bomb = saved(Image.new("1", (20_000, 20_000)), "PNG")
    assert len(bomb) < 100_000
    with pytest.raises(SourceError, match="too large"):
        to_jpeg(bomb)
    with pytest.raises(SourceError, match="too large"):
        to_jpeg(saved(Image.new("1", (12_000, 12_000)), "PNG"))
    with pytest.raises(SourceError, match="50 MB"):
        to_jpeg(b"x" * 50_000_001)


def test_what_is_too_small_is_refused():
    with pytest.raises(SourceError, match="too small"):
        to_jpeg(saved(Image.new("RGB", (1, 400)), "PNG"))


def test_what_is_no_file_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "gone.png"):
        with pytest.raises(SourceError, match="Check the path"):
            to_jpeg(path)
