"""The routes of payment sources: configure Drop-in, list, save, set the default, remove."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response, status

from app.access.authorization import OwnCustomer, ReadableCustomer
from app.idempotency.routes import IdempotentRoute
from app.identity.bearer import CurrentCustomer
from app.payment_sources import drop_in, service
from app.payment_sources.drop_in import DropInConfiguration, Usage
from app.payment_sources.schemas import (
    DefaultSource,
    PaymentSource,
    PaymentSourcesPage,
    SourceToSave,
    payment_source_view,
)
from app.payment_sources.service import SavedSource
from app.request_resources import ResourcesDep
from app.web.etags import NOT_MODIFIED, conditional_response
from app.web.id_types import SourcePath
from app.web.problems import BadGateway, Conflict, Forbidden, Invalid, NotFound, ServiceUnavailable, responses

router = APIRouter(
    prefix="/v1",
    tags=["payment sources"],
    route_class=IdempotentRoute,
)


def _view(saved: SavedSource) -> PaymentSource:
    return payment_source_view(saved.source, is_default=saved.is_default, now=datetime.now(UTC))


@router.get(
    "/drop-in",
    operation_id="getDropInConfiguration",
    summary="Get the configuration of Drop-in for saving a payment method",
    response_model=DropInConfiguration,
    responses={**NOT_MODIFIED, **responses(Forbidden, Invalid, BadGateway, ServiceUnavailable)},
)
async def get_drop_in_configuration(
    request: Request,
    resources: ResourcesDep,
    customer_id: CurrentCustomer,
    usage: Annotated[
        Usage,
        Query(
            description="What the saved method is for: renewals of a subscription (`subscription`), later "
            "purchases of the buyer (`convenience`), or charges by the shop at other times (`unscheduled`)."
        ),
    ] = "convenience",
) -> Response:
    """For Drop-in's flow `managePaymentMethods`, which needs neither a checkout nor a session. After Drop-in
    has reported success, POST the source's id to the caller's payment sources."""
    configuration = await drop_in.fetch_configuration(
        resources.digital_river, resources.settings, customer_id, usage
    )
    return conditional_response(request, configuration)


@router.get(
    "/customers/{customerId}/payment-sources",
    operation_id="listPaymentSources",
    summary="List saved payment methods",
    responses=responses(Forbidden, Invalid, NotFound, BadGateway, ServiceUnavailable),
)
async def list_payment_sources(resources: ResourcesDep, customer_id: ReadableCustomer) -> PaymentSourcesPage:
    """All saved payment methods, without data that a page must not show."""
    sources = await service.list_sources(resources.digital_river, customer_id)
    return PaymentSourcesPage(data=[_view(source) for source in sources], unreadable=sources.unreadable)


@router.post(
    "/customers/{customerId}/payment-sources",
    operation_id="savePaymentSource",
    summary="Save a payment method",
    status_code=status.HTTP_201_CREATED,
    response_description="The payment method is saved.",
    responses={
        200: {"model": PaymentSource, "description": "The payment method was saved before."},
        **responses(Forbidden, Invalid, NotFound, Conflict, BadGateway, ServiceUnavailable),
    },
)
async def save_payment_source(
    resources: ResourcesDep, customer_id: OwnCustomer, body: SourceToSave, response: Response
) -> PaymentSource:
    """Saves a source that Drop-in made in the browser. The first saved source becomes the default. Saving the
    same source again changes nothing. If a source cannot be saved, the error points to `/sourceId`."""
    saved, is_new = await service.save_source(
        resources.digital_river,
        resources.leases,
        customer_id,
        body.source_id,
        make_default=body.make_default,
    )
    if not is_new:
        response.status_code = status.HTTP_200_OK
    return _view(saved)


@router.put(
    "/customers/{customerId}/payment-sources/default",
    operation_id="putDefaultPaymentSource",
    summary="Choose the default payment method",
    responses=responses(Forbidden, Invalid, NotFound, BadGateway, ServiceUnavailable),
)
async def put_default_payment_source(
    resources: ResourcesDep, customer_id: OwnCustomer, body: DefaultSource
) -> PaymentSource:
    """Answers with the payment method that is now the default. If the caller has not saved it, the error
    points to `/sourceId`."""
    client, leases = resources.digital_river, resources.leases
    return _view(await service.set_default_source(client, leases, customer_id, body.source_id))


@router.delete(
    "/customers/{customerId}/payment-sources/{sourceId}",
    operation_id="deletePaymentSource",
    summary="Remove a saved payment method",
    status_code=status.HTTP_204_NO_CONTENT,
    response_description="The payment method is removed.",
    responses=responses(Forbidden, Invalid, NotFound, Conflict, BadGateway, ServiceUnavailable),
)
async def delete_payment_source(
    resources: ResourcesDep, customer_id: OwnCustomer, source_id: SourcePath
) -> None:
    """Removes it for good: the buyer must enter it again to use it again. If it was the default, list the
    payment methods to see the new default, if there is one."""
    await service.delete_source(resources.digital_river, resources.leases, customer_id, source_id)
