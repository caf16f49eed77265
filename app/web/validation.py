"""Names the fields of the request that are wrong, so that a form can mark them.

The errors come from FastAPI's validation or from Digital River.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from app.digital_river.errors import Refused
from app.web.problems import FieldError, Invalid, Malformed, Problem, UnsupportedMedia

if TYPE_CHECKING:
    # A worker uses this module, and imports no FastAPI.
    from fastapi.exceptions import RequestValidationError

MAX_ERRORS = 50
MAX_POINTER_LENGTH = 300
MAX_DETAIL_LENGTH = 300

_NOT_ACCEPTED = "This value is not accepted."
_DETAILS = {
    "missing": "This is required.",
    "extra_forbidden": "This name is not known here.",
    "string_pattern_mismatch": "This text has characters or a form that cannot be accepted.",
    "model_attributes_type": "A JSON object is needed here.",
    "dict_type": "A JSON object is needed here.",
    "list_type": "A JSON array is needed here.",
    "string_type": "Text is needed here.",
}


def validation_problem(error: "RequestValidationError") -> Problem:
    """FastAPI's validation errors as one problem. It does not contain the refused values."""
    errors: Sequence[Mapping[str, Any]] = error.errors()
    for item in errors:
        if item["type"] == "json_invalid":
            return Malformed(hint=f"The body is not valid JSON, seen at character {item['loc'][-1]}.")
    # FastAPI leaves the body as bytes if its Content-Type is not JSON.
    if isinstance(error.body, bytes):
        return UnsupportedMedia(hint="Send the body as application/json.")
    fields = [
        FieldError(pointer=_pointer(item, error.body), detail=_detail(item)) for item in errors[:MAX_ERRORS]
    ]
    return Invalid(errors=fields)


def pointer_to(*steps: str | int) -> str:
    """The JSON pointer (RFC 6901) with these steps from the root."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def invalid_fields(
    refused: Refused, *, root_member: str = "", our_names: Mapping[str, str] | None = None
) -> Invalid:
    """The problem for a refusal by Digital River, with pointers into the body of our request.

    `root_member` is the member of Digital River's customer that the body of our request stands for.
    `our_names` maps Digital River's names of members to ours. Without a named member there is no pointer.
    """
    pointers = set()
    for parameter in refused.parameters:
        if steps := _refused_steps(parameter, root_member):
            first = (our_names or {}).get(steps[0], steps[0])
            pointers.add(pointer_to(first, *steps[1:]))
    errors = [FieldError(pointer=pointer, detail=_NOT_ACCEPTED) for pointer in sorted(pointers)]
    return Invalid(errors=errors)


def _pointer(error: Mapping[str, Any], body: object) -> str:
    place, *steps = error["loc"]
    if place == "body":
        pointer = pointer_to(*_existing_steps(steps, body, may_be_absent=error["type"] == "missing"))
    elif place == "header" and steps:
        pointer = pointer_to("header", "-".join(word.capitalize() for word in str(steps[0]).split("-")))
    else:
        pointer = pointer_to(str(place), *steps)
    return pointer[:MAX_POINTER_LENGTH]


def _existing_steps(steps: Sequence[str | int], body: Any, *, may_be_absent: bool) -> Iterator[str | int]:
    """The steps that exist in the body. pydantic also names branches of unions, unknown to the caller."""
    value = body
    for position, step in enumerate(steps, start=1):
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            if not (may_be_absent and position == len(steps)):
                continue
        yield step


def _detail(error: Mapping[str, Any]) -> str:
    error_type = error["type"]
    if error_type == "missing" and error["loc"] == ("body",):
        return "A JSON body is required."
    # Our own validators raise "value_error". Their text is in the context, without pydantic's prefix.
    text = (
        str(error["ctx"]["error"])
        if error_type == "value_error"
        else _DETAILS.get(error_type, str(error["msg"]))
    )
    return f"{text.rstrip('.')}."[:MAX_DETAIL_LENGTH]


def _refused_steps(parameter: str, root_member: str) -> list[str]:
    if parameter.startswith("metadata."):
        return ["metadata", parameter.removeprefix("metadata.")]
    steps = parameter.split(".") if parameter else []
    # Digital River docs, API basics, errors: both `address.postalCode` and `shipping.address.postalCode`.
    if steps[:1] == ["address"]:
        steps = ["shipping", *steps]
    if not root_member:
        return steps
    return steps[1:] if steps[:1] == [root_member] else []
