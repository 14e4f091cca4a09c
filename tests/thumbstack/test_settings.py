"""What a missing or wrong variable does: the boot stops and names it, and no value is shown."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMPLETE = {
    "uploader": {
        "PICTURES_BUCKET": "pictures",
        "RESULTS_BUCKET": "results",
        "SECURITY_KEYS": "k" * 28,
        "EDGE_CACHE": "/tmp/cache",  # noqa: S108 - never made
        "TOMBSTONES": "/tmp/stones",  # noqa: S108 - never made
    },
    "signer": {"SECURITY_KEYS": "k" * 28, "PICTURES_BUCKET": "pictures"},
}


def boot(room: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Import the room's application as gunicorn does."""
    return subprocess.run(
        [sys.executable, "-c", f"import {room}.wsgi"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("room", COMPLETE)
def test_a_complete_environment_boots(room: str) -> None:
    assert boot(room, COMPLETE[room]).returncode == 0


@pytest.mark.parametrize(("room", "variable"), [(room, name) for room, all_ in COMPLETE.items() for name in all_])
def test_a_missing_variable_is_named(room: str, variable: str) -> None:
    environment = {name: value for name, value in COMPLETE[room].items() if name != variable}

    done = boot(room, environment)

    assert done.returncode != 0
    assert done.stderr == f"{room}: {variable} is not set\n"


@pytest.mark.parametrize("room", COMPLETE)
def test_an_empty_key_is_none(room: str) -> None:
    # compose.yaml lets it be empty, for files (SECRETS_DIR). Thumbor: tests/thumbor/test_conf.py.
    done = boot(room, {**COMPLETE[room], "SECURITY_KEYS": ""})

    assert done.returncode != 0
    assert done.stderr == f"{room}: SECURITY_KEYS is not set\n"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SECURITY_KEYS", "tooshort"),
        ("API_KEYS", '[{"app": "shop"}]'),
        ("API_KEYS", "tooshort"),
        ("OPEN_APP", "No App"),
        ("PUBLIC_URL", "pictures.example.com"),
        ("WEBSITE_URL", "//img.example.com"),
        ("PRESETS_FILE", "/none/presets.toml"),
        ("PRESETS_FILE", "README.md"),
    ],
)
def test_a_wrong_value_is_named_and_not_shown(variable: str, value: str) -> None:
    done = boot("signer", {**COMPLETE["signer"], variable: value})

    assert done.returncode != 0
    assert done.stderr.startswith(f"signer: {variable} is wrong")
    assert "tooshort" not in done.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SCANNER", "ftp://x"),
        ("APP_RULES", "{"),
        ("APP_RULES", '{"shop": {"type": []}}'),
        ("APP_RULES", '{"shop": {"types": ["exe"]}}'),
        ("APP_RULES", '{"shop": {"upright": "yes"}}'),
        ("APP_RULES", '{"shop": {"hold": "yes"}}'),
        ("APP_RULES", '{"schop": {"hold": true}}'),
        ("WARM_PRESETS", "NONE"),
        ("DECODES_AT_ONCE", "0"),
    ],
)
def test_a_wrong_value_of_the_uploader_is_named(variable: str, value: str) -> None:
    done = boot("uploader", {**COMPLETE["uploader"], variable: value})

    assert done.returncode == 3
    assert variable in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("APP_RULES", '{"shop": {"hold": 1}}'),
        ("APP_RULES", '{"schop": {"hold": true}}'),
        ("TICKET_SECONDS", "0"),
        ("TICKET_SECONDS", "604801"),
        ("UPLOAD_URL", "bucket.s3.amazonaws.com"),
        ("MAX_UPLOAD_BYTES", "-7"),
        ("AWS_ACCESS_KEY_ID", "key without its secret"),
    ],
)
def test_a_wrong_value_of_the_signer_is_named(variable: str, value: str) -> None:
    done = boot("signer", {**COMPLETE["signer"], variable: value})

    assert done.returncode == 3
    assert variable in done.stderr
    assert "Traceback" not in done.stderr


def test_a_minted_pair_of_keys_can_be_used() -> None:
    minted = subprocess.run(
        [sys.executable, "-m", "thumbstack.apps", "shop"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout

    assert boot("signer", {**COMPLETE["signer"], "API_KEYS": f"[{minted}]"}).returncode == 0


def test_no_keys_are_minted_for_a_name_that_is_none() -> None:
    done = subprocess.run([sys.executable, "-m", "thumbstack.apps", "No App"], cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 1
    assert "lower case" in done.stderr


def test_secrets_may_come_from_files(tmp_path: Path) -> None:
    for name in ("SECURITY_KEYS", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        (tmp_path / name).write_text("k" * 28)

    assert boot("signer", {"SECRETS_DIR": str(tmp_path), "PICTURES_BUCKET": "pictures"}).returncode == 0
