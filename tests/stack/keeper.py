"""A keeper of the running service: his commands, and what he finds from earlier times."""

import io
import json
import os
import subprocess
import sys
from typing import Any

from PIL import Image

from tests.stack.stacks import ROOT, Embedded, Stack


def begun(stack: Stack, *arguments: str, **more: str) -> "subprocess.Popen[str]":
    """A command of the curator, told what `make curator` tells it, and more."""
    assert isinstance(stack, Embedded)
    told: dict[str, str] = json.loads((stack.data / "run" / "curator.json").read_text())
    return subprocess.Popen(
        [sys.executable, "-m", "curator", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **told, **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def curator(stack: Stack, *arguments: str, code: int = 0, **more: str) -> dict[str, Any]:
    """Run a command to its end; what it sums up."""
    with begun(stack, *arguments, "--json", **more) as process:
        out, err = process.communicate(timeout=300)
    assert process.returncode == code, (out, err)
    summed: dict[str, Any] = json.loads(out) if out.startswith("{") else {}
    return summed


def older(kind: str) -> bytes:
    """What an older engine may have made: a picture of another size."""
    out = io.BytesIO()
    Image.new("RGB", (9, 9), "red").save(out, kind)
    return out.getvalue()


def size(body: bytes) -> tuple[int, int]:
    """Width and height."""
    with Image.open(io.BytesIO(body)) as image:
        return image.size


def put_result(stack: Stack, key: str, kind: str) -> None:
    """Put what an older engine made in the place of a result."""
    stack.s3().put_object(Bucket=stack.results_bucket, Key=key, Body=older(kind))
