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


async def mint(merchant: Merchant, **wish: Any) -> Json:
    return await merchant.post("/_sandbox/sources", wish)


async def customer(merchant: Merchant, identity: str = "ada") -> Json:
    return await merchant.post("/customers", {"id": identity})


async def saved(merchant: Merchant, identity: str = "ada", **wish: Any) -> Json:
    source = await mint(merchant, **wish)
    return await merchant.post(f"/customers/{identity}/sources/{source['id']}")


async def attach_refused(
    merchant: Merchant, source: Json, identity: str = "ada"
) -> tuple[int, str | None, str | None]:
    return await merchant.refused(f"/customers/{identity}/sources/{source['id']}", {})


async def test_a_card_is_minted_for_account_management(merchant: Merchant) -> None:
    minted = await mint(merchant, expirationYear=2031, expirationMonth=2, lastFourDigits="4242", brand="Amex")
    assert (minted["type"], minted["state"], minted["flow"]) == ("creditCard", "chargeable", "standard")
    assert minted["reusable"] is False
    assert "amount" not in minted
    assert "customerId" not in minted
    assert minted["clientSecret"].startswith(f"{minted['id']}_")
    read = await merchant.get(f"/sources/{minted['id']}")
    assert read["creditCard"] == {
        "brand": "Amex",
        "expirationMonth": 2,
        "expirationYear": 2031,
        "lastFourDigits": "4242",
    }
    assert read["owner"] == minted["owner"]
    assert "clientId" in minted
    assert "clientId" not in read
    assert await merchant.event_types() == ["source.created"]


@pytest.mark.parametrize("sample", samples("sources"))
async def test_every_printed_source_can_be_minted(merchant: Merchant, sample: Json) -> None:
    state = sample.get("state") or sample["status"]
    minted = await mint(
        merchant,
        type=sample["type"],
        state=state,
        owner=sample.get("owner"),
        details=sample[sample["type"]],
    )
    for name in {"type", "flow", "reusable", "owner", "state", sample["type"]} & set(sample):
        assert minted[name] == sample[name], name
    read = await merchant.get(f"/sources/{minted['id']}")
    assert (read["type"], read["state"]) == (sample["type"], state)
    assert ("owner" in read) == ("owner" in sample)


async def test_an_amount_is_text_in_the_browser_and_a_number_in_the_api(merchant: Merchant) -> None:
    minted = await mint(merchant, type="payco", amount="100.00", currency="KRW")
    assert minted["amount"] == "100.00"
    assert (await merchant.get(f"/sources/{minted['id']}"))["amount"] == 100.0


@pytest.mark.parametrize("kind", STORABLE)
async def test_a_chargeable_source_of_a_storable_type_is_saved(merchant: Merchant, kind: str) -> None:
    await customer(merchant)
    source = await saved(merchant, type=kind, state="chargeable")
    assert (source["reusable"], source["customerId"]) == (True, "ada")
    shown = await merchant.get("/customers/ada")
    assert shown["sources"] == [source]
    assert shown["defaultSourceId"] == source["id"]
    assert (await merchant.event_types())[-1] == "customer.source.created"


@pytest.mark.parametrize("kind", FLEETING)
async def test_a_source_of_a_type_that_cannot_be_stored_is_refused(merchant: Merchant, kind: str) -> None:
    await customer(merchant)
    source = await mint(merchant, type=kind, state="chargeable")
    response = await merchant.client.post(f"/customers/ada/sources/{source['id']}")
    assert response.status_code == 409
    assert response.json()["errors"] == [
        {
            "code": "nonreusable_source",
            "message": "Only a reusable source may be attached to a customer.",
        }
    ]


@pytest.mark.parametrize("state", STATES)
async def test_only_a_chargeable_source_is_saved(merchant: Merchant, state: str) -> None:
    await customer(merchant)
    source = await mint(merchant, state=state)
    assert await attach_refused(merchant, source) == (409, "source_not_chargeable", "sourceId")


async def test_what_the_buyer_did_not_agree_to_store_is_not_stored(merchant: Merchant) -> None:
    await customer(merchant)
    result = await merchant.post("/_sandbox/drop-in", {"readyForStorage": False})
    assert (result["readyForStorage"], result["supportsStorage"]) == (False, True)
    assert (await attach_refused(merchant, result["source"]))[1] == "nonreusable_source"
    agreed = await merchant.post("/_sandbox/drop-in", {})
    assert (agreed["readyForStorage"], agreed["supportsStorage"]) == (True, True)
    other = await merchant.post("/_sandbox/drop-in", {"type": "konbini"})
    assert (other["readyForStorage"], other["supportsStorage"]) == (False, False)


