"""What an SVG's references and styles reach for.

The styles go through tinycss2: CSS has escapes that no pattern sees through.
"""

import re
from typing import Any

import tinycss2

from thumbstack.refusal import ActiveContent, TooComplex

_LINK = re.compile(r"(?:https?|mailto):", re.IGNORECASE)
_INLINE = re.compile(
    r"data:(?:image/(?:png|jpe?g|gif|webp|avif)|font/[\w-]+|application/(?:x-)?font-[\w-]+)[;,]", re.IGNORECASE
)
_BLANKS = re.compile(r"[\x00-\x20]+")
_URL_FUNCTIONS = frozenset(("url", "src", "image", "image-set", "-webkit-image-set", "cross-fade", "element"))
# Most styles hold none of these, and need no parser; a backslash may hide any of them.
_SUSPECT = re.compile(r"\\|@|url|src|image|element|expression|cross-fade|binding|behavior", re.IGNORECASE)
_LOCAL_URL = re.compile(r"url\(\s*[\"']?#[\w.:-]+[\"']?\s*\)", re.IGNORECASE)


def without_blanks(text: str) -> str:
    """The text as a browser reads a scheme in it: without blanks and control characters."""
    return _BLANKS.sub("", text)


def refuse_reference(element: str, value: str) -> None:
    """Raise ActiveContent where following the reference would fetch or run something."""
    # Browsers drop blanks and control characters before they read a scheme.
    reference = without_blanks(value)
    if not reference or reference.startswith("#") or _INLINE.match(reference):
        return
    # A link fetches nothing until somebody follows it.
    if element == "a" and (_LINK.match(reference) or (":" not in reference and not reference.startswith("//"))):
        return
    raise ActiveContent("The SVG refers to something outside of the file: put it inside, or remove the reference.")


def refuse_style(text: str, max_parsed: int) -> int:
    """Raise ActiveContent where a style, or an attribute that may hold one, fetches or runs something.

    Returns how many characters it had to parse. Raises TooComplex instead of parsing more than `max_parsed`: the
    parser is slow.
    """
    if not _SUSPECT.search(_LOCAL_URL.sub(" ", text)):
        return 0
    if len(text) > max_parsed:
        raise TooComplex("The SVG has too many styles with references in them: simplify it.")
    stack: list[Any] = list(tinycss2.parse_component_value_list(text, skip_comments=True))
    while stack:
        token = stack.pop()
        if token.type == "at-keyword" and token.lower_value == "import":
            raise ActiveContent("The SVG imports a style sheet from elsewhere: put its styles into the file.")
        if token.type == "ident" and token.lower_value in ("-moz-binding", "behavior"):
            raise ActiveContent("The SVG's styles bind a script: remove it.")
        if token.type == "url":
            refuse_reference("style", token.value)
        if token.type == "function":
            if token.lower_name == "expression":
                raise ActiveContent("The SVG's styles hold a script: remove it.")
            if token.lower_name in _URL_FUNCTIONS:
                for argument in token.arguments:
                    if argument.type == "string":
                        refuse_reference("style", argument.value)
        stack += getattr(token, "content", None) or getattr(token, "arguments", None) or ()
    return len(text)
