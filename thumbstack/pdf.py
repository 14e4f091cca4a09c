"""PDF: whole, and nothing in it that runs. It is kept and given back, never rendered.

Not with a PDF library: qpdf and pypdf unpack object streams as large as they come, and a document of kilobytes can
then take gigabytes. Names are read with their #xx escapes resolved; object streams are unpacked to a bound. What hides
deeper (in a stream of a rare filter) is left to the viewer's own sandbox.
"""

import re
import zlib

from thumbstack.refusal import ActiveContent, TooComplex, Undecodable

# Actions that run, and forms that are programs. Only long names: by chance a short one is in any compressed picture.
# Not here: links, which fetch nothing until followed, and attachments, which electronic invoices consist of.
_ACTIVE = re.compile(rb"/(JavaScript|Launch|RichMedia|ImportData)(?![\w#.-])|/(XFA)\s*(?:\[|\d+\s+\d+\s+R)")
_ESCAPE = re.compile(rb"#([0-9A-Fa-f]{2})")
_STREAM = re.compile(rb"stream\r?\n")
_START = re.compile(rb"startxref\s+(\d{1,12})\s+%%EOF")
_TABLE = re.compile(rb"\s*(?:xref\b|\d+\s+\d+\s+obj\b)")
# A megabyte of objects is a document of thousands of pages.
_MAX_UNPACKED = 16 * 1024 * 1024
_MAX_STREAMS = 2000
_PADDING = b"\x00\t\n\r\x0c "


def check_pdf(data: bytes) -> int:
    """Where the document ends. Raises Undecodable where it is not whole, ActiveContent where something in it acts."""
    marks = list(_START.finditer(data, max(0, len(data) - 65_536)))
    if not marks:
        raise Undecodable("The PDF is cut off: its end is missing. Send it again.")
    # Some writers put bytes before the header and count from there; the table is then a little further on.
    table = int(marks[-1][1])
    head = data.find(b"%PDF-")
    if not (_TABLE.match(data, table) or _TABLE.match(data, table + head)):
        raise Undecodable("The PDF is damaged: its table of contents is not where it should be. Save it again.")
    if re.search(rb"/Encrypt\b", data):
        raise ActiveContent("The PDF is encrypted, so nobody can see what it does: send it without a password.")
    _refuse_active(data)
    _refuse_active_objects(data)
    return marks[-1].end()


def _refuse_active(text: bytes) -> None:
    if b"#" in text:
        text = _ESCAPE.sub(lambda escape: bytes((int(escape[1], 16),)), text)
    found = _ACTIVE.search(text)
    if found:
        raise ActiveContent(
            f"The PDF has something that acts (/{(found[1] or found[2]).decode()}): save it as a plain document."
        )


def _refuse_active_objects(data: bytes) -> None:
    left = _MAX_UNPACKED
    for number, mark in enumerate(re.finditer(rb"/ObjStm\b", data)):
        stream = _STREAM.search(data, mark.end(), mark.end() + 1000)
        if stream is None:
            continue
        last = data.find(b"endstream", stream.end())
        try:
            objects = zlib.decompressobj().decompress(data[stream.end() : last], left)
        except zlib.error:
            continue  # of another filter, or damaged: a viewer shows nothing of it either
        left -= len(objects)
        if left <= 0 or number >= _MAX_STREAMS:
            raise TooComplex("The PDF unpacks to very much: save it again, simpler.")
        _refuse_active(objects)
