"""Reads from an ASGI scope what the middleware needs."""

from starlette.types import Scope

from sandbox.runtime.runtime import Runtime

CONTROL_PREFIX = "/_sandbox"


def runtime_in(scope: Scope) -> Runtime:
    runtime: Runtime = scope["app"].state.runtime
    return runtime


def is_api_call(scope: Scope) -> bool:
    return scope["type"] == "http" and not scope["path"].startswith(CONTROL_PREFIX)
