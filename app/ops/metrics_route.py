"""Serves the metrics of the API. A worker uses `app/ops/metrics.py` without FastAPI."""

import hmac
from typing import Annotated

from fastapi import APIRouter, Header, Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from app.ops.metrics import update_gauges
from app.request_resources import ResourcesDep
from app.web.problems import Unauthenticated

router = APIRouter(include_in_schema=False)


@router.get("/metrics")
async def get_metrics(resources: ResourcesDep, authorization: Annotated[str, Header()] = "") -> Response:
    """Prometheus' text format. It holds no personal data, but it is for operators: docs/operations.md."""
    token = resources.settings.metrics_token.get_secret_value()
    if token and not hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
        raise Unauthenticated
    await update_gauges(resources.engine, resources.digital_river)
    return Response(generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})
