"""The fault dial: what is to go wrong, where, and how often."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Self, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from sandbox.faults.json_tampering import LIES, LieKind

Kind = (
    Literal[
        "delay", "status", "throttle", "reset", "garbage", "empty", "duplicate", "reorder", "drop", "hide"
    ]
    | LieKind
)
_REPLACING: tuple[Kind, ...] = ("status", "throttle", "reset", "garbage", "empty")
_OF_DELIVERIES: tuple[Kind, ...] = ("duplicate", "reorder", "drop")
_LYING: tuple[LieKind, ...] = get_args(LieKind)
_OF_LISTS: tuple[Kind, ...] = ("unfiltered", "endless")


class _Wire(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class Target(_Wire):
    """What a fault hits: calls by method and path, or deliveries by event type (both with a trailing `*`).

    A path is compared with the path as called and with its template (`/orders/{id}`).
    What is absent hits everything.
    """

    method: str | None = None
    path: str | None = None
    event_type: str | None = None


class Fault(_Wire):
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
        if self.target.event_type is not None and self.kind not in ("delay", *_OF_DELIVERIES, *_LYING):
            raise ValueError(f"{self.kind} happens to calls, not to deliveries")
        if self.target.event_type is not None and self.kind in _OF_LISTS:
            raise ValueError(f"{self.kind} happens to lists, not to deliveries")
        if self.variant is not None and (not self.is_lie or self.variant not in LIES[self.lie]):
            raise ValueError(f"{self.kind} has no variant {self.variant!r}")
        return self

    @property
    def is_lie(self) -> bool:
        return self.kind in _LYING

    @property
    def lie(self) -> LieKind:
        """Raises ValueError for the kinds that only fail."""
        for kind in _LYING:
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


@dataclass
class _Armed:
    fault: Fault
    since: datetime
    left: int | None

    def is_over(self, now: datetime) -> bool:
        """`seconds` is a lifetime for hide, a duration for the other kinds."""
        ends = [self.fault.until] if self.fault.until else []
        if self.fault.kind == "hide" and self.fault.seconds is not None:
            ends.append(self.since + timedelta(seconds=self.fault.seconds))
        return any(now >= end for end in ends)


@dataclass
class FaultDial:
    """The armed faults, in the order they were set. Taking a fault spends one of its `times`."""

    _armed: list[_Armed] = field(default_factory=list)

    def arm(self, fault: Fault, now: datetime) -> None:
        self._armed.append(_Armed(fault, now, fault.times))

    def clear(self) -> None:
        self._armed.clear()

    def listed(self) -> list[Fault]:
        return [armed.fault.model_copy(update={"times": armed.left}) for armed in self._armed]

    def take_for_call(self, method: str, path: str, template: str, now: datetime) -> list[Fault]:
        return self._take(now, lambda fault: _hits_call(fault, method, path, template))

    def take_for_event(self, event_type: str, now: datetime) -> list[Fault]:
        return self._take(now, lambda fault: _hits_event(fault, event_type))

    def _take(self, now: datetime, hits: Callable[[Fault], bool]) -> list[Fault]:
        self._armed = [armed for armed in self._armed if not armed.is_over(now)]
        taken: list[Fault] = []
        for armed in self._armed:
            is_second = armed.fault.replaces_the_answer and any(one.replaces_the_answer for one in taken)
            if is_second or not hits(armed.fault):
                continue
            taken.append(armed.fault)
            if armed.left is not None:
                armed.left -= 1
        self._armed = [armed for armed in self._armed if armed.left != 0]
        return taken


def _hits_call(fault: Fault, method: str, path: str, template: str) -> bool:
    target = fault.target
    if fault.hits_deliveries or (target.method or method).upper() != method:
        return False
    return target.path is None or matches(target.path, path) or matches(target.path, template)


def _hits_event(fault: Fault, event_type: str) -> bool:
    return fault.hits_deliveries and matches(fault.target.event_type or "*", event_type)


def matches(pattern: str, text: str) -> bool:
    """Equal, or beginning with what stands before a trailing `*`."""
    if pattern.endswith("*"):
        return text.startswith(pattern[:-1])
    return pattern == text
