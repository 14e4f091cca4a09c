"""The delete that reaches every copy: originals, pictures that wait, results, the website, and this node's edge."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from itertools import chain

from thumbstack.buckets import Buckets
from thumbstack.edge import Edge
from thumbstack.notices import Notices
from thumbstack.object_key import ObjectKey
from thumbstack.picture_key import PictureKey, incoming_prefix
from thumbstack.resize_url import variant_picture
from thumbstack.result_key import read_result_key


@dataclass(frozen=True)
class Deleted:
    """How many there were of each, and which pictures."""

    pictures: list[PictureKey]
    originals: int
    results: int
    website: int
    edge: int


def delete_pictures(
    buckets: Buckets,
    edge: Edge,
    notices: Notices,
    prefix: str,
    chosen: Callable[[PictureKey], bool] = lambda picture: True,
    *,
    strays: Collection[str] = (),
    moved_to: PictureKey | None = None,
    dry_run: bool = False,
) -> Deleted:
    """Delete the chosen pictures under a prefix that ends in a slash; a dry run only counts them.

    `strays` are keys that go with them and are no pictures'. `moved_to` is the picture that stands for what is deleted
    from now on, where that is why.

    The originals go first: whoever stores a result, or a variant on the website, afterwards looks for its original and
    takes it back. So does a call that was broken off: the next one finds them without an original, and removes them.
    """
    waiting = set(filter(chosen, buckets.incoming(prefix)))
    before = set(buckets.originals(prefix))
    pictures = set(filter(chosen, before))
    keys = [*(picture.incoming for picture in sorted(waiting)), *map(str, sorted(pictures)), *strays]
    late: set[PictureKey] = set()
    if not dry_run:
        notices.post(prefix, [*pictures, *waiting, *strays], moved_to)
        if moved_to is None:
            late = _published_meanwhile(buckets, prefix, before, waiting, keys)
        notices.post(prefix, late)
        pictures |= late
        keys += map(str, sorted(late))
        buckets.delete_pictures(keys)
        edge.bury(pictures)

    asked: dict[PictureKey, list[str]] = defaultdict(list)
    results: dict[PictureKey, list[str]] = defaultdict(list)
    for key in buckets.result_keys(prefix):
        read = read_result_key(key)
        if read and (chosen(read[0]) or read[0] in late):
            results[read[0]].append(key)
            if read[1] is not None:
                asked[read[0]].append(read[1])
    variants: dict[PictureKey, list[str]] = defaultdict(list)
    for key in buckets.variant_keys(prefix):
        picture = variant_picture(key)
        if picture and (chosen(picture) or picture in late):
            variants[picture].append(key)
    made = results.keys() | variants.keys()
    # Listed after what was made, so that a picture that came in meanwhile is seen here and keeps its own.
    kept = set(buckets.originals(prefix)) if made - pictures else set()
    left_over = made - pictures - kept
    published = pictures | left_over
    doomed = [key for picture in sorted(published) for key in results.get(picture, ())]
    shown = [key for picture in sorted(published) for key in variants.get(picture, ())]
    if not dry_run:
        edge.bury(left_over)
        buckets.delete_results(doomed)
        buckets.delete_variants(shown)
    forgotten = sum(
        edge.forget(picture, asked.get(picture, ()), variants.get(picture, ()), dry_run=dry_run)
        for picture in published
    )
    return Deleted(sorted(published | waiting), len(keys), len(doomed), len(shown), forgotten)


def strays(buckets: Buckets, prefix: str) -> list[str]:
    """The keys of what is called like no picture, published and waiting: posted straight to S3, and not completed."""
    listed = chain(buckets.files(prefix), buckets.files(incoming_prefix(prefix)))
    return [one.key for one in listed if not (PictureKey.parse(one.key) or PictureKey.parse_incoming(one.key))]


def _published_meanwhile(
    buckets: Buckets, prefix: str, before: set[PictureKey], waiting: set[PictureKey], doomed: Iterable[str]
) -> set[PictureKey]:
    """What /publish and /complete have made of the doomed ones since they were listed.

    It is looked for after the notice was posted; and who completes looks for a notice after he has stored, and takes
    back what it names. So one of the two sees the other.
    """
    sources = [source for key in doomed if (source := ObjectKey.parse(key))]
    new = set(buckets.originals(prefix)) - before if sources else ()
    return {picture for picture in new if picture in waiting or any(one.is_renewed_by(picture) for one in sources)}
