"""The faults of a chaos run that change answers: those that the portal can detect, or that do no harm.

Faults that the portal cannot detect are left out, because the records would rightly differ: another order's
parts in the right order, a changed event, a link to a missing file, and whatever hides a file's link from the
list of its links, so that the portal creates a second one.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from app.worker.handlers import HANDLERS

TIMES = 3
HOSTILE = ("script", "crlf", "nul", "surrogate", "bidi", "control", "emoji", "long")
ODD = ("null", "text", "emptyText", "number", "negative", "fraction", "huge", "boolean", "list", "object")
NUMBERS = ("textNumbers", "numericIds")
MOMENTS = ("past", "yearOne", "beforeYearOne", "future", "senseless", "empty", "number")
ENDLESS = ("same", "empty", "cycle")
ADDRESSES = (
    *("foreign", "disguised", "javascript", "data", "relative", "hostOnly", "empty"),
    *("crlf", "nul", "surrogate", "bidi", "control", "emoji", "long", "expired", "brief"),
)

# The kinds of tampering for each answer, by method and path, and for each delivery, by event type.
OF_CALLS: Mapping[tuple[str, str], Mapping[str, Sequence[str | None]]] = {
    ("GET", "/files/{id}"): {
        "stranger": ("open", "renamed"),
        "misnamed": (None,),
        "hostile": HOSTILE,
        "odd": (*ODD, *NUMBERS),
        "untimely": MOMENTS,
        "misleading": ADDRESSES,
    },
    ("GET", "/file-links"): {"unfiltered": (None,), "stranger": ("open",), "hostile": HOSTILE},
    ("POST", "/file-links"): {
        "stranger": ("open", "renamed"),
        "misnamed": (None,),
        "odd": (*ODD, *NUMBERS),
        "untimely": MOMENTS,
        "misleading": ADDRESSES,
    },
    ("GET", "/events"): {
        "unfiltered": (None,),
        "endless": ENDLESS,
        "stranger": ("open",),
        "hostile": HOSTILE,
        "odd": NUMBERS,
    },
}
OF_ORDERS: Mapping[str, Sequence[str | None]] = {
    "stranger": ("open",),
    "misnamed": (None,),
    "hostile": HOSTILE,
    "odd": (*ODD, *NUMBERS),
    "untimely": MOMENTS,
    "misleading": ADDRESSES,
}
OF_DELIVERIES: Mapping[str, Sequence[str | None]] = {
    "hostile": HOSTILE,
    "odd": NUMBERS,
    "untimely": MOMENTS,
}


def draw(rng: random.Random, order_ids: Sequence[str]) -> dict[str, Any]:
    """A fault for the sandbox. `order_ids` are orders that only the portal still reads."""
    places: list[tuple[dict[str, str], Mapping[str, Sequence[str | None]]]] = [
        *(({"method": method, "path": path}, kinds) for (method, path), kinds in OF_CALLS.items()),
        *(({"eventType": event_type}, OF_DELIVERIES) for event_type in HANDLERS),
    ]
    if order_ids:
        places.append(({"method": "GET", "path": f"/orders/{rng.choice(order_ids)}"}, OF_ORDERS))
    target, kinds = rng.choice(places)
    kind = rng.choice(sorted(kinds))
    variant = rng.choice(kinds[kind])
    chosen = {} if variant is None else {"variant": variant}
    return {"kind": kind, "seed": rng.randrange(1_000_000), "times": TIMES, **target, **chosen}
