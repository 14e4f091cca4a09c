"""What is kept with a picture in S3: ASCII text, 2 KiB of it in all."""

import re
from urllib.parse import quote

# What a client may write gets most of it.
_MAX_TEXT_BYTES = 600


def ascii_text(text: str) -> str:
    """Text of a client in ASCII, cut where it is too long, never within a character; `unquote` reads it back."""
    while len(quoted := _quoted(text)) > _MAX_TEXT_BYTES:
        text = text[: len(text) * _MAX_TEXT_BYTES // len(quoted)]
    return quoted


def _quoted(text: str) -> str:
    quoted = quote(text, safe=" /()[],;@!'", errors="surrogatepass")
    # A header loses the blanks at its ends.
    return re.sub(r"^ +| +$", lambda blanks: "%20" * len(blanks[0]), quoted)
