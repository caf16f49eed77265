"""Tax identifiers: one per type, and a failed replacement never leaves the buyer without one."""

import asyncio

import pytest

from tests.support.buyers import AccountBuyer, pointers
from tests.support.sandbox import Json, Sandbox

PATH = "/tax-identifiers"
OLD = {"type": "de", "value": "DE123456789"}
NEW = {"type": "de", "value": "DE999999999"}
ATTACH = {"method": "POST", "path": "/customers/ada/tax-identifiers/*"}
DELETE = {"method": "DELETE", "path": "/tax-identifiers/*"}


async def values(buyer: AccountBuyer) -> list[str]:
    answer = await buyer.get(PATH)
    assert answer.status_code == 200, answer.text
    assert answer.json()["nextCursor"] is None
    return [one["value"] for one in answer.json()["data"]]


async def at_digital_river(sandbox: Sandbox) -> list[Json]:
    found: list[Json] = (await sandbox.get("/tax-identifiers"))["data"]
    return found


async def test_an_identifier_is_added_shown_verified_and_removed(ada: AccountBuyer, sandbox: Sandbox) -> None:
    assert await values(ada) == []
    added = await ada.send("POST", PATH, {"type": "at", "value": "ATU12345678"})
    assert added.status_code == 201, added.text
    assert added.json()["state"] == "pending"
    identifier = added.json()["id"]
    await sandbox.post(
        f"/_sandbox/tax-identifiers/{identifier}/verification",
        {"state": "verified", "verifiedName": "Ada GmbH"},
    )
    (shown,) = (await ada.get(PATH)).json()["data"]
    assert (shown["state"], shown["verifiedName"]) == ("verified", "Ada GmbH")
    await sandbox.post(f"/_sandbox/tax-identifiers/{identifier}/verification", {"state": "not_valid"})
    assert (await ada.get(PATH)).json()["data"][0]["state"] == "notValid"
    assert (await ada.send("DELETE", f"{PATH}/{identifier}")).status_code == 204
    assert await values(ada) == []
    assert (await ada.send("DELETE", f"{PATH}/{identifier}")).status_code == 404


async def test_where_an_identifier_counts_is_shown(ada: AccountBuyer) -> None:
    applicability = (await ada.send("POST", PATH, OLD)).json()["applicability"]
    assert {
        "country": "DE",
        "sellingEntity": "DR_IRELAND-ENTITY",
        "customerType": "business",
    } in applicability


async def test_another_value_takes_the_place_of_the_present_one(ada: AccountBuyer, sandbox: Sandbox) -> None:
    await ada.send("POST", PATH, OLD)
    await ada.send("POST", PATH, {"type": "at", "value": "ATU12345678"})
    replaced = await ada.send("POST", PATH, NEW)
    assert (replaced.status_code, replaced.json()["value"]) == (201, NEW["value"])
    assert sorted(await values(ada)) == ["ATU12345678", NEW["value"]]
    assert len(await at_digital_river(sandbox)) == 2


async def test_the_same_value_again_changes_nothing(ada: AccountBuyer, sandbox: Sandbox) -> None:
    first = await ada.send("POST", PATH, OLD)
    again = await ada.send("POST", PATH, {"type": "de", "value": " de123456789 "})
    assert (again.status_code, again.json()) == (200, first.json())
    assert await sandbox.count("POST /tax-identifiers") == 1


