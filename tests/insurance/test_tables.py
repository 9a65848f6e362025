"""What the database itself refuses, whatever the code does."""

from decimal import Decimal

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import IntegrityError

from services.insurance.tables import Capacity, Claim, Policy, PolicyAsset
from shared import db
from shared.ids import uuid7
from tests.conftest import Database
from tests.harness import INSURER, OTHER_INSURER, deliver
from tests.insurance.examples import bound, disbursed, reversal, row


@pytest.fixture
def claimed(insurance_db: Database) -> Database:
    asset, loan = uuid7(), uuid7()
    bound(insurance_db, asset, loan, disbursed(loan))
    deliver("insurance", insurance_db, reversal(asset), first=2)
    return insurance_db


def refuses(database: Database, constraint: str, statement) -> None:
    with database.sessions() as session:
        db.act_for(session, INSURER)
        with pytest.raises(IntegrityError, match=constraint):
            session.execute(statement)


def test_a_capacity_holds_no_more_than_its_cap(claimed: Database) -> None:
    refuses(claimed, "within_cap", update(Capacity).values(pending=Capacity.cap))
    refuses(claimed, "within_cap", update(Capacity).values(posted=Decimal(-1)))


def test_claims_stay_within_the_sum_insured(claimed: Database) -> None:
    refuses(claimed, "claims_within_sum_insured", update(Policy).values(claimed=Policy.sum_insured + 1))
    refuses(claimed, "claims_within_sum", update(PolicyAsset).values(claimed=PolicyAsset.sum_insured + 1))


def test_a_paid_claim_is_paid_to_the_fen(claimed: Database) -> None:
    whole = {"state": "paid", "paid_at": text("now()")}
    refuses(claimed, "paid_in_full", update(Claim).values(**whole, to_bank=Claim.payable, to_owner=Decimal("0.01")))
    refuses(claimed, "paid_in_full", update(Claim).values(state="paid", to_bank=Claim.payable, to_owner=0))


def test_one_reversal_makes_one_claim_on_a_policy(claimed: Database) -> None:
    copied = (
        "INSERT INTO claims SELECT (jsonb_populate_record(c, jsonb_build_object('id', gen_random_uuid()))).*"
        " FROM claims c"
    )
    refuses(claimed, "uq_claims", text(copied))


def test_another_insurer_sees_nothing(claimed: Database) -> None:
    for table in ("covers", "cover_assets", "policies", "policy_assets", "claims", "capacities", "capacity_holds"):
        with claimed.sessions() as session:
            assert session.scalar(text(f"SELECT count(*) FROM {table}")) == 0
            db.act_for(session, OTHER_INSURER)
            assert session.scalar(text(f"SELECT count(*) FROM {table}")) == 0
            db.act_for(session, INSURER)
            assert session.scalar(text(f"SELECT count(*) FROM {table}")) > 0


def test_what_is_left_of_the_sum_insured_is_what_no_claim_took(claimed: Database) -> None:
    policy = row(claimed, Policy)
    assert policy.remaining == policy.sum_insured - Decimal("180000.00")
