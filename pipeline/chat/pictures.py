"""Bytes of pictures: their size, and the form in which a chat request carries them. Pure; decodes nothing."""

import base64
import struct
import zlib

NOT_KNOWN = (1024, 1024)  # the most that a kept frame can be, and so the most it can cost


def size(jpeg: bytes) -> tuple[int, int]:
    """(width, height) in pixels from a JPEG's frame header (ITU T.81, B.2.2); NOT_KNOWN for other bytes."""
    place = 2
    while jpeg[:2] == b"\xff\xd8" and place + 9 <= len(jpeg) and jpeg[place] == 0xFF:
        marker, length = jpeg[place + 1], int.from_bytes(jpeg[place + 2 : place + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", jpeg[place + 5 : place + 9])
            return (width, height) if width and height else NOT_KNOWN
        place += 1 if marker == 0xFF else 2 + length  # 0xFF may be repeated as filling
    return NOT_KNOWN


def data_url(picture: bytes, mime: str) -> str:
    """The picture as a data: address."""
    return f"data:{mime};base64,{base64.b64encode(picture).decode()}"


def png(width: int, height: int) -> bytes:
    """A plain grey PNG."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\x80" * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
