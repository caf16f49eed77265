"""Compares every answer of a portal in the tests with the published document."""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import jsonschema_rs
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Json = dict[str, Any]

UNDECLARED: list[str] = []
"""What was answered and not declared since the last look; a fixture of all tests looks after each."""

_JSON = re.compile(r"application/([a-z.]+\+)?json")
_SENTENCES = re.compile(r"[A-Z][^.!?]+[.]( [A-Z][^.!?]+[.])*")
_JARGON = re.compile(
    r"\b(http\w*|json|utf|etag|if-match|tokens?|scopes?|headers?|query|parameters?|bod(y|ies)|bytes|"
    r"database|postgresql|migrat\w+|api|urls?|uri|idempoten\w+|content-\w+|encoding|multipart|authorization|"
    r"cursor|null|nul|surrogate|server|exception|timeout|digital river)\b|U\+|urn:|[{}<>_`]",
    re.IGNORECASE,
)
# The name under which schemas find the components of the document.
_COMPONENTS = "urn:portal:document"
# The one that no buyer ever sees (docs of the webhook: refused without detail).
_WITHOUT_DETAIL = "urn:portal:problem:not-authentic"


def unfit(problem: Json) -> str | None:
    """Why this problem must not be shown to a buyer, or None."""
    if problem["type"] == _WITHOUT_DETAIL:
        return None
    detail = problem.get("detail", "")
    if not _SENTENCES.fullmatch(detail):
        return f"no sentence: {detail!r}"
    jargon = _JARGON.search(detail)
    return jargon and f"no buyer knows {jargon[0]!r}: {detail!r}"


class Document:
    """The answers that the published document declares for each operation."""

    def __init__(self, document: Json) -> None:
        # Read once: beside each schema they made a validator three times as expensive.
        self._components = jsonschema_rs.Registry([(_COMPONENTS, {"components": document["components"]})])
        # The plainest first: a name stands before the parameter that could hold it.
        templates = sorted(document["paths"], key=lambda template: template.count("{"))
        self._items = [
            (re.compile(re.sub(r"\{[^}]+\}", "[^/]+", template)), template, document["paths"][template])
            for template in templates
        ]

    def complaint(self, method: str, path: str, status: int, media_type: str, body: bytes) -> str | None:
        """What is wrong with this answer; None when it is declared, or when no operation gave it."""
        for pattern, template, item in self._items:
            if pattern.fullmatch(path):
                operation = item.get("get" if method == "HEAD" else method.lower())
                wrong = operation and self._wrong(operation, status, media_type, method != "HEAD", body)
                return wrong and f"{method} {template} answered {status} {media_type}: {wrong}"
        return None

    def _wrong(
        self, operation: Json, status: int, media_type: str, has_body: bool, body: bytes
    ) -> str | None:
        if str(status) not in operation["responses"]:
            return "the status is not declared"
        contents: Json = operation["responses"][str(status)].get("content", {})
        if not has_body or not (body or contents):
            return None
        if media_type not in contents:
            return "the media type is not declared"
        if not _JSON.fullmatch(media_type):
            return None
        error = next(self._errors(contents[media_type]["schema"], body), None)
        return error or (unfit(json.loads(body)) if "problem" in media_type else None)

    def _errors(self, schema: Json, body: bytes) -> Iterator[str]:
        for error in self.validator(schema).iter_errors(json.loads(body)):
            yield f"{error.message} at /{'/'.join(map(str, error.instance_path))}"

    def validator(self, schema: Json) -> jsonschema_rs.Draft202012Validator:
        """Of a schema of the document, wherever it stands."""
        return self._validator(json.dumps(schema).replace('"#/components/', f'"{_COMPONENTS}#/components/'))

    @cache  # noqa: B019  # there are few documents
    def _validator(self, schema: str) -> jsonschema_rs.Draft202012Validator:
        return jsonschema_rs.Draft202012Validator(json.loads(schema), registry=self._components)


class DeclaredAnswers:
    """An app that keeps in UNDECLARED what it answers and does not declare."""

    def __init__(self, app: ASGIApp, document: Document) -> None:
        self._app = app
        self._document = document

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun: Message = {}
        parts: list[bytes] = []

        async def observe(message: Message) -> None:
            begun.update(message if message["type"] == "http.response.start" else {})
            parts.append(message.get("body", b""))
            is_over = message["type"] == "http.response.body" and not message.get("more_body")
            await send(message)
            if is_over:
                self._look(scope, begun, b"".join(parts))

        await self._app(scope, receive, observe)

    def _look(self, scope: Scope, begun: Message, body: bytes) -> None:
        fields = dict(begun["headers"])
        media_type = fields.get(b"content-type", b"").decode().partition(";")[0]
        complaint = self._document.complaint(
            scope["method"], scope["path"], begun["status"], media_type, body
        )
        if complaint is not None:
            UNDECLARED.append(complaint)
