"""Says which feature handles which type of event. `webhooks` knows none of them."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from app.documents import intake
from app.documents.intake import Effect
from app.resources import Resources

Handler = Callable[[Resources, str, Mapping[str, Any]], AbstractAsyncContextManager[Effect]]
"""Given the type and `data.object`, does what must be done at the far side when entered, and yields what is
to be stored, for the transaction that also finishes the event."""

HANDLERS: Mapping[str, Handler] = dict.fromkeys(intake.DOCUMENT_KINDS, intake.handle_event)
