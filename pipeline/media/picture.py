"""A decoded picture -> a JPEG as a player would show it: upright, in its true shape and colours, not too large.

Knows neither files nor times.
"""

from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av import VideoFrame
    from av.video.stream import VideoStream
    from PIL import Image

LONG_SIDE = 1024  # pixels: what Pixtral sees
QUALITY = 85  # of 1-95
BT601, BT709, SMPTE240M, BT2020 = 5, 1, 7, 9  # as swscale numbers them
# H.273 matrix coefficients -> swscale's number; what is not named is guessed from the height, as players do.
MATRICES = {1: BT709, 5: BT601, 6: BT601, 7: SMPTE240M, 9: BT2020, 10: BT2020}
PLANAR = ("yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p")  # FFmpeg's names
PQ = 16  # the transfer characteristic of HDR10; shown as it is, it looks grey (HLG is made to look right)
WHITE = 203  # cd/m2, the white of paper in HDR (ITU-R BT.2408)
HD = 720  # lines, from which unnamed colours are BT.709


def shown_size(stream: "VideoStream", rotation: int = 0) -> tuple[int, int]:
    """(width, height) in pixels as a player shows the stream, after sample aspect ratio and rotation."""
    context = stream.codec_context
    ratio = float(stream.sample_aspect_ratio or context.sample_aspect_ratio or 1)
    if not 0.1 <= ratio <= 10:  # damaged
        ratio = 1.0
    width, height = max(1, round(context.width * ratio)), context.height
    return (height, width) if rotation % 180 else (width, height)


def upright(frame: "VideoFrame", stream: "VideoStream", long_side: int) -> "Image.Image":
    """The picture in RGB as a player shows it, at most `long_side` pixels long, never enlarged."""
    from PIL import Image

    width, height = shown_size(stream)
    if (frame.width, frame.height) != (stream.codec_context.width, stream.codec_context.height):
        width, height = round(width * frame.width / stream.codec_context.width), frame.height  # changed on the way
    scale = min(1.0, long_side / max(width, height))
    colours = None if frame.format.is_rgb else MATRICES.get(frame.colorspace, BT709 if frame.height >= HD else BT601)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if scale < 1 and frame.format.name in PLANAR:  # to scale three small planes costs a third of scaling to RGB
        small = frame.reformat(*size, interpolation="BICUBIC", threads=1)
    else:
        small = frame
    rgb = small.reformat(*size, format="rgb24", src_colorspace=colours, interpolation="BICUBIC", threads=1)
    plane = rgb.planes[0]
    image = Image.frombuffer("RGB", size, plane, "raw", "RGB", plane.line_size, 1)
    if frame.color_trc == PQ:
        image = image.point([_from_pq(code / 255) for code in range(256)] * 3)
    turns = round(frame.rotation / 90) % 4  # counter-clockwise
    if turns:
        image = image.transpose(
            (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)[turns - 1]
        )
    return image


def encode_jpeg(frame: "VideoFrame", stream: "VideoStream") -> bytes:
    """The picture as a JPEG of at most 1024 pixels on the long side."""
    out = BytesIO()
    upright(frame, stream, LONG_SIDE).save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def _from_pq(code: float) -> int:
    """PQ (SMPTE ST 2084), 0-1, to gamma 2.2, 0-255; what is brighter than white is clipped."""
    root = code ** (1 / 78.84375)
    light = 10_000 * (max(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)
    return round(255 * min(1.0, light / WHITE) ** (1 / 2.2))
