"""What a caller is told of a picture: the same words after an upload, in a list, and when asked."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from thumbstack.buckets import Stored
from thumbstack.picture_key import PictureKey
from thumbstack.picture_type import PDF
from thumbstack.presets import options_of_part
from thumbstack.signing import signed_path
from uploader.room import Room

# Kept and given back; Thumbor renders none.
_NOT_RENDERED = frozenset((PDF.content_type,))


def entry(room: Room, picture: PictureKey, stored: Stored, address: str | None = None) -> dict[str, Any]:
    """A picture as JSON; width and height as it is seen, in pixels, null where it has none.

    `address` is for callers outside a request, who cannot be asked where they were reached.
    """
    known = stored.metadata
    address = address or room.address
    told = {
        "name": unquote(known.get("name", picture.file)),
        "key": str(picture),
        "url": f"{address}/{picture}",
        "content_type": stored.content_type,
        "width": _number(known.get("width")),
        "height": _number(known.get("height")),
        "frames": _number(known.get("frames")),
        "bytes": stored.bytes,
        "sha256": known.get("sha256"),
        "altered": "sha256-sent" in known,
        "uploaded": _uploaded(picture, stored).isoformat(),
        "dominant_color": known.get("color"),
        "placeholder": known.get("placeholder"),
        "urls": _urls(room, picture, stored, address),
    }
    if "note" in known:
        told["note"] = unquote(known["note"])
    if "crop" in known:
        told["crop"] = known["crop"]
    return told


def _urls(room: Room, picture: PictureKey, stored: Stored, address: str) -> dict[str, str]:
    """A signed URL of each preset, of the part that was chosen at publishing."""
    if stored.content_type in _NOT_RENDERED:
        return {}
    chosen = options_of_part(room.presets, stored.metadata.get("crop", ""))
    return {name: address + signed_path(picture, options, room.security_key) for name, options in chosen.items()}


def _uploaded(picture: PictureKey, stored: Stored) -> datetime:
    """When it came: its name says so; S3 only knows when it was last published or cropped."""
    return stored.modified if picture.seconds is None else datetime.fromtimestamp(picture.seconds, UTC)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None
