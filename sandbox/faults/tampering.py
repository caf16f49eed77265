"""Applies tampering faults to answers and to delivered events."""

import copy
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.faults.definitions import Fault
from sandbox.faults.foreign_resources import (
    collections_by_path,
    find_collection,
    other_id,
    other_ids,
    owner_of,
    substitute,
)
from sandbox.faults.json_tampering import TAMPERING_VARIANTS, is_id_member, tamper_members
from sandbox.json_types import Json
from sandbox.state.store import Store

_PAGING = ("limit", "startingAfter", "endingBefore")


@dataclass
class Answer:
    """The answer of a resource, before it is sent."""

    start: Message
    body: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= int(self.start["status"]) < 300

    def json(self) -> Any:
        """None if the body is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    async def send_to(self, send: Send) -> None:
        MutableHeaders(scope=self.start)["content-length"] = str(len(self.body))
        await send(self.start)
        await send({"type": "http.response.body", "body": self.body})


@dataclass(frozen=True)
class Tampering:
    """One fault for one call or delivery. The same seed and location always make the same choices."""

    fault: Fault
    store: Store
    location: str

    @property
    def rng(self) -> random.Random:
        return random.Random(f"{self.fault.seed} {self.fault.kind} {self.location}")

    @property
    def variant(self) -> str:
        variants = TAMPERING_VARIANTS[self.fault.tampering_kind]
        return self.fault.variant or (self.rng.choice(variants) if variants else "")

    def tamper(self, answer: object) -> None:
        tamper_members(
            self.fault.tampering_kind,
            self.variant,
            answer,
            names=self.fault.fields,
            rng=self.rng,
            now=self.store.clock.now(),
        )

    def substitute(self, original: Json, foreign: Json) -> Json:
        return substitute(self.variant, original, foreign, self.fault.fields)

    def replace_ids(self, resource: Json) -> None:
        """Put other ids into the members in `fields`, or into one member that holds an id."""
        names = [name for name, value in resource.items() if is_id_member(name) and isinstance(value, str)]
        chosen = [self.rng.choice(names)] if names else []
        for name in [name for name in self.fault.fields if name in names] if self.fault.fields else chosen:
            resource[name] = other_id(self.store, name, resource[name], self.rng)


async def answer_with_tampering(
    faults: Sequence[Fault], store: Store, app: ASGIApp, scope: Scope, receive: Receive, send: Send
) -> None:
    """Let the resource answer, then apply the faults in the order in which they were set."""
    location = f"{scope['method']} {scope['sandbox.template']}"
    tamperings = [Tampering(fault, store, location) for fault in faults]
    original_scope = dict(scope)
    answer = await _call_app(app, {**scope, "query_string": _query(tamperings, scope)}, receive)
    for tampering in tamperings:
        answer = await _tampered(tampering, answer, app, original_scope)
    await answer.send_to(send)


def _query(tamperings: Sequence[Tampering], scope: Scope) -> bytes:
    """The query for the resource: without filters (`unfiltered`), or always the first page (`endless`)."""
    dropped: set[str] = set()
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    for tampering in tamperings:
        if tampering.fault.kind == "unfiltered":
            dropped |= {name for name, _ in pairs} - set(_PAGING)
        if tampering.fault.kind == "endless" and tampering.variant == "same":
            dropped |= {"startingAfter", "endingBefore"}
    return urlencode([pair for pair in pairs if pair[0] not in dropped]).encode()


async def _tampered(tampering: Tampering, answer: Answer, app: ASGIApp, scope: Scope) -> Answer:
    value = answer.json()
    if not isinstance(value, dict) or tampering.fault.kind == "unfiltered":
        return answer
    match tampering.fault.kind:
        case "stranger" | "misnamed" | "endless" if not answer.is_success:
            return answer
        case "stranger":
            value = await _with_foreign_resource(tampering, value, app, scope)
        case "misnamed":
            for resource in _resources(value):
                tampering.replace_ids(resource)
        case "endless":
            value = await _endless_list(tampering, value, app, scope)
        case _:
            tampering.tamper(value)
    return Answer(answer.start, json.dumps(value).encode())


def _resources(answer: Json) -> list[Json]:
    """The entries of a list, or the one resource."""
    rows = answer.get("data")
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else [answer]


async def _with_foreign_resource(tampering: Tampering, answer: Json, app: ASGIApp, scope: Scope) -> Json:
    """Replace the resource by a foreign one. In a list, add it or replace one entry."""
    rows = answer.get("data")
    if not isinstance(rows, list):
        foreign = await _find_foreign_resource(tampering, answer, app, scope)
        return answer if foreign is None else tampering.substitute(answer, foreign)
    original: Json = tampering.rng.choice(rows) if rows else {}
    foreign = await _find_foreign_resource(tampering, original, app, scope)
    if foreign is None:
        return answer
    if tampering.variant == "open" or not rows:
        return {**answer, "data": [foreign, *rows]}
    return {
        **answer,
        "data": [tampering.substitute(row, foreign) if row == original else row for row in rows],
    }


async def _find_foreign_resource(
    tampering: Tampering, original: Json, app: ASGIApp, scope: Scope
) -> Json | None:
    """Another resource of the same kind as the API shows it, or None."""
    template: str = scope["sandbox.template"]
    root = "/" + template.split("/")[1]
    collection = find_collection(tampering.store, original.get("id")) or (
        root if root in collections_by_path(tampering.store) else None
    )
    if collection is None:
        return None
    # A subresource such as `/orders/{id}/tracking` has no id of its own.
    tail = template.partition("{id}")[2] if "id" not in original and "{" in template else ""
    resource_id = original.get("id", original.get("orderId"))
    for other in other_ids(tampering.store, collection, resource_id, tampering.rng):
        path = f"{collection}/{other}{tail}"
        internal_scope = {
            **scope,
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
        }
        answer = await _call_app(app, internal_scope, _empty_body)
        found = answer.json()
        if answer.is_success and isinstance(found, dict):
            return found
    return None


async def _endless_list(tampering: Tampering, answer: Json, app: ASGIApp, scope: Scope) -> Json:
    """A list that always claims to have more."""
    if not isinstance(answer.get("data"), list):
        return answer
    if tampering.variant == "empty":
        return {**answer, "data": [], "hasMore": True}
    if tampering.variant == "cycle" and not answer["data"]:
        pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        query = urlencode([pair for pair in pairs if pair[0] != "startingAfter"]).encode()
        first = (await _call_app(app, {**scope, "query_string": query}, _empty_body)).json()
        return {**first, "hasMore": True} if isinstance(first, dict) else answer
    return {**answer, "hasMore": True}


async def _call_app(app: ASGIApp, scope: Scope, receive: Receive) -> Answer:
    """Call the app and collect its answer."""
    sent: list[Message] = []

    async def collect(message: Message) -> None:
        sent.append(message)

    await app(dict(scope), receive, collect)
    return Answer(sent[0], b"".join(message.get("body", b"") for message in sent[1:]))


async def _empty_body() -> Message:
    """The body of an internal request."""
    return {"type": "http.request", "body": b"", "more_body": False}


def tamper_with_event(faults: Sequence[Fault], store: Store, event: Json) -> Json:
    """The payload to deliver for an event. The stored event stays unchanged."""
    payload = copy.deepcopy(event)
    for fault in faults:
        tampering = Tampering(fault, store, event["type"])
        subject = payload["data"]["object"]
        match fault.kind:
            case "stranger":
                payload["data"]["object"] = tampering.substitute(
                    subject, _foreign_event_object(tampering, event)
                )
            case "misnamed" if isinstance(subject, dict):
                tampering.replace_ids(subject)
            case _:
                tampering.tamper(payload)
    return payload


def _foreign_event_object(tampering: Tampering, event: Json) -> Json:
    """The object of another event of the same type, of another customer if there is one; else its own."""
    owner = owner_of(tampering.store, event)
    found = [
        other
        for other in tampering.store.events.values()
        if other["type"] == event["type"] and other["id"] != event["id"]
    ]
    tampering.rng.shuffle(found)
    found.sort(key=lambda other: owner_of(tampering.store, other) in (None, owner))
    event_object: Json = copy.deepcopy((found or [event])[0]["data"]["object"])
    return event_object
