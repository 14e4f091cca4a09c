"""Pictures and things that look like them, made from nothing."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

IMAGES = Path(__file__).parents[1] / "images"
SVG_BYTES = b'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"><rect width="40" height="30"/></svg>'
PDF_BYTES = b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\nxref\n0 1\ntrailer<</Root 1 0 R>>\nstartxref\n40\n%%EOF\n"


def picture(
    format_: str, size: tuple[int, int] = (40, 30), *, mode: str = "RGB", color: str = "teal", orientation: int = 1
) -> bytes:
    """A small picture of one colour."""
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"exif": exif} if orientation != 1 else {}
    image = Image.new(mode, size, color if mode not in ("I;16",) else 65535)
    image.save(out, format_, **options)
    return out.getvalue()


def noise(format_: str) -> bytes:
    """A picture of which every byte counts."""
    out = io.BytesIO()
    pixels = np.random.default_rng(1).integers(0, 255, (150, 200, 3), np.uint8)
    Image.fromarray(pixels).save(out, format_)
    return out.getvalue()


def animation(format_: str, frames: int, size: tuple[int, int] = (16, 16)) -> bytes:
    """Frames of different colours."""
    pictures = [Image.new("RGB", size, (index * 10 % 256, 100, 200 - index)) for index in range(frames)]
    out = io.BytesIO()
    pictures[0].save(out, format_, save_all=True, append_images=pictures[1:])
    return out.getvalue()


def multi_picture() -> bytes:
    """Two JPEGs in one file, as cameras with two lenses write them."""
    out = io.BytesIO()
    Image.new("RGB", (40, 30)).save(out, "MPO", save_all=True, append_images=[Image.new("RGB", (40, 30), "red")])
    return out.getvalue()


def gif_of_frames(frames: int) -> bytes:
    """A GIF of very many frames, a few bytes each."""
    head = b"GIF89a" + struct.pack("<HHBBB", 10, 10, 0x80, 0, 0) + bytes(6)
    return head + (b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\1\x44\0") * frames + b";"


def png_with_chunk(kind: bytes, start: bytes, unpacked: int) -> bytes:
    """A PNG with a chunk that unpacks to very much."""
    body = picture("PNG")
    payload = start + zlib.compress(bytes(unpacked), 9)
    chunk = struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))
    return body[:33] + chunk + body[33:]


def png_claiming(width: int, height: int) -> bytes:
    """A PNG whose header claims a size that no pixels follow."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    data = b"IDAT" + bytes(4)
    return (
        start
        + struct.pack(">I", 4)
        + data
        + struct.pack(">I", zlib.crc32(data))
        + struct.pack(">I", 0)
        + b"IEND\xae\x42\x60\x82"
    )


def jpeg_claiming(width: int, height: int) -> bytes:
    """A whole JPEG of 40x30 pixels whose header claims more."""
    body = bytearray(picture("JPEG"))
    at = body.index(b"\xff\xc0")
    struct.pack_into(">HH", body, at + 5, height, width)
    return bytes(body)


def jpeg_of_exifs(pieces: int) -> bytes:
    """A JPEG with its EXIF in so many pieces."""
    body = jpeg_of_scans(1)
    return body[:2] + b"\xff\xe1\0\x08Exif\0\0" * pieces + body[2:]


def jpeg_of_scans(scans: int) -> bytes:
    """A progressive JPEG with its last scan repeated."""
    out = io.BytesIO()
    Image.new("RGB", (40, 30)).save(out, "JPEG", progressive=True)
    body = out.getvalue()
    last = body.rindex(b"\xff\xda")
    return body[:last] + body[last:-2] * scans + b"\xff\xd9"


def tiff_claiming(width: int, height: int, tile: int = 0) -> bytes:
    """A TIFF without pixels."""
    tags = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (277, 1)]
    tags += [(322, tile), (323, tile), (324, 8), (325, 100)] if tile else [(273, 8), (278, height), (279, 100)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(104)
