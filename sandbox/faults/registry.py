"""The active faults, and which of them apply to a call or a delivery."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sandbox.faults.definitions import Fault


@dataclass
class _ActiveFault:
    fault: Fault
    since: datetime
    left: int | None

    def has_ended(self, now: datetime) -> bool:
        """`seconds` is the lifetime of hide. For the other kinds it is a waiting time."""
        ends = [self.fault.until] if self.fault.until else []
        if self.fault.kind == "hide" and self.fault.seconds is not None:
            ends.append(self.since + timedelta(seconds=self.fault.seconds))
        return any(now >= end for end in ends)


@dataclass
class FaultRegistry:
    """The active faults in the order in which they were set. Taking a fault uses up one of its `times`."""

    _active: list[_ActiveFault] = field(default_factory=list)

    def add(self, fault: Fault, now: datetime) -> None:
        self._active.append(_ActiveFault(fault, now, fault.times))

    def clear(self) -> None:
        self._active.clear()

    def list_active(self) -> list[Fault]:
        return [active.fault.model_copy(update={"times": active.left}) for active in self._active]

    def take_for_call(self, method: str, path: str, template: str, now: datetime) -> list[Fault]:
        return self._take(now, lambda fault: _hits_call(fault, method, path, template))

    def take_for_event(self, event_type: str, now: datetime) -> list[Fault]:
        return self._take(now, lambda fault: _hits_event(fault, event_type))

    def _take(self, now: datetime, hits: Callable[[Fault], bool]) -> list[Fault]:
        self._active = [active for active in self._active if not active.has_ended(now)]
        taken: list[Fault] = []
        for active in self._active:
            is_second = active.fault.replaces_the_answer and any(fault.replaces_the_answer for fault in taken)
            if is_second or not hits(active.fault):
                continue
            taken.append(active.fault)
            if active.left is not None:
                active.left -= 1
        self._active = [active for active in self._active if active.left != 0]
        return taken


def _hits_call(fault: Fault, method: str, path: str, template: str) -> bool:
    target = fault.target
    if fault.hits_deliveries or (target.method or method).upper() != method:
        return False
    return target.path is None or matches(target.path, path) or matches(target.path, template)


def _hits_event(fault: Fault, event_type: str) -> bool:
    return fault.hits_deliveries and matches(fault.target.event_type or "*", event_type)


def matches(pattern: str, text: str) -> bool:
    """Whether the text equals the pattern, or starts with the part before a trailing `*`."""
    if pattern.endswith("*"):
        return text.startswith(pattern[:-1])
    return pattern == text
