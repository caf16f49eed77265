"""Files and the public links to them."""

from typing import ClassVar

from pydantic import Field

from app.digital_river.models.reading import Identifier, Instant, Line, Many, Metadata, Number, Resource


class FileLink(Resource):
    """A public address of a file. Whoever has the URL can open it, so no representation shows it."""

    # The URL is made of it.
    id_may_be_logged: ClassVar[bool] = False

    file_id: Identifier | None = None
    url: str | None = Field(None, repr=False)
    expired: bool | None = None
    expires_time: Instant | None = None
    created_time: Instant | None = None
    metadata: Metadata = Field(default_factory=dict)


class File(Resource):
    """A stored file. `size` is in bytes, `type` an extension such as `pdf`."""

    file_name: Line | None = None
    title: Line | None = None
    purpose: str | None = None
    size: Number | None = None
    type: str | None = None
    created_time: Instant | None = None
    links: Many[FileLink] = ()
