"""The delete that reaches every copy: originals, results, and what this node's edge holds."""

from collections import defaultdict
from dataclasses import dataclass

from thumbstack.buckets import Buckets
from thumbstack.edge import Edge
from thumbstack.picture_key import PictureKey
from thumbstack.result_key import read_result_key


@dataclass(frozen=True)
class Deleted:
    """How many there were of each, and which pictures."""

    pictures: list[PictureKey]
    originals: int
    results: int
    edge: int


def delete_pictures(buckets: Buckets, edge: Edge, prefix: str, extension: str | None = None) -> Deleted:
    """Delete all pictures under a prefix that ends in a slash, or only those of one extension.

    The originals go first: whoever stores a result afterwards looks for its original and takes the result back. So does
    a call that was broken off: the next one finds results without an original, and removes them.
    """

    def chosen(picture: PictureKey) -> bool:
        return extension is None or picture.extension == extension

    pictures = set(filter(chosen, buckets.originals(prefix)))
    originals = buckets.delete_originals(sorted(pictures))
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
    edge.bury(left_over)
    gone = pictures | left_over
    removed = buckets.delete_results(key for picture in sorted(gone) for key in results.get(picture, ()))
    forgotten = sum(edge.forget(picture, asked.get(picture, ())) for picture in gone)
    return Deleted(sorted(gone), originals, removed, forgotten)
