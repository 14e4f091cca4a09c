"""An app's files as they lie in S3, whatever they are called: listed whole, and deleted one by one."""

import json
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, islice
from urllib.parse import quote

from flask import Blueprint, Response

from thumbstack.buckets import Listed
from thumbstack.deletion import delete_pictures
from thumbstack.object_key import ObjectKey, is_plain
from thumbstack.picture_key import app_prefix, folder_prefix
from thumbstack.refusal import Missing, NoSuchPicture, Refused
from uploader.pictures import delete_picture
from uploader.room import asked, field, grant, room

routes = Blueprint("files", __name__)


@routes.get("/list_files")
def list_files() -> Response:
    """All published files of the app, as many as there are: sent while they are listed."""
    prefix = app_prefix(grant(private=True).app)
    files = room().buckets.files(prefix)
    # Asked for before the answer begins: until then S3's trouble can be told.
    first = list(islice(files, 1))
    return Response(_told(chain(first, files), prefix, room().address), mimetype="application/json")


@routes.delete("/delete_file")
def delete_file() -> Response:
    """Delete one file by its path in the app's folder, with every copy; none there is as good."""
    app = grant(private=True).app
    path = field("file_path")
    if not path:
        raise Missing("The file_path is missing: send the path within the app's folder, as /list_files tells it.")
    key, dry_run = app_prefix(app) + path, asked("dry_run")
    file = ObjectKey.parse(key)
    if file is None:
        _delete_listed(key, dry_run=dry_run)
    elif file.picture:
        delete_picture(file.picture, dry_run=dry_run)
    else:
        _delete_stray(file, dry_run=dry_run)
    answer = Response(status=204)
    del answer.headers["Content-Type"]
    return answer


def _delete_stray(file: ObjectKey, *, dry_run: bool) -> None:
    """Delete what is called like no picture. Nobody was ever served it, so there is no copy but the one in S3."""
    here, prefix = room(), folder_prefix(file.app, file.folder)
    with suppress(NoSuchPicture):
        here.buckets.stored(str(file))
        delete_pictures(
            here.buckets, here.edge, here.notices, prefix, lambda _: False, strays=[str(file)], dry_run=dry_run
        )


def _delete_listed(key: str, *, dry_run: bool) -> None:
    """Delete what no other route takes, as its path might mean another place: only where S3 lists these very words."""
    # Some servers list under a double slash what lies under one.
    first = islice(room().buckets.files(key), 1) if is_plain(key) else ()
    if not any(one.key == key for one in first):
        raise Refused("The file_path is no path within the app's folder: send it as /list_files tells it.")
    if not dry_run:
        room().buckets.delete_pictures([key])


def _told(files: Iterator[Listed], prefix: str, address: str) -> Iterator[str]:
    """A JSON list, file by file."""
    yield "["
    for number, file in enumerate(files):
        path = file.key.removeprefix(prefix)
        name = path.rpartition("/")[2]
        stem, dot, extension = name.rpartition(".")
        told = {
            "name": stem if dot else name,
            "filetype": extension if dot else "",
            "url": f"{address}/{quote(file.key)}",
            "file_path": path,
            "created_at": file.modified.isoformat(),
            "size": file.bytes,
        }
        yield ("," if number else "") + json.dumps(told)
    yield "]\n"
