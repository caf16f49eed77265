"""Payment sources: of every printed type and state, saved by the documented rules, removed for good."""

from typing import Any

import pytest

from tests.sandbox.official import samples
from tests.support.merchant import Json, Merchant, refusal

STORABLE = ("creditCard", "googlePay", "applePay", "payPalBilling", "directDebit", "msts", "ideal")
FLEETING = ("payPal", "klarnaCredit", "payco", "trustly", "konbini", "wireTransfer", "tomorrowsWallet")
STATES = (
    "requires_action",
    "pending_redirect",
    "pending_funds",
    "pending",
    "consumed",
    "failed",
    "cancelled",
)


async def mint(far: Merchant, **wish: Any) -> Json:
    return await far.post("/_sandbox/sources", wish)


async def customer(far: Merchant, identity: str = "ada") -> Json:
    return await far.post("/customers", {"id": identity})


async def saved(far: Merchant, identity: str = "ada", **wish: Any) -> Json:
    source = await mint(far, **wish)
    return await far.post(f"/customers/{identity}/sources/{source['id']}")


async def attach_refused(
    far: Merchant, source: Json, identity: str = "ada"
) -> tuple[int, str | None, str | None]:
    return await far.refused(f"/customers/{identity}/sources/{source['id']}", {})


async def test_a_card_is_minted_for_account_management(far: Merchant) -> None:
    minted = await mint(far, expirationYear=2031, expirationMonth=2, lastFourDigits="4242", brand="Amex")
    assert (minted["type"], minted["state"], minted["flow"]) == ("creditCard", "chargeable", "standard")
    assert minted["reusable"] is False
    assert "amount" not in minted
    assert "customerId" not in minted
    assert minted["clientSecret"].startswith(f"{minted['id']}_")
    read = await far.get(f"/sources/{minted['id']}")
    assert read["creditCard"] == {
        "brand": "Amex",
        "expirationMonth": 2,
        "expirationYear": 2031,
        "lastFourDigits": "4242",
    }
    assert read["owner"] == minted["owner"]
    assert "clientId" in minted
    assert "clientId" not in read
    assert await far.event_types() == ["source.created"]


@pytest.mark.parametrize("sample", samples("sources"))
async def test_every_printed_source_can_be_minted(far: Merchant, sample: Json) -> None:
    state = sample.get("state") or sample["status"]
    minted = await mint(
        far,
        type=sample["type"],
        state=state,
        owner=sample.get("owner"),
        details=sample[sample["type"]],
    )
    for name in {"type", "flow", "reusable", "owner", "state", sample["type"]} & set(sample):
        assert minted[name] == sample[name], name
    read = await far.get(f"/sources/{minted['id']}")
    assert (read["type"], read["state"]) == (sample["type"], state)
    assert ("owner" in read) == ("owner" in sample)


async def test_an_amount_is_text_in_the_browser_and_a_number_in_the_api(far: Merchant) -> None:
    minted = await mint(far, type="payco", amount="100.00", currency="KRW")
    assert minted["amount"] == "100.00"
    assert (await far.get(f"/sources/{minted['id']}"))["amount"] == 100.0


@pytest.mark.parametrize("kind", STORABLE)
async def test_a_chargeable_source_of_a_storable_type_is_saved(far: Merchant, kind: str) -> None:
    await customer(far)
    source = await saved(far, type=kind, state="chargeable")
    assert (source["reusable"], source["customerId"]) == (True, "ada")
    shown = await far.get("/customers/ada")
    assert shown["sources"] == [source]
    assert shown["defaultSourceId"] == source["id"]
    assert (await far.event_types())[-1] == "customer.source.created"


@pytest.mark.parametrize("kind", FLEETING)
async def test_a_source_of_a_type_that_cannot_be_stored_is_refused(far: Merchant, kind: str) -> None:
    await customer(far)
    source = await mint(far, type=kind, state="chargeable")
    response = await far.client.post(f"/customers/ada/sources/{source['id']}")
    assert response.status_code == 409
    assert response.json()["errors"] == [
        {
            "code": "nonreusable_source",
            "message": "Only a reusable source may be attached to a customer.",
        }
    ]


@pytest.mark.parametrize("state", STATES)
async def test_only_a_chargeable_source_is_saved(far: Merchant, state: str) -> None:
    await customer(far)
    source = await mint(far, state=state)
    assert await attach_refused(far, source) == (409, "source_not_chargeable", "sourceId")


