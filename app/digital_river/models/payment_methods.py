"""Gives each payment method a name for buyers, also if its type is new at Digital River."""

import re

# Digital River docs, Payment methods. Spellings outside the official list appear in the samples there.
_NAMES = {
    "afterPay": "Afterpay",
    "alipay": "Alipay",
    "alipayCn": "Alipay",
    "amazonPay": "Amazon Pay",
    "applePay": "Apple Pay",
    "bPay": "BPAY",
    "bancontact": "Bancontact",
    "bankTransfer": "Bank transfer",
    "blik": "BLIK",
    "bnpParibas": "BNP Paribas",
    "ccAvenue": "CCAvenue",
    "ccavenue": "CCAvenue",
    "clearPay": "Clearpay",
    "codJapan": "Cash on delivery",
    "creditCard": "Card",
    "customerCredit": "Store credit",
    "directDebit": "SEPA Direct Debit",
    "fpxOnlineBanking": "FPX online banking",
    "giftCard": "Gift card",
    "googlePay": "Google Pay",
    "ideal": "iDEAL",
    "klarnaCredit": "Klarna",
    "klarnaCreditRecurring": "Klarna",
    "konbini": "Konbini",
    "msts": "TreviPay",
    "onlineBanking": "Online banking",
    "payPal": "PayPal",
    "payPalBilling": "PayPal",
    "payPalCredit": "PayPal Credit",
    "payco": "PAYCO",
    "trustly": "Trustly",
    "wireTransfer": "Wire transfer",
}
_FALLBACK_NAME = "Payment method"
_WORD_STARTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[_\s-]+")


def label(source_type: str | None, *, brand: str | None = None, last_four: str | None = None) -> str:
    """The method in English words, such as `Visa ending in 1111`, `Google Pay (Visa ending in 1111)` or
    `PayPal`. A type that is not listed here is split into words: `someNewPay` becomes `Some New Pay`."""
    name = _NAMES.get(source_type or "") or _spelled_out(source_type or "")
    if brand is None and last_four is None:
        return name
    ending = "" if last_four is None else f" ending in {last_four}"
    if brand is None:
        return f"{name}{ending}"
    return f"{brand}{ending}" if source_type == "creditCard" else f"{name} ({brand}{ending})"


def _spelled_out(source_type: str) -> str:
    words = [word for word in _WORD_STARTS.split(source_type) if word]
    return " ".join(word[0].upper() + word[1:] for word in words) or _FALLBACK_NAME
