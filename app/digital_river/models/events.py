"""Something that happened at Digital River."""

from typing import Any

from pydantic import AliasChoices, Field

from app.digital_river.models.reading import Instant, Resource


class Event(Resource):
    """An event, the same from the list as from a webhook; `data` is kept as it came."""

    type: str
    data: dict[str, Any] = Field(default_factory=dict, repr=False)
    created_time: Instant | None = None
    # The documents print both spellings.
    digital_river_version: str | None = Field(
        None, validation_alias=AliasChoices("digitalriverVersion", "digitalRiverVersion")
    )

    @property
    def object(self) -> dict[str, Any]:
        """The resource after the change; empty for some deletions."""
        resource = self.data.get("object")
        return resource if isinstance(resource, dict) else {}
