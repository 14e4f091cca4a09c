"""Whatever the bytes: an outcome or a refusal, never another exception.

`HYPOTHESIS_MAX_EXAMPLES=100000 pytest tests/thumbstack/test_firewall_fuzz.py --timeout 0` runs it for longer.
"""

import io
import os
import warnings
from contextlib import suppress

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.thumbstack.samples import IMAGES, PDF_BYTES, SVG_BYTES, animation, multi_picture, noise, picture
from thumbstack.inspection import Limits, inspect
from thumbstack.location import without_location
from thumbstack.refusal import Refused
from thumbstack.upright import upright

LIMITS = Limits(max_bytes=1_000_000, max_pixels=1_000_000)
SEEDS = [
    picture("JPEG", orientation=6),
    noise("JPEG"),
    multi_picture(),
    picture("PNG", mode="P"),
    picture("PNG", mode="I;16"),
    picture("TIFF", orientation=3),
    (IMAGES / "coffee.heic").read_bytes(),
    (IMAGES / "coffee.jpg").read_bytes()[:20_000] + b"\xff\xd9",
    *(picture(format_) for format_ in ("GIF", "WEBP", "AVIF", "TIFF")),
    *(animation(format_, 3) for format_ in ("GIF", "PNG", "WEBP", "AVIF", "TIFF")),
    SVG_BYTES.replace(b"<rect", b'<style>a{b:url(#c)}</style><a href="#x"/><rect'),
    PDF_BYTES,
]
POSITION = st.floats(0, 1, exclude_max=True)
CHANGE = st.one_of(
    st.tuples(st.just("set"), POSITION, st.binary(min_size=1, max_size=8)),
    st.tuples(st.just("cut"), POSITION, st.just(b"")),
    st.tuples(st.just("remove"), POSITION, st.binary(max_size=64)),
    st.tuples(st.just("insert"), POSITION, st.binary(max_size=64)),
    st.tuples(st.just("repeat"), POSITION, st.binary(max_size=64)),
    st.tuples(st.just("append"), POSITION, st.sampled_from(SEEDS)),
)


def changed(body: bytes, changes: list[tuple[str, float, bytes]]) -> bytes:
    """The body with bytes set, cut off, removed, inserted, repeated, or followed by another picture's."""
    for how, where, what in changes:
        # Headers are short and matter most: half of the changes hit the first part.
        at = int(where * 2 * len(body)) if where < 0.5 else int((where - 0.5) * 2 * min(len(body), 200))
        parts = {
            "set": (body[:at], what, body[at + len(what) :]),
            "cut": (body[:at],),
            "remove": (body[:at], body[at + len(what) :]),
            "insert": (body[:at], what, body[at:]),
            "repeat": (body[:at], body[at : at + len(what)] * 3, body[at + len(what) :]),
            "append": (body, what[int(where * len(what)) :]),
        }[how]
        body = b"".join(parts)
    return body


@settings(
    max_examples=int(os.environ.get("HYPOTHESIS_MAX_EXAMPLES", "400")),
    deadline=None,
    database=None,
    derandomize="HYPOTHESIS_MAX_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.sampled_from(SEEDS), st.lists(CHANGE, max_size=6))
def test_a_damaged_picture_is_taken_or_refused(seed: bytes, changes: list[tuple[str, float, bytes]]) -> None:
    body = changed(seed, changes)
    # Pillow warns of what is odd; in production that is a line in the log.
    with warnings.catch_warnings(), suppress(Refused):
        warnings.simplefilter("ignore")
        facts = inspect(io.BytesIO(body), LIMITS)

        cleaned = without_location(body, facts.type)
        assert inspect(io.BytesIO(cleaned), LIMITS).type is facts.type
        upright(body)
