"""Zero-carbon accounts: the HTTP door."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.sink.actions import accounts
from services.sink.actions.accounts import EntryFacts
from services.sink.schemas.accounts import (
    AccountRequest,
    AccountResponse,
    BalancesResponse,
    EntryQuery,
    EntryRequest,
    EntryResponse,
    VoidingRequest,
)
from services.sink.tables import AccountEntry, ZeroCarbonAccount
from shared.db import found
from shared.fields import PageQuery, page_of
from shared.web import Blueprint, page

blp = Blueprint("accounts", __name__, url_prefix="/v1", description="Zero-carbon villages, campuses and others")


@blp.command("POST", "/zero-carbon-accounts", scope="sink:compensate")
@blp.arguments(AccountRequest())
@blp.response(201, AccountResponse())
def post_account(session: Session, body: dict[str, Any]) -> tuple[ZeroCarbonAccount, dict[str, str]]:
    """Open an account."""
    account = accounts.open_account(session, **body)
    return account, {"Location": f"/v1/zero-carbon-accounts/{account.id}"}


@blp.query("/zero-carbon-accounts", scope="sink:read")
@blp.arguments(PageQuery(), location="query")
@blp.response(200, page_of(AccountResponse(), "AccountPage"))
def get_accounts(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List the caller's own accounts, newest first."""
    return page(session, select(ZeroCarbonAccount), ZeroCarbonAccount.id, query)


@blp.query("/zero-carbon-accounts/<uuid:account_id>", scope="sink:read")
@blp.response(200, AccountResponse())
def get_account(session: Session, account_id: UUID) -> ZeroCarbonAccount:
    """Show an account."""
    return found(session, ZeroCarbonAccount, account_id)


@blp.query("/zero-carbon-accounts/<uuid:account_id>/balances", scope="sink:read")
@blp.response(200, BalancesResponse())
def get_balances(session: Session, account_id: UUID) -> dict[str, Any]:
    """Show the balance of each year of an account, and whether it is zero-carbon."""
    return {"items": accounts.balances(session, account_id)}


@blp.command("POST", "/zero-carbon-accounts/<uuid:account_id>/entries", scope="sink:compensate")
@blp.arguments(EntryRequest())
@blp.response(201, EntryResponse())
def post_entry(session: Session, body: dict[str, Any], account_id: UUID) -> AccountEntry:
    """Enter a line into an account."""
    return accounts.enter(session, account_id, EntryFacts(**body))


@blp.query("/zero-carbon-accounts/<uuid:account_id>/entries", scope="sink:read")
@blp.arguments(EntryQuery(), location="query")
@blp.response(200, page_of(EntryResponse(), "EntryPage"))
def get_entries(session: Session, query: dict[str, Any], account_id: UUID) -> dict[str, Any]:
    """List the lines of an account, newest first."""
    found(session, ZeroCarbonAccount, account_id)
    statement = select(AccountEntry).where(AccountEntry.account_id == account_id)
    if query["year"]:
        statement = statement.where(AccountEntry.year == query["year"])
    return page(session, statement, AccountEntry.id, query, year=query["year"])


@blp.command("POST", "/account-entries/<uuid:entry_id>/voiding", scope="sink:compensate", if_match=True)
@blp.arguments(VoidingRequest())
@blp.response(200, EntryResponse())
def post_voiding(session: Session, body: dict[str, Any], entry_id: UUID) -> AccountEntry:
    """Strike a wrong line; what it drew on is free again."""
    return accounts.void(session, entry_id, body["reason"])
