"""Who has asked to be forgotten, and what came of it? The record outlives everything that was erased."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from app.customers import store
from app.identity.bearer import OPS, require_scope
from app.ids import CustomerId
from app.resources import ResourcesDep
from app.web.contract import Contract, Instant
from app.web.paging import DEFAULT_LIMIT, Cursor, Limit, Page, decode_cursor, encode_cursor
from app.web.path_ids import ID
from app.web.problems import Invalid, responses
from app.web.routes import StrictRoute

router = APIRouter(
    prefix="/ops", tags=["operations"], dependencies=[require_scope(OPS)], route_class=StrictRoute
)

_EXAMPLE: dict[str, Any] = {
    "customerId": "ada",
    "subject": "auth0|5f7c8ec7c33c6c004bbafe82",
    "requestId": "a5d0c1a2b3c4d5e6f708192a3b4c5d6e",
    "requestedAt": "2026-01-31T09:30:00Z",
    "answeredAt": "2026-01-31T09:30:01Z",
    "answer": "recorded",
    "erasedAt": "2026-01-31T09:30:01Z",
}


class ForgetRecord(Contract):
    """One request to be forgotten."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    customer_id: str
    subject: str
    """By whom: the subject of the token."""
    request_id: str
    """Finds the request in the logs."""
    requested_at: Instant
    answered_at: Instant | None
    answer: str | None
    """What Digital River answered: `recorded`, `recorded before`, or the failure, after which the buyer may
    ask again. Null: the process died meanwhile."""
    erased_at: Instant | None
    """When everything that is not kept was gone from this service."""


class ForgetRecordsPage(Page[ForgetRecord]):
    """Requests to be forgotten, the last one first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"data": [_EXAMPLE], "nextCursor": None}]})


class _After(BaseModel):
    """A cursor: the last record of the page before."""

    id: Annotated[int, Field(ge=1, lt=2**63)]


@router.get(
    "/forget-requests",
    operation_id="listForgetRequests",
    summary="List who has asked to be forgotten",
    responses=responses(Invalid),
)
async def list_forget_requests(
    resources: ResourcesDep,
    customer_id: Annotated[
        CustomerId | None, ID, Query(alias="customerId", description="Only this customer's.")
    ] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> ForgetRecordsPage:
    """The last one first. These records are kept for ever."""
    before = None if cursor is None else decode_cursor(cursor, _After).id
    found = list(
        await store.list_forget_requests(resources.engine, customer_id, before=before, limit=limit + 1)
    )
    last = encode_cursor(_After(id=found[limit - 1]["id"])) if len(found) > limit else None
    names = ForgetRecord.model_fields
    data = [ForgetRecord(**{name: row[name] for name in names}) for row in found[:limit]]
    return ForgetRecordsPage(data=data, next_cursor=last)
