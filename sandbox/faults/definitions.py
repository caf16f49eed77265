"""The definition of a fault: what goes wrong, for which calls or deliveries, and how often."""

from typing import Literal, Self, get_args

from pydantic import AwareDatetime, Field, model_validator

from sandbox.faults.json_tampering import TAMPERING_VARIANTS, TamperingKind
from sandbox.json_types import JsonModel

FaultKind = (
    Literal[
        "delay", "status", "throttle", "reset", "garbage", "empty", "duplicate", "reorder", "drop", "hide"
    ]
    | TamperingKind
)
_REPLACING: tuple[FaultKind, ...] = ("status", "throttle", "reset", "garbage", "empty")
_OF_DELIVERIES: tuple[FaultKind, ...] = ("duplicate", "reorder", "drop")
_TAMPERING_KINDS: tuple[TamperingKind, ...] = get_args(TamperingKind)
_OF_LISTS: tuple[FaultKind, ...] = ("unfiltered", "endless")


class Target(JsonModel):
    """The calls (by method and path) or the deliveries (by event type) that a fault applies to.

    A path or event type may end with `*`. A path matches the called path or its template (`/orders/{id}`).
    An absent member matches everything.
    """

    method: str | None = None
    path: str | None = None
    event_type: str | None = None


class Fault(JsonModel):
    """One fault.

    Faults of calls:
    - delay: wait `seconds` before the call.
    - status: answer with `status` (503).
    - throttle: answer 429 with `retryAfter` (1).
    - reset: reset the TCP connection.
    - garbage: answer 200 with a body that is not JSON.
    - empty: answer 200 without a body.
    - hide: answer 404. With `fields`, answer without those members (for example without `invoicePDFs`).

    Faults of deliveries:
    - delay: wait `seconds`.
    - duplicate: deliver `copies` more.
    - drop: list the event in /events, but do not deliver it.
    - reorder: deliver after the next delivery attempt, or after `seconds` (0.5).

    Tampering, for calls and deliveries: the status and the signature are right, the data is wrong.
    GET /_sandbox/lies lists the variants. Without `variant`, `seed` selects one. The selection is the same
    for all calls of one method and path template, and for all deliveries of one event type. With `fields`,
    kinds that change members or lists change only the members with those names (`*`: all members).
    - unfiltered: the list ignores all parameters except paging.
    - endless: the list always claims to have more. `same`: it repeats the same page. `empty`: it sends empty
      pages. `cycle`: after the last page comes the first.
    - stranger: another resource of the same kind, of another customer if there is one. In a list it is added,
      or replaces an entry. `open`: with its own id. `renamed`: with the right id. `nested`: only its lists,
      such as sources and documents, inside the right resource.
    - misnamed: one member that holds an id, or each of `fields`, gets the id of another resource.
    - hostile: `variant` is appended to every text for people and is added as a key to metadata. With `fields`
      also to ids, states and URLs.
    - odd: one member, or each of `fields`, gets a value of another type. `textNumbers`: every number is a
      text. `numericIds`: every id of digits is a number.
    - untimely: every time is replaced.
    - misleading: every URL (`url`, `…Url`, `…URL`) is replaced. `expired`, `brief`: links have expired, or
      expire in 20 seconds.

    With `afterwards` the resource handles the call first; then the answer is lost or late.
    If several faults replace the answer, only the first applies and counts.
    A fault ends after `times` hits or at `until`; hide also ends `seconds` after it was set. `until` and that
    lifetime are on the sandbox's clock.
    """

    target: Target = Field(default_factory=Target)
    kind: FaultKind
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
    def _check_combination(self) -> Self:
        if self.target.event_type is not None and self.kind not in (
            "delay",
            *_OF_DELIVERIES,
            *_TAMPERING_KINDS,
        ):
            raise ValueError(f"{self.kind} applies to calls, not to deliveries")
        if self.target.event_type is not None and self.kind in _OF_LISTS:
            raise ValueError(f"{self.kind} applies to lists, not to deliveries")
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
        """Raises ValueError for the other kinds."""
        for kind in _TAMPERING_KINDS:
            if kind == self.kind:
                return kind
        raise ValueError(f"{self.kind} is no tampering")

    @property
    def hits_deliveries(self) -> bool:
        """A delay applies to deliveries if its target has an event type."""
        return self.kind in _OF_DELIVERIES or self.target.event_type is not None

    @property
    def replaces_the_answer(self) -> bool:
        return self.kind in _REPLACING or (self.kind == "hide" and not self.fields)
