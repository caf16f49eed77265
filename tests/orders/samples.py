"""Every order, refund and fulfillment that Digital River prints, wherever it stands."""

import json
from typing import Any

from tests.support.digital_river import DOSSIER

SAMPLES = DOSSIER / "samples"
ABSENT = "the Digital River dossier is not on this machine"

Json = dict[str, Any]


def printed(prefix: str, folder: str) -> dict[str, Json]:
    """The resources of a folder, and the objects of events of these types, by file name."""
    found = {
        f"{folder}/{path.stem}": json.loads(path.read_text())
        for path in sorted((SAMPLES / folder).glob("*.json"))
    }
    for path in sorted((SAMPLES / "events").glob("*.json")):
        event = json.loads(path.read_text())
        if event["type"].startswith(prefix):
            found[f"events/{path.stem}"] = event["data"]["object"]
    return found


def printed_orders() -> dict[str, Json]:
    """Orders, also those inside fulfillments; charges and files that order events carry are not orders."""
    fulfillments = printed("fulfillment.", "fulfillments")
    inside = {name: one["orderDetails"] for name, one in fulfillments.items() if "orderDetails" in one}
    return {name: one for name, one in (printed("order.", "orders") | inside).items() if "items" in one}
