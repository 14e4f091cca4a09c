"""The configuration as files: rendered the same by Python and by the image's start.sh, and taken by nginx as it is."""

import os
import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest

from deploy import nginx
from thumbstack.buckets import s3_client


def tree(directory: Path) -> dict[str, str]:
    return {str(path.relative_to(directory)): path.read_text() for path in directory.rglob("*") if path.is_file()}


def test_only_templates_hold_names_to_replace() -> None:
    files = [*nginx.ROOM.glob("*.conf"), *nginx.ROOM.glob("conf.d/*"), *nginx.ROOM.glob("snippets/*")]

    assert len(files) > 10
    assert [path for path in files if re.search(r"\$\{", path.read_text())] == []


def test_nothing_is_left_to_replace(tmp_path: Path, variables: dict[str, str]) -> None:
    nginx.render(tmp_path, variables)

    assert not any("${" in text for text in tree(tmp_path).values())
    assert variables["GIT_COMMIT"] in (tmp_path / "templates" / "facts.conf").read_text()


def test_rendering_again_leaves_nothing_of_before(tmp_path: Path, variables: dict[str, str]) -> None:
    nginx.render(tmp_path, variables)
    before = tree(tmp_path)
    (tmp_path / "conf.d" / "old.conf").write_text("server { }")

    nginx.render(tmp_path, variables)

    assert tree(tmp_path) == before


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
def test_without_an_endpoint_it_is_awss_own_where_the_uploader_signs(
    tmp_path: Path, variables: dict[str, str], region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "a")
    # It remembers these keys, and must not beyond this test.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    signed_for = urlsplit(
        s3_client(None, region).generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "o/a/b/c"})
    )

    nginx.render(tmp_path, variables | {"S3_ENDPOINT": "", "AWS_REGION": region})

    facts = (tmp_path / "templates" / "facts.conf").read_text()
    assert f'"{signed_for.scheme}://{signed_for.netloc}"' in facts


def test_a_missing_variable_is_named(tmp_path: Path, variables: dict[str, str]) -> None:
    variables = {name: value for name, value in variables.items() if name != "EDGE_CACHE"}

    with pytest.raises(KeyError, match="EDGE_CACHE"):
        nginx.render(tmp_path, variables)

    assert tree(tmp_path) == {}


def test_nginx_takes_it_without_a_warning(tmp_path: Path, variables: dict[str, str], binary: Path) -> None:
    nginx.render(tmp_path, variables)

    said = subprocess.run([binary, "-t", "-c", tmp_path / "nginx.conf"], capture_output=True, text=True, check=False)

    assert said.returncode == 0, said.stderr
    assert "[warn]" not in said.stderr
    assert "[alert]" not in said.stderr


def start(tmp_path: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the image's start.sh with an nginx that only says how it was called."""
    stub = tmp_path / "bin" / "nginx"
    stub.parent.mkdir()
    stub.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    stub.chmod(0o755)
    path = f"{stub.parent}:{os.environ['PATH']}"
    # The image is told the largest file, and allows for the form around it itself.
    largest = {"MAX_UPLOAD_BYTES": str(int(variables["MAX_DIRECT_BYTES"]) - nginx.FORM_BYTES)}
    environment = {name: value for name, value in variables.items() if name != "MAX_DIRECT_BYTES"} | largest
    return subprocess.run(
        [nginx.ROOM / "start.sh"], env=environment | {"PATH": path}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("proxies", ["", "10.0.0.0/16", "10.0.0.1, 2001:db8::/32 192.0.2.0/24"])
@pytest.mark.parametrize("endpoint", ["http://s3:8333", ""])
@pytest.mark.usefixtures("envsubst")
def test_the_image_renders_the_same(tmp_path: Path, variables: dict[str, str], proxies: str, endpoint: str) -> None:
    variables = variables | {"RUN_DIR": str(tmp_path / "run"), "TRUSTED_PROXIES": proxies, "S3_ENDPOINT": endpoint}
    nginx.render(tmp_path / "python", variables | {"RUN_AS": ""})

    started = start(tmp_path, variables)

    assert started.returncode == 0, started.stderr
    conf = tmp_path / "run" / "conf"
    assert started.stdout.splitlines() == ["-c", f"{conf}/nginx.conf", "-g", "daemon off;"]
    assert tree(conf) == tree(tmp_path / "python")


@pytest.mark.parametrize("name", ["RUN_DIR", "S3_ENDPOINT"])
def test_the_image_names_a_missing_variable(tmp_path: Path, variables: dict[str, str], name: str) -> None:
    variables = {key: value for key, value in (variables | {"RUN_DIR": str(tmp_path / "run")}).items() if key != name}

    started = start(tmp_path, variables)

    assert started.returncode != 0
    assert name in started.stderr


@pytest.mark.parametrize("text", ['a"; b', "a$b", "a;b", "a\nb"])
def test_the_image_refuses_what_is_no_cache_control(tmp_path: Path, variables: dict[str, str], text: str) -> None:
    started = start(tmp_path, variables | {"RUN_DIR": str(tmp_path / "run"), "CACHE_CONTROL": text})

    assert started.returncode != 0
    assert "CACHE_CONTROL" in started.stderr


def test_an_nginx_is_found(binary: Path) -> None:
    assert nginx.version(nginx.find()) >= (1, 22)
    assert nginx.version(binary) >= (1, 22)


def test_a_system_nginx_that_is_too_old_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "nginx"
    old.write_text("#!/bin/sh\necho nginx version: nginx/1.18.0 >&2\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    assert nginx.find() != old
