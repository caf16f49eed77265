"""The client's requests are ones that the official document describes."""

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from itertools import count, cycle
from urllib.parse import unquote

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from openapi_core.testing import MockRequest

from app.digital_river.api import customers, events, files, orders, tax_identifiers
from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.client.request import CALLER, Caller
from app.digital_river.errors import Garbled, Missing
from app.digital_river.models import CustomerChanges, NewTaxCertificate
from app.ids import (
    CustomerId,
    EventId,
    FileId,
    OrderId,
    SourceId,
    TaxIdentifierId,
)
from tests.data.digital_river import api
from tests.data.openapi import api_document
from tests.support.clock import run_on_jumping_clock
from tests.support.digital_river import SECRET_KEY, ScriptedDigitalRiver

UUID = "6e5bf525-3907-40c5-86a9-f14ce4f33f35"
NOON = datetime(2030, 1, 2, 14, 0, 0, 5, tzinfo=timezone(timedelta(hours=2)))
SHIPPING = {
    "name": "Jane",
    "address": {"line1": "1 Main", "city": "Eagan", "postalCode": "55122", "country": "US"},
}

Calling = Callable[[DigitalRiverClient], Awaitable[object]]

CALLS: dict[str, Calling] = {
    "order": lambda digital_river: orders.fetch_any_order(digital_river, OrderId("1")),
    "orders": lambda digital_river: orders.fetch_orders(
        digital_river,
        customer_id=CustomerId("c"),
        state="accepted",
        created_from=NOON,
        created_to=NOON,
        limit=100,
        starting_after="9",
    ),
    "tracking": lambda digital_river: orders.find_tracking(digital_river, OrderId("1")),
    "file": lambda digital_river: files.fetch_file(digital_river, FileId("f")),
    "new link": lambda digital_river: files.create_link(digital_river, FileId("f"), NOON),
    "live links": lambda digital_river: files.fetch_live_links(digital_river, FileId("f")),
    "events": lambda digital_river: events.fetch_events(
        digital_river,
        event_type="order.accepted",
        created_from=NOON,
        starting_after=UUID,
    ),
    "event": lambda digital_river: events.fetch_event(digital_river, EventId(UUID)),
    "customer": lambda digital_river: customers.fetch_customer(digital_river, CustomerId("c")),
    "new customer": lambda digital_river: customers.create_customer(
        digital_river,
        CustomerId("c"),
        CustomerChanges(email="jane@example.com", type="individual", locale="en_US", metadata={"a": 1}),
    ),
    "changed customer": lambda digital_river: customers.update_customer(
        digital_river,
        CustomerId("c"),
        CustomerChanges(
            shipping=SHIPPING,
            default_source_id=UUID,
            request_to_be_forgotten=True,
            tax_certificate=NewTaxCertificate(
                company_name="Acme", tax_authority="MN", start_date=NOON, end_date=NOON, file_id="f"
            ),
        ),
    ),
    "attached source": lambda digital_river: customers.attach_source(
        digital_river, CustomerId("c"), SourceId(UUID)
    ),
    "detached source": lambda digital_river: customers.detach_source(
        digital_river, CustomerId("c"), SourceId(UUID)
    ),
    "source": lambda digital_river: customers.fetch_source(digital_river, SourceId(UUID)),
    "new tax id": lambda digital_river: tax_identifiers.create_tax_identifier(
        digital_river, type_="de", value="DE123456789"
    ),
    "attached tax id": lambda digital_river: tax_identifiers.attach_tax_identifier(
        digital_river, CustomerId("c"), TaxIdentifierId(UUID)
    ),
    "tax ids": lambda digital_river: tax_identifiers.fetch_tax_identifiers(digital_river, CustomerId("c")),
    "tax id": lambda digital_river: tax_identifiers.fetch_tax_identifier(
        digital_river, TaxIdentifierId(UUID)
    ),
    "deleted tax id": lambda digital_river: tax_identifiers.delete_tax_identifier(
        digital_river, TaxIdentifierId(UUID)
    ),
    "refunds": lambda digital_river: orders.fetch_refunds(digital_river, OrderId("1")),
    "fulfillments": lambda digital_river: orders.fetch_fulfillments(digital_river, OrderId("1")),
}


