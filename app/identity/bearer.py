"""What a router declares to know its caller: one dependency per question."""

from typing import Annotated, Any

from fastapi import Request, Security
from fastapi.security import HTTPBearer, SecurityScopes
from fastapi.security.utils import get_authorization_scheme_param

from app.identity.principal import Principal, customer_of
from app.identity.tokens import Tokens
from app.ids import CustomerId
from app.web.problems import Forbidden, Unauthenticated
from app.web.rate_limits import RequestQuota

OPS = "portal:ops"
SUPPORT = "portal:support"


class _BearerToken(HTTPBearer):
    """The security scheme and the dependency in one: every level of dependencies costs each request."""

    async def __call__(self, request: Request, needed: SecurityScopes) -> Principal:  # type: ignore[override]
        """Who is calling.

        Raises:
            Unauthenticated: there is no bearer token, or it is not valid.
            Forbidden: a scope is missing that the route needs.
            TooManyRequests: this buyer has made too many, where they are counted.
            Unavailable: the issuer's keys cannot be had.
        """
        given = request.headers.getlist("authorization")
        scheme, credentials = get_authorization_scheme_param(given[0] if len(given) == 1 else None)
        if scheme.lower() != "bearer" or not credentials:
            raise Unauthenticated(hint="Send an access token as Authorization: Bearer ….")
        tokens: Tokens = request.app.state.resources.tokens
        principal = await tokens.verify(credentials)
        tally: RequestQuota | None = request.scope.get(RequestQuota.SCOPE)
        if tally is not None:
            await tally.count("buyer", principal.name)
        missing = [scope for scope in needed.scopes if scope not in principal.scopes]
        if missing:
            challenge = f'Bearer error="insufficient_scope", scope="{needed.scope_str}"'
            raise Forbidden(hint="This access token lacks a right.", headers={"WWW-Authenticate": challenge})
        return principal


_caller = _BearerToken(
    scheme_name="bearer",
    bearerFormat="JWT",
    description="An access token of the configured OpenID Connect issuer, for this service's audience.",
)

CurrentPrincipal = Annotated[Principal, Security(_caller)]


async def current_customer(principal: CurrentPrincipal) -> CustomerId:
    """The customer who is calling; a token of nobody in particular is Forbidden."""
    return customer_of(principal)


CurrentCustomer = Annotated[CustomerId, Security(current_customer)]


def require_scope(scope: str) -> Any:
    """As a router's dependency, or in `Annotated[Principal, require_scope(OPS)]`: 403 without this scope."""
    return Security(_caller, scopes=[scope])
