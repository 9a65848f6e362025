"""A bank with a loan, told by real requests and real events: every test says only what differs."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import select

from shared import clock, inbox, timers
from shared.events import credit, guarantee, insurance, sink
from shared.events.base import REGISTRY, Event, decode
from shared.events.parts import Reason, Shares
from shared.ids import uuid7
from shared.outbox import Outbox
from tests.conftest import Database
from tests.harness import BANK, GUARANTOR, INSURER, Client, body, client, door, record

ASSET = UUID("01990000-0000-7000-8000-000000000001")
OTHER_ASSET = UUID("01990000-0000-7000-8000-000000000002")
WHY = (Reason(code="no_room", zh="额度不足", en="no room"),)


def money(value: Any) -> Decimal:
    return Decimal(value).quantize(Decimal("0.01"))


def amount(value: Any) -> dict[str, str]:
    return {"amount": str(money(value)), "currency": "CNY"}


def application(**more: Any) -> dict[str, Any]:
    """A request that is approved at once on the usual asset."""
    return {
        "borrower_reference": "93140600MA0000001R",
        "borrower_kind": "cooperative",
        "industry": "022",
        "employees": 8,
        "new_business": False,
        "revolving": False,
        "low_doc": False,
        "small_or_farmer": True,
        "amount": amount("1000000"),
        "term_months": 36,
        "assets": [{"asset_id": str(ASSET), "tonnes": "40000.000"}],
        "insurer": INSURER,
        "guarantor": GUARANTOR,
        "scheme": "4-3-2-1",
    } | more


def valued(asset_id: UUID = ASSET, version: int = 1, p10: Any = 3_000_000, **more: Any) -> sink.CarbonAssetValued:
    """The usual forest: 40 000 t, worth 3 m at the tenth percentile and a third more at the median."""
    today, p10 = clock.today(), money(p10)
    values: dict[str, Any] = {
        "asset_id": asset_id,
        "valuation_id": uuid7(),
        "version": version,
        "as_of": today,
        "valid_until": today + timedelta(days=150),
        "methodology": "AR-CM-001",
        "inputs_hash": "0" * 64,
        "parameters_hash": "1" * 64,
        "engine_version": "1",
        "seed": 1,
        "county": "youyu",
        "area_ha": Decimal("500"),
        "species": (sink.SpeciesShare(species="pinus_sylvestris", share=Decimal("1")),),
        "longitude": Decimal("112.4"),
        "latitude": Decimal("39.9"),
        "title_until": date(2070, 1, 1),
        "crediting_until": date(2060, 1, 1),
        "hazards": {"fire": Decimal("0.25")},
        "removals": tuple(
            sink.Removals(
                verified_on=date(year, 1, 1),
                mean=Decimal(10_000),
                p10=Decimal(8_000),
                p50=Decimal(10_000),
                p90=Decimal(12_000),
            )
            for year in (2030, 2035, 2040, 2045)
        ),
        "price_curve": "base",
        "spot_price": money(80),
        "present_value": sink.PresentValue(
            mean=money(p10 * 4 / 3),
            p05=money(p10 * Decimal("0.9")),
            p10=p10,
            p50=money(p10 * 4 / 3),
            p90=money(p10 * 2),
            p95=money(p10 * Decimal("2.2")),
        ),
        "variance_shares": sink.VarianceShares(
            growth=Decimal("0.3"),
            sampling=Decimal("0.2"),
            model=Decimal("0.1"),
            reversal=Decimal("0.1"),
            price=Decimal("0.3"),
        ),
        "uncertainty_deduction": Decimal("0.05"),
        "buffer": Decimal("0.1"),
        "liquidity_haircut": Decimal("0.2"),
        "units": sink.Units(free=Decimal(40_000), pledged=Decimal(0), retired=Decimal(0)),
        "unverified_parameters": (),
    }
    return sink.CarbonAssetValued(**values | more)


def shares(whole: Any, *, bank: Any = None) -> Shares:
    """Four to three to one to two, the bank's last."""
    whole = money(whole)
    kept = money(whole / 5) if bank is None else money(bank)
    province, pool = money(whole * 3 / 10), money(whole / 10)
    return Shares(primary=whole - province - pool - kept, province=province, national=money(0), bank=kept, pool=pool)


