"""Many loans of one bank at once: copies of a loan that went the whole way, each with what differs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import create_engine, text

from shared.ids import uuid7
from shared.strict_json import canonical
from tests.conftest import Database

#: Each table of a loan, and the column that names it.
TABLES = {"loans": "id", "loan_covers": "loan_id", "loan_guarantees": "loan_id"}


@dataclass(frozen=True)
class Lent:
    """One loan: what is owed, what is pledged, where it and its legs stand."""

    balance: Decimal
    pledges: Mapping[UUID, str]
    id: UUID = field(default_factory=uuid7)
    #: Of pledges that were struck out.
    released: frozenset[UUID] = frozenset()
    loan: Mapping[str, Any] = field(default_factory=dict)
    cover: Mapping[str, Any] = field(default_factory=dict)
    guarantee: Mapping[str, Any] = field(default_factory=dict)
    #: Day and whole of each instalment.
    instalments: tuple[tuple[date, Decimal], ...] = ()


def lend(database: Database, template: UUID, loans: Iterable[Lent]) -> list[UUID]:
    """Copy a loan that is paid out, past every door, as the superuser may; the ids of the copies."""
    made = list(loans)
    rows = [_row(one) for one in made]
    admin = create_engine(database.admin_url)
    with admin.begin() as connection:
        bank = connection.scalar(text("SELECT institution FROM loans WHERE id = :id"), {"id": template})
        for name, key in TABLES.items():
            connection.execute(
                text(
                    f"INSERT INTO {name} SELECT r.* FROM jsonb_array_elements(CAST(:rows AS jsonb)) AS n(one)"
                    f" JOIN {name} t ON t.{key} = :template"
                    f" CROSS JOIN LATERAL jsonb_populate_record(t, n.one -> '{name}') AS r"
                ),
                {"rows": canonical(rows).decode(), "template": template},
            )
        connection.execute(
            text(
                "INSERT INTO loan_assets SELECT r.* FROM jsonb_array_elements(CAST(:rows AS jsonb)) AS n(one)"
                " CROSS JOIN LATERAL jsonb_array_elements(n.one -> 'loan_assets') AS a(one)"
                " JOIN loan_assets t ON t.loan_id = :template"
                " CROSS JOIN LATERAL jsonb_populate_record(t, a.one) AS r"
            ),
            {"rows": canonical(rows).decode(), "template": template},
        )
        due = [
            {"l": one.id, "n": number, "i": bank, "d": day, "p": whole}
            for one in made
            for number, (day, whole) in enumerate(one.instalments, 1)
        ]
        if due:
            connection.execute(text("INSERT INTO loan_instalments VALUES (:l, :n, :i, :d, :p, 0, :p)"), due)
        watched = [{"s": asset, "i": bank} for asset in sorted({asset for one in made for asset in one.pledges})]
        connection.execute(text("INSERT INTO watchers VALUES (:s, :i) ON CONFLICT DO NOTHING"), watched)
    admin.dispose()
    return [one.id for one in made]


def _row(one: Lent) -> dict[str, Any]:
    key, owed = str(one.id), str(one.balance)
    return {
        "loans": {"id": key, "amount": owed, "disbursed": owed, "balance": owed, "interest_due": "0.00", **one.loan},
        "loan_covers": {"loan_id": key, **one.cover},
        "loan_guarantees": {"loan_id": key, **one.guarantee},
        "loan_assets": [
            {
                "loan_id": key,
                "asset_id": str(asset),
                "tonnes": tonnes,
                "pledge_id": str(UUID(int=asset.int ^ one.id.int)),
                "pledge_state": "released" if asset in one.released else "placed",
            }
            for asset, tonnes in sorted(one.pledges.items())
        ],
    }
