"""Compares the portal with its floor: in turns, so that the machine is equally noisy for both."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.figures import COUNT, MICROSECONDS, MILLISECONDS, PER_SECOND, RATIO, Goal
from bench.load import Job, Outcome
from bench.measure.context import CONNECTIONS, Bench
from bench.processes import Server

WARM_UP = 500
TAIL = Goal(must=4, aim=3)

Requests = Callable[[int], Sequence[bytes]]
"""Makes this many requests for one of the two."""


@dataclass(frozen=True)
class Side:
    """The portal or its floor, and the requests that make it do the same work."""

    server: Server
    requests: Requests
    status: int


@dataclass(frozen=True)
class Turn:
    """How one of the two did in one round. `good` requests were answered as they should be."""

    outcome: Outcome
    good: int
    cpu_seconds: float

    @property
    def per_second(self) -> float:
        return self.good / self.outcome.seconds

    @property
    def other_answers(self) -> int:
        return len(self.outcome.latencies) - self.good

    @property
    def cpu_microseconds(self) -> float:
        """Of the server, for each request."""
        return self.cpu_seconds / len(self.outcome.latencies) * 1e6

    @property
    def tail(self) -> float:
        """The ratio of p99 to p50."""
        return self.outcome.percentile(0.99) / self.outcome.percentile(0.5)

    def milliseconds(self, share: float) -> float:
        return self.outcome.percentile(share) * 1000


@dataclass(frozen=True)
class Round:
    floor: Turn
    portal: Turn


def run_rounds(
    bench: Bench, floor: Side, portal: Side, count: int, per_second: float | None = None
) -> Sequence[Round]:
    """In each round, send `count` requests to the floor, then to the portal."""
    return [
        Round(*(_turn(bench, side, count, per_second) for side in (floor, portal)))
        for _ in range(bench.rounds)
    ]


def warm_up(bench: Bench, *sides: Side) -> None:
    """Requests that are not counted, until pools are full and statements are prepared."""
    for side in sides:
        _turn(bench, side, WARM_UP, None)


def _turn(bench: Bench, side: Side, count: int, per_second: float | None) -> Turn:
    server = side.server
    job = Job(server.port, side.requests(count), CONNECTIONS, per_second)
    before = server.cpu_seconds()
    outcome = bench.load.send(job)
    spent = server.cpu_seconds() - before
    return Turn(outcome, outcome.statuses[side.status], spent)


def add_full_load(
    bench: Bench, what: str, rounds: Sequence[Round], *, throughput: Goal, cpu: Goal | None = None
) -> None:
    """The rows of rounds at full load. `what` is a plural, as in "lists per second"."""
    table = bench.table
    table.add(
        f"{what}, portal : floor",
        [r.portal.per_second / r.floor.per_second for r in rounds],
        RATIO,
        throughput,
    )
    table.add("  portal", [r.portal.per_second for r in rounds], PER_SECOND)
    table.add("  floor", [r.floor.per_second for r in rounds], PER_SECOND)
    table.add(
        "  server CPU per request, portal : floor",
        [r.portal.cpu_microseconds / r.floor.cpu_microseconds for r in rounds],
        RATIO,
        cpu,
    )
    table.add("    portal", [r.portal.cpu_microseconds for r in rounds], MICROSECONDS)
    table.add("    floor", [r.floor.cpu_microseconds for r in rounds], MICROSECONDS)
    table.add(f"  p99 : p50, {CONNECTIONS} connections, portal", [r.portal.tail for r in rounds], RATIO, TAIL)
    table.add("    floor", [r.floor.tail for r in rounds], RATIO)
    for share in (0.5, 0.99):
        name = f"p{share * 100:.0f}"
        table.add(f"    {name}, portal", [r.portal.milliseconds(share) for r in rounds], MILLISECONDS)
        table.add(f"    {name}, floor", [r.floor.milliseconds(share) for r in rounds], MILLISECONDS)
    add_other_answers(bench, rounds)
    sent = [turn.outcome for r in rounds for turn in (r.floor, r.portal)]
    table.add(
        "  CPU of the load generator per request", [_generator_microseconds(o) for o in sent], MICROSECONDS
    )


def add_other_answers(bench: Bench, rounds: Sequence[Round]) -> None:
    """A row if a request was refused or broken, as on a machine that is too busy: the others count less."""
    for name, turns in (("portal", [r.portal for r in rounds]), ("floor", [r.floor for r in rounds])):
        if count := sum(turn.other_answers for turn in turns):
            bench.table.add_one(f"  other answers of the {name}", count, COUNT, Goal(must=0))


def _generator_microseconds(outcome: Outcome) -> float:
    return outcome.cpu_seconds / len(outcome.latencies) * 1e6
