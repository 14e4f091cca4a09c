"""The client's Accept, folded to avif, webp or neither: one entry each, and Thumbor sees one word at most."""

import pytest

from tests.nginx.house import House

NEITHER = "image/jpeg,image/png,image/*;q=0.1"


@pytest.mark.parametrize(
    ("accept", "folded"),
    [
        ("image/avif,image/webp,*/*", "image/avif"),
        ("image/webp,image/avif", "image/avif"),
        ("text/html,application/xhtml+xml,image/avif,image/webp,image/apng,*/*;q=0.8", "image/avif"),
        ("image/webp", "image/webp"),
        ("image/webp,image/*;q=0.8", "image/webp"),
        ("IMAGE/AVIF", "image/avif"),
        ("Image/WebP;q=1", "image/webp"),
        ("image/avif;q=0.1,image/webp;q=0.9", "image/avif"),
        ("image/jpeg , image/webp ; q=0.5", "image/webp"),
        ("image/avif;level=1;q=0.5", "image/avif"),
        ("image/avif;q=0,image/webp", "image/webp"),
        ("image/avif; q=0, image/webp", "image/webp"),
        ("image/avif ;Q=0.000,image/webp", "image/webp"),
        ("image/avif;q=0.001", "image/avif"),
        ("image/avif;q=0.0;x=1,image/webp;q=0.0", NEITHER),
        ("image/avif;x=1;q=0", NEITHER),
        ("image/webp;q=0", NEITHER),
        ("image/jpeg", NEITHER),
        ("*/*", NEITHER),
        ("image/*", NEITHER),
        ("", NEITHER),
        (None, NEITHER),
        ("image/avif-sequence,image/webpx", NEITHER),
        ("ximage/avif,image/jpeg;p=image/webp", NEITHER),
    ],
)
def test_accept_is_folded(house: House, picture: str, accept: str | None, folded: str) -> None:
    answer = house.ask(f"/sig/{picture}", headers={} if accept is None else {"Accept": accept})

    assert [seen.headers["Accept"] for seen in house.rendered] == [folded]
    assert answer.headers["Vary"] == "Accept"


@pytest.mark.parametrize("address", ["/sig/300x200/{}", "/t/MI/u/{}"])
def test_there_are_three_entries_at_most(house: House, picture: str, address: str) -> None:
    path = address.format(picture)
    accepts = ["image/avif,image/webp", "image/webp", "image/jpeg", "*/*", "image/webp,image/avif", "a/b,image/webp"]

    answers = [house.ask(path, headers={"Accept": accept}) for accept in accepts]
    answers.append(house.ask(path))

    assert [answer.headers["X-Cache"] for answer in answers] == ["MISS"] * 3 + ["HIT"] * 4
    assert {answer.headers["Vary"] for answer in answers} == {"Accept"}
    assert len(house.seen) == 3


@pytest.mark.parametrize("path", ["/{}", "/sig/300x200/{}.gif", "/t/MI/u/{}.svg"])
def test_what_is_not_converted_has_one_entry_and_no_vary(house: House, picture: str, path: str) -> None:
    answers = [
        house.ask(path.format(picture), headers={"Accept": accept}) for accept in ("image/avif", "image/webp", "*/*")
    ]

    assert [answer.headers["X-Cache"] for answer in answers] == ["MISS", "HIT", "HIT"]
    assert not any("Vary" in answer.headers for answer in answers)
    assert [seen.headers["Accept"] for seen in house.seen] == [NEITHER]


@pytest.mark.parametrize("path", ["/sig/300x200/{}", "/{}"])
def test_an_error_varies_as_the_picture_would(house: House, picture: str, path: str) -> None:
    house.bury(picture)

    assert house.ask(path.format(picture)).headers.get("Vary") == (None if path == "/{}" else "Accept")
