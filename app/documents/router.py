"""The routes of documents: list, show, open, and the documents of one order."""

from collections.abc import Sequence
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response, status
from pydantic import BaseModel

from app.access.authorization import ListedCustomer, RequiredOwner
from app.documents import list_store, service
from app.documents.downloads import DownloadLimiter, StreamedFile
from app.documents.link_policy import policy_of
from app.documents.schemas import (
    DocumentsPage,
    DocumentView,
    LinkView,
    OrderDocumentsPage,
    document_json,
    order_documents_page_json,
)
from app.documents.store import Document, DocumentKind, Position
from app.identity.bearer import CurrentPrincipal
from app.ids import DocumentId, OrderId
from app.request_resources import ResourcesDep, base_url_of
from app.web.api_model import Instant
from app.web.etags import NOT_MODIFIED, conditional_json
from app.web.id_types import ID, OrderPath
from app.web.paging import decode_cursor, encode_cursor
from app.web.paging_query import DEFAULT_LIMIT, Cursor, Limit
from app.web.problems import BadGateway, Invalid, NotFound, ServiceUnavailable, TooManyRequests, responses
from app.web.routing import StrictRoute

router = APIRouter(prefix="/v1", tags=["documents"], route_class=StrictRoute)

DocumentPath = Annotated[UUID, Path(alias="documentId", examples=["0b4bb1a7-0d0a-4b0e-9a53-6f1f6f0f5a11"])]


class _CursorContent(BaseModel):
    """The content of a cursor: the last document of the previous page."""

    at: Instant
    id: UUID


def _position(cursor: str | None) -> Position | None:
    if cursor is None:
        return None
    after = decode_cursor(cursor, _CursorContent)
    return Position(after.at, DocumentId(str(after.id)))


def _cursor_of(position: Position) -> str:
    return encode_cursor(_CursorContent(at=position.created_at, id=UUID(position.id)))


def _next_cursor(documents: Sequence[Document], limit: int) -> str | None:
    """The cursor of the next page. The statement reads one document more than a page holds: if that document
    exists, there is a next page."""
    if len(documents) <= limit:
        return None
    last = documents[limit - 1]
    return _cursor_of(Position(last.created_at, last.id))


@router.get(
    "/documents",
    operation_id="listDocuments",
    summary="List the caller's invoices and credit memos",
    response_model=DocumentsPage,
    responses=responses(Invalid),
)
async def list_documents(
    request: Request,
    resources: ResourcesDep,
    customer_id: ListedCustomer,
    kind: Annotated[DocumentKind | None, Query(description="Only documents of this kind.")] = None,
    order_id: Annotated[
        OrderId | None, ID, Query(alias="orderId", description="Only documents of this order.")
    ] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response:
    """Newest first. A document appears in the list within seconds after Digital River has issued it."""
    page = await list_store.list_page(
        resources.hot_pool,
        policy_of(resources.settings),
        customer_id,
        base_url_of(request),
        kind=kind,
        order_id=order_id,
        after=_position(cursor),
        limit=limit,
    )
    next_cursor = "null" if page.end is None else f'"{_cursor_of(page.end)}"'
    body = f'{{"data":[{",".join(page.documents)}],"nextCursor":{next_cursor}}}'
    return Response(body, media_type="application/json")


@router.get(
    "/orders/{orderId}/documents",
    operation_id="listOrderDocuments",
    summary="List the documents of one order",
    response_model=OrderDocumentsPage,
    responses=responses(Invalid, NotFound, BadGateway, ServiceUnavailable),
)
async def list_order_documents(
    request: Request,
    resources: ResourcesDep,
    owner: RequiredOwner,
    order_id: OrderPath,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response:
    """Newest first. `availability` says for each kind whether a document exists, will come, or will not
    come."""
    order_documents = await service.get_order_documents(
        resources, owner, order_id, after=_position(cursor), limit=limit + 1
    )
    next_cursor = _next_cursor(order_documents.documents, limit)
    body = order_documents_page_json(order_documents, base_url_of(request), next_cursor, limit)
    return Response(body, media_type="application/json")


@router.get(
    "/documents/{documentId}",
    operation_id="getDocument",
    summary="Show one document",
    response_model=DocumentView,
    responses={**NOT_MODIFIED, **responses(Invalid, NotFound)},
)
async def get_document(
    request: Request, resources: ResourcesDep, owner: RequiredOwner, document_id: DocumentPath
) -> Response:
    """The document with its current link. The link is null if none works for another five minutes."""
    policy = policy_of(resources.settings)
    document = await service.get_document(resources.hot_pool, policy, owner, DocumentId(str(document_id)))
    return conditional_json(request, document_json(document, base_url_of(request)))


@router.get(
    "/documents/{documentId}/content",
    operation_id="openDocument",
    summary="Open a document",
    status_code=status.HTTP_303_SEE_OTHER,
    response_class=Response,
    responses={
        303: {
            "description": "Redirects to a public link that works for at least five minutes.",
            "headers": {"Location": {"description": "The link.", "schema": {"type": "string"}}},
        },
        200: {
            "description": "The PDF with `disposition=proxy`; the link as JSON with `disposition=link`.",
            "content": {
                # OpenAPI 3.1: binary content has no type. With `string`, clients would read it as text.
                "application/pdf": {"schema": {"contentMediaType": "application/pdf"}},
                "application/json": {"schema": {"$ref": f"#/components/schemas/{LinkView.__name__}"}},
            },
        },
        **responses(Invalid, NotFound, TooManyRequests, BadGateway, ServiceUnavailable),
    },
)
async def open_document(
    request: Request,
    resources: ResourcesDep,
    owner: RequiredOwner,
    principal: CurrentPrincipal,
    document_id: DocumentPath,
    disposition: Annotated[
        Literal["redirect", "link", "proxy"],
        Query(
            description="How to answer. `redirect`: with a redirect to the link. `link`: with the link as "
            "JSON, for pages, because `fetch` cannot follow a redirect to another origin. `proxy`: with "
            "the PDF, streamed through this API."
        ),
    ] = "redirect",
) -> Response:
    """Works for documents of any age: an expired link is renewed first."""
    if disposition == "proxy":
        policy = policy_of(resources.settings)
        document = await service.get_document(resources.hot_pool, policy, owner, DocumentId(str(document_id)))
        limiter: DownloadLimiter = request.app.state.resources.downloads
        return StreamedFile(resources.digital_river, document, limiter, principal.name)
    link = await service.get_document_link(resources, owner, DocumentId(str(document_id)))
    if disposition == "link":
        link_view = LinkView(url=link.url, expires_at=link.expires_at)
        return Response(link_view.model_dump_json(), media_type="application/json")
    return Response(status_code=status.HTTP_303_SEE_OTHER, headers={"Location": link.url})
