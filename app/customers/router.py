"""Routes of the profile and the default shipping address."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Body, Request, Response, status

from app.access.authorization import OwnCustomer, ReadableCustomer, WritingCustomer
from app.customers import service
from app.customers.addresses import ShippingAddress, ShippingAddressView
from app.customers.schemas import ProfileChanges, ProfileView, Registration
from app.idempotency.routes import IdempotentRoute
from app.identity.bearer import OPS, SUPPORT, CurrentPrincipal
from app.request_resources import ResourcesDep
from app.web.etags import NOT_MODIFIED, conditional_response, require_match
from app.web.problems import (
    BadGateway,
    Conflict,
    Invalid,
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
    ServiceUnavailable,
    responses,
)

router = APIRouter(prefix="/v1", tags=["customers"], route_class=IdempotentRoute)

_DIGITAL_RIVER_PROBLEMS = (BadGateway, ServiceUnavailable)
_WRITE_PROBLEMS = (
    Conflict,
    Invalid,
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
    *_DIGITAL_RIVER_PROBLEMS,
)
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The ETag of the version to change.",
    "schema": {"type": "string"},
}
_IF_MATCH_REQUIRED = {"parameters": [{**_IF_MATCH, "required": True}]}


@router.put(
    "/customers/me",
    operation_id="registerCustomer",
    summary="Register the caller as a customer",
    response_model=ProfileView,
    responses={
        201: {"model": ProfileView, "description": "Created."},
        **responses(Conflict, Invalid, NotFound, *_DIGITAL_RIVER_PROBLEMS),
    },
)
async def register_customer(
    request: Request,
    resources: ResourcesDep,
    customer_id: WritingCustomer,
    registration: Annotated[Registration | None, Body()] = None,
) -> Response:
    """Creates the customer with the customer id of the token. If the customer exists, the answer is 200 with
    the unchanged profile: change it with PATCH."""
    customer, is_new = await service.register(
        resources.digital_river, customer_id, registration or Registration()
    )
    code = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
    return conditional_response(request, ProfileView.of(customer), status_code=code)


@router.get(
    "/customers/{customerId}",
    operation_id="getCustomer",
    summary="Show a profile",
    response_model=ProfileView,
    responses={**NOT_MODIFIED, **responses(Invalid, NotFound, *_DIGITAL_RIVER_PROBLEMS)},
)
async def get_customer(
    request: Request, resources: ResourcesDep, principal: CurrentPrincipal, customer_id: ReadableCustomer
) -> Response:
    """The caller's own profile is created at the first request if it does not exist."""
    # A read by an operator or by support must not create a customer.
    is_own = customer_id == principal.customer_id and principal.scopes.isdisjoint({OPS, SUPPORT})
    return conditional_response(
        request,
        ProfileView.of(await service.get_customer(resources.digital_river, customer_id, is_own=is_own)),
    )


@router.patch(
    "/customers/{customerId}",
    operation_id="changeCustomer",
    summary="Change a profile",
    response_model=ProfileView,
    responses=responses(*_WRITE_PROBLEMS),
    openapi_extra=_IF_MATCH_REQUIRED,
)
async def change_customer(
    request: Request, resources: ResourcesDep, customer_id: OwnCustomer, changes: ProfileChanges
) -> Response:
    """A JSON merge patch (RFC 7396): absent members stay as they are, objects are merged, null removes a
    member. The answer has the new ETag."""
    customer = await service.change_profile(
        resources.leases,
        resources.digital_river,
        customer_id,
        changes,
        check=partial(require_match, request),
    )
    return conditional_response(request, ProfileView.of(customer))


@router.get(
    "/customers/{customerId}/shipping-address",
    operation_id="getShippingAddress",
    summary="Show the default shipping address",
    response_model=ShippingAddressView,
    responses={**NOT_MODIFIED, **responses(Invalid, NotFound, *_DIGITAL_RIVER_PROBLEMS)},
)
async def get_shipping_address(
    request: Request, resources: ResourcesDep, customer_id: ReadableCustomer
) -> Response:
    """The answer is 404 if the customer has no default shipping address."""
    return conditional_response(
        request, await service.get_shipping_address(resources.digital_river, customer_id)
    )


@router.put(
    "/customers/{customerId}/shipping-address",
    operation_id="putShippingAddress",
    summary="Set the default shipping address",
    response_model=ShippingAddressView,
    responses={
        201: {"model": ShippingAddressView, "description": "The customer had no address before."},
        **responses(*_WRITE_PROBLEMS),
    },
    openapi_extra={"parameters": [_IF_MATCH]},
)
async def put_shipping_address(
    request: Request, resources: ResourcesDep, customer_id: OwnCustomer, address: ShippingAddress
) -> Response:
    """Replaces the whole address. If there is an address, `If-Match` is required. With `If-None-Match: *` the
    request fails if there is an address."""
    customer, is_first = await service.put_shipping_address(
        resources.leases,
        resources.digital_river,
        customer_id,
        address,
        check=partial(_require_match_or_none, request),
    )
    view = ShippingAddressView.of(customer.shipping)
    if view is None:
        raise BadGateway
    code = status.HTTP_201_CREATED if is_first else status.HTTP_200_OK
    return conditional_response(request, view, status_code=code)


@router.delete(
    "/customers/{customerId}/shipping-address",
    operation_id="deleteShippingAddress",
    summary="Remove the default shipping address",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses(*_WRITE_PROBLEMS),
    openapi_extra=_IF_MATCH_REQUIRED,
)
async def delete_shipping_address(
    request: Request, resources: ResourcesDep, customer_id: OwnCustomer
) -> None:
    """The answer is 404 if the customer has no default shipping address."""
    await service.delete_shipping_address(
        resources.leases, resources.digital_river, customer_id, check=partial(require_match, request)
    )


def _require_match_or_none(request: Request, current: ShippingAddressView | None) -> None:
    headers = request.headers
    if current is None:
        # RFC 9110 §13.1.1: If-Match is false if there is no current representation.
        if "if-match" in headers:
            raise PreconditionFailed("There is no address any more.")
    elif headers.get("if-none-match", "").strip() == "*":
        raise PreconditionFailed("There is an address already.")
    else:
        require_match(request, current)
