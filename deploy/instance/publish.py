#!/usr/bin/env python3
"""Tells CloudWatch, once a minute, what the rooms say of themselves; only Debian's Python and awscli are there.

RenderLoad is what the group scales by: renders under way or waiting, in percent of those that can go on at a time.
"""

import contextlib
import http.client
import json
import os
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

# What was counted a minute ago; a reboot forgets it.
_BEFORE = Path("/run/thumbstack-publish.json")
_SAMPLE = re.compile(r"^(?P<name>[a-z_]+)(?:\{(?P<labels>[^}]*)\})? (?P<value>[0-9.eE+-]+)$", re.MULTILINE)
# Of fewer pictures the ratio says nothing.
_ENOUGH_PICTURES = 100

Numbers = Mapping[str, float]


def render_load(thumbors: Iterable[str]) -> float | None:
    """In percent, of what all Thumbor processes of the instance tell; None where none answers."""
    in_flight = capacity = 0.0
    for text in thumbors:
        for sample in _SAMPLE.finditer(text):
            in_flight += float(sample["value"]) if sample["name"] == "thumbstack_renders_in_flight" else 0
            capacity += float(sample["value"]) if sample["name"] == "thumbstack_render_capacity" else 0
    return 100 * in_flight / capacity if capacity else None


def edge_answers(text: str) -> Numbers:
    """How many pictures the edge has given since it began, and how many of them it had already."""
    pictures = hits = 0.0
    for sample in _SAMPLE.finditer(text):
        cache = re.search(r'cache="([A-Z]+)"', sample["labels"] or "")
        if sample["name"] == "thumbstack_edge_answers_total" and cache and cache[1] != "NONE":
            pictures += float(sample["value"])
            hits += float(sample["value"]) if cache[1] in ("HIT", "STALE", "UPDATING", "REVALIDATED") else 0
    return {"pictures": pictures, "hits": hits}


def hit_ratio(now: Numbers, before: Numbers) -> float | None:
    """In percent, since the last time; None where nginx began again meanwhile, or gave too few."""
    pictures, hits = now["pictures"] - before.get("pictures", 0), now["hits"] - before.get("hits", 0)
    return 100 * hits / pictures if before and pictures >= _ENOUGH_PICTURES and hits >= 0 else None


def _docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True, timeout=10).stdout


@contextlib.contextmanager
def _forgiving(room: str) -> Iterator[None]:
    """Whoever tells nothing is left out: what else is known, such as a full disk, must be heard of all the more."""
    try:
        yield
    except (OSError, ValueError, http.client.HTTPException, subprocess.SubprocessError) as error:
        print(f"{room} tells nothing: {error}")


def _tell(room: str, port: int) -> list[str]:
    """What each container of a room tells under /metrics, by its address in the network of the rooms."""
    containers, texts = [], []
    with _forgiving(room):
        containers = _docker("ps", "--quiet", "--filter", f"label=com.docker.compose.service={room}").split()
    for container in containers:
        with _forgiving(room):
            networks = json.loads(_docker("inspect", "--format", "{{json .NetworkSettings.Networks}}", container))
            (address,) = (network["IPAddress"] for name, network in networks.items() if name.endswith("_rooms"))
            with urllib.request.urlopen(f"http://{address}:{port}/metrics", timeout=5) as answer:
                texts.append(answer.read().decode())
    return texts


def main() -> None:
    disk = shutil.disk_usage("/")
    before = json.loads(_BEFORE.read_text()) if _BEFORE.exists() else {}
    edge = _tell("nginx", 5002)
    now = edge_answers(edge[0]) if edge else {}
    _BEFORE.write_text(json.dumps(now))
    found = {
        "RenderLoad": render_load(_tell("thumbor", 8888)),
        "EdgeHitRatio": hit_ratio(now, before) if now else None,
        "DiskUsed": 100 * disk.used / (disk.used + disk.free),
    }
    data = [
        {
            "MetricName": name,
            "Value": round(value, 2),
            "Unit": "Percent",
            "Dimensions": [{"Name": "Stack", "Value": os.environ["STACK"]}],
        }
        for name, value in found.items()
        if value is not None
    ]
    command = ["aws", "cloudwatch", "put-metric-data", "--namespace", "Thumbstack", "--metric-data", json.dumps(data)]
    subprocess.run(command, check=True, timeout=30)


if __name__ == "__main__":
    main()
