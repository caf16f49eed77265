"""The routes of orders: list, page, tracking and refunds."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.access.authorization import ListedCustomer, RequiredOwner
from app.access.ownership import Anybody
from app.idempotency.routes import IdempotentRoute
from app.orders import order_list, service, views
from app.orders.order_list import OrderFilter, OrderState
from app.orders.refunds import RefundsPage
from app.orders.schemas import OrdersPage, OrderView
from app.orders.tracking import TrackingView
from app.request_resources import ResourcesDep, base_url_of
from app.web.api_model import Instant
from app.web.etags import NOT_MODIFIED, conditional_response
from app.web.id_types import OrderPath
from app.web.paging_query import DEFAULT_LIMIT, Cursor, Limit
from app.web.problems import BadGateway, Invalid, NotFound, ServiceUnavailable, responses

router = APIRouter(prefix="/v1", tags=["orders"], route_class=IdempotentRoute)

_ORDER_RESPONSES = {**NOT_MODIFIED, **responses(Invalid, NotFound, BadGateway, ServiceUnavailable)}


@router.get(
    "/orders",
    operation_id="listOrders",
    summary="List the caller's orders",
    responses=responses(Invalid, BadGateway, ServiceUnavailable),
)
async def list_orders(
    resources: ResourcesDep,
    customer_id: ListedCustomer,
    state: Annotated[OrderState | None, Query(description="Only orders in this state.")] = None,
    created_from: Annotated[
        Instant | None, Query(alias="createdFrom", description="Only orders placed at this time or later.")
    ] = None,
    created_to: Annotated[
        Instant | None, Query(alias="createdTo", description="Only orders placed at this time or earlier.")
    ] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> OrdersPage:
    """Newest first. A page may have fewer entries than `limit` although another page follows: check
    `nextCursor`."""
    page = await order_list.list_orders(
        resources.digital_river,
        resources.settings.digital_river_secret_key,
        customer_id,
        OrderFilter(state, created_from, created_to),
        limit=limit,
        cursor=cursor,
    )
    return OrdersPage(
        data=[views.order_summary(order) for order in page.orders],
        next_cursor=page.next_cursor,
        unreadable=page.unreadable,
    )


@router.get(
    "/orders/{orderId}",
    operation_id="getOrder",
    summary="Show one order",
    response_model=OrderView,
    responses=_ORDER_RESPONSES,
)
async def get_order(
    request: Request, resources: ResourcesDep, owner: RequiredOwner, order_id: OrderPath
) -> Response:
    """The data of an order page in one document. If refunds, shipments or documents cannot be read, the
    answer comes without them and names them in `incomplete`."""
    parts = await service.get_order_parts(resources, owner, order_id, base_url=base_url_of(request))
    return conditional_response(request, views.order_view(parts, for_buyer=not isinstance(owner, Anybody)))


@router.get(
    "/orders/{orderId}/tracking",
    operation_id="getOrderTracking",
    summary="Show the shipments of one order",
    response_model=TrackingView,
    responses=_ORDER_RESPONSES,
)
async def get_order_tracking(
    request: Request, resources: ResourcesDep, owner: RequiredOwner, order_id: OrderPath
) -> Response:
    """From Digital River's logistics partner if it ships the order, else from what the shop reported."""
    return conditional_response(request, await service.get_tracking(resources.digital_river, owner, order_id))


@router.get(
    "/orders/{orderId}/refunds",
    operation_id="listOrderRefunds",
    summary="List the refunds of one order",
    responses=responses(Invalid, NotFound, BadGateway, ServiceUnavailable),
)
async def list_order_refunds(
    resources: ResourcesDep, owner: RequiredOwner, order_id: OrderPath
) -> RefundsPage:
    """All refunds, newest first, each with what the buyer must do. `nextCursor` is always null."""
    order, refunds = await service.get_refunds(resources.digital_river, owner, order_id)
    data = views.refund_views(refunds, order, for_buyer=not isinstance(owner, Anybody))
    return RefundsPage(data=data, unreadable=refunds.unreadable)
