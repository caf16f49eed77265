"""What Digital River's documents leave open, as this run answers it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

DefaultAfterDetach = Literal["clear", "promote"]
Verification = Literal["pending", "verified", "not_valid"]
EventTypes = Literal["list", "text", "first"]
RefundOutcome = Literal["succeeded", "pending", "pending_information", "failed"]


class UndocumentedRules(BaseModel):
    """afterDefaultDetached: the default goes with its source, or the oldest source left becomes it.

    verification: what well-formed tax identifiers become once the capture delay has passed; the documented
    test values are verified at once. refundOutcome: what refunds become once the capture delay has passed.

    eventTypes: `types` of GET /events is "an array" by its description and one string by its schema. It is
    read as a list; or as one text, that is one name, and given twice it is refused; or only the first counts.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")

    after_default_detached: DefaultAfterDetach = "clear"
    verification: Verification = "pending"
    refund_outcome: RefundOutcome = "succeeded"
    event_types: EventTypes = "list"
