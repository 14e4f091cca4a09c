"""A ready ``<picture>``: AVIF, WebP and the original's family, in the widths that the picture has."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any, Self

from thumbstack.options import MAX_SIDE, Options
from thumbstack.picture_type import GIF, HEIC, JPEG, SVG
from thumbstack.refusal import BadOptions
from thumbstack.rendered_size import Size, rendered_size
from thumbstack.result_key import format_asked, makes_a_still

_FORMATS = ("avif", "webp")
# Behind the others something could be seen through them, also when they are there.
_OPAQUE = frozenset(kind.content_type for kind in (JPEG, HEIC, SVG))

Address = Callable[[Options], str]


@dataclass(frozen=True)
class Original:
    """What is known of the picture; width and height as it is seen, None where it has none."""

    content_type: str
    width: int | None = None
    height: int | None = None
    frames: int | None = None
    placeholder: str | None = None
    color: str | None = None

    @classmethod
    def told(cls, facts: Mapping[str, Any]) -> Self:
        """What ``GET /pictures/<key>`` told."""
        known = (facts.get(name) for name in ("width", "height", "frames", "placeholder", "dominant_color"))
        return cls(facts["content_type"], *known)

    def size(self, options: Options) -> Size | None:
        """How large a variant comes out, None where nobody knows; refused where its own shape makes it too large."""
        size = self._rendered(options)
        # As large as it is, it may be shown.
        if size and max(size) > MAX_SIDE and (size[0] > (self.width or 0) or size[1] > (self.height or 0)):
            raise BadOptions(f"No side may be longer than {MAX_SIDE} pixels: of this picture's shape one would be.")
        return size

    def widths(self, options: Options, asked: Sequence[int]) -> list[tuple[Options, int]]:
        """A variant in several widths, and how wide each really is; what would only be enlarged is left out."""
        whole = self._rendered(replace(options, fit="", width=0, height=0, sized=False, after=""))
        found: dict[int, Options] = {}
        for width in sorted({*asked}):
            variant = options.of_width(width)
            size = self._rendered(variant)
            if whole is None or size is None or size[0] <= whole[0] or self.content_type == SVG.content_type:
                found.setdefault(size[0] if size else width, variant)
        return [(variant, width) for width, variant in found.items()]

    def formats(self, options: Options) -> Sequence[str]:
        """The formats that a browser may choose from beside the original's family.

        None where one is asked already; of an animation, which would stand still; of a drawing, which stays sharp.
        """
        still = self.content_type not in (GIF.content_type, SVG.content_type) and (self.frames or 1) == 1
        return _FORMATS if still and not format_asked(str(options)) else ()

    def _rendered(self, options: Options) -> Size | None:
        if not self.width or not self.height:
            return None
        filtered = self.content_type != GIF.content_type or makes_a_still(str(options))
        drawn = self.content_type == SVG.content_type
        return rendered_size(options, (self.width, self.height), drawn=drawn, filtered=filtered)


def srcset(variants: Sequence[tuple[Options, int]], address: Address) -> str:
    """Addresses and widths as an ``<img>`` wants them."""
    return ", ".join(f"{address(variant)} {width}w" for variant, width in variants)


def picture_element(
    original: Original, options: Options, widths: Sequence[int], address: Address, *, alt: str = "", sizes: str = ""
) -> str:
    """The element, with whatever is not ours escaped; `address` makes the URL of a variant.

    `sizes` says how wide the page shows it; without, as wide as the window, and no wider than the variant.
    """
    size = original.size(options)
    variants = original.widths(options, widths)
    shown = {"sizes": sizes or _as_wide_as_possible(size)} if variants else {}
    sources = [
        _tag(
            "source",
            type=f"image/{name}",
            srcset=srcset([(variant.of_format(name), width) for variant, width in variants], address)
            or address(options.of_format(name)),
            **shown,
        )
        for name in original.formats(options)
    ]
    image = {"src": address(options), **({"srcset": srcset(variants, address)} if variants else {}), **shown}
    if size:
        # The browser keeps the place free.
        image |= {"width": str(size[0]), "height": str(size[1])}
    image |= {"alt": alt, "loading": "lazy", "decoding": "async"}
    if original.placeholder and original.content_type in _OPAQUE:
        image["style"] = f"background: {original.color or ''} url({original.placeholder}) center / cover no-repeat"
    return f"<picture>{''.join(sources)}{_tag('img', **image)}</picture>"


def _as_wide_as_possible(size: Size | None) -> str:
    return f"(max-width: {size[0]}px) 100vw, {size[0]}px" if size else "100vw"


def _tag(name: str, **attributes: str) -> str:
    written = "".join(f' {attribute}="{escape(value)}"' for attribute, value in attributes.items())
    return f"<{name}{written}>"
