"""The JSON schema of a model holds the docstrings of its attributes."""

from typing import Any

from pydantic import Field
from pydantic.alias_generators import to_camel

from app.web.described_model import DescribedModel


class Parcel(DescribedModel, alias_generator=to_camel):
    weight_in_grams: int
    """With the box.

    Never null."""
    sender: str = Field("", description="Who sent it.")
    """This text is for developers."""
    color: str = ""
    "With these quotes too."


class Letter(Parcel):
    color: str = "white"
    stamp: str = ""
    """Its value."""

    class Stamp(DescribedModel):
        value: int
        """In cents."""


def descriptions(model: type[DescribedModel]) -> dict[str, Any]:
    properties = model.model_json_schema()["properties"]
    return {name: schema.get("description") for name, schema in properties.items()}


def test_a_docstring_is_the_description_unless_the_field_has_another() -> None:
    assert descriptions(Parcel) == {
        "weightInGrams": "With the box.\n\nNever null.",
        "sender": "Who sent it.",
        "color": "With these quotes too.",
    }


def test_a_subclass_keeps_what_it_does_not_define_again() -> None:
    assert descriptions(Letter) == {**descriptions(Parcel), "color": None, "stamp": "Its value."}


def test_a_class_within_another_or_in_a_function_is_described() -> None:
    class Bag(DescribedModel):
        letters: list[Letter]
        """All of them."""

    assert descriptions(Letter.Stamp) == {"value": "In cents."}
    assert descriptions(Bag) == {"letters": "All of them."}
