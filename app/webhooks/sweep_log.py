"""The log of sweeps: one row a run. It decides what is due and how far back to look."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.schema import metadata

# Digital River docs, Events: the list reaches back 30 days.
EVENT_HISTORY = timedelta(days=30)

SweepKind = Literal["recent", "day", "full"]
# The narrowest first: one of each kind does what those before it do.
KINDS: tuple[SweepKind, ...] = get_args(SweepKind)

sweep = sa.Table(
    "sweep",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    # When an operator asked for it; empty when the clock did.
    sa.Column("requested_at", sa.DateTime(timezone=True)),
    sa.Column("reaches_back_to", sa.DateTime(timezone=True)),
    # Empty until it is started. Kept, since what it was may not depend on how anybody computes with times.
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
    """What one sweep saw. `found` were not in the inbox; of these the `overdue` should long have come by
    webhook, the others may have been on their way. `unreadable` ones cannot be kept."""

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
    """One run: requested, under way or over. It went well when it is finished and has no `error`."""

    id: int
    requested_at: datetime | None
    reaches_back_to: datetime | None
    kind: SweepKind | None
    started_at: datetime | None
    finished_at: datetime | None
    finds: SweepResult
    error: str | None


@dataclass(frozen=True, slots=True)
class SweepState:
    """What decides about the next sweep; each time is None when there was no such thing.

    `tried` and `done` tell when the last one that covers a kind was started, and the last that went well."""

    now: datetime
    tried: Mapping[SweepKind, datetime | None]
    done: Mapping[SweepKind, datetime | None]
    failed_at: datetime | None
    waiting: Sweep | None

    @property
    def watermark(self) -> datetime | None:
        """Everything that happened before it has been looked at by a sweep that went well."""
        return self.done["recent"]


async def load_state(connection: AsyncConnection) -> SweepState:
    """What is remembered, as of the database's now."""
    table = sweep
    is_done = sa.and_(table.c.finished_at.is_not(None), table.c.error.is_(None))
    times = [sa.func.now(), sa.func.max(table.c.finished_at).filter(table.c.error.is_not(None))]
    for kind in KINDS:
        last = sa.func.max(table.c.started_at)
        times += [last.filter(_covers(kind)), last.filter(_covers(kind), is_done)]
    now, failed_at, *lasts = (await connection.execute(sa.select(*times))).one()
    # One that was begun and not finished, too: the holder of the lease knows that its worker has died.
    unfinished = sa.and_(table.c.requested_at.is_not(None), table.c.finished_at.is_(None))
    row = (await connection.execute(sa.select(table).where(unfinished).order_by(table.c.id).limit(1))).first()
    return SweepState(
        now,
        tried=dict(zip(KINDS, lasts[::2], strict=True)),
        done=dict(zip(KINDS, lasts[1::2], strict=True)),
        failed_at=failed_at,
        waiting=None if row is None else _sweep(row),
    )


def _covers(kind: SweepKind) -> sa.ColumnElement[bool]:
    """Any sweep does what the narrowest does."""
    return sa.true() if kind == KINDS[0] else sweep.c.kind.in_(KINDS[KINDS.index(kind) :])


async def find_last_sweep(connection: AsyncConnection) -> Sweep | None:
    """The last sweep that was started."""
    statement = sa.select(sweep).where(sweep.c.started_at.is_not(None))
    row = (await connection.execute(statement.order_by(sweep.c.started_at.desc()).limit(1))).first()
    return None if row is None else _sweep(row)


async def count_found(connection: AsyncConnection, *, within: timedelta) -> int:
    """How many events the sweeps since then have found."""
    statement = sa.select(sa.func.coalesce(sa.func.sum(sweep.c.found), 0)).where(
        sweep.c.started_at > sa.func.now() - within
    )
    return int((await connection.execute(statement)).scalar_one())


async def request_sweep(connection: AsyncConnection, reach: timedelta | None) -> Sweep:
    """Ask for a sweep over `reach` (None: since the last one). One that waits already is widened."""
    back_to = None if reach is None else sa.func.now() - reach
    waiting = sa.select(sweep.c.id).where(sweep.c.started_at.is_(None)).order_by(sweep.c.id).limit(1)
    widened = (
        sa.update(sweep)
        .where(sweep.c.id == waiting.with_for_update().scalar_subquery())
        # LEAST passes over what is not known.
        .values(reaches_back_to=sa.func.least(sweep.c.reaches_back_to, back_to))
        .returning(sweep)
    )
    row = (await connection.execute(widened)).first()
    if row is None:
        made = sa.insert(sweep).values(requested_at=sa.func.now(), reaches_back_to=back_to)
        row = (await connection.execute(made.returning(sweep))).one()
    return _sweep(row)


async def start_sweep(
    connection: AsyncConnection, back_to: datetime, kind: SweepKind, *, is_requested: bool = False
) -> int:
    """Begin a sweep by the clock, or one that the caller was asked for; returns its id."""
    requested_at = sa.func.now() if is_requested else None
    made = sa.insert(sweep).values(
        requested_at=requested_at, started_at=sa.func.now(), reaches_back_to=back_to, kind=kind
    )
    return int((await connection.execute(made.returning(sweep.c.id))).scalar_one())


async def start_requested_sweep(
    connection: AsyncConnection, waiting: Sweep, back_to: datetime, kind: SweepKind
) -> int:
    """Begin the sweep that an operator is waiting for; returns its id."""
    values = {"started_at": sa.func.now(), "reaches_back_to": back_to, "kind": kind}
    await connection.execute(sa.update(sweep).where(sweep.c.id == waiting.id).values(**values))
    return waiting.id


async def finish_sweep(
    connection: AsyncConnection, sweep_id: int, finds: SweepResult, error: str | None
) -> None:
    """Record how the sweep ended. Without an error, it is the new watermark."""
    statement = (
        sa.update(sweep)
        .where(sweep.c.id == sweep_id, sweep.c.finished_at.is_(None))
        .values(
            finished_at=sa.func.now(),
            seen=finds.seen,
            found=finds.found,
            overdue=finds.overdue,
            unreadable=finds.unreadable,
            error=error,
        )
    )
    await connection.execute(statement)


async def close_abandoned_sweeps(connection: AsyncConnection) -> None:
    """End the sweeps of workers that died; only the holder of the sweep's lease may call it. What an operator
    had asked for stays open, to be done again."""
    is_orphan = sa.and_(sweep.c.requested_at.is_(None), sweep.c.finished_at.is_(None))
    # Not as of now: that would keep the next worker waiting as after a failure of the far side.
    ended = {"finished_at": sweep.c.started_at, "error": "its worker died or was stopped"}
    await connection.execute(sa.update(sweep).where(is_orphan).values(**ended))


def _sweep(row: sa.Row[tuple[object, ...]]) -> Sweep:
    facts = dict(row._mapping)
    finds = SweepResult(**{name: facts.pop(name) for name in ("seen", "found", "overdue", "unreadable")})
    return Sweep(**facts, finds=finds)
