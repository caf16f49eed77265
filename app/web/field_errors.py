"""Says which members of our own request Digital River has refused."""

from collections.abc import Mapping

from app.digital_river.errors import Refused
from app.web.problems import FieldError, Invalid
from app.web.validation import pointer_to

_DETAIL = "This value is not accepted."


def invalid_fields(
    refused: Refused, *, below: str = "", our_names: Mapping[str, str] | None = None
) -> Invalid:
    """The refusal with pointers into our request's body; without any where nothing of it was named.

    `below` is the member of the customer that was the body of our request; `our_names` of its members, where
    they differ from Digital River's.
    """
    pointers = set()
    for parameter in refused.parameters:
        if steps := _steps(parameter, below):
            first = (our_names or {}).get(steps[0], steps[0])
            pointers.add(pointer_to(first, *steps[1:]))
    errors = [FieldError(pointer=pointer, detail=_DETAIL) for pointer in sorted(pointers)]
    return Invalid(errors=errors)


def _steps(parameter: str, below: str) -> list[str]:
    if parameter.startswith("metadata."):
        return ["metadata", parameter.removeprefix("metadata.")]
    steps = parameter.split(".") if parameter else []
    # Printed are both `address.postalCode` and `shipping.address.postalCode` (API basics, errors).
    if steps[:1] == ["address"]:
        steps = ["shipping", *steps]
    if not below:
        return steps
    return steps[1:] if steps[:1] == [below] else []
