"""The README's lines, as they stand."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.stack.stacks import ROOT, Stack

pytestmark = pytest.mark.stack


@pytest.mark.usefixtures("curl")
def test_the_first_upload_goes_as_the_readme_shows_it(stack: Stack, tmp_path: Path, coffee: bytes) -> None:
    section = (ROOT / "README.md").read_text().partition("## The first upload")[2].partition("\n## ")[0]
    shown, script = re.findall(r"```(?:console|sh)\n(.*?)```", section, re.DOTALL)
    first = shown.splitlines()[0].removeprefix("$ ")
    lines = [line.replace("http://localhost:5000", stack.url) for line in (first, *script.splitlines())]
    (tmp_path / "tests").symlink_to(ROOT / "tests")

    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", "\n".join(f"{line}\necho" for line in lines)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
    printed = [line for line in done.stdout.splitlines() if line]
    assert "Uploaded" in printed[0]
    assert "600w" in printed[1]
    assert "coffee.jpg deleted" in printed[2]
    assert "Pictures deleted" in printed[3]
    assert (tmp_path / "coffee.jpg").read_bytes() == coffee
    assert (tmp_path / "card.png").read_bytes().startswith(b"\x89PNG")
