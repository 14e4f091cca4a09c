"""Each script of bench/ runs to its end and tells a result. How fast anything is, no test says."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.load import by_threads, read_wrk
from bench.rounds import alternate, tell

ROOT = Path(__file__).resolve().parents[2]
_WRK = """Running 1s test @ http://127.0.0.1:5000/
  2 threads and 2 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   211.04us  420.95us   7.71ms   94.94%
    Req/Sec     7.70k     1.22k    9.58k    65.00%
  Latency Distribution
     50%  112.00us
     75%  150.00us
     90%  256.00us
     99%    2.25ms
  15324 requests in 1.00s, 220.94MB read
{errors}Requests/sec:  15311.25
Transfer/sec:    220.76MB
"""


def test_ratios_are_those_of_the_same_round(capsys: pytest.CaptureFixture[str]) -> None:
    """A machine that is slow for a round is slow for both sides: their ratio does not change."""
    speeds = {"ours": iter([99.0, 8.0, 80.0, 4.0]), "theirs": iter([1.0, 10.0, 100.0, 8.0])}

    comparison = alternate(
        "speed",
        {
            "ours": lambda: {"x/s": next(speeds["ours"]), "ms": 1.0},
            "theirs": lambda: {"x/s": next(speeds["theirs"])},
        },
        rounds=3,
        goals={"theirs": 0.7},
    )

    assert comparison.ratios() == {"theirs": {"median": 0.8, "min": 0.5, "max": 0.8, "goal": 0.7}}
    assert comparison.figures("ours") == {"x/s": 8.0, "ms": 1.0}
    assert "ours / theirs: 0.8 (0.5-0.8), goal 0.7: reached" in capsys.readouterr().out


def test_the_last_line_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    """What programs read, with the facts that a script adds."""
    comparison = alternate("speed", {"a": lambda: {"x/s": 1.0}, "b": lambda: {"x/s": 2.0}}, rounds=1)

    tell("example", [comparison], wrk=False)

    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["bench"] == "example"
    assert said["wrk"] is False
    assert said["results"][0]["ratios"]["b"]["median"] == 0.5


def test_what_wrk_reports_is_read() -> None:
    """With its units."""
    assert read_wrk(_WRK.format(errors="")) == {"requests/s": 15311.25, "p50 ms": 0.112, "p99 ms": 2.25}


@pytest.mark.parametrize("errors", ["  Non-2xx or 3xx responses: 3\n", "  Socket errors: connect 0, read 4\n"])
def test_errors_are_no_result(errors: str) -> None:
    """Errors are quick; they must not pass for requests."""
    with pytest.raises(RuntimeError):
        read_wrk(_WRK.format(errors=errors))


def test_threads_do_as_much_as_was_asked() -> None:
    """However many share the work."""
    done: list[int] = []

    figures = by_threads([lambda: done.append(1)] * 3, 10, "pieces")

    assert len(done) == 10
    assert set(figures) == {"pieces/s", "p50 ms", "p95 ms", "p99 ms"}


def test_a_failure_in_a_thread_is_told() -> None:
    """A measurement with a failure in it is none."""
    with pytest.raises(ZeroDivisionError):
        by_threads([lambda: 1 // 0], 10, "pieces")


@pytest.mark.parametrize(
    "script",
    [
        *("hits", "many_hits", "signing", "misses", "crops", "rivals", "nodes", "faults", "uploads", "start_stop"),
        *("health", "curator", "browser"),
    ],
)
def test_every_script_tells_what_it_is_for(script: str) -> None:
    """`--help` is where somebody looks first."""
    done = subprocess.run(
        [sys.executable, "-m", f"bench.{script}", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert "?" in done.stdout
    assert "--rounds" in done.stdout


@pytest.mark.stack
@pytest.mark.parametrize(
    ("script", "few", "sides"),
    [
        (
            "hits",
            ["--connections", "2", "--seconds", "1", "--addresses", "readable"],
            {"stack", "plain file", "plain file, logged"},
        ),
        ("signing", ["--connections", "2", "--seconds", "1"], {"signer", "bare Flask"}),
        ("many_hits", ["--connections", "2", "--seconds", "1", "--pictures", "20"], {"stack", "plain files"}),
        ("misses", ["--clients", "2", "--requests", "6"], {"stack", "bare Thumbor"}),
        ("uploads", ["--clients", "1", "--uploads", "1"], {"stack", "boto3", "boto3, unversioned", "presigned PUT"}),
        ("crops", ["--requests", "4", "--kinds", "300x200/smart"], {"stack", "stock Thumbor, files"}),
        (
            "curator",
            ["--pictures", "2", "--presets", "SI"],
            {"resize_images -j 2", "Thumbor alone", "stock Thumbor, files"},
        ),
        (
            "nodes",
            ["--clients", "2", "--requests", "6", "--formats", "jpg"],
            {"two nodes", "one node", "one node, all on its core"},
        ),
        ("start_stop", [], {"existing data", "empty data"}),
        ("health", ["--clients", "4", "--requests", "20"], {"4 clients render", "idle"}),
    ],
)
def test_a_script_measures_and_leaves_nothing(
    script: str, few: list[str], sides: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With tiny numbers, from start to end: every side is measured and compared, every file is gone."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    done = subprocess.run(
        [sys.executable, "-m", f"bench.{script}", "--rounds", "1", *few],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert said["bench"] == script
    result = said["results"][0]
    assert set(result["sides"]) == sides
    assert len(result["ratios"]) == len(sides) - 1
    assert all(ratio["median"] > 0 for ratio in result["ratios"].values())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.stack
def test_rivals_that_are_not_there_are_left_out_loudly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stock Thumbor is always there; how alike the pictures are is told for each format."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("IMGPROXY", "")
    monkeypatch.setenv("IMAGOR", "")
    few = ["--photographs", "2", "--requests", "4", "--clients", "2", "--formats", "jpg", "avif", "--likened", "1"]

    done = subprocess.run(
        [sys.executable, "-m", "bench.rivals", "--rounds", "1", *few],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    absent = [name for name in ("imgproxy", "imagor") if not shutil.which(name)]
    assert said["left_out"] == absent
    assert all(f"LEFT OUT: {name}" in done.stderr for name in absent)
    assert {"stack", "stock Thumbor, files"} <= said["results"][0]["sides"].keys()
    assert [result["what"] for result in said["results"]] == ["jpg, 2 clients", "avif, 2 clients"]
    assert all(0.8 < like["stack"]["SSIM"] <= 1 for like in said["likeness"].values())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.stack
def test_faults_are_survived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A drill or two; the script itself ends with 1 where a cached picture, an upload or the service is lost."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    done = subprocess.run(
        [sys.executable, "-m", "bench.faults", "--seconds", "5", "--only", "S3 503", "Thumbor killed"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    drills = json.loads(done.stdout.splitlines()[-1])["drills"]
    assert drills.keys() == {"S3 503", "Thumbor killed"}
    # The fault was there: some were refused, and in the other drill somebody was killed.
    assert drills["S3 503"]["misses"]["statuses"].keys() - {"200"}
    assert drills["Thumbor killed"]["note"] == "2 kills"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.stack
def test_photographs_are_dropped_in_a_browser(chromium: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few small ones; the script itself ends with 1 where one does not arrive."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    done = subprocess.run(
        [sys.executable, "-m", "bench.browser", "--files", "3", "--size", "600", "400"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])["results"][0]["sides"]["widget"]
    assert figures["uploaded"] == 3
    assert figures["MB at most"] > figures["MB of the script's heap at last"] > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.stack
def test_many_uploads_at_once_are_all_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few clients and a kill or two; the script itself ends with 1 where anything is lost, doubled or damaged."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    few = ["--clients", "8", "--each", "2", "--seconds", "12", "--kill-every", "6"]

    done = subprocess.run(
        [sys.executable, "-m", "bench.many_uploads", "--rounds", "1", *few],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["bench"] == "many_uploads"
