"""docs/api.md, line for line: every command is run, and every answer is the one that it shows."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.stack.stacks import ROOT, Stack

pytestmark = pytest.mark.stack

TEXT = (ROOT / "docs" / "api.md").read_text()


@dataclass(frozen=True)
class Line:
    """A command, the status that it must have, and what it prints."""

    command: str
    status: str
    shown: str


def lines() -> list[Line]:
    """All lines of all consoles, in their order."""
    found = []
    for console in re.findall(r"```console\n(.*?)```", TEXT, re.DOTALL):
        for entry in re.split(r"^\$ ", console, flags=re.MULTILINE)[1:]:
            command, _, shown = entry.partition("\n")
            command, _, status = command.partition("   # ")
            found.append(Line(command, status or "200", shown))
    return found


def matches(shown: str, printed: str) -> bool:
    """Whether that was printed; blanks do not matter, and `...` is anything."""
    parts = ["".join(part.split()) for part in shown.split("...")]
    return re.fullmatch(".*?".join(map(re.escape, parts)), "".join(printed.split())) is not None


@pytest.mark.usefixtures("curl")
def test_every_line_answers_what_the_document_shows(stack: Stack, tmp_path: Path) -> None:
    for image in (ROOT / "tests" / "images").iterdir():
        shutil.copy(image, tmp_path)
    # The status of each answer goes where it does not mix with what people see.
    (tmp_path / ".curlrc").write_text('silent\nshow-error\nwrite-out = "%{stderr}%{http_code}\\n"\n')
    script = [f"export CURL_HOME={tmp_path}"]
    for number, line in enumerate(lines()):
        script.append(f"{{ {line.command.replace('http://localhost:5000', stack.url)}\n}} >{number}.out 2>{number}.err")
    subprocess.run(["curl", "-sS", "-X", "DELETE", f"{stack.url}/delete-all-pictures"], check=True, timeout=60)

    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", "\n".join(script)], cwd=tmp_path, capture_output=True, timeout=240
    )

    assert done.returncode == 0, done.stderr
    for number, line in enumerate(lines()):
        printed, statuses = ((tmp_path / f"{number}.{kind}").read_text() for kind in ("out", "err"))
        if "curl" in line.command:
            assert (line.command, statuses.split()) == (line.command, [line.status]), printed
        assert matches(line.shown, printed), f"{line.command}\n{printed}\ninstead of\n{line.shown}"


@pytest.mark.parametrize("printed", ['{"a": 1}', '{"a": 1, "b": 2}', '{"a":1,"key":"o/x/y"}'])
def test_dots_are_all_that_is_not_compared(printed: str) -> None:
    assert matches(printed, printed)
    assert matches('{"a": 1...}', printed)
    assert not matches('{"a": 2...}', printed)
    assert not matches('{"a"', printed)
