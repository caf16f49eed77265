"""Everything that can go wrong from a caller's point of view, as RFC 9457 problems.

Problem                        type urn:portal:problem:<slug>
├── Malformed             400  the request cannot be read at all
├── Unauthenticated       401  no token, or not a good one
├── Forbidden             403  a good token without the right
├── NotFound              404  does not exist, or is not the caller's: the same answer
├── MethodNotAllowed      405
├── RequestTimeout        408  the body did not arrive in time
├── Conflict              409  contradicts what is there
├── PreconditionFailed    412  If-Match names an older version
├── TooLarge              413
├── UnsupportedMedia      415  wrong Content-Type, or a compressed body
├── Invalid               422  readable but wrong: `errors` says where
├── PreconditionRequired  428  If-Match is missing
├── TooManyRequests       429  of this buyer or this address; with Retry-After
├── Internal              500  our mistake; says nothing
├── BadGateway            502  Digital River answered something unusable
├── Unavailable           503  something needed is down; with Retry-After
└── InsufficientStorage   507  no room to keep the body on its way
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

MEDIA_TYPE = "application/problem+json"
DEFAULT_RETRY_SECONDS = 5.0
PROBLEM_SCHEMA = {"$ref": "#/components/schemas/ProblemDocument"}


class FieldError(BaseModel):
    """One thing to change in the request."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    pointer: str
    """JSON pointer into the body (`/shipping/address/country`), or `/query/…`, `/path/…`, `/header/…`."""
    detail: str
    """What is wrong there, fit for showing beside the field."""


class ProblemDocument(BaseModel):
    """An error as RFC 9457 describes it."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        serialize_by_alias=True,
        use_attribute_docstrings=True,
    )

    type: str
    """Stable identifier of the kind of problem."""
    title: str
    """The kind of problem in words; the same for all problems of this type."""
    status: int
    """The HTTP status, repeated."""
    detail: str | None = None
    """What happened this time, fit for a buyer's eyes."""
    instance: str | None = None
    """The path that was asked for."""
    request_id: str | None = None
    """Name this to support: it finds the request in the logs."""
    errors: list[FieldError] | None = None
    """What to change, place by place."""


class Problem(Exception):
    """Raised anywhere while a request is served; becomes the answer. Nothing secret belongs in it."""

    status: ClassVar[int]
    slug: ClassVar[str]
    title: ClassVar[str]

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})

    @classmethod
    def type_uri(cls) -> str:
        """The stable `type` of this kind of problem."""
        return f"urn:portal:problem:{cls.slug}"

    def document(self, *, instance: str | None = None, request_id: str | None = None) -> ProblemDocument:
        """The body of the answer."""
        return ProblemDocument(
            type=self.type_uri(),
            title=self.title,
            status=self.status,
            detail=self.detail,
            instance=instance,
            request_id=request_id,
            errors=list(self.errors) or None,
        )


class Malformed(Problem):
    status, slug, title = 400, "malformed", "The request cannot be read"


class Unauthenticated(Problem):
    """`challenge` is the WWW-Authenticate header (RFC 6750 §3)."""

    status, slug, title = 401, "unauthenticated", "A valid access token is needed"

    def __init__(self, detail: str | None = None, *, challenge: str = "Bearer") -> None:
        super().__init__(detail, headers={"WWW-Authenticate": challenge})


class Forbidden(Problem):
    status, slug, title = 403, "forbidden", "The access token does not allow this"


class NotFound(Problem):
    status, slug, title = 404, "not-found", "Nothing was found here"


class MethodNotAllowed(Problem):
    status, slug, title = 405, "method-not-allowed", "This method is not offered here"


class RequestTimeout(Problem):
    status, slug, title = 408, "request-timeout", "The request did not arrive in time"


class Conflict(Problem):
    status, slug, title = 409, "conflict", "The request contradicts the present state"


class PreconditionFailed(Problem):
    status, slug, title = 412, "precondition-failed", "The resource has changed since it was read"


class TooLarge(Problem):
    status, slug, title = 413, "too-large", "The request is too large"


class UnsupportedMedia(Problem):
    status, slug, title = 415, "unsupported-media", "This kind of content is not accepted"


class Invalid(Problem):
    status, slug, title = 422, "invalid", "The request holds values that cannot be accepted"

    @classmethod
    def at(cls, pointer: str, detail: str) -> "Invalid":
        """One thing is wrong, at one place."""
        return cls(detail, errors=[FieldError(pointer=pointer, detail=detail)])


class PreconditionRequired(Problem):
    status, slug, title = 428, "precondition-required", "If-Match is needed for this change"


class TooManyRequests(Problem):
    """`retry_after` as of Unavailable."""

    status, slug, title = 429, "too-many-requests", "Too many requests were sent in a short time"

    def __init__(self, detail: str | None = None, *, retry_after: float | None = None) -> None:
        super().__init__(detail, headers=_retry_after(retry_after))


class Internal(Problem):
    status, slug, title = 500, "internal", "Something went wrong on our side"


class BadGateway(Problem):
    status, slug, title = 502, "bad-gateway", "The shop's payment partner gave no usable answer"


class Unavailable(Problem):
    """`retry_after` in seconds becomes a Retry-After header, rounded up, never less than one."""

    status, slug, title = 503, "unavailable", "The service is unavailable for a moment"

    def __init__(self, detail: str | None = None, *, retry_after: float | None = None) -> None:
        super().__init__(detail, headers=_retry_after(retry_after))


class InsufficientStorage(Problem):
    status, slug, title = 507, "insufficient-storage", "There is no room for this file at the moment"


def _retry_after(seconds: float | None) -> dict[str, str]:
    return {"Retry-After": str(max(1, math.ceil(DEFAULT_RETRY_SECONDS if seconds is None else seconds)))}


def responses(*problems: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of a route that may answer with these problems."""
    declared: dict[int | str, dict[str, Any]] = {}
    for problem in problems:
        entry = declared.setdefault(
            problem.status,
            {"description": "", "content": {MEDIA_TYPE: {"schema": PROBLEM_SCHEMA, "examples": {}}}},
        )
        entry["description"] = f"{entry['description']} {problem.title}.".strip()
        example = {"type": problem.type_uri(), "title": problem.title, "status": problem.status}
        entry["content"][MEDIA_TYPE]["examples"][problem.slug] = {"value": example}
    return declared
