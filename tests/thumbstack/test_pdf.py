"""PDFs: whole, and without anything that acts."""

import zlib

import pytest

from thumbstack.pdf import check_pdf
from thumbstack.refusal import ActiveContent, Refused, TooComplex, Undecodable


def pdf(objects: bytes = b"", end: bytes = b"") -> bytes:
    """A document with these objects."""
    body = b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\n" + objects
    return body + b"xref\n0 1\ntrailer<</Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % len(body) + end


def packed(objects: bytes) -> bytes:
    """Objects in an object stream."""
    stream = zlib.compress(objects)
    return b"2 0 obj<</Type/ObjStm/N 1/First 4/Filter/FlateDecode>>stream\n" + stream + b"\nendstream endobj\n"


@pytest.mark.parametrize(
    "body",
    [
        pdf(),
        pdf(end=b"\n\n"),
        pdf(packed(b"2 0 <</Type/Page>>")),
        pdf(b"2 0 obj<</S/URI/URI(https://example.org/)>>endobj\n"),
        pdf() + pdf()[9:].replace(b"startxref\n40", b"startxref\n40"),
    ],
)
def test_a_document_is_taken(body: bytes) -> None:
    assert body[check_pdf(body) :].strip() == b""


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        pytest.param(pdf()[:-10], Undecodable, id="cut off"),
        pytest.param(pdf().replace(b"startxref\n40", b"startxref\n17"), Undecodable, id="table elsewhere"),
        pytest.param(pdf(b"2 0 obj<</S/JavaScript/JS(app.alert(1))>>endobj\n"), ActiveContent, id="script"),
        pytest.param(pdf(b"2 0 obj<</S/Java#53cript/JS(app.alert(1))>>endobj\n"), ActiveContent, id="escaped"),
        pytest.param(pdf(packed(b"2 0 <</S/JavaScript/JS(app.alert(1))>>")), ActiveContent, id="packed"),
        pytest.param(pdf(b"2 0 obj<</S/Launch/F(calc.exe)>>endobj\n"), ActiveContent, id="program"),
        pytest.param(pdf(b"2 0 obj<</XFA[(a)3 0 R]>>endobj\n"), ActiveContent, id="form"),
        pytest.param(pdf(b"2 0 obj<</Encrypt 3 0 R>>endobj\n"), ActiveContent, id="encrypted"),
        pytest.param(pdf(packed(bytes(20_000_000))), TooComplex, id="bomb"),
    ],
)
def test_what_is_not_whole_or_acts_is_refused(body: bytes, refusal: type[Refused]) -> None:
    with pytest.raises(Refused) as refused:
        check_pdf(body)

    assert type(refused.value) is refusal
