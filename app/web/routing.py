"""Looks up a route's template, methods and query names, and refuses query names that it does not read."""

import inspect
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from fastapi import FastAPI, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import ParamTypes
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.types import Scope

from app.web.dependency_plan import DependencyPlan
from app.web.problems import FieldError, Invalid
from app.web.validation import pointer_to


@dataclass(frozen=True)
class RouteInfo:
    """`template` is as in OpenAPI; `methods` are those of all routes with this template."""

    template: str
    methods: tuple[str, ...]
    query_names: frozenset[str]


_Handler = Callable[[Request], Coroutine[Any, Any, Response]]

# By id of the endpoint. Filled at the first request of an app, when all of its routes are there.
_ROUTES: WeakKeyDictionary[FastAPI, dict[int, RouteInfo]] = WeakKeyDictionary()


def find_route(scope: Scope) -> RouteInfo | None:
    """The route of this request; None before routing, and for unknown paths."""
    endpoint = scope.get("endpoint")
    if endpoint is None:
        return None
    app: FastAPI = scope["app"]
    routes = _ROUTES.get(app)
    if routes is None:
        routes = _ROUTES[app] = _read_routes(app)
    return routes.get(id(endpoint))


class StrictRoute(APIRoute):
    """A route that refuses query names it does not read, and values with a NUL, which PostgreSQL cannot hold.

    The answer is a 422 with the pointer `/query/<name>`.
    """

    def get_route_handler(self) -> _Handler:
        serve = self._serve_by_plan(super().get_route_handler())

        async def serve_strictly(request: Request) -> Response:
            if request.scope["query_string"]:
                _refuse_unknown_query(request)
            return await serve(request)

        return serve_strictly

    def _serve_by_plan(self, serve: _Handler) -> _Handler:
        # The copy of a route that a router includes also has that router's dependencies: FastAPI serves it.
        is_included = hasattr(self, "app")
        plan = None if is_included else DependencyPlan.find(self.dependant)
        if plan is None:
            return serve

        async def run(request: Request) -> Any:
            values = plan.read(request)
            return await (serve(request) if values is None else plan.run(values))

        if inspect.signature(self.endpoint).return_annotation is Response:
            return run
        # FastAPI renders what other endpoints return. To it, this route has one parameter: the request.
        published = self.dependant
        self.dependant = Dependant(call=run, request_param_name="request", path=published.path)
        try:
            return super().get_route_handler()
        finally:
            self.dependant = published


def _refuse_unknown_query(request: Request) -> None:
    route = find_route(request.scope)
    names = route.query_names if route else frozenset()
    errors = _list_query_errors(request.query_params.multi_items(), names)
    if errors:
        raise Invalid(errors=errors)


def _list_query_errors(given: Iterable[tuple[str, str]], names: frozenset[str]) -> list[FieldError]:
    errors = {}
    seen: set[str] = set()
    for name, value in given:
        if name in seen:
            errors[name] = "This query parameter can be given once only."
        seen.add(name)
        if name not in names:
            errors[name] = "This query parameter is not known here."
        elif "\0" in value:
            errors[name] = "This value must not hold a NUL character."
    return [
        FieldError(pointer=pointer_to("query", name[:100]), detail=detail)
        for name, detail in list(errors.items())[:50]
    ]


def _read_routes(app: FastAPI) -> dict[int, RouteInfo]:
    contexts = [route for route in iter_route_contexts(app.routes) if route.path and route.endpoint]
    methods: dict[str, set[str]] = {}
    for route in contexts:
        methods.setdefault(str(route.path_format), set()).update(route.methods or ())
    for offered in methods.values():
        # `middleware.HeadAsGet` answers HEAD for every GET.
        offered.update({"HEAD"} if "GET" in offered else ())
    return {
        id(route.endpoint): RouteInfo(
            template=str(route.path_format),
            methods=tuple(sorted(methods[str(route.path_format)])),
            query_names=_query_names(getattr(route, "dependant", None)),
        )
        for route in contexts
    }


def _query_names(dependant: Dependant | None) -> frozenset[str]:
    if dependant is None:
        return frozenset()
    fields = get_flat_params(dependant)
    return frozenset(f.alias for f in fields if getattr(f.field_info, "in_", None) is ParamTypes.query)
