"""Counts what each key does, in all processes together: token buckets in PostgreSQL, spent in portions."""

import asyncio
from dataclasses import dataclass, field
from hashlib import blake2b
from math import floor
from time import monotonic

import asyncpg
import sqlalchemy as sa
import structlog

from app.db.errors import FAILURES
from app.db.schema import metadata

WINDOW_SECONDS = 60
# What is left of a portion then is lost, so that a key at rest hoards nothing.
PORTION_SECONDS = 2.0
FIRST_PORTION = 4
# Of what the bucket holds. The last tokens go one by one, to whichever process needs them.
PORTION_DIVISOR = 16
TAKE_SECONDS = 0.5
FAILURE_PAUSE_SECONDS = 2.0
MAX_LOCAL_BUCKETS = 10_000
# PostgreSQL's times have microseconds: to a whole token so little may seem to be missing.
ROUNDING = 0.001

log = structlog.get_logger()

rate_bucket = sa.Table(
    "rate_bucket",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    # This one moment tells how much is missing. When it is past the bucket is full, as one without a row is.
    # No index: every portion moves it.
    sa.Column("full_at", sa.DateTime(timezone=True), nullable=False),
    # What the last one to ask was given.
    sa.Column("portion", sa.Integer, nullable=False),
    # A crash of the server fills all buckets, which is no harm; and no write waits for the disk.
    prefixes=["UNLOGGED"],
)

_TAKE = """
INSERT INTO rate_bucket AS bucket (digest, full_at, portion)
SELECT $1, now() + make_interval(secs => portion * $3::float8), portion
FROM (SELECT least($4::integer, greatest(1, $2::integer / $5::integer))) AS asked (portion)
ON CONFLICT (digest) DO UPDATE SET (full_at, portion) = (
    SELECT since + make_interval(secs => portion * $3), portion
    FROM (SELECT greatest(bucket.full_at, now())) AS fullness (since),
        LATERAL (SELECT floor($2 - extract(epoch FROM since - now()) / $3)::integer) AS held (tokens),
        LATERAL (SELECT greatest(0, least($4, tokens, greatest(1, tokens / $5)))) AS asked (portion)
)
RETURNING portion, extract(epoch FROM full_at - now())::float8 AS fills_in
"""


@dataclass(frozen=True, slots=True)
class BucketState:
    """What became of one request: `remaining` more would pass now; after a refusal the next one in `wait`
    seconds."""

    is_admitted: bool
    remaining: int
    wait: float


@dataclass(slots=True)
class _LocalBucket:
    """What this process knows of one key: its portion, or until when there is nothing to be had."""

    tokens: int = 0
    # In the bucket, when the portion was taken from it.
    remaining_in_shared: int = 0
    portion_size: int = 0
    expires_at: float = 0.0
    empty_until: float = 0.0
    refill_lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def spend(self) -> BucketState | None:
        """One token, or the refusal that is remembered; None when PostgreSQL must be asked."""
        now = monotonic()
        if now < self.empty_until:
            return BucketState(False, 0, self.empty_until - now)
        if self.tokens and now < self.expires_at:
            self.tokens -= 1
            return BucketState(True, self.tokens + self.remaining_in_shared, 0.0)
        return None

    def fill(self, portion: int, held: float, seconds_each: float) -> BucketState:
        """Spend the first token of a new portion, while the bucket holds `held` more; or note the refusal."""
        now = monotonic()
        self.tokens = self.portion_size = portion
        if not portion:
            wait = (1 - held) * seconds_each
            self.empty_until = now + wait
            return BucketState(False, 0, wait)
        self.tokens -= 1
        self.remaining_in_shared = floor(held + ROUNDING)
        self.expires_at = now + PORTION_SECONDS
        return BucketState(True, self.tokens + self.remaining_in_shared, 0.0)

    def next_portion(self) -> int:
        """How large the next portion should be: a busy key comes back less and less often."""
        was_used_up = not self.tokens and monotonic() < self.expires_at
        return max(FIRST_PORTION, 2 * self.portion_size) if was_used_up else FIRST_PORTION


class TokenBuckets:
    """A bucket for each key, as large as its limit, filled evenly within WINDOW_SECONDS.

    In any T seconds a key passes at most once its limit, and what flows into a bucket in T + PORTION_SECONDS,
    however many processes there are.
    """

    def __init__(self, pool: asyncpg.Pool, secret: str) -> None:
        """Hot: it takes the pool, because every request takes a token. `secret` is the same in all
        processes; without it a stored digest does not tell whose it is."""
        self._pool = pool
        self._secret = blake2b(secret.encode()).digest()
        self._buckets: dict[str, _LocalBucket] = {}
        self._paused_until = 0.0

    async def take(self, key: str, limit: int) -> BucketState | None:
        """Take one token for `key`, which may have `limit` of them in a window.

        None when PostgreSQL cannot tell in time. Let the request pass then: a limit that refuses everybody
        makes an outage worse, and what cannot be had without PostgreSQL is refused further on anyway."""
        bucket = self._buckets.get(key) or self._add_bucket(key)
        state = bucket.spend()
        if state is None:
            # One of them asks; the others find here what it was given.
            async with bucket.refill_lock:
                state = bucket.spend() or await self._refill(bucket, key, limit)
        return state

    def _add_bucket(self, key: str) -> _LocalBucket:
        if len(self._buckets) >= MAX_LOCAL_BUCKETS:
            del self._buckets[next(iter(self._buckets))]
        bucket = self._buckets[key] = _LocalBucket()
        return bucket

    async def _refill(self, bucket: _LocalBucket, key: str, limit: int) -> BucketState | None:
        if monotonic() < self._paused_until:
            return None
        digest = blake2b(key.encode(errors="surrogatepass"), digest_size=16, key=self._secret).digest()
        seconds_each = WINDOW_SECONDS / limit
        try:
            async with asyncio.timeout(TAKE_SECONDS):
                portion, fills_in = await self._pool.fetchrow(
                    _TAKE, digest, limit, seconds_each, bucket.next_portion(), PORTION_DIVISOR
                )
        except FAILURES as error:
            # For a while no request asks: one that waits is enough.
            self._paused_until = monotonic() + FAILURE_PAUSE_SECONDS
            log.warning("limits.blind", error=type(error).__name__)
            return None
        return bucket.fill(portion, limit - fills_in / seconds_each, seconds_each)
