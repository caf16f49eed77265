"""Default shipping address: a resource of its own, with its own rules."""

import asyncio
from typing import Any

import pytest

from app.customers.addresses import ShippingAddressView
from app.digital_river.models import Party
from tests.support.buyers import ADDRESS, SHIPPING, AccountBuyer, pointers
from tests.support.sandbox import Json, Sandbox

PATH = "/shipping-address"


def with_address(**changes: Any) -> Json:
    address = {name: value for name, value in {**ADDRESS, **changes}.items() if value is not None}
    return {**SHIPPING, "address": address}


async def test_there_is_none_until_one_is_put(ada: AccountBuyer, sandbox: Sandbox) -> None:
    assert (await ada.get(PATH)).status_code == 404
    body = {
        **with_address(line2="Suite 1", postalCode="55343-1234"),
        "email": "parcels@example.com",
        "organization": "Analytical Engines, Inc.",
        "additionalAddressInfo": {"neighborhood": "N", "division": "D", "phoneticName": "エイダ"},
    }
    first = await ada.send("PUT", PATH, body)
    assert (first.status_code, first.json()) == (201, body)
    again = await ada.get(PATH)
    assert (again.json(), again.headers["ETag"]) == (body, first.headers["ETag"])
    assert (await sandbox.get("/customers/ada"))["shipping"] == body
    assert (await ada.get()).json()["shipping"] == body


async def test_a_put_replaces_all_of_it(ada: AccountBuyer) -> None:
    await ada.send("PUT", PATH, {**with_address(line2="Suite 1"), "email": "parcels@example.com"})
    second = await ada.change("PUT", PATH, {"address": {**ADDRESS, "country": "us", "state": "mn"}})
    assert second.status_code == 200
    assert second.json() == {
        **dict.fromkeys(("name", "phone", "email", "organization", "additionalAddressInfo")),
        "address": {**ADDRESS, "line2": None},
    }


async def test_a_deleted_address_leaves_nothing_personal_at_digital_river(
    ada: AccountBuyer, sandbox: Sandbox
) -> None:
    await ada.send("PUT", PATH, SHIPPING)
    assert (await ada.change("DELETE", PATH)).status_code == 204
    assert (await sandbox.get("/customers/ada"))["shipping"] == {"address": {"country": "US"}}
    assert (await ada.get(PATH)).status_code == 404
    assert (await ada.send("DELETE", PATH, headers={"If-Match": "*"})).status_code == 404
    assert (await ada.send("PUT", PATH, SHIPPING)).status_code == 201


async def test_writing_over_an_address_needs_its_version(ada: AccountBuyer) -> None:
    first = await ada.send("PUT", PATH, SHIPPING, headers={"If-None-Match": "*"})
    assert first.status_code == 201
    moved = with_address(city="Eden Prairie")
    for method, body in (("PUT", moved), ("DELETE", None)):
        assert (await ada.send(method, PATH, body)).status_code == 428
        assert (await ada.send(method, PATH, body, headers={"If-Match": '"older"'})).status_code == 412
    assert (await ada.send("PUT", PATH, moved, headers={"If-None-Match": "*"})).status_code == 412
    assert (await ada.get(PATH)).json()["address"]["city"] == "Minnetonka"
    tag = first.headers["ETag"]
    assert (await ada.send("PUT", PATH, moved, headers={"If-Match": tag})).status_code == 200


async def test_a_version_of_an_address_that_is_gone_is_stale(ada: AccountBuyer) -> None:
    assert (await ada.send("PUT", PATH, SHIPPING, headers={"If-Match": '"older"'})).status_code == 412
    assert (await ada.get(PATH)).status_code == 404


