"""Files: uploads of buyers (tax certificates), and documents of Digital River (invoices, credit memos)."""

import base64
import binascii
from urllib.parse import quote

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.api.body_validation import BodyValidator, read_json
from sandbox.api.lists import Filters, by_member, list_response
from sandbox.commerce.file_links import (
    delete_stored_link,
    get_stored_link,
    is_expired,
    links_of_file,
    store_link,
)
from sandbox.commerce.files import get_stored_file, show_file, store_file
from sandbox.errors import bad_request
from sandbox.json_types import Json
from sandbox.runtime.runtime import Runtime, runtime_of

PURPOSES = ("tax_document_customer_upload", "customer_invoice", "customer_credit_memo")
_MEDIA_TYPES = {"pdf": "application/pdf", "jpg": "image/jpeg", "png": "image/png"}
_KNOWN = ("file", "purpose", "fileName", "title", "linkExpiresTime")
_FILTERS = Filters(
    equals=by_member("purpose", "fileName", "title", "type"),
    timestamps=by_member("createdTime"),
    numbers=by_member("size"),
)


def content_response(runtime: Runtime, file: Json) -> Response:
    """The bytes as a download with the file's name."""
    disposition = f"attachment; filename*=UTF-8''{quote(file['fileName'])}"
    return Response(
        runtime.store.file_contents[file["id"]],
        media_type=_MEDIA_TYPES[file["type"]],
        headers={"Content-Disposition": disposition},
    )


async def create_file(request: Request) -> Response:
    """Multipart, or JSON with the file as base64 text."""
    runtime = runtime_of(request)
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        fields, content = await _read_multipart(request)
    else:
        fields, content = await _read_base64(request)
    validator = BodyValidator(fields, _KNOWN)
    validator.require("purpose", "fileName")
    validator.one_of("purpose", PURPOSES)
    file_name, title = validator.text("fileName"), validator.text("title")
    expires = validator.timestamp("linkExpiresTime")
    validator.raise_errors()
    file = store_file(
        runtime,
        content,
        file_name=str(file_name),
        purpose=fields["purpose"],
        title=title,
    )
    if expires is not None:
        store_link(runtime, file["id"], expires)
    return JSONResponse(show_file(runtime, file), 201)


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
    runtime = runtime_of(request)
    return list_response(request, runtime.store.files, _FILTERS, show=lambda file: show_file(runtime, file))


async def get_file(request: Request) -> Response:
    runtime = runtime_of(request)
    return JSONResponse(show_file(runtime, get_stored_file(runtime, request.path_params["id"])))


async def get_content(request: Request) -> Response:
    runtime = runtime_of(request)
    return content_response(runtime, get_stored_file(runtime, request.path_params["id"]))


async def delete_file(request: Request) -> Response:
    """Delete for good, with the links of the file."""
    runtime = runtime_of(request)
    resource_id = get_stored_file(runtime, request.path_params["id"])["id"]
    del runtime.store.files[resource_id]
    del runtime.store.file_contents[resource_id]
    for link in list(links_of_file(runtime, resource_id).values()):
        delete_stored_link(runtime, link)
    return Response(status_code=204)


async def open_link(request: Request) -> Response:
    """The public address of a link. It needs no key. 404 if the link is deleted, 410 if it has expired."""
    runtime = runtime_of(request)
    link = get_stored_link(runtime, request.path_params["id"])
    if is_expired(runtime, link):
        return Response("This link has expired.", 410, media_type="text/plain")
    return content_response(runtime, runtime.store.files[link["fileId"]])


routes = [
    Route("/files", create_file, methods=["POST"]),
    Route("/files", list_files, methods=["GET"]),
    Route("/files/{id}", get_file, methods=["GET"]),
    Route("/files/{id}", delete_file, methods=["DELETE"]),
    Route("/files/{id}/content", get_content, methods=["GET"]),
    Route("/links/{id}", open_link, methods=["GET"]),
]
