"""Invoices and credit memos as real PDF documents, written in the order's locale.

Latin texts use Helvetica, which every PDF reader has. Polish, Czech and Romanian letters are reached through
encodings of their own on it; Chinese, Japanese and Korean through the Asian fonts that readers bring.
Nothing is embedded, so the sandbox needs no font files.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from io import BytesIO
from unicodedata import normalize

from reportlab.lib.pagesizes import A4
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase._fontdata import widthsByFontGlyph
from reportlab.pdfbase._glyphlist import _glyphname2unicode
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

from sandbox.commerce.invoice_locales import Manner, manner_of

_LEFT, _RIGHT, _TOP, _STEP = 60, A4[0] - 60, A4[1] - 80, 20
_ASIAN = {
    "ja_JP": "HeiseiKakuGo-W5",
    "ko_KR": "HYGothic-Medium",
    "zh_CN": "STSong-Light",
    "zh_TW": "MSung-Light",
}
_CODECS = ("cp1252", "cp1250", "iso8859_16")
_EVEN_SPACES = str.maketrans({"\u00a0": " ", "\u202f": " "})


@dataclass(frozen=True)
class Row:
    name: str
    quantity: int
    amount: Decimal


@dataclass(frozen=True)
class Paper:
    """What is printed. `kind` is `invoice` or `credit_memo`; amounts are in major units of `currency`."""

    kind: str
    number: str
    order_id: str
    issued: datetime
    seller: str
    buyer: Sequence[str]
    rows: Sequence[Row]
    subtotal: Decimal
    tax: Decimal
    total: Decimal
    currency: str
    locale: str
    notes: Sequence[str] = ()


def render(paper: Paper) -> bytes:
    """The document's bytes."""
    _register_fonts()
    manner = manner_of(paper.locale)
    buffer = BytesIO()
    sheet = _Sheet(Canvas(buffer, pagesize=A4, pageCompression=0, invariant=1), manner.locale)
    sheet.canvas.setTitle(f"{manner.label(paper.kind)} {paper.order_id}")
    sheet.write(_LEFT, manner.label(paper.kind), size=20)
    sheet.down(2)
    for text in _heading(paper, manner):
        sheet.write(_LEFT, text)
        sheet.down()
    sheet.down()
    _write_table(sheet, paper, manner)
    for note in paper.notes:
        sheet.write(_LEFT, note)
        sheet.down()
    sheet.canvas.save()
    return buffer.getvalue()


def _heading(paper: Paper, manner: Manner) -> list[str]:
    return [
        paper.seller,
        f"{manner.label(paper.kind)}: {paper.number}",
        f"{manner.label('order')}: {paper.order_id}",
        f"{manner.label('date')}: {manner.date(paper.issued)}",
        *paper.buyer,
    ]


def _write_table(sheet: "_Sheet", paper: Paper, manner: Manner) -> None:
    sheet.row(manner.label("item"), manner.label("quantity"), manner.label("amount"))
    for row in paper.rows:
        sheet.row(row.name, manner.number(Decimal(row.quantity), 0), manner.money(row.amount, paper.currency))
    sheet.down()
    for name, amount in (("subtotal", paper.subtotal), ("tax", paper.tax), ("total", paper.total)):
        sheet.row(manner.label(name), "", manner.money(amount, paper.currency))
    sheet.down()


class _Sheet:
    """A page being written from top to bottom; a full page is followed by the next."""

    def __init__(self, canvas: Canvas, locale: str) -> None:
        self.canvas = canvas
        self._locale = locale
        self._y = _TOP

    def down(self, steps: int = 1) -> None:
        self._y -= steps * _STEP
        if self._y < _STEP * 2:
            self.canvas.showPage()
            self._y = _TOP

    def row(self, name: str, quantity: str, amount: str) -> None:
        self.write(_LEFT, name)
        self.write(_RIGHT - 150, quantity, right=True)
        self.write(_RIGHT, amount, right=True)
        self.down()

    def write(self, x: float, text: str, *, size: int = 11, right: bool = False) -> None:
        text = text.translate(_EVEN_SPACES)
        font = _font_for(text, self._locale)
        self.canvas.setFont(font, size)
        draw = self.canvas.drawRightString if right else self.canvas.drawString
        draw(x, self._y, text)


def _font_for(text: str, locale: str) -> str:
    """The plainest font that can write the whole text; texts of mixed scripts go to an Asian one."""
    for codec in _CODECS:
        try:
            text.encode(codec)
        except UnicodeEncodeError:
            continue
        return f"Helvetica-{codec}"
    return _ASIAN.get(locale, "HeiseiKakuGo-W5")


@cache
def _register_fonts() -> None:
    for name in _ASIAN.values():
        pdfmetrics.registerFont(UnicodeCIDFont(name))
    names = _glyph_names()
    for codec in _CODECS:
        # reportlab encodes texts with the Python codec that is named like the encoding.
        encoding = pdfmetrics.Encoding(codec, "WinAnsiEncoding")
        letters = {code: bytes([code]).decode(codec, "ignore") for code in range(0x80, 0x100)}
        for code, letter in letters.items():
            if letter in names:
                encoding[code] = names[letter]
        pdfmetrics.registerEncoding(encoding)
        font = pdfmetrics.Font(f"Helvetica-{codec}", "Helvetica", codec)
        # reportlab's metrics end with Latin-1: an accent takes no room of its own.
        for code, letter in letters.items():
            font.widths[code] = (
                font.widths[code] or font.widths[ord(normalize("NFD", letter or "?")[0]) % 256]
            )
        pdfmetrics.registerFont(font)


def _glyph_names() -> dict[str, str]:
    """Letter → glyph name, as the Adobe fonts behind Helvetica spell it."""
    names: dict[str, str] = {}
    for name, code in _glyphname2unicode.items():
        if chr(code) not in names or name in widthsByFontGlyph["Helvetica"]:
            names[chr(code)] = name
    # The list prefers older names, and knows no comma below t.
    return names | {"ż": "zdotaccent", "Ż": "Zdotaccent", "ț": "tcommaaccent", "Ț": "Tcommaaccent"}
