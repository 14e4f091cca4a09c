"""What an instance tells CloudWatch, and whom it believes behind the CDN."""

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

INSTANCE = Path(__file__).parents[2] / "deploy/instance"
EDGE = """# TYPE thumbstack_edge_answers_total counter
thumbstack_edge_answers_total{cache="HIT",status="200"} 150.000
thumbstack_edge_answers_total{cache="HIT",status="304"} 30.000
thumbstack_edge_answers_total{cache="MISS",status="200"} 60.000
thumbstack_edge_answers_total{cache="NONE",status="201"} 500.000
thumbstack_edge_sent_bytes_total 1234567.000
"""


@pytest.fixture(scope="module")
def publish() -> Any:
    return runpy.run_path(str(INSTANCE / "publish.py"))


def test_render_load_is_of_all_processes_together(publish: Any) -> None:
    one = "thumbstack_renders_in_flight 3.0\nthumbstack_render_capacity 2.0\nthumbstack_result_hits_total 9.0\n"
    other = "thumbstack_renders_in_flight 0.0\nthumbstack_render_capacity 2.0\n"

    assert publish["render_load"]([one, other]) == 75
    assert publish["render_load"]([]) is None


def test_the_hit_ratio_is_of_pictures_since_the_last_time(publish: Any) -> None:
    now = publish["edge_answers"](EDGE)

    assert now == {"pictures": 240, "hits": 180}
    assert publish["hit_ratio"](now, {"pictures": 40, "hits": 20}) == 80


@pytest.mark.parametrize(
    "before",
    [{}, {"pictures": 200, "hits": 170}, {"pictures": 9000, "hits": 9000}],
    ids=["the first time", "too few pictures", "nginx began again"],
)
def test_where_the_ratio_says_nothing_there_is_none(publish: Any, before: dict[str, float]) -> None:
    assert publish["hit_ratio"](publish["edge_answers"](EDGE), before) is None


def test_only_those_who_ask_origins_are_believed_behind_the_cdn() -> None:
    ranges = {
        "prefixes": [
            {"ip_prefix": "203.0.113.0/24", "region": "GLOBAL", "service": "CLOUDFRONT_ORIGIN_FACING"},
            {"ip_prefix": "198.51.100.0/24", "region": "GLOBAL", "service": "CLOUDFRONT"},
            {"ip_prefix": "192.0.2.0/25", "region": "GLOBAL", "service": "CLOUDFRONT_ORIGIN_FACING"},
        ]
    }

    networks = runpy.run_path(str(INSTANCE / "cloudfront_networks.py"))["networks"]

    assert networks(json.dumps(ranges)) == "203.0.113.0/24 192.0.2.0/25"
