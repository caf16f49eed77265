"""Conditional requests: cheap repeated reads by If-None-Match, safe writes by If-Match (RFC 9110 §13)."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from fastapi import Request, Response
from pydantic import BaseModel

from app.web.problems import Invalid, PreconditionFailed, PreconditionRequired

NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "Unchanged since the given ETag."}}
"""The `responses=` entry of a route that answers through `conditional_response`."""

_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')


def etag_of(model: BaseModel) -> str:
    """The strong validator of this model's JSON."""
    return _etag(_json(model))


def conditional_response(
    request: Request, model: BaseModel, *, status_code: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """The model as JSON with its ETag; 304 without a body if the caller already has this version."""
    return conditional_json(request, _json(model), status_code=status_code, headers=headers)


def conditional_json(
    request: Request, body: bytes, *, status_code: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """This JSON with its ETag; 304 without a body if the caller already has this version."""
    tag = _etag(body)
    header = request.headers.getlist("if-none-match")
    response_headers = {**(headers or {}), "ETag": tag}
    # RFC 9110 §13.1.2: If-None-Match uses the weak comparison, in which W/"x" equals "x".
    if request.method in {"GET", "HEAD"} and header and _includes(",".join(header), tag, weak=True):
        return Response(status_code=304, headers=response_headers)
    return Response(body, status_code=status_code, headers=response_headers, media_type="application/json")


def require_match(request: Request, current: BaseModel) -> None:
    """Check that the caller has seen the current version before it changes the resource.

    Raises:
        PreconditionRequired: there is no If-Match header.
        PreconditionFailed: If-Match names other versions only.
        Invalid: If-Match is not a list of entity tags.
    """
    header = ",".join(request.headers.getlist("if-match"))
    if not header.strip():
        raise PreconditionRequired(hint="Read the resource first and send its ETag as If-Match.")
    if header.strip() != "*" and _TAG.sub("", header).strip(", \t"):
        raise Invalid.at("/header/If-Match", 'An ETag in double quotes is needed, as in "5f0a".')
    if not _includes(header, etag_of(current), weak=False):
        raise PreconditionFailed(hint="Read it again before changing it.")


def _includes(header: str, tag: str, *, weak: bool) -> bool:
    if header.strip() == "*":
        return True
    tags = _TAG.findall(header)
    return tag in ([name.removeprefix("W/") for name in tags] if weak else tags)


def _json(model: BaseModel) -> bytes:
    return model.model_dump_json(by_alias=True).encode()


def _etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'
