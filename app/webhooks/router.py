"""The webhook endpoint: authenticates an event, stores it, then acknowledges it. It imports no feature."""

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import structlog
from fastapi import APIRouter, Request, Response, Security, status
from fastapi.security import APIKeyHeader
from pydantic import ConfigDict

from app.settings import Settings
from app.web.api_model import ApiModel
from app.web.middleware import LOG_FIELDS
from app.web.problems import (
    BareProblemDocument,
    FieldError,
    Malformed,
    Problem,
    RequestTimeout,
    ServiceUnavailable,
    TooLarge,
    UnsupportedMedia,
    responses,
)
from app.web.request_body import read_body
from app.webhooks.event import InvalidEvent, read_event
from app.webhooks.ingest import BatchWriter
from app.webhooks.metrics import DELIVERIES
from app.webhooks.signature import HEADER, InvalidSignature, verify

MAX_BODY_BYTES = 256 * 1024
# A body is a few packets at most, and Digital River waits 3,000 ms for the answer.
BODY_SECONDS = 1.0

log = structlog.get_logger()


class NotAuthentic(Problem):
    """The signature is not valid. It has no detail, so that a forger does not learn why a delivery fails."""

    status, slug, title = 401, "not-authentic", "The delivery could not be authenticated"
    default_detail = ""

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"$ref": f"#/components/schemas/{BareProblemDocument.__name__}"}

    def document(self, *, instance: str | None = None, request_id: str | None = None) -> BareProblemDocument:
        return BareProblemDocument(
            type=self.type_uri(),
            title=self.title,
            status=self.status,
            instance=instance,
            request_id=request_id,
        )


class WebhookReceiver:
    """The collaborators of the endpoint, created once: the writer, the secrets, the types with a handler."""

    def __init__(self, writer: BatchWriter, settings: Settings, handled_types: Collection[str]) -> None:
        self.writer = writer
        self.handled_types = frozenset(handled_types)
        self._secrets = [secret.get_secret_value().encode() for secret in settings.webhook_secrets]
        self._tolerance = settings.webhook_tolerance

    def authenticate(self, body: bytes, header: str | None) -> int:
        """The index of the secret that signed the body (0 is the newest).

        Raises:
            InvalidSignature: none of our secrets signed it within the tolerance.
        """
        return verify(body, header, self._secrets, time.time(), self._tolerance)


PATH = "/webhooks/digital-river"

router = APIRouter(tags=["webhooks"])


class Receipt(ApiModel):
    """The acknowledgement of an event. The event is committed."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"id": "c902f8aa-16fb-44ba-ba7b-f3c84061685a", "status": "accepted"}]}
    )

    id: str
    """The id of the event."""
    status: Literal["accepted", "duplicate"]
    """`duplicate` if the event was stored before."""


_REQUEST_BODY: dict[str, Any] = {
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


# Only for the OpenAPI document: the route authenticates by itself.
_SIGNATURE = APIKeyHeader(
    name=HEADER,
    scheme_name="signature",
    description="`<timestamp>, <signature>[, <signature> …]`: Base64 HMAC-SHA256 of `<timestamp>.<raw body>` "
    "with each active signing secret.",
)


@router.post(
    PATH,
    operation_id="receiveEvent",
    summary="Receive an event from Digital River",
    status_code=status.HTTP_202_ACCEPTED,
    response_model=Receipt,
    responses=responses(
        Malformed, NotAuthentic, RequestTimeout, TooLarge, UnsupportedMedia, ServiceUnavailable
    ),
    openapi_extra=_REQUEST_BODY,
    dependencies=[Security(_SIGNATURE)],
)
async def receive_event(request: Request) -> Response:
    """Verifies the signature of the raw body, stores the event exactly once, and answers when it is
    committed. The worker handles the event later. An event whose type has no handler is stored as
    `ignored`."""
    receiver: WebhookReceiver = request.app.state.resources.webhook_receiver
    body = await read_body(request, MAX_BODY_BYTES, BODY_SECONDS)
    try:
        signer = receiver.authenticate(body, request.headers.get(HEADER))
    except InvalidSignature as error:
        log.warning("webhook.refused", verdict=error.fault.value, request_id=request.scope["request_id"])
        DELIVERIES.labels(error.fault.value, "none").inc()
        raise NotAuthentic() from None
    try:
        event = read_event(body, receiver.handled_types)
    except InvalidEvent as error:
        log.warning("webhook.not_an_event", field=error.field, request_id=request.scope["request_id"])
        DELIVERIES.labels("not_an_event", signer).inc()
        errors = [FieldError(pointer=f"/{error.field}" if error.field else "", detail=str(error))]
        raise Malformed(hint=str(error), errors=errors) from None
    with _counting_failures(signer):
        is_new = await receiver.writer.add(event)
    result = "ignored" if event.state == "ignored" else "accepted"
    DELIVERIES.labels(result if is_new else "duplicate", signer).inc()
    # On the log line of the request: at hundreds of events a second, a second line costs too much.
    request.scope[LOG_FIELDS] = {
        "event_id": event.id,
        "event_type": event.type,
        "is_new": is_new,
        "signer": signer,
    }
    receipt = Receipt(id=event.id, status="accepted" if is_new else "duplicate")
    return Response(
        receipt.model_dump_json(), status_code=status.HTTP_202_ACCEPTED, media_type="application/json"
    )


@contextmanager
def _counting_failures(signer: int) -> Iterator[None]:
    try:
        yield
    except BaseException:
        DELIVERIES.labels("not_kept", signer).inc()
        raise
