"""Defines every error answer of the API as an RFC 9457 problem.

Problem                        type urn:portal:problem:<slug>
├── Malformed             400  the request cannot be parsed
├── Unauthenticated       401  no token, or an invalid one
├── Forbidden             403  a valid token that does not allow this
├── NotFound              404  does not exist, or is not the caller's: one answer for both
├── MethodNotAllowed      405
├── RequestTimeout        408  the body did not arrive in time
├── Conflict              409  contradicts the current state
├── PreconditionFailed    412  If-Match names an older version
├── TooLarge              413
├── UnsupportedMedia      415  wrong Content-Type, or a compressed body
├── Invalid               422  can be parsed, but has wrong values: `errors` says where
├── PreconditionRequired  428  If-Match is missing
├── TooManyRequests       429  from this buyer or this address; with Retry-After
├── HeadTooLarge          431  request line and header fields are too large
├── Internal              500  a fault of ours; without details
├── BadGateway            502  Digital River's answer is unusable
├── ServiceUnavailable    503  PostgreSQL, Digital River or the issuer is down; with Retry-After
└── InsufficientStorage   507  no disk space for the body
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

from app.web.described_model import DescribedModel

MEDIA_TYPE = "application/problem+json"
DEFAULT_RETRY_SECONDS = 5.0

JsonObject = dict[str, Any]


class FieldError(DescribedModel):
    """One error in the request."""

    model_config = ConfigDict(frozen=True)

    pointer: str
    """JSON pointer into the body (`/shipping/address/country`), or `/query/…`, `/path/…`, `/header/…`."""
    detail: str
    """What is wrong there. It may be shown beside the field."""


def _absent_when_none(schema: JsonObject) -> None:
    """Remove null from the schema: a problem omits unknown members."""
    for member in schema["properties"].values():
        branches = member.pop("anyOf", None)
        if branches is not None:
            member.update(branches[0])


class BareProblemDocument(DescribedModel):
    """An error as defined by RFC 9457, without a text about this occurrence."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        serialize_by_alias=True,
        json_schema_extra=_absent_when_none,
    )

    type: str
    """The stable identifier of this type of problem."""
    title: str
    """A short text that is the same for all problems of this type."""
    status: int
    """The HTTP status code of the answer."""
    instance: str | None = None
    """The path of the request."""
    request_id: str | None = None
    """The id of the request. Support finds the request in the logs by it."""


class ProblemDocument(BareProblemDocument):
    """An error as defined by RFC 9457."""

    detail: str
    """What happened, in a sentence that may be shown to the buyer."""
    hint: str | None = None
    """What the developer of the client can do. Do not show it to the buyer."""
    errors: list[FieldError] | None = None
    """The errors in the request, each with its place."""


