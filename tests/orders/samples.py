"""Orders, refunds and fulfillments of every structure that Digital River prints."""

from tests.data.digital_river import Json, payloads


def printed(prefix: str, folder: str) -> dict[str, Json]:
    """The resources of a folder, and the objects of events of these types, by file name."""
    found = payloads(folder)
    for name, event in payloads("events").items():
        if event["type"].startswith(prefix):
            found[name] = event["data"]["object"]
    return found


def printed_orders() -> dict[str, Json]:
    """Orders, also those inside fulfillments; charges and files that order events carry are not orders."""
    fulfillments = printed("fulfillment.", "fulfillments")
    inside = {name: one["orderDetails"] for name, one in fulfillments.items() if "orderDetails" in one}
    return {name: one for name, one in (printed("order.", "orders") | inside).items() if "items" in one}
