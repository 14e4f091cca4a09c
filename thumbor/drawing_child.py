"""Draws one SVG in a process of its own: `python drawing_child.py <width> <height> <fit in>`.

The SVG is on its stdin, a PNG on its stdout. Only drawing.py starts it.
"""

import resource
import sys

_MAX_MEMORY, _MAX_CPU_SECONDS = 2 << 30, 5
# Text in a font that is not there would be left out. Debian: fonts-dejavu-core.
_FONT = "DejaVu Sans"
# Larger than its own size it is drawn up to this.
_MAX_PIXELS = 16_000_000


def main(width: int, height: int, fit_in: bool) -> None:
    """Answer for the drawing on stdin."""
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY, _MAX_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_MAX_CPU_SECONDS, _MAX_CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import resvg_py  # after the limits, so that they hold for all that it does

    from thumbstack.svg import svg_size

    svg = sys.stdin.buffer.read()
    # Raises where it would do more than be seen: the uploader has looked, but others may have written to the bucket.
    own_width, own_height = svg_size(svg)
    scales = [asked / own for asked, own in ((width, own_width), (height, own_height)) if asked]
    scale = (min(scales) if fit_in else max(scales)) if scales else 1
    most = max(1, (_MAX_PIXELS / (own_width * own_height)) ** 0.5)
    side = max(1, int(own_width * min(scale, most)))
    text = svg.decode("utf-16" if svg[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    png = resvg_py.svg_to_bytes(
        svg_string=text, width=side, dpi=96, background="#ffffff", serif_family=_FONT, sans_serif_family=_FONT
    )
    sys.stdout.buffer.write(png)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "1")
