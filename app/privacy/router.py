"""Routes of a customer's export and erasure, and the operators' view of who has asked to be forgotten."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from app.access.authorization import OwnCustomer, ReadableCustomer
from app.idempotency.routes import IdempotentRoute
from app.identity.bearer import OPS, CurrentPrincipal, require_scope
from app.ids import CustomerId
from app.privacy import export, store
from app.privacy.forget import forget
from app.privacy.schemas import CustomerExport, ForgetRecord, ForgetRecordsPage, ForgetView
from app.request_resources import ResourcesDep
from app.web.etags import NOT_MODIFIED, conditional_response
from app.web.id_types import ID
from app.web.paging import decode_cursor, encode_cursor
from app.web.paging_query import DEFAULT_LIMIT, Cursor, Limit
from app.web.problems import BadGateway, Conflict, Invalid, NotFound, ServiceUnavailable, responses
from app.web.routing import StrictRoute

forget_router = APIRouter(prefix="/v1", tags=["customers"], route_class=IdempotentRoute)
export_router = APIRouter(prefix="/v1", tags=["customers"], route_class=StrictRoute)
ops_router = APIRouter(
    prefix="/ops", tags=["operations"], dependencies=[require_scope(OPS)], route_class=StrictRoute
)


class _CursorPosition(BaseModel):
    """The last record of the previous page."""

    id: Annotated[int, Field(ge=1, lt=2**63)]


@forget_router.post(
    "/customers/{customerId}/forget",
    operation_id="forgetCustomer",
    summary="Ask to be forgotten",
    responses=responses(Conflict, Invalid, NotFound, BadGateway, ServiceUnavailable),
)
async def forget_customer(
    request: Request, resources: ResourcesDep, principal: CurrentPrincipal, customer_id: OwnCustomer
) -> ForgetView:
    """Records the request at Digital River, and erases the data that this service does not need. A repeated
    request changes nothing and gets the same answer. The request cannot be withdrawn."""
    return await forget(
        resources.engine,
        resources.digital_river,
        customer_id,
        subject=principal.subject,
        request_id=request.scope["request_id"],
    )


@export_router.get(
    "/customers/{customerId}/export",
    operation_id="exportCustomer",
    summary="Export all data about a customer",
    response_model=CustomerExport,
    responses={**NOT_MODIFIED, **responses(Invalid, NotFound, BadGateway, ServiceUnavailable)},
)
async def export_customer(
    request: Request, resources: ResourcesDep, customer_id: ReadableCustomer
) -> Response:
    """All data that this service stores or can read at Digital River. If a part cannot be read, the answer is
    an error: there is no partial export. Lists are newest first and not paged."""
    document = await export.export_customer(resources, customer_id)
    disposition = 'attachment; filename="customer.json"'
    return conditional_response(request, document, headers={"Content-Disposition": disposition})


@ops_router.get(
    "/forget-requests",
    operation_id="listForgetRequests",
    summary="List requests to be forgotten",
    responses=responses(Invalid),
)
async def list_forget_requests(
    resources: ResourcesDep,
    customer_id: Annotated[
        CustomerId | None, ID, Query(alias="customerId", description="Only the requests of this customer.")
    ] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> ForgetRecordsPage:
    """The last request comes first. These records are never deleted."""
    before = None if cursor is None else decode_cursor(cursor, _CursorPosition).id
    async with resources.engine.connect() as connection:
        if customer_id is None:
            rows = await store.list_all_forget_requests(connection, before=before, limit=limit + 1)
        else:
            rows = await store.list_forget_requests(connection, customer_id, before=before, limit=limit + 1)
    next_cursor = encode_cursor(_CursorPosition(id=rows[limit - 1]["id"])) if len(rows) > limit else None
    return ForgetRecordsPage(data=[ForgetRecord.of(row) for row in rows[:limit]], next_cursor=next_cursor)