async def test_a_source_is_saved_by_one_customer_only_and_repeating_is_harmless(merchant: Merchant) -> None:
    await customer(merchant)
    await customer(merchant, "bob")
    source = await saved(merchant)
    assert await merchant.post(f"/customers/ada/sources/{source['id']}") == source
    assert (await merchant.event_types()).count("customer.source.created") == 1
    assert await attach_refused(merchant, source, "bob") == (409, "source_in_use", "sourceId")
    response = await merchant.client.delete(f"/customers/bob/sources/{source['id']}")
    assert refusal(response) == (404, "source_not_found", None)


async def test_unknown_customers_and_sources_are_not_found(merchant: Merchant) -> None:
    source = await mint(merchant)
    assert await attach_refused(merchant, source, "nobody") == (404, "not_found", "id")
    await customer(merchant)
    response = await merchant.client.post("/customers/ada/sources/none")
    assert refusal(response) == (404, "source_not_found", None)
    assert response.json()["errors"][0]["message"] == "Source none was not found."
    assert (await merchant.client.get("/sources/none")).status_code == 404


async def test_a_detached_source_is_cancelled_for_good(merchant: Merchant) -> None:
    await customer(merchant)
    source = await saved(merchant)
    path = f"/customers/ada/sources/{source['id']}"
    assert (await merchant.client.delete(path)).status_code == 204
    assert (await merchant.get(f"/sources/{source['id']}"))["state"] == "cancelled"
    assert "sources" not in await merchant.get("/customers/ada")
    assert await attach_refused(merchant, source) == (409, "source_not_chargeable", "sourceId")
    event = (await merchant.get("/events", {"limit": 1}))["data"][0]
    assert event["type"] == "customer.source.deleted"
    assert (event["data"]["object"]["state"], event["data"]["object"]["customerId"]) == ("cancelled", "ada")
    assert (await merchant.client.delete(path)).status_code == 404


@pytest.mark.parametrize("rule", ["clear", "promote"])
async def test_the_default_goes_or_passes_on_as_the_rule_says(merchant: Merchant, rule: str) -> None:
    await merchant.client.put("/_sandbox/rules", json={"afterDefaultDetached": rule})
    await customer(merchant)
    first, second = await saved(merchant), await saved(merchant)
    assert (await merchant.get("/customers/ada"))["defaultSourceId"] == first["id"]
    await merchant.client.delete(f"/customers/ada/sources/{first['id']}")
    expected = second["id"] if rule == "promote" else None
    assert (await merchant.get("/customers/ada")).get("defaultSourceId") == expected
    await merchant.client.delete(f"/customers/ada/sources/{second['id']}")
    assert "defaultSourceId" not in await merchant.get("/customers/ada")


async def test_detaching_another_source_leaves_the_default(merchant: Merchant) -> None:
    await customer(merchant)
    first, second = await saved(merchant), await saved(merchant)
    await merchant.post("/customers/ada", {"defaultSourceId": second["id"]})
    await merchant.client.delete(f"/customers/ada/sources/{first['id']}")
    assert (await merchant.get("/customers/ada"))["defaultSourceId"] == second["id"]


async def test_only_a_saved_source_becomes_the_default(merchant: Merchant) -> None:
    await customer(merchant)
    await customer(merchant, "bob")
    for source in (await mint(merchant), await saved(merchant, "bob")):
        wish = {"defaultSourceId": source["id"]}
        assert await merchant.refused("/customers/ada", wish) == (409, "source_not_found", "defaultSourceId")


async def test_a_source_that_becomes_chargeable_says_so_once(merchant: Merchant) -> None:
    source = await mint(merchant, type="payPalBilling")
    assert source["state"] == "pending_redirect"
    for state in ("chargeable", "chargeable", "failed"):
        await merchant.post(f"/_sandbox/sources/{source['id']}/state", {"state": state})
    assert await merchant.event_types() == ["source.created", "source.chargeable"]
    assert (await merchant.get(f"/sources/{source['id']}"))["state"] == "failed"


