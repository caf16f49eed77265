"""The model of events. It leaves `data` unvalidated, because each handler reads only its own part."""

from typing import Any

from pydantic import AliasChoices, Field

from app.digital_river.models.tolerant_model import Instant, Resource


class Event(Resource):
    """An event from the list of events or from a webhook; `data` is not validated."""

    type: str
    data: dict[str, Any] = Field(default_factory=dict, repr=False)
    created_time: Instant | None = None
    # The documentation shows both spellings.
    digital_river_version: str | None = Field(
        None, validation_alias=AliasChoices("digitalriverVersion", "digitalRiverVersion")
    )

    @property
    def object(self) -> dict[str, Any]:
        """The resource after the change; empty for some deletions."""
        resource = self.data.get("object")
        return resource if isinstance(resource, dict) else {}
