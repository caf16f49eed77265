"""The identity provider's endpoints: tokens, published keys, key rotation."""

from typing import Any

from fastapi import APIRouter, Request

from sandbox.identity_provider.issuer import Issuer, TokenRequest
from sandbox.json_types import JsonModel

router = APIRouter(tags=["Identity provider"])


def _issuer(request: Request) -> Issuer:
    issuer: Issuer = request.app.state.issuer
    return issuer


class Token(JsonModel):
    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - the name of a scheme
    expires_in: int


class KeyRotation(JsonModel):
    keep_old: bool = True


class RotatedKey(JsonModel):
    kid: str


@router.post("/tokens", operation_id="createToken")
async def create_token(requested: TokenRequest, request: Request) -> Token:
    token = _issuer(request).issue_token(requested)
    return Token(access_token=token, expires_in=requested.expires_in)


@router.get("/oidc/.well-known/openid-configuration", operation_id="showIssuer")
async def show_issuer(request: Request) -> dict[str, Any]:
    return _issuer(request).configuration()


@router.get("/oidc/jwks", operation_id="listKeys")
async def list_keys(request: Request) -> dict[str, Any]:
    return _issuer(request).published_keys()


@router.post("/oidc/rotate", operation_id="rotateKey")
async def rotate_key(request: Request, rotation: KeyRotation | None = None) -> RotatedKey:
    """Sign with a new key from now on. With `keepOld` false, the old keys are no longer published."""
    requested = rotation or KeyRotation()
    return RotatedKey(kid=_issuer(request).rotate(keep_old=requested.keep_old))
