"""The whole story on a running stack, by real HTTP and real Kafka: what a city's banks, insurers and guarantors live
through in a year, in a few minutes. Every figure told is read from the services; every step says what was expected.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy import select

from deploy.demo.borrowers import Borrower, borrowers
from deploy.demo.landscape import COUNTIES
from deploy.demo.player import Account, Person, RefusedError, until
from deploy.demo.programme import MU_PER_HA, Parcel, programme
from deploy.stack import Stack, StackError, running
from shared import audit, clock, db, inbox, relay
from shared.schema import SERVICES

BUREAU = "bureau-shuozhou"
BANKS = ("bank-yanmen", "bank-sanggan", "bank-hengshan")
INSURERS = ("insurer-jinbei", "insurer-guancen")
GUARANTORS = ("guarantor-shuozhou", "guarantor-sanjin", "guarantor-linhai")
#: The yearly mean of the national allowance price fell by this share from 2024 to 2025 (exchange bulletins).
PRICE_FALL = Decimal("0.3506")
ALIVE = ("performing", "margin_called")
_KINDS = {"cooperative": "cooperative", "firm": "enterprise", "collective": "collective"}
#: Groups of GB/T 4754 for the recorded NAICS groups: timber tracts, gathering, logging.
_INDUSTRIES = {"1131": "022", "1132": "021", "1133": "024"}


@dataclass(frozen=True)
class Plan:
    """How much of the programme a playing uses; a second playing on the same stack needs other ground."""

    parcels: Sequence[Parcel]
    borrowers: Sequence[Borrower]
    loans_per_bank: int = 4
    #: The last so many loans are lent up to the limit of their pledge: those feel a price fall first.
    eager: int = len(BANKS)
    rows_per_import: int = 90
    #: Prices are a bureau's own: with another bureau a playing begins from the price of the parameters.
    bureau: str = BUREAU

    @property
    def whole(self) -> bool:
        """Whether this is the whole programme, whose totals are published."""
        return len(self.parcels) >= 300


def full_plan() -> Plan:
    """The demo's: every parcel of the six counties."""
    return Plan(programme().parcels, borrowers(60))


def short_plan(turn: int) -> Plan:
    """A dozen parcels of two counties: for tests that play the story again and again on one stack. Each turn is the
    same story of another bureau, on the same ground moved along its parallels: so it keeps its area, and ten turns and
    more lie side by side in the region.
    """
    usable = [parcel for parcel in programme().parcels if _is_collateral(parcel)][:12]
    west = 111.6 + 0.15 * turn
    parcels = [
        replace(
            parcel,
            code=f"{parcel.code}-{turn}",
            ring=tuple((round(longitude + west + shift, 7), latitude) for longitude, latitude in parcel.ring),
        )
        for parcel, shift in zip(usable, _side_by_side(usable), strict=True)
    ]
    bureau = BUREAU if turn == 0 else f"{BUREAU}-{turn}"
    return Plan(parcels, borrowers(60), loans_per_bank=1, eager=2, rows_per_import=12, bureau=bureau)


def _side_by_side(parcels: Sequence[Parcel], gap: float = 0.002) -> list[float]:
    """How far to move each parcel, so that all begin at longitude 0 or right beside a neighbour of their latitude."""
    placed: list[tuple[float, float, float]] = []
    shifts = []
    for parcel in parcels:
        longitudes, latitudes = zip(*parcel.ring, strict=True)
        low, high = min(latitudes), max(latitudes)
        start = max((east for south, north, east in placed if south < high and north > low), default=0.0)
        shifts.append(start - min(longitudes))
        placed.append((low, high, start + max(longitudes) - min(longitudes) + gap))
    return shifts


def _is_collateral(parcel: Parcel) -> bool:
    """Standing trees with years of crediting left: what a bank would look at."""
    late = parcel.crediting_until.year >= clock.today().year + 8
    return parcel.stock_m3 > 0 and late and parcel.shrub_cover == 0


@dataclass
class Loan:
    """A loan of the story, by its bank."""

    id: str
    bank: str
    asset_id: str
    county: str
    amount: Decimal


