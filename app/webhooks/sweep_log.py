"""The table of sweeps, one row for each run. Its rows decide which sweep is due and how far back it looks."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.schema import metadata

# Digital River docs, Events: the list holds the events of the last 30 days.
EVENT_HISTORY = timedelta(days=30)

SweepKind = Literal["recent", "day", "full"]
# The narrowest first: a sweep of one kind covers the kinds before it.
KINDS: tuple[SweepKind, ...] = get_args(SweepKind)

sweep = sa.Table(
    "sweep",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    # When an operator requested it; null if the schedule started it.
    sa.Column("requested_at", sa.DateTime(timezone=True)),
    sa.Column("reaches_back_to", sa.DateTime(timezone=True)),
    # Null until the sweep starts. Stored, because arithmetic with stored times might give another kind later.
    sa.Column("kind", sa.Text),
    sa.Column("started_at", sa.DateTime(timezone=True)),
    sa.Column("finished_at", sa.DateTime(timezone=True)),
    sa.Column("seen", sa.Integer, nullable=False, server_default=sa.text("0")),
    sa.Column("found", sa.Integer, nullable=False, server_default=sa.text("0")),
    sa.Column("overdue", sa.Integer, nullable=False, server_default=sa.text("0")),
    sa.Column("unreadable", sa.Integer, nullable=False, server_default=sa.text("0")),
    sa.Column("error", sa.Text),
    sa.CheckConstraint("kind IN ('recent', 'day', 'full')", name="kind"),
)


@dataclass(frozen=True, slots=True)
class SweepResult:
    """How many events one sweep saw. The `found` ones were not in the inbox. Of these, the webhook of the
    `overdue` ones should have come already; the others may have been on their way. The `unreadable` ones
    cannot be kept."""

    seen: int = 0
    found: int = 0
    overdue: int = 0
    unreadable: int = 0

    def __add__(self, other: "SweepResult") -> "SweepResult":
        return SweepResult(
            self.seen + other.seen,
            self.found + other.found,
            self.overdue + other.overdue,
            self.unreadable + other.unreadable,
        )


@dataclass(frozen=True, slots=True)
class Sweep:
    """One run: requested, running or finished. It succeeded if it is finished and has no `error`."""

    id: int
    requested_at: datetime | None
    reaches_back_to: datetime | None
    kind: SweepKind | None
    started_at: datetime | None
    finished_at: datetime | None
    result: SweepResult
    error: str | None


@dataclass(frozen=True, slots=True)
class SweepState:
    """What decides about the next sweep. A time is None if there was no such sweep.

    `last_started` holds, for each kind, when the last sweep that covers it started; `last_succeeded` counts
    only those that succeeded. `request` is the oldest request of an operator that is not finished.
    """

    now: datetime
    last_started: Mapping[SweepKind, datetime | None]
    last_succeeded: Mapping[SweepKind, datetime | None]
    failed_at: datetime | None
    request: Sweep | None

    @property
    def watermark(self) -> datetime | None:
        """Sweeps that succeeded have covered everything that happened before this time."""
        return self.last_succeeded["recent"]


async def load_state(connection: AsyncConnection) -> SweepState:
    """The state as of the database's `now()`."""
    table = sweep
    is_success = sa.and_(table.c.finished_at.is_not(None), table.c.error.is_(None))
    times = [sa.func.now(), sa.func.max(table.c.finished_at).filter(table.c.error.is_not(None))]
    for kind in KINDS:
        last = sa.func.max(table.c.started_at)
        times += [last.filter(_covers(kind)), last.filter(_covers(kind), is_success)]
    now, failed_at, *last_times = (await connection.execute(sa.select(*times))).one()
    # A request that was started and not finished counts too: its worker has died, or the lease would be held.
    unfinished = sa.and_(table.c.requested_at.is_not(None), table.c.finished_at.is_(None))
    row = (await connection.execute(sa.select(table).where(unfinished).order_by(table.c.id).limit(1))).first()
    return SweepState(
        now,
        last_started=dict(zip(KINDS, last_times[::2], strict=True)),
        last_succeeded=dict(zip(KINDS, last_times[1::2], strict=True)),
        failed_at=failed_at,
        request=None if row is None else _sweep(row),
    )


