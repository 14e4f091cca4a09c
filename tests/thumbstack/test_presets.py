"""Presets are a file: another one needs no change of code, and a wrong one is named."""

from pathlib import Path

import pytest

from thumbstack.presets import options_of_part, read_presets


def test_the_shipped_ones_are_there() -> None:
    assert set(read_presets()) == {"BI", "MI", "SI", "original", "card", "hero", "avatar"}


def test_of_a_chosen_part_the_options_begin_with_it() -> None:
    presets = {"SI": "200x200/smart", "all": ""}

    assert options_of_part(presets, "") == presets
    assert options_of_part(presets, "30x40+1+2") == {"SI": "1x2:31x42/200x200/smart", "all": "1x2:31x42"}


def test_one_more_is_a_line(tmp_path: Path) -> None:
    file = tmp_path / "presets.toml"
    file.write_text('XS = "fit-in/78x78"\n')

    assert read_presets(file) == {"XS": "fit-in/78x78"}


@pytest.mark.parametrize(
    "line", ['XS = "fit-in/78x"x78', 'XS = "unsafe/78x78"', '"X/S" = "78x78"', "XS = 78", 'XS = "9999x1"']
)
def test_a_wrong_one_is_refused(tmp_path: Path, line: str) -> None:
    file = tmp_path / "presets.toml"
    file.write_text(line)

    with pytest.raises(ValueError, match=r"X"):
        read_presets(file)
