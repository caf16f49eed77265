"""Versions of a resource: cheap re-reads with If-None-Match, safe writes with If-Match (RFC 9110 §13)."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from fastapi import Request, Response
from pydantic import BaseModel

from app.web.problems import Invalid, PreconditionFailed, PreconditionRequired

NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "Unchanged since the given ETag."}}
"""The `responses=` entry of a route that answers through `conditional`."""

_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')


def etag_of(model: BaseModel) -> str:
    """The strong validator of this model's JSON."""
    return _etag(_json(model))


def conditional(
    request: Request, model: BaseModel, *, status_code: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """The model as JSON with its ETag; 304 without a body when the caller has this version already."""
    body = _json(model)
    tag = _etag(body)
    given = request.headers.getlist("if-none-match")
    sent = {**(headers or {}), "ETag": tag}
    # RFC 9110 §13.1.2: If-None-Match uses the weak comparison, in which W/"x" and "x" are the same.
    if request.method in {"GET", "HEAD"} and given and _names(",".join(given), tag, weakly=True):
        return Response(status_code=304, headers=sent)
    return Response(body, status_code=status_code, headers=sent, media_type="application/json")


def require_match(request: Request, current: BaseModel) -> None:
    """Let a change pass only when the caller has seen the present version.

    Raises:
        PreconditionRequired: there is no If-Match header.
        PreconditionFailed: it names other versions.
        Invalid: it is not a list of entity tags.
    """
    given = ",".join(request.headers.getlist("if-match"))
    if not given.strip():
        raise PreconditionRequired(hint="Read the resource first and send its ETag as If-Match.")
    if given.strip() != "*" and _TAG.sub("", given).strip(", \t"):
        raise Invalid.at("/header/If-Match", 'An ETag in double quotes is needed, as in "5f0a".')
    if not _names(given, etag_of(current), weakly=False):
        raise PreconditionFailed(hint="Read it again before changing it.")


def _names(given: str, tag: str, *, weakly: bool) -> bool:
    if given.strip() == "*":
        return True
    named = _TAG.findall(given)
    return tag in ([name.removeprefix("W/") for name in named] if weakly else named)


def _json(model: BaseModel) -> bytes:
    return model.model_dump_json(by_alias=True).encode()


def _etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'
