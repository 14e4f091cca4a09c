"""How much there is, on a real S3."""

import json

from tests.curator.conftest import PICTURES, RESULTS, Curator, Storage


def test_pictures_bytes_and_results_are_counted_by_app(curator: Curator, storage: Storage) -> None:
    s3 = storage.client()
    for key, size in {
        "o/demo/cat/1795161488_a.png": 7,
        "o/demo/cat/1795161489_b.png": 5,
        "o/demo/posted/Some File.bin": 11,
        "incoming/demo/cat/1795161490_c.png": 3,
        "o/shop/cup/1795161491_d.jpg": 2,
    }.items():
        s3.put_object(Bucket=PICTURES, Key=key, Body=bytes(size))
    s3.put_object(Bucket=RESULTS, Key="o/demo/cat/1795161488_a.png/300x200.webp", Body=bytes(13))
    s3.put_object(Bucket=RESULTS, Key="notices/0000000000001-aa", Body=b"{}")

    counted = json.loads(curator("usage", "--json").out)
    table = curator("usage").out

    assert counted == {
        "demo": {
            "pictures": 2,
            "bytes": 12,
            "other_files": 1,
            "other_bytes": 11,
            "waiting": 1,
            "waiting_bytes": 3,
            "results": 1,
            "results_bytes": 13,
        },
        "shop": {
            "pictures": 1,
            "bytes": 2,
            "other_files": 0,
            "other_bytes": 0,
            "waiting": 0,
            "waiting_bytes": 0,
            "results": 0,
            "results_bytes": 0,
        },
    }
    assert [line.split()[0] for line in table.splitlines() if line.split()[:1] in (["demo"], ["shop"])] == [
        "demo",
        "shop",
    ]


def test_one_app_only(curator: Curator, storage: Storage) -> None:
    s3 = storage.client()
    s3.put_object(Bucket=PICTURES, Key="o/demo/cat/1795161488_a.png", Body=b"1")
    s3.put_object(Bucket=PICTURES, Key="o/demo-two/cat/1795161488_a.png", Body=b"1")

    assert list(json.loads(curator("usage", "--json", "--app", "demo").out)) == ["demo"]
    assert curator("usage", "--app", "demmo").code == 2
