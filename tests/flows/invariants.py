"""What must hold of four services, read whole from their databases, past row-level security.

Each rule yields a sentence for every fault it finds. Those of `ALWAYS` hold between any two transactions; those of
`SETTLED` once every event was delivered, because only then have all services heard the same. `audit_chains_hold` holds
always as well, but takes its time.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, create_engine, text

from services.credit.actions.states import ENDED, may_follow
from services.guarantee.formulas.amortisation import amortised_use
from shared import audit
from shared.events.base import REGISTRY
from tests.conftest import Database
from tests.harness import door

ZERO = Decimal(0)
#: Texts of a hundred kilobytes a row, of which no rule speaks.
_WITHOUT = {"valuations": "id, asset_id, version, valued_at"}


@dataclass
class Books:
    """The databases of the four services, opened by the superuser; tables are read once for each check."""

    databases: Mapping[str, Database]
    connections: dict[str, Connection] = field(default_factory=dict)
    _read: dict[tuple[str, str], list[Any]] = field(default_factory=dict)

    def open(self) -> "Books":
        """Connect; each statement is a transaction of its own, so that what is read is what was committed."""
        for service, database in self.databases.items():
            engine = create_engine(database.admin_url, isolation_level="AUTOCOMMIT")
            self.connections[service] = engine.connect()
        return self

    def close(self) -> None:
        """Disconnect."""
        for connection in self.connections.values():
            connection.close()
            connection.engine.dispose()

    def empty(self) -> None:
        """Delete every row; deleting is quicker than truncating where there are few."""
        for connection in self.connections.values():
            tables = connection.scalars(
                text(
                    "SELECT quote_ident(tablename) FROM pg_tables"
                    " WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
                )
            ).all()
            # As a replica: no trigger and no foreign key stands in the way.
            deletes = "".join(f"DELETE FROM {table};" for table in tables)
            connection.exec_driver_sql(
                f"SET session_replication_role = replica;{deletes}RESET session_replication_role"
            )

    def faults(self, *rules: "Rule") -> list[str]:
        """Every fault that these rules find in the books as they are now."""
        self._read.clear()
        return [f"{rule.__name__}: {fault}" for rule in rules for fault in rule(self)]

    def rows(self, service: str, table: str) -> list[Row[Any]]:
        """Every row of a table."""
        if (service, table) not in self._read:
            columns = _WITHOUT.get(table, "*") if service == "sink" else "*"
            read = self.connections[service].exec_driver_sql(f"SELECT {columns} FROM {table}")
            self._read[service, table] = list(read.all())
        return self._read[service, table]

    def by(self, service: str, table: str, column: str) -> dict[Any, list[Row[Any]]]:
        """The rows of a table by a column."""
        found: dict[Any, list[Row[Any]]] = defaultdict(list)
        for row in self.rows(service, table):
            found[getattr(row, column)].append(row)
        return found

    def events(self, service: str, name: str) -> list[Mapping[str, Any]]:
        """The data of every event of a type that a service told."""
        return [row.payload for row in self.rows(service, "outbox") if REGISTRY[row.type].__name__ == name]

    def told(self, service: str, name: str, key: str) -> Counter[UUID]:
        """How often a service told an event of a type, by an id in it."""
        return Counter(UUID(data[key]) for data in self.events(service, name))

    def timers(self, service: str) -> set[tuple[str, UUID]]:
        """Kind and subject of every deadline that a service waits for."""
        return {(timer.kind, timer.subject) for timer in self.rows(service, "timers")}


Rule = Callable[[Books], Iterator[str]]


def _sum(amounts: Iterable[Decimal | None]) -> Decimal:
    return sum((amount or ZERO for amount in amounts), ZERO)


# -- sink -------------------------------------------------------------------------------------------------------------


def no_tonne_under_two_liens(b: Books) -> Iterator[str]:
    """What is pledged of a forest is the sum of its liens, and no lien was entered on what another one holds."""
    pledges, valuations = b.by("sink", "pledges", "asset_id"), b.by("sink", "valuations", "asset_id")
    for asset in b.rows("sink", "assets"):
        mine = pledges[asset.id]
        held = _sum(p.tonnes for p in mine if p.state in ("placed", "frozen"))
        enforced = _sum(p.tonnes for p in mine if p.state == "enforced")
        if (held, enforced) != (asset.pledged_tonnes, asset.enforced_tonnes):
            yield f"{asset.name}: liens {held}/{enforced} t, balance {asset.pledged_tonnes}/{asset.enforced_tonnes} t"
        gone = asset.retired_tonnes + asset.cancelled_tonnes + asset.transferred_tonnes
        there = asset.forecast_tonnes + asset.issued_tonnes - gone
        if (held + enforced > there) != asset.over_pledged:
            yield f"{asset.name}: {held + enforced} t of {there} t are spoken for, over-pledged: {asset.over_pledged}"
        if asset.over_pledged:
            # Only a new valuation may bring that about: after it, no lien was entered.
            placed = max(p.placed_at for p in mine)
            if placed > max(v.valued_at for v in valuations[asset.id]):
                yield f"{asset.name}: a lien was entered on tonnes that others hold, at {placed}"
        for loan, number in Counter(p.loan_id for p in mine if p.state != "released").items():
            if number > 1:
                yield f"{asset.name}: {number} liens for loan {loan}"


# -- guarantee --------------------------------------------------------------------------------------------------------


def guarantee_buckets_hold_their_lines(b: Books) -> Iterator[str]:
    """Posted and pending of every limit are the sums over live reservations, within the effective cap."""
    sums: dict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    for one in b.rows("guarantee", "reservations"):
        if one.state in ("pending", "posted"):
            parts = {
                ("headroom", ""): one.liability,
                ("obligor", one.obligor): one.liability,
                ("county", one.county): one.liability,
                ("province", ""): amortised_use(one.province, one.balance, one.amount),
                ("national", ""): amortised_use(one.national, one.balance, one.amount),
                ("pool", one.county): amortised_use(one.pool, one.balance, one.amount),
            }
            for (kind, key), use in parts.items():
                sums[one.institution, kind, key][one.state] += use
    buckets = {(row.institution, row.kind, row.key): row for row in b.rows("guarantee", "buckets")}
    for place in sorted({*sums, *buckets}):
        lines, bucket = sums[place], buckets.get(place)
        written = (bucket.posted, bucket.pending) if bucket else (0, 0)
        if (lines["posted"], lines["pending"]) != written:
            yield f"{place}: lines {dict(lines)}, bucket {written}"
        if bucket and bucket.posted + bucket.pending > bucket.cap_effective:
            yield f"{place}: {bucket.posted + bucket.pending} above {bucket.cap_effective}"


_RESERVATION = {
    "reserved": "pending",
    "issued": "posted",
    "called": "posted",
    "paid": "posted",
    "refused": "void",
    "expired": "expired",
}
_PARTS = ("primary", "province", "national", "bank", "pool")


def _parts(row: Any) -> Decimal:
    return _sum(getattr(row, f"share_{party}") for party in _PARTS)


def guarantees_are_whole(b: Books) -> Iterator[str]:
    """Shares sum to what they share, and a guarantee's state is its reservation's."""
    reservations = {row.id: row for row in b.rows("guarantee", "reservations")}
    for one in b.rows("guarantee", "guarantees"):
        held = reservations.get(one.id)
        state = held.state if held else "none"
        allowed = ("void", "released") if one.state == "released" else (_RESERVATION.get(one.state),)
        if state not in allowed and not (one.state == "refused" and held is None):
            yield f"guarantee of loan {one.loan_id} is {one.state}, its reservation {state}"
        if one.state != "refused" and _parts(one) != one.amount:
            yield f"guarantee of loan {one.loan_id}: shares sum to {_parts(one)} of {one.amount}"
        if held and held.state in ("pending", "posted") and held.balance != one.balance * 100 and one.state != "called":
            yield f"guarantee of loan {one.loan_id}: balance {one.balance}, reserved for {held.balance} fen"


def calls_and_recoveries_add_up(b: Books) -> Iterator[str]:
    """Shares of a call sum to the balance, of a recovery to its net; the journal sums to zero and says the same."""
    recoveries, journal = b.by("guarantee", "recoveries", "call_id"), b.by("guarantee", "journal_rows", "call_id")
    for call in b.rows("guarantee", "calls"):
        if _parts(call) != call.balance or call.payable != call.balance - call.share_bank:
            yield f"call of loan {call.loan_id}: shares {_parts(call)}, payable {call.payable} of {call.balance}"
        accounts: Counter[str] = Counter()
        for row in journal[call.id]:
            accounts[row.debit] += row.amount
            accounts[row.credit] -= row.amount
        mine = recoveries[call.id]
        back = _sum(one.net - one.share_bank for one in mine)
        owed = -call.payable if call.state != "cancelled" else ZERO
        if sum(accounts.values()) != 0 or accounts["bank"] != owed + (call.paid or ZERO) + back:
            yield f"call of loan {call.loan_id}: the journal says {dict(accounts)}"
        if accounts["cash"] != -(call.paid or ZERO):
            yield f"call of loan {call.loan_id}: {call.paid} paid, cash {accounts['cash']}"
        if (call.recovered, call.recovered_for_guarantors) != (_sum(one.net for one in mine), back):
            yield f"call of loan {call.loan_id}: recovered {call.recovered}/{call.recovered_for_guarantors}"
        for one in mine:
            if _parts(one) != one.net:
                yield f"recovery {one.id}: shares sum to {_parts(one)} of {one.net}"


# -- insurance --------------------------------------------------------------------------------------------------------


def insurance_capacity_holds_its_lines(b: Books) -> Iterator[str]:
    """Pending and posted of every capacity are the sums insured of live quotes and of policies, within the cap."""
    lines: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    quoted = {row.id for row in b.rows("insurance", "covers") if row.state == "quoted"}
    standing = {row.id for row in b.rows("insurance", "policies") if row.state != "ended"}
    for state, kept, table, key in (
        ("pending", quoted, "cover_assets", "cover_id"),
        ("posted", standing, "policy_assets", "policy_id"),
    ):
        for asset in b.rows("insurance", table):
            if getattr(asset, key) in kept:
                for county in (asset.county, "all"):
                    lines[asset.institution, county][state] += asset.sum_insured
    capacities = {(row.institution, row.county): row for row in b.rows("insurance", "capacities")}
    for place in sorted({*lines, *capacities}):
        sums, row = lines[place], capacities.get(place)
        written = (row.pending, row.posted) if row else (0, 0)
        if (sums["pending"], sums["posted"]) != written:
            yield f"{place}: lines {dict(sums)}, capacity {written}"
        if row and row.pending + row.posted > row.cap:
            yield f"{place}: {row.pending} + {row.posted} above {row.cap}"


def claims_are_paid_once_and_within_the_policy(b: Books) -> Iterator[str]:
    """One claim for each policy, reversal and forest; together within the sum insured; to the fen where it goes."""
    claims = b.by("insurance", "claims", "policy_id")
    assets = b.by("insurance", "policy_assets", "policy_id")
    for policy in b.rows("insurance", "policies"):
        mine = claims[policy.id]
        total = _sum(claim.payable for claim in mine)
        if total > policy.sum_insured + policy.reinstated or total != policy.claimed:
            yield f"policy of loan {policy.loan_id}: claims {total}, booked {policy.claimed} of {policy.sum_insured}"
        for asset in assets[policy.id]:
            booked = _sum(claim.payable for claim in mine if claim.asset_id == asset.asset_id)
            if booked != asset.claimed or booked > asset.sum_insured + asset.reinstated:
                yield f"policy of loan {policy.loan_id}: claims {booked} on a forest, booked {asset.claimed}"
        for pair, number in Counter((claim.reversal_id, claim.asset_id) for claim in mine).items():
            if number > 1:
                yield f"policy of loan {policy.loan_id}: {number} claims for reversal {pair}"
        for claim in mine:
            if claim.state == "paid" and claim.to_bank + claim.to_owner != claim.payable:
                yield f"claim {claim.id}: {claim.to_bank} + {claim.to_owner} of {claim.payable}"


# -- credit -----------------------------------------------------------------------------------------------------------


def the_ledger_adds_up(b: Books) -> Iterator[str]:
    """Principal goes three ways and never vanishes; every sum on the loan is the sum of its payments."""
    payments = b.by("credit", "loan_payments", "loan_id")
    for loan in b.rows("credit", "loans"):
        mine = payments[loan.id]
        of = {source: [p for p in mine if p.source == source] for source in _SOURCES}
        sums = {
            "principal_repaid": _sum(p.principal for p in [*of["borrower"], *of["insurance"]]),
            "recovered": _sum(p.principal for p in of["recovery"]),
            "guarantee_received": _sum(p.amount for p in of["guarantee"]),
            "recovered_by_bank": _sum(p.bank_part for p in of["recovery"]),
            "interest_paid": _sum(p.interest for p in mine),
            "charges_paid": _sum(p.charges for p in mine),
            "surplus": _sum(p.surplus for p in mine),
        }
        for name, total in sums.items():
            if getattr(loan, name) != total:
                yield f"loan {loan.id}: {name} is {getattr(loan, name)}, its payments say {total}"
        if min(loan.balance, loan.interest_due, loan.charges_due, loan.written_off, loan.surplus) < 0:
            yield f"loan {loan.id}: money below zero"
        if loan.disbursed != loan.principal_repaid + loan.recovered + loan.balance + loan.unrecovered:
            yield f"loan {loan.id}: the debt does not add up"
        received = loan.principal_repaid + loan.guarantee_received + loan.recovered_by_bank
        if loan.state == "closed" and loan.disbursed + loan.bank_surplus != received + loan.written_off:
            yield f"loan {loan.id}: the bank's money does not add up"


_SOURCES = ("borrower", "insurance", "guarantee", "recovery")


def histories_are_unbroken(b: Books) -> Iterator[str]:
    """Every step of a loan stands in the table of states, and the last one is where it is."""
    history = b.by("credit", "loan_history", "loan_id")
    for loan in b.rows("credit", "loans"):
        steps = sorted(history[loan.id], key=lambda step: step.number)
        before = ""
        for number, step in enumerate(steps, 1):
            if step.number != number or (step.from_state or "") != before or not may_follow(before, step.to_state):
                yield f"loan {loan.id}: step {step.number} from {step.from_state} to {step.to_state} after {before}"
            before = step.to_state
        if (before, len(steps)) != (loan.state, loan.steps):
            yield f"loan {loan.id} is {loan.state} in {loan.steps} steps, its history ends {before} in {len(steps)}"


#: Which deadline must stand where something waits, and for how long none may.
_CREDIT_TIMERS = {
    "structuring": {"legs"},
    "proposed": {"offer"},
    "offered": {"offer"},
    "binding": {"binding"},
    "ready": {"drawdown"},
    "performing": {"freshness"},
    "margin_called": {"cure"},
}


def nothing_waits_without_a_deadline(b: Books) -> Iterator[str]:
    """Whatever waits has its deadline; whatever has ended has none."""
    credit, insurance, guarantee = (b.timers(service) for service in ("credit", "insurance", "guarantee"))
    for loan in b.rows("credit", "loans"):
        mine = {kind for kind, subject in credit if subject == loan.id}
        wanted = _CREDIT_TIMERS.get(loan.state, set())
        if loan.state == "performing" and not loan.balance:
            wanted = set()
        if not wanted <= mine or (mine and loan.state in (*ENDED, "defaulted", "enforcing")):
            yield f"loan {loan.id} is {loan.state} with the deadlines {sorted(mine)}"
    expected = [
        ("insurance", insurance, "covers", {"waiting": {"cover_answer"}, "quoted": {"cover_quote"}}),
        ("insurance", insurance, "policies", {"in_force": {"policy_notice"}, "ending": {"policy_end"}}),
        ("guarantee", guarantee, "guarantees", {"reserved": {"reservation"}, "issued": {"claim_period"}}),
    ]
    for service, timers, table, by_state in expected:
        for row in b.rows(service, table):
            mine = {kind for kind, subject in timers if subject == row.id}
            if mine != by_state.get(row.state, set()):
                yield f"{table} of loan {row.loan_id}: {row.state} with the deadlines {sorted(mine)}"


# -- events -----------------------------------------------------------------------------------------------------------


def every_fact_is_told_once(b: Books) -> Iterator[str]:
    """What happened once was told once: nothing moves money or liens twice, nothing is kept quiet."""
    facts: list[tuple[str, str, str, Counter[UUID]]] = []
    pledges = b.rows("sink", "pledges")
    facts += [
        ("sink", "PledgePlaced", "pledge_id", Counter(p.id for p in pledges)),
        ("sink", "PledgeReleased", "pledge_id", Counter(p.id for p in pledges if p.state == "released")),
        ("sink", "PledgeEnforced", "pledge_id", Counter(p.id for p in pledges if p.state == "enforced")),
        ("sink", "ReversalReported", "reversal_id", Counter(r.id for r in b.rows("sink", "reversals"))),
        ("sink", "CarbonAssetValued", "valuation_id", Counter(v.id for v in b.rows("sink", "valuations"))),
    ]
    claims = b.rows("insurance", "claims")
    facts += [
        ("insurance", "PolicyBound", "policy_id", Counter(p.id for p in b.rows("insurance", "policies"))),
        ("insurance", "ClaimOpened", "claim_id", Counter(c.id for c in claims)),
        ("insurance", "ClaimPaid", "claim_id", Counter(c.id for c in claims if c.state == "paid")),
    ]
    guarantees, calls = b.rows("guarantee", "guarantees"), b.rows("guarantee", "calls")
    let_go = Counter(g.id for g in guarantees if g.state in ("released", "expired"))
    facts += [
        ("guarantee", "GuaranteeIssued", "guarantee_id", Counter(g.id for g in guarantees if g.issued_on)),
        ("guarantee", "GuaranteeReleased", "guarantee_id", let_go),
        ("guarantee", "GuaranteeCalled", "call_id", Counter(c.id for c in calls)),
        ("guarantee", "GuaranteePaid", "call_id", Counter(c.id for c in calls if c.state == "paid")),
        ("guarantee", "RecoveryShared", "recovery_id", Counter(r.id for r in b.rows("guarantee", "recoveries"))),
    ]
    loans = b.rows("credit", "loans")
    for name, state in (
        ("LoanDeclined", "declined"),
        ("LoanWithdrawn", "withdrawn"),
        ("LoanExpired", "expired"),
        ("LoanClosed", "closed"),
    ):
        facts.append(("credit", name, "loan_id", Counter(loan.id for loan in loans if loan.state == state)))
    facts.append(("credit", "LoanDisbursed", "loan_id", Counter(loan.id for loan in loans if loan.disbursed)))
    facts.append(("credit", "LoanDefaulted", "loan_id", Counter(loan.id for loan in loans if loan.defaulted_on)))
    payments = b.rows("credit", "loan_payments")
    shared = Counter(p.reference for p in payments if p.source == "recovery" and p.principal)
    repaid = Counter(
        p.reference for p in payments if p.source == "borrower" or (p.source == "insurance" and p.principal)
    )
    facts += [("credit", "RecoveryReceived", "recovery_id", shared), ("credit", "LoanRepaid", "repayment_id", repaid)]
    for service, name, key, happened in facts:
        told = b.told(service, name, key)
        for subject in {*told, *happened}:
            if told[subject] != happened[subject]:
                yield f"{name} was told {told[subject]} times, it happened {happened[subject]} times ({subject})"


_PARTY = {"insurance": "insurer", "guarantee": "guarantor", "credit": "bank"}


def only_parties_speak(b: Books) -> Iterator[str]:
    """Every event is told by the institution it concerns."""
    for service in b.databases:
        registrars = {asset.id: asset.registrar for asset in b.rows("sink", "assets")}
        for row in b.rows(service, "outbox"):
            party = _PARTY.get(service, "bank")
            speaker = row.payload[party] if party in row.payload else registrars.get(UUID(row.payload["asset_id"]))
            if row.institution != speaker:
                yield f"{row.type} of {speaker} was told by {row.institution}"


def no_event_is_dead(b: Books) -> Iterator[str]:
    """Nothing that these services tell each other is refused."""
    for service in b.databases:
        for letter in b.rows(service, "dead_letters"):
            yield f"{service} could not take a record of {letter.topic}: {letter.reason}"
        for job in b.rows(service, "jobs"):
            if job.state == "failed":
                yield f"{service}: the job {job.kind} failed: {job.log}"


def one_effect_per_event(b: Books) -> Iterator[str]:
    """Every event that a reader has a handler for had its effect there exactly once, and nothing waits."""
    for reader in b.databases:
        consumer = door(reader).consumer
        names = {event.type_name() for event in consumer.handlers}
        sent = {row.id: row for service in b.databases for row in b.rows(service, "outbox") if row.type in names}
        taken = Counter(row.event_id for row in b.rows(reader, "inbox"))
        for event in {*sent, *taken}:
            if taken[event] != (event in sent):
                name = sent[event].type if event in sent else "an event nobody sent"
                yield f"{name} had its effect {taken[event]} times at {reader}"
        told = {
            (row.topic, row.key): row.last
            for service in b.databases
            for row in b.rows(service, "outbox_sequences")
            if row.topic in consumer.topics()
        }
        heard = {(row.topic, row.key): row.last for row in b.rows(reader, "inbox_sequences")}
        for aggregate in {*told, *heard}:
            if told.get(aggregate, 0) != heard.get(aggregate, 0):
                yield f"{reader} is at {heard.get(aggregate)} of {told.get(aggregate)} of {aggregate}"
        for row in b.rows(reader, "inbox_parked"):
            yield f"{reader} still waits for what comes before number {row.sequence} of {row.topic} {row.key}"


# -- once everybody has heard everything ------------------------------------------------------------------------------


def every_compensation_is_complete(b: Books) -> Iterator[str]:
    """Nothing is held any more for a loan that has ended."""
    ended = {loan.id: loan.state for loan in b.rows("credit", "loans") if loan.state in ENDED}
    held = {
        ("sink", "pledges"): ("placed", "frozen"),
        ("insurance", "covers"): ("asked", "waiting", "quoted"),
        ("insurance", "policies"): ("in_force",),
        ("guarantee", "guarantees"): ("reserved", "issued", "paid"),
    }
    for (service, table), states in held.items():
        for row in b.rows(service, table):
            if row.loan_id in ended and row.state in states:
                yield f"loan {row.loan_id} is {ended[row.loan_id]}, but one of the {table} is {row.state}"


_COVER = {"asked": "asked", "waiting": "asked", "quoted": "quoted", "refused": "refused"}


def credit_knows_its_legs(b: Books) -> Iterator[str]:
    """What credit keeps of each leg is what the leg says of itself."""
    pledges = {(row.loan_id, row.asset_id): row for row in b.rows("sink", "pledges")}
    for asset in b.rows("credit", "loan_assets"):
        pledge = pledges.get((asset.loan_id, asset.asset_id))
        state = pledge.state if pledge else "none"
        if asset.pledge_state != state or (pledge and asset.tonnes != pledge.tonnes):
            yield f"loan {asset.loan_id}: credit takes the pledge for {asset.pledge_state}, it is {state}"
    covers = {row.loan_id: row for row in b.rows("insurance", "covers")}
    policies = {row.loan_id: row for row in b.rows("insurance", "policies")}
    claims = b.by("insurance", "claims", "policy_id")
    for mine in b.rows("credit", "loan_covers"):
        cover, policy = covers.get(mine.loan_id), policies.get(mine.loan_id)
        if policy:
            allowed = {"bound" if policy.state == "in_force" else "lapsed"}
        elif cover:
            # A quote that ran out or was not wanted any more is let go quietly.
            allowed = {_COVER[cover.state]} if cover.state in _COVER else {"asked", "quoted"}
        else:
            allowed = {"none"}
        if mine.state not in allowed:
            yield f"loan {mine.loan_id}: credit takes the cover for {mine.state}, it is {sorted(allowed)}"
        if policy and policy.state == "in_force":
            used = _sum(c.to_bank + c.to_owner for c in claims[policy.id] if c.state == "paid") - policy.reinstated
            if mine.claimed != used:
                yield f"loan {mine.loan_id}: credit takes {mine.claimed} of the sum insured for used, it is {used}"
    guarantees = {row.loan_id: row for row in b.rows("guarantee", "guarantees")}
    paid = {row.loan_id for row in b.rows("guarantee", "calls") if row.state == "paid"}
    for mine in b.rows("credit", "loan_guarantees"):
        guarantee = guarantees.get(mine.loan_id)
        allowed = {guarantee.state if guarantee else "none"}
        if guarantee and guarantee.state == "released" and mine.loan_id in paid:
            allowed = {"paid"}
        elif guarantee and guarantee.state == "expired":
            # The refusal that follows an acceptance of what has expired is the last that credit hears.
            allowed = {"released", "refused"}
        if mine.state not in allowed:
            yield f"loan {mine.loan_id}: credit takes the guarantee for {mine.state}, it is {sorted(allowed)}"


def every_fire_on_an_insured_forest_has_its_claim(b: Books) -> Iterator[str]:
    """The insurer knows of every damage, and each policy that stood that day when it heard of it opened one claim."""
    heard = {(row.reversal_id, row.asset_id): row.received_at for row in b.rows("insurance", "reversals")}
    assets = b.by("insurance", "policy_assets", "asset_id")
    policies = {row.id: row for row in b.rows("insurance", "policies")}
    claimed = {(row.policy_id, row.reversal_id, row.asset_id) for row in b.rows("insurance", "claims")}
    for told in b.events("sink", "ReversalReported"):
        reversal, asset, day = (
            UUID(told["reversal_id"]),
            UUID(told["asset_id"]),
            date.fromisoformat(told["occurred_on"]),
        )
        at = heard.get((reversal, asset))
        if at is None:
            yield f"the insurers do not know of the {told['peril']} on {asset}"
            continue
        for policy in (policies[row.policy_id] for row in assets[asset]):
            stood = policy.bound_at < at and policy.inception <= day < policy.ends_on
            if stood and told["peril"] in policy.perils and (policy.id, reversal, asset) not in claimed:
                yield f"policy of loan {policy.loan_id}: no claim for the {told['peril']} on {asset}"


def money_is_the_same_on_both_sides(b: Books) -> Iterator[str]:
    """What one institution paid another one received, and both know what is still owed."""
    payments = b.by("credit", "loan_payments", "loan_id")
    claims, calls = b.by("insurance", "claims", "loan_id"), b.by("guarantee", "calls", "loan_id")
    policies = {row.loan_id: row for row in b.rows("insurance", "policies")}
    guarantees = {row.loan_id: row for row in b.rows("guarantee", "guarantees")}
    recoveries = b.by("guarantee", "recoveries", "call_id")
    for loan in b.rows("credit", "loans"):
        taken = payments[loan.id]
        insured = {claim.id for claim in claims[loan.id]}
        paid, got = _sum(c.to_bank for c in claims[loan.id]), _sum(p.amount for p in taken if p.reference in insured)
        if paid != got:
            yield f"loan {loan.id}: the insurer paid the bank {paid}, credit received {got}"
        paid, got = _sum(call.paid for call in calls[loan.id]), loan.guarantee_received
        if paid != got:
            yield f"loan {loan.id}: the guarantor paid {paid}, credit received {got}"
        shared = {one.id: one for call in calls[loan.id] for one in recoveries[call.id]}
        for payment in taken:
            if payment.source == "recovery" and payment.bank_part is None:
                yield f"loan {loan.id}: nobody told how {payment.principal} recovered are shared"
            if payment.reference in shared and payment.bank_part != shared[payment.reference].share_bank:
                yield f"loan {loan.id}: the bank keeps {payment.bank_part} of a recovery, it is told another part"
        policy, guarantee = policies.get(loan.id), guarantees.get(loan.id)
        if policy and loan.disbursed:
            interest = max(policy.balance - policy.unsettled, ZERO)
            if interest != loan.balance:
                yield f"loan {loan.id}: {loan.balance} is owed, the insurer takes the bank's interest for {interest}"
        if guarantee and guarantee.state == "issued" and loan.disbursed and guarantee.balance != loan.balance:
            yield f"loan {loan.id}: {loan.balance} is owed, the guarantor answers for {guarantee.balance}"


def audit_chains_hold(b: Books) -> Iterator[str]:
    """Every institution's chain of deeds is whole, in every database."""
    for service, database in b.databases.items():
        for head in b.rows(service, "audit_heads"):
            with database.worker_sessions() as session:
                fault = audit.verify(session, head.institution)
            if fault is not None:
                yield f"{service}: {fault}"


ALWAYS: list[Rule] = [
    no_tonne_under_two_liens,
    guarantee_buckets_hold_their_lines,
    guarantees_are_whole,
    calls_and_recoveries_add_up,
    insurance_capacity_holds_its_lines,
    claims_are_paid_once_and_within_the_policy,
    the_ledger_adds_up,
    histories_are_unbroken,
    nothing_waits_without_a_deadline,
    every_fact_is_told_once,
    only_parties_speak,
    no_event_is_dead,
]
SETTLED: list[Rule] = [
    one_effect_per_event,
    every_compensation_is_complete,
    credit_knows_its_legs,
    every_fire_on_an_insured_forest_has_its_claim,
    money_is_the_same_on_both_sides,
]
