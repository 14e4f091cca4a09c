"""thumbor.conf as real Thumbor reads it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from thumbor.config import Config

ROOM = Path(__file__).parents[2] / "thumbor"
KEYS = "the-newest-key-the-newest-key,the-older-key-the-older-key-"
REQUIRED = {"PICTURES_BUCKET": "pictures", "RESULTS_BUCKET": "results", "SECURITY_KEYS": KEYS}
# What tc_aws defines when it is imported.
TC_AWS = {"TC_AWS_LOADER_BUCKET", "TC_AWS_RESULT_STORAGE_BUCKET", "TC_AWS_REGION", "TC_AWS_ENDPOINT"}
# What our picture_loader defines.
OURS = {"MAX_ORIGINAL_BYTES"}


def load(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Config:
    for name in (*REQUIRED, "S3_ENDPOINT", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "SECRETS_DIR"):
        monkeypatch.setenv(name, "")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return Config.load(str(ROOM / "thumbor.conf"))


def test_the_room_does_not_shadow_the_package() -> None:
    import thumbor

    assert not list(ROOM.glob("__init__*"))
    assert thumbor.__file__ is not None
    assert ROOM not in Path(thumbor.__file__).parents


def test_every_setting_exists_and_differs_from_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    conf = load(monkeypatch, **REQUIRED, S3_ENDPOINT="http://s3:8333")

    named = {name for name in conf._items if name.isupper() and name != "defaults"}
    assert named - Config.class_defaults.keys() <= TC_AWS | OURS
    assert [name for name in named - TC_AWS - OURS if conf[name] == Config.class_defaults[name]] == []


def test_nothing_unsafe_is_left_on(monkeypatch: pytest.MonkeyPatch) -> None:
    conf = load(monkeypatch, **REQUIRED)

    assert conf.SECURITY_KEY == KEYS
    assert conf.ALLOW_UNSAFE_URL is False
    assert conf.UPLOAD_ENABLED is False
    assert conf.USE_BLACKLIST is False
    assert conf.STORAGE == "thumbor.storages.no_storage"
    assert not {"thumbor.filters.blur", "thumbor.filters.frame", "thumbor.filters.convolution"} & set(conf.FILTERS)


def test_without_an_endpoint_it_is_aws_in_the_documented_region(monkeypatch: pytest.MonkeyPatch) -> None:
    conf = load(monkeypatch, **REQUIRED)

    assert conf.TC_AWS_ENDPOINT is None
    assert conf.TC_AWS_REGION == "us-east-1"


def test_a_file_in_the_secrets_folder_stands_for_the_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "SECURITY_KEYS").write_text("from-a-file-from-a-file-from-a-file\n")
    (tmp_path / "AWS_SECRET_ACCESS_KEY").write_text("secret\n")

    conf = load(monkeypatch, **{**REQUIRED, "SECURITY_KEYS": "", "SECRETS_DIR": str(tmp_path)})

    assert conf.SECURITY_KEY == "from-a-file-from-a-file-from-a-file"
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == "secret"


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("PICTURES_BUCKET", "", "is not set"),
        ("RESULTS_BUCKET", "", "is not set"),
        ("SECURITY_KEYS", "", "is not set"),
        ("SECURITY_KEYS", "a-good-key-a-good-key-a-good-key,short", "is wrong"),
        ("SECURITY_KEYS", " , ", "is wrong"),
    ],
)
def test_a_missing_or_wrong_variable_stops_the_boot_and_is_named(name: str, value: str, what: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "thumbor.server", "--conf", str(ROOM / "thumbor.conf")],
        env={"PYTHONPATH": os.pathsep.join(map(str, (ROOM.parent, ROOM))), **REQUIRED, name: value},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode != 0
    assert done.stderr.count("\n") == 1
    assert f"{name} {what}" in done.stderr
    assert "short" not in done.stderr
