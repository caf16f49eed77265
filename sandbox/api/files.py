"""Files: what buyers upload (tax certificates) and what Digital River issues (invoices, credit memos)."""

import base64
import binascii
from urllib.parse import quote

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.api import file_links
from sandbox.api.body_validation import Form, read_json
from sandbox.api.events import emit
from sandbox.api.lists import Filters, answer_list, plain
from sandbox.errors import bad_request, not_found
from sandbox.runtime.runtime import World, world_of
from sandbox.state.clock import stamp
from sandbox.state.store import Json, new_id

PURPOSES = ("tax_document_customer_upload", "customer_invoice", "customer_credit_memo")
_MEDIA_TYPES = {"pdf": "application/pdf", "jpg": "image/jpeg", "png": "image/png"}
_BEGINNINGS = {"pdf": b"%PDF-", "jpg": b"\xff\xd8\xff", "png": b"\x89PNG\r\n\x1a\n"}
# Digital River, release note 2021-06-11: PDF, JPG, PNG of at most 10 MB.
_LARGEST = 10 * 1024 * 1024
_KNOWN = ("file", "purpose", "fileName", "title", "linkExpiresTime")
_FILTERS = Filters(
    equals=plain("purpose", "fileName", "title", "type"),
    moments=plain("createdTime"),
    numbers=plain("size"),
)


def keep_file(
    world: World, content: bytes, *, file_name: str, purpose: str, title: str | None = None
) -> Json:
    """Store bytes as a File. Raises 400 when they are too many or of no accepted type."""
    kind = next((kind for kind, begins in _BEGINNINGS.items() if content.startswith(begins)), None)
    if kind is None:
        raise bad_request("invalid_parameter", "file", "The file must be a PDF, JPG or PNG.")
    if len(content) > _LARGEST:
        raise bad_request("invalid_parameter", "file", "The file must not be larger than 10 MB.")
    identity = new_id()
    file: Json = {
        "id": identity,
        "createdTime": stamp(world.now()),
        "fileName": file_name,
        "purpose": purpose,
        "size": len(content),
        "type": kind,
        "url": f"{world.base_url}/files/{identity}/content",
        "liveMode": world.settings.live_mode,
    }
    if title is not None:
        file["title"] = title
    world.ledger.files[identity] = file
    world.ledger.contents[identity] = content
    emit(world, "file.created", file)
    return file


def show_file(world: World, file: Json) -> Json:
    """Digital River docs, Files: `links` is absent when there are none."""
    links = file_links.links_of(world, file["id"]).values()
    shown = [file_links.show_link(world, link) for link in links]
    return {**file, "links": shown} if shown else file


def get_stored(world: World, request: Request) -> Json:
    file = world.ledger.files.get(request.path_params["id"])
    if file is None:
        raise not_found("File", request.path_params["id"])
    return file


def content_response(world: World, file: Json) -> Response:
    """The bytes, under their own name."""
    disposition = f"attachment; filename*=UTF-8''{quote(file['fileName'])}"
    return Response(
        world.ledger.contents[file["id"]],
        media_type=_MEDIA_TYPES[file["type"]],
        headers={"Content-Disposition": disposition},
    )


async def create_file(request: Request) -> Response:
    """Multipart, or JSON with the file as base64 text."""
    world = world_of(request)
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        fields, content = await _read_multipart(request)
    else:
        fields, content = await _read_base64(request)
    form = Form(fields, _KNOWN)
    form.require("purpose", "fileName")
    form.one_of("purpose", PURPOSES)
    file_name, title = form.text("fileName"), form.text("title")
    expires = form.moment("linkExpiresTime")
    form.done()
    file = keep_file(
        world,
        content,
        file_name=str(file_name),
        purpose=fields["purpose"],
        title=title,
    )
    if expires is not None:
        file_links.make_link(world, file["id"], expires)
    return JSONResponse(show_file(world, file), 201)


async def _read_multipart(request: Request) -> tuple[Json, bytes]:
    async with request.form() as parts:
        upload = parts.get("file")
        if not isinstance(upload, UploadFile):
            raise bad_request("missing_parameter", "file", "'file' is required.")
        fields: Json = {name: value for name, value in parts.items() if name != "file"}
        fields.setdefault("fileName", upload.filename)
        return fields, await upload.read()


async def _read_base64(request: Request) -> tuple[Json, bytes]:
    fields = await read_json(request)
    encoded = fields.get("file")
    if not isinstance(encoded, str) or not encoded:
        raise bad_request("missing_parameter", "file", "'file' is required.")
    try:
        return fields, base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise bad_request("invalid_parameter", "file", "The file is not valid base64.") from error


async def list_files(request: Request) -> Response:
    world = world_of(request)
    return answer_list(request, world.ledger.files, _FILTERS, show=lambda file: show_file(world, file))


async def get_file(request: Request) -> Response:
    world = world_of(request)
    return JSONResponse(show_file(world, get_stored(world, request)))


async def get_content(request: Request) -> Response:
    world = world_of(request)
    return content_response(world, get_stored(world, request))


async def delete_file(request: Request) -> Response:
    """Permanent; its links go with it."""
    world = world_of(request)
    identity = get_stored(world, request)["id"]
    del world.ledger.files[identity]
    del world.ledger.contents[identity]
    for link in list(file_links.links_of(world, identity).values()):
        file_links.forget_link(world, link)
    return Response(status_code=204)


async def open_link(request: Request) -> Response:
    """The public address of a link: no key, and nothing once it is deleted (404) or expired (410)."""
    world = world_of(request)
    link = file_links.get_stored(world, request)
    if file_links.is_expired(world, link):
        return Response("This link has expired.", 410, media_type="text/plain")
    return content_response(world, world.ledger.files[link["fileId"]])


routes = [
    Route("/files", create_file, methods=["POST"]),
    Route("/files", list_files, methods=["GET"]),
    Route("/files/{id}", get_file, methods=["GET"]),
    Route("/files/{id}", delete_file, methods=["DELETE"]),
    Route("/files/{id}/content", get_content, methods=["GET"]),
    Route("/links/{id}", open_link, methods=["GET"]),
]
