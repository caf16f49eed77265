"""Each published model has an example that it accepts and returns unchanged."""

import pytest
from pydantic import ValidationError

from app.web.api_model import ApiModel
from tests.web.small_app import Address, Profile


def check_examples(model: type[ApiModel], *, may_be_partial: bool = False) -> None:
    """Fails unless the model has examples that come back from it as they are written.

    With `may_be_partial` they may leave out what a request may leave out."""
    extra = model.model_config.get("json_schema_extra")
    examples = extra.get("examples") if isinstance(extra, dict) else None
    assert isinstance(examples, list), f"{model.__name__} shows no example"
    assert examples, f"{model.__name__} shows no example"
    for example in examples:
        read = model.model_validate(example)
        assert read.model_dump(mode="json", exclude_unset=may_be_partial) == example


@pytest.mark.parametrize("model", [Address, Profile])
def test_examples_are_accepted_and_come_back_unchanged(model: type[ApiModel]) -> None:
    check_examples(model)


def test_a_model_without_an_example_is_noticed() -> None:
    class Silent(ApiModel):
        name: str

    with pytest.raises(AssertionError, match="Silent shows no example"):
        check_examples(Silent)


def test_names_are_camel_case_on_the_wire_and_python_names_within() -> None:
    address = Address(postal_code="50667", country="DE")
    assert address.model_dump_json() == '{"postalCode":"50667","country":"DE"}'


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValidationError, match="extra_forbidden"):
        Address.model_validate({"postalCode": "1", "country": "DE", "street": "?"})
