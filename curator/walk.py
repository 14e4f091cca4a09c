"""The walk over the originals: a page of the listing at a time, however many there are."""

from collections.abc import Iterator
from itertools import islice

import click

from thumbstack.buckets import Buckets
from thumbstack.picture_key import PictureKey, folder_for, folder_prefix
from thumbstack.picture_type import split_name
from thumbstack.refusal import NoSuchPicture


def originals(
    buckets: Buckets, *, app: str | None = None, prefix: str = "", key: str | None = None, limit: int | None = None
) -> Iterator[PictureKey]:
    """The originals of all apps or of one, whose keys go on so; or those of one `key` or name. In the keys' order.

    `prefix` is what follows the app's folder, or else a whole key's beginning. Raises NoSuchPicture for a `key` that
    there is not.
    """
    found = _named(buckets, app, key) if key else buckets.originals(whole_prefix(app, prefix))
    return islice(found, limit)


def whole_prefix(app: str | None, prefix: str = "") -> str:
    """Where keys begin: ``o/``, ``o/<app>/``, and what follows."""
    if prefix.startswith("o/"):
        if app and not prefix.startswith(f"o/{app}/"):
            raise click.UsageError(f"--prefix {prefix} leads out of the app {app}.")
        return prefix
    return f"o/{app}/{prefix}" if app else f"o/{prefix}"


def _named(buckets: Buckets, app: str | None, name: str) -> Iterator[PictureKey]:
    """A picture by its key; or all that came under a name, or a file name, in an app."""
    picture = PictureKey.parse(name)
    if picture:
        if app and picture.app != app:
            raise NoSuchPicture(f"No such picture of the app {app}: {name}")
        buckets.stored(str(picture))
        yield picture
        return
    stem, claimed = split_name(name)
    count = 0
    for found in buckets.originals(folder_prefix(app, folder_for(stem))) if app else ():
        if claimed is None or found.extension == claimed.extension:
            count += 1
            yield found
    if not count:
        raise NoSuchPicture(f"No such picture: {name}")
