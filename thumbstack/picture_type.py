"""The types of picture that are taken in, and how each is written in a Content-Type and in a file name."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PictureType:
    """One type: its Content-Type and the one extension that picture keys use for it."""

    content_type: str
    extension: str


JPEG = PictureType("image/jpeg", "jpg")
PNG = PictureType("image/png", "png")
GIF = PictureType("image/gif", "gif")
WEBP = PictureType("image/webp", "webp")
AVIF = PictureType("image/avif", "avif")
PDF = PictureType("application/pdf", "pdf")

BY_EXTENSION = {
    **{kind.extension: kind for kind in (JPEG, PNG, GIF, WEBP, AVIF, PDF)},
    **dict.fromkeys(("jpeg", "jpe", "jfif"), JPEG),
}


def split_name(name: str) -> tuple[str, PictureType | None]:
    """Part a client's file name into its stem and the type that its extension claims; None when it claims none.

    Any case: ``X.JPG`` is ``X`` and JPEG. What follows a dot but is no extension of ours belongs to the stem: ``v1.2``.
    Folders before the name are dropped, whichever slash the client's system uses.
    """
    name = name.replace("\\", "/").rpartition("/")[2]
    stem, dot, extension = name.rpartition(".")
    claimed = BY_EXTENSION.get(extension.lower()) if dot and stem else None
    return (name, None) if claimed is None else (stem, claimed)
