"""The files of the compose profile `monitoring`: each is where it is looked for, and says what the rooms say."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from deploy.rooms import Settings, plan, targets

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "deploy" / "monitoring"
KEYS = {"SECURITY_KEYS": "s" * 28, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}


@pytest.fixture(scope="module")
def services() -> Any:
    return yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]


def test_prometheus_asks_every_room_where_it_tells(services: Any, tmp_path: Path) -> None:
    jobs = {
        job["job_name"]: job for job in yaml.safe_load((MONITORING / "prometheus.yml").read_text())["scrape_configs"]
    }
    asked = {name: job["static_configs"][0]["targets"][0] for name, job in jobs.items() if "static_configs" in job}
    looked_up = jobs["thumbor"]["dns_sd_configs"][0]
    asked["thumbor"] = f"{looked_up['names'][0]}:{looked_up['port']}"
    dockerfile = (ROOT / "Dockerfile").read_text()

    assert asked == {
        "nginx": f"nginx:{services['nginx']['environment']['METRICS_LISTEN']}",
        "uploader": "uploader:8000",
        "signer": "signer:8001",
        "thumbor": "thumbor:8888",
        "s3": "s3:9327",
    }
    for address in ("8000", "8001", "8888", "9327"):
        assert address in dockerfile
    # make run names the same jobs.
    rooms = plan(Settings(data=tmp_path), KEYS)
    assert {target["labels"]["job"] for target in targets(rooms)} == set(asked)  # type: ignore[index]
    assert len(targets(rooms)) == len(rooms)


def test_every_file_is_mounted_and_only_grafana_is_reached_from_this_machine(services: Any) -> None:
    watchers = {name: service for name, service in services.items() if service.get("profiles") == ["monitoring"]}
    volumes = [volume.split(":")[0] for service in watchers.values() for volume in service["volumes"]]
    mounted = {volume for volume in volumes if volume.startswith("./")}

    assert set(watchers) == {"prometheus", "grafana"}
    assert mounted == {f"./{path.relative_to(ROOT)}" for path in MONITORING.iterdir()}
    assert "ports" not in watchers["prometheus"]
    assert [port.rpartition(":")[0].partition(":")[0] for port in watchers["grafana"]["ports"]] == ["127.0.0.1"]
    assert set(watchers["prometheus"]["networks"]) == {"rooms", "storage"}
    assert all(":latest" not in service["image"] for service in watchers.values())


def test_the_dashboard_has_no_two_panels_in_one_place() -> None:
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    panels = dashboard["panels"]
    taken = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    assert len(taken) == len(set(taken))
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert {panel["datasource"]["uid"] for panel in panels if panel["type"] != "row"} == {
        yaml.safe_load((MONITORING / "datasource.yml").read_text())["datasources"][0]["uid"]
    }
