"""What is kept with a picture in S3: ASCII text, 2 KiB of it in all."""

from urllib.parse import quote

# What a client may write gets most of it.
_MAX_TEXT_BYTES = 600


def ascii_text(text: str) -> str:
    """Text of a client in ASCII, cut where it is too long, never within a character; `unquote` reads it back."""
    while len(quoted := quote(text, safe=" /()[],;@!'", errors="surrogatepass")) > _MAX_TEXT_BYTES:
        text = text[: len(text) * _MAX_TEXT_BYTES // len(quoted)]
    return quoted
