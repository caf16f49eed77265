"""Limits how often each key may act in all processes together: token buckets in PostgreSQL.

A process takes tokens from PostgreSQL in portions and spends them without further statements.
"""

import asyncio
from contextvars import Context
from dataclasses import dataclass
from hashlib import blake2b
from math import floor
from time import monotonic

import sqlalchemy as sa
import structlog

from app.db.errors import DATABASE_ERRORS
from app.db.hot_pool import HotPool
from app.db.schema import metadata

WINDOW_SECONDS = 60
# After this time the rest of a portion is lost, so that an idle key keeps no tokens.
PORTION_SECONDS = 2.0
FIRST_PORTION = 4
# A portion is at most the tokens in the bucket divided by this. So processes take the last tokens one by one.
PORTION_DIVISOR = 16
TAKE_SECONDS = 0.5
FAILURE_PAUSE_SECONDS = 2.0
MAX_LOCAL_BUCKETS = 10_000
# PostgreSQL stores times in microseconds, so a whole token may seem to lack this fraction.
ROUNDING = 0.001

log = structlog.get_logger()

rate_bucket = sa.Table(
    "rate_bucket",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    # This time gives the number of missing tokens. A bucket is full if it is past or there is no row.
    # No index, because each portion changes it.
    sa.Column("full_at", sa.DateTime(timezone=True), nullable=False),
    # The size of the last portion.
    sa.Column("portion", sa.Integer, nullable=False),
    # No write waits for the disk. A crash of the server empties the table, so all buckets are full again.
    prefixes=["UNLOGGED"],
)

_TAKE = """
INSERT INTO rate_bucket AS bucket (digest, full_at, portion)
SELECT $1, now() + make_interval(secs => portion * $3::float8), portion
FROM (SELECT least($4::integer, greatest(1, $2::integer / $5::integer))) AS requested (portion)
ON CONFLICT (digest) DO UPDATE SET (full_at, portion) = (
    SELECT since + make_interval(secs => portion * $3), portion
    FROM (SELECT greatest(bucket.full_at, now())) AS fullness (since),
        LATERAL (SELECT floor($2 - extract(epoch FROM since - now()) / $3)::integer) AS held (tokens),
        LATERAL (SELECT greatest(0, least($4, tokens, greatest(1, tokens / $5)))) AS requested (portion)
)
RETURNING portion, extract(epoch FROM full_at - now())::float8 AS fills_in
"""


@dataclass(frozen=True, slots=True)
class BucketState:
    """The result of one request: `remaining` more would pass now. After a refusal, the next passes in `wait`
    seconds."""

    is_admitted: bool
    remaining: int
    wait: float


@dataclass(slots=True)
class _LocalBucket:
    """The state of one key in this process: its portion, or until when its bucket in PostgreSQL is empty."""

    tokens: int = 0
    # In PostgreSQL, when the portion was taken.
    left_in_database: int = 0
    portion_size: int = 0
    expires_at: float = 0.0
    empty_until: float = 0.0
    refill: asyncio.Task[bool] | None = None
    # The requests that need the next portion.
    waiting: int = 0

    def spend(self) -> BucketState | None:
        """Spend a token, or repeat a refusal; None if a new portion from PostgreSQL is needed."""
        now = monotonic()
        if now < self.empty_until:
            return BucketState(False, 0, self.empty_until - now)
        if self.tokens and now < self.expires_at:
            self.tokens -= 1
            return BucketState(True, self.tokens + self.left_in_database, 0.0)
        return None

    def fill(self, portion: int, left: float, seconds_each: float) -> None:
        """Store a new portion; an empty one refuses requests for a while. The bucket has `left` more."""
        now = monotonic()
        self.tokens = self.portion_size = portion
        if portion:
            self.left_in_database = floor(left + ROUNDING)
            self.expires_at = now + PORTION_SECONDS
        else:
            self.empty_until = now + (1 - left) * seconds_each

    def next_portion(self) -> int:
        """The size of the next portion. It doubles for a busy key, which then needs fewer statements."""
        was_used_up = not self.tokens and monotonic() < self.expires_at
        return max(FIRST_PORTION, self.waiting, 2 * self.portion_size if was_used_up else 0)


class TokenBuckets:
    """A bucket for each key, as large as its limit. It fills evenly within WINDOW_SECONDS.

    In T seconds, a key passes at most its limit plus what flows into its bucket in T + PORTION_SECONDS. This
    holds for any number of processes.
    """

    def __init__(self, pool: HotPool, secret: str) -> None:
        """Take the hot pool, because each request takes a token. `secret` must be the same in all processes;
        without it, a stored digest does not reveal its key."""
        self._pool = pool
        self._secret = blake2b(secret.encode()).digest()
        self._buckets: dict[str, _LocalBucket] = {}
        self._paused_until = 0.0

    async def take(self, key: str, limit: int) -> BucketState | None:
        """Take one token for `key`, which gets `limit` of them in a window.

        None if PostgreSQL does not answer in time. The caller should then let the request pass: to refuse all
        requests would make an outage worse, and a request that needs PostgreSQL fails later anyway."""
        bucket = self._buckets.get(key) or self._add_bucket(key)
        while (state := bucket.spend()) is None:
            if not await self._wait_for_portion(bucket, key, limit):
                return None
            if not bucket.portion_size:
                # Not once more, although the bucket may have a token again by now.
                return BucketState(False, 0, max(0.0, bucket.empty_until - monotonic()))
        return state

    async def _wait_for_portion(self, bucket: _LocalBucket, key: str, limit: int) -> bool:
        """Wait for the next portion. False if PostgreSQL does not answer in time.

        One statement takes it for all requests that wait, and they go on together. With a lock, one of them
        went on in each turn of the event loop, and later requests overtook the rest: at full load p99 was
        4.4 times the median, and is 1.5 times.
        """
        if monotonic() < self._paused_until:
            return False
        if bucket.refill is None:
            # Without the context of the request that happens to be the first.
            bucket.refill = asyncio.create_task(self._refill(bucket, key, limit), context=Context())
        bucket.waiting += 1
        try:
            # A request that is cancelled leaves the statement to the others.
            return await asyncio.shield(bucket.refill)
        finally:
            bucket.waiting -= 1

    def _add_bucket(self, key: str) -> _LocalBucket:
        if len(self._buckets) >= MAX_LOCAL_BUCKETS:
            del self._buckets[next(iter(self._buckets))]
        bucket = self._buckets[key] = _LocalBucket()
        return bucket

    async def _refill(self, bucket: _LocalBucket, key: str, limit: int) -> bool:
        digest = blake2b(key.encode(errors="surrogatepass"), digest_size=16, key=self._secret).digest()
        seconds_each = WINDOW_SECONDS / limit
        try:
            async with asyncio.timeout(TAKE_SECONDS), self._pool.acquire() as connection:
                # Not before there is a connection, because more requests may wait by then.
                portion, fills_in = await connection.fetchrow(
                    _TAKE, digest, limit, seconds_each, bucket.next_portion(), PORTION_DIVISOR
                )
        except DATABASE_ERRORS as error:
            # For a while no request tries PostgreSQL, so that not each of them waits.
            self._paused_until = monotonic() + FAILURE_PAUSE_SECONDS
            log.warning("limits.blind", error=type(error).__name__)
            return False
        finally:
            # The task holds a quarter of a kilobyte, and there may be many buckets.
            bucket.refill = None
        bucket.fill(portion, limit - fills_in / seconds_each, seconds_each)
        return True