def sent(calling: Calling) -> httpx.Request:
    """The one request that a call makes."""

    def some(request: httpx.Request) -> httpx.Response:
        is_list = request.method == "GET" and request.url.path.count("/") == 1
        body = {"data": [], "hasMore": False} if is_list else {"id": "1", "type": "t", "orderId": "1"}
        return httpx.Response(200, json=body)

    scripted = ScriptedDigitalRiver([some])

    async def scenario() -> None:
        # The same answer to all of them: most are asked for something else.
        async with scripted.opened() as digital_river:
            with suppress(Garbled):
                await calling(digital_river)

    run_on_jumping_clock(scenario())
    (request,) = scripted.requests
    return request


@pytest.mark.parametrize("calling", CALLS.values(), ids=CALLS.keys())
def test_every_request_is_one_that_the_official_document_describes(calling: Calling) -> None:
    request = sent(calling)
    server = api()["servers"][0]["url"].rstrip("/")
    api_document().validate_request(
        MockRequest(
            server,
            request.method.lower(),
            request.url.path,
            args={name: request.url.params.get_list(name) for name in request.url.params},
            data=request.content or None,
            headers=dict(request.headers),
            content_type=request.headers.get("content-type", "application/json"),
        )
    )


def test_every_request_says_who_asks_and_in_which_version() -> None:
    async def from_a_buyer(digital_river: DigitalRiverClient) -> None:
        CALLER.set(Caller("req-1", "203.0.113.7"))
        await orders.fetch_any_order(digital_river, OrderId("1"))

    headers = sent(from_a_buyer).headers
    assert headers["authorization"] == f"Bearer {SECRET_KEY}"
    assert headers["digitalriver-version"] == "2021-12-13"
    assert headers["upstream-application-id"].startswith("digital-river-portal/")
    assert headers["upstream-id"] == "req-1"
    assert headers["forwarded"] == "for=203.0.113.7"


def test_a_call_without_a_buyers_request_still_has_an_id() -> None:
    first, second = (sent(CALLS["order"]).headers for _ in range(2))
    assert first["upstream-id"] != second["upstream-id"]
    assert "forwarded" not in first


@pytest.mark.parametrize(
    ("address", "expected"),
    [("2001:db8::1", 'for="[2001:db8::1]"'), ("not an address\r\nx: y", None), (None, None)],
)
def test_only_a_real_address_is_forwarded(address: str | None, expected: str | None) -> None:
    async def from_a_buyer(digital_river: DigitalRiverClient) -> None:
        CALLER.set(Caller("req-1", address))
        await orders.fetch_any_order(digital_river, OrderId("1"))

    assert sent(from_a_buyer).headers.get("forwarded") == expected


def test_times_are_sent_in_whole_utc_seconds_and_bounds_cut_nothing_off() -> None:
    link = json.loads(sent(CALLS["new link"]).content)
    assert link == {"fileId": "f", "expiresTime": "2030-01-02T12:00:00Z"}
    query = sent(CALLS["orders"]).url.params
    assert query["createdTime[gte]"] == "2030-01-02T12:00:00Z"
    assert query["createdTime[lte]"] == "2030-01-02T12:00:01Z"


def test_only_fields_that_were_set_are_sent() -> None:
    async def clear_the_address(digital_river: DigitalRiverClient) -> None:
        await customers.update_customer(digital_river, CustomerId("c"), CustomerChanges(shipping=None))

    assert json.loads(sent(clear_the_address).content) == {"shipping": None}


