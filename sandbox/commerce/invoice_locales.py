"""The labels, number format and date format of each invoice locale.

Digital River lists these locales for invoices and credit memos. The labels are the sandbox's own.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sandbox.commerce.money import digits

LABELS = ("invoice", "credit_memo", "order", "date", "item", "quantity", "amount", "subtotal", "tax", "total")
_NO_BREAK, _THIN, _APOSTROPHE = "\u00a0", "\u202f", "’"

_WORDS = {
    "en": "Invoice|Credit memo|Order|Date|Item|Quantity|Amount|Subtotal|Tax|Total",
    "de": "Rechnung|Gutschrift|Bestellung|Datum|Artikel|Menge|Betrag|Zwischensumme|Steuer|Gesamtbetrag",
    "fr": "Facture|Avoir|Commande|Date|Article|Quantité|Montant|Sous-total|Taxe|Total",
    "it": "Fattura|Nota di credito|Ordine|Data|Articolo|Quantità|Importo|Subtotale|Imposta|Totale",
    "nl": "Factuur|Creditnota|Bestelling|Datum|Artikel|Aantal|Bedrag|Subtotaal|Belasting|Totaal",
    "no": "Faktura|Kreditnota|Ordre|Dato|Vare|Antall|Beløp|Delsum|Avgift|Totalt",
    "pl": "Faktura|Nota kredytowa|Zamówienie|Data|Pozycja|Ilość|Kwota|Suma częściowa|Podatek|Łącznie",
    "ja": "請求書|クレジットメモ|注文番号|日付|品名|数量|金額|小計|税|合計",
    "ro": "Factură|Notă de credit|Comandă|Data|Articol|Cantitate|Sumă|Subtotal|Taxă|Total de plată",
    "ko": "송장|대변 메모|주문 번호|날짜|품목|수량|금액|소계|세금|합계",
    "zh_CN": "发票|贷项凭证|订单号|日期|商品|数量|金额|小计|税额|总计",
    "zh_TW": "發票|貸項通知單|訂單號|日期|商品|數量|金額|小計|稅額|總計",
    "cs": "Faktura|Dobropis|Objednávka|Datum|Položka|Množství|Částka|Mezisoučet|Daň|Celkem k úhradě",
    "da": "Faktura|Kreditnota|Ordre|Dato|Vare|Antal|Beløb|Subtotal|Moms|I alt",
    "fi": "Lasku|Hyvityslasku|Tilaus|Päivämäärä|Tuote|Määrä|Summa|Välisumma|Vero|Yhteensä",
    "es": "Factura|Nota de crédito|Pedido|Fecha|Artículo|Cantidad|Importe|Subtotal|Impuesto|Total",
    "sv": "Faktura|Kreditnota|Order|Datum|Artikel|Antal|Belopp|Delsumma|Moms|Totalt",
}
# locale → (thousands, decimal, date)
_FORMATS = {
    "en_US": (",", ".", "%m/%d/%Y"),
    "fr_BE": (_THIN, ",", "%d/%m/%Y"),
    "fr_CH": (_THIN, ",", "%d.%m.%Y"),
    "fr_FR": (_THIN, ",", "%d/%m/%Y"),
    "fr_CA": (_NO_BREAK, ",", "%Y-%m-%d"),
    "it_CH": (_APOSTROPHE, ".", "%d.%m.%Y"),
    "it_IT": (".", ",", "%d/%m/%Y"),
    "nl_BE": (".", ",", "%d/%m/%Y"),
    "nl_NL": (".", ",", "%d-%m-%Y"),
    "no_NO": (_NO_BREAK, ",", "%d.%m.%Y"),
    "pl_PL": (_NO_BREAK, ",", "%d.%m.%Y"),
    "ja_JP": (",", ".", "%Y/%m/%d"),
    "ro_RO": (".", ",", "%d.%m.%Y"),
    "ko_KR": (",", ".", "%Y. %m. %d."),
    "zh_CN": (",", ".", "%Y/%m/%d"),
    "zh_TW": (",", ".", "%Y/%m/%d"),
    "cs_CZ": (_NO_BREAK, ",", "%d. %m. %Y"),
    "da_DK": (".", ",", "%d.%m.%Y"),
    "fi_FI": (_NO_BREAK, ",", "%d.%m.%Y"),
    "de_AT": (_NO_BREAK, ",", "%d.%m.%Y"),
    "de_CH": (_APOSTROPHE, ".", "%d.%m.%Y"),
    "de_DE": (".", ",", "%d.%m.%Y"),
    "es_ES": (".", ",", "%d/%m/%Y"),
    "sv_SE": (_NO_BREAK, ",", "%Y-%m-%d"),
}
LOCALES = tuple(_FORMATS)
_DEFAULT = "en_US"


@dataclass(frozen=True)
class LocaleFormat:
    """Formats texts in one locale."""

    locale: str

    def label(self, name: str) -> str:
        words = _WORDS.get(self.locale) or _WORDS[self.locale.partition("_")[0]]
        return words.split("|")[LABELS.index(name)]

    def number(self, amount: Decimal, places: int) -> str:
        thousands, decimal, _ = _FORMATS[self.locale]
        return f"{amount:,.{places}f}".translate({ord(","): thousands, ord("."): decimal})

    def money(self, amount: Decimal, currency: str) -> str:
        return f"{self.number(amount, digits(currency))} {currency}"

    def date(self, timestamp: datetime) -> str:
        return timestamp.strftime(_FORMATS[self.locale][2])


def get_locale_format(locale: str) -> LocaleFormat:
    """The format of a listed locale, or of the default, en_US."""
    return LocaleFormat(locale if locale in _FORMATS else _DEFAULT)
