"""Minimal apps that do the same work, as a baseline for the portal: verify and insert; select and answer."""

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

URL = os.environ.get("BENCH_DATABASE_URL", "")
SECRET = os.environ.get("BENCH_SECRET", "").encode()
POOL = 10


@asynccontextmanager
async def _pool(app: Starlette) -> AsyncIterator[None]:
    async with asyncpg.create_pool(URL, min_size=POOL, max_size=POOL) as pool:
        app.state.pool = pool
        yield


async def _receive(request: Request) -> Response:
    body = await request.body()
    timestamp, signature = request.headers["DigitalRiver-Signature"].split(", ")
    expected = base64.b64encode(hmac.digest(SECRET, timestamp.encode() + b"." + body, hashlib.sha256))
    if not hmac.compare_digest(expected, signature.encode()):
        return Response(status_code=401)
    event = json.loads(body)
    await request.app.state.pool.execute(
        "INSERT INTO baseline_event (id, type, body) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        event["id"],
        event["type"],
        body.decode(),
    )
    return JSONResponse({"id": event["id"], "status": "accepted"}, status_code=202)


ingest = Starlette(routes=[Route("/webhooks/digital-river", _receive, methods=["POST"])], lifespan=_pool)

listing = FastAPI(lifespan=_pool)


@listing.get("/v1/documents")
async def list_documents(request: Request, customer: str) -> Response:
    """The same rows with the same members, as bare JSON."""
    rows = await request.app.state.pool.fetch(
        """SELECT d.id::text, d.kind, d.order_id, d.file_name, d.created_at, d.available_since, l.url,
                  l.expires_at
           FROM document d LEFT JOIN file_link l ON l.file_id = d.file_id AND l.expires_at > now()
           WHERE d.customer_id = $1 ORDER BY d.created_at DESC, d.id DESC LIMIT 21""",
        customer,
    )
    data = [
        {
            "id": row["id"],
            "kind": row["kind"],
            "orderId": row["order_id"],
            "fileName": row["file_name"],
            "createdAt": row["created_at"].isoformat(),
            "availableSince": row["available_since"].isoformat(),
            "contentUrl": f"http://portal/v1/documents/{row['id']}/content",
            "link": row["url"] and {"url": row["url"], "expiresAt": row["expires_at"].isoformat()},
        }
        for row in rows[:20]
    ]
    return Response(json.dumps({"data": data, "nextCursor": None}), media_type="application/json")
