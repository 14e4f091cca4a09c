"""What the service tells those who run it: the numbers that the dashboard asks for, and one name for a request."""

import io
import json
import re
import secrets
from collections.abc import Iterator

import pytest
import requests
import yaml  # type: ignore[import-untyped]
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from tests.stack.stacks import ROOT, Picture, Stack

pytestmark = pytest.mark.stack

MONITORING = ROOT / "deploy" / "monitoring"
ROOMS = ("nginx", "uploader", "signer", "thumbor", "s3")
# What Prometheus itself adds to each number, and the number that it makes.
ADDED_LABELS, ADDED_NUMBERS = {"job", "instance"}, {"up"}


def queries() -> Iterator[str]:
    """All that the dashboard and the alerts ask for."""
    for panel in json.loads((MONITORING / "dashboard.json").read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"]
    for group in yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["expr"]


def told(stack: Stack) -> dict[str, set[str]]:
    """The names of all numbers that the rooms tell, each with the names of its labels."""
    found: dict[str, set[str]] = {}
    for room in ROOMS:
        texts = stack.numbers(room)
        assert texts, room
        for text in texts:
            for family in text_string_to_metric_families(text):
                # One that counts nothing yet is announced all the same.
                found.setdefault(family.name + ("_total" if family.type == "counter" else ""), set())
                for sample in family.samples:
                    found.setdefault(sample.name, set()).update(sample.labels)
    return found


def names(query: str) -> set[str]:
    """The numbers of a query: its words that are no function, no label and no text."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|\b(?:by|without) \([^)]*\)', " ", query)
    return set(re.findall(r"\b([a-zA-Z_]\w*)\b(?!\s*\()", bare)) - {"by"}


def labels(query: str) -> set[str]:
    """The labels of a query."""
    grouped = re.findall(r"\bby \(([^)]*)\)", query)
    matched = re.findall(r"[{,]\s*(\w+)\s*(?:=~|!~|!=|=)", query)
    return {label.strip() for group in grouped for label in group.split(",")} | set(matched)


def test_whatever_is_asked_for_is_told(stack: Stack, photo: Picture, coffee: bytes) -> None:
    requests.get(photo.urls["MI"], timeout=60)
    requests.post(f"{stack.url}/", files={"file": ("no.jpg", b"no picture")}, timeout=60)
    requests.post(f"{stack.url}/sign", json={"key": photo.key, "options": "30x20"}, timeout=60)
    everything = set().union(*map(names, queries())) - ADDED_NUMBERS
    assert len(everything) > 15

    assert stack.eventually(lambda: everything <= told(stack).keys()), everything - told(stack).keys()

    known = told(stack)
    for query in queries():
        possible = set().union(*(known[name] for name in names(query) - ADDED_NUMBERS)) | ADDED_LABELS
        if any(known[name] for name in names(query) - ADDED_NUMBERS):
            assert labels(query) <= possible, query


def test_the_world_is_told_no_numbers(stack: Stack) -> None:
    assert requests.get(f"{stack.url}/metrics", timeout=30).status_code == 404


def test_uploads_renders_and_hits_are_counted(stack: Stack, coffee: bytes) -> None:
    def number(room: str, name: str, **labels: str) -> float:
        return sum(
            sample.value
            for text in stack.numbers(room)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and sample.labels == sample.labels | labels
        )

    def numbers() -> tuple[float, float, float]:
        return (
            number("uploader", "thumbstack_uploads_total"),
            number("thumbor", "thumbstack_render_seconds_count", format="jpg"),
            number("nginx", "thumbstack_edge_answers_total", cache="HIT"),
        )

    uploads, renders, hits = numbers()
    picture = stack.upload(coffee, f"counted-{secrets.token_hex(4)}.jpg")
    for _ in range(4):
        assert requests.get(picture.urls["SI"], timeout=60).status_code == 200

    assert stack.eventually(lambda: numbers() == (uploads + 1, renders + 1, hits + 3)), numbers()


def lines(stack: Stack, room: str, request_id: str) -> list[dict[str, object]]:
    """The lines of a room's log about one request."""
    mine = [line for line in stack.log(room).splitlines() if request_id in line]
    return [json.loads(line[line.find("{") :]) for line in mine]


def test_one_name_leads_through_every_room(stack: Stack, photo: Picture) -> None:
    request_id = f"request-{secrets.token_hex(8)}"

    answer = requests.get(
        f"{stack.url}/t/MI/u/{photo.key}?v={secrets.token_hex(4)}", headers={"X-Request-ID": request_id}, timeout=60
    )

    assert answer.headers["X-Request-ID"] == request_id
    # The edge, the routes, the signer that allowed it and the Thumbor that made it; nobody else was asked.
    assert stack.eventually(lambda: len(lines(stack, "nginx", request_id)) == 2)
    assert {line["server"] for line in lines(stack, "nginx", request_id)} == {"edge", "routes"}
    assert stack.eventually(lambda: len(lines(stack, "signer", request_id)) == 1)
    assert stack.eventually(lambda: len(lines(stack, "thumbor", request_id)) == 1)
    for room in ("nginx", "signer", "thumbor"):
        for line in lines(stack, room, request_id):
            assert line["request_id"] == request_id
            assert line["room"] == room
            assert line["time"]


def test_an_upload_and_what_is_said_about_it_have_one_name(stack: Stack) -> None:
    request_id = f"request-{secrets.token_hex(8)}"
    body = io.BytesIO()
    Image.new("RGB", (30, 20), secrets.token_hex(3).join(("#", ""))).save(body, "PNG")

    answer = requests.post(
        f"{stack.url}/?note=a-secret-note&private_api_key=a-secret-word",
        files={"file": ("named.png", body.getvalue())},
        headers={"X-Request-ID": request_id, "Authorization": "Bearer another-secret-word"},
        timeout=60,
    )

    assert answer.headers["X-Request-ID"] == request_id
    assert stack.eventually(lambda: lines(stack, "uploader", request_id))
    (line,) = lines(stack, "uploader", request_id)
    assert (line["method"], line["path"], line["status"]) == ("POST", "/", answer.status_code)
    for room in ("nginx", "uploader"):
        assert "secret-word" not in stack.log(room)
        assert "secret-note" not in stack.log(room)


@pytest.mark.parametrize("room", ["uploader", "signer", "thumbor"])
def test_every_line_of_a_room_is_json(stack: Stack, room: str) -> None:
    told = [line[line.find("{") :] for line in stack.log(room).splitlines() if line.strip()]

    assert told
    assert {json.loads(line)["room"] for line in told} == {room}
