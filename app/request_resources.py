"""Hands the resources of the process to routes.

It is not in `app/resources.py`: a worker imports that, and no FastAPI, which would cost it 13 MB and a fifth
of the CPU time of its start.
"""

from typing import Annotated

from fastapi import Depends, Request

from app.resources import Resources


def resources_of(request: Request) -> Resources:
    """The resources of the process that serves the request."""
    resources: Resources = request.app.state.resources
    return resources


def base_url_of(request: Request) -> str:
    """The URL of this API, ending with a slash: as configured, else as in the request."""
    configured = resources_of(request).settings.public_url
    return f"{configured.rstrip('/')}/" if configured else str(request.base_url)


async def _resources(request: Request) -> Resources:
    # Not `resources_of`: FastAPI would run it in a thread, because it is not async.
    return resources_of(request)


ResourcesDep = Annotated[Resources, Depends(_resources)]
