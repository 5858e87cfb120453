"""A picture that a person adds to a question -> a JPEG that is safe to keep, to search by, and to send.

In: bytes, or a file, that may be anything. Out: a small upright JPEG without what else the file told (place, camera,
thumbnails). Knows no question and no folder.
"""

import warnings
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import SourceError
from pipeline.media import guard
from pipeline.media.source import USUAL, require_allowed
from pipeline.settings import Limits

if TYPE_CHECKING:
    from PIL import Image

LONG_SIDE = 1024  # pixels: what Pixtral sees, and what frames have
SHORT_SIDE = 8  # pixels; less shows nothing
QUALITY = 90  # of 1-95
LARGEST_FILE = 50_000_000  # bytes
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "MPO")  # no others are tried: their decoders may do anything


class Jpeg(bytes):
    """A picture that is safe."""


def to_jpeg(picture: bytes | Path, limits: Limits = USUAL) -> Jpeg:
    """The picture, the first one of several, as an upright JPEG of at most 1024 pixels. Raises SourceError."""
    if isinstance(picture, Jpeg):
        return picture
    content = picture if isinstance(picture, bytes) else _read(picture, limits)
    if len(content) > LARGEST_FILE:
        raise SourceError(f"The picture has more than {LARGEST_FILE // 1_000_000} MB. Add a smaller one.")
    return Jpeg(guard.run(decode, content, limits=limits))


def decode(content: bytes, limits: Limits = USUAL) -> bytes:
    """What to_jpeg gives, decoded in this process."""
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow's own, looser limit of size: ours is below
            with Image.open(BytesIO(content), formats=FORMATS) as image:
                width, height = image.size
                if width * height > limits.pixels:
                    raise SourceError(
                        f"The picture is too large: it has {width} x {height} pixels, and MAX_MEGAPIXELS allows "
                        f"{limits.pixels / 1e6:g} million. Add a smaller one."
                    )
                if min(width, height) < SHORT_SIDE:
                    raise SourceError(f"The picture is too small ({width} x {height} pixels). Add a larger one.")
                image.draft("RGB", (2 * LONG_SIDE, 2 * LONG_SIDE))  # of a JPEG decodes no more than is needed
                image.load()
                upright = ImageOps.exif_transpose(image)
                if upright.mode in ("P", "1"):  # a palette cannot be made smaller without being coarse
                    upright = upright.convert("RGBA" if "transparency" in upright.info else "RGB")
                upright.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.BICUBIC, reducing_gap=3.0)
                return _encoded(upright)
    except (SourceError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise SourceError("The picture is too large. Add a smaller one.") from error
    except Exception as error:  # decoders raise all sorts for damaged data; all that runs inside is theirs
        raise SourceError("The picture cannot be read. Add a whole JPEG, PNG, WebP or GIF file.") from error


def _read(path: Path, limits: Limits) -> bytes:
    try:
        if not path.is_file():  # nor a pipe, which would hang
            raise SourceError(f"There is no picture at {path}. Check the path.")
        require_allowed(path, limits)
        with path.open("rb") as file:
            return file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise SourceError(f"The picture {path} cannot be read: {error.strerror or error}. Check the path.") from error


def _encoded(image: "Image.Image") -> bytes:
    from PIL import Image

    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:  # on white, as pages show it
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    plain = Image.new("RGB", image.size)
    plain.paste(image.convert("RGB"))  # into a new one: nothing that was known of the old one goes along
    out = BytesIO()
    plain.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()