@dataclass
class Story:
    """One loan of one bank and what the others tell about it."""

    database: Database
    bank: str = BANK
    asset: UUID = ASSET
    county: str = "youyu"
    tonnes: dict[UUID, Decimal] = field(default_factory=dict)
    loan_id: UUID = field(default_factory=uuid7)
    cover_id: UUID = field(default_factory=uuid7)
    policy_id: UUID = field(default_factory=uuid7)
    guarantee_id: UUID = field(default_factory=uuid7)
    call_id: UUID = field(default_factory=uuid7)
    numbers: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.officer = self.person("officer", "officer")
        self.colleague = self.person("credit-approver", "approver")

    def person(self, role: str, subject: str) -> Client:
        return client("credit", self.database, role, self.bank, subject)

    # -- events -------------------------------------------------------------------------------------------------------

    def tell(self, *events: Event, copies: int = 1) -> None:
        """Deliver events, each the next of its aggregate, as often as told."""
        for event in events:
            key = (event.TOPIC, event.key)
            self.numbers[key] += 1
            made = record(event, self.numbers[key])
            for _ in range(copies):
                inbox.receive(self.database.worker_sessions, door("credit").consumer, [made], "test")
        assert self.dead_letters() == []

    def dead_letters(self) -> list[str]:
        with self.database.worker_sessions() as session:
            return [letter.reason for letter in inbox.dead_letters(session)]

    def timers(self) -> int:
        return timers.run_due(self.database.worker_sessions, door("credit").timers)

    def told(self, *types: type[Event]) -> list[Any]:
        """Events of this loan in the outbox, in the order of their numbers."""
        with self.database.worker_sessions() as session:
            rows = session.scalars(
                select(Outbox).where(Outbox.key == str(self.loan_id)).order_by(Outbox.sequence)
            ).all()
        names = {one.type_name() for one in types}
        return [decode(REGISTRY[row.type], row.payload) for row in rows if not names or row.type in names]

    def quoted(self, **more: Any) -> insurance.CoverQuoted:
        values: dict[str, Any] = {
            **self._insured(),
            "cover_id": self.cover_id,
            "sum_insured": money(1_200_000),
            "annual_premium": money(12_000),
            "owner_premium": money(4_800),
            "expected_annual_loss": money(7_000),
            "deductible": Decimal("0.1"),
            "perils": ("fire", "pest"),
            "expires_at": clock.now() + timedelta(days=20),
            "unverified_parameters": (),
        }
        return insurance.CoverQuoted(**values | more)

    def cover_refused(self, stage: Any = "quote") -> insurance.CoverRefused:
        return insurance.CoverRefused(**self._insured(), stage=stage, reasons=WHY)

    def bound(self, **more: Any) -> insurance.PolicyBound:
        values: dict[str, Any] = {
            **self._insured(),
            "policy_id": self.policy_id,
            "cover_id": self.cover_id,
            "sum_insured": money(1_200_000),
            "inception": clock.today(),
            "expiry": clock.today() + timedelta(days=1095),
            "interest": money(1_000_000),
        }
        return insurance.PolicyBound(**values | more)

    def endorsed(self, **more: Any) -> insurance.PolicyEndorsed:
        values: dict[str, Any] = {
            **self._insured(),
            "policy_id": self.policy_id,
            "number": 1,
            "kind": "renewal",
            "effective_on": clock.today(),
            "expiry": clock.today() + timedelta(days=1460),
            "sum_insured": money(1_200_000),
            "annual_premium": money(13_000),
        }
        return insurance.PolicyEndorsed(**values | more)

    def reinstated(self, again: Any) -> insurance.PolicyReinstated:
        return insurance.PolicyReinstated(
            **self._insured(),
            policy_id=self.policy_id,
            asset_id=self.asset,
            reinstated=money(again),
            premium=money(500),
        )

    def breached(self, clause: Any = "simple") -> insurance.PolicyBreached:
        return insurance.PolicyBreached(
            **self._insured(), policy_id=self.policy_id, clause=clause, reason="the firebreaks are overgrown"
        )

    def lapsed(self, reason: str = "premium unpaid") -> insurance.PolicyLapsed:
        return insurance.PolicyLapsed(
            **self._insured(), policy_id=self.policy_id, reason=reason, ends_on=clock.today(), return_premium=money(0)
        )

    def claim_paid(self, to_bank: Any, claim_id: UUID | None = None) -> insurance.ClaimPaid:
        return insurance.ClaimPaid(
            **self._insured(),
            claim_id=claim_id or uuid7(),
            policy_id=self.policy_id,
            total=money(to_bank),
            to_bank=money(to_bank),
            to_owner=money(0),
        )

    def reserved(self, **more: Any) -> guarantee.GuaranteeReserved:
        values: dict[str, Any] = {
            **self._guaranteed(),
            "guarantee_id": self.guarantee_id,
            "scheme": "4-3-2-1",
            "shares": shares(1_000_000),
            "fee": money(8_000),
            "expires_at": clock.now() + timedelta(days=10),
        }
        return guarantee.GuaranteeReserved(**values | more)

    def guarantee_refused(self, stage: Any = "reserve") -> guarantee.GuaranteeRefused:
        return guarantee.GuaranteeRefused(**self._guaranteed(), stage=stage, reasons=WHY)

    def issued(self) -> guarantee.GuaranteeIssued:
        return guarantee.GuaranteeIssued(
            **self._guaranteed(),
            guarantee_id=self.guarantee_id,
            scheme="4-3-2-1",
            shares=shares(1_000_000),
            issued_on=clock.today(),
            claim_until=clock.today() + timedelta(days=1300),
        )

    def released(self, reason: str = "undone") -> guarantee.GuaranteeReleased:
        return guarantee.GuaranteeReleased(**self._guaranteed(), guarantee_id=self.guarantee_id, reason=reason)

    def called(self, balance: Any) -> guarantee.GuaranteeCalled:
        return guarantee.GuaranteeCalled(
            **self._guaranteed(),
            guarantee_id=self.guarantee_id,
            call_id=self.call_id,
            balance=money(balance),
            shares=shares(balance),
        )

    def guarantee_paid(self, balance: Any) -> guarantee.GuaranteePaid:
        parts = shares(balance)
        return guarantee.GuaranteePaid(
            **self._guaranteed(),
            guarantee_id=self.guarantee_id,
            call_id=self.call_id,
            paid=money(balance) - parts.bank,
            shares=parts,
        )

    def shared(self, recovery: credit.RecoveryReceived, bank: Any = None) -> guarantee.RecoveryShared:
        net = recovery.amount - recovery.costs
        return guarantee.RecoveryShared(
            **self._guaranteed(),
            guarantee_id=self.guarantee_id,
            recovery_id=recovery.recovery_id,
            net=net,
            shares=shares(net, bank=bank),
        )

    def placed(self, asset_id: UUID | None = None) -> sink.PledgePlaced:
        tonnes = self.tonnes.get(asset_id or self.asset, Decimal(40_000))
        return sink.PledgePlaced(**self._pledge(asset_id), tonnes=tonnes, rank=1)

    def pledge_refused(self) -> sink.PledgeRefused:
        return sink.PledgeRefused(asset_id=self.asset, loan_id=self.loan_id, bank=self.bank, reasons=WHY)

    def pledge_released(self, asset_id: UUID | None = None, reason: str = "undone") -> sink.PledgeReleased:
        return sink.PledgeReleased(**self._pledge(asset_id), tonnes=Decimal(40_000), reason=reason)

    def pledge_reduced(self, left: Any) -> sink.PledgeReduced:
        left = Decimal(left)
        return sink.PledgeReduced(
            **self._pledge(None), tonnes=Decimal(40_000) - left, left=left, reason="repaid in part"
        )

    def pledge_enforced(self, asset_id: UUID | None = None) -> sink.PledgeEnforced:
        return sink.PledgeEnforced(**self._pledge(asset_id), tonnes=Decimal(40_000))

    def _insured(self) -> dict[str, Any]:
        return {"loan_id": self.loan_id, "bank": self.bank, "insurer": INSURER}

    def _guaranteed(self) -> dict[str, Any]:
        return {"loan_id": self.loan_id, "bank": self.bank, "guarantor": GUARANTOR}

    def _pledge(self, asset_id: UUID | None) -> dict[str, Any]:
        asset_id = asset_id or self.asset
        # One lien for one asset and loan: the same id whenever it is told.
        pledge_id = UUID(int=asset_id.int ^ self.loan_id.int)
        return {"asset_id": asset_id, "loan_id": self.loan_id, "bank": self.bank, "pledge_id": pledge_id}

    def value(self, version: int = 1, p10: Any = 3_000_000, **more: Any) -> None:
        """Let the asset be valued."""
        self.tell(valued(self.asset, version, p10, **({"county": self.county} | more)))

    # -- requests -----------------------------------------------------------------------------------------------------

    def apply(self, **more: Any) -> Any:
        assets = [{"asset_id": str(self.asset), "tonnes": "40000.000"}]
        loan = body(self.officer.post("/v1/loans", application(**({"assets": assets} | more))), 201)
        self.loan_id = UUID(loan["id"])
        self.tonnes = {UUID(asset["asset_id"]): Decimal(asset["tonnes"]) for asset in loan["assets"]}
        return loan

    def loan(self) -> Any:
        return body(self.officer.get(f"/v1/loans/{self.loan_id}"))

    def state(self) -> str:
        return str(self.loan()["state"])

    def post(self, step: str, content: Any = None, who: Client | None = None, status: int = 200, **headers: str) -> Any:
        """Take a step as the officer, with the version as it stands unless another is given."""
        if step in ("acceptance", "disbursement") and "If_Match" not in headers:
            headers["If_Match"] = f'"v{self.loan()["version"]}"'
        return body((who or self.officer).post(f"/v1/loans/{self.loan_id}/{step}", content, **headers), status)

    def approve(self) -> Any:
        seen = self.loan()["offer"]["payload_hash"]
        return self.post("approval", {"payload_hash": seen, "approve": True}, self.colleague)

    # -- as far as --------------------------------------------------------------------------------------------------

    def to(self, state: str, **more: Any) -> Any:
        """Bring a fresh loan to a state by the straight way."""
        if self.numbers["sink.events", str(self.asset)] == 0:
            self.value()
        for reached, step in self._way(more):
            step()
            if reached == state:
                loan = self.loan()
                assert loan["state"] == state, loan
                return loan
        raise AssertionError(f"no straight way to {state}")

    def _way(self, more: dict[str, Any]) -> Any:
        return [
            ("structuring", lambda: self.apply(**more)),
            ("proposed", lambda: self.tell(self.quoted(), self.reserved())),
            ("offered", self.approve),
            ("binding", lambda: self.post("acceptance")),
            ("ready", lambda: self.tell(self.placed(), self.bound(), self.issued())),
            ("performing", lambda: self.post("disbursement")),
            ("defaulted", lambda: self.post("default", {"ground": "overdue", "comment": "90 days"})),
            ("enforcing", lambda: self.post("enforcement")),
        ]
