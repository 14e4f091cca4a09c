"""What the edge counts of its answers, and that nobody outside is told."""

import http.client
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy import nginx
from tests.nginx.house import House

Told = Callable[[], dict[tuple[str, str, str], float]]

SCRIPT = nginx.ROOM / "count_answers.sh"


def count(folder: Path, *arguments: str) -> None:
    subprocess.run([SCRIPT, *arguments], env={"RUN_DIR": str(folder), "PATH": "/usr/bin:/bin"}, check=True)


def numbers(text: str) -> dict[tuple[str, str, str], float]:
    """Samples by name, cache and status or bound."""
    return {
        (sample.name, sample.labels.get("cache", ""), sample.labels.get("status") or sample.labels.get("le", "")): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def told(house: House) -> Told:
    """The numbers as Prometheus is told them, of all that was answered until now."""

    def ask() -> dict[tuple[str, str, str], float]:
        count(house.directory / "run")
        host, _, port = house.metrics.partition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=30)
        connection.request("GET", "/metrics")
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        return numbers(body)

    return ask


def eventually(told: Told, name: tuple[str, str, str], value: float) -> dict[tuple[str, str, str], float]:
    """The numbers once one of them is there; each worker of nginx keeps its lines back for up to a second."""
    for _ in range(600):
        found = told()
        if found.get(name, 0) >= value:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{name} stays below {value}")


def test_answers_are_counted_by_what_the_cache_said(house: House, picture: str, told: Told) -> None:
    name = "thumbstack_edge_answers_total"
    house.ask("/ping")
    time.sleep(1.5)  # for the lines of other tests, which nginx keeps back for a second
    before = eventually(told, (name, "NONE", "200"), 1)

    house.ask(f"/sig/{picture}")
    for _ in range(3):
        house.ask(f"/sig/{picture}")
    house.ask("/nowhere")
    after = eventually(told, (name, "HIT", "200"), before.get((name, "HIT", "200"), 0) + 3)

    def more(*key: str) -> float:
        name, cache, status = key
        return after.get((name, cache, status), 0) - before.get((name, cache, status), 0)

    # Once, though the routes server has answered the edge as well.
    assert more(name, "MISS", "200") == 1
    assert more(name, "HIT", "200") == 3
    assert more(name, "NONE", "404") == 1
    assert more("thumbstack_edge_seconds_count", "HIT", "") == 3
    assert more("thumbstack_edge_seconds_bucket", "HIT", "+Inf") == 3
    assert more("thumbstack_edge_sent_bytes_total", "", "") > 4 * len("thumbor-1")


@pytest.mark.parametrize("path", ["/metrics", "/answers", "/seen", "/nginx.pid", "/conf/nginx.conf"])
def test_the_world_is_told_nothing(house: House, path: str) -> None:
    assert house.ask(path).status == 404


def test_sums_grow_from_round_to_round_and_a_broken_line_is_let_go(tmp_path: Path) -> None:
    (tmp_path / "answers").write_text("HIT 200 0.000 100\nMISS 200 0.300 50\nSTALE 200 0.001 7\n- 404 0.0")
    count(tmp_path)
    with (tmp_path / "answers").open("a") as answers:
        answers.write('00 9\nHIT 200 0.002 100\nHIT 304 0.000 0\nEVIL"} 1\n')
    count(tmp_path)
    count(tmp_path)

    found = numbers((tmp_path / "metrics").read_text())

    assert {key[1:]: value for key, value in found.items() if key[0] == "thumbstack_edge_answers_total"} == {
        ("HIT", "200"): 2,
        ("HIT", "304"): 1,
        ("MISS", "200"): 1,
        ("STALE", "200"): 1,
    }
    assert found["thumbstack_edge_sent_bytes_total", "", ""] == 257
    assert found["thumbstack_edge_seconds_sum", "MISS", ""] == 0.3
    assert found["thumbstack_edge_seconds_bucket", "HIT", "0.001"] == 2
    assert found["thumbstack_edge_seconds_bucket", "MISS", "0.25"] == 0
    assert found["thumbstack_edge_seconds_bucket", "MISS", "0.5"] == 1


def test_the_file_that_nginx_writes_stays_small(tmp_path: Path) -> None:
    (tmp_path / "answers").write_text("HIT 200 0.000 100\n" * 900_000)

    count(tmp_path)
    (tmp_path / "answers").write_text("HIT 200 0.000 100\n")
    count(tmp_path)

    assert (tmp_path / "answers").stat().st_size < 100
    assert numbers((tmp_path / "metrics").read_text())["thumbstack_edge_answers_total", "HIT", "200"] == 900_001


def test_a_new_nginx_begins_at_0(tmp_path: Path) -> None:
    (tmp_path / "answers").write_text("HIT 200 0.000 100\n")
    count(tmp_path)

    count(tmp_path, "new")

    assert list(tmp_path.iterdir()) == []
