"""The doors of the development house's identity provider: tokens, key set, rotation."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from sandbox.identity_provider.issuer import TokenRequest
from sandbox.runtime.runtime import world_of

router = APIRouter(tags=["Identity provider"])


class _Wire(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class Token(_Wire):
    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - the name of a scheme
    expires_in: int


class Rotation(_Wire):
    keep_old: bool = True


class RotatedKey(_Wire):
    kid: str


@router.post("/tokens", operation_id="mintToken")
async def mint_token(wish: TokenRequest, request: Request) -> Token:
    token = world_of(request).issuer.mint(wish)
    return Token(access_token=token, expires_in=wish.expires_in)


@router.get("/oidc/.well-known/openid-configuration", operation_id="showIssuer")
async def show_issuer(request: Request) -> dict[str, Any]:
    return world_of(request).issuer.configuration()


@router.get("/oidc/jwks", operation_id="listKeys")
async def list_keys(request: Request) -> dict[str, Any]:
    return world_of(request).issuer.published_keys()


@router.post("/oidc/rotate", operation_id="rotateKey")
async def rotate_key(request: Request, rotation: Rotation | None = None) -> RotatedKey:
    """A new key signs from now on; `keepOld` false withdraws the former ones."""
    wish = rotation or Rotation()
    return RotatedKey(kid=world_of(request).issuer.rotate(keep_old=wish.keep_old))
