"""How large variants come out; tests/thumbor/test_rendered_size.py asks Thumbor itself."""

import pytest

from thumbstack.options import read_options
from thumbstack.rendered_size import rendered_size


# The table of projectshift/shift-media's own tests, of a picture of 248x768, where it is not at fault.
@pytest.mark.parametrize(
    ("options", "size"),
    [
        ("fit-in/3000x1000", (248, 768)),
        ("fit-in/300x500", (161, 500)),
        ("fit-in/200x300", (97, 300)),
        ("fit-in/300x900/filters:upscale()", (290, 900)),
        ("2000x3000/filters:no_upscale()", (248, 768)),
        ("150x900/filters:no_upscale()", (150, 768)),
        ("200x100/filters:no_upscale()", (200, 100)),
        ("300x1000", (300, 1000)),
        ("200x1500", (200, 1500)),
    ],
)
def test_the_sizes_of_an_original(options: str, size: tuple[int, int]) -> None:
    assert rendered_size(read_options(options), (248, 768)) == size


def test_only_the_pixels_tell_what_is_trimmed() -> None:
    assert rendered_size(read_options("trim/300x200"), (248, 768)) is None


@pytest.mark.parametrize("options", ["4096x0", "full-fit-in/4096x1", "fit-in/4096x0", ""])
def test_what_follows_from_the_pictures_shape_is_told(options: str) -> None:
    size = rendered_size(read_options(options), (100, 10_000))

    assert size is not None
    assert max(size) > 4096
