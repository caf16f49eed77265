"""On whose behalf we call, so that one request can be followed from the browser into Digital River's logs."""

import uuid
from contextvars import ContextVar
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address


@dataclass(frozen=True)
class Caller:
    """The request being served: its id, and the buyer's address where one is known."""

    request_id: str
    forwarded_for: str | None = None


CALLER: ContextVar[Caller | None] = ContextVar("caller", default=None)


def caller_headers() -> dict[str, str]:
    """`upstream-id` always, `forwarded` when the buyer's address is known (Spec intro, request headers)."""
    caller = CALLER.get() or Caller(request_id=str(uuid.uuid4()))
    headers = {"upstream-id": caller.request_id}
    try:
        address = ip_address(caller.forwarded_for or "")
    except ValueError:
        return headers
    # RFC 7239 §6: an IPv6 address is bracketed and quoted.
    node = f'"[{address}]"' if isinstance(address, IPv6Address) else str(address)
    return headers | {"forwarded": f"for={node}"}
