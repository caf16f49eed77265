"""The types of JSON: as it is stored, and as the control API reads and writes it."""

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

Json = dict[str, Any]


class JsonModel(BaseModel):
    """camelCase in JSON; an unknown member is an error."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")
