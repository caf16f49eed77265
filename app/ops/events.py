"""Shows operators which events are stuck and why, and lets them revive these."""

from collections.abc import Collection
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict

from app.idempotency.routes import IdempotentRoute
from app.identity.bearer import OPS, require_scope
from app.ids import EventId
from app.ops import store
from app.resources import ResourcesDep
from app.web.api_model import ApiModel, Instant
from app.web.etags import NOT_MODIFIED, conditional
from app.web.id_types import EventPath, EventText
from app.web.paging import DEFAULT_LIMIT, Cursor, Limit, Page, decode_cursor, encode_cursor
from app.web.problems import Conflict, Invalid, NotFound, responses
from app.webhooks import inbox
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
    """An event in the inbox. Its content stays there: it may be personal."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: str
    type: str
    state: State
    """`pending` (open), `done`, `ignored` (a type that nobody handles) or `buried` (needs an operator)."""
    origin: Origin
    """`webhook`, or `sweep` when Digital River's list of events had it and the webhook did not come."""
    order_id: str | None
    happened_at: Instant | None
    received_at: Instant
    due_at: Instant
    """When it is handled next, while it is open; while a worker has it, when that worker's lease runs out."""
    finished_at: Instant | None
    attempts: int
    reason: str | None
    """Why it is buried, or what the last attempt failed of."""


class EventsPage(Page[EventView]):
    """A piece of the inbox."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"data": [_EXAMPLE], "nextCursor": None}]})


class AttemptView(ApiModel):
    """How one attempt failed."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ATTEMPT_EXAMPLE]})

    attempt: int
    at: Instant
    error: str


class EventDetailView(EventView):
    """An event with the error of each failed attempt, the oldest first, and what is left of its body."""

    model_config = ConfigDict(json_schema_extra={"examples": [_DETAIL_EXAMPLE]})

    has_body: bool
    """Whether its body is still kept. That of an ignored event never is, that of a done or buried one for a
    while. Without it, an event that is revived is read again at Digital River."""
    body_digest: str | None
    """SHA-256 of the body as it came, in hexadecimal, once it is not kept."""
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
        Query(alias="id", description="For ids that a path cannot carry unharmed, as `..` behind a proxy."),
    ] = None,
    state: Annotated[State | None, Query()] = None,
    event_type: Annotated[EventText | None, Query(alias="type")] = None,
    order_id: Annotated[EventText | None, Query(alias="orderId")] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> EventsPage:
    """The last received first."""
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
    """With the error of each failed attempt."""
    return conditional(request, await _get_event(resources, event_id))


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
    """A buried event becomes `pending` with all its attempts before it; so does an ignored one whose type is
    handled by now. One that waits after a failure is due now."""
    async with resources.engine.begin() as connection:
        revived = await inbox.revive(connection, [event_id], handled_types)
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
