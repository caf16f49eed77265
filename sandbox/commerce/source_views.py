"""A payment source as the browser gets it, as the API answers it, and as an order shows it."""

from decimal import Decimal

from sandbox.state.store import Json

# Printed only in the browser's answers (dossier, sources-and-dropin §2).
_ONLY_IN_BROWSERS = (
    "clientId",
    "channelId",
    "creationIp",
    "browserInfo",
    "language",
    "redirect",
    "sessionId",
    "expirationTime",
)


def show_source(source: Json) -> Json:
    """The API's form: without what only browsers see, the amount a number."""
    shown = {name: value for name, value in source.items() if name not in _ONLY_IN_BROWSERS}
    kind = source["type"]
    shown[kind] = {name: value for name, value in source[kind].items() if name != "paymentIdentifier"}
    if "amount" in shown:
        shown["amount"] = float(Decimal(str(shown["amount"])))
    return shown


def show_source_in_order(source: Json, amount: float) -> Json:
    """Who pays how much by what (sample order.accepted)."""
    shown = show_source(source)
    names = [name for name in ("id", "type", "owner", source["type"]) if name in shown]
    return {**{name: shown[name] for name in names}, "amount": amount}
