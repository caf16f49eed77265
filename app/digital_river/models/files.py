"""The models of files and of the public links to them."""

from typing import ClassVar

from pydantic import Field

from app.digital_river.models.tolerant_model import (
    Identifier,
    Instant,
    ListOf,
    Metadata,
    Number,
    Resource,
    SingleLine,
)


class FileLink(Resource):
    """A public link to a file. The URL is a secret: it opens the file, so no `repr` shows it."""

    # The URL contains the id.
    id_may_be_logged: ClassVar[bool] = False

    file_id: Identifier | None = None
    url: str | None = Field(None, repr=False)
    expired: bool | None = None
    expires_time: Instant | None = None
    created_time: Instant | None = None
    metadata: Metadata = Field(default_factory=dict)


class File(Resource):
    """A stored file. `size` is in bytes, `type` an extension such as `pdf`."""

    file_name: SingleLine | None = None
    title: SingleLine | None = None
    purpose: str | None = None
    size: Number | None = None
    type: str | None = None
    created_time: Instant | None = None
    links: ListOf[FileLink] = ()
