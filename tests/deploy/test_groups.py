"""Each image has only what its room's group in pyproject.toml brings: so that must be all that the room imports."""

import ast
import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
# How a package that is imported is called where it is installed from.
DISTRIBUTIONS = packages_distributions()


def test_a_room_imports_nothing_that_its_group_does_not_bring() -> None:
    missing = {room: imported(room) - installed(room) for room in ("uploader", "signer", "thumbor", "curator")}

    assert missing == {"uploader": set(), "signer": set(), "thumbor": set(), "curator": set()}


def test_a_package_that_is_left_out_is_missed() -> None:
    assert "boto3" in imported("uploader") - installed("signer")


@pytest.mark.parametrize(
    ("room", "distribution"), [("signer", "flask"), ("thumbor", "tinycss2"), ("uploader", "pillow")]
)
def test_what_a_room_imports_is_seen(room: str, distribution: str) -> None:
    assert distribution in imported(room)


def imported(room: str) -> set[str]:
    """What the files of a room import, and the files of thumbstack that they lead to."""
    files = {*(ROOT / room).glob("*.py"), *(ROOT / room).glob("thumbor.conf")}
    seen: set[Path] = set()
    distributions: set[str] = set()
    while files - seen:
        file = (files - seen).pop()
        seen.add(file)
        for name in imports(file):
            if name.startswith("thumbstack"):
                files.update(ours(name))
            elif name.partition(".")[0] not in sys.stdlib_module_names:
                distributions.update(map(normal, DISTRIBUTIONS.get(name.partition(".")[0], ())))
    return distributions


def imports(file: Path) -> set[str]:
    """The names of modules in all lines that import when they run; of `from a import b` both `a` and `a.b`."""
    names: set[str] = set()
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update((node.module, *(f"{node.module}.{alias.name}" for alias in node.names)))
    return names


def ours(name: str) -> set[Path]:
    """The file or the files of a module of thumbstack."""
    place = ROOT.joinpath(*name.split("."))
    return {file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()}


def installed(room: str) -> set[str]:
    """What the image of a room has: the project's own dependencies, those of the group, and all that they require."""
    wanted = [*PROJECT["project"]["dependencies"], *group(room)]
    found: set[str] = set()
    while wanted:
        name = normal(re.split(r"[^A-Za-z0-9._-]", wanted.pop(), maxsplit=1)[0])
        if name not in found:
            found.add(name)
            try:
                wanted += [line for line in requires(name) or () if "extra ==" not in line]
            except PackageNotFoundError:  # of another platform
                continue
    return found


def group(room: str) -> list[str]:
    """The lines of a dependency group, with those of the groups that it includes."""
    lines: list[str] = []
    for line in PROJECT["dependency-groups"][room]:
        lines += [line] if isinstance(line, str) else group(line["include-group"])
    return lines


def normal(name: str) -> str:
    """A distribution's name in its one spelling: https://packaging.python.org/en/latest/specifications/name-normalization/"""
    return re.sub(r"[-_.]+", "-", name).lower()
