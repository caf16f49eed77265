"""Tax identifiers: their formats, their verification, to whom they belong."""

import pytest

from tests.sandbox.official import samples
from tests.support.clock import eventually
from tests.support.merchant import Json, Merchant


async def tax_identifier(merchant: Merchant, kind: str = "de", value: str = "DE111111111") -> Json:
    return await merchant.post("/tax-identifiers", {"type": kind, "value": value})


async def attached(merchant: Merchant, found: Json, customer_id: str = "ada") -> Json:
    return await merchant.post(f"/customers/{customer_id}/tax-identifiers/{found['id']}")


@pytest.mark.parametrize("sample", samples("tax-identifiers"))
async def test_a_printed_test_value_is_verified_at_once_as_printed(merchant: Merchant, sample: Json) -> None:
    made = await tax_identifier(merchant, sample["type"], sample["value"])
    own = {"id", "createdTime", "updatedTime", "stateTransitions"}
    assert {name: made[name] for name in made if name not in own} == {
        name: sample[name] for name in sample if name not in own
    }
    assert list(made["stateTransitions"]) == ["verified"]
    assert await merchant.event_types() == ["tax_identifier.verified"]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("be", "BE0000000000"),
        ("be", "BE1234567890"),
        ("de", "DE000000000"),
        ("de", "DE123456789"),
        ("it", "IT00000000000"),
        ("it_natural", "IT00000000000"),
    ],
)
async def test_test_values_are_verified_at_once(merchant: Merchant, kind: str, value: str) -> None:
    assert (await tax_identifier(merchant, kind, value))["state"] == "verified"


async def test_any_other_value_waits_for_the_authority(merchant: Merchant) -> None:
    made = await tax_identifier(merchant)
    assert (made["state"], list(made["stateTransitions"])) == ("pending", ["pending"])
    assert "verifiedName" not in made
    door = f"/_sandbox/tax-identifiers/{made['id']}/verification"
    verified = await merchant.post(
        door, {"state": "verified", "verifiedName": "Ada GmbH", "verifiedAddress": "Ring 1, Wien"}
    )
    assert verified == await merchant.get(f"/tax-identifiers/{made['id']}")
    assert (verified["verifiedName"], verified["verifiedAddress"]) == ("Ada GmbH", "Ring 1, Wien")
    refuted = await merchant.post(door, {"state": "not_valid"})
    assert (refuted["state"], "verifiedName" in refuted) == ("not_valid", False)
    assert set(refuted["stateTransitions"]) == {"pending", "verified", "not_valid"}
    assert await merchant.event_types() == [
        "tax_identifier.pending",
        "tax_identifier.verified",
        "tax_identifier.not_valid",
    ]


async def test_the_authority_may_answer_by_itself(merchant: Merchant) -> None:
    await merchant.client.put("/_sandbox/rules", json={"verification": "not_valid"})
    made = await tax_identifier(merchant)
    assert made["state"] == "pending"

    async def is_refuted() -> bool:
        state: str = (await merchant.get(f"/tax-identifiers/{made['id']}"))["state"]
        return state == "not_valid"

    await eventually(is_refuted)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("it", "IT00121239990xxxx"),
        ("de", "DE12345678"),
        ("de", "FR12345678901"),
        ("uk", "GB12345"),
        ("tw", "1234567"),
        ("br_natural", "123"),
        ("be", "BE2234567890"),
    ],
)
async def test_a_malformed_value_is_refused(merchant: Merchant, kind: str, value: str) -> None:
    response = await merchant.client.post("/tax-identifiers", json={"type": kind, "value": value})
    assert response.status_code == 400
    assert response.json()["errors"] == [
        {
            "code": "invalid_parameter",
            "parameter": "value",
            "message": f"Tax identifier '{value}' invalid.",
        }
    ]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("at", "ATU12345678"),
        ("fr", "FRAB123456789"),
        ("nl", "NL123456789B01"),
        ("uk", "GB123456789"),
        ("es", "ESB12345678"),
        ("it_cf", "RSSMRA85T10A562S"),
        ("br", "12.345.678/0001-95"),
        ("in", "22AAAAA0000A1Z5"),
        ("au", "51824753556"),
        ("jp", "T1234567890123"),
        ("ke", "P051234567A"),
    ],
)
async def test_a_well_formed_value_is_accepted(merchant: Merchant, kind: str, value: str) -> None:
    made = await tax_identifier(merchant, kind, value)
    assert made["state"] == "pending"
    assert made["applicability"]


