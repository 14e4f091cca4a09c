"""The website bucket at the edge: what is there is kept, what is not there is a way to where it is made, never kept."""

import threading

import pytest

from tests.nginx.house import Answer, House, Seen

NAME = "100x200-fill-80-upscale-0123456789abcdef0123456789abcdef.webp"


@pytest.fixture
def variant(picture: str) -> str:
    """The key of a variant that no other test has."""
    return f"m/{picture}/{NAME}"


def there(seen: Seen) -> Answer:
    return Answer(200, {"Content-Type": "image/webp", "ETag": '"s3"', "x-amz-request-id": "1"}, b"variant")


def missing(seen: Seen) -> Answer:
    return Answer(404, {"Content-Type": "application/xml"}, b"<Error><BucketName>website</BucketName></Error>")


def forbidden(seen: Seen) -> Answer:
    return Answer(403, {"Content-Type": "application/xml"}, b"<Error/>")


def allowed(seen: Seen) -> Answer:
    return Answer(200, {"X-Accel-Redirect": f"/_variant{seen.path}"})


def made(seen: Seen) -> Answer:
    return Answer(302, {"Location": "https://img.example/x", "Cache-Control": "no-store"})


def test_a_variant_comes_from_the_bucket_without_a_signature_and_is_kept(house: House, variant: str) -> None:
    house.s3.answer = there

    answers = [house.ask(f"/website/{variant}", headers={"Accept": accept}) for accept in ("image/avif", "*/*")]

    assert [(answer.status, answer.body, answer.headers["X-Cache"]) for answer in answers] == [
        (200, b"variant", "MISS"),
        (200, b"variant", "HIT"),
    ]
    for answer in answers:
        assert answer.headers["Content-Type"] == "image/webp"
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert not {"Vary", "x-amz-request-id"} & set(answer.headers.keys())
    (seen,) = house.seen
    user_agent = f"thumbstack request/{answers[0].headers['X-Request-ID']}"
    assert seen.path == f"/website/{variant}"
    assert seen.headers == {"Host": house.s3.address, "User-Agent": user_agent}
    assert house.entry(f"|/website/{variant}|").exists()


@pytest.mark.parametrize("warm", [True, False], ids=["hit", "miss"])
def test_a_part_of_a_variant_and_one_that_it_has_not(house: House, variant: str, warm: bool) -> None:
    house.s3.answer = there
    if warm:
        house.ask(f"/website/{variant}")

    part, none = (house.ask(f"/website/{variant}", headers={"Range": asked}) for asked in ("bytes=2-4", "bytes=99-"))

    assert (part.status, part.body, part.headers["Content-Range"]) == (206, b"ria", "bytes 2-4/7")
    assert (none.status, none.json["code"]) == (416, "range_not_satisfiable")
    assert none.headers["Cache-Control"] == "no-store"
    assert len(house.s3.seen) == 1


def test_a_part_of_a_missing_variant_is_the_way_to_where_it_is_made(house: House, variant: str) -> None:
    house.s3.answer = missing

    answers = [house.ask(f"/website/{variant}", headers={"Range": "bytes=2-4"}) for _ in range(2)]

    assert [(answer.status, answer.headers["Location"]) for answer in answers] == [(302, f"/{variant}")] * 2
    assert len(house.s3.seen) == 2


@pytest.mark.parametrize("answer", [missing, forbidden])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_missing_one_is_a_way_to_where_it_is_made_and_that_is_never_kept(
    house: House, variant: str, answer: object, method: str
) -> None:
    house.s3.answer = answer  # type: ignore[assignment]

    first, second = (house.ask(f"/website/{variant}", method) for _ in range(2))

    for told in (first, second):
        assert (told.status, told.headers["Location"], told.headers["Cache-Control"]) == (
            302,
            f"/{variant}",
            "no-store",
        )
        assert b"Error" not in told.body
    assert len(house.s3.seen) == 2
    house.s3.answer = there
    assert house.ask(f"/website/{variant}").body == b"variant"


