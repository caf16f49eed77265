"""Maps each type of event to the feature that handles it, because `webhooks` imports no feature."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from app.documents import intake
from app.documents.intake import Effect
from app.resources import Resources

Handler = Callable[[Resources, str, Mapping[str, Any]], AbstractAsyncContextManager[Effect]]
"""Takes the type and `data.object` of an event. On entry it calls Digital River; it yields the effect, which
the worker stores in the transaction that also finishes the event."""

HANDLERS: Mapping[str, Handler] = dict.fromkeys(intake.DOCUMENT_KINDS, intake.handle_event)