async def test_what_the_buyer_did_not_agree_to_store_is_not_stored(far: Merchant) -> None:
    await customer(far)
    result = await far.post("/_sandbox/drop-in", {"readyForStorage": False})
    assert (result["readyForStorage"], result["supportsStorage"]) == (False, True)
    assert (await attach_refused(far, result["source"]))[1] == "nonreusable_source"
    agreed = await far.post("/_sandbox/drop-in", {})
    assert (agreed["readyForStorage"], agreed["supportsStorage"]) == (True, True)
    other = await far.post("/_sandbox/drop-in", {"type": "konbini"})
    assert (other["readyForStorage"], other["supportsStorage"]) == (False, False)


async def test_a_source_is_saved_by_one_customer_only_and_repeating_is_harmless(far: Merchant) -> None:
    await customer(far)
    await customer(far, "bob")
    source = await saved(far)
    assert await far.post(f"/customers/ada/sources/{source['id']}") == source
    assert (await far.event_types()).count("customer.source.created") == 1
    assert await attach_refused(far, source, "bob") == (409, "source_in_use", "sourceId")
    response = await far.client.delete(f"/customers/bob/sources/{source['id']}")
    assert refusal(response) == (404, "source_not_found", None)


async def test_unknown_customers_and_sources_are_not_found(far: Merchant) -> None:
    source = await mint(far)
    assert await attach_refused(far, source, "nobody") == (404, "not_found", "id")
    await customer(far)
    response = await far.client.post("/customers/ada/sources/none")
    assert refusal(response) == (404, "source_not_found", None)
    assert response.json()["errors"][0]["message"] == "Source none was not found."
    assert (await far.client.get("/sources/none")).status_code == 404


async def test_a_detached_source_is_cancelled_for_good(far: Merchant) -> None:
    await customer(far)
    source = await saved(far)
    path = f"/customers/ada/sources/{source['id']}"
    assert (await far.client.delete(path)).status_code == 204
    assert (await far.get(f"/sources/{source['id']}"))["state"] == "cancelled"
    assert "sources" not in await far.get("/customers/ada")
    assert await attach_refused(far, source) == (409, "source_not_chargeable", "sourceId")
    event = (await far.get("/events", {"limit": 1}))["data"][0]
    assert event["type"] == "customer.source.deleted"
    assert (event["data"]["object"]["state"], event["data"]["object"]["customerId"]) == ("cancelled", "ada")
    assert (await far.client.delete(path)).status_code == 404


@pytest.mark.parametrize("rule", ["clear", "promote"])
async def test_the_default_goes_or_passes_on_as_the_rule_says(far: Merchant, rule: str) -> None:
    await far.client.put("/_sandbox/rules", json={"afterDefaultDetached": rule})
    await customer(far)
    first, second = await saved(far), await saved(far)
    assert (await far.get("/customers/ada"))["defaultSourceId"] == first["id"]
    await far.client.delete(f"/customers/ada/sources/{first['id']}")
    expected = second["id"] if rule == "promote" else None
    assert (await far.get("/customers/ada")).get("defaultSourceId") == expected
    await far.client.delete(f"/customers/ada/sources/{second['id']}")
    assert "defaultSourceId" not in await far.get("/customers/ada")


async def test_detaching_another_source_leaves_the_default(far: Merchant) -> None:
    await customer(far)
    first, second = await saved(far), await saved(far)
    await far.post("/customers/ada", {"defaultSourceId": second["id"]})
    await far.client.delete(f"/customers/ada/sources/{first['id']}")
    assert (await far.get("/customers/ada"))["defaultSourceId"] == second["id"]


async def test_only_a_saved_source_becomes_the_default(far: Merchant) -> None:
    await customer(far)
    await customer(far, "bob")
    for source in (await mint(far), await saved(far, "bob")):
        wish = {"defaultSourceId": source["id"]}
        assert await far.refused("/customers/ada", wish) == (409, "source_not_found", "defaultSourceId")


async def test_a_source_that_becomes_chargeable_says_so_once(far: Merchant) -> None:
    source = await mint(far, type="payPalBilling")
    assert source["state"] == "pending_redirect"
    for state in ("chargeable", "chargeable", "failed"):
        await far.post(f"/_sandbox/sources/{source['id']}/state", {"state": state})
    assert await far.event_types() == ["source.created", "source.chargeable"]
    assert (await far.get(f"/sources/{source['id']}"))["state"] == "failed"


async def test_a_source_of_any_state_can_belong_to_a_customer_from_the_start(far: Merchant) -> None:
    await customer(far)
    source = await mint(far, customerId="ada", state="failed", expirationYear=2020)
    assert (await far.get("/customers/ada"))["sources"][0]["id"] == source["id"]
    assert (await far.refused("/_sandbox/sources", {"customerId": "nobody"}))[0] == 400


