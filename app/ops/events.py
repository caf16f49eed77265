"""Shows operators which events are stuck and why, and lets them revive such events."""

from collections.abc import Collection
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict

from app.idempotency.routes import IdempotentRoute
from app.identity.bearer import OPS, require_scope
from app.ids import EventId
from app.ops import store
from app.request_resources import ResourcesDep
from app.web.api_model import ApiModel, Instant
from app.web.etags import NOT_MODIFIED, conditional_response
from app.web.id_types import EventPath, EventText
from app.web.paging import Page, decode_cursor, encode_cursor
from app.web.paging_query import DEFAULT_LIMIT, Cursor, Limit
from app.web.problems import Conflict, Invalid, NotFound, responses
from app.webhooks import revival
from app.webhooks.inbox import Origin, State
from app.webhooks.router import WebhookReceiver

router = APIRouter(
    prefix="/ops",
    tags=["operations"],
    dependencies=[require_scope(OPS)],
    route_class=IdempotentRoute,
)

_EXAMPLE: dict[str, Any] = {
    "id": "c902f8aa-16fb-44ba-ba7b-f3c84061685a",
    "type": "order.invoice.created",
    "state": "buried",
    "origin": "webhook",
    "orderId": "188418250336",
    "happenedAt": "2026-01-31T09:30:00.591115Z",
    "receivedAt": "2026-01-31T09:30:01.100000Z",
    "dueAt": "2026-01-31T09:30:01.100000Z",
    "finishedAt": "2026-01-31T09:30:01.150000Z",
    "attempts": 1,
    "reason": "unusable or missing in data.object: orderId",
}
_ATTEMPT_EXAMPLE: dict[str, Any] = {
    "attempt": 1,
    "at": "2026-01-31T09:30:01.150000Z",
    "error": _EXAMPLE["reason"],
}
_DETAIL_EXAMPLE: dict[str, Any] = {
    **_EXAMPLE,
    "hasBody": True,
    "bodyDigest": None,
    "errors": [_ATTEMPT_EXAMPLE],
}


class EventView(ApiModel):
    """An event in the inbox, without its content, which may be personal."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: str
    type: str
    state: State
    """`pending` (not handled yet), `done`, `ignored` (its type has no handler) or `buried` (an operator must
    look at it)."""
    origin: Origin
    """`webhook`, or `sweep` if the webhook did not come and a sweep found the event in Digital River's
    list."""
    order_id: str | None
    happened_at: Instant | None
    received_at: Instant
    due_at: Instant
    """When a pending event is handled next. While a worker handles it: when the lease of that worker ends."""
    finished_at: Instant | None
    attempts: int
    reason: str | None
    """Why it is buried, or why the last attempt failed."""


class EventsPage(Page[EventView]):
    """A page of the inbox."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"data": [_EXAMPLE], "nextCursor": None}]})


class AttemptView(ApiModel):
    """A failed attempt."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ATTEMPT_EXAMPLE]})

    attempt: int
    at: Instant
    error: str


class EventDetailView(EventView):
    """An event with the error of each failed attempt, the oldest first, and whether its body is still
    stored."""

    model_config = ConfigDict(json_schema_extra={"examples": [_DETAIL_EXAMPLE]})

    has_body: bool
    """Whether the body is still stored. The body of an ignored event is never stored. The body of a done or
    buried event is stored for some days. If an event without a body is revived, the worker fetches the event
    from Digital River again."""
    body_digest: str | None
    """SHA-256 of the received body, in hexadecimal, if the body is no longer stored."""
    errors: list[AttemptView]


class _CursorPosition(BaseModel):
    at: Instant
    id: EventText


async def _handled_types(request: Request) -> Collection[str]:
    receiver: WebhookReceiver = request.app.state.resources.webhook_receiver
    return receiver.handled_types


@router.get("/events", operation_id="listEvents", summary="List events", responses=responses(Invalid))
async def list_events(
    resources: ResourcesDep,
    event_id: Annotated[
        EventText | None,
        Query(alias="id", description="For ids that a path cannot contain, such as `..` behind a proxy."),
    ] = None,
    state: Annotated[State | None, Query()] = None,
    event_type: Annotated[EventText | None, Query(alias="type")] = None,
    order_id: Annotated[EventText | None, Query(alias="orderId")] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> EventsPage:
    """The event that was received last comes first."""
    after = None if cursor is None else decode_cursor(cursor, _CursorPosition)
    async with resources.engine.connect() as connection:
        rows = await store.list_events(
            connection,
            event_id=event_id,
            state=state,
            event_type=event_type,
            order_id=order_id,
            after=None if after is None else (after.at, after.id),
            limit=limit + 1,
        )
    last = rows[limit - 1] if len(rows) > limit else None
    return EventsPage(
        data=[EventView(**row) for row in rows[:limit]],
        next_cursor=None
        if last is None
        else encode_cursor(_CursorPosition(at=last["received_at"], id=last["id"])),
    )


@router.get(
    "/events/{eventId:path}",
    operation_id="getEvent",
    summary="Show one event",
    response_model=EventDetailView,
    responses={**NOT_MODIFIED, **responses(Invalid, NotFound)},
)
async def get_event(request: Request, resources: ResourcesDep, event_id: EventPath) -> Response:
    """The event, with the error of each failed attempt."""
    return conditional_response(request, await _get_event(resources, event_id))


@router.post(
    "/events/{eventId:path}/revive",
    operation_id="reviveEvent",
    summary="Handle a stuck event now",
    responses=responses(Invalid, NotFound, Conflict),
)
async def revive_event(
    resources: ResourcesDep,
    event_id: EventPath,
    handled_types: Annotated[Collection[str], Depends(_handled_types)],
) -> EventDetailView:
    """A buried event becomes `pending` with its full number of attempts, and so does an ignored event whose
    type has a handler now. An event that waits after a failure becomes due now."""
    async with resources.engine.begin() as connection:
        revived = await revival.revive(connection, [event_id], handled_types)
    event = await _get_event(resources, event_id)
    if revived:
        return event
    if event.state == "ignored":
        raise Conflict("Nobody handles events of this type.")
    raise Conflict(f"Only what is buried, or waits after a failure, is revived; this is {event.state}.")


async def _get_event(resources: ResourcesDep, event_id: EventId) -> EventDetailView:
    async with resources.engine.connect() as connection:
        row = await store.find_event(connection, event_id)
    if row is None:
        raise NotFound()
    return EventDetailView(**row)