async def test_a_source_of_any_state_can_belong_to_a_customer_from_the_start(merchant: Merchant) -> None:
    await customer(merchant)
    source = await mint(merchant, customerId="ada", state="failed", expirationYear=2020)
    assert (await merchant.get("/customers/ada"))["sources"][0]["id"] == source["id"]
    assert (await merchant.refused("/_sandbox/sources", {"customerId": "nobody"}))[0] == 400


async def test_store_credit_is_the_only_source_a_merchant_makes(merchant: Merchant) -> None:
    owner = {"firstName": "Chase", "address": {"country": "US", "state": "MN"}}
    body = {"type": "customerCredit", "amount": 12.5, "currency": "USD", "owner": owner, "upstreamId": "7"}
    credit = await merchant.post("/sources", body)
    assert credit["state"] == "chargeable"
    assert body.items() <= credit.items()
    await customer(merchant)
    assert (await attach_refused(merchant, credit))[1] == "nonreusable_source"


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
    merchant: Merchant, body: Json, expected: tuple[str, str]
) -> None:
    assert await merchant.refused("/sources", body) == (400, *expected)


async def test_a_member_that_is_null_is_as_good_as_none(merchant: Merchant) -> None:
    body = {"type": "customerCredit", "customerCredit": None, "owner": None, "amount": None}
    credit = await merchant.post("/sources", body)
    assert credit["customerCredit"] == {}
    assert not {"owner", "amount"} & set(credit)


async def test_a_deleted_customer_takes_its_belongings_along(merchant: Merchant) -> None:
    await customer(merchant)
    source = await saved(merchant)
    tax_identifier = await merchant.post("/tax-identifiers", {"type": "de", "value": "DE123456789"})
    await merchant.post(f"/customers/ada/tax-identifiers/{tax_identifier['id']}")
    await merchant.client.delete("/customers/ada")
    assert await customer(merchant) | {"sources": 0} == await merchant.get("/customers/ada") | {"sources": 0}
    assert (await merchant.get(f"/sources/{source['id']}"))["state"] == "cancelled"
    assert (await merchant.client.get(f"/tax-identifiers/{tax_identifier['id']}")).status_code == 404


async def test_an_order_shows_the_source_that_pays_it_and_spends_it(merchant: Merchant) -> None:
    source = await mint(merchant, lastFourDigits="4242")
    order = await merchant.order(customerId="ada", sourceId=source["id"])
    order = await merchant.get(f"/orders/{order['id']}")
    assert order["payment"]["charges"][0]["sourceId"] == source["id"]
    shown = order["payment"]["sources"][0]
    assert set(shown) == {"id", "type", "owner", "creditCard", "amount"}
    assert shown["creditCard"]["lastFourDigits"] == "4242"
    assert (await merchant.get(f"/sources/{source['id']}"))["state"] == "consumed"
    again = await merchant.refused("/_sandbox/orders", {"sourceId": source["id"]})
    assert again == (409, "source_not_chargeable", "sourceId")


async def test_a_saved_source_pays_often_but_only_for_its_customer(merchant: Merchant) -> None:
    await customer(merchant)
    source = await saved(merchant)
    for _ in range(2):
        await merchant.order(customerId="ada", sourceId=source["id"])
    assert (await merchant.get(f"/sources/{source['id']}"))["state"] == "chargeable"
    for stranger in ({"customerId": "bob"}, {}):
        wish = {"sourceId": source["id"], **stranger}
        assert await merchant.refused("/_sandbox/orders", wish) == (409, "source_in_use", "sourceId")


@pytest.mark.parametrize("kind", ["payco", "applePay", "giftCard", "tomorrowsWallet", "wireTransfer"])
async def test_an_order_can_be_paid_by_any_type(merchant: Merchant, kind: str) -> None:
    source = await mint(merchant, type=kind)
    order = await merchant.order(sourceId=source["id"], state="accepted")
    order = await merchant.get(f"/orders/{order['id']}")
    assert (order["payment"]["sources"][0]["type"], order["state"]) == (kind, "accepted")


async def test_a_disabled_customer_cannot_order(merchant: Merchant) -> None:
    await merchant.post("/customers", {"id": "ada", "enabled": False})
    assert (await merchant.refused("/_sandbox/orders", {"customerId": "ada"}))[0] == 409