async def test_store_credit_is_the_only_source_a_merchant_makes(far: Merchant) -> None:
    owner = {"firstName": "Chase", "address": {"country": "US", "state": "MN"}}
    body = {"type": "customerCredit", "amount": 12.5, "currency": "USD", "owner": owner, "upstreamId": "7"}
    credit = await far.post("/sources", body)
    assert credit["state"] == "chargeable"
    assert body.items() <= credit.items()
    await customer(far)
    assert (await attach_refused(far, credit))[1] == "nonreusable_source"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, ("missing_parameter", "type")),
        ({"type": "creditCard"}, ("invalid_parameter", "type")),
        ({"type": "customerCredit", "amount": "much"}, ("invalid_parameter", "amount")),
        ({"type": "customerCredit", "amount": -1}, ("invalid_parameter", "amount")),
        ({"type": "customerCredit", "amount": 1e300}, ("invalid_parameter", "amount")),
        ({"type": "customerCredit", "customerCredit": []}, ("invalid_parameter", "customerCredit")),
        *(
            (
                {"type": "customerCredit", "owner": {"address": {"country": "US"}, name: ["Ada"]}},
                ("invalid_parameter", f"owner.{name}"),
            )
            for name in ("firstName", "lastName", "email", "organization", "upstreamId")
        ),
        ({"type": "customerCredit", "owner": "Ada"}, ("invalid_parameter", "owner")),
        ({"type": "customerCredit", "colour": "red"}, ("unknown_parameter", "colour")),
        ({"type": "customerCredit", "owner": {}}, ("missing_parameter", "owner.address")),
        (
            {"type": "customerCredit", "owner": {"address": {"country": "XX"}}},
            ("invalid_parameter", "owner.address.country"),
        ),
    ],
)
async def test_store_credit_that_breaks_a_rule_is_refused(
    far: Merchant, body: Json, expected: tuple[str, str]
) -> None:
    assert await far.refused("/sources", body) == (400, *expected)


async def test_a_member_that_is_null_is_as_good_as_none(far: Merchant) -> None:
    body = {"type": "customerCredit", "customerCredit": None, "owner": None, "amount": None}
    credit = await far.post("/sources", body)
    assert credit["customerCredit"] == {}
    assert not {"owner", "amount"} & set(credit)


async def test_a_deleted_customer_takes_its_belongings_along(far: Merchant) -> None:
    await customer(far)
    source = await saved(far)
    tax_identifier = await far.post("/tax-identifiers", {"type": "de", "value": "DE123456789"})
    await far.post(f"/customers/ada/tax-identifiers/{tax_identifier['id']}")
    await far.client.delete("/customers/ada")
    assert await customer(far) | {"sources": 0} == await far.get("/customers/ada") | {"sources": 0}
    assert (await far.get(f"/sources/{source['id']}"))["state"] == "cancelled"
    assert (await far.client.get(f"/tax-identifiers/{tax_identifier['id']}")).status_code == 404


async def test_an_order_shows_the_source_that_pays_it_and_spends_it(far: Merchant) -> None:
    source = await mint(far, lastFourDigits="4242")
    order = await far.order(customerId="ada", sourceId=source["id"])
    order = await far.get(f"/orders/{order['id']}")
    assert order["payment"]["charges"][0]["sourceId"] == source["id"]
    shown = order["payment"]["sources"][0]
    assert set(shown) == {"id", "type", "owner", "creditCard", "amount"}
    assert shown["creditCard"]["lastFourDigits"] == "4242"
    assert (await far.get(f"/sources/{source['id']}"))["state"] == "consumed"
    again = await far.refused("/_sandbox/orders", {"sourceId": source["id"]})
    assert again == (409, "source_not_chargeable", "sourceId")


async def test_a_saved_source_pays_often_but_only_for_its_customer(far: Merchant) -> None:
    await customer(far)
    source = await saved(far)
    for _ in range(2):
        await far.order(customerId="ada", sourceId=source["id"])
    assert (await far.get(f"/sources/{source['id']}"))["state"] == "chargeable"
    for stranger in ({"customerId": "bob"}, {}):
        wish = {"sourceId": source["id"], **stranger}
        assert await far.refused("/_sandbox/orders", wish) == (409, "source_in_use", "sourceId")


@pytest.mark.parametrize("kind", ["payco", "applePay", "giftCard", "tomorrowsWallet", "wireTransfer"])
async def test_an_order_can_be_paid_by_any_type(far: Merchant, kind: str) -> None:
    source = await mint(far, type=kind)
    order = await far.order(sourceId=source["id"], state="accepted")
    order = await far.get(f"/orders/{order['id']}")
    assert (order["payment"]["sources"][0]["type"], order["state"]) == (kind, "accepted")


async def test_a_disabled_customer_cannot_order(far: Merchant) -> None:
    await far.post("/customers", {"id": "ada", "enabled": False})
    assert (await far.refused("/_sandbox/orders", {"customerId": "ada"}))[0] == 409
