"""Customers by the documented rules, and the changes that an order allows."""

import pytest

from tests.support.api_client import ApiClient, Json

ADDRESS = {
    "line1": "10380 Bren Rd W",
    "city": "Minnetonka",
    "postalCode": "55343",
    "state": "MN",
    "country": "US",
}


def shipping(**changes: object) -> Json:
    return {"shipping": {"address": ADDRESS | changes, "name": "Ada"}}


async def test_a_customer_keeps_its_own_id_and_only_once(api: ApiClient) -> None:
    made = await api.post("/customers", {"id": "ada", "email": "a@example.com", "locale": "en-US"})
    assert (made["id"], made["locale"], made["enabled"], made["requestToBeForgotten"]) == (
        "ada",
        "en_US",
        True,
        False,
    )
    assert "sources" not in made
    assert await api.refused("/customers", {"id": "ada"}) == (409, "already_exists", "id")
    assert (await api.get("/customers/ada")) == made
    unnamed = await api.post("/customers", {})
    assert unnamed["id"].isdigit()


async def test_an_unknown_customer_is_named_without_a_final_dot(api: ApiClient) -> None:
    response = await api.client.get("/customers/nobody")
    assert response.status_code == 404
    assert response.json()["errors"][0] == {
        "code": "not_found",
        "parameter": "id",
        "message": "Customer 'nobody' not found",
    }


@pytest.mark.proof
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"id": "x" * 41}, ("invalid_parameter", "id")),
        ({"email": "nobody"}, ("invalid_parameter", "email")),
        ({"type": "robot"}, ("invalid_parameter", "type")),
        ({"locale": "english"}, ("invalid_parameter", "locale")),
        ({"enabled": "yes"}, ("invalid_boolean", "enabled")),
        ({"colour": "red"}, ("unknown_parameter", "colour")),
        (shipping(colour="red"), ("unknown_parameter", "shipping.address.colour")),
        (shipping(country=None), ("missing_parameter", "shipping.address.country")),
        (shipping(country="Utopia"), ("invalid_parameter", "shipping.address.country")),
        (shipping(postalCode="ABC"), ("invalid_parameter", "shipping.address.postalCode")),
        (shipping(state="XX"), ("invalid_parameter", "shipping.address.state")),
        (
            shipping(country="GB", state="", postalCode="123"),
            ("invalid_parameter", "shipping.address.postalCode"),
        ),
        ({"shipping": {"name": "Ada"}}, ("missing_parameter", "shipping.address")),
        ({"metadata": {str(n): 1 for n in range(21)}}, ("too_many_metadata_pairs", "metadata")),
        ({"metadata": {"k" * 41: 1}}, ("invalid_metadata_key", f"metadata.{'k' * 41}")),
        ({"metadata": {"k": "v" * 501}}, ("invalid_metadata_value", "metadata.k")),
        ({"taxCertificate": {"companyName": "A"}}, ("missing_parameter", "taxCertificate.taxAuthority")),
    ],
)
async def test_a_customer_that_breaks_a_rule_is_refused(
    api: ApiClient, body: Json, expected: tuple[str, str]
) -> None:
    assert await api.refused("/customers", body) == (400, *expected)


async def test_several_complaints_come_at_once(api: ApiClient) -> None:
    response = await api.client.post("/customers", json={"email": "x", "type": "robot"})
    assert {error["parameter"] for error in response.json()["errors"]} == {"email", "type"}


async def test_an_update_replaces_what_it_names_and_merges_metadata(api: ApiClient) -> None:
    await api.post("/customers", {"id": "ada", "metadata": {"a": 1, "b": 2}, **shipping()})
    changed = await api.post("/customers/ada", {"type": "business", "metadata": {"b": "", "c": 3}})
    assert (changed["type"], changed["metadata"], changed["shipping"]["name"]) == (
        "business",
        {"a": 1, "c": 3},
        "Ada",
    )
    await api.post("/customers/ada", {"requestToBeForgotten": True})
    forgotten = await api.get("/customers", {"requestToBeForgotten": "true"})
    assert [customer["id"] for customer in forgotten["data"]] == ["ada"]
    event = (await api.get("/events", {"type": "customer.updated"}))["data"][0]
    assert event["data"]["previousAttributes"] == {"requestToBeForgotten": False}


async def test_a_default_source_must_be_attached(api: ApiClient) -> None:
    await api.post("/customers", {"id": "ada"})
    assert (await api.refused("/customers/ada", {"defaultSourceId": "s"}))[0] == 409


async def test_a_deleted_customer_is_gone_but_the_orders_stay(api: ApiClient) -> None:
    await api.post("/customers", {"id": "ada"})
    order = await api.order(customerId="ada")
    assert (await api.client.delete("/customers/ada")).status_code == 204
    assert (await api.client.delete("/customers/ada")).status_code == 404
    assert (await api.get(f"/orders/{order['id']}"))["customerId"] == "ada"


async def test_customers_are_listed_by_email_and_ids_in_comma_form(api: ApiClient) -> None:
    for identity in ("ada", "bob", "eve"):
        await api.post("/customers", {"id": identity, "email": "shared@example.com"})
    assert len((await api.get("/customers", {"email": "shared@example.com"}))["data"]) == 3
    chosen = await api.get("/customers", {"ids": "ada,eve"})
    assert [customer["id"] for customer in chosen["data"]] == ["eve", "ada"]


async def test_an_orders_tags_can_be_changed_and_nothing_else(api: ApiClient) -> None:
    order = await api.order()
    path = f"/orders/{order['id']}"
    changed = await api.post(path, {"upstreamId": "u-1", "metadata": {"a": 1}, "requestToBeForgotten": True})
    assert (changed["upstreamId"], changed["metadata"], changed["requestToBeForgotten"]) == (
        "u-1",
        {"a": 1},
        True,
    )
    assert (await api.event_types())[-1] == "order.updated"
    item = {"id": order["items"][0]["id"], "metadata": {"b": 2}}
    assert (await api.post(path, {"items": [item]}))["items"][0]["metadata"] == {"b": 2}
    assert (await api.event_types()).count("order.updated") == 1
    assert await api.refused(path, {"email": "x@example.com"}) == (400, "unknown_parameter", "email")
    assert (await api.refused("/orders/1", {}))[0] == 404


async def test_an_expanded_order_distinguishes_physical_from_digital(api: ApiClient) -> None:
    order = await api.order()
    plain = await api.get(f"/orders/{order['id']}")
    expanded = await api.get(f"/orders/{order['id']}", {"expand": "true"})
    assert "physical" not in plain["items"][0]["productDetails"]
    assert expanded["items"][0]["productDetails"]["physical"] is True
