"""HEIC: whatever happens in the decoder, it happens to another process."""

from pathlib import Path

import pytest

from tests.thumbstack.samples import IMAGES
from thumbstack import heic
from thumbstack.heic import decode_heic

BODY = (IMAGES / "coffee.heic").read_bytes()


def test_the_child_tells_the_size_and_gives_a_small_picture() -> None:
    found = decode_heic(BODY, 40_000_000, 300)

    assert (found.width, found.height, found.frames) == (120, 80, 1)
    assert found.small.startswith(b"\x89PNG")


def test_too_many_pixels_are_not_decoded() -> None:
    assert decode_heic(BODY, 100, 300).small == b""


@pytest.mark.parametrize("body", [b"", BODY[:1000], b"\0\0\0\x18ftypheic" + bytes(500)])
def test_what_cannot_be_decoded_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match="gave up"):
        decode_heic(body, 40_000_000, 300)


def test_a_file_that_once_ended_the_process_is_survived() -> None:
    assert decode_heic((IMAGES / "crash.heic").read_bytes(), 40_000_000, 300).frames == 1


def test_a_child_that_crashes_is_a_value_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crashing = tmp_path / "child.py"
    crashing.write_text("import os, signal, sys; sys.stdin.buffer.read(); os.kill(os.getpid(), signal.SIGSEGV)")
    monkeypatch.setattr(heic, "_CHILD", crashing)

    with pytest.raises(ValueError, match="gave up"):
        decode_heic(BODY, 40_000_000, 300)
