"""Pages of other origins: those that are listed may use the API, all others may not."""

import pytest

from tests.nginx.house import Answer, House

PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}


@pytest.mark.parametrize("path", ["/upload", "/", "/sign", "/pictures", "/delete_file", "/generate_policy", "/direct"])
@pytest.mark.parametrize("origin", ["https://a.example", "https://b.example:8443"])
def test_a_preflight_is_answered_without_a_room(house: House, path: str, origin: str) -> None:
    answer = house.ask(path, method="OPTIONS", headers={"Origin": origin, **PREFLIGHT})

    assert answer.status == 204
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert "DELETE" in answer.headers["Access-Control-Allow-Methods"]
    assert {"Content-Digest", "X-Requested-With"} <= set(answer.headers["Access-Control-Allow-Headers"].split(", "))
    assert answer.headers["Access-Control-Max-Age"] == "1728000"
    assert answer.headers["Vary"] == "Origin"
    assert house.seen == []


@pytest.mark.parametrize("status", [200, 403])
def test_a_listed_origin_may_read_answers_and_refusals(house: House, status: int) -> None:
    house.uploader.answer = lambda seen: Answer(status)

    answer = house.ask("/upload", method="POST", headers={"Origin": "https://a.example"})

    assert answer.status == status
    assert answer.headers["Access-Control-Allow-Origin"] == "https://a.example"


def test_a_listed_origin_may_read_when_to_come_again(house: House) -> None:
    house.uploader.die()

    answer = house.ask("/upload", method="POST", headers={"Origin": "https://a.example"})

    assert (answer.status, answer.headers["Retry-After"]) == (502, "5")
    assert answer.headers["Access-Control-Expose-Headers"] == "Retry-After, X-Request-ID"


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "https://a.example.evil.example",
        "https://a.exampl",
        "http://a.example",
        "a.example",
        "null",
        "https://aXexample",
        "https://a.example https://b.example:8443",
        "",
    ],
)
def test_no_other_origin_may(house: House, origin: str) -> None:
    for method, headers in (("OPTIONS", PREFLIGHT), ("POST", {})):
        answer = house.ask("/upload", method=method, headers={"Origin": origin, **headers})

        assert "Access-Control-Allow-Origin" not in answer.headers