async def test_one_of_several_simultaneous_first_addresses_wins(ada: AccountBuyer, sandbox: Sandbox) -> None:
    # Long enough for all readers to read before the first one writes.
    await sandbox.fault("delay", seconds=0.3, method="POST", path="/customers/{id}")
    bodies = [with_address(city=f"City {n}") for n in range(5)]
    answers = await asyncio.gather(*(ada.send("PUT", PATH, body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [201, 428, 428, 428, 428]
    winner = next(answer for answer in answers if answer.status_code == 201)
    assert (await ada.get(PATH)).json() == winner.json()


async def test_an_address_and_a_profile_change_do_not_overwrite_each_other(
    ada: AccountBuyer, sandbox: Sandbox
) -> None:
    await ada.send("PUT", body={"shipping": SHIPPING})
    profile, address = (await ada.get()).headers["ETag"], (await ada.get(PATH)).headers["ETag"]
    await sandbox.fault("delay", seconds=0.3, method="POST", path="/customers/{id}")
    answers = await asyncio.gather(
        ada.send("PATCH", body={"shipping": {"phone": "1"}}, headers={"If-Match": profile}),
        ada.send("PUT", PATH, with_address(city="Eden Prairie"), headers={"If-Match": address}),
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412]


@pytest.mark.parametrize(
    ("country", "state", "postal_code"),
    [
        ("US", "MN", "55343"),
        ("US", "PR", "00901"),
        ("CA", "ON", "k1a 0b1"),
        ("GB", None, "sw1a 1aa"),
        ("DE", None, "50667"),
        ("FR", None, "75001"),
        ("ES", "Madrid", "28001"),
        ("IT", "MI", "20121"),
        ("IE", None, None),
        ("JP", "Tokyo", "100-0001"),
    ],
)
async def test_addresses_of_many_countries_are_accepted(
    country: str, state: str | None, postal_code: str | None, ada: AccountBuyer
) -> None:
    body = with_address(country=country, state=state, postalCode=postal_code)
    answer = await ada.send("PUT", PATH, body)
    assert answer.status_code == 201, answer.text


_BAD: dict[str, tuple[Json, list[str]]] = {
    "nothing": ({}, ["/address"]),
    "no address": ({"name": "Ada"}, ["/address"]),
    "empty address": ({"address": {}}, ["/address/city", "/address/country", "/address/line1"]),
    "country in words": (with_address(country="Germany"), ["/address/country"]),
    "unknown country": (with_address(country="XX"), ["/address/country"]),
    "US postal code": (with_address(postalCode="5534"), ["/address/postalCode"]),
    "US without": (with_address(postalCode=None, state=None), ["/address/postalCode", "/address/state"]),
    "US state in words": (with_address(state="Minnesota"), ["/address/state"]),
    "CA state of the US": (
        with_address(country="CA", postalCode="K1A 0B1", state="MN"),
        ["/address/state"],
    ),
    "CA postal code": (with_address(country="CA", state="ON"), ["/address/postalCode"]),
    "GB": (with_address(country="GB", state=None, postalCode="123"), ["/address/postalCode"]),
    "DE": (with_address(country="DE", state=None, postalCode="5066"), ["/address/postalCode"]),
    "DE, Arabic digits": (
        with_address(country="DE", state=None, postalCode="٥٠٦٦٧"),
        ["/address/postalCode"],
    ),
    "FR": (with_address(country="FR", state=None, postalCode="F-75001"), ["/address/postalCode"]),
    "ES": (with_address(country="ES", state=None, postalCode="280011"), ["/address/postalCode"]),
    "IT": (with_address(country="IT", state=None, postalCode="ABCDE"), ["/address/postalCode"]),
    "unknown": ({**SHIPPING, "colour": 1}, ["/colour"]),
    "unknown, deep": (with_address(planet="Earth"), ["/address/planet"]),
    "snake case": (with_address(postal_code="55343"), ["/address/postal_code"]),
    "e-mail": ({**SHIPPING, "email": "nobody"}, ["/email"]),
    "long name": ({**SHIPPING, "name": "x" * 201}, ["/name"]),
    "blank city": (with_address(city="  "), ["/address/city"]),
    "line feed": (with_address(line1="a\nb"), ["/address/line1"]),
    "number": (with_address(city=1), ["/address/city"]),
}


@pytest.mark.parametrize("case", sorted(_BAD))
async def test_an_address_that_cannot_be_accepted_says_where(
    case: str, ada: AccountBuyer, sandbox: Sandbox
) -> None:
    body, expected = _BAD[case]
    assert pointers(await ada.send("PUT", PATH, body)) == expected
    assert await sandbox.count("POST /customers/{id}") == 0


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_another_customers_address_does_not_exist(
    method: str, ada: AccountBuyer, eve: AccountBuyer, support: AccountBuyer
) -> None:
    await ada.send("PUT", PATH, SHIPPING)
    body = SHIPPING if method == "PUT" else None
    for who in (eve, support):
        answer = await who.send(method, PATH, body, of="ada", headers={"If-Match": "*"})
        assert answer.status_code == (200 if who is support and method == "GET" else 404)
    assert (await AccountBuyer(ada.portal, {}).send(method, PATH, body)).status_code == 401
    assert (await ada.get(PATH)).json()["name"] == "Ada Lovelace"


def test_a_name_without_an_address_is_shown_with_an_empty_one() -> None:
    view = ShippingAddressView.of(Party(name="Ada Lovelace", address=None))
    assert view is not None
    assert view.name == "Ada Lovelace"
    assert not any(view.address.model_dump().values())