class Problem(Exception):
    """An error answer. Any code may raise it while a request is served. It must not contain secrets.

    `detail` tells a buyer what happened and what to do, in plain words. `hint` is for developers.
    """

    status: ClassVar[int]
    slug: ClassVar[str]
    title: ClassVar[str]
    default_detail: ClassVar[str]
    """The detail if the code that raises the problem gives none."""

    def __init__(
        self,
        detail: str | None = None,
        *,
        hint: str | None = None,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.detail = detail or self.default_detail
        super().__init__(hint or self.detail)
        self.hint = hint
        self.errors = tuple(errors)
        self.headers = dict(headers or {})

    @classmethod
    def type_uri(cls) -> str:
        """The stable `type` of this kind of problem."""
        return f"urn:portal:problem:{cls.slug}"

    def document(self, *, instance: str | None = None, request_id: str | None = None) -> BareProblemDocument:
        """The body of the answer."""
        return ProblemDocument(
            type=self.type_uri(),
            title=self.title,
            status=self.status,
            detail=self.detail,
            hint=self.hint,
            instance=instance,
            request_id=request_id,
            errors=list(self.errors) or None,
        )

    @classmethod
    def schema(cls) -> JsonObject:
        """The reference to its schema in the OpenAPI document."""
        return {"$ref": f"#/components/schemas/{ProblemDocument.__name__}"}

    @classmethod
    def example(cls) -> JsonObject:
        """An example for the OpenAPI document."""
        return cls().document().model_dump(exclude_none=True)


class Malformed(Problem):
    status, slug, title = 400, "malformed", "The request cannot be read"
    default_detail = "This request could not be understood. Please reload the page and try again."


class Unauthenticated(Problem):
    """`challenge` is the WWW-Authenticate header (RFC 6750 §3)."""

    status, slug, title = 401, "unauthenticated", "A valid access token is needed"
    default_detail = "Please sign in to continue."

    def __init__(
        self, detail: str | None = None, *, hint: str | None = None, challenge: str = "Bearer"
    ) -> None:
        super().__init__(detail, hint=hint, headers={"WWW-Authenticate": challenge})


class Forbidden(Problem):
    status, slug, title = 403, "forbidden", "The access token does not allow this"
    default_detail = "You are signed in, but you are not allowed to do this."


class NotFound(Problem):
    status, slug, title = 404, "not-found", "Nothing was found here"
    default_detail = "This does not exist, or it is not yours."


class MethodNotAllowed(Problem):
    status, slug, title = 405, "method-not-allowed", "This method is not offered here"
    default_detail = "This cannot be done here."


class RequestTimeout(Problem):
    status, slug, title = 408, "request-timeout", "The request did not arrive in time"
    default_detail = "What you sent did not arrive in time. Please try again."


class Conflict(Problem):
    """`retry_after`, in seconds, becomes a Retry-After header if it is given."""

    status, slug, title = 409, "conflict", "The request contradicts the present state"
    default_detail = "This does not fit what is there at the moment. Please reload the page and try again."

    def __init__(
        self, detail: str | None = None, *, hint: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(detail, hint=hint, headers={} if retry_after is None else _retry_after(retry_after))


class PreconditionFailed(Problem):
    status, slug, title = 412, "precondition-failed", "The resource has changed since it was read"
    default_detail = "Somebody changed this in the meantime. Please reload the page and try again."


class TooLarge(Problem):
    status, slug, title = 413, "too-large", "The request is too large"
    default_detail = "What you sent is too large."


class UnsupportedMedia(Problem):
    status, slug, title = 415, "unsupported-media", "This kind of content is not accepted"
    default_detail = "This kind of content cannot be accepted."


class Invalid(Problem):
    status, slug, title = 422, "invalid", "The request holds values that cannot be accepted"
    default_detail = "Some values cannot be accepted."

    @classmethod
    def at(cls, pointer: str, detail: str) -> "Invalid":
        """One error at one place. It is also the detail, unless it is about a header, query or path."""
        is_for_buyer = not pointer.startswith(("/header/", "/query/", "/path/"))
        return cls(detail if is_for_buyer else None, errors=[FieldError(pointer=pointer, detail=detail)])


class PreconditionRequired(Problem):
    status, slug, title = 428, "precondition-required", "If-Match is needed for this change"
    default_detail = "Please reload the page before you change this."


class TooManyRequests(Problem):
    """`retry_after` as in ServiceUnavailable."""

    status, slug, title = 429, "too-many-requests", "Too many requests were sent in a short time"
    default_detail = "These were too many requests in a short time. Please wait a moment and try again."

    def __init__(
        self, detail: str | None = None, *, hint: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(detail, hint=hint, headers=_retry_after(retry_after))


class HeadTooLarge(Problem):
    """Also for trailer fields and for the extensions of a chunk."""

    status, slug, title = 431, "head-too-large", "The request's line and header fields are too large"
    default_detail = "This request is too long. Please reload the page and try again."


class Internal(Problem):
    status, slug, title = 500, "internal", "Something went wrong on our side"
    default_detail = "Something went wrong on our side. Please try again later."


class BadGateway(Problem):
    status, slug, title = 502, "bad-gateway", "The shop's payment partner gave no usable answer"
    default_detail = "The shop's payment partner gave no usable answer. Please try again later."


class ServiceUnavailable(Problem):
    """`retry_after`, in seconds, becomes a Retry-After header: rounded up, and at least 1."""

    status, slug, title = 503, "unavailable", "The service is unavailable for a moment"
    default_detail = "This does not work at the moment. Please try again in a moment."

    def __init__(
        self, detail: str | None = None, *, hint: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(detail, hint=hint, headers=_retry_after(retry_after))


class InsufficientStorage(Problem):
    status, slug, title = 507, "insufficient-storage", "There is no room for this file at the moment"
    default_detail = "There is no room for this file at the moment. Please try again later."


def _retry_after(seconds: float | None) -> dict[str, str]:
    return {"Retry-After": str(max(1, math.ceil(DEFAULT_RETRY_SECONDS if seconds is None else seconds)))}


def responses(*problems: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of a route that may answer with these problems."""
    declared: dict[int | str, dict[str, Any]] = {}
    for problem in problems:
        entry = declared.setdefault(
            problem.status,
            {"description": "", "content": {MEDIA_TYPE: {"schema": problem.schema(), "examples": {}}}},
        )
        entry["description"] = f"{entry['description']} {problem.title}.".strip()
        example = problem.example()
        entry["content"][MEDIA_TYPE]["examples"][problem.slug] = {"value": example}
    return declared
