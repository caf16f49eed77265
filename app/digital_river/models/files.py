"""Files and the public links to them."""

from pydantic import Field

from app.digital_river.models.reading import Instant, Many, Metadata, Resource


class FileLink(Resource):
    """A public address of a file. Whoever has the URL can open it, so no representation shows it."""

    file_id: str | None = None
    url: str | None = Field(None, repr=False)
    expired: bool | None = None
    expires_time: Instant | None = None
    created_time: Instant | None = None
    metadata: Metadata = Field(default_factory=dict)


class File(Resource):
    """A stored file. `size` is in bytes, `type` an extension such as `pdf`."""

    file_name: str | None = None
    title: str | None = None
    purpose: str | None = None
    size: int | None = None
    type: str | None = None
    created_time: Instant | None = None
    links: Many[FileLink] = ()
