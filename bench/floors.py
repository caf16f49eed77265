"""The floors: bare apps that give the portal's answers with the least work, to divide its figures by theirs.

They check no token, limit nothing and log nothing. `webhooks` verifies a delivery and inserts one row.
`reads` selects rows in which the JSON of a document is ready to send.
"""

import base64
import hashlib
import hmac
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

TABLES = """
CREATE TABLE floor_event (id text PRIMARY KEY, type text, body text);
-- `cursor` leads to the page after this document.
CREATE TABLE floor_document (
    id uuid PRIMARY KEY, customer_id text, created_at timestamptz, body text, cursor text
);
CREATE INDEX ON floor_document (customer_id, created_at, id);
"""
PAGE = 20
# As many connections as the portal's pool has by default.
POOL = 10

_URL = os.environ.get("BENCH_DATABASE_URL", "")
_SECRET = os.environ.get("BENCH_SECRET", "").encode()


@asynccontextmanager
async def _pool(app: Starlette) -> AsyncIterator[None]:
    async with asyncpg.create_pool(_URL, min_size=POOL, max_size=POOL) as pool:
        app.state.pool = pool
        yield


async def _receive(request: Request) -> Response:
    body = await request.body()
    timestamp, signature = request.headers["DigitalRiver-Signature"].split(", ")
    expected = base64.b64encode(hmac.digest(_SECRET, timestamp.encode() + b"." + body, hashlib.sha256))
    if not hmac.compare_digest(expected, signature.encode()):
        return Response(status_code=401)
    event = json.loads(body)
    await request.app.state.pool.execute(
        "INSERT INTO floor_event (id, type, body) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        event["id"],
        event["type"],
        body.decode(),
    )
    return JSONResponse({"id": event["id"], "status": "accepted"}, status_code=202)


webhooks = Starlette(routes=[Route("/webhooks/digital-river", _receive, methods=["POST"])], lifespan=_pool)

reads = FastAPI(lifespan=_pool)


@reads.get("/v1/documents")
async def list_documents(request: Request, customer: str) -> Response:
    rows = await request.app.state.pool.fetch(
        """SELECT body, cursor FROM floor_document WHERE customer_id = $1
           ORDER BY created_at DESC, id DESC LIMIT $2""",
        customer,
        PAGE + 1,
    )
    data = ",".join([row["body"] for row in rows[:PAGE]])
    cursor = f'"{rows[PAGE - 1]["cursor"]}"' if len(rows) > PAGE else "null"
    return Response(f'{{"data":[{data}],"nextCursor":{cursor}}}', media_type="application/json")


@reads.get("/v1/documents/{document_id}")
async def get_document(request: Request, document_id: str, customer: str) -> Response:
    body = await request.app.state.pool.fetchval(
        "SELECT body FROM floor_document WHERE customer_id = $1 AND id = $2", customer, document_id
    )
    return Response(body, status_code=404 if body is None else 200, media_type="application/json")
