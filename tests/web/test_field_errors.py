"""A refusal by Digital River becomes field errors in the names of the frontend's request."""

import pytest

from app.digital_river.errors import Refused
from app.web.validation import invalid_fields


@pytest.mark.parametrize(
    ("parameter", "below", "expected"),
    [
        ("email", "", ["/email"]),
        ("shipping.address.postalCode", "", ["/shipping/address/postalCode"]),
        ("address.postalCode", "", ["/shipping/address/postalCode"]),
        ("metadata.a.b/c", "", ["/metadata/a.b~1c"]),
        ("shipping.address.postalCode", "shipping", ["/address/postalCode"]),
        ("address.postalCode", "shipping", ["/address/postalCode"]),
        ("email", "shipping", []),
        ("", "", []),
    ],
)
def test_a_parameter_becomes_a_pointer_into_our_own_body(
    parameter: str, below: str, expected: list[str]
) -> None:
    problem = invalid_fields(Refused(400, ("invalid_parameter",), (parameter,)), root_member=below)
    assert [error.pointer for error in problem.errors] == expected


def test_members_that_we_name_otherwise_are_named_our_way() -> None:
    refused = Refused(400, ("a", "b"), ("taxCertificate.fileId", "taxCertificate.endDate"))
    problem = invalid_fields(refused, root_member="taxCertificate", our_names={"fileId": "file"})
    assert [error.pointer for error in problem.errors] == ["/endDate", "/file"]
