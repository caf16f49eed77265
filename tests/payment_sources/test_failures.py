"""Digital River fails or changes its answer in the middle of a change to a payment source."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.buyers import PaymentBuyer, comparable, source_error
from tests.support.clock import eventually
from tests.support.sandbox import Sandbox

ATTACH = "/customers/{id}/sources/{sourceId}"


async def test_a_failure_between_saving_and_choosing_the_default_is_completed_by_asking_again(
    ada: PaymentBuyer, sandbox: Sandbox
) -> None:
    first, second = await ada.enter(), await ada.enter()
    await ada.save(first)
    await sandbox.fault("status", status=500, method="POST", path="/customers/{id}", times=1)
    answer = await ada.save(second, makeDefault=True)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert [method["id"] for method in await ada.saved()] == [first, second]
    assert await ada.default() == first
    again = await ada.save(second, makeDefault=True)
    assert (again.status_code, again.json()["isDefault"]) == (200, True)
    assert await sandbox.count(f"POST {ATTACH}") == 2


async def test_a_lost_answer_to_saving_is_found_by_asking_again(ada: PaymentBuyer, sandbox: Sandbox) -> None:
    source_id = await ada.enter()
    await lose_answer(sandbox, method="POST", path=ATTACH)
    assert (await ada.save(source_id)).status_code == 503
    again = await ada.save(source_id)
    assert (again.status_code, again.json()["isDefault"]) == (200, True)


async def test_a_lost_answer_to_removing_is_no_failure(ada: PaymentBuyer, sandbox: Sandbox) -> None:
    source_id = await ada.enter()
    await ada.save(source_id)
    await lose_answer(sandbox, method="DELETE", path=ATTACH)
    assert (await ada.remove(source_id)).status_code == 204
    assert await ada.saved() == []


async def test_a_source_that_fails_between_reading_and_saving_is_refused(
    ada: PaymentBuyer, sandbox: Sandbox
) -> None:
    source_id = await ada.enter()
    async with saving_slowly(ada, sandbox, source_id) as saving:
        await sandbox.post(f"/_sandbox/sources/{source_id}/state", {"state": "failed"})
        assert "cannot be used" in source_error(await saving)
    assert await ada.saved() == []


async def test_a_source_that_another_buyer_saves_first_is_answered_like_none(
    ada: PaymentBuyer, sandbox: Sandbox
) -> None:
    source_id = await ada.enter()
    await sandbox.post("/customers", {"id": "bob"})
    async with saving_slowly(ada, sandbox, source_id) as saving:
        await sandbox.post(f"/customers/bob/sources/{source_id}")
        answer = comparable(await saving)
    assert answer == comparable(await ada.save(str(uuid4())))
    assert await ada.saved() == []


@pytest.mark.parametrize(
    ("fault", "status"),
    [({"kind": "status", "status": 500}, 503), ({"kind": "garbage"}, 502), ({"kind": "empty"}, 502)],
)
async def test_an_outage_is_a_problem_that_names_no_customer(
    fault: dict[str, Any], status: int, ada: PaymentBuyer, sandbox: Sandbox
) -> None:
    source_id = await ada.enter()
    await ada.save(source_id)
    await sandbox.fault(**fault, path="/customers*")
    for answer in (await ada.send("GET", ""), await ada.save(await ada.enter()), await ada.choose(source_id)):
        assert answer.status_code == status
        assert answer.headers["Content-Type"] == "application/problem+json"


async def lose_answer(sandbox: Sandbox, **target: str) -> None:
    """The next such call does its work, and its answer never arrives."""
    fault = {"kind": "reset", "afterwards": True, "times": 1, "target": target}
    await sandbox.post("/_sandbox/faults", fault)


@asynccontextmanager
async def saving_slowly(
    buyer: PaymentBuyer, sandbox: Sandbox, source_id: str
) -> AsyncIterator[asyncio.Task[httpx.Response]]:
    """A POST that has read its source, and does not go on for a moment."""
    await sandbox.fault("delay", seconds=1.0, method="GET", path="/customers/{id}", times=1)
    before = await sandbox.count("GET /sources/{id}")

    async def has_read() -> bool:
        return await sandbox.count("GET /sources/{id}") > before

    async with asyncio.TaskGroup() as group:
        saving = group.create_task(buyer.save(source_id))
        await eventually(has_read)
        yield saving
