"""A collection as an older site has it: pictures of many types, and files that only look like pictures."""

import io
from collections.abc import Iterator

from PIL import Image

from tests.thumbstack.samples import PDF_BYTES

_KINDS = ("jpg", "png", "gif", "webp", "jpeg", "avif", "tiff", "svg", "pdf", "JPG")
_FORMATS = {"jpg": "JPEG", "jpeg": "JPEG", "JPG": "JPEG", "tiff": "TIFF"}


def collection(count: int, size: tuple[int, int] = (48, 36)) -> Iterator[tuple[str, bytes]]:
    """So many pictures, named as c2corg's backend names them, or as people do, in a few folders."""
    for number in range(count):
        kind = _KINDS[number % len(_KINDS)]
        if number % 3:
            yield f"{1_400_000_000 + number}_{number * 7919 + 1}.{kind}", picture(number, kind, size)
        else:
            yield f"20{number % 20:02d}/Été_{number}.{kind}", picture(number, kind, size)


def picture(number: int, kind: str, size: tuple[int, int] = (48, 36)) -> bytes:
    """A picture that no other number has."""
    colour = (number % 256, number // 256 % 256, 90)
    if kind == "svg":
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30">'
            f'<rect width="40" height="30" fill="#{bytes(colour).hex()}"/></svg>'
        ).encode()
    if kind == "pdf":
        return PDF_BYTES.replace(b"<</Root 1 0 R>>", b"<</Root 1 0 R/N %d>>" % number)
    out = io.BytesIO()
    Image.new("RGB", (size[0] + number % 7, size[1]), colour).save(out, _FORMATS.get(kind, kind.upper()))
    return out.getvalue()


def broken() -> dict[str, bytes]:
    """Five that no firewall lets in."""
    return {
        "1400000000_1.jpg": picture(1, "jpg")[:200],
        "broken/cut.png": picture(2, "png")[:-20],
        "broken/empty.gif": b"",
        "broken/page.jpg": b"<html><body>404</body></html>",
        "broken/polyglot.png": picture(3, "png") + b"PK\3\4" + bytes(60),
    }
