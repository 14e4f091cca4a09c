"""Drawings: their size, and whatever in them would act or fetch."""

import pytest

from thumbstack.refusal import ActiveContent, NotAPicture, Refused, TooComplex, Undecodable
from thumbstack.svg import svg_size

DOCTYPE = '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">'


def svg(inside: str = "", attributes: str = 'width="40" height="30"', before: str = "") -> bytes:
    """A drawing."""
    return (
        f'{before}<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
        f' xmlns:h="http://www.w3.org/1999/xhtml" xmlns:s="http://www.w3.org/2000/svg" {attributes}>{inside}</svg>'
    ).encode()


@pytest.mark.parametrize(
    ("attributes", "size"),
    [
        ('width="40" height="30"', (40, 30)),
        ('width="40px" height="30.4px"', (40, 30)),
        ('width="1in" height="72pt"', (96, 96)),
        ('width="100%" height="100%" viewBox="0 0 64 32"', (64, 32)),
        ('viewBox="0,0,64,32"', (64, 32)),
        ('width="32" viewBox="0 0 64 32"', (32, 16)),
        ('height="64" viewBox="0 0 64 32"', (128, 64)),
        ("", (300, 150)),
        ('width="0" height="0"', (1, 1)),
        ('width="1e99" height="1"', (10**9, 1)),
        ('viewBox="0 0 0 0"', (300, 150)),
        ('viewBox="0 0 1e999 1"', (10**9, 1)),
    ],
)
def test_the_size_is_the_one_that_a_browser_takes(attributes: str, size: tuple[int, int]) -> None:
    assert svg_size(svg(attributes=attributes)) == size


@pytest.mark.parametrize(
    "body",
    [
        svg('<use xlink:href="#a"/><use href="#b"/>'),
        svg('<image href="data:image/png;base64,iVBORw0KGgo="/>'),
        svg('<a href="https://example.org/"><text>a link</text></a>'),
        svg('<rect fill="url(#a)" style="filter:url(\'#b\'); clip-path: url( #c )" transform="translate(1, 2)"/>'),
        svg("<style>@media print { a { fill: url(#x) } } @font-face{src:url(data:font/woff2;base64,AA==)}</style>"),
        svg("<metadata><x:y xmlns:x='urn:x' x:onto='1'>text</x:y></metadata>".replace("x:onto", "x:a")),
        svg('<animate attributeName="x" from="0" to="9"/><set attributeName="fill" to="red"/>'),
        svg(before='<?xml version="1.0" encoding="UTF-8" standalone="no"?><!-- made -->' + DOCTYPE),
        svg().decode().encode("utf-16"),
        b"\xef\xbb\xbf" + svg(),
    ],
)
def test_what_drawing_programs_write_is_taken(body: bytes) -> None:
    assert svg_size(body) == (40, 30)


@pytest.mark.parametrize(
    "inside",
    [
        "<script>alert(1)</script>",
        "<s:script>alert(1)</s:script>",
        "<h:script>alert(1)</h:script>",
        "<metadata><h:img src='x'/></metadata>",
        "<foreignObject><h:body/></foreignObject>",
        "<iframe/>",
        "<handler/>",
        "<unheardOf/>",
        '<rect onclick="alert(1)"/>',
        '<rect ONCLICK="alert(1)"/>',
        '<rect s:onload="alert(1)"/>',
        '<a href="javascript:alert(1)"><text/></a>',
        '<a xlink:href=" java&#10;script:alert(1)"><text/></a>',
        '<a href="data:text/html,x"><text/></a>',
        '<a href="//example.org"><text/></a>',
        '<image href="https://example.org/a.png"/>',
        '<image href="a.png"/>',
        '<image href="data:image/svg+xml,x"/>',
        '<use href="https://example.org/a.svg#a"/>',
        '<feImage href="file:///etc/passwd"/>',
        '<g xml:base="https://example.org/"/>',
        '<animate attributeName="href" to="x"/>',
        '<set attributeName="xlink:href" to="x"/>',
        '<set attributeName="onclick" to="x"/>',
        '<animate attributeName="x" values="a;javascript:alert(1)"/>',
        '<rect fill="url(https://example.org/a)"/>',
        '<rect fill="u\\72l(https://example.org/a)"/>',
        '<rect style="background:url( //example.org/a )"/>',
        "<style>@import 'https://example.org/a.css';</style>",
        "<style>@\\69mport 'https://example.org/a.css';</style>",
        "<style>@media all { a { b: image-set('https://example.org/a' 1x) } }</style>",
        "<style>a { b: URL(https://example.org/a) }</style>",
        "<style>a { -moz-binding: url(#a) }</style>",
        "<style>a { b: expression(alert(1)) }</style>",
        "<style><![CDATA[a { b: url(https://example.org/a) }]]></style>",
        "<style>a{b:ur<!-- -->l(https://example.org/a)}</style>",
        "<defs><svg><script/></svg></defs>",
    ],
)
def test_what_acts_or_fetches_is_refused(inside: str) -> None:
    with pytest.raises(ActiveContent):
        svg_size(svg(inside))


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        pytest.param(svg(before='<?xml-stylesheet href="a.css"?>'), ActiveContent, id="style sheet"),
        pytest.param(svg("&a;", before="<!DOCTYPE svg [<!ENTITY a 'b'>]>"), ActiveContent, id="entity"),
        pytest.param(svg(before="<!DOCTYPE svg [<!ENTITY % a SYSTEM 'file:///x'> %a;]>"), ActiveContent, id="external"),
        pytest.param(b"<a/>", NotAPicture, id="other xml"),
        pytest.param(b'<svg xmlns="urn:other"/>', NotAPicture, id="other namespace"),
        pytest.param(svg()[:-3], Undecodable, id="cut off"),
        pytest.param(svg() + b"<html/>", Undecodable, id="something behind"),
        pytest.param(svg("<g>"), Undecodable, id="not closed"),
        pytest.param(b'<?xml version="1.0" encoding="none"?>' + svg(), Undecodable, id="unknown encoding"),
        pytest.param(svg("<g>" * 300 + "</g>" * 300), TooComplex, id="deep"),
        pytest.param(svg("<g/>" * 200_001), TooComplex, id="many elements"),
        pytest.param(svg('<g id="a"><use href="#a"/></g>'), TooComplex, id="draws itself"),
        pytest.param(
            svg("".join(f'<g id="a{n}">' + f'<use href="#a{n - 1}"/>' * 10 + "</g>" for n in range(1, 20))),
            TooComplex,
            id="billion laughs by use",
        ),
        pytest.param(svg("<style>@" + "(" * 300_000 + "</style>"), TooComplex, id="styles"),
    ],
)
def test_what_is_no_whole_drawing_is_refused(body: bytes, refusal: type[Refused]) -> None:
    with pytest.raises(Refused) as refused:
        svg_size(body)

    assert type(refused.value) is refusal


def test_a_style_that_a_comment_splits_is_one_text() -> None:
    assert svg_size(svg("<style>a{b:c}<!-- -->d{e:f}</style>")) == (40, 30)
