"""The store: all resources and the state behind them, in memory."""

import secrets
import uuid
from dataclasses import dataclass, field
from datetime import datetime

from sandbox.json_types import Json
from sandbox.state.clock import Clock
from sandbox.state.undocumented_behaviour import UndocumentedBehaviour


@dataclass
class ItemProgress:
    """The fulfilled and cancelled quantities of one order item. The API shows only the item's state."""

    fulfilled: int = 0
    cancelled: int = 0


@dataclass(frozen=True)
class Secret:
    """A signing secret; `expires` is None for the newest one."""

    value: str
    expires: datetime | None = None


@dataclass
class Store:
    """Resources by id, as the JSON that the API answers, newest last; and internal state."""

    clock: Clock
    orders: dict[str, Json] = field(default_factory=dict)
    fulfillments: dict[str, Json] = field(default_factory=dict)
    refunds: dict[str, Json] = field(default_factory=dict)
    customers: dict[str, Json] = field(default_factory=dict)
    sources: dict[str, Json] = field(default_factory=dict)
    # The sources that may be attached to a customer.
    storable_sources: set[str] = field(default_factory=set)
    tax_identifiers: dict[str, Json] = field(default_factory=dict)
    # Global Logistics shipments, by order.
    shipments: dict[str, list[Json]] = field(default_factory=dict)
    files: dict[str, Json] = field(default_factory=dict)
    file_links: dict[str, Json] = field(default_factory=dict)
    # The same links by file, because the portal reads them on every download.
    links_by_file: dict[str, dict[str, Json]] = field(default_factory=dict)
    events: dict[str, Json] = field(default_factory=dict)
    webhooks: dict[str, Json] = field(default_factory=dict)
    file_contents: dict[str, bytes] = field(default_factory=dict)
    item_progress: dict[str, ItemProgress] = field(default_factory=dict)
    signing_secrets: dict[str, list[Secret]] = field(default_factory=dict)
    # The order state that a dispute interrupted.
    state_before_dispute: dict[str, str] = field(default_factory=dict)
    undocumented_behaviour: UndocumentedBehaviour = field(default_factory=UndocumentedBehaviour)
    # Starts at random, so that ids stay unique if a portal's database outlives the sandbox.
    _sequence: int = field(default_factory=lambda: 10_000_000 + secrets.randbelow(80_000_000))

    def clear(self) -> None:
        """Remove everything. The sequence continues, so that no id is used twice."""
        fresh = Store(Clock(), _sequence=self._sequence)
        for name, value in vars(fresh).items():
            setattr(self, name, value)

    def next_number(self) -> str:
        """A 12-digit id as the samples show for orders, order items and generated customers."""
        self._sequence += 1
        return f"{self._sequence}0336"


def new_id(prefix: str = "") -> str:
    """A UUID as the samples show for files, links, charges, events; `ful_…`, `re_…` with a prefix."""
    return f"{prefix}{uuid.uuid4()}"


def new_secret() -> str:
    return f"whs_{secrets.token_urlsafe(24)}"
