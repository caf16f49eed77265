"""Tax identifiers: their formats, their verification and their owners."""

import pytest

from tests.sandbox.official import samples
from tests.support.api_client import ApiClient, Json
from tests.support.clock import eventually


async def tax_identifier(api: ApiClient, kind: str = "de", value: str = "DE111111111") -> Json:
    return await api.post("/tax-identifiers", {"type": kind, "value": value})


async def attached(api: ApiClient, found: Json, customer_id: str = "ada") -> Json:
    return await api.post(f"/customers/{customer_id}/tax-identifiers/{found['id']}")


@pytest.mark.parametrize("sample", samples("tax-identifiers"))
async def test_a_printed_test_value_is_verified_at_once_as_printed(api: ApiClient, sample: Json) -> None:
    made = await tax_identifier(api, sample["type"], sample["value"])
    own = {"id", "createdTime", "updatedTime", "stateTransitions"}
    assert {name: made[name] for name in made if name not in own} == {
        name: sample[name] for name in sample if name not in own
    }
    assert list(made["stateTransitions"]) == ["verified"]
    assert await api.event_types() == ["tax_identifier.verified"]


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
async def test_test_values_are_verified_at_once(api: ApiClient, kind: str, value: str) -> None:
    assert (await tax_identifier(api, kind, value))["state"] == "verified"


async def test_any_other_value_waits_for_the_authority(api: ApiClient) -> None:
    made = await tax_identifier(api)
    assert (made["state"], list(made["stateTransitions"])) == ("pending", ["pending"])
    assert "verifiedName" not in made
    target = f"/_sandbox/tax-identifiers/{made['id']}/verification"
    verified = await api.post(
        target, {"state": "verified", "verifiedName": "Ada GmbH", "verifiedAddress": "Ring 1, Wien"}
    )
    assert verified == await api.get(f"/tax-identifiers/{made['id']}")
    assert (verified["verifiedName"], verified["verifiedAddress"]) == ("Ada GmbH", "Ring 1, Wien")
    refuted = await api.post(target, {"state": "not_valid"})
    assert (refuted["state"], "verifiedName" in refuted) == ("not_valid", False)
    assert set(refuted["stateTransitions"]) == {"pending", "verified", "not_valid"}
    assert await api.event_types() == [
        "tax_identifier.pending",
        "tax_identifier.verified",
        "tax_identifier.not_valid",
    ]


async def test_the_authority_may_answer_by_itself(api: ApiClient) -> None:
    await api.client.put("/_sandbox/rules", json={"verification": "not_valid"})
    made = await tax_identifier(api)
    assert made["state"] == "pending"

    async def is_refuted() -> bool:
        state: str = (await api.get(f"/tax-identifiers/{made['id']}"))["state"]
        return state == "not_valid"

    await eventually(is_refuted)


@pytest.mark.proof
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
async def test_a_malformed_value_is_refused(api: ApiClient, kind: str, value: str) -> None:
    response = await api.client.post("/tax-identifiers", json={"type": kind, "value": value})
    assert response.status_code == 400
    assert response.json()["errors"] == [
        {
            "code": "invalid_parameter",
            "parameter": "value",
            "message": f"Tax identifier '{value}' invalid.",
        }
    ]


@pytest.mark.proof
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
async def test_a_well_formed_value_is_accepted(api: ApiClient, kind: str, value: str) -> None:
    made = await tax_identifier(api, kind, value)
    assert made["state"] == "pending"
    assert made["applicability"]


async def test_a_type_applies_where_its_entities_sell(api: ApiClient) -> None:
    made = await tax_identifier(api, "uk", "GB123456789")
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
    api: ApiClient, body: Json, expected: tuple[str, str]
) -> None:
    assert await api.refused("/tax-identifiers", body) == (400, *expected)


async def test_a_tax_identifier_belongs_to_one_customer_for_good(api: ApiClient) -> None:
    for identity in ("ada", "bob"):
        await api.post("/customers", {"id": identity})
    made = await tax_identifier(api)
    mine = await attached(api, made)
    assert mine["customerId"] == "ada"
    assert await attached(api, made) == mine
    assert (await api.event_types()).count("customer.tax_identifier.created") == 1
    assert (await api.get("/customers/ada"))["taxIdentifiers"] == [mine]
    assert await api.refused(f"/customers/bob/tax-identifiers/{made['id']}", {}) == (
        409,
        "customer_not_updateable",
        "customerId",
    )


async def test_a_customer_has_one_of_each_type_and_must_delete_it_first(api: ApiClient) -> None:
    await api.post("/customers", {"id": "ada"})
    first, second = await tax_identifier(api), await tax_identifier(api, value="DE222222222")
    await attached(api, first)
    await attached(api, await tax_identifier(api, "uk", "GB123456789"))
    target = f"/customers/ada/tax-identifiers/{second['id']}"
    assert await api.refused(target, {}) == (409, "already_exists", "type")
    assert (await api.client.delete(f"/tax-identifiers/{first['id']}")).status_code == 204
    assert (await api.event_types())[-1] == "tax_identifier.deleted"
    assert (await api.post(target))["customerId"] == "ada"
    kinds = [one["type"] for one in (await api.get("/customers/ada"))["taxIdentifiers"]]
    assert sorted(kinds) == ["de", "uk"]


async def test_a_deleted_tax_identifier_is_gone_everywhere(api: ApiClient) -> None:
    await api.post("/customers", {"id": "ada"})
    made = await tax_identifier(api)
    path = f"/tax-identifiers/{made['id']}"
    await api.client.delete(path)
    for method, target in (("GET", path), ("DELETE", path), ("POST", f"/customers/ada{path}")):
        response = await api.client.request(method, target)
        assert response.status_code == 404
        assert response.json()["errors"][0] == {
            "code": "not_found",
            "parameter": "id",
            "message": f"Tax identifier '{made['id']}' not found.",
        }
    other = await tax_identifier(api)
    assert (await api.refused(f"/customers/nobody/tax-identifiers/{other['id']}", {}))[0] == 404


async def test_tax_identifiers_are_listed_by_owner_type_value_state_and_time(api: ApiClient) -> None:
    await api.post("/customers", {"id": "ada"})
    german = await attached(api, await tax_identifier(api))
    british = await tax_identifier(api, "uk", "GB123456789")
    belgian = await tax_identifier(api, "be", "BE1234567890")
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
        found = await api.get(f"/tax-identifiers?{query}")
        assert [one["id"] for one in found["data"]] == [one["id"] for one in expected], query
    assert (await api.refused("/tax-identifiers?colour=red", {}, "GET"))[1] == "unknown_parameter"


async def test_an_order_carries_its_buyers_tax_identifiers(api: ApiClient) -> None:
    for identity in ("ada", "bob"):
        await api.post("/customers", {"id": identity})
    mine = await attached(api, await tax_identifier(api))
    order = await api.order(customerId="ada", taxIdentifierIds=[mine["id"]])
    assert (await api.get(f"/orders/{order['id']}"))["taxIdentifiers"] == [mine]
    for wish, code in (
        ({"customerId": "bob", "taxIdentifierIds": [mine["id"]]}, "tax_identifier_in_use"),
        ({"customerId": "ada", "taxIdentifierIds": ["none"]}, "not_found"),
    ):
        assert (await api.refused("/_sandbox/orders", wish))[:2] == (409, code)
