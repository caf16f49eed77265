"""The configuration of every process: read once from the environment, checked as a whole, secrets masked."""

from typing import Any, Self

from pydantic import ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource

from app.settings.checks import find_problems
from app.settings.fields import SettingsFields

# pydantic's messages about a value that is not JSON, or is other JSON, name Python types.
_JSON_ERRORS = {
    **dict.fromkeys(("tuple_type", "list_type", "set_type"), "must be a JSON list"),
    **dict.fromkeys(("dict_type", "model_type"), "must be a JSON object"),
}


class UnusableSettings(SystemExit):
    """The process must not start. The message names each setting and what is wrong with it."""


class _Environment(EnvSettingsSource):
    """Passes on text that should be JSON and is not, so that validation names it together with all else."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


class Settings(SettingsFields):
    """The service's configuration, read from environment variables that start with `PORTAL_`."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *_: PydanticBaseSettingsSource,
        **__: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, _Environment(settings_cls)

    @model_validator(mode="after")
    def _complete_and_safe(self) -> Self:
        if problems := find_problems(self):
            raise ValueError("; ".join(problems))
        return self


def read_settings() -> Settings:
    """The settings of this process.

    Raises:
        UnusableSettings: something is missing, malformed or unsafe; all of it is named at once.
    """
    try:
        return Settings()
    except ValidationError as error:
        lines = []
        for problem in error.errors(include_url=False, include_input=False):
            name = "".join(f"PORTAL_{str(part).upper()}: " for part in problem["loc"][:1])
            told = _JSON_ERRORS.get(problem["type"], problem["msg"].removeprefix("Value error, "))
            lines += [f"  {name}{line}" for line in told.split("; ")]
        raise UnusableSettings("The portal cannot start:\n" + "\n".join(lines)) from None
