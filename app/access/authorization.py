"""Who may read whose things: the owner, or support, which leaves a record before it sees anything.

There is one dependency per kind of route. Ordinary callers cost no statement. A read by support is recorded
even if nothing is found. If it cannot be recorded, there is no answer: the database's failure is a 503. Where
a path names a thing and not its owner, the service that finds the thing adds to the record whose it is
(`Anybody.attribute`). If it does not, the answer is a 500.
"""

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated
from urllib.parse import quote
from uuid import UUID

from fastapi import Depends, Query, Request

from app.access import audit_log
from app.access.audit_log import AuditRecordId
from app.access.ownership import Anybody, Owner
from app.identity.bearer import SUPPORT, CurrentPrincipal
from app.identity.principal import Principal, customer_of
from app.ids import CustomerId
from app.resources import resources_of
from app.web.id_types import ID, CustomerPath
from app.web.problems import Forbidden, Invalid, NotFound
from app.web.routing import find_route

LONGEST_PATH_ID = 300
_POINTER = "/query/customerId"


def own_customer(principal: Principal, named: str) -> CustomerId:
    """The caller's customer id, if `named` is `me` or that same id.

    Raises:
        NotFound: somebody else's, existing or not: the answers must not differ.
        Forbidden: `me`, by a token that names no customer.
    """
    if named in {"me", principal.customer_id}:
        return customer_of(principal)
    raise NotFound


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


async def _required_owner(request: Request, principal: CurrentPrincipal) -> AsyncIterator[Owner]:
    if SUPPORT not in principal.scopes:
        yield customer_of(principal)
        return
    record_id = await _record(request, principal, None)
    owner = Anybody(resources_of(request).engine, record_id)
    yield owner
    if not owner.is_attributed:
        raise LookupError("a read by support that was not attributed to a customer")


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


async def _record(request: Request, principal: Principal, customer_id: CustomerId | None) -> AuditRecordId:
    """Keep a record of the read. None: whose thing it is will be known later. When this returns, it is
    committed."""
    facts = find_route(request.scope)
    async with resources_of(request).engine.begin() as connection:
        return await audit_log.keep_record(
            connection,
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

# Not `scope="request"`, the default: it checks when the answer has left, and that is too late.
RequiredOwner = Annotated[Owner, Depends(_required_owner, scope="function")]
"""For reads of one thing by its own id: who must own it."""

ListedCustomer = Annotated[CustomerId, Depends(_listed_customer)]
"""For lists that do not name their owner in the path: the caller, or whom support names as `customerId`.

Raises Invalid when `customerId` is missing for support, or given by anybody else."""
