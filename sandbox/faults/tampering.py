"""Tells the armed lies: in answers to calls, and in what is delivered to webhooks."""

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
from sandbox.faults.foreign_resources import blend, find_shelf, other_id, others, owner_of, shelves
from sandbox.faults.json_tampering import LIES, is_identity, tell
from sandbox.json_types import Json
from sandbox.state.store import Ledger

_PAGING = ("limit", "startingAfter", "endingBefore")


@dataclass
class Answer:
    """What a resource answered, held back."""

    start: Message
    body: bytes

    @property
    def is_good(self) -> bool:
        return 200 <= int(self.start["status"]) < 300

    def json(self) -> Any:
        """None when it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    async def send_to(self, send: Send) -> None:
        MutableHeaders(scope=self.start)["content-length"] = str(len(self.body))
        await send(self.start)
        await send({"type": "http.response.body", "body": self.body})


@dataclass(frozen=True)
class Lie:
    """One armed fault at one call or delivery. The same seed and place draw the same every time."""

    fault: Fault
    ledger: Ledger
    place: str

    @property
    def dice(self) -> random.Random:
        return random.Random(f"{self.fault.seed} {self.fault.kind} {self.place}")

    @property
    def variant(self) -> str:
        variants = LIES[self.fault.lie]
        return self.fault.variant or (self.dice.choice(variants) if variants else "")

    def about_members(self, answer: object) -> None:
        tell(
            self.fault.lie,
            self.variant,
            answer,
            names=self.fault.fields,
            dice=self.dice,
            now=self.ledger.clock.now(),
        )

    def blend(self, honest: Json, stranger: Json) -> Json:
        return blend(self.variant, honest, stranger, self.fault.fields)

    def misname(self, resource: Json) -> None:
        """Another's id in the named members, or in one of those that hold ids."""
        names = [name for name, value in resource.items() if is_identity(name) and isinstance(value, str)]
        drawn = [self.dice.choice(names)] if names else []
        for name in [one for one in self.fault.fields if one in names] if self.fault.fields else drawn:
            resource[name] = other_id(self.ledger, name, resource[name], self.dice)


async def answer_with_lies(
    faults: Sequence[Fault], ledger: Ledger, app: ASGIApp, scope: Scope, receive: Receive, send: Send
) -> None:
    """Let the resource answer, then tell every lie about it, in the order in which they were armed."""
    place = f"{scope['method']} {scope['sandbox.template']}"
    lies = [Lie(fault, ledger, place) for fault in faults]
    untouched = dict(scope)
    answer = await _capture(app, {**scope, "query_string": _query(lies, scope)}, receive)
    for lie in lies:
        answer = await _told(lie, answer, app, untouched)
    await answer.send_to(send)


def _query(lies: Sequence[Lie], scope: Scope) -> bytes:
    """What the resource is asked instead: everything, or always the first page."""
    forgotten: set[str] = set()
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    for lie in lies:
        if lie.fault.kind == "unfiltered":
            forgotten |= {name for name, _ in pairs} - set(_PAGING)
        if lie.fault.kind == "endless" and lie.variant == "same":
            forgotten |= {"startingAfter", "endingBefore"}
    return urlencode([pair for pair in pairs if pair[0] not in forgotten]).encode()


async def _told(lie: Lie, answer: Answer, app: ASGIApp, scope: Scope) -> Answer:
    value = answer.json()
    if not isinstance(value, dict) or lie.fault.kind == "unfiltered":
        return answer
    match lie.fault.kind:
        case "stranger" | "misnamed" | "endless" if not answer.is_good:
            return answer
        case "stranger":
            value = await _with_stranger(lie, value, app, scope)
        case "misnamed":
            for resource in _resources(value):
                lie.misname(resource)
        case "endless":
            value = await _without_end(lie, value, app, scope)
        case _:
            lie.about_members(value)
    return Answer(answer.start, json.dumps(value).encode())


def _resources(answer: Json) -> list[Json]:
    """A list's entries, or the one answered."""
    rows = answer.get("data")
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else [answer]


