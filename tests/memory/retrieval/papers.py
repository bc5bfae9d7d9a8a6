"""PDF files, made by hand."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

__all__ = ["endless", "pdf"]


def pdf(pages: Sequence[Sequence[str]], title: str = "") -> bytes:
    """A PDF whose pages have these lines."""
    streams: list[bytes] = []
    for lines in pages:
        shown = "".join(f"({line}) Tj 0 -14 Td " for line in lines)
        streams.append(f"BT /F1 12 Tf 72 720 Td {shown}ET".encode("latin-1"))
    return _file(streams, title)


def endless() -> bytes:
    """A small PDF whose page takes minutes: millions of texts, well compressed."""
    return _file([b"BT /F1 12 Tf " + b"(a) Tj 0 -1 Td " * 4_000_000 + b"ET"], "")


def _file(streams: Sequence[bytes], title: str) -> bytes:
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(streams)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {len(streams)} /Kids [{kids}] >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, stream in enumerate(streams):
        packed = zlib.compress(stream)
        page = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {5 + 2 * number} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        )
        head = f"<< /Length {len(packed)} /Filter /FlateDecode >>\nstream\n".encode()
        objects += [page.encode(), head + packed + b"\nendstream"]
    objects.append(f"<< /Title ({title}) >>".encode())
    return _joined(objects)


def _joined(objects: Sequence[bytes]) -> bytes:
    body, places = b"%PDF-1.4\n", list[int]()
    for number, each in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    trailer = b"trailer << /Size %d /Root 1 0 R /Info %d 0 R >>" % (size, len(objects))
    return body + b"xref\n0 %d\n0000000000 65535 f \n%s%s\nstartxref\n%d\n%%%%EOF" % (size, table, trailer, len(body))