def test_many_who_miss_one_do_not_wait_for_each_other(house: House, variant: str) -> None:
    together = threading.Barrier(5)

    def all_here(seen: Seen) -> Answer:
        together.wait(20)
        return missing(seen)

    house.s3.answer = all_here
    statuses: list[int] = []
    readers = [
        threading.Thread(target=lambda: statuses.append(house.ask(f"/website/{variant}").status)) for _ in range(5)
    ]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(30)

    assert statuses == [302] * 5


def test_a_bucket_in_trouble_is_told_and_what_is_kept_is_served(house: House, variant: str) -> None:
    house.s3.answer = lambda seen: Answer(500, {}, b"<Error/>")

    answer = house.ask(f"/website/{variant}")

    assert (answer.status, answer.json["code"]) == (503, "storage_unavailable")


def test_the_signer_says_whether_and_the_uploader_makes_it(house: House, variant: str) -> None:
    house.signer.answer, house.uploader.answer = allowed, made

    answers = [house.ask(f"/{variant}?v=1", headers={"Cookie": "a=b"}) for _ in range(2)]

    for answer in answers:
        assert (answer.status, answer.headers["Location"]) == (302, "https://img.example/x")
        assert answer.headers["Cache-Control"] == "no-store"
    assert [seen.path for seen in house.signer.seen] == [f"/{variant}"] * 2
    assert [seen.path for seen in house.uploader.seen] == [f"/_variant/{variant}"] * 2
    for seen in house.seen:
        assert "Cookie" not in seen.headers
        assert seen.headers["X-Forwarded-Host"] == f"127.0.0.1:{house.port}"


def test_a_no_of_the_signer_goes_no_further(house: House, variant: str) -> None:
    house.signer.answer = lambda seen: Answer(404, {"Content-Type": "application/json"}, b'{"code": "no_such_picture"}')

    answer = house.ask(f"/{variant}")

    assert (answer.status, answer.json) == (404, {"code": "no_such_picture"})
    assert house.uploader.seen == []


@pytest.mark.parametrize("prefix", ["/", "/website/"])
def test_a_buried_picture_is_gone_here_too(house: House, picture: str, variant: str, prefix: str) -> None:
    house.s3.answer, house.signer.answer, house.uploader.answer = there, allowed, made
    house.ask(prefix + variant)
    asked = len(house.seen)

    house.bury(picture)

    answer = house.ask(prefix + variant)
    assert (answer.status, answer.json["code"]) == (410, "deleted")
    assert len(house.seen) == asked


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize("prefix", ["/", "/website/"])
def test_it_can_only_be_read(house: House, variant: str, prefix: str, method: str) -> None:
    answer = house.ask(prefix + variant, method)

    assert (answer.status, answer.headers["Allow"], house.seen) == (405, "GET, HEAD", [])


@pytest.mark.parametrize(
    "path",
    [
        "/website/o/demo/cat/1.jpg",
        "/website/m/o/demo/cat/1.jpg",
        "/website/m/o/demo/cat/../1.jpg/x.jpg",
        "/website/m/o/demo/cat/1.jpg/x.JPG",
        "/website/m/o/demo/cat/1.jpg/a/b.jpg",
        "/website/m/o/demo/cat/%2e%2e%2fa/x.jpg",
        "/website/m/o/demo/cat/1.jpg/x.jpg%0a",
        "/m/o/demo/cat/1.jpg",
        "/m/o/demo/cat/1.jpg/x_y.jpg",
        "/m/o/demo/cat/1.jpg/a%00.jpg",
        "/_variant/m/o/demo/cat/1.jpg/x.jpg",
        "/_website/pictures/o/demo/cat/1.jpg",
    ],
)
def test_nothing_else_is_asked_of_any_room(house: House, path: str) -> None:
    house.s3.answer = there

    answer = house.ask(path)

    assert answer.status in (400, 404)
    assert "code" in answer.json
    assert [seen for seen in house.seen if seen.room in ("s3", "uploader", "signer")] == []
