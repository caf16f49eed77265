"""Every call is in the log and in the metrics, and neither holds data about a buyer."""

import asyncio
import logging
from datetime import UTC, datetime

import httpx
import pytest
import structlog
from prometheus_client import REGISTRY

from app.digital_river.api import customers, files, orders
from app.digital_river.errors import DigitalRiverError, Unavailable
from app.digital_river.models import CustomerChanges
from app.ids import CustomerId, FileId, OrderId
from tests.support.clock import run_on_jumping_clock
from tests.support.digital_river import SECRET_KEY, Line, ScriptedDigitalRiver, answer, found


def calls(route: str, result: str) -> float:
    labels = {"method": "GET", "route": route, "result": result}
    return REGISTRY.get_sample_value("portal_digital_river_calls_total", labels) or 0.0


def test_every_attempt_is_one_line_with_digital_rivers_request_id() -> None:
    failing = answer(503, "no_response", x_dr_requestid="dr-1")
    scripted = ScriptedDigitalRiver([failing, found()])

    async def scenario() -> None:
        async with scripted.opened() as digital_river:
            await orders.fetch_orders(digital_river, customer_id=CustomerId("canary"))

    scripted.script[1] = httpx.Response(200, json={"data": []}, headers={"x-dr-requestid": "dr-2"})
    with structlog.testing.capture_logs() as lines:
        run_on_jumping_clock(scenario())
    first, second = lines
    assert first["event"] == second["event"] == "digital_river.call"
    assert first["log_level"] == "warning"
    assert second["log_level"] == "info"
    assert [line["attempt"] for line in lines] == [1, 2]
    assert [line["dr_request_id"] for line in lines] == ["dr-1", "dr-2"]
    assert [line["status"] for line in lines] == [503, 200]
    assert [line["result"] for line in lines] == ["Unavailable", "ok"]
    assert {line["route"] for line in lines} == {"/orders"}
    assert first["codes"] == ("no_response",)


def test_nothing_that_identifies_a_buyer_or_opens_a_file_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    private_text = (
        "'canary-tax' is wrong for canary@example.com, see https://files.test/links/canary "
        'and "canary name" 4444222233331111'
    )
    refusal = {"errors": [{"code": "invalid_parameter", "parameter": "value", "message": private_text}]}
    link = {"id": "canary-link", "url": "https://files.test/links/canary-url", "fileId": "canary"}
    scripted = ScriptedDigitalRiver(
        [
            httpx.Response(400, json=refusal),
            httpx.Response(201, json=link),
            httpx.Response(200, json={"id": {"canary": "x"}, "email": "canary@example.com"}),
            httpx.ConnectTimeout("https://far.test/orders/canary"),
        ]
    )

    async def scenario() -> list[str]:
        errors: list[str] = []
        async with scripted.opened() as digital_river:
            for call in (
                customers.create_customer(
                    digital_river, CustomerId("canary"), CustomerChanges(email="canary@x.test")
                ),
                files.create_link(digital_river, FileId("canary"), datetime(2030, 1, 1, tzinfo=UTC)),
                orders.fetch_any_order(digital_river, OrderId("canary")),
                orders.fetch_any_order(digital_river, OrderId("canary")),
            ):
                try:
                    await call
                except DigitalRiverError as error:
                    errors.append(f"{error} {error!r} {error.__cause__!r}")
        return errors

    with structlog.testing.capture_logs() as lines:
        errors = run_on_jumping_clock(scenario())
    assert len(errors) == 3
    everything = f"{lines} {errors} {caplog.text}"
    assert "canary" not in everything
    assert "4444" not in everything
    assert SECRET_KEY not in everything


def test_calls_are_counted_by_route_and_by_how_they_ended() -> None:
    before = {
        result: calls("/orders/{id}", result) for result in ("ok", "Missing", "Unavailable", "cancelled")
    }

    async def scenario() -> None:
        script: list[Line] = [found(), answer(404), httpx.ReadError("reset"), found(), 60.0]
        async with ScriptedDigitalRiver(script).opened() as digital_river:
            await orders.fetch_any_order(digital_river, OrderId("1"))
            with pytest.raises(DigitalRiverError):
                await orders.fetch_any_order(digital_river, OrderId("1"))
            await orders.fetch_any_order(digital_river, OrderId("1"))
            task = asyncio.create_task(orders.fetch_any_order(digital_river, OrderId("1")))
            await asyncio.sleep(1)
            task.cancel()
            await asyncio.wait([task])

    run_on_jumping_clock(scenario())
    grown = {result: calls("/orders/{id}", result) - count for result, count in before.items()}
    assert grown == {"ok": 2, "Missing": 1, "Unavailable": 1, "cancelled": 1}


def test_an_open_breaker_shows_in_the_metrics() -> None:
    async def scenario() -> list[float | None]:
        seen = []
        scripted = ScriptedDigitalRiver([answer(503)])
        async with scripted.opened() as digital_river:
            seen.append(REGISTRY.get_sample_value("portal_digital_river_breaker_open"))
            for _ in range(3):
                with pytest.raises(Unavailable):
                    await orders.fetch_any_order(digital_river, OrderId("1"))
            seen.append(REGISTRY.get_sample_value("portal_digital_river_breaker_open"))
            scripted.script = [found()]
            await asyncio.sleep(60)
            await orders.fetch_any_order(digital_river, OrderId("1"))
            seen.append(REGISTRY.get_sample_value("portal_digital_river_breaker_open"))
        return seen

    assert run_on_jumping_clock(scenario()) == [0, 1, 0]
