"""Says where a refused value stands in the request, in the caller's own names, so that a form can show it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError

from app.web.problems import FieldError, Invalid, Malformed, Problem, UnsupportedMedia

MOST_ERRORS = 50
MOST_POINTER_CHARACTERS = 300
MOST_DETAIL_CHARACTERS = 300

_DETAILS = {
    "missing": "This is required.",
    "extra_forbidden": "This name is not known here.",
    "string_pattern_mismatch": "This text has characters or a form that cannot be accepted.",
    "model_attributes_type": "A JSON object is needed here.",
    "dict_type": "A JSON object is needed here.",
    "list_type": "A JSON array is needed here.",
    "string_type": "Text is needed here.",
}


def refused(error: RequestValidationError) -> Problem:
    """FastAPI's validation errors as one problem, with nothing of the refused values in it."""
    errors: Sequence[Mapping[str, Any]] = error.errors()
    for one in errors:
        if one["type"] == "json_invalid":
            return Malformed(hint=f"The body is not valid JSON, seen at character {one['loc'][-1]}.")
    # FastAPI hands the bytes over unread when their Content-Type is not a kind of JSON.
    if isinstance(error.body, bytes):
        return UnsupportedMedia(hint="Send the body as application/json.")
    fields = [
        FieldError(pointer=_pointer(one, error.body), detail=_detail(one)) for one in errors[:MOST_ERRORS]
    ]
    return Invalid(errors=fields)


def pointer_to(*steps: str | int) -> str:
    """RFC 6901: the steps from the document's root as one pointer."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def _pointer(error: Mapping[str, Any], body: object) -> str:
    place, *steps = error["loc"]
    if place == "body":
        pointer = pointer_to(*_walked(steps, body, may_be_absent=error["type"] == "missing"))
    elif place == "header" and steps:
        pointer = pointer_to("header", "-".join(word.capitalize() for word in str(steps[0]).split("-")))
    else:
        pointer = pointer_to(str(place), *steps)
    return pointer[:MOST_POINTER_CHARACTERS]


def _walked(steps: Sequence[str | int], body: Any, *, may_be_absent: bool) -> Iterator[str | int]:
    """The steps that exist in the body: pydantic also names the branches of unions, which no caller knows."""
    here = body
    for position, step in enumerate(steps, start=1):
        try:
            here = here[step]
        except (KeyError, IndexError, TypeError):
            if not (may_be_absent and position == len(steps)):
                continue
        yield step


def _detail(error: Mapping[str, Any]) -> str:
    kind = error["type"]
    if kind == "missing" and error["loc"] == ("body",):
        return "A JSON body is required."
    # "value_error" is our own validators': their words stand in the context, without pydantic's prefix.
    text = str(error["ctx"]["error"]) if kind == "value_error" else _DETAILS.get(kind, str(error["msg"]))
    return f"{text.rstrip('.')}."[:MOST_DETAIL_CHARACTERS]
