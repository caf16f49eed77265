"""The key check and the rate limit of the Digital River API."""

import base64

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.errors import ApiError, ErrorDetail, too_many_requests, unauthorized
from sandbox.middleware.scope import is_api_call, runtime_in
from sandbox.runtime.rate_limit import RETRY_AFTER

_PUBLIC_PREFIX = "/links/"


class AuthorizationMiddleware:
    """Checks the secret key (bearer token, or user name of Basic), then the rate limit of the key."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_api_call(scope) or scope["path"].startswith(_PUBLIC_PREFIX):
            await self._app(scope, receive, send)
            return
        error = self._find_error(scope)
        if error is None:
            await self._app(scope, receive, send)
        else:
            await error.as_response()(scope, receive, send)

    def _find_error(self, scope: Scope) -> ApiError | None:
        runtime = runtime_in(scope)
        key = find_key(Headers(scope=scope).get("authorization", ""))
        if key == runtime.settings.public_key:
            # Digital River docs, API structure: the public key is for browsers. The message is inferred.
            return ApiError(403, ErrorDetail("The public key cannot be used for this resource."))
        if key != runtime.settings.secret_key:
            return unauthorized()
        return None if runtime.rate_limit.allows(key) else too_many_requests(RETRY_AFTER)


def find_key(authorization: str) -> str | None:
    """The bearer token, or the user name of Basic, as in some of the docs' curl samples."""
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return credentials
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[0]
    except ValueError:
        return None
