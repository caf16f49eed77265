"""`portal openapi`."""

import json

import typer
from pydantic import SecretStr

from app.main import create_app
from app.settings import Settings

commands = typer.Typer()


def _documentation_settings() -> Settings:
    """Placeholder settings, only to build the OpenAPI document."""
    return Settings(
        environment="development",
        digital_river_secret_key=SecretStr("none"),
        webhook_secrets=(SecretStr("none"),),
        oidc_issuer="http://localhost",
        oidc_audience="portal",
    )


@commands.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    document = create_app(_documentation_settings()).openapi()
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
