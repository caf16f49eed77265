"""Decides who may read whose data: the owner, or support, whose reads go into the audit log first.

There is one dependency for each kind of route. An ordinary caller costs no statement. A read by support is
recorded even if it finds nothing. If the record cannot be written, the answer is the database's 503. If a
path names a resource and not its owner, the service that finds the resource adds the owner to the record
(`Anybody.attribute`). If the service does not, the answer is a 500.
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
from app.identity.principal import Principal, get_customer_id
from app.ids import CustomerId
from app.request_resources import resources_of
from app.web.id_types import ID, CustomerPath
from app.web.problems import Forbidden, Invalid, NotFound
from app.web.routing import find_route

MAX_PATH_ID_LENGTH = 300
_POINTER = "/query/customerId"


def get_own_customer(principal: Principal, named: str) -> CustomerId:
    """The caller's customer id, if `named` is `me` or that same id.

    Raises:
        NotFound: it is another customer's id. The answer is the same whether that customer exists or not.
        Forbidden: it is `me`, and the token names no customer.
    """
    if named in {"me", principal.customer_id}:
        return get_customer_id(principal)
    raise NotFound


async def _readable_customer(
    request: Request, principal: CurrentPrincipal, customer_id: CustomerPath
) -> CustomerId:
    return await _authorize_read(request, principal, customer_id)


async def _writing_customer(principal: CurrentPrincipal) -> CustomerId:
    if SUPPORT in principal.scopes:
        raise Forbidden("Support may look, but not change anything.")
    return get_customer_id(principal)


async def _own_customer(principal: CurrentPrincipal, customer_id: CustomerPath) -> CustomerId:
    get_own_customer(principal, customer_id)
    return await _writing_customer(principal)


async def _required_owner(request: Request, principal: CurrentPrincipal) -> AsyncIterator[Owner]:
    if SUPPORT not in principal.scopes:
        yield get_customer_id(principal)
        return
    record_id = await _insert_record(request, principal, None)
    owner = Anybody(resources_of(request).engine, record_id)
    yield owner
    if not owner.is_attributed:
        raise LookupError("the service did not attribute a read by support to a customer")


async def _listed_customer(
    request: Request,
    principal: CurrentPrincipal,
    customer_id: Annotated[
        CustomerId | None,
        ID,
        Query(
            alias="customerId",
            description="The owner of the list. Required with `portal:support`, not allowed without it.",
        ),
    ] = None,
) -> CustomerId:
    if SUPPORT not in principal.scopes:
        if customer_id is not None:
            raise Invalid.at(_POINTER, "Only support may name a customer.")
        return get_customer_id(principal)
    if customer_id is None:
        raise Invalid.at(_POINTER, "Name the customer whose list is wanted.")
    return await _authorize_read(request, principal, customer_id)


async def _authorize_read(request: Request, principal: Principal, named: CustomerId) -> CustomerId:
    if SUPPORT not in principal.scopes or named in {"me", principal.customer_id}:
        return get_own_customer(principal, named)
    await _insert_record(request, principal, named)
    return named


async def _insert_record(
    request: Request, principal: Principal, customer_id: CustomerId | None
) -> AuditRecordId:
    """Insert a record of the read and commit it. `customer_id` is None if the owner is not known yet."""
    route = find_route(request.scope)
    async with resources_of(request).engine.begin() as connection:
        return await audit_log.insert_record(
            connection,
            subject=principal.subject,
            customer_id=customer_id,
            operation=f"{request.method} {route.template if route else ''}",
            path_ids={name: _normalized_id(name, str(value)) for name, value in request.path_params.items()},
            request_id=request.scope["request_id"],
        )


def _normalized_id(name: str, value: str) -> str:
    """The id as the audit log stores it. A UUID has many spellings, so ours are written in one of them. Any
    other id is percent-encoded, because no route has checked it yet and PostgreSQL stores no NUL."""
    if name == "documentId":
        with suppress(ValueError):
            return str(UUID(value))
    return quote(value, safe=":@|+=~", errors="replace")[:MAX_PATH_ID_LENGTH]


ReadableCustomer = Annotated[CustomerId, Depends(_readable_customer)]
"""For reads under `{customerId}`: `me`, the caller's own id, or with `portal:support` any customer's.

Raises NotFound for another customer's id, whether that customer exists or not."""

WritingCustomer = Annotated[CustomerId, Depends(_writing_customer)]
"""For writes that name no customer: the caller. Raises Forbidden for a token of support."""

OwnCustomer = Annotated[CustomerId, Depends(_own_customer)]
"""For writes under `{customerId}`: `me` or the caller's own id.

Raises NotFound for another customer's id, whether that customer exists or not, and Forbidden for a token of
support."""

# With the default, `scope="request"`, the check after `yield` would run after the answer has left.
RequiredOwner = Annotated[Owner, Depends(_required_owner, scope="function")]
"""For reads of one resource by its own id: the owner that it must have."""

ListedCustomer = Annotated[CustomerId, Depends(_listed_customer)]
"""For lists without an owner in the path: the caller, or the customer that support names in `customerId`.

Raises Invalid if support omits `customerId` or another caller sends it."""
