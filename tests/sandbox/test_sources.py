"""Payment sources: every printed type and state, saved by the documented rules, deleted for good."""

from typing import Any

import pytest

from tests.sandbox.official import samples
from tests.support.api_client import ApiClient, Json, refusal

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


async def mint(api: ApiClient, **wish: Any) -> Json:
    return await api.post("/_sandbox/sources", wish)


async def customer(api: ApiClient, identity: str = "ada") -> Json:
    return await api.post("/customers", {"id": identity})


async def saved(api: ApiClient, identity: str = "ada", **wish: Any) -> Json:
    source = await mint(api, **wish)
    return await api.post(f"/customers/{identity}/sources/{source['id']}")


async def attach_refused(
    api: ApiClient, source: Json, identity: str = "ada"
) -> tuple[int, str | None, str | None]:
    return await api.refused(f"/customers/{identity}/sources/{source['id']}", {})


async def test_a_card_is_minted_for_account_management(api: ApiClient) -> None:
    minted = await mint(api, expirationYear=2031, expirationMonth=2, lastFourDigits="4242", brand="Amex")
    assert (minted["type"], minted["state"], minted["flow"]) == ("creditCard", "chargeable", "standard")
    assert minted["reusable"] is False
    assert "amount" not in minted
    assert "customerId" not in minted
    assert minted["clientSecret"].startswith(f"{minted['id']}_")
    read = await api.get(f"/sources/{minted['id']}")
    assert read["creditCard"] == {
        "brand": "Amex",
        "expirationMonth": 2,
        "expirationYear": 2031,
        "lastFourDigits": "4242",
    }
    assert read["owner"] == minted["owner"]
    assert "clientId" in minted
    assert "clientId" not in read
    assert await api.event_types() == ["source.created"]


@pytest.mark.proof
@pytest.mark.parametrize("sample", samples("sources"))
async def test_every_printed_source_can_be_minted(api: ApiClient, sample: Json) -> None:
    state = sample.get("state") or sample["status"]
    minted = await mint(
        api,
        type=sample["type"],
        state=state,
        owner=sample.get("owner"),
        details=sample[sample["type"]],
    )
    for name in {"type", "flow", "reusable", "owner", "state", sample["type"]} & set(sample):
        assert minted[name] == sample[name], name
    read = await api.get(f"/sources/{minted['id']}")
    assert (read["type"], read["state"]) == (sample["type"], state)
    assert ("owner" in read) == ("owner" in sample)


async def test_an_amount_is_text_in_the_browser_and_a_number_in_the_api(api: ApiClient) -> None:
    minted = await mint(api, type="payco", amount="100.00", currency="KRW")
    assert minted["amount"] == "100.00"
    assert (await api.get(f"/sources/{minted['id']}"))["amount"] == 100.0


@pytest.mark.proof
@pytest.mark.parametrize("kind", STORABLE)
async def test_a_chargeable_source_of_a_storable_type_is_saved(api: ApiClient, kind: str) -> None:
    await customer(api)
    source = await saved(api, type=kind, state="chargeable")
    assert (source["reusable"], source["customerId"]) == (True, "ada")
    shown = await api.get("/customers/ada")
    assert shown["sources"] == [source]
    assert shown["defaultSourceId"] == source["id"]
    assert (await api.event_types())[-1] == "customer.source.created"


@pytest.mark.proof
@pytest.mark.parametrize("kind", FLEETING)
async def test_a_source_of_a_type_that_cannot_be_stored_is_refused(api: ApiClient, kind: str) -> None:
    await customer(api)
    source = await mint(api, type=kind, state="chargeable")
    response = await api.client.post(f"/customers/ada/sources/{source['id']}")
    assert response.status_code == 409
    assert response.json()["errors"] == [
        {
            "code": "nonreusable_source",
            "message": "Only a reusable source may be attached to a customer.",
        }
    ]


@pytest.mark.proof
@pytest.mark.parametrize("state", STATES)
async def test_only_a_chargeable_source_is_saved(api: ApiClient, state: str) -> None:
    await customer(api)
    source = await mint(api, state=state)
    assert await attach_refused(api, source) == (409, "source_not_chargeable", "sourceId")


