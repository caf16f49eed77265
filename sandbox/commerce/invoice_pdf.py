"""Invoices and credit memos as PDF documents in the order's locale.

Latin texts use Helvetica, which every PDF reader has. Polish, Czech and Romanian letters use own encodings of
Helvetica. Chinese, Japanese and Korean texts use the Asian fonts of PDF readers. No font is embedded, so the
sandbox needs no font files.
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

from sandbox.commerce.invoice_locales import LocaleFormat, get_locale_format

_LEFT, _RIGHT, _TOP, _STEP = 60, A4[0] - 60, A4[1] - 80, 20
_ASIAN = {
    "ja_JP": "HeiseiKakuGo-W5",
    "ko_KR": "HYGothic-Medium",
    "zh_CN": "STSong-Light",
    "zh_TW": "MSung-Light",
}
_CODECS = ("cp1252", "cp1250", "iso8859_16")
_PLAIN_SPACES = str.maketrans({"\u00a0": " ", "\u202f": " "})


@dataclass(frozen=True)
class Row:
    name: str
    quantity: int
    amount: Decimal


@dataclass(frozen=True)
class DocumentContent:
    """The content to print. `kind` is `invoice` or `credit_memo`. Amounts are in major units."""

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


def render(document: DocumentContent) -> bytes:
    """The bytes of the PDF document."""
    _register_fonts()
    locale_format = get_locale_format(document.locale)
    buffer = BytesIO()
    writer = _PageWriter(Canvas(buffer, pagesize=A4, pageCompression=0, invariant=1), locale_format.locale)
    writer.canvas.setTitle(f"{locale_format.label(document.kind)} {document.order_id}")
    writer.write(_LEFT, locale_format.label(document.kind), size=20)
    writer.next_line(2)
    for text in _heading(document, locale_format):
        writer.write(_LEFT, text)
        writer.next_line()
    writer.next_line()
    _write_table(writer, document, locale_format)
    for note in document.notes:
        writer.write(_LEFT, note)
        writer.next_line()
    writer.canvas.save()
    return buffer.getvalue()


def _heading(document: DocumentContent, locale_format: LocaleFormat) -> list[str]:
    return [
        document.seller,
        f"{locale_format.label(document.kind)}: {document.number}",
        f"{locale_format.label('order')}: {document.order_id}",
        f"{locale_format.label('date')}: {locale_format.date(document.issued)}",
        *document.buyer,
    ]


def _write_table(writer: "_PageWriter", document: DocumentContent, locale_format: LocaleFormat) -> None:
    writer.row(locale_format.label("item"), locale_format.label("quantity"), locale_format.label("amount"))
    for row in document.rows:
        writer.row(
            row.name,
            locale_format.number(Decimal(row.quantity), 0),
            locale_format.money(row.amount, document.currency),
        )
    writer.next_line()
    for name, amount in (("subtotal", document.subtotal), ("tax", document.tax), ("total", document.total)):
        writer.row(locale_format.label(name), "", locale_format.money(amount, document.currency))
    writer.next_line()


class _PageWriter:
    """Writes lines from top to bottom and starts a new page if one is full."""

    def __init__(self, canvas: Canvas, locale: str) -> None:
        self.canvas = canvas
        self._locale = locale
        self._y = _TOP

    def next_line(self, steps: int = 1) -> None:
        self._y -= steps * _STEP
        if self._y < _STEP * 2:
            self.canvas.showPage()
            self._y = _TOP

    def row(self, name: str, quantity: str, amount: str) -> None:
        self.write(_LEFT, name)
        self.write(_RIGHT - 150, quantity, right=True)
        self.write(_RIGHT, amount, right=True)
        self.next_line()

    def write(self, x: float, text: str, *, size: int = 11, right: bool = False) -> None:
        text = text.translate(_PLAIN_SPACES)
        font = _font_for(text, self._locale)
        self.canvas.setFont(font, size)
        draw = self.canvas.drawRightString if right else self.canvas.drawString
        draw(x, self._y, text)


def _font_for(text: str, locale: str) -> str:
    """The first font that can write the whole text. Texts of mixed scripts use an Asian font."""
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
        # reportlab has widths for Latin-1 only. A letter with an accent is as wide as the letter without it.
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
    # The list has older names for ż, and no name for ț.
    return names | {"ż": "zdotaccent", "Ż": "Zdotaccent", "ț": "tcommaaccent", "Ț": "Tcommaaccent"}
