"""The dependencies that give a route its caller, and that require a scope."""

from typing import Annotated, Any

from fastapi import Request, Security
from fastapi.security import HTTPBearer, SecurityScopes
from fastapi.security.utils import get_authorization_scheme_param

from app.identity.principal import Principal, get_customer_id
from app.identity.tokens import TokenVerifier
from app.ids import CustomerId
from app.web.problems import Forbidden, Unauthenticated
from app.web.rate_limits import RequestQuota

OPS = "portal:ops"
SUPPORT = "portal:support"


class _BearerToken(HTTPBearer):
    """The security scheme and the dependency in one class, because every level of dependencies costs time."""

    async def __call__(self, request: Request, required: SecurityScopes) -> Principal:  # type: ignore[override]
        """The caller.

        Raises:
            Unauthenticated: there is no bearer token, or it is not valid.
            Forbidden: the token lacks a scope that the route requires.
            TooManyRequests: the route is rate-limited, and this caller has used up its quota.
            ServiceUnavailable: the issuer's keys cannot be fetched.
        """
        values = request.headers.getlist("authorization")
        scheme, credentials = get_authorization_scheme_param(values[0] if len(values) == 1 else None)
        if scheme.lower() != "bearer" or not credentials:
            raise Unauthenticated(hint="Send an access token as Authorization: Bearer ….")
        verifier: TokenVerifier = request.app.state.resources.token_verifier
        principal = await verifier.verify(credentials)
        quota: RequestQuota | None = request.scope.get(RequestQuota.SCOPE)
        if quota is not None:
            await quota.count("buyer", principal.name)
        missing = [scope for scope in required.scopes if scope not in principal.scopes]
        if missing:
            challenge = f'Bearer error="insufficient_scope", scope="{required.scope_str}"'
            raise Forbidden(hint="This access token lacks a right.", headers={"WWW-Authenticate": challenge})
        return principal


_bearer_token = _BearerToken(
    scheme_name="bearer",
    bearerFormat="JWT",
    description="An access token of the configured OpenID Connect issuer, for this service's audience.",
)

CurrentPrincipal = Annotated[Principal, Security(_bearer_token)]


async def current_customer(principal: CurrentPrincipal) -> CustomerId:
    """The customer who is calling.

    Raises:
        Forbidden: the token names no customer.
    """
    return get_customer_id(principal)


CurrentCustomer = Annotated[CustomerId, Security(current_customer)]


def require_scope(scope: str) -> Any:
    """403 without this scope. For `dependencies=`, or as `Annotated[Principal, require_scope(OPS)]`."""
    return Security(_bearer_token, scopes=[scope])