async def test_what_the_buyer_did_not_agree_to_store_is_not_stored(api: ApiClient) -> None:
    await customer(api)
    result = await api.post("/_sandbox/drop-in", {"readyForStorage": False})
    assert (result["readyForStorage"], result["supportsStorage"]) == (False, True)
    assert (await attach_refused(api, result["source"]))[1] == "nonreusable_source"
    agreed = await api.post("/_sandbox/drop-in", {})
    assert (agreed["readyForStorage"], agreed["supportsStorage"]) == (True, True)
    other = await api.post("/_sandbox/drop-in", {"type": "konbini"})
    assert (other["readyForStorage"], other["supportsStorage"]) == (False, False)


async def test_a_source_is_saved_by_one_customer_only_and_repeating_is_harmless(api: ApiClient) -> None:
    await customer(api)
    await customer(api, "bob")
    source = await saved(api)
    assert await api.post(f"/customers/ada/sources/{source['id']}") == source
    assert (await api.event_types()).count("customer.source.created") == 1
    assert await attach_refused(api, source, "bob") == (409, "source_in_use", "sourceId")
    response = await api.client.delete(f"/customers/bob/sources/{source['id']}")
    assert refusal(response) == (404, "source_not_found", None)


async def test_unknown_customers_and_sources_are_not_found(api: ApiClient) -> None:
    source = await mint(api)
    assert await attach_refused(api, source, "nobody") == (404, "not_found", "id")
    await customer(api)
    response = await api.client.post("/customers/ada/sources/none")
    assert refusal(response) == (404, "source_not_found", None)
    assert response.json()["errors"][0]["message"] == "Source none was not found."
    assert (await api.client.get("/sources/none")).status_code == 404


async def test_a_detached_source_is_cancelled_for_good(api: ApiClient) -> None:
    await customer(api)
    source = await saved(api)
    path = f"/customers/ada/sources/{source['id']}"
    assert (await api.client.delete(path)).status_code == 204
    assert (await api.get(f"/sources/{source['id']}"))["state"] == "cancelled"
    assert "sources" not in await api.get("/customers/ada")
    assert await attach_refused(api, source) == (409, "source_not_chargeable", "sourceId")
    event = (await api.get("/events", {"limit": 1}))["data"][0]
    assert event["type"] == "customer.source.deleted"
    assert (event["data"]["object"]["state"], event["data"]["object"]["customerId"]) == ("cancelled", "ada")
    assert (await api.client.delete(path)).status_code == 404


@pytest.mark.parametrize("rule", ["clear", "promote"])
async def test_the_default_goes_or_passes_on_as_the_rule_says(api: ApiClient, rule: str) -> None:
    await api.client.put("/_sandbox/rules", json={"afterDefaultDetached": rule})
    await customer(api)
    first, second = await saved(api), await saved(api)
    assert (await api.get("/customers/ada"))["defaultSourceId"] == first["id"]
    await api.client.delete(f"/customers/ada/sources/{first['id']}")
    expected = second["id"] if rule == "promote" else None
    assert (await api.get("/customers/ada")).get("defaultSourceId") == expected
    await api.client.delete(f"/customers/ada/sources/{second['id']}")
    assert "defaultSourceId" not in await api.get("/customers/ada")


async def test_detaching_another_source_leaves_the_default(api: ApiClient) -> None:
    await customer(api)
    first, second = await saved(api), await saved(api)
    await api.post("/customers/ada", {"defaultSourceId": second["id"]})
    await api.client.delete(f"/customers/ada/sources/{first['id']}")
    assert (await api.get("/customers/ada"))["defaultSourceId"] == second["id"]


async def test_only_a_saved_source_becomes_the_default(api: ApiClient) -> None:
    await customer(api)
    await customer(api, "bob")
    for source in (await mint(api), await saved(api, "bob")):
        wish = {"defaultSourceId": source["id"]}
        assert await api.refused("/customers/ada", wish) == (409, "source_not_found", "defaultSourceId")


async def test_a_source_that_becomes_chargeable_says_so_once(api: ApiClient) -> None:
    source = await mint(api, type="payPalBilling")
    assert source["state"] == "pending_redirect"
    for state in ("chargeable", "chargeable", "failed"):
        await api.post(f"/_sandbox/sources/{source['id']}/state", {"state": state})
    assert await api.event_types() == ["source.created", "source.chargeable"]
    assert (await api.get(f"/sources/{source['id']}"))["state"] == "failed"


