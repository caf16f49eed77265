"""What Digital River's documents leave open, as this run answers it."""

from typing import Literal

from sandbox.json_types import JsonModel

DefaultAfterDetach = Literal["clear", "promote"]
Verification = Literal["pending", "verified", "not_valid"]
EventTypes = Literal["list", "text", "first"]
RefundOutcome = Literal["succeeded", "pending", "pending_information", "failed"]


class UndocumentedBehaviour(JsonModel):
    """afterDefaultDetached: the default goes with its source, or the oldest source left becomes it.

    verification: what well-formed tax identifiers become once the capture delay has passed; the documented
    test values are verified at once. refundOutcome: what refunds become once the capture delay has passed.

    eventTypes: `types` of GET /events is "an array" by its description and one string by its schema. It is
    read as a list; or as one text, that is one name, and given twice it is refused; or only the first counts.
    """

    after_default_detached: DefaultAfterDetach = "clear"
    verification: Verification = "pending"
    refund_outcome: RefundOutcome = "succeeded"
    event_types: EventTypes = "list"
