"""Fills a database in seconds with the rows, and the skew, of years in production.

Bodies and names are short, because the planner prefers to read a small table whole.
"""

import asyncio
from hashlib import md5

import asyncpg

LARGE_CUSTOMER = "customer-merchant"
SMALL_CUSTOMER = "customer-4711"
EVENTS = 1_000_000
BACKLOG = 200_000
# Seven weeks of it: four and a half seconds from one event or document to the next.
_AGE = "now() - (1000000 - n) * interval '4.5 seconds'"

# Nearly all are done. Rare rows are old, so a scan from the newest reads many rows to find them. Bodies are
# kept for longer than necessary.
_EVENTS = f"""
INSERT INTO webhook_event (id, type, state, origin, order_id, received_at, due_at, body, finished_at, reason)
SELECT md5('event' || n),
       CASE WHEN n <= 3 THEN 'order.rare' WHEN state = 'ignored' THEN 'order.accepted'
            WHEN n % 20 = 0 THEN 'order.credit_memo.created' ELSE 'order.invoice.created' END,
       state, 'webhook', 'order-' || n / 2, at,
       CASE state WHEN 'pending' THEN now() - interval '1 second' ELSE at END,
       CASE WHEN n > 800000 OR state IN ('pending', 'buried') THEN '{{}}' END,
       CASE WHEN state <> 'pending' THEN at + interval '1 second' END,
       CASE state WHEN 'buried' THEN 'unusable' END
FROM generate_series(1, {EVENTS}) AS n,
     LATERAL (SELECT {_AGE} AS at,
                     CASE WHEN n BETWEEN 500000 AND 500009 THEN 'pending'
                          WHEN n BETWEEN 500100 AND 500149 THEN 'buried'
                          WHEN n < 1000 THEN 'ignored' ELSE 'done' END AS state) AS facts
"""

# Every twentieth is one merchant's: 50,000. All others have about ten.
_DOCUMENTS = f"""
INSERT INTO document (id, file_id, order_id, customer_id, kind, file_name, created_at, available_since)
SELECT md5('document' || n)::uuid, 'file-' || md5('file' || n), 'order-' || n / 2,
       CASE WHEN n % 20 = 0 THEN '{LARGE_CUSTOMER}' ELSE 'customer-' || n % 100000 END,
       CASE WHEN n <= 20 THEN 'creditMemo' ELSE 'invoice' END, 'invoice.pdf', {_AGE}, {_AGE}
FROM generate_series(1, {EVENTS}) AS n
"""

# Pruning has not run for long: most have expired.
_LINKS = f"""
INSERT INTO file_link (file_id, link_id, url, expires_at)
SELECT 'file-' || md5('file' || n), md5('link' || n), 'https://links.invalid/' || n, {_AGE} + interval '1 day'
FROM generate_series(1, {EVENTS}) AS n
"""

_CHECKS = f"""
INSERT INTO order_check (order_id, customer_id, invoice, credit_memo, checked_at)
SELECT 'order-' || n / 2, 'customer-' || n % 100000, 'ready', 'notIssued', {_AGE}
FROM generate_series(2, {EVENTS}, 2) AS n
"""

# Support reads more by order and by document than by customer.
_AUDIT = f"""
INSERT INTO audit_record (at, subject, customer_id, operation, path_ids, request_id)
SELECT {_AGE}, 'support', CASE WHEN n % 5 = 0 THEN 'customer-' || n % 100000 END, 'GET /v1/orders',
       CASE WHEN n % 5 = 0 THEN '{{}}' ELSE jsonb_build_object('orderId', 'order-' || n / 2) END, 'request'
FROM generate_series(2, {EVENTS}, 4) AS n
"""

_REQUESTS = f"""
INSERT INTO idempotent_request (name, customer_id, holder, valid_until, status)
SELECT decode(md5('request' || n), 'hex'), 'customer-' || n % 100000, gen_random_uuid(),
       {_AGE} + interval '1 day', 200
FROM generate_series(4, {EVENTS}, 4) AS n
"""

# One client used many addresses, an hour ago.
_BUCKETS = f"""
INSERT INTO rate_bucket (digest, full_at, portion)
SELECT decode(md5('bucket' || n), 'hex'), now() - interval '1 hour', 4 FROM generate_series(1, {EVENTS}) AS n
"""

