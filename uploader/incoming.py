"""Uploads in two steps: first held where nobody sees them, then published; and what a keeper does with them by name."""

import time
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, request
from PIL import Image

from thumbstack.buckets import Stored
from thumbstack.intake import named
from thumbstack.options import read_crop
from thumbstack.picture_key import PictureKey, new_file
from thumbstack.picture_type import BY_EXTENSION
from thumbstack.refusal import BadOptions, Missing, NoSuchPicture, NotTurnable, Refused, StorageUnavailable
from thumbstack.upright import turned
from uploader.entry import entry
from uploader.pictures import delete_picture
from uploader.room import field, fields, grant, room
from uploader.uploads import arrival

routes = Blueprint("incoming", __name__)

_TURNS = {"90": Image.Transpose.ROTATE_270, "-90": Image.Transpose.ROTATE_90, "180": Image.Transpose.ROTATE_180}


@routes.post("/upload")
def upload() -> Response:
    """Hold one file under a new name until it is published."""
    caller = grant(private=False)
    file = request.files.get("file")
    if file is None:
        raise Missing("There is no file in the form: send it as the field 'file'.")
    taken = room().intake.hold(arrival(file, alone=True), caller.app)
    return jsonify(
        {"filename": taken.picture.file, **entry(room(), taken.picture, taken.stored), "key": taken.picture.incoming}
    )


@routes.post("/publish")
def publish() -> Response:
    """Make a held picture public: copied, the copy checked, then no longer held. Twice is as good as once."""
    picture = _asked_for(field("key") or field("filename"), grant(private=True).app)
    # What curl -d makes of a plus.
    stored = _published(picture, field("crop").replace(" ", "+"))
    room().warming.warm(picture, stored.metadata.get("crop", ""))
    return jsonify({"success": True, "filename": picture.file, **entry(room(), picture, stored)})


@routes.post("/delete")
def delete() -> Response:
    """Delete several pictures by file name or key; each has its own outcome."""
    app = grant(private=True).app
    names = fields("filenames")
    if not names:
        raise Missing("The names are missing: send the field 'filenames', once for each.")
    return jsonify(success=True, filenames=[_delete_one(name, app) for name in names])


@routes.post("/rotate")
def rotate() -> Response:
    """Turn a published picture clockwise: it gets a new name, and the old one is gone."""
    picture = _asked_for(field("key") or field("filename"), grant(private=True).app)
    turn = _TURNS.get(field("rotation") or "90")
    if turn is None:
        raise BadOptions("The rotation must be 90, -90 or 180.")
    stored = room().buckets.stored(str(picture))
    taken = room().intake.renew(_renamed(picture), _turned(picture, turn), _without_crop(stored))
    delete_picture(picture)
    room().warming.warm(taken.picture)
    return jsonify({"success": True, "filename": taken.picture.file, **entry(room(), taken.picture, taken.stored)})


def _asked_for(name: str, app: str) -> PictureKey:
    """The picture of a file name, or of a key, held or published."""
    if not name:
        raise Missing("The picture is missing: send its 'filename' or its 'key'.")
    picture = PictureKey.parse(name) or PictureKey.parse_incoming(name)
    if picture is None:
        picture = PictureKey.parse(str(named(app, name)))
    if picture is None or picture.app != app:
        raise NoSuchPicture("No such picture")
    return picture


def _published(picture: PictureKey, crop: str) -> Stored:
    """Copy, look at the copy, and only then let go of what is held, wherever an earlier call was broken off."""
    buckets = room().buckets
    there, held = _found(str(picture)), _found(picture.incoming)
    known = there or held
    if known is None:
        raise NoSuchPicture("No such picture")
    metadata = {**_without_crop(known), **({"crop": _fitting(crop, known)} if crop else {})}
    if there is None or metadata != dict(there.metadata):
        buckets.copy(picture.incoming if there is None else str(picture), str(picture), metadata)
    if held is not None:
        if not buckets.holds(str(picture), held.metadata.get("sha256", "")):
            buckets.delete_pictures([str(picture)])
            raise StorageUnavailable("The picture could not be published whole: publish it again.")
        buckets.delete_pictures([picture.incoming])
    return buckets.stored(str(picture))


def _found(key: str) -> Stored | None:
    try:
        return room().buckets.stored(key)
    except NoSuchPicture:
        return None


def _without_crop(stored: Stored) -> dict[str, str]:
    return {name: value for name, value in stored.metadata.items() if name != "crop"}


def _fitting(crop: str, stored: Stored) -> str:
    """The crop, if it lies within the picture."""
    box = read_crop(crop)
    width, height = (int(stored.metadata.get(side, "0")) for side in ("width", "height"))
    if box is None or box[0] + box[2] > width or box[1] + box[3] > height:
        raise BadOptions("The crop must be WxH+X+Y, in pixels, and lie within the picture.")
    return crop


def _delete_one(name: str, app: str) -> dict[str, Any]:
    try:
        deleted = delete_picture(_asked_for(name, app))
        if not deleted.pictures:
            raise NoSuchPicture("No such picture")
    except Refused as refusal:
        if refusal.status >= 500:
            current_app.logger.warning("%s: %r", refusal.code, refusal.__cause__)
        return {"filename": name, "status": refusal.status, **refusal.body()}
    return {"filename": name, "status": 200, "originals": deleted.originals, "results": deleted.results}


def _renamed(picture: PictureKey) -> PictureKey:
    """A new name beside the old; a file that is found by its name alone stays so."""
    file = new_file(picture.extension, time.time())
    if picture == named(picture.app, picture.file):
        return named(picture.app, file)
    return PictureKey(picture.app, picture.folder, file)


def _turned(picture: PictureKey, turn: Image.Transpose) -> bytes:
    kind = BY_EXTENSION.get(picture.extension)
    if kind is None:
        raise NotTurnable("This picture is not turned.")
    return turned(room().buckets.read(str(picture)), kind, turn)
