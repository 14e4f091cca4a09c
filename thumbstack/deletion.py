"""The delete that reaches every copy: originals, pictures that wait, results, the website, and this node's edge."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from thumbstack.buckets import Buckets
from thumbstack.edge import Edge
from thumbstack.notices import Notices
from thumbstack.picture_key import PictureKey
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
    dry_run: bool = False,
) -> Deleted:
    """Delete the chosen pictures under a prefix that ends in a slash; a dry run only counts them.

    The originals go first: whoever stores a result, or a variant on the website, afterwards looks for its original and
    takes it back. So does a call that was broken off: the next one finds them without an original, and removes them.
    """
    waiting = set(filter(chosen, buckets.incoming(prefix)))
    pictures = set(filter(chosen, buckets.originals(prefix)))
    keys = [*(picture.incoming for picture in sorted(waiting)), *map(str, sorted(pictures))]
    if not dry_run:
        notices.post(prefix, pictures)
        buckets.delete_pictures(keys)
        edge.bury(pictures)

    asked: dict[PictureKey, list[str]] = defaultdict(list)
    results: dict[PictureKey, list[str]] = defaultdict(list)
    for key in buckets.result_keys(prefix):
        read = read_result_key(key)
        if read and chosen(read[0]):
            results[read[0]].append(key)
            if read[1] is not None:
                asked[read[0]].append(read[1])
    variants: dict[PictureKey, list[str]] = defaultdict(list)
    for key in buckets.variant_keys(prefix):
        picture = variant_picture(key)
        if picture and chosen(picture):
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
