"""How large a variant comes out, told from the size of its original: Thumbor's arithmetic (``thumbor/transformer.py``).

tests/thumbor/test_rendered_size.py compares it with what the real one renders.
"""

import re

from thumbstack.options import Options

Size = tuple[int, int]

# Larger than its own size a drawing is drawn up to this (thumbor/drawing_child.py).
_MAX_DRAWN_PIXELS = 16_000_000


def rendered_size(options: Options, original: Size, *, drawn: bool = False, filtered: bool = True) -> Size | None:
    """Width and height of a variant of an original that is seen in this size; None where its pixels decide (trim).

    A drawing is drawn in the size that is asked, so it is enlarged where a photograph is not. On an animation that
    stays one Thumbor runs none of the filters that come after resizing: it is not `filtered`.
    """
    if options.trim:
        return None
    asked = options.width, options.height
    source = _drawn(options, original) if drawn and not options.crop else original
    filters = [*options.filters]
    if any(name == "no_upscale" for name, _ in filters):
        asked = min(asked[0], source[0]), min(asked[1], source[1])
    source = _cropped(options.crop, source)
    if options.fit:
        size, asked = _fitted(options.fit, source, asked)
    else:
        size = _target(source, asked)
    size = max(1, size[0]), max(1, size[1])
    for name, arguments in filters if filtered else ():
        if name == "upscale":
            size = _upscaled(size, asked)
        elif name == "fill" and re.match(r"\w", arguments):
            size = asked[0] or size[0], asked[1] or size[1]
        elif name == "rotate" and re.fullmatch(r"-?\d+", arguments) and int(arguments) % 180 == 90:
            size = size[::-1]
    return max(1, size[0]), max(1, size[1])


def _drawn(options: Options, own: Size) -> Size:
    scales = [asked / side for asked, side in zip((options.width, options.height), own, strict=True) if asked]
    scale = (min(scales) if options.fit else max(scales)) if scales else 1
    most = max(1.0, (_MAX_DRAWN_PIXELS / (own[0] * own[1])) ** 0.5)
    width = max(1, int(own[0] * min(scale, most)))
    return width, max(1, round(own[1] * width / own[0]))


def _cropped(crop: str, source: Size) -> Size:
    if not crop:
        return source
    left, top, right, bottom = (
        min(int(number), source[place % 2]) for place, number in enumerate(re.findall(r"\d+", crop))
    )
    return (right - left, bottom - top) if left < right and top < bottom else source


def _target(source: Size, asked: Size) -> Size:
    """What is asked, a side of 0 in proportion."""
    width, height = source
    if not any(asked):
        return source
    return asked[0] or round(asked[1] * width / height), asked[1] or round(asked[0] * height / width)


def _fitted(fit: str, source: Size, asked: Size) -> tuple[Size, Size]:
    """The size, and what filters take for asked from then on."""
    (width, height), target = source, _target(source, asked)
    if "adaptive" in fit and (width - height) * (target[0] - target[1]) < 0:
        asked, target = asked[::-1], target[::-1]
    full = "full" in fit
    if not full and target[0] >= width and target[1] >= height:
        return source, asked
    ratios = width / (target[0] or 1), height / (target[1] or 1)
    # Thumbor rounds halves up here.
    if (ratios[0] <= ratios[1]) if full else (ratios[0] >= ratios[1]):
        size = target[0], round(height * target[0] / width + 1e-5)
    else:
        size = round(width * target[1] / height + 1e-5), target[1]
    return size, (max(asked[0], size[0]), max(asked[1], size[1]))


def _upscaled(source: Size, asked: Size) -> Size:
    (width, height), (most_width, most_height) = source, asked
    if width >= most_width or height >= most_height:
        return source
    if width / most_width >= height / most_height:
        return most_width, int(height * most_width / width)
    return int(width * most_height / height), most_height
