"""What is committed in client/dist is what client/src builds."""

import gzip
import json
import subprocess
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("name", ["thumbstack-upload.js", "thumbstack-upload.mjs"])
def test_the_widget_is_below_40_kilobytes_on_its_way(name: str) -> None:
    # As nginx compresses, with its default level.
    assert len(gzip.compress((CLIENT / "dist" / name).read_bytes(), compresslevel=1)) < 40_000


def test_the_types_stand_alone(packages: Path, tmp_path: Path) -> None:
    subprocess.run(["cp", "-R", CLIENT / "dist" / "types", tmp_path], check=True)
    (tmp_path / "page.ts").write_text("""
        import { ThumbstackUpload, type Upload } from "./types/upload/index";
        const urls: string[] = [];
        const told = (upload: Upload) => urls.push(upload.publicUrl);
        new ThumbstackUpload("#area", { maxFiles: 4, texts: { drop: "Here" } }, told)
            .on("error", ({ file, error }) => console.log(file.name, error.code))
            .add(new File([], "x.jpg"));
        // @ts-expect-error
        new ThumbstackUpload(document.body, { maxFiles: "4" });
        // @ts-expect-error
        new ThumbstackUpload(document.body).on("nothing", () => {});
    """)
    options = {"strict": True, "module": "esnext", "moduleResolution": "bundler", "noEmit": True, "types": []}
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "files": ["page.ts"]}))

    checked = subprocess.run([packages / ".bin" / "tsc", "-p", tmp_path], capture_output=True, text=True)

    assert checked.returncode == 0, checked.stdout
