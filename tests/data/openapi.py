"""The table of facts, loaded by openapi-core."""

from functools import cache

from openapi_core import Config, OpenAPI

from tests.data.digital_river import api


@cache
def api_document() -> OpenAPI:
    """Loaded once a process, in milliseconds: whether the table is a valid document is a test of its own."""
    return OpenAPI.from_dict(api(), config=Config(spec_validator_cls=None))
