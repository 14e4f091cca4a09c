"""One line of JSON per event, each with what is needed to find the request again."""

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.thumbor.conftest import S3, Thumbor


def test_a_render_and_a_hit_are_one_line_each(thumbor: "Thumbor", s3: "S3", coffee: bytes) -> None:
    picture = s3.put(coffee, "jpg")
    thumbor.rendered(s3, picture, "60x40", "image/webp")
    other = s3.put(coffee, "jpg")
    thumbor.lines()

    thumbor.get(picture, "60x40", "image/webp", request_id="the-request-id")
    thumbor.get(other, "60x40", "image/avif", request_id="another-id")

    hit, render = thumbor.lines()
    for line, message, key, extension, request_id in (
        (hit, "result hit", picture, "webp", "the-request-id"),
        (render, "rendered", other, "avif", "another-id"),
    ):
        assert datetime.fromisoformat(line.pop("time")).tzinfo is not None
        assert isinstance(line.pop("ms"), int)
        assert line == {
            "room": "thumbor",
            "level": "info",
            "logger": "thumbstack.result_storage",
            "message": message,
            "request_id": request_id,
            "picture": str(key),
            "options": "60x40",
            "format": extension,
        }


def test_thumbors_own_warnings_have_the_same_shape_and_the_request_id(thumbor: "Thumbor", s3: "S3") -> None:
    picture = s3.put(b"this is no picture", "jpg")
    thumbor.lines()

    assert thumbor.get(picture, "60x40", request_id="the-request-id").status_code == 422

    lines = thumbor.lines()
    assert {"thumbor", "tornado.access"} <= {line["logger"] for line in lines}
    assert {(line["room"], line["request_id"]) for line in lines} == {("thumbor", "the-request-id")}
    assert any("cannot identify image file" in line["message"] for line in lines)
