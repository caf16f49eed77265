"""The letter box: authenticate, keep, acknowledge. It knows no feature and waits only for PostgreSQL."""

import asyncio
import time
from collections.abc import Collection
from typing import Annotated, Any, Literal

import structlog
from fastapi import APIRouter, Depends, Request, Response, status
from pydantic import ConfigDict

from app.settings import Settings
from app.web.bodies import read_body
from app.web.contract import Contract
from app.web.problems import (
    FieldError,
    Malformed,
    RequestTimeout,
    TooLarge,
    Unauthenticated,
    Unavailable,
    UnsupportedMedia,
    responses,
)
from app.webhooks.event import NotAnEvent, read_event
from app.webhooks.inbox import NewEvent, Slot
from app.webhooks.signature import HEADER, Refused, verify

MAX_BODY = 256 * 1024
# Digital River waits 3,000 ms (docs, Webhooks best practices). An answer before that tells it more than none.
BODY_SECONDS = 1.5
STORE_SECONDS = 2.5

log = structlog.get_logger()
router = APIRouter(tags=["webhooks"])


class LetterBox:
    """What the endpoint needs, put together once: the slot, the secrets and which types somebody handles."""

    def __init__(self, slot: Slot, settings: Settings, handled_types: Collection[str]) -> None:
        self.slot = slot
        self.handled_types = frozenset(handled_types)
        self._secrets = [secret.get_secret_value().encode() for secret in settings.webhook_secrets]
        self._tolerance = settings.webhook_tolerance

    def authenticate(self, body: bytes, header: str | None) -> int:
        """Which secret signed it (0 is the newest).

        Raises:
            Refused: nobody we know signed it just now.
        """
        return verify(body, header, self._secrets, time.time(), self._tolerance)


def _letter_box(request: Request) -> LetterBox:
    box: LetterBox = request.app.state.letter_box
    return box


class Receipt(Contract):
    """The acknowledgement of an event: it is committed."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"id": "c902f8aa-16fb-44ba-ba7b-f3c84061685a", "status": "accepted"}]}
    )

    id: str
    """The id of the event."""
    status: Literal["accepted", "duplicate"]
    """`duplicate` when the event had been kept before."""


_BODY: dict[str, Any] = {
    "parameters": [
        {
            "name": HEADER,
            "in": "header",
            "required": True,
            "description": "`<timestamp>, <signature>[, <signature> …]`: Base64 HMAC-SHA256 of "
            "`<timestamp>.<raw body>` with each signing secret alive.",
            "schema": {"type": "string"},
        }
    ],
    "requestBody": {
        "required": True,
        "description": "The complete event object, as Digital River signed it.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["id", "type"],
                    "properties": {"id": {"type": "string"}, "type": {"type": "string"}},
                }
            }
        },
    },
}


@router.post(
    "/webhooks/digital-river",
    operation_id="receiveEvent",
    summary="Receive an event from Digital River",
    status_code=status.HTTP_202_ACCEPTED,
    response_model=Receipt,
    responses=responses(Malformed, Unauthenticated, RequestTimeout, TooLarge, UnsupportedMedia, Unavailable),
    openapi_extra=_BODY,
)
async def receive_event(request: Request, box: Annotated[LetterBox, Depends(_letter_box)]) -> Response:
    """Verifies the signature over the raw body, keeps the event exactly once and answers when it is
    committed. Handling happens later, in the worker. Types that nobody handles are kept as `ignored`."""
    body = await read_body(request, MAX_BODY, BODY_SECONDS)
    try:
        signer = box.authenticate(body, request.headers.get(HEADER))
    except Refused as refused:
        log.warning("webhook.refused", verdict=refused.verdict.value)
        # No detail: whoever forges deliveries learns nothing about why they fail.
        raise Unauthenticated(challenge="Signature") from None
    try:
        event = read_event(body, box.handled_types)
    except NotAnEvent as error:
        log.warning("webhook.not_an_event", field=error.field)
        errors = [FieldError(pointer=f"/{error.field}" if error.field else "", detail=str(error))]
        raise Malformed(str(error), errors=errors) from None
    is_new = await _keep(box.slot, event)
    log.info("webhook.kept", event_id=event.id, event_type=event.type, is_new=is_new, signer=signer)
    receipt = Receipt(id=event.id, status="accepted" if is_new else "duplicate")
    return Response(
        receipt.model_dump_json(), status_code=status.HTTP_202_ACCEPTED, media_type="application/json"
    )


async def _keep(slot: Slot, event: NewEvent) -> bool:
    try:
        async with asyncio.timeout(STORE_SECONDS):
            return await slot.drop(event)
    except TimeoutError:
        # Whether it was committed is not known; the retry that this answer brings finds out.
        raise Unavailable(retry_after=1) from None
