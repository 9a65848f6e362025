"""Many parcels at once: the HTTP door."""

from typing import Any
from uuid import UUID

from flask import Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.sink.actions import files, imports
from services.sink.schemas.assets import ImportRequest
from services.sink.schemas.imports import FileQuery, ImportErrorResponse, ImportResponse, TemplateQuery
from services.sink.tables import AssetImport, AssetImportError
from shared.db import found
from shared.fields import PageQuery, page_of
from shared.job_routes import JobResponse
from shared.jobs import Job
from shared.web import Blueprint, download, downloads, page, uploaded

blp = Blueprint("imports", __name__, url_prefix="/v1", description="Many parcels at once")


@blp.command("POST", "/asset-imports", scope="sink:register")
@blp.arguments(ImportRequest())
@blp.response(202, JobResponse())
def post_asset_import(session: Session, body: dict[str, Any]) -> tuple[Job, dict[str, str]]:
    """Register and value many forests; each row that cannot go in is told in the job's log."""
    job = imports.start_rows(session, body["rows"])
    return job, {"Location": f"/v1/jobs/{job.id}"}


@blp.upload("/asset-imports/files", scope="sink:register", largest=files.MAX_FILE)
@blp.arguments(FileQuery(), location="query")
@blp.response(202, ImportResponse())
def post_asset_import_file(session: Session, query: dict[str, Any]) -> tuple[AssetImport, dict[str, str]]:
    """Register and value a file of forests, at most 128 MiB; a job of the import's id takes it in.

    A file that no row can be read from is refused at once, with what is wrong with its header. A reference that stands
    for the same ground already is counted as known, so that a file can be sent again.
    """
    upload = uploaded()
    one = imports.start_file(
        session,
        upload.file,
        size=upload.size,
        sha256=upload.sha256,
        format_=query["format"],
        charset=query["charset"],
        dry_run=query["dry_run"] == "true",
    )
    return one, {"Location": f"/v1/asset-imports/{one.id}"}


@blp.query("/asset-imports/template", scope="sink:read")
@blp.arguments(TemplateQuery(), location="query")
@blp.doc(responses=downloads(*files.FORMATS))
def get_asset_import_template(session: Session, query: dict[str, Any]) -> Response:
    """Download a file with every column and one example row."""
    return download(files.template(query["format"]), f"parcels.{query['format']}")


@blp.query("/asset-imports", scope="sink:read")
@blp.arguments(PageQuery(), location="query")
@blp.response(200, page_of(ImportResponse(), "ImportPage"))
def get_asset_imports(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List the caller's own imports, newest first."""
    return page(session, select(AssetImport), AssetImport.id, query)


@blp.query("/asset-imports/<uuid:import_id>", scope="sink:read")
@blp.response(200, ImportResponse())
def get_asset_import(session: Session, import_id: UUID) -> AssetImport:
    """Show what became of an import's rows."""
    return found(session, AssetImport, import_id)


@blp.query("/asset-imports/<uuid:import_id>/errors", scope="sink:read")
@blp.arguments(PageQuery(), location="query")
@blp.response(200, page_of(ImportErrorResponse(), "ImportErrorPage"))
def get_asset_import_errors(session: Session, query: dict[str, Any], import_id: UUID) -> dict[str, Any]:
    """List what is wrong with the rows of an import, the last told first."""
    found(session, AssetImport, import_id)
    statement = select(AssetImportError).where(AssetImportError.import_id == import_id)
    return page(session, statement, AssetImportError.id, query)


@blp.query("/asset-imports/<uuid:import_id>/errors/file", scope="sink:read")
@blp.doc(responses=downloads("csv"))
def get_asset_import_errors_file(session: Session, import_id: UUID) -> Response:
    """Download what is wrong with the rows of an import, in their order, as CSV."""
    return download(imports.errors_as_csv(session, import_id), f"errors-{import_id}.csv")