async def test_simultaneous_replacements_leave_one(ada: AccountBuyer, sandbox: Sandbox) -> None:
    bodies = [{"type": "de", "value": f"DE10000000{n}"} for n in range(5)]
    answers = await asyncio.gather(*(ada.send("POST", PATH, body) for body in bodies))
    assert {answer.status_code for answer in answers} == {201}
    assert len(await at_digital_river(sandbox)) == 1


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"type": "de", "value": "DE12"}, ["/value"]),
        ({"type": "xx", "value": "1"}, ["/type"]),
        ({"type": "DE", "value": "DE123456789"}, ["/type"]),
        ({"type": "de", "value": ""}, ["/value"]),
        ({"type": "de", "value": "1" * 61}, ["/value"]),
        ({"type": "de"}, ["/value"]),
        ({**OLD, "state": "verified"}, ["/state"]),
    ],
)
async def test_an_identifier_that_cannot_be_accepted_says_where_and_the_present_one_stays(
    body: Json, expected: list[str], ada: AccountBuyer, sandbox: Sandbox
) -> None:
    await ada.send("POST", PATH, OLD)
    answer = await ada.send("POST", PATH, body)
    assert pointers(answer) == expected
    assert "invalid" not in answer.json()["errors"][0]["detail"]
    assert await values(ada) == [OLD["value"]]
    assert len(await at_digital_river(sandbox)) == 1


@pytest.mark.proof
@pytest.mark.parametrize("kind", ["status", "reset", "garbage"])
@pytest.mark.parametrize("target", [ATTACH, DELETE], ids=["attach", "delete"])
async def test_when_a_step_of_a_replacement_fails_for_good_the_old_one_stays(
    target: dict[str, str], kind: str, ada: AccountBuyer, sandbox: Sandbox
) -> None:
    await ada.send("POST", PATH, OLD)
    await sandbox.fault(kind, method=target["method"], path=target["path"])
    answer = await ada.send("POST", PATH, NEW)
    assert answer.status_code in {502, 503}, answer.text
    assert await values(ada) == [OLD["value"]]
    if target is ATTACH:
        assert len(await at_digital_river(sandbox)) == 1, "what nobody can use is not left behind"
    await sandbox.client.delete("/_sandbox/faults")
    assert (await ada.send("POST", PATH, NEW)).status_code == 201
    assert await values(ada) == [NEW["value"]]


@pytest.mark.parametrize("target", [ATTACH, DELETE], ids=["attach", "delete"])
async def test_when_only_an_answer_is_lost_the_buyer_has_one_of_the_two(
    target: dict[str, str], ada: AccountBuyer, sandbox: Sandbox
) -> None:
    await ada.send("POST", PATH, OLD)
    await sandbox.fault("reset", times=1, afterwards=True, method=target["method"], path=target["path"])
    answer = await ada.send("POST", PATH, NEW)
    expected = NEW if answer.status_code == 201 else OLD
    assert await values(ada) == [expected["value"]]
    assert (await ada.send("POST", PATH, NEW)).status_code in {200, 201}
    assert await values(ada) == [NEW["value"]]


async def test_a_repeated_key_adds_once(ada: AccountBuyer, sandbox: Sandbox) -> None:
    headers = {"Idempotency-Key": "once"}
    first = await ada.send("POST", PATH, OLD, headers=headers)
    again = await ada.send("POST", PATH, OLD, headers=headers)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (await ada.send("POST", PATH, NEW, headers=headers)).status_code == 422
    assert await sandbox.count("POST /tax-identifiers") == 1


async def test_another_customers_identifier_does_not_exist(
    ada: AccountBuyer, eve: AccountBuyer, support: AccountBuyer
) -> None:
    identifier = (await ada.send("POST", PATH, OLD)).json()["id"]
    assert (await eve.send("DELETE", f"{PATH}/{identifier}")).status_code == 404
    for who in (eve, support):
        assert (await who.send("DELETE", f"{PATH}/{identifier}", of="ada")).status_code == 404
        assert (await who.send("POST", PATH, NEW, of="ada")).status_code == 404
    assert (await eve.get(PATH, of="ada")).status_code == 404
    assert (await support.get(PATH, of="ada")).json()["data"][0]["value"] == OLD["value"]
    assert (await AccountBuyer(ada.portal, {}).get(PATH)).status_code == 401
    assert await values(ada) == [OLD["value"]]
    assert await values(eve) == []