@dataclass
class Story:
    """One playing of the story."""

    stack: Stack
    account: Account
    plan: Plan
    #: Called before each request and between readings: keeps the stack up, and lets a test do its worst.
    meanwhile: Callable[[], None] = lambda: None
    assets: dict[str, dict[str, Any]] = field(default_factory=dict)
    loans: list[Loan] = field(default_factory=list)
    _tokens: dict[tuple[str, str], str] = field(default_factory=dict)

    # -- people ----------------------------------------------------------------------------------------------------

    def person(self, service: str, role: str, institution: str, subject: str | None = None) -> Person:
        """Somebody with a token, at the door of a service."""
        key = (role, subject or institution)
        if key not in self._tokens:
            self._tokens[key] = self.stack.token(role, institution, subject)
        return Person(self.stack.url(service), self._tokens[key], meanwhile=self.meanwhile)

    def bureau(self) -> Person:
        """The bureau's clerk at the register."""
        return self.person("sink", "bureau", self.plan.bureau)

    def officer(self, bank: str) -> Person:
        """A loan officer."""
        return self.person("credit", "officer", bank)

    def insurer(self, name: str) -> Person:
        """An underwriter."""
        return self.person("insurance", "insurer", name)

    def guarantor(self, name: str) -> Person:
        """A guarantee manager."""
        return self.person("guarantee", "guarantor", name)

    def loan(self, loan: Loan) -> dict[str, Any]:
        """A loan as its bank sees it now."""
        found: dict[str, Any] = self.officer(loan.bank).get(f"/v1/loans/{loan.id}")
        return found

    def on(self, loan: Loan, command: str, body: Any = None) -> dict[str, Any]:
        """The officer's command to a loan."""
        found: dict[str, Any] = self.officer(loan.bank).on(f"/v1/loans/{loan.id}", command, body)
        return found

    def settled(self, loan: Loan, *states: str, patience: float = 90.0) -> dict[str, Any]:
        """The loan once it is in one of these states, or as it is when patience ends."""
        return until(lambda: self.loan(loan), lambda found: found["state"] in states, self.meanwhile, patience)

    # -- the story -------------------------------------------------------------------------------------------------

    def play(self) -> None:
        """Play every chapter."""
        self.register()
        self.set_limits()
        self.lend()
        self.refuse()
        self.double_pledge()
        self.repay()
        called = self.price_falls()
        self.fire()
        self.default(called)
        self.close_the_books()

    def register(self) -> None:
        """The bureau registers and values the programme."""
        account = self.account
        account.chapter(f"1 · The bureau registers {len(self.plan.parcels)} parcels · 登记与估值")
        imported = self._import([_asset_row(parcel) for parcel in self.plan.parcels])
        account.check("every parcel is registered and valued", "sink", len(self.plan.parcels), imported)
        references = {_reference(parcel) for parcel in self.plan.parcels}
        everything = _pages(self.bureau(), "/v1/assets")
        self.assets = {a["id"]: a for a in everything if a["reference"] in references}
        if self.plan.whole:
            area = sum(Decimal(a["area_ha"]) for a in self.assets.values()) * MU_PER_HA
            stock = sum(Decimal(a["area_ha"]) * Decimal(a["volume_m3_ha"] or 0) for a in self.assets.values())
            account.check(
                "the register's forest is the published 3,267,800 mu",
                "sink",
                3268,
                round(area / 1000),
                f"{area:,.0f} mu",
            )
            account.check(
                "its growing stock is the published 4,302,400 m3", "sink", 4302, round(stock / 1000), f"{stock:,.0f} m3"
            )
            young = sum(p.area_mu for p in self.plan.parcels if p.planted_year == clock.today().year - 1)
            account.check("last year's planting is the published 250,000 mu", "sink", 250_000, young)
        known = until(lambda: self._copies(), lambda n: n == len(self.assets), self.meanwhile, 90)
        account.check("credit holds its own copy of every valuation", "credit", len(self.assets), known)
        valuation = self.bureau().get(f"/v1/assets/{next(iter(self.assets))}/valuations?limit=1")["items"][0]
        again = self.bureau().post(f"/v1/valuations/{valuation['id']}/reproduction")
        account.check("a valuation comes out again to the byte", "sink", True, again["reproduced"])
        worth = sum(Decimal(v["pv_p50"]["amount"]) for v in self._valuations().values())
        account.tell(
            f"the median present value of the carbon of all parcels is CNY {worth:,.0f}; it rests on "
            f"{len(valuation['unverified_parameters'])} parameters that nobody verified"
        )

    def set_limits(self) -> None:
        """Insurers and guarantors say how much they can take."""
        self.account.chapter("2 · Insurers and guarantors set their limits · 额度")
        for insurer in INSURERS:
            self.insurer(insurer).post("/v1/capacities", {"county": "all", "cap": _money(900_000_000)})
            for county in COUNTIES:
                self.insurer(insurer).post("/v1/capacities", {"county": county, "cap": _money(400_000_000)})
        for guarantor, net_assets in zip(GUARANTORS, (300_000_000, 200_000_000, 20_000), strict=True):
            self._set_profile(guarantor, net_assets)
        rooms = self.guarantor(GUARANTORS[0]).get("/v1/headroom?kind=headroom")["items"]
        self.account.check(
            "the first guarantor has ten times its net assets",
            "guarantee",
            1,
            len(rooms),
            f"room CNY {Decimal(rooms[0]['room']['amount']):,.0f}" if rooms else "",
        )

    def lend(self) -> None:
        """Three banks lend on pledged forests."""
        account = self.account
        wanted = self.plan.loans_per_bank * len(BANKS)
        account.chapter(f"3 · {len(BANKS)} banks lend on pledged carbon · 放款")
        collateral = iter(self._collateral())
        people = iter(self.plan.borrowers)
        declined = 0
        with _bar("applying", wanted) as advance:
            while len(self.loans) < wanted:
                bank = BANKS[len(self.loans) % len(BANKS)]
                eager = len(self.loans) >= wanted - self.plan.eager
                loan, answer = self._apply(bank, next(collateral), next(people), "0.98" if eager else "0.60")
                if answer["state"] == "declined":
                    declined += 1
                    continue
                if answer["state"] == "referred":
                    decision = {"decision": "proceed", "comment": "file read; the forest and its title were seen"}
                    self.person("credit", "credit-approver", bank).post(f"/v1/loans/{loan.id}/referral", decision)
                self.loans.append(loan)
                advance(1)
        account.tell(f"{declined} applications were declined by the scorecard or policy on the way")
        self._through("offers", self.loans, "proposed", self._approve)
        self._through("acceptances", self.loans, "offered", lambda loan: self.on(loan, "acceptance"))
        self._through("disbursements", self.loans, "ready", lambda loan: self.on(loan, "disbursement"))
        found = [self.settled(loan, "performing") for loan in self.loans]
        account.check(
            "every loan is disbursed on pledge, policy and guarantee",
            "credit",
            [("performing", True)],
            sorted({(f["state"], _all_held(f)) for f in found}),
        )
        lent = sum(Decimal(f["balance"]["disbursed"]["amount"]) for f in found)
        rates = sorted(Decimal(f["annual_rate"]) for f in found)
        account.tell(f"lent CNY {lent:,.2f} to {len(found)} borrowers at {rates[0]:.2%} to {rates[-1]:.2%} a year")
        one = found[0]
        worth = one["decision"]["worth_bp"] or {}
        account.tell(
            "worth of each leg of the first loan in basis points: "
            + ", ".join(f"{leg} {value:.0f}" for leg, value in worth.items())
        )

    def refuse(self) -> None:
        """Each party says no once, and whatever the others held is let go."""
        account = self.account
        account.chapter("4 · Each party refuses once · 拒绝")
        spare = [asset for asset in self._collateral() if asset not in {loan.asset_id for loan in self.loans}]
        borrower = self.plan.borrowers[0]
        _, answer = self._apply(BANKS[0], spare[0], borrower, "3.00")
        account.check(
            "credit declines a loan three times what the pledge carries",
            "credit",
            ("declined", "credit"),
            (answer["state"], answer["blocked_by"]),
            _why(answer),
        )
        county, underwriter = self.assets[spare[1]]["county"], self.insurer(INSURERS[1])
        rooms = {c["county"]: c for c in _pages(underwriter, "/v1/capacities")}
        taken = sum(Decimal(rooms[county][part]["amount"]) for part in ("pending", "posted"))
        underwriter.post("/v1/capacities", {"county": county, "cap": _money(taken)})
        self._refused_by("insurance", spare[1], borrower, insurer=INSURERS[1])
        underwriter.post("/v1/capacities", {"county": county, "cap": rooms[county]["cap"]})
        self._refused_by("guarantee", spare[2], borrower, guarantor=GUARANTORS[2])
        offered, _ = self._apply(BANKS[1], spare[3], borrower, "0.50")
        self.settled(offered, "proposed")
        seen = self.loan(offered)["offer"]["payload_hash"]
        officer = self.person("credit", "credit-approver", BANKS[1], subject=f"officer@{BANKS[1]}")
        try:
            officer.post(f"/v1/loans/{offered.id}/approval", {"payload_hash": seen, "approve": True})
            status = 200
        except RefusedError as refusal:
            status = refusal.status
        account.check("an officer cannot approve an own offer", "credit", 403, status)
        self._approve(offered, approve=False)
        found = until(lambda: self.loan(offered), lambda f: not _any_held(f), self.meanwhile)
        account.check(
            "the approver's no undoes cover and reservation",
            "credit",
            ("declined", False),
            (found["state"], _any_held(found)),
        )

    def _refused_by(self, leg: str, asset_id: str, borrower: Borrower, **parties: str) -> None:
        loan, _ = self._apply(BANKS[2], asset_id, borrower, "0.50", **parties)
        found = self.settled(loan, "declined", "proposed")
        found = until(lambda: self.loan(loan), lambda f: not _any_held(f), self.meanwhile)
        self.account.check(
            f"{leg} refuses, and the other leg lets go",
            leg,
            ("declined", leg, False),
            (found["state"], found["blocked_by"], _any_held(found)),
            _why(found),
        )

    def double_pledge(self) -> None:
        """Two banks lend on the same tonnes; one of them gets the pledge."""
        account = self.account
        account.chapter("5 · Two banks, the same tonnes · 重复质押")
        taken = {loan.asset_id for loan in self.loans}
        asset = [a for a in self._collateral() if a not in taken][4]
        pair = [
            self._apply(bank, asset, self.plan.borrowers[n], "0.60", share="0.8")[0] for n, bank in enumerate(BANKS[:2])
        ]
        for loan in pair:
            self.settled(loan, "proposed")
            self._approve(loan)
            self.on(loan, "acceptance")
        found = [self.settled(loan, "ready", "declined") for loan in pair]
        account.check(
            "exactly one bank gets the pledge", "sink", ["declined", "ready"], sorted(f["state"] for f in found)
        )
        loser = next((loan for loan, f in zip(pair, found, strict=True) if f["state"] == "declined"), pair[0])
        lost = until(lambda: self.loan(loser), lambda f: not _any_held(f), self.meanwhile)
        account.check(
            "the other bank's policy and guarantee are undone",
            "credit",
            ("sink", False),
            (lost["blocked_by"], _any_held(lost)),
            _why(lost),
        )
        winner = next((loan for loan, f in zip(pair, found, strict=True) if f["state"] == "ready"), pair[0])
        self.on(winner, "withdrawal", {"reason": "the borrower found money elsewhere"})
        gone = until(lambda: self.loan(winner), lambda f: not _any_held(f), self.meanwhile)
        account.check(
            "a withdrawal lets go of every leg", "credit", ("withdrawn", False), (gone["state"], _any_held(gone))
        )
        free = until(lambda: self._units(asset), lambda u: u["pledged"] == "0.000", self.meanwhile)
        account.check("the tonnes are free again", "sink", "0.000", free["pledged"])

    def repay(self) -> None:
        """One borrower pays everything back."""
        self.account.chapter("6 · A borrower repays · 还款")
        loan = self.loans.pop(0)
        owed = self.loan(loan)["balance"]["owed"]
        self.officer(loan.bank).post(f"/v1/loans/{loan.id}/repayments", {"amount": owed})
        found = until(lambda: self.loan(loan), lambda f: not _any_held(f), self.meanwhile)
        self.account.check(
            "the loan is closed and every leg let go",
            "credit",
            ("closed", "repaid", False),
            (found["state"], found["outcome"], _any_held(found)),
            f"CNY {Decimal(owed['amount']):,.2f} repaid",
        )

    def price_falls(self) -> Loan:
        """The carbon price falls as it did from 2024 to 2025; loans near their limit are called, one is cured."""
        account = self.account
        spot = Decimal(next(iter(self._valuations().values()))["spot_price"]["amount"])
        fallen = (spot * (1 - PRICE_FALL)).quantize(Decimal("0.01"))
        account.chapter(f"7 · The carbon price falls from {spot} to {fallen} CNY/t · 碳价下跌")
        curve = self.bureau().post(
            "/v1/price-curves",
            {
                "name": f"fall to {fallen}",
                "spot_price": _money(fallen),
                "long_run_price": _money(fallen),
                "reversion": "0.25",
                "volatility": "0.35",
                "source": "the yearly mean allowance price fell so from 2024 to 2025; applied to the curve in force",
            },
        )
        decision = {"payload_hash": curve["payload_hash"], "approve": True}
        approved = self.person("sink", "bureau-approver", self.plan.bureau).post(
            f"/v1/price-curves/{curve['id']}/approval", decision
        )
        self._job(approved["job_id"], "valuing the register anew")
        found = until(
            lambda: {loan.id: self.loan(loan) for loan in self.loans},
            lambda all_: (
                sum(f["state"] == "margin_called" for f in all_.values()) >= 2
                and all(self._is_fresh(f) for f in all_.values())
            ),
            self.meanwhile,
            90,
        )
        called = [loan for loan in self.loans if found[loan.id]["state"] == "margin_called"]
        breached = [loan.id for loan in self.loans if _ltv(found[loan.id]) > _margin(found[loan.id])]
        account.check(
            "exactly the loans above their margin level are called",
            "credit",
            sorted(breached),
            sorted(loan.id for loan in called),
            f"{len(called)} of {len(self.loans)}",
        )
        for loan in called:
            f = found[loan.id]
            short, by = Decimal(f["covenants"]["shortfall"]["amount"]), f["deadlines"]["cure_by"][:10]
            account.tell(f"{loan.bank}: loan to value {_ltv(f):.1%}, shortfall CNY {short:,.2f}, cure by {by}")
        cured, uncured = called[0], called[1] if len(called) > 1 else called[0]
        shortfall = found[cured.id]["covenants"]["shortfall"]
        self.officer(cured.bank).post(f"/v1/loans/{cured.id}/repayments", {"amount": shortfall})
        after = self.settled(cured, "performing")
        account.check(
            "paying the shortfall cures the call",
            "credit",
            "performing",
            after["state"],
            f"CNY {Decimal(shortfall['amount']):,.2f}",
        )
        return uncured

    def fire(self) -> None:
        """A county burns: collateral falls, policies pay, banks come first."""
        account = self.account
        loan = next(one for one in self.loans if self.loan(one)["state"] == "performing")
        county = loan.county
        account.chapter(f"8 · Fire in {COUNTIES[county].en} · {COUNTIES[county].zh}火灾")
        if self.plan.whole:
            # A run loads the prices of every later quote: another playing on the stack would be another story.
            self._foresee(self.loan(loan)["insurer"])
        struck = [one for one in self.loans if one.county == county and self.loan(one)["state"] in ALIVE]
        before = {one.id: self.loan(one) for one in struck}
        burnt = [one.asset_id for one in struck]
        ground = sum(Decimal(self.assets[asset]["area_ha"]) for asset in set(burnt))
        fire = {
            "peril": "fire",
            "occurred_on": clock.today().isoformat(),
            "event_area_ha": f"{ground * Decimal('1.2'):.4f}",
            "assets": [{"asset_id": asset, "severity": "0.65"} for asset in sorted(set(burnt))],
        }
        reported = self.bureau().post("/v1/reversals", fire)
        lost = sum(Decimal(item["live_carbon_lost"]) for item in reported["items"])
        air = sum(Decimal(item["carbon_emitted"]) for item in reported["items"])
        account.tell(
            f"{len(burnt)} pledged forests burnt: {lost:,.0f} t of live carbon lost, {air:,.0f} t of it to the air"
        )
        claims = until(
            lambda: self._claims({one.id for one in struck}), lambda c: len(c) == len(struck), self.meanwhile, 60
        )
        account.check("one claim is opened for each insured forest", "insurance", len(struck), len(claims))
        paid = [self._pay_claim(insurer, claim) for insurer, claim in claims]
        total = sum(Decimal(p["payable"]["amount"]) for p in paid)
        to_bank = sum(Decimal(p["to_bank"]["amount"]) for p in paid)
        to_owner = sum(Decimal(p["to_owner"]["amount"]) for p in paid)
        account.check(
            "what banks and owners get is what is payable, to the fen",
            "insurance",
            str(total),
            str(to_bank + to_owner),
            f"CNY {total:,.2f}: banks {to_bank:,.2f}, owners {to_owner:,.2f}",
        )
        owed = {one.id: Decimal(before[one.id]["balance"]["principal"]["amount"]) for one in struck}
        got = {p["loan_id"]: Decimal(p["to_bank"]["amount"]) for p in paid}
        expected = {i: str(max(Decimal(0), owed[i] - got.get(i, Decimal(0))).quantize(Decimal("0.01"))) for i in owed}
        found = until(
            lambda: {one.id: self.loan(one)["balance"]["principal"]["amount"] for one in struck},
            lambda seen: seen == expected,
            self.meanwhile,
            60,
        )
        account.check("every claim lowered the bank's balance by what it was paid", "credit", expected, found)

    def _foresee(self, insurer: str) -> None:
        """What the insurer knew before the fire: its book's bad years, and what they do to bank and guarantor."""
        underwriter = self.insurer(insurer)
        run = underwriter.post("/v1/accumulations", {"years": 2000})
        self._job(run["id"], "the book's bad years", underwriter)
        path = f"/v1/accumulations/{run['id']}"
        told = {(one["of"], one["name"]): one for one in underwriter.get(path)["metrics"]}
        whole = Decimal(told["all", ""]["aal"])
        counties = sum((Decimal(one["aal"]) for (of, _), one in told.items() if of == "county"), Decimal(0))
        worst = underwriter.get(f"{path}/balance-sheets")["worst_years_of_the_insurer"]
        bad = next(one for one in worst if one["return_period"] == 100)
        figures = {name: f"{Decimal(bad[name]):,.0f}" for name in ("insurer", "guarantor", "bank")}
        self.account.check(
            f"{insurer} knows its bad years: counties add up to the book",
            "insurance",
            True,
            abs(whole - counties) < 1,
            f"CNY {whole:,.0f} a year; in the worst of a hundred the insurer {figures['insurer']},"
            f" guarantors {figures['guarantor']}, banks {figures['bank']}",
        )

    def default(self, loan: Loan) -> None:
        """The uncured loan defaults; the guarantee pays; the pledge is taken over; the recovery is shared."""
        account = self.account
        account.chapter("9 · A default, a guarantee call, a recovery · 违约与代偿")
        found = self.loan(loan)
        if found["state"] not in ALIVE:
            loan = next(one for one in self.loans if self.loan(one)["state"] in ALIVE)
        guarantor = self.loan(loan)["guarantor"]
        default = {"ground": "overdue", "comment": "more than ninety days overdue after the margin call"}
        self.officer(loan.bank).post(f"/v1/loans/{loan.id}/default", default)
        frozen = until(
            lambda: self.loan(loan),
            lambda f: _pledges(f) == {"frozen"} and _leg(f, "guarantee") == "called",
            self.meanwhile,
        )
        account.check(
            "the guarantee is called and the pledge frozen",
            "guarantee",
            ("called", ["frozen"]),
            (_leg(frozen, "guarantee"), sorted(_pledges(frozen))),
        )
        manager = self.guarantor(guarantor)
        call = manager.get(f"/v1/calls?loan_id={loan.id}")["items"][0]
        parts = {party: Decimal(value["amount"]) for party, value in call["shares"].items()}
        account.check(
            "the shares of the call sum to the balance, to the fen",
            "guarantee",
            call["balance"]["amount"],
            str(sum(parts.values())),
            ", ".join(f"{p} {v:,.2f}" for p, v in parts.items() if v),
        )
        paid = manager.on(f"/v1/calls/{call['id']}", "payment", {"reference": "demo"})
        after = until(lambda: self.loan(loan), lambda f: _leg(f, "guarantee") == "paid", self.meanwhile)
        account.check(
            "the bank has the guarantor's money",
            "credit",
            paid["paid"]["amount"],
            after["balance"]["guarantee_received"]["amount"],
        )
        self.officer(loan.bank).post(f"/v1/loans/{loan.id}/enforcement")
        taken = until(lambda: self.loan(loan), lambda f: _pledges(f) == {"enforced"}, self.meanwhile)
        account.check("the pledged units are taken over", "sink", ["enforced"], sorted(_pledges(taken)))
        balance = Decimal(call["balance"]["amount"])
        proceeds = (balance * Decimal("0.30")).quantize(Decimal("0.01"))
        costs = (proceeds * Decimal("0.05")).quantize(Decimal("0.01"))
        recovery = {"amount": _money(proceeds), "costs": _money(costs), "source": "carbon"}
        self.officer(loan.bank).post(f"/v1/loans/{loan.id}/recoveries", recovery)
        shared = until(lambda: manager.get(f"/v1/calls/{call['id']}/recoveries")["items"], bool, self.meanwhile)
        back = sum(Decimal(value["amount"]) for value in shared[0]["shares"].values()) if shared else Decimal(0)
        account.check(
            "the recovery is shared back by the same shares, to the fen",
            "guarantee",
            str(proceeds - costs),
            str(back),
            f"CNY {proceeds:,.2f} less costs {costs:,.2f}",
        )
        mine = shared[0]["shares"]["bank"]["amount"] if shared else "0.00"
        until(lambda: self.loan(loan), lambda f: f["balance"]["recovered_by_bank"]["amount"] == mine, self.meanwhile)
        self.officer(loan.bank).post(f"/v1/loans/{loan.id}/closing")
        closed = until(lambda: self.loan(loan), lambda f: not _any_held(f), self.meanwhile)
        money = {name: Decimal(value["amount"]) for name, value in closed["balance"].items() if value}
        known = (
            money["principal_repaid"] + money["guarantee_received"] + money["recovered_by_bank"] + money["written_off"]
        )
        account.check(
            "repaid, guaranteed, recovered and written off make up what was lent",
            "credit",
            ("closed", str(money["disbursed"])),
            (closed["state"], str(known)),
            f"written off CNY {money['written_off']:,.2f}",
        )
        journal = manager.get(f"/v1/calls/{call['id']}/journal")
        account.check(
            "the guarantor's journal sums to zero",
            "guarantee",
            "0.00",
            str(sum((Decimal(a["balance"]) for a in journal["balances"]), Decimal("0.00"))),
        )

    def close_the_books(self) -> None:
        """Nothing is left over: no event unsent, none dead, every limit kept, every audit chain whole."""
        account = self.account
        account.chapter("10 · The books · 核对")
        for guarantor in GUARANTORS[:2]:
            over = self.guarantor(guarantor).get("/v1/headroom?over_limit=true")["items"]
            account.check(f"{guarantor} is within every limit", "guarantee", 0, len(over))
        for service in SERVICES:
            state = until(
                lambda service=service: self._books(service),  # type: ignore[misc]
                lambda b: b[0] == 0.0,
                self.meanwhile,
                30,
            )
            account.check(
                "every event is sent, none is dead or waiting, every audit chain holds",
                service,
                (0.0, 0, 0.0, []),
                state,
            )

    # -- pieces ----------------------------------------------------------------------------------------------------

    def _import(self, rows: list[dict[str, Any]]) -> int:
        done, wrong = 0, []
        for start in range(0, len(rows), self.plan.rows_per_import):
            batch = rows[start : start + self.plan.rows_per_import]
            job = self.bureau().post("/v1/asset-imports", {"rows": batch})
            finished = self._job(job["id"], f"parcels {start + 1} to {start + len(batch)}")
            wrong += finished["log"]
            done += finished["done"] - len({entry.get("row") for entry in finished["log"]})
        for entry in wrong[:5]:
            self.account.tell(f"row {entry.get('row')}: {entry.get('field')} {entry.get('detail')}")
        return done

    def _job(self, job_id: str, what: str, person: Person | None = None) -> dict[str, Any]:
        clerk = person or self.bureau()
        with _bar(what, 1) as advance:

            def read() -> dict[str, Any]:
                found: dict[str, Any] = clerk.get(f"/v1/jobs/{job_id}")
                advance(None, done=found["done"], total=found["total"])
                return found

            return until(read, lambda job: job["state"] != "running", self.meanwhile, 240)

    def _collateral(self) -> list[str]:
        """Forests a bank would take, the most valuable first."""
        valued = self._valuations()
        usable = {_reference(p) for p in self.plan.parcels if _is_collateral(p)}
        ids = [a for a, asset in self.assets.items() if asset["reference"] in usable and a in valued]
        return sorted(ids, key=lambda a: (-Decimal(valued[a]["pv_p10"]["amount"]), a))

    def _valuations(self) -> dict[str, dict[str, Any]]:
        copies = _pages(self.officer(BANKS[0]), "/v1/valuations")
        return {v["asset_id"]: v for v in copies if v["asset_id"] in self.assets}

    def _copies(self) -> int:
        return len(self._valuations())

    def _units(self, asset_id: str) -> dict[str, str]:
        units: dict[str, str] = self.bureau().get(f"/v1/assets/{asset_id}")["units"]
        return units

    def _apply(
        self, bank: str, asset_id: str, borrower: Borrower, part: str, share: str = "0.5", **parties: str
    ) -> tuple[Loan, dict[str, Any]]:
        """Apply for a part of what the pledge carries at most, and at most for what the borrower asked."""
        tonnes = (Decimal(self._units(asset_id)["free"]) * Decimal(share)).quantize(Decimal("0.001"))
        asked = {
            "borrower_kind": _KINDS[borrower.legal_form],
            "industry": _INDUSTRIES.get(borrower.industry, "022"),
            "employees": borrower.employees,
            "new_business": bool(borrower.new_business),
            "revolving": bool(borrower.revolving),
            "low_doc": bool(borrower.low_doc),
            "amount": _money(max(borrower.amount, Decimal(1000))),
            "term_months": borrower.term_months,
            "assets": [{"asset_id": asset_id, "tonnes": str(tonnes)}],
        }
        officer = self.officer(bank)
        most = Decimal(officer.post("/v1/score", asked)["maximum_amount"]["amount"])
        amount = (most * Decimal(part)).quantize(Decimal(1))
        if Decimal(part) < Decimal("0.9"):
            amount = min(amount, borrower.amount.quantize(Decimal(1)))
        n = len(self.loans)
        answer = officer.post(
            "/v1/loans",
            {
                **asked,
                "amount": _money(amount),
                "borrower_reference": borrower.borrower_reference,
                "small_or_farmer": True,
                "insurer": INSURERS[n % 2],
                "guarantor": GUARANTORS[n % 2],
                "scheme": "4-3-2-1",
                **parties,
            },
        )
        return Loan(answer["id"], bank, asset_id, self.assets[asset_id]["county"], amount), answer

    def _approve(self, loan: Loan, approve: bool = True) -> None:
        seen = self.loan(loan)["offer"]["payload_hash"]
        decision = {"payload_hash": seen, "approve": approve, "comment": "demo"}
        self.person("credit", "credit-approver", loan.bank).post(f"/v1/loans/{loan.id}/approval", decision)

    def _through(self, what: str, loans: Iterable[Loan], state: str, step: Callable[[Loan], Any]) -> None:
        loans = list(loans)
        with _bar(what, len(loans)) as advance:
            for loan in loans:
                found = self.settled(loan, state, "declined", "expired")
                if found["state"] != state:
                    self.account.check(f"a loan reaches {state}", "credit", state, found["state"], _why(found))
                else:
                    step(loan)
                advance(1)

    def _is_fresh(self, found: dict[str, Any]) -> bool:
        """Whether the loan was tested on the register's latest valuations."""
        latest = {a["asset_id"]: self.assets_version(a["asset_id"]) for a in found["assets"]}
        copies = self._valuations()
        return all(copies[asset]["version"] == version for asset, version in latest.items())

    def assets_version(self, asset_id: str) -> int:
        """The version of the register's latest valuation of an asset."""
        return int(self.bureau().get(f"/v1/assets/{asset_id}")["valuation_version"])

    def _set_profile(self, guarantor: str, net_assets: int) -> None:
        manager = self.guarantor(guarantor)
        try:
            version = manager.get("/v1/profile")["version"]
        except RefusedError:
            version = 0
        profile = {
            "net_assets": _money(net_assets),
            "leverage_class": 10,
            "province_quota": _money(net_assets * 3),
            "national_quota": _money(net_assets * 3),
            "counties": [{"county": county, "pool_balance": _money(net_assets // 10)} for county in COUNTIES],
        }
        manager.post("/v1/profile", profile, etag=f'"v{version}"')

    def _claims(self, loans: set[str]) -> list[tuple[str, dict[str, Any]]]:
        found = []
        for insurer in INSURERS:
            items = _pages(self.insurer(insurer), "/v1/claims")
            found += [(insurer, claim) for claim in items if claim["loan_id"] in loans]
        return found

    def _pay_claim(self, insurer: str, claim: dict[str, Any]) -> dict[str, Any]:
        if claim["state"] != "open":
            return {**claim, "to_bank": _money(0), "to_owner": _money(0)}
        paid: dict[str, Any] = self.insurer(insurer).on(f"/v1/claims/{claim['id']}", "payment")
        return paid

    def _books(self, service: str) -> tuple[float, int, float, list[str]]:
        engine = db.engine(self.stack.environment[service]["HEARTWOOD_WORKER_DATABASE_URL"], pool_size=1)
        try:
            with db.sessions(engine)() as session:
                unsent, parked = relay.oldest_unsent(session), inbox.oldest_parked(session)
                dead = len(inbox.dead_letters(session))
                chains = session.scalars(select(audit.AuditHead.institution).order_by("institution")).all()
                broken = [name for name in chains if audit.verify(session, name) is not None]
        finally:
            engine.dispose()
        return unsent, dead, parked, broken


# -- small readings ---------------------------------------------------------------------------------------------------


def _money(value: Decimal | int) -> dict[str, str]:
    return {"amount": f"{Decimal(value):.2f}", "currency": "CNY"}


def _reference(parcel: Parcel) -> str:
    return f"demo-{parcel.code}"


def _asset_row(parcel: Parcel) -> dict[str, Any]:
    row = {
        "reference": _reference(parcel),
        "name": parcel.name,
        "kind": parcel.kind,
        "county": parcel.county,
        "geometry": parcel.geometry,
        "species": [{"species": share.species, "share": share.share} for share in parcel.species],
        "planted_year": parcel.planted_year,
        "survival": f"{parcel.survival:.4f}",
        "volume_m3_ha": f"{parcel.volume_m3_ha:.3f}",
        "sampling_uncertainty": f"{parcel.uncertainty:.4f}",
        "hazards": {peril: f"{score:.4f}" for peril, score in parcel.hazards.items()},
        "title_until": parcel.title_until.isoformat(),
        "crediting_until": parcel.crediting_until.isoformat(),
    }
    if parcel.shrub_cover:
        row["crown_cover"] = f"{parcel.shrub_cover:.4f}"
    return row


def _pages(person: Person, path: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = person.get(f"{path}?limit=100{cursor}")
        items += page["items"]
        if not page["next"]:
            return items
        cursor = f"&cursor={page['next']}"


def _pledges(loan: dict[str, Any]) -> set[str]:
    return {asset["pledge_state"] for asset in loan["assets"]}


def _leg(loan: dict[str, Any], leg: str) -> str:
    return str(loan[leg]["state"])


def _all_held(loan: dict[str, Any]) -> bool:
    return _pledges(loan) == {"placed"} and _leg(loan, "cover") == "bound" and _leg(loan, "guarantee") == "issued"


def _any_held(loan: dict[str, Any]) -> bool:
    """Whether any leg still holds something for the loan; a quote binds nobody."""
    held = _pledges(loan) & {"placed", "frozen"}
    return bool(held) or _leg(loan, "cover") == "bound" or _leg(loan, "guarantee") in ("reserved", "issued")


def _why(loan: dict[str, Any]) -> str:
    return str(loan["reasons"][0]["en"]) if loan.get("reasons") else ""


def _ltv(loan: dict[str, Any]) -> Decimal:
    ratio = loan["covenants"]["loan_to_value"]
    return Decimal("Infinity") if ratio is None else Decimal(ratio)


def _margin(loan: dict[str, Any]) -> Decimal:
    return Decimal(loan["covenants"]["margin_call_loan_to_value"])


class _bar:  # noqa: N801 - reads as a verb at the place of use
    """A progress bar; plain silence where the output is no terminal."""

    def __init__(self, what: str, total: int) -> None:
        columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self.progress = Progress(*columns, console=_console, transient=True, disable=not _console.is_terminal)
        self.task = self.progress.add_task(what, total=total)

    def __enter__(self) -> Callable[..., None]:
        self.progress.start()
        return self._advance

    def _advance(self, by: int | None, done: int | None = None, total: int | None = None) -> None:
        if by is not None:
            self.progress.advance(self.task, by)
        else:
            self.progress.update(self.task, completed=done, total=total)

    def __exit__(self, *_: object) -> None:
        self.progress.stop()


_console = Console()


def play(state: Path, port: int, keep_up: bool, console: Console) -> int:
    """Play the demo on a fresh stack; writes story.json beside its state; 0 if every step came out as expected."""
    global _console
    _console = console
    account = Account(console)
    console.print("[bold]Heartwood[/bold] · sink + credit + insurance + guarantee · 碳汇 + 信贷 + 保险 + 担保")
    folder = state / datetime.now(UTC).strftime("run-%Y%m%d-%H%M%S")
    stack = Stack(folder, port, say=lambda line: console.print(f"  [dim]· {line}[/dim]", highlight=False))
    try:
        with running(stack):
            account.tell(f"the stack was ready after {time.monotonic() - account.began:.0f} s")
            Story(stack, account, full_plan(), stack.supervise).play()
            seconds = account.write(state / "story.json")
            good = sum(step.passed for step in account.steps)
            console.print(
                f"\n[bold]{good} of {len(account.steps)} steps as expected, in {seconds:.0f} s.[/bold] "
                f"The account is in {state / 'story.json'}",
                highlight=False,
            )
            if keep_up:
                _stay(stack, console)
    except (StackError, RefusedError, TimeoutError, StopIteration) as error:
        account.check("the story can be played to its end", "demo", "the end", f"{type(error).__name__}: {error}")
        account.write(state / "story.json")
        console.print(f"[red]{error}[/red] Logs are in {folder / 'logs'}", highlight=False)
    console.print("[dim]nothing is left running[/dim]" if not keep_up else "")
    return 0 if account.passed else 1


def _stay(stack: Stack, console: Console) -> None:
    console.print(f"  [bold]workbench: {stack.pages}[/bold]", highlight=False)
    for service in SERVICES:
        console.print(f"  {service}: {stack.url(service)}/v1/docs", highlight=False)
    console.print("Ctrl-C stops everything")
    try:
        while True:
            stack.supervise()
            time.sleep(0.2)
    except KeyboardInterrupt:
        pass