# And asked for orders that do not exist.
_ABSENCES = """
INSERT INTO order_absence (digest, seen_at)
SELECT decode(md5('absence' || n), 'hex'), now() - interval '1 hour' FROM generate_series(1, 200000) AS n
"""

# Digital River's links were of no use for an hour.
_REFUSALS = """
INSERT INTO link_refusal (file_id, reason, refused_at)
SELECT 'file-' || md5('file' || n), 'host', now() - interval '2 hours' FROM generate_series(1, 200000) AS n
"""

# They are kept for ever.
_FORGETTING = f"""
INSERT INTO forget_request (customer_id, subject, request_id, requested_at)
SELECT 'customer-' || n % 100000, 'customer-' || n % 100000, 'request', {_AGE}
FROM generate_series(1, 200000) AS n
"""

# Every ten minutes for the 45 days that they are kept.
_SWEEPS = """
INSERT INTO sweep (reaches_back_to, kind, started_at, finished_at)
SELECT at - CASE WHEN n % 144 = 0 THEN interval '30 days' ELSE interval '25 minutes' END,
       CASE WHEN n % 144 = 0 THEN 'full' ELSE 'recent' END, at, at
FROM generate_series(1, 6480) AS n, LATERAL (SELECT now() - (6480 - n) * interval '10 minutes' AS at) AS facts
"""

# Two at a time, because machines have at least two cores.
_SHARES = (
    {
        "webhook_event": _EVENTS,
        "order_check": _CHECKS,
        "sweep": _SWEEPS,
        "rate_bucket": _BUCKETS,
        "order_absence": _ABSENCES,
    },
    {
        "document": _DOCUMENTS,
        "file_link": _LINKS,
        "link_refusal": _REFUSALS,
        "audit_record": _AUDIT,
        "idempotent_request": _REQUESTS,
        "forget_request": _FORGETTING,
    },
)
TABLES = frozenset(table for share in _SHARES for table in share)

_OUTAGE = f"""
INSERT INTO webhook_event (id, type, state, origin, order_id, received_at, due_at, body)
SELECT md5('late' || n), 'order.invoice.created', 'pending', 'webhook', 'order-late-' || n, at, at, '{{}}'
FROM generate_series(1, {BACKLOG}) AS n, LATERAL (SELECT now() - n * interval '100 ms' AS at) AS facts
"""


def key(name: str) -> str:
    """As PostgreSQL's md5() of the name above: ids that stand in no order, as real ones."""
    return md5(name.encode(), usedforsecurity=False).hexdigest()


async def fill(url: str) -> None:
    """A million events and documents, with all that belongs to them; nearly every event is done."""
    await asyncio.gather(*(_fill_share(url, share) for share in _SHARES))


async def add_backlog(connection: asyncpg.Connection) -> None:
    """Digital River was down for hours: as many events are due at once as come in a week."""
    await connection.execute(_OUTAGE)
    await connection.execute("VACUUM (ANALYZE) webhook_event")


async def _fill_share(url: str, share: dict[str, str]) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("SET maintenance_work_mem = '256MB'")
    for table, statement in share.items():
        # Filling a table that has its indexes takes three times as long.
        anew = await _take_off_indexes(connection, table)
        await connection.execute(statement)
        await connection.execute("; ".join(anew))
        await connection.execute(f"VACUUM (ANALYZE) {table}")
    await connection.close()


async def _take_off_indexes(connection: asyncpg.Connection, table: str) -> list[str]:
    """Returns the statements that make them again."""
    constraints = await connection.fetch(
        f"""SELECT conname AS name, pg_get_constraintdef(oid) AS text FROM pg_constraint
            WHERE conrelid = '{table}'::regclass AND contype IN ('p', 'u')"""
    )
    for one in constraints:
        await connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {one['name']}")
    indexes = await connection.fetch(
        f"SELECT indexname AS name, indexdef AS text FROM pg_indexes WHERE tablename = '{table}'"
    )
    for one in indexes:
        await connection.execute(f"DROP INDEX {one['name']}")
    # Autovacuum would come at a time of its own, and change what is counted.
    await connection.execute(
        f"ALTER TABLE {table} SET UNLOGGED; ALTER TABLE {table} SET (autovacuum_enabled = off)"
    )
    added = [f"ALTER TABLE {table} ADD CONSTRAINT {one['name']} {one['text']}" for one in constraints]
    return [*added, *(one["text"] for one in indexes)]
