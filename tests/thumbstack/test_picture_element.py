"""The ready <picture>: what a browser finds in it, and what cannot get into it."""

from html.parser import HTMLParser

import pytest

from thumbstack.options import Options, read_options
from thumbstack.picture_element import Original, picture_element, srcset
from thumbstack.refusal import BadOptions

PHOTO = Original("image/jpeg", 600, 400, 1, "data:image/webp;base64,AAAA", "#cd8852")


def address(options: Options) -> str:
    return f"https://a.example/{options}/p.jpg"


class Tags(HTMLParser):
    """The tags of a piece of HTML with their attributes, unescaped as a browser does."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))


def test_it_has_all_that_a_page_needs() -> None:
    element = picture_element(PHOTO, read_options("300x200/smart"), [150, 300, 150], address, alt="A cup")

    sizes = "(max-width: 300px) 100vw, 300px"
    both = "https://a.example/{}x{}/smart{}/p.jpg {}w"
    assert Tags(element).found == [
        ("picture", {}),
        *(
            (
                "source",
                {
                    "type": f"image/{name}",
                    "srcset": f"{both.format(150, 100, f'/filters:format({name})', 150)}, "
                    f"{both.format(300, 200, f'/filters:format({name})', 300)}",
                    "sizes": sizes,
                },
            )
            for name in ("avif", "webp")
        ),
        (
            "img",
            {
                "src": "https://a.example/300x200/smart/p.jpg",
                "srcset": f"{both.format(150, 100, '', 150)}, {both.format(300, 200, '', 300)}",
                "sizes": sizes,
                "width": "300",
                "height": "200",
                "alt": "A cup",
                "loading": "lazy",
                "decoding": "async",
                "style": "background: #cd8852 url(data:image/webp;base64,AAAA) center / cover no-repeat",
            },
        ),
    ]
    assert element.endswith("></picture>")


def test_without_widths_there_is_one_address_a_format() -> None:
    _, avif, webp, img = Tags(picture_element(PHOTO, read_options("fit-in/300x300"), [], address)).found

    assert avif[1] == {"type": "image/avif", "srcset": "https://a.example/fit-in/300x300/filters:format(avif)/p.jpg"}
    assert webp[1] == {"type": "image/webp", "srcset": "https://a.example/fit-in/300x300/filters:format(webp)/p.jpg"}
    assert (img[1]["width"], img[1]["height"]) == ("300", "200")
    assert not {"srcset", "sizes"} & img[1].keys()


@pytest.mark.parametrize("hostile", ['"><script>alert(1)</script>', "' onload='x", "a&quot;b", "</picture>", "\n\t\0"])
@pytest.mark.parametrize("name", ["alt", "sizes"])
def test_what_the_caller_writes_stays_in_its_attribute(hostile: str, name: str) -> None:
    plain = Tags(picture_element(PHOTO, read_options("300x200"), [300], address, **{name: "x"})).found

    found = Tags(picture_element(PHOTO, read_options("300x200"), [300], address, **{name: hostile})).found

    assert [(tag, attributes.keys()) for tag, attributes in found] == [
        (tag, attributes.keys()) for tag, attributes in plain
    ]
    assert (found[-1][1][name] or "").replace("\ufffd", "\0") == hostile


@pytest.mark.parametrize(
    ("original", "options", "formats"),
    [
        (PHOTO, "300x200", ["image/avif", "image/webp"]),
        (Original("image/png", 300, 200, 1), "300x200", ["image/avif", "image/webp"]),
        # Another format would be one frame.
        (Original("image/gif", 300, 200, 12), "300x200", []),
        (Original("image/gif", 300, 200, 1), "300x200", []),
        (Original("image/webp", 300, 200, 12), "300x200", []),
        # Lines stay sharp.
        (Original("image/svg+xml", 300, 200, 1), "300x200", []),
        # The caller has chosen.
        (PHOTO, "300x200/filters:format(png)", []),
    ],
)
def test_formats_are_offered_where_they_do_no_harm(original: Original, options: str, formats: list[str]) -> None:
    found = Tags(picture_element(original, read_options(options), [], address)).found

    assert [attributes["type"] for tag, attributes in found if tag == "source"] == formats


@pytest.mark.parametrize("kind", ["image/png", "image/webp", "image/gif", "image/avif", "image/tiff"])
def test_nothing_lies_behind_what_may_be_transparent(kind: str) -> None:
    original = Original(kind, 300, 200, 1, "data:image/webp;base64,AAAA", "#cd8852")

    assert "style" not in Tags(picture_element(original, read_options("300x200"), [], address)).found[-1][1]


@pytest.mark.parametrize(
    ("options", "asked", "widths"),
    [
        # 800 would only be enlarged.
        ("300x200", [150, 600, 800], {150: "150x100", 600: "600x400"}),
        ("", [150, 800], {150: "150x0"}),
        # Fitted in, nothing is enlarged: both are 600 wide.
        ("fit-in/400x400", [200, 700, 900], {200: "fit-in/200x0", 600: "fit-in/700x0"}),
        ("10x10:210x110/100x50", [100, 200, 300], {100: "10x10:210x110/100x50", 200: "10x10:210x110/200x100"}),
        # Nobody knows before the pixels were looked at.
        ("trim/300x200", [150, 800], {150: "trim/150x100", 800: "trim/800x533"}),
    ],
)
def test_a_srcset_has_the_widths_that_there_are(options: str, asked: list[int], widths: dict[int, str]) -> None:
    found = PHOTO.widths(read_options(options), asked)

    assert {width: str(variant) for variant, width in found} == widths
    assert srcset(found, address) == ", ".join(f"https://a.example/{text}/p.jpg {w}w" for w, text in widths.items())


def test_a_drawing_has_every_width() -> None:
    drawing = Original("image/svg+xml", 30, 20, 1)

    assert [width for _, width in drawing.widths(read_options("fit-in/400x400"), [200, 1600])] == [200, 1600]


@pytest.mark.parametrize("options", ["4096x0", "full-fit-in/4096x1", "101x0"])
def test_what_its_shape_makes_too_large_is_refused(options: str) -> None:
    tall = Original("image/png", 100, 10_000, 1)

    with pytest.raises(BadOptions):
        picture_element(tall, read_options(options), [], address)
    assert [width for _, width in tall.widths(read_options("50x0"), [30, 90, 4000])] == [30, 90]


def test_a_picture_may_be_shown_as_large_as_it_is() -> None:
    found = Tags(picture_element(Original("image/jpeg", 6000, 4000, 1), read_options(""), [], address)).found

    assert (found[-1][1]["width"], found[-1][1]["height"]) == ("6000", "4000")


def test_what_the_uploader_does_not_know_is_left_out() -> None:
    found = Tags(picture_element(Original("image/jpeg"), read_options("300x0"), [100], address)).found

    assert not {"width", "height", "style"} & found[-1][1].keys()
    assert found[-1][1]["srcset"] == "https://a.example/100x0/p.jpg 100w"
