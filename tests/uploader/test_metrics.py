"""What the uploader counts, and that it goes on counting when workers come and go; one line of JSON per event."""

import json
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.uploader.conftest import Room, under_gunicorn


def numbers(room: Room) -> dict[str, float]:
    """Samples of /metrics by their name and labels."""
    answer = requests.get(f"http://127.0.0.1:{room.port}/metrics", timeout=30)
    assert answer.headers["Content-Type"].startswith("text/plain")
    return {
        sample.name + "".join(f" {name}={value}" for name, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def upload(room: Room, *files: tuple[str, bytes]) -> requests.Response:
    return requests.post(
        f"http://127.0.0.1:{room.port}/",
        files=[("file", file) for file in files],
        headers={"X-Request-ID": "request-of-the-tests"},
        timeout=60,
    )


def wait_for(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture(scope="module")
def room(s3_endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> object:
    """An uploader whose numbers nobody else changes."""
    with under_gunicorn(s3_endpoint, tmp_path_factory.mktemp("counted")) as started:
        yield started


def test_uploads_and_refusals_are_counted_by_what_they_were(room: Room, coffee: bytes) -> None:
    before = numbers(room)

    assert upload(room, ("a.jpg", coffee)).status_code == 201
    assert upload(room, ("a.jpg", coffee)).json()["pictures"][0]["duplicate"]
    assert upload(room, ("b.jpg", b"no picture"), ("c.jpg", coffee), ("d.jpg", b"")).status_code == 207
    assert upload(room).status_code == 400
    after = numbers(room)

    def more(name: str) -> float:
        return after.get(name, 0) - before.get(name, 0)

    assert more("thumbstack_uploads_total type=jpg") == 2
    assert more("thumbstack_upload_bytes_total") == 2 * len(coffee)
    assert more("thumbstack_upload_duplicates_total") == 1
    assert more("thumbstack_upload_seconds_count") == 5
    assert more("thumbstack_refusals_total code=unsupported_type") == 1
    assert more("thumbstack_refusals_total code=empty_file") == 1
    assert more("thumbstack_refusals_total code=missing_input") == 1
    assert more("thumbstack_requests_total method=POST route=/ status=201") == 2
    assert more("thumbstack_requests_total method=POST route=/ status=207") == 1
    assert more("thumbstack_s3_seconds_count operation=PutObject") == 2
    assert not any(name.startswith("thumbstack_s3_errors_total") for name in after)
    assert after["thumbstack_requests_in_flight"] == after["thumbstack_decodes_waiting"] == 0
    # Three processes, with Flask and Pillow in two of them.
    assert after["process_resident_memory_bytes"] > 50_000_000


def test_no_caller_can_make_new_numbers(room: Room) -> None:
    before = numbers(room)

    for number in range(20):
        requests.request(f"WORD{number}", f"http://127.0.0.1:{room.port}/nowhere/{number}?api_key=a-key", timeout=30)
    after = numbers(room)

    new = after.keys() - before.keys()
    assert "thumbstack_requests_total method=other route=none status=404" in new
    assert not any("WORD" in name or "nowhere" in name or "a-key" in name for name in after)


def test_a_worker_that_is_killed_takes_no_number_with_it(room: Room, coffee: bytes) -> None:
    for number in range(8):
        assert upload(room, (f"killed-{number}.jpg", coffee)).status_code == 201
    before = numbers(room)
    old = room.workers()

    for pid in old:
        os.kill(int(pid), signal.SIGKILL)
    wait_for(lambda: room.answers() and not room.workers() & old)

    after = numbers(room)
    assert after["thumbstack_uploads_total type=jpg"] == before["thumbstack_uploads_total type=jpg"]
    assert upload(room, ("after.jpg", coffee)).status_code == 201
    assert numbers(room)["thumbstack_uploads_total type=jpg"] == before["thumbstack_uploads_total type=jpg"] + 1


def test_a_reload_fails_no_request_and_loses_no_number(room: Room, coffee: bytes) -> None:
    before = numbers(room)["thumbstack_uploads_total type=jpg"]
    old = room.workers()

    with ThreadPoolExecutor(4) as clients:
        answers = [clients.submit(upload, room, (f"reload-{number}.jpg", coffee)) for number in range(40)]
        wait_for(lambda: sum(answer.done() for answer in answers) > 5)
        room.process.send_signal(signal.SIGHUP)
    wait_for(lambda: room.answers() and not room.workers() & old)

    assert {answer.result().status_code for answer in answers} == {201}
    assert numbers(room)["thumbstack_uploads_total type=jpg"] == before + 40


def test_every_line_of_the_log_is_json_and_names_its_request(room: Room, coffee: bytes) -> None:
    upload(room, ('q"\\uote.jpg', coffee))
    requests.get(f'http://127.0.0.1:{room.port}/pictures/"\\?api_key=secret-word', timeout=30)

    # A worker logs when it has answered; two of them in any order.
    wait_for(lambda: all(text in room.log.read_text() for text in ('"POST"', '/pictures/\\"')))
    text = room.log.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    answered = [line for line in lines if "status" in line]
    posted = [line for line in answered if line["method"] == "POST"]
    assert {line["room"] for line in lines} == {"uploader"}
    assert all("time" in line for line in lines)
    assert '/pictures/"\\' in [line["path"] for line in answered]
    assert posted[-1] == posted[-1] | {"request_id": "request-of-the-tests", "status": 201}
    assert "secret-word" not in text


def test_a_worker_that_outgrew_its_memory_is_replaced_and_nobody_notices(
    s3_endpoint: str, tmp_path: Path, coffee: bytes
) -> None:
    # With a limit that nobody keeps to, every answer is a worker's last.
    with under_gunicorn(s3_endpoint, tmp_path, MAX_RESIDENT_BYTES="1") as room:
        with ThreadPoolExecutor(4) as clients:
            names = [f"outgrown-{number}.jpg" for number in range(16)]
            statuses = list(clients.map(lambda name: upload(room, (name, coffee)).status_code, names))

        assert statuses == [201] * 16
        # Said when the answer is out.
        wait_for(lambda: room.log.read_text().count("outgrown: ") >= 4)
        assert numbers(room)["thumbstack_uploads_total type=jpg"] == 16


def test_a_wrong_limit_of_memory_stops_the_boot_and_is_named(s3_endpoint: str, tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match="MAX_RESIDENT_BYTES is wrong"),
        under_gunicorn(s3_endpoint, tmp_path, MAX_RESIDENT_BYTES="much"),
    ):
        pass
