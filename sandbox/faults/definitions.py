"""The fault dial: what is to go wrong, where, and how often."""

from typing import Literal, Self, get_args

from pydantic import AwareDatetime, Field, model_validator

from sandbox.faults.json_tampering import TAMPERING_VARIANTS, TamperingKind
from sandbox.json_types import JsonModel

Kind = (
    Literal[
        "delay", "status", "throttle", "reset", "garbage", "empty", "duplicate", "reorder", "drop", "hide"
    ]
    | TamperingKind
)
_REPLACING: tuple[Kind, ...] = ("status", "throttle", "reset", "garbage", "empty")
_OF_DELIVERIES: tuple[Kind, ...] = ("duplicate", "reorder", "drop")
_TAMPERING_KINDS: tuple[TamperingKind, ...] = get_args(TamperingKind)
_OF_LISTS: tuple[Kind, ...] = ("unfiltered", "endless")


class Target(JsonModel):
    """What a fault hits: calls by method and path, or deliveries by event type (both with a trailing `*`).

    A path is compared with the path as called and with its template (`/orders/{id}`).
    What is absent hits everything.
    """

    method: str | None = None
    path: str | None = None
    event_type: str | None = None


class Fault(JsonModel):
    """One thing to go wrong.

    For calls. delay: wait `seconds`. status: answer `status` (503). throttle: 429 with `retryAfter` (1).
    reset: TCP reset. garbage: 200, not JSON. empty: 200, no body. hide: 404 or, with `fields`, the answer
    without those members (as if `invoicePDFs` did not exist yet).
    For deliveries. delay: wait `seconds`. duplicate: `copies` more. drop: listed in /events, never delivered.
    reorder: after the next delivery, or after `seconds` (0.5) when none follows.

    For both: lies, which answer or deliver with status and signature as ever. GET /_sandbox/lies names their
    variants; without `variant` one is drawn, by `seed`, the same for all calls of one method and path
    template, or all deliveries of one type. With `fields` a lie about single members or lists is about those
    names only (`*`: all members). unfiltered: a list as if nothing but paging had been asked for. endless: a
    list that always has more: the same page (`same`), an empty one (`empty`), or after the last the first
    again (`cycle`). stranger: another one of the kind in the place of the one asked for, or beside those in a
    list, of another customer when there is one: with its own id (`open`) or under the right one (`renamed`),
    or only its lists, such as sources and documents, in the right one (`nested`). misnamed: the id of
    something else in one member that holds an id, or in each of `fields`. hostile: `variant` stands at the
    end of every text that people read, and as a key of metadata; with `fields` also in ids, states and
    addresses. odd: one drawn member, or each of `fields`, has another type; textNumbers: every number is a
    text; numericIds: every id of digits is a number. untimely: every moment is another. misleading: every
    address (`url`, `…Url`, `…URL`) is another; expired and brief: links have ended, or end in 20 seconds.

    With `afterwards` the resource does its work first and only the answer goes wrong (lost, or late).
    Of several faults that replace the answer only the first hits, and only it is spent.
    Any fault ends after `times` hits or at `until`; hide also `seconds` after it was set. Both moments are on
    the sandbox's clock.
    """

    target: Target = Field(default_factory=Target)
    kind: Kind
    seconds: float | None = Field(default=None, ge=0)
    status: int = Field(default=503, ge=400, le=599)
    retry_after: int = Field(default=1, ge=0)
    copies: int = Field(default=1, ge=1, le=100)
    fields: list[str] = Field(default_factory=list)
    afterwards: bool = False
    variant: str | None = None
    seed: int = 0
    times: int | None = Field(default=None, ge=1)
    until: AwareDatetime | None = None

    @model_validator(mode="after")
    def _must_make_sense(self) -> Self:
        if self.target.event_type is not None and self.kind not in (
            "delay",
            *_OF_DELIVERIES,
            *_TAMPERING_KINDS,
        ):
            raise ValueError(f"{self.kind} happens to calls, not to deliveries")
        if self.target.event_type is not None and self.kind in _OF_LISTS:
            raise ValueError(f"{self.kind} happens to lists, not to deliveries")
        if self.variant is not None and (
            not self.is_tampering or self.variant not in TAMPERING_VARIANTS[self.tampering_kind]
        ):
            raise ValueError(f"{self.kind} has no variant {self.variant!r}")
        return self

    @property
    def is_tampering(self) -> bool:
        return self.kind in _TAMPERING_KINDS

    @property
    def tampering_kind(self) -> TamperingKind:
        """Raises ValueError for the kinds that only fail."""
        for kind in _TAMPERING_KINDS:
            if kind == self.kind:
                return kind
        raise ValueError(f"{self.kind} is no lie")

    @property
    def hits_deliveries(self) -> bool:
        """A delay is for deliveries when its target names an event type."""
        return self.kind in _OF_DELIVERIES or self.target.event_type is not None

    @property
    def replaces_the_answer(self) -> bool:
        return self.kind in _REPLACING or (self.kind == "hide" and not self.fields)