async def test_a_type_applies_where_its_entities_sell(merchant: Merchant) -> None:
    made = await tax_identifier(merchant, "uk", "GB123456789")
    places = {(one["country"], one["entity"]) for one in made["applicability"]}
    assert places == {
        (country, entity) for country in ("GB", "IM") for entity in ("DR_IRELAND-ENTITY", "DR_UK-ENTITY")
    }


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"value": "DE123456789"}, ("missing_parameter", "type")),
        ({"type": "de"}, ("missing_parameter", "value")),
        ({"type": "martian", "value": "1"}, ("invalid_parameter", "type")),
        ({"type": "de", "value": "DE123456789", "customerId": "ada"}, ("unknown_parameter", "customerId")),
    ],
)
async def test_a_tax_identifier_needs_type_and_value(
    merchant: Merchant, body: Json, expected: tuple[str, str]
) -> None:
    assert await merchant.refused("/tax-identifiers", body) == (400, *expected)


async def test_a_tax_identifier_belongs_to_one_customer_for_good(merchant: Merchant) -> None:
    for identity in ("ada", "bob"):
        await merchant.post("/customers", {"id": identity})
    made = await tax_identifier(merchant)
    mine = await attached(merchant, made)
    assert mine["customerId"] == "ada"
    assert await attached(merchant, made) == mine
    assert (await merchant.event_types()).count("customer.tax_identifier.created") == 1
    assert (await merchant.get("/customers/ada"))["taxIdentifiers"] == [mine]
    assert await merchant.refused(f"/customers/bob/tax-identifiers/{made['id']}", {}) == (
        409,
        "customer_not_updateable",
        "customerId",
    )


async def test_a_customer_has_one_of_each_type_and_must_delete_it_first(merchant: Merchant) -> None:
    await merchant.post("/customers", {"id": "ada"})
    first, second = await tax_identifier(merchant), await tax_identifier(merchant, value="DE222222222")
    await attached(merchant, first)
    await attached(merchant, await tax_identifier(merchant, "uk", "GB123456789"))
    door = f"/customers/ada/tax-identifiers/{second['id']}"
    assert await merchant.refused(door, {}) == (409, "already_exists", "type")
    assert (await merchant.client.delete(f"/tax-identifiers/{first['id']}")).status_code == 204
    assert (await merchant.event_types())[-1] == "tax_identifier.deleted"
    assert (await merchant.post(door))["customerId"] == "ada"
    kinds = [one["type"] for one in (await merchant.get("/customers/ada"))["taxIdentifiers"]]
    assert sorted(kinds) == ["de", "uk"]


async def test_a_deleted_tax_identifier_is_gone_everywhere(merchant: Merchant) -> None:
    await merchant.post("/customers", {"id": "ada"})
    made = await tax_identifier(merchant)
    path = f"/tax-identifiers/{made['id']}"
    await merchant.client.delete(path)
    for method, door in (("GET", path), ("DELETE", path), ("POST", f"/customers/ada{path}")):
        response = await merchant.client.request(method, door)
        assert response.status_code == 404
        assert response.json()["errors"][0] == {
            "code": "not_found",
            "parameter": "id",
            "message": f"Tax identifier '{made['id']}' not found.",
        }
    other = await tax_identifier(merchant)
    assert (await merchant.refused(f"/customers/nobody/tax-identifiers/{other['id']}", {}))[0] == 404


async def test_tax_identifiers_are_listed_by_owner_type_value_state_and_time(merchant: Merchant) -> None:
    await merchant.post("/customers", {"id": "ada"})
    german = await attached(merchant, await tax_identifier(merchant))
    british = await tax_identifier(merchant, "uk", "GB123456789")
    belgian = await tax_identifier(merchant, "be", "BE1234567890")
    for query, expected in (
        ("", [belgian, british, german]),
        ("customerId=ada", [german]),
        ("type=uk", [british]),
        ("value=BE1234567890", [belgian]),
        ("state=verified", [belgian]),
        ("state=pending&type=de", [german]),
        ("verified[gte]=2020-01-01T00:00:00Z", [belgian]),
        (f"pending={german['stateTransitions']['pending']}&customerId=ada", [german]),
        ("not_valid[gte]=2020-01-01T00:00:00Z", []),
        ("updatedTime[lt]=2020-01-01T00:00:00Z", []),
        (f"ids={british['id']}", [british]),
    ):
        found = await merchant.get(f"/tax-identifiers?{query}")
        assert [one["id"] for one in found["data"]] == [one["id"] for one in expected], query
    assert (await merchant.refused("/tax-identifiers?colour=red", {}, "GET"))[1] == "unknown_parameter"


async def test_an_order_carries_its_buyers_tax_identifiers(merchant: Merchant) -> None:
    for identity in ("ada", "bob"):
        await merchant.post("/customers", {"id": identity})
    mine = await attached(merchant, await tax_identifier(merchant))
    order = await merchant.order(customerId="ada", taxIdentifierIds=[mine["id"]])
    assert (await merchant.get(f"/orders/{order['id']}"))["taxIdentifiers"] == [mine]
    for wish, code in (
        ({"customerId": "bob", "taxIdentifierIds": [mine["id"]]}, "tax_identifier_in_use"),
        ({"customerId": "ada", "taxIdentifierIds": ["none"]}, "not_found"),
    ):
        assert (await merchant.refused("/_sandbox/orders", wish))[:2] == (409, code)