def _covers(kind: SweepKind) -> sa.ColumnElement[bool]:
    """Sweeps that are of `kind` or wider. Every sweep covers the narrowest kind."""
    return sa.true() if kind == KINDS[0] else sweep.c.kind.in_(KINDS[KINDS.index(kind) :])


async def find_last_sweep(connection: AsyncConnection) -> Sweep | None:
    """The sweep that was started last."""
    statement = sa.select(sweep).where(sweep.c.started_at.is_not(None))
    row = (await connection.execute(statement.order_by(sweep.c.started_at.desc()).limit(1))).first()
    return None if row is None else _sweep(row)


async def count_found(connection: AsyncConnection, *, within: timedelta) -> int:
    """How many events the sweeps that started `within` this time have found."""
    statement = sa.select(sa.func.coalesce(sa.func.sum(sweep.c.found), 0)).where(
        sweep.c.started_at > sa.func.now() - within
    )
    return int((await connection.execute(statement)).scalar_one())


async def request_sweep(connection: AsyncConnection, lookback: timedelta | None) -> Sweep:
    """Request a sweep over `lookback` (None: since the last one). A request that waits already is widened."""
    since = None if lookback is None else sa.func.now() - lookback
    waiting = sa.select(sweep.c.id).where(sweep.c.started_at.is_(None)).order_by(sweep.c.id).limit(1)
    widen = (
        sa.update(sweep)
        .where(sweep.c.id == waiting.with_for_update().scalar_subquery())
        # LEAST ignores nulls.
        .values(reaches_back_to=sa.func.least(sweep.c.reaches_back_to, since))
        .returning(sweep)
    )
    row = (await connection.execute(widen)).first()
    if row is None:
        insert = sa.insert(sweep).values(requested_at=sa.func.now(), reaches_back_to=since)
        row = (await connection.execute(insert.returning(sweep))).one()
    return _sweep(row)


async def start_sweep(
    connection: AsyncConnection, since: datetime, kind: SweepKind, *, is_requested: bool = False
) -> int:
    """Insert a sweep that starts now, by the schedule or on request; returns its id."""
    requested_at = sa.func.now() if is_requested else None
    insert = sa.insert(sweep).values(
        requested_at=requested_at, started_at=sa.func.now(), reaches_back_to=since, kind=kind
    )
    return int((await connection.execute(insert.returning(sweep.c.id))).scalar_one())


async def start_requested_sweep(
    connection: AsyncConnection, request: Sweep, since: datetime, kind: SweepKind
) -> int:
    """Start the sweep that an operator requested; returns its id."""
    values = {"started_at": sa.func.now(), "reaches_back_to": since, "kind": kind}
    await connection.execute(sa.update(sweep).where(sweep.c.id == request.id).values(**values))
    return request.id


async def finish_sweep(
    connection: AsyncConnection, sweep_id: int, result: SweepResult, error: str | None
) -> None:
    """Record how the sweep ended. If it has no error, its start is the new watermark."""
    statement = (
        sa.update(sweep)
        .where(sweep.c.id == sweep_id, sweep.c.finished_at.is_(None))
        .values(
            finished_at=sa.func.now(),
            seen=result.seen,
            found=result.found,
            overdue=result.overdue,
            unreadable=result.unreadable,
            error=error,
        )
    )
    await connection.execute(statement)


async def close_abandoned_sweeps(connection: AsyncConnection) -> None:
    """End the sweeps of workers that died. Only the holder of the sweep's lease may call it. A sweep that an
    operator requested stays open, so that a worker starts it again."""
    is_orphan = sa.and_(sweep.c.requested_at.is_(None), sweep.c.finished_at.is_(None))
    # Not `now()`: then the next worker would wait, as it does after a failure of Digital River.
    ended = {"finished_at": sweep.c.started_at, "error": "its worker died or was stopped"}
    await connection.execute(sa.update(sweep).where(is_orphan).values(**ended))


def _sweep(row: sa.Row[tuple[object, ...]]) -> Sweep:
    values = dict(row._mapping)
    result = SweepResult(**{name: values.pop(name) for name in ("seen", "found", "overdue", "unreadable")})
    return Sweep(**values, result=result)