async def test_a_source_of_any_state_can_belong_to_a_customer_from_the_start(api: ApiClient) -> None:
    await customer(api)
    source = await mint(api, customerId="ada", state="failed", expirationYear=2020)
    assert (await api.get("/customers/ada"))["sources"][0]["id"] == source["id"]
    assert (await api.refused("/_sandbox/sources", {"customerId": "nobody"}))[0] == 400


async def test_store_credit_is_the_only_source_a_merchant_makes(api: ApiClient) -> None:
    owner = {"firstName": "Chase", "address": {"country": "US", "state": "MN"}}
    body = {"type": "customerCredit", "amount": 12.5, "currency": "USD", "owner": owner, "upstreamId": "7"}
    credit = await api.post("/sources", body)
    assert credit["state"] == "chargeable"
    assert body.items() <= credit.items()
    await customer(api)
    assert (await attach_refused(api, credit))[1] == "nonreusable_source"


@pytest.mark.proof
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
    api: ApiClient, body: Json, expected: tuple[str, str]
) -> None:
    assert await api.refused("/sources", body) == (400, *expected)


async def test_a_member_that_is_null_is_as_good_as_none(api: ApiClient) -> None:
    body = {"type": "customerCredit", "customerCredit": None, "owner": None, "amount": None}
    credit = await api.post("/sources", body)
    assert credit["customerCredit"] == {}
    assert not {"owner", "amount"} & set(credit)


async def test_a_deleted_customer_takes_its_belongings_along(api: ApiClient) -> None:
    await customer(api)
    source = await saved(api)
    tax_identifier = await api.post("/tax-identifiers", {"type": "de", "value": "DE123456789"})
    await api.post(f"/customers/ada/tax-identifiers/{tax_identifier['id']}")
    await api.client.delete("/customers/ada")
    assert await customer(api) | {"sources": 0} == await api.get("/customers/ada") | {"sources": 0}
    assert (await api.get(f"/sources/{source['id']}"))["state"] == "cancelled"
    assert (await api.client.get(f"/tax-identifiers/{tax_identifier['id']}")).status_code == 404


async def test_an_order_shows_the_source_that_pays_it_and_spends_it(api: ApiClient) -> None:
    source = await mint(api, lastFourDigits="4242")
    order = await api.order(customerId="ada", sourceId=source["id"])
    order = await api.get(f"/orders/{order['id']}")
    assert order["payment"]["charges"][0]["sourceId"] == source["id"]
    shown = order["payment"]["sources"][0]
    assert set(shown) == {"id", "type", "owner", "creditCard", "amount"}
    assert shown["creditCard"]["lastFourDigits"] == "4242"
    assert (await api.get(f"/sources/{source['id']}"))["state"] == "consumed"
    again = await api.refused("/_sandbox/orders", {"sourceId": source["id"]})
    assert again == (409, "source_not_chargeable", "sourceId")


async def test_a_saved_source_pays_often_but_only_for_its_customer(api: ApiClient) -> None:
    await customer(api)
    source = await saved(api)
    for _ in range(2):
        await api.order(customerId="ada", sourceId=source["id"])
    assert (await api.get(f"/sources/{source['id']}"))["state"] == "chargeable"
    for stranger in ({"customerId": "bob"}, {}):
        wish = {"sourceId": source["id"], **stranger}
        assert await api.refused("/_sandbox/orders", wish) == (409, "source_in_use", "sourceId")


@pytest.mark.parametrize("kind", ["payco", "applePay", "giftCard", "tomorrowsWallet", "wireTransfer"])
async def test_an_order_can_be_paid_by_any_type(api: ApiClient, kind: str) -> None:
    source = await mint(api, type=kind)
    order = await api.order(sourceId=source["id"], state="accepted")
    order = await api.get(f"/orders/{order['id']}")
    assert (order["payment"]["sources"][0]["type"], order["state"]) == (kind, "accepted")


async def test_a_disabled_customer_cannot_order(api: ApiClient) -> None:
    await api.post("/customers", {"id": "ada", "enabled": False})
    assert (await api.refused("/_sandbox/orders", {"customerId": "ada"}))[0] == 409
