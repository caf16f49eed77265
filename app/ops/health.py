"""Tells load balancers and supervisors whether the process is healthy. They send no token."""

import asyncio
from typing import Literal

from fastapi import APIRouter
from pydantic import ConfigDict

from app.db.schema import is_migrated
from app.request_resources import ResourcesDep
from app.web.api_model import ApiModel
from app.web.problems import ServiceUnavailable, responses

# Load balancers wait for two to five seconds.
READY_SECONDS = 1.5

router = APIRouter(prefix="/health", tags=["operations"])


class Health(ApiModel):
    """The process is healthy. If it is not, the answer is a problem."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ok"}]})

    status: Literal["ok"] = "ok"


@router.get("/live", operation_id="getLiveness", summary="Is the process alive?")
async def live() -> Health:
    """Fails only if a restart of the process would help."""
    return Health()


@router.get(
    "/ready",
    operation_id="getReadiness",
    summary="Can the process serve?",
    responses=responses(ServiceUnavailable),
)
async def ready(resources: ResourcesDep) -> Health:
    """Fails while PostgreSQL cannot be reached or is not migrated. It does not fail if Digital River is down:
    documents can still be listed and opened, and another instance could not do more."""
    async with asyncio.timeout(READY_SECONDS), resources.engine.connect() as connection:
        if not await is_migrated(connection):
            raise ServiceUnavailable(hint="The database is not migrated.")
    return Health()
