"""What people do in the whole story, by HTTP, in one line each. Events move only when a test lets them."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sqlalchemy import create_engine, text

from shared import clock
from tests.harness import BANK, BUREAU, GUARANTOR, INSURER, Client, Town, body
from tests.sink.examples import asset_request, years_from_today

#: What of each leg is held for a loan. A quote binds nobody: it lapses by itself.
HELD = {
    "collateral": ("placed", "frozen"),
    "cover": ("bound",),
    "guarantee": ("reserved", "issued"),
}


def money(value: Any) -> dict[str, str]:
    """An amount as the APIs take it."""
    return {"amount": f"{Decimal(value):.2f}", "currency": "CNY"}


def amount(value: dict[str, str]) -> Decimal:
    """An amount as the APIs give it."""
    return Decimal(value["amount"])


@dataclass
class People:
    """The bureau, the banks, the insurers and the guarantors of a town."""

    town: Town
    assets: list[str] = field(default_factory=list)

    # -- who -------------------------------------------------------------------------------------------------------

    def bureau(self) -> Client:
        return self.town.client("sink", "bureau", BUREAU)

    def officer(self, bank: str = BANK) -> Client:
        return self.town.client("credit", "officer", bank)

    def approver(self, bank: str = BANK) -> Client:
        return self.town.client("credit", "credit-approver", bank)

    def insurer(self, insurer: str = INSURER) -> Client:
        return self.town.client("insurance", "insurer", insurer)

    def guarantor(self, guarantor: str = GUARANTOR) -> Client:
        return self.town.client("guarantee", "guarantor", guarantor)

    # -- what ------------------------------------------------------------------------------------------------------

    def register_forests(self, count: int = 1, **changes: Any) -> list[str]:
        """Register and value forests that were credited for three years; returns their ids."""
        credited = {"crediting_from": years_from_today(-3).isoformat()} | changes
        rows = [asset_request(len(self.assets) + n, **credited) for n in range(count)]
        made = []
        for row in rows:
            asset = body(self.bureau().post("/v1/assets", row), 201)
            if not asset["valuation_version"]:
                body(self.bureau().post(f"/v1/assets/{asset['id']}/valuations"), 201)
            made.append(asset["id"])
        self.assets += made
        return made

    def reductions(self, asset_id: str) -> dict[str, Any]:
        """The forest's project with its reductions registered, entered now if there is none."""
        bureau, today = self.bureau(), clock.today().isoformat()
        asset = body(bureau.get(f"/v1/assets/{asset_id}"))
        said = {"taken_on": today, "evidence": "notice of the portal"}
        if asset["project_id"]:
            project = body(bureau.get(f"/v1/projects/{asset['project_id']}"))
        else:
            made = {"name": asset["name"], "asset_ids": [asset_id], **said}
            project = body(bureau.post("/v1/projects", made), 201)
        period = {"vintage_from": asset["crediting_from"], "vintage_to": today}
        for before, step in (
            ("notice", {"state": "registered"}),
            ("registered", {"state": "reductions_notice", **period}),
            ("reductions_notice", {"state": "reductions_registered"}),
        ):
            if project["state"] == before:
                version = f'"v{project["version"]}"'
                path = f"/v1/projects/{project['id']}/steps"
                project = body(bureau.post(path, {**step, **said}, If_Match=version), 201)
        return dict(project)

    def issue(self, asset_id: str, tonnes: str, origin: str) -> dict[str, Any]:
        """Issue units for the period whose reductions are registered, with a second person."""
        made = self.propose(asset_id, tonnes, origin)
        approver = self.town.client("sink", "bureau-approver", BUREAU)
        seen = {"payload_hash": made["payload_hash"]}
        return dict(body(approver.post(f"/v1/issuance-proposals/{made['id']}/issuance", seen), 201))

    def propose(self, asset_id: str, tonnes: str, origin: str) -> dict[str, Any]:
        """Enter an issuance that waits for a second person."""
        project = self.reductions(asset_id)
        vintage = {name: project[name] for name in ("vintage_from", "vintage_to")}
        given = {"asset_id": asset_id, "origin": origin, "tonnes": tonnes, **vintage}
        return dict(body(self.bureau().post("/v1/issuance-proposals", given), 201))

    def set_profile(self, guarantor: str = GUARANTOR, version: int | None = None, **changes: Any) -> None:
        """Give a guarantor capacity in every county; without a version, the one in force is read first."""
        counties = ("shuocheng", "pinglu", "shanyin", "yingxian", "youyu", "huairen")
        profile = {
            "net_assets": money(200_000_000),
            "leverage_class": 10,
            "province_quota": money(500_000_000),
            "national_quota": money(500_000_000),
            "counties": [{"county": c, "pool_balance": money(50_000_000)} for c in counties],
        } | changes
        if version is None:
            found = self.guarantor(guarantor).get("/v1/profile")
            version = found.get_json()["version"] if found.status_code == 200 else 0
        body(self.guarantor(guarantor).post("/v1/profile", profile, If_Match=f'"v{version}"'))

    def free_tonnes(self, asset_id: str) -> Decimal:
        """What of a forest can still be pledged."""
        return Decimal(body(self.bureau().get(f"/v1/assets/{asset_id}"))["units"]["free"])

    def application(self, asset_id: str, share: str = "0.5", **changes: Any) -> dict[str, Any]:
        """An application that credit approves, on a share of a forest's free tonnes."""
        tonnes = (self.free_tonnes(asset_id) * Decimal(share)).quantize(Decimal("0.001"))
        return {
            "borrower_reference": "93140600MA0000001R",
            "borrower_kind": "cooperative",
            "industry": "022",
            "employees": 8,
            "new_business": False,
            "small_or_farmer": True,
            "amount": money(12_000),
            "term_months": 36,
            "assets": [{"asset_id": asset_id, "tonnes": str(tonnes)}],
            "insurer": INSURER,
            "guarantor": GUARANTOR,
            "scheme": "4-3-2-1",
        } | changes

    def apply(self, asset_id: str, bank: str = BANK, **changes: Any) -> str:
        """Apply for a loan; returns its id."""
        loan = body(self.officer(bank).post("/v1/loans", self.application(asset_id, **changes)), 201)
        return str(loan["id"])

    def loan(self, loan_id: str, bank: str = BANK) -> dict[str, Any]:
        """The loan as its bank sees it."""
        found: dict[str, Any] = body(self.officer(bank).get(f"/v1/loans/{loan_id}"))
        return found

    def state(self, loan_id: str, bank: str = BANK) -> str:
        """The loan's state."""
        return str(self.loan(loan_id, bank)["state"])

    def approve(self, loan_id: str, bank: str = BANK, approve: bool = True) -> Any:
        """Approve or reject the offer as a second person."""
        seen = self.loan(loan_id, bank)["offer"]["payload_hash"]
        return body(
            self.approver(bank).post(f"/v1/loans/{loan_id}/approval", {"payload_hash": seen, "approve": approve})
        )

    def on(self, loan_id: str, command: str, request: Any = None, bank: str = BANK) -> Any:
        """Send a command to the loan, with the version that was read."""
        version = self.loan(loan_id, bank)["version"]
        answer = self.officer(bank).post(f"/v1/loans/{loan_id}/{command}", request, If_Match=f'"v{version}"')
        return body(answer, answer.status_code if answer.status_code in (200, 201) else 200)

    def lend(self, asset_id: str, bank: str = BANK, **changes: Any) -> str:
        """From application to money, letting events move in between."""
        loan_id = self.apply(asset_id, bank, **changes)
        self.town.pump()
        assert self.state(loan_id, bank) == "proposed", self.loan(loan_id, bank)
        self.approve(loan_id, bank)
        self.on(loan_id, "acceptance", bank=bank)
        self.town.pump()
        assert self.state(loan_id, bank) == "ready", self.loan(loan_id, bank)
        self.on(loan_id, "disbursement", bank=bank)
        self.town.pump()
        return loan_id

    def pay_claims(self, insurer: str = INSURER) -> list[dict[str, Any]]:
        """Pay every open claim of an insurer."""
        paid = []
        for claim in body(self.insurer(insurer).get("/v1/claims", state="open", limit=100))["items"]:
            answer = self.insurer(insurer).post(f"/v1/claims/{claim['id']}/payment", If_Match=f'"v{claim["version"]}"')
            paid.append(body(answer))
        return paid

    def pay_calls(self, guarantor: str = GUARANTOR) -> list[dict[str, Any]]:
        """Pay every open call on a guarantor."""
        paid = []
        for call in body(self.guarantor(guarantor).get("/v1/calls", state="open", limit=100))["items"]:
            answer = self.guarantor(guarantor).post(f"/v1/calls/{call['id']}/payment", If_Match=f'"v{call["version"]}"')
            paid.append(body(answer))
        return paid

    # -- what must hold --------------------------------------------------------------------------------------------

    def held(self, loan_id: str, bank: str = BANK) -> list[str]:
        """Which legs are still held for a loan, as credit knows it."""
        loan = self.loan(loan_id, bank)
        found = [f"collateral {a['pledge_state']}" for a in loan["assets"] if a["pledge_state"] in HELD["collateral"]]
        found += [f"{leg} {loan[leg]['state']}" for leg in ("cover", "guarantee") if loan[leg]["state"] in HELD[leg]]
        return found

    def held_by_legs(self, loan_id: str) -> dict[str, int]:
        """What the legs themselves hold for a loan, straight from their databases."""
        questions = {
            "sink": "SELECT count(*) FROM pledges WHERE loan_id = :l AND state IN ('placed', 'frozen')",
            "insurance": "SELECT count(*) FROM policies WHERE loan_id = :l AND state = 'in_force'",
            "guarantee": "SELECT count(*) FROM guarantees WHERE loan_id = :l AND state IN ('reserved', 'issued')",
        }
        return {service: n for service, sql in questions.items() if (n := self._count(service, sql, loan_id))}

    def _count(self, service: str, sql: str, loan_id: str) -> int:
        admin = create_engine(self.town.databases[service].admin_url)
        try:
            with admin.connect() as connection:
                return int(connection.scalar(text(sql), {"l": loan_id}) or 0)
        finally:
            admin.dispose()
