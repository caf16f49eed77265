"""What the middleware reads from an ASGI scope."""

from starlette.types import Scope

from sandbox.runtime.runtime import World

CONTROL = "/_sandbox"


def world_in(scope: Scope) -> World:
    world: World = scope["app"].state.world
    return world


def is_api_call(scope: Scope) -> bool:
    return scope["type"] == "http" and not scope["path"].startswith(CONTROL)
