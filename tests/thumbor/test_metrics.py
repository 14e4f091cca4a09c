"""What Thumbor counts, by what a request turns out to be."""

import runpy
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from tests.thumbor.conftest import S3, ScriptedS3, Thumbor, WaitUntil


def numbers(thumbor: "Thumbor") -> dict[str, float]:
    """Samples of /metrics by their name and labels."""
    answer = requests.get(f"{thumbor.url}/metrics", timeout=30)
    assert answer.headers["Content-Type"].startswith("text/plain")
    return {
        sample.name + "".join(f" {name}={value}" for name, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_renders_hits_and_calls_of_s3_are_counted(thumbor: "Thumbor", s3: "S3", coffee: bytes) -> None:
    picture = s3.put(coffee, "jpg")
    before = numbers(thumbor)

    thumbor.rendered(s3, picture, "60x40", "image/webp")
    thumbor.rendered(s3, picture, "60x40", "image/jpeg")
    thumbor.get(picture, "60x40", "image/jpeg")
    thumbor.get_path("/unsafe/60x40/" + str(picture))
    after = numbers(thumbor)

    def more(name: str) -> float:
        return after.get(name, 0) - before.get(name, 0)

    assert more("thumbstack_render_seconds_count format=webp") == 1
    assert more("thumbstack_render_seconds_count format=jpg") == 1
    assert 0 < more("thumbstack_render_seconds_sum format=jpg") < 60
    assert more("thumbstack_result_hits_total") == 1
    assert more("thumbstack_requests_total method=GET route=picture status=200") == 3
    assert more("thumbstack_requests_total method=GET route=picture status=400") == 1
    assert more("thumbstack_s3_seconds_count operation=GetObject") == 5
    assert more("thumbstack_s3_seconds_count operation=PutObject") == 2
    assert after["thumbstack_renders_in_flight"] == 0
    assert after["thumbstack_render_capacity"] >= 1
    assert after["process_resident_memory_bytes"] > 20_000_000


def test_a_render_under_way_is_counted_until_it_ends(held_thumbor: "Thumbor", s3: "S3", coffee: bytes) -> None:
    held_thumbor.close_gate()
    with ThreadPoolExecutor() as client:
        answer = client.submit(held_thumbor.get, s3.put(coffee, "jpg"), "60x40")
        held_thumbor.wait_for_a_render()
        during = numbers(held_thumbor)
        held_thumbor.open_gate()
        assert answer.result().status_code == 200

    assert during["thumbstack_renders_in_flight"] == 1
    assert numbers(held_thumbor)["thumbstack_renders_in_flight"] == 0


def test_an_instance_on_aws_reads_off_it_what_its_group_scales_by(
    held_thumbor: "Thumbor", thumbor: "Thumbor", s3: "S3", wait_until: "WaitUntil", coffee: bytes
) -> None:
    render_load = runpy.run_path(str(Path(__file__).parents[2] / "deploy/instance/publish.py"))["render_load"]
    held_thumbor.close_gate()
    with ThreadPoolExecutor() as clients:
        answers = [clients.submit(held_thumbor.get, s3.put(coffee, "jpg"), "60x40") for _ in range(3)]
        held_thumbor.wait_for_a_render()
        wait_until(lambda: numbers(held_thumbor)["thumbstack_renders_in_flight"] == 3)
        texts = [requests.get(f"{one.url}/metrics", timeout=30).text for one in (held_thumbor, thumbor)]
        held_thumbor.open_gate()
        assert [answer.result().status_code for answer in answers] == [200, 200, 200]

    capacity = numbers(held_thumbor)["thumbstack_render_capacity"] + numbers(thumbor)["thumbstack_render_capacity"]
    assert render_load(texts) == pytest.approx(100 * 3 / capacity)


@pytest.mark.parametrize(
    ("fault", "error"), [("403", "403"), ("503", "503"), ("hang", "timeout"), ("truncate", "connection"), ("404", None)]
)
def test_what_s3_does_not_do_is_counted_by_what_it_did(
    on_scripted: "Thumbor", scripted: "ScriptedS3", coffee: bytes, fault: str, error: str | None
) -> None:
    picture = scripted.put(coffee)
    scripted.faults["test-pictures", "GET"] = fault
    before = numbers(on_scripted)

    on_scripted.get(picture, "30x20")

    after = numbers(on_scripted)
    errors = {name: value - before.get(name, 0) for name, value in after.items() if "s3_errors_total" in name}
    assert {name for name, more in errors.items() if more} == (
        {f"thumbstack_s3_errors_total error={error} operation=GetObject"} if error else set()
    )
    assert after["thumbstack_renders_in_flight"] == 0
