"""SVG: a drawing's size, and a refusal where it is a program or fetches from elsewhere.

Nothing is cleaned: what would be taken out is what its maker must know of. The parser is the standard library's expat
without entities or external anything; it keeps no tree, so memory is the file's.
"""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from xml.parsers import expat

from thumbstack.refusal import ActiveContent, NotAPicture, Refused, TooComplex, Undecodable
from thumbstack.svg_elements import ELEMENTS
from thumbstack.svg_style import refuse_reference, refuse_style, without_blanks

_SVG = "http://www.w3.org/2000/svg"
_XHTML = "http://www.w3.org/1999/xhtml"
_ANIMATIONS = frozenset(("animate", "animateColor", "animateMotion", "animateTransform", "set"))
_LENGTH = re.compile(r"\s*\+?(\d*\.?\d+(?:e[+-]?\d+)?)\s*(px|pt|pc|mm|cm|in|em|ex)?\s*", re.IGNORECASE)
# CSS pixels; an em is the usual 16.
_UNITS = {"": 1, "px": 1, "pt": 4 / 3, "pc": 16, "mm": 96 / 25.4, "cm": 96 / 2.54, "in": 96, "em": 16, "ex": 8}
_MAX_DEPTH, _MAX_ELEMENTS, _MAX_USES, _MAX_DRAWN, _MAX_PARSED_STYLE = 200, 200_000, 10_000, 100_000, 200_000
# Without a size of its own a drawing gets CSS's for replaced elements.
_DEFAULT_SIZE = (300.0, 150.0)


def svg_size(data: bytes) -> tuple[int, int]:
    """Width and height in pixels of a drawing that does nothing but be seen. Raises one of refusal.py otherwise."""
    parser = expat.ParserCreate(namespace_separator=" ")
    drawing = _Drawing(parser)
    parser.StartElementHandler = drawing.start
    parser.EndElementHandler = drawing.end
    parser.CharacterDataHandler = drawing.text
    parser.ProcessingInstructionHandler = drawing.instruction
    parser.EntityDeclHandler = drawing.entity
    parser.buffer_text = True
    try:
        parser.Parse(data, True)
    except Refused:
        raise
    except (expat.ExpatError, ValueError, LookupError):
        # LookupError: an encoding that Python does not know.
        raise Undecodable("The SVG is cut off or is not well-formed XML: save it again.") from None
    drawing.refuse_multiplied_uses()
    return drawing.size()


@dataclass
class _Drawing:
    """What the parser tells, element by element."""

    parser: expat.XMLParserType
    path: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    elements: int = 0
    uses: int = 0
    parsed_style: int = 0
    css: list[str] = field(default_factory=list)
    root: dict[str, str] = field(default_factory=dict)
    # What is drawn again inside of each element with an id, by <use>.
    drawn: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def start(self, name: str, attributes: dict[str, str]) -> None:
        namespace, _, local = name.rpartition(" ")
        if not self.path:
            if local != "svg" or namespace not in (_SVG, ""):
                raise NotAPicture("The file is XML, but not an SVG drawing: send one.")
            self.root = attributes
        self.elements += 1
        self.path.append(local)
        if len(self.path) > _MAX_DEPTH or self.elements > _MAX_ELEMENTS:
            raise TooComplex("The SVG is nested too deeply or has too many elements: simplify it.")
        if namespace == _XHTML or (namespace in (_SVG, "") and local not in ELEMENTS):
            raise ActiveContent(f"The SVG has an element <{_told(local)}>, which a drawing does not need: remove it.")
        self.ids.append(attributes.get("id", ""))
        if local == "use":
            self._note_use(attributes)
        for attribute, value in attributes.items():
            self._check(local, attribute.rpartition(" ")[2].lower(), value)

    def end(self, _name: str) -> None:
        self.ids.pop()
        if self.path.pop() == "style":
            self._check_style("".join(self.css))
            self.css.clear()

    def text(self, text: str) -> None:
        if self.path[-1] == "style":
            self.css.append(text)

    def instruction(self, target: str, _data: str) -> None:
        if target.lower() in ("xml-stylesheet", "php"):
            raise ActiveContent("The SVG asks for a style sheet from elsewhere: put its styles into the file.")

    def entity(self, *_declaration: object) -> None:
        raise ActiveContent("The SVG declares entities: save it as plain SVG, without a DTD of its own.")

    def refuse_multiplied_uses(self) -> None:
        """Raise TooComplex where uses of uses draw very much, or themselves: a few lines would fill any memory."""
        times: dict[str, int] = {}
        try:
            for identity in TopologicalSorter(self.drawn).static_order():
                # Bounded, or the numbers themselves would grow without end.
                drawn = sum(times[target] for target in self.drawn.get(identity, ()))
                times[identity] = 1 + min(drawn, _MAX_DRAWN)
        except CycleError:
            raise TooComplex("The SVG draws a part inside of itself: remove that <use>.") from None
        if max(times.values(), default=0) > _MAX_DRAWN:
            raise TooComplex("The SVG draws its parts too many times over: simplify it.")

    def size(self) -> tuple[int, int]:
        """The root's width and height; where one is missing, the view box and its shape; else CSS's default."""
        width, height = _length(self.root.get("width")), _length(self.root.get("height"))
        box = [float(n) for n in re.findall(r"[+-]?\d*\.?\d+(?:e[+-]?\d+)?", self.root.get("viewBox", ""), re.I)[:4]]
        box_width, box_height = (box[2], box[3]) if len(box) == 4 and min(box[2:]) > 0 else (None, None)
        if box_width and box_height:
            if width is None and height is None:
                width, height = box_width, box_height
            width = width if width is not None else (height or 0) * box_width / box_height
            height = height if height is not None else width * box_height / box_width
        # 1e9 is more than any limit, and still a number.
        return tuple(  # type: ignore[return-value]
            round(min(1e9, max(1.0, side if side is not None else default)))
            for side, default in zip((width, height), _DEFAULT_SIZE, strict=True)
        )

    def _check(self, element: str, attribute: str, value: str) -> None:
        if attribute.startswith("on"):
            raise ActiveContent(f"The SVG has an event handler, {_told(attribute)}: remove it.")
        if attribute == "base":
            raise ActiveContent("The SVG says where its references begin (xml:base): remove it.")
        if attribute in ("href", "src", "from", "to", "values", "by"):
            if attribute in ("href", "src"):
                refuse_reference(element, value)
            elif "script:" in without_blanks(value).lower():
                raise ActiveContent("The SVG has a script in an animation: remove it.")
        if element in _ANIMATIONS and attribute == "attributename" and re.search(r"href|^on", value.strip(), re.I):
            raise ActiveContent("The SVG changes a reference by an animation: remove it.")
        self._check_style(value)

    def _check_style(self, text: str) -> None:
        self.parsed_style += refuse_style(text, _MAX_PARSED_STYLE - self.parsed_style)

    def _note_use(self, attributes: dict[str, str]) -> None:
        self.uses += 1
        if self.uses > _MAX_USES:
            raise TooComplex(f"The SVG has more than {_MAX_USES} <use> elements: simplify it.")
        for attribute, value in attributes.items():
            if attribute.rpartition(" ")[2] == "href":
                for identity in {*self.ids, ""}:
                    self.drawn[identity].append(value.strip().removeprefix("#"))


def _length(text: str | None) -> float | None:
    found = _LENGTH.fullmatch(text or "")
    return float(found[1]) * _UNITS[(found[2] or "").lower()] if found else None


def _told(name: str) -> str:
    """A name from the file, fit for a sentence."""
    return re.sub(r"[^\w-]", "", name)[:40]
