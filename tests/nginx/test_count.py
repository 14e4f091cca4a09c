"""What the edge counts of its answers, and that nobody outside is told."""

import http.client
import runpy
import subprocess
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy import nginx
from tests.nginx.conftest import furnished
from tests.nginx.house import House

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


def scraped(house: House) -> dict[tuple[str, str, str], float]:
    """The numbers as Prometheus is told them, of all that was answered until now and written down."""
    count(house.directory / "run")
    host, _, port = house.metrics.partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    connection.request("GET", "/metrics")
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return numbers(body)


def test_answers_are_counted_by_what_the_cache_said(
    binary: Path, common: dict[str, str], picture: str, tmp_path: Path
) -> None:
    answers, seconds = "thumbstack_edge_answers_total", "thumbstack_edge_seconds"
    expected = {
        # Once, though the routes server has answered the edge as well.
        (answers, "MISS", "200"): 1,
        (answers, "HIT", "200"): 3,
        (answers, "NONE", "404"): 1,
        (f"{seconds}_count", "HIT", ""): 3,
        (f"{seconds}_bucket", "HIT", "+Inf"): 3,
    }
    # One of its own, as nginx's workers keep lines back for up to a second, also those of other tests.
    with furnished(binary, common, tmp_path) as house:
        for path in (*[f"/sig/{picture}"] * 4, "/nowhere"):
            house.ask(path)

        def told() -> dict[tuple[str, str, str], float]:
            return {name: value for name, value in scraped(house).items() if name in expected}

        for _ in range(1200):
            if told() == expected:
                break
            time.sleep(0.05)
        assert told() == expected
        assert scraped(house)["thumbstack_edge_sent_bytes_total", "", ""] > 4 * len("thumbor-1")


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


def test_an_instance_on_aws_reads_its_hit_ratio_off_it(tmp_path: Path) -> None:
    publish = runpy.run_path(str(SCRIPT.parents[1] / "deploy/instance/publish.py"))
    (tmp_path / "answers").write_text("- 201 0.100 9\nHIT 200 0.000 100\nMISS 200 0.300 50\n")
    count(tmp_path)
    before = publish["edge_answers"]((tmp_path / "metrics").read_text())
    with (tmp_path / "answers").open("a") as answers:
        answers.write(90 * "HIT 200 0.000 100\n" + 60 * "STALE 304 0.000 0\n" + 50 * "- 200 0.001 9\n")
        answers.write(50 * "MISS 404 0.300 50\n")
    count(tmp_path)

    now = publish["edge_answers"]((tmp_path / "metrics").read_text())

    assert before == {"pictures": 2, "hits": 1}
    assert now == {"pictures": 2 + 200, "hits": 1 + 150}
    assert publish["hit_ratio"](now, before) == 75