@given(order_id=st.text(min_size=1))
@example("a/b")
@example("../customers")
@example("a?b=c#d")
@example("%2e%2e")
@example("1\r\nx: y")
@example("…")
@example(".")
@example("..")
@example("\ud800")
def test_an_identifier_is_exactly_one_segment_of_the_path_or_names_nothing(order_id: str) -> None:
    try:
        request = sent(lambda digital_river: orders.fetch_any_order(digital_river, OrderId(order_id)))
    except Missing:
        assert order_id in {".", ".."} or not order_id.isprintable()
        return
    raw = request.url.raw_path.decode()
    assert raw.startswith("/orders/")
    assert "/" not in raw.removeprefix("/orders/")
    assert "?" not in raw
    assert unquote(raw.removeprefix("/orders/")) == order_id


def test_an_empty_identifier_never_becomes_the_whole_collection() -> None:
    with pytest.raises(Missing):
        sent(lambda digital_river: orders.fetch_any_order(digital_river, OrderId("")))


def test_an_empty_filter_never_lists_all_customers() -> None:
    with pytest.raises(ValueError, match="customerId"):
        sent(lambda digital_river: orders.fetch_orders(digital_river, customer_id=CustomerId("")))


def test_short_lists_are_read_to_their_end() -> None:
    pages = {None: ("1", "2"), "2": ("3", "4"), "4": ("5",)}

    def page(request: httpx.Request) -> httpx.Response:
        ids = pages[request.url.params.get("startingAfter")]
        return httpx.Response(
            200, json={"data": [{"id": one, "orderId": "1"} for one in ids], "hasMore": ids != ("5",)}
        )

    scripted = ScriptedDigitalRiver([page])

    async def scenario() -> list[str]:
        async with scripted.opened() as digital_river:
            return [refund.id for refund in await orders.fetch_refunds(digital_river, OrderId("1"))]

    assert run_on_jumping_clock(scenario()) == ["1", "2", "3", "4", "5"]
    assert {request.url.params["limit"] for request in scripted.requests} == {"100"}


def test_an_entry_without_an_owner_is_left_out_of_every_list() -> None:
    # If Digital River ignores the filter, it also lists identifiers that are not attached to a customer.
    entries = [{"id": "1", "customerId": "ada"}, {"id": "2"}, {"id": "3", "customerId": None}]
    scripted = ScriptedDigitalRiver([httpx.Response(200, json={"data": entries, "hasMore": False})])

    async def scenario() -> list[str]:
        async with scripted.opened() as digital_river:
            found = await tax_identifiers.fetch_tax_identifiers(digital_river, CustomerId("ada"))
            return [one.id for one in found]

    assert run_on_jumping_clock(scenario()) == ["1"]


@pytest.mark.parametrize("pages", [1, 3])
def test_reading_stops_if_a_list_repeats_itself(pages: int) -> None:
    ends = cycle(range(pages))

    def page(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"data": [{"id": "x"}, {"id": f"{next(ends)}"}], "hasMore": True})

    scripted = ScriptedDigitalRiver([page])

    async def scenario() -> None:
        async with scripted.opened() as digital_river:
            with pytest.raises(Garbled, match="repeats itself"):
                await orders.fetch_refunds(digital_river, OrderId("1"))

    run_on_jumping_clock(scenario())
    assert len(scripted.requests) == pages + 1


def test_reading_stops_soon_if_a_list_never_ends() -> None:
    numbers = count()

    def page(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"data": [{"id": str(next(numbers))}], "hasMore": True})

    scripted = ScriptedDigitalRiver([page])

    async def scenario() -> None:
        async with scripted.opened() as digital_river:
            with pytest.raises(Garbled, match="no end"):
                await orders.fetch_refunds(digital_river, OrderId("1"))

    run_on_jumping_clock(scenario())
    assert len(scripted.requests) <= 5


def test_an_order_without_tracking_has_none() -> None:
    async def scenario() -> object:
        async with ScriptedDigitalRiver([httpx.Response(404, json={})]).opened() as digital_river:
            return await orders.find_tracking(digital_river, OrderId("1"))

    assert run_on_jumping_clock(scenario()) is None
