"""What a client writes, as S3 keeps it."""

from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from thumbstack.metadata import ascii_text


@example("  cat .png ")
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_a_text_is_read_back_from_a_header(text: str) -> None:
    kept = ascii_text(text)

    # A header loses the blanks at its ends.
    assert kept.isascii()
    assert unquote(kept.strip()) == text


@pytest.mark.parametrize("text", ["x" * 5000, "Ä" * 5000, " " * 5000])
def test_a_long_text_is_cut_between_two_letters(text: str) -> None:
    kept = ascii_text(text)

    assert 500 < len(kept) <= 600
    assert text.startswith(unquote(kept))
