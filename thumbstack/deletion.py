"""The delete that reaches every copy: originals, pictures that wait, results, and what this node's edge holds."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from thumbstack.buckets import Buckets
from thumbstack.edge import Edge
from thumbstack.notices import Notices
from thumbstack.picture_key import PictureKey
from thumbstack.result_key import read_result_key


@dataclass(frozen=True)
class Deleted:
    """How many there were of each, and which pictures."""

    pictures: list[PictureKey]
    originals: int
    results: int
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

    The originals go first: whoever stores a result afterwards looks for its original and takes the result back. So does
    a call that was broken off: the next one finds results without an original, and removes them.
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
    # Listed after the results, so that a picture that came in meanwhile is seen here and keeps its own.
    kept = set(buckets.originals(prefix)) if results.keys() - pictures else set()
    left_over = results.keys() - pictures - kept
    published = pictures | left_over
    doomed = [key for picture in sorted(published) for key in results.get(picture, ())]
    if not dry_run:
        edge.bury(left_over)
        buckets.delete_results(doomed)
    forgotten = sum(edge.forget(picture, asked.get(picture, ()), dry_run=dry_run) for picture in published)
    return Deleted(sorted(published | waiting), len(keys), len(doomed), forgotten)
