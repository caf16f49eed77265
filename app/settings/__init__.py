"""Reads the configuration of a process from its environment once, and refuses missing or unsafe values."""

from typing import Any, Self

from pydantic import ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource

from app.settings.checks import list_problems
from app.settings.fields import SettingsFields

# pydantic's own messages about a value of the wrong JSON type name Python types.
_JSON_ERRORS = {
    **dict.fromkeys(("tuple_type", "list_type", "set_type"), "must be a JSON list"),
    **dict.fromkeys(("dict_type", "model_type"), "must be a JSON object"),
}


class UnusableSettings(SystemExit):
    """The process must not start. The message names each setting and what is wrong with it."""


class _Environment(EnvSettingsSource):
    """Passes on text that is not valid JSON, so that validation reports it with all other problems."""

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
        if problems := list_problems(self):
            raise ValueError("; ".join(problems))
        return self


def read_settings() -> Settings:
    """The settings of this process.

    Raises:
        UnusableSettings: a setting is missing, malformed or unsafe. The message names all of them.
    """
    try:
        return Settings()
    except ValidationError as error:
        lines = []
        for problem in error.errors(include_url=False, include_input=False):
            name = "".join(f"PORTAL_{str(part).upper()}: " for part in problem["loc"][:1])
            text = _JSON_ERRORS.get(problem["type"], problem["msg"].removeprefix("Value error, "))
            lines += [f"  {name}{line}" for line in text.split("; ")]
        raise UnusableSettings("The portal cannot start:\n" + "\n".join(lines)) from None
