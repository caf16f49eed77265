"""Behaviour that Digital River's documents do not define, selectable at run time."""

from typing import Literal

from sandbox.json_types import JsonModel

DefaultAfterDetach = Literal["clear", "promote"]
Verification = Literal["pending", "verified", "not_valid"]
EventTypes = Literal["list", "text", "first"]
RefundOutcome = Literal["succeeded", "pending", "pending_information", "failed"]


class UndocumentedBehaviour(JsonModel):
    """Behaviour that Digital River's documents do not define.

    afterDefaultDetached: after the default source is detached, the customer has no default (`clear`), or the
    oldest remaining source becomes the default (`promote`).
    verification: the state of well-formed tax identifiers after the capture delay. The documented test values
    are verified at once.
    refundOutcome: the state of refunds after the capture delay.
    eventTypes: the parameter `types` of GET /events is "an array" by its description and one string by its
    schema. `list`: it is a list. `text`: it is one name, and a second one is an error. `first`: only the
    first one is used.
    """

    after_default_detached: DefaultAfterDetach = "clear"
    verification: Verification = "pending"
    refund_outcome: RefundOutcome = "succeeded"
    event_types: EventTypes = "list"
