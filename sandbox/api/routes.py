"""Every route of the Digital River API. The control API is not part of it."""

from starlette.routing import Route

from sandbox.api import (
    charges,
    customers,
    events,
    file_links,
    files,
    fulfillments,
    orders,
    refunds,
    sources,
    tax_identifiers,
    webhooks,
)

_RESOURCES = (
    orders,
    charges,
    fulfillments,
    refunds,
    customers,
    sources,
    tax_identifiers,
    files,
    file_links,
    events,
    webhooks,
)
ROUTES: list[Route] = [route for resource in _RESOURCES for route in resource.routes]
