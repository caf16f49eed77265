"""The types of payment sources: their flow, whether they can be saved, their details.

Source: Digital River docs, Payment methods and Drop-in payments. The details imitate the printed browser
answers of each type.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Flow = Literal["standard", "redirect", "receiver"]
Details = Mapping[str, Any]

_SHIPPING: Details = {
    "recipient": "John Doe",
    "phoneNumber": "555-555-1212",
    "address": {
        "line1": "54321 Fake St.",
        "line2": "Apt. 3C",
        "city": "Minnetonka",
        "state": "MN",
        "country": "US",
        "postalCode": "55341",
    },
}
_WALLET_TOKEN = "EC-1HD67063RG318840B"  # noqa: S105 - a value that must never reach a buyer's page
_KONBINI_STORE: Details = {
    "storeId": "010",
    "receiptNumber": "7210246313380",
    "printableInvoiceUrl": "https://payments.invalid/konbini/7210246313380",
    "storeName": "Seven Eleven",
    "localizedStoreName": "セブン‐イレブン",
    "storeLogoUrl": "https://payments.invalid/konbini/logo.gif",
}
_BANK: Details = {
    "accountHolder": "Netgiro Payments AB",
    "bankName": "ABN AMRO Bank N.V.",
    "city": "Prague",
    "country": "ES",
    "referenceId": "DR1651067521",
    "accountNumber": "0100037259",
    "additionalBankInformation": "Código de oficina: 0001",
    "iban": "ES35 0156 0001 0901 0003 7259",
}


@dataclass(frozen=True)
class SourceType:
    """`can_be_saved`: whether a source of this type may be attached to a customer."""

    flow: Flow
    can_be_saved: bool = False
    details: Details = field(default_factory=dict)

    @property
    def first_state(self) -> str:
        """The state in which the browser gets the source."""
        return {"standard": "chargeable", "redirect": "pending_redirect", "receiver": "pending_funds"}[
            self.flow
        ]


CARDS = frozenset({"creditCard", "googlePay"})
_PROVIDER = SourceType("redirect")
_SAVED_PROVIDER = SourceType("redirect", can_be_saved=True)
_TYPES: Mapping[str, SourceType] = {
    **{name: SourceType("standard", can_be_saved=True) for name in (*CARDS, "applePay")},
    **dict.fromkeys(("directDebit", "klarnaCreditRecurring", "amazonPay", "ideal"), _SAVED_PROVIDER),
    # Alipay+; the domestic method is alipayCn.
    "alipay": _SAVED_PROVIDER,
    "msts": SourceType(
        "redirect", can_be_saved=True, details={"shipping": _SHIPPING, "token": _WALLET_TOKEN}
    ),
    "payPalBilling": SourceType(
        "redirect", can_be_saved=True, details={"shipping": _SHIPPING, "token": _WALLET_TOKEN}
    ),
    "klarnaCredit": SourceType("redirect", details={"shipping": _SHIPPING, "token": _WALLET_TOKEN}),
    "bnpParibas": SourceType("redirect", details={"token": _WALLET_TOKEN}),
    **dict.fromkeys(("payPal", "payPalCredit", "afterPay", "clearPay", "alipayCn"), _PROVIDER),
    **dict.fromkeys(("bancontact", "blik", "ccAvenue", "ccavenue", "fpxOnlineBanking"), _PROVIDER),
    **dict.fromkeys(("onlineBanking", "bankTransfer", "payco", "trustly"), _PROVIDER),
    "konbini": SourceType("receiver", details=_KONBINI_STORE),
    "wireTransfer": SourceType("receiver", details=_BANK),
    # Flow and storage of these are not documented.
    "bPay": SourceType("receiver", details={"billId": "1651067521"}),
    "codJapan": SourceType("receiver"),
    "giftCard": SourceType("standard", details={"cardCurrency": "USD", "lastFourDigits": 1111}),
    # Created by POST /sources, never in the browser.
    "customerCredit": SourceType("standard"),
}


def get_source_type(name: str) -> SourceType:
    """The type with this name. An unknown type redirects to a provider and cannot be saved."""
    return _TYPES.get(name, _PROVIDER)