async def _with_stranger(lie: Lie, answer: Json, app: ASGIApp, scope: Scope) -> Json:
    """Another one in the place of the one answered; in a list beside those that belong there."""
    rows = answer.get("data")
    if not isinstance(rows, list):
        stranger = await _find_stranger(lie, answer, app, scope)
        return answer if stranger is None else lie.blend(answer, stranger)
    honest: Json = lie.dice.choice(rows) if rows else {}
    stranger = await _find_stranger(lie, honest, app, scope)
    if stranger is None:
        return answer
    if lie.variant == "open" or not rows:
        return {**answer, "data": [stranger, *rows]}
    return {**answer, "data": [lie.blend(row, stranger) if row == honest else row for row in rows]}


async def _find_stranger(lie: Lie, honest: Json, app: ASGIApp, scope: Scope) -> Json | None:
    """Read another of the kind as the API shows it; None when there is none."""
    template: str = scope["sandbox.template"]
    root = "/" + template.split("/")[1]
    shelf = find_shelf(lie.ledger, honest.get("id")) or (root if root in shelves(lie.ledger) else None)
    if shelf is None:
        return None
    # What hangs on something else, `/orders/{id}/tracking`, has no id of its own.
    tail = template.partition("{id}")[2] if "id" not in honest and "{" in template else ""
    identity = honest.get("id", honest.get("orderId"))
    for one in others(lie.ledger, shelf, identity, lie.dice):
        path = f"{shelf}/{one}{tail}"
        asked = {**scope, "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b""}
        answer = await _capture(app, asked, _nothing_more)
        found = answer.json()
        if answer.is_good and isinstance(found, dict):
            return found
    return None


async def _without_end(lie: Lie, answer: Json, app: ASGIApp, scope: Scope) -> Json:
    """A list that claims to have more: the same page, an empty one, or all pages again from the first."""
    if not isinstance(answer.get("data"), list):
        return answer
    if lie.variant == "empty":
        return {**answer, "data": [], "hasMore": True}
    if lie.variant == "cycle" and not answer["data"]:
        pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        query = urlencode([pair for pair in pairs if pair[0] != "startingAfter"]).encode()
        first = (await _capture(app, {**scope, "query_string": query}, _nothing_more)).json()
        return {**first, "hasMore": True} if isinstance(first, dict) else answer
    return {**answer, "hasMore": True}


async def _capture(app: ASGIApp, scope: Scope, receive: Receive) -> Answer:
    """What a resource answers, kept from going out."""
    sent: list[Message] = []

    async def keep(message: Message) -> None:
        sent.append(message)

    await app(dict(scope), receive, keep)
    return Answer(sent[0], b"".join(message.get("body", b"") for message in sent[1:]))


async def _nothing_more() -> Message:
    """The body of a request of our own."""
    return {"type": "http.request", "body": b"", "more_body": False}


def lie_about_event(faults: Sequence[Fault], ledger: Ledger, event: Json) -> Json:
    """What is delivered in an event's place; what is listed stays true."""
    told = copy.deepcopy(event)
    for fault in faults:
        lie = Lie(fault, ledger, event["type"])
        subject = told["data"]["object"]
        match fault.kind:
            case "stranger":
                told["data"]["object"] = lie.blend(subject, _other_subject(lie, event))
            case "misnamed" if isinstance(subject, dict):
                lie.misname(subject)
            case _:
                lie.about_members(told)
    return told


def _other_subject(lie: Lie, event: Json) -> Json:
    """The object of another event of the type, if possible of another owner; without one its own."""
    owner = owner_of(lie.ledger, event)
    found = [
        one for one in lie.ledger.events.values() if one["type"] == event["type"] and one["id"] != event["id"]
    ]
    lie.dice.shuffle(found)
    found.sort(key=lambda one: owner_of(lie.ledger, one) in (None, owner))
    other: Json = copy.deepcopy((found or [event])[0]["data"]["object"])
    return other
