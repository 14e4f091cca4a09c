"""What is committed in client/dist is what client/src builds."""

import subprocess
from pathlib import Path

from tests.client.conftest import CLIENT


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_committed_files_are_what_the_sources_build(packages: Path, tmp_path: Path) -> None:
    for name in ("src", "build.mjs", "tsconfig.json", "tsconfig.build.json", "package.json"):
        subprocess.run(["cp", "-R", CLIENT / name, tmp_path], check=True)
    (tmp_path / "node_modules").symlink_to(packages)

    subprocess.run(["npm", "run", "--silent", "build"], cwd=tmp_path, check=True)

    built, committed = _files(tmp_path / "dist"), _files(CLIENT / "dist")
    assert built.keys() == committed.keys()
    assert [name for name in built if built[name] != committed[name]] == []
