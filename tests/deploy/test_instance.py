"""What an instance tells CloudWatch, whom it believes behind the CDN, and what is different in its Compose."""

import json
import os
import runpy
import subprocess
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


@pytest.mark.docker
def test_each_room_of_an_instance_logs_to_cloudwatch_and_has_its_secrets_in_files(docker_engine: None) -> None:
    files = ["--env-file", os.devnull, "--file", "compose.yaml", "--file", "deploy/instance/compose.aws.yaml"]
    said = dict.fromkeys(("SECURITY_KEYS", "S3_ENDPOINT"), "")
    said |= dict.fromkeys(("AWS_REGION", "LOG_GROUP", "INSTANCE_ID", "SECRETS_DIGEST"), "x")
    command = ["docker", "compose", *files, "config", "--format", "json"]
    found = subprocess.run(
        command, cwd=INSTANCE.parents[1], env={**os.environ, **said}, capture_output=True, check=True
    )

    for name, room in json.loads(found.stdout)["services"].items():
        secrets = {"SECURITY_KEYS", "API_KEYS"} & room["environment"].keys()
        mounted = {mount["target"] for mount in room["volumes"]} if "volumes" in room else set()
        assert room["logging"]["driver"] == "awslogs", name
        assert {f"/run/secrets/{secret}" for secret in secrets} == {one for one in mounted if "secrets" in one}, name
        assert ("SECRETS_DIR" in room["environment"]) == bool(secrets) == ("labels" in room), name
