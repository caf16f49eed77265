"""Who may read whose things: the owner, or support, which leaves a record before it sees anything.

One dependency per kind of route. Ordinary callers cost no statement. A read by support is recorded even when
nothing is found, and when it cannot be recorded there is no answer: the database's failure is a 503. Where a
path names a thing and not its owner, whoever finds the thing says whose it is, with `saw`; that is added to
the record before the answer leaves, or there is none.
"""

from collections.abc import AsyncIterator
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote
from uuid import UUID

from fastapi import Depends, Query, Request

from app.access import audit_log
from app.identity.bearer import SUPPORT, CurrentPrincipal
from app.identity.principal import Principal, customer_of, own_customer
from app.ids import CustomerId
from app.resources import resources_of
from app.web.path_ids import ID, CustomerPath
from app.web.problems import Forbidden, Invalid
from app.web.routes import find_facts

LONGEST_PATH_ID = 300
_POINTER = "/query/customerId"


@dataclass
class _Reading:
    """A read of support that is on record, but not yet whose thing it is."""

    is_attributed: bool = False
    customer_id: CustomerId | None = None


_READING: ContextVar[_Reading | None] = ContextVar("reading", default=None)


def saw(customer_id: CustomerId | None) -> None:
    """Whose the thing is that a reader without an `Owner` is about to be shown; None for a guest's."""
    reading = _READING.get()
    if reading is not None:
        reading.is_attributed = True
        reading.customer_id = customer_id or reading.customer_id


async def _read_customer(
    request: Request, principal: CurrentPrincipal, customer_id: CustomerPath
) -> CustomerId:
    return await _readable(request, principal, customer_id)


async def _writing_customer(principal: CurrentPrincipal) -> CustomerId:
    if SUPPORT in principal.scopes:
        raise Forbidden("Support may look, but not change anything.")
    return customer_of(principal)


async def _own_customer(principal: CurrentPrincipal, customer_id: CustomerPath) -> CustomerId:
    own_customer(principal, customer_id)
    return await _writing_customer(principal)


async def _owner(request: Request, principal: CurrentPrincipal) -> AsyncIterator[CustomerId | None]:
    if SUPPORT not in principal.scopes:
        yield customer_of(principal)
        return
    record_id = await _record(request, principal, None)
    reading = _Reading()
    token = _READING.set(reading)
    try:
        yield None
    finally:
        _READING.reset(token)
    if not reading.is_attributed:
        raise LookupError("a read of support that nobody attributes to a customer")
    if reading.customer_id is not None:
        await audit_log.attribute(resources_of(request).engine, record_id, reading.customer_id)


async def _listed_customer(
    request: Request,
    principal: CurrentPrincipal,
    customer_id: Annotated[
        CustomerId | None,
        ID,
        Query(alias="customerId", description="Whose; needed with `portal:support`, refused without it."),
    ] = None,
) -> CustomerId:
    if SUPPORT not in principal.scopes:
        if customer_id is not None:
            raise Invalid.at(_POINTER, "Only support may name a customer.")
        return customer_of(principal)
    if customer_id is None:
        raise Invalid.at(_POINTER, "Name the customer whose list is wanted.")
    return await _readable(request, principal, customer_id)


async def _readable(request: Request, principal: Principal, named: CustomerId) -> CustomerId:
    if SUPPORT not in principal.scopes or named in {"me", principal.customer_id}:
        return own_customer(principal, named)
    await _record(request, principal, named)
    return named


async def _record(request: Request, principal: Principal, customer_id: CustomerId | None) -> int:
    facts = find_facts(request.scope)
    return await audit_log.keep_record(
        resources_of(request).engine,
        subject=principal.subject,
        customer_id=customer_id,
        operation=f"{request.method} {facts.template if facts else ''}",
        path_ids={name: _recorded(name, str(value)) for name, value in request.path_params.items()},
        request_id=request.scope["request_id"],
    )


def _recorded(name: str, value: str) -> str:
    """The id as it is known here: our own have many spellings. Anything else is percent-encoded, because it
    is recorded before anybody has checked it: text may hold no NUL."""
    if name == "documentId":
        with suppress(ValueError):
            return str(UUID(value))
    return quote(value, safe=":@|+=~", errors="replace")[:LONGEST_PATH_ID]


ReadCustomer = Annotated[CustomerId, Depends(_read_customer)]
"""For reads under `{customerId}`: `me`, the caller's own id, or with `portal:support` anybody's.

Raises NotFound for somebody else's, existing or not."""

WritingCustomer = Annotated[CustomerId, Depends(_writing_customer)]
"""For writes that name no customer: the caller, by a token that is not support's."""

OwnCustomer = Annotated[CustomerId, Depends(_own_customer)]
"""For writes under `{customerId}`: `me` or the caller's own id, by a token that is not support's.

Raises NotFound for somebody else's, existing or not; Forbidden for support's own."""

# Not `scope="request"`, the default, which ends when the answer has left.
Owner = Annotated[CustomerId | None, Depends(_owner, scope="function")]
"""For reads of one thing by its own id: who must own it. None: it may be anybody's, support is asking, and
whoever finds the thing must call `saw`."""

ListedCustomer = Annotated[CustomerId, Depends(_listed_customer)]
"""For lists that do not name their owner in the path: the caller, or whom support names as `customerId`.

Raises Invalid when `customerId` is missing for support, or given by anybody else."""
