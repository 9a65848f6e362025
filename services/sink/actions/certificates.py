"""Certificates: what the register says of a lien or of retired units, word for word, for whoever holds the code.

A certificate is written once. What it says is held against the register each time it is shown: one that the register
has moved on from is superseded, one whose words were changed or whose retirements do not stand is void.
"""

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from services.sink.actions import ledger
from services.sink.actions.certificate_pages import Page, moment, render
from services.sink.tables import LIENS, Asset, Certificate, Pledge, Retirement, UnitEntry, unspent
from shared import audit, clock, timers, watchers
from shared.db import found
from shared.errors import NotFoundError
from shared.events.base import write_moment
from shared.strict_json import canonical

#: No letters or digits that people mistake for each other.
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
_GROUPS, _GROUP = 4, 5
CODE_PATTERN = rf"^HW(-[{_ALPHABET}]{{{_GROUP}}}){{{_GROUPS}}}$"
#: The longest code there ever was.
_LONGEST = 40


@dataclass(frozen=True)
class Shown:
    """A certificate, and how it stands against the register of now."""

    code: str
    kind: str
    content: dict[str, Any]
    content_hash: str
    issued_at: datetime
    #: valid, superseded or void
    state: str
    #: What the register says today of what a certificate like this one is of.
    register: dict[str, Any]

    @property
    def page(self) -> str:
        """The certificate as a page to print."""
        told = KINDS[self.kind].page(self.content)
        return render(told, code=self.code, content_hash=self.content_hash, state=self.state, checked_at=clock.now())


@dataclass(frozen=True)
class Kind:
    """What certificates of one kind have in common."""

    #: What the register says now of the part of a content that can change there.
    register: Callable[[Session, Mapping[str, Any]], dict[str, Any]]
    #: What a certificate is when the register says something else.
    otherwise: str
    page: Callable[[Mapping[str, Any]], Page]


# -- every certificate ------------------------------------------------------------------------------------------------


def issue(
    session: Session, kind: str, institution: str, registrar: str, subject_id: UUID, content: Mapping[str, Any]
) -> Certificate:
    """Certify a content under a new code: 98 bits by chance."""
    groups = ("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))
    words = canonical(content).decode()
    row = Certificate(
        code="HW-" + "-".join(groups),
        kind=kind,
        institution=institution,
        registrar=registrar,
        subject_id=subject_id,
        content=words,
        content_hash=digest(words),
        issued_at=clock.now(),
    )
    session.add(row)
    audit.record(session, f"certify_{kind}", subject_id, content_hash=row.content_hash)
    return row


def verify(session: Session, code: str) -> Shown:
    """Find a certificate by its code, whoever asks: the code is what entitles to see it."""
    if 0 < len(code) <= _LONGEST and code.isascii() and code.isprintable():
        session.execute(text("SELECT set_config('app.certificate', :code, true)"), {"code": code})
        row = session.get(Certificate, code)
        if row is not None:
            return show(session, row)
    raise NotFoundError("the register issued no certificate with this code")


def show(session: Session, row: Certificate) -> Shown:
    """A certificate, held against the register."""
    kind, content = KINDS[row.kind], json.loads(row.content)
    register = kind.register(session, content)
    if digest(row.content) != row.content_hash:
        state = "void"
    else:
        state = "valid" if all(content[name] == said for name, said in register.items()) else kind.otherwise
    return Shown(row.code, row.kind, content, row.content_hash, row.issued_at, state, register)


def digest(words: str) -> str:
    """SHA-256 of a certificate's text."""
    return hashlib.sha256(words.encode("utf-8")).hexdigest()


# -- liens ------------------------------------------------------------------------------------------------------------


def certify(session: Session, pledge: Pledge) -> Certificate:
    """Certify a lien of the institution that acts, as each change of it does."""
    asset = found(session, Asset, pledge.asset_id)
    content = {
        "pledge_id": str(pledge.id),
        "bank": pledge.institution,
        "loan_id": str(pledge.loan_id),
        "asset_id": str(asset.id),
        "asset_name": asset.name,
        "registrar": asset.registrar,
        "county": asset.county,
        "programme": asset.programme,
        "owner": asset.owner,
        "title_kind": asset.title_kind,
        "title_number": asset.title_number,
        "rank": pledge.rank,
        "loan_until": pledge.loan_until.isoformat(),
        "issued_at": write_moment(clock.now()),
        **_standing(session, pledge.id),
    }
    return issue(session, "lien", pledge.institution, asset.registrar, pledge.id, content)


def certify_again(session: Session, pledge_id: UUID) -> Shown:
    """Certify one of the caller's liens as it stands now."""
    row = certify(session, found(session, Pledge, pledge_id))
    session.flush()
    return show(session, row)


def latest_certificate(session: Session, pledge_id: UUID) -> Shown:
    """The last certificate of one of the caller's liens."""
    found(session, Pledge, pledge_id)
    row = _latest(session, pledge_id)
    if row is None:
        raise NotFoundError("this pledge is older than the certificates; ask for one with POST")
    return show(session, row)


def liens_moved(session: Session, asset: Asset) -> None:
    """Let the liens on an asset be certified anew: units under them were issued, and the registrar knows no bank."""
    timers.put(session, "certify_liens", asset.id, clock.now())


def certify_liens(session: Session, asset_id: UUID) -> None:
    """Certify anew what stands otherwise than its last certificate says, for each bank with a lien on an asset."""
    for _ in watchers.each(session, asset_id):
        for pledge in session.scalars(select(Pledge).where(Pledge.asset_id == asset_id).order_by(Pledge.id)):
            last = _latest(session, pledge.id)
            if last is None or show(session, last).state == "superseded":
                certify(session, pledge)
        session.flush()


def _latest(session: Session, pledge_id: UUID) -> Certificate | None:
    newest = select(Certificate).where(Certificate.kind == "lien", Certificate.subject_id == pledge_id)
    return session.scalars(newest.order_by(Certificate.issued_at.desc(), Certificate.code).limit(1)).first()


_STATE_OF = {"pledged": "placed", "frozen": "frozen", "enforced": "enforced"}


def _standing(session: Session, pledge_id: UUID) -> dict[str, Any]:
    """What the ledger, which everybody may read, says of a lien; a released one has no units."""
    lines = list(
        session.scalars(
            select(UnitEntry)
            .where(UnitEntry.pledge_id == pledge_id, UnitEntry.account.in_(LIENS), unspent())
            .order_by(UnitEntry.first_serial)
        )
    )
    issued = [line for line in lines if line.first_serial is not None]
    states = {line.account for line in lines}
    return {
        # A lien is frozen or enforced as a whole.
        "state": _STATE_OF[states.pop()] if states else "released",
        "tonnes": format(ledger.total(lines).quantize(ledger.ZERO), "f"),
        "forecast_tonnes": format((ledger.total(lines) - ledger.total(issued)).quantize(ledger.ZERO), "f"),
        "serials": ledger.serials(session, issued),
    }


_STATES = {
    "placed": "在押 placed",
    "frozen": "冻结 frozen",
    "released": "已解除 released",
    "enforced": "已执行 enforced",
}


def _lien_page(said: Mapping[str, Any]) -> Page:
    return Page(
        ("碳汇单位质押登记证明", "Certificate of a lien on carbon units"),
        [
            (("质权人", "Pledgee"), said["bank"]),
            # By the key of the registrar's files: the register holds no person's name.
            (("出质人档案号", "Pledgor, by the registrar's file"), said.get("owner") or _UNSAID),
            (("贷款", "Loan"), said["loan_id"]),
            (("林地", "Forest"), f"{said['asset_name']} ({said['asset_id']})"),
            (("权属凭证", "Title"), _title(said)),
            (("登记机构", "Registrar"), said["registrar"]),
            (("机制", "Programme"), said["programme"]),
            (("质押编号", "Pledge"), said["pledge_id"]),
            (("顺位", "Rank"), str(said["rank"])),
            (("状态", "State"), _STATES[said["state"]]),
            (("质押吨数", "Tonnes pledged"), f"{said['tonnes']} tCO₂e"),
            (("其中尚未签发", "Not issued yet"), f"{said['forecast_tonnes']} tCO₂e"),
            (("贷款到期日", "Loan until"), said["loan_until"]),
            (("出具时间（北京时间）", "Issued at (Beijing time)"), moment(datetime.fromisoformat(said["issued_at"]))),
        ],
        [("批次", "Batch"), ("年份区间", "Vintage"), ("序列号区间", "Serial range"), ("数量 tCO₂e", "Units")],
        [_serial_range(one) for one in said["serials"]],
        [
            (
                "全国碳市场注册登记机构不登记质押，本证明仅反映本登记簿的记载。",
                "The national registries record no liens: this certificate says what this register holds, no more.",
            )
        ],
    )


def _serial_range(written: str) -> list[str]:
    """A range as the ledger writes it, `batch:first-last`, in its parts; a batch's name tells its vintage."""
    batch, _, numbers = written.rpartition(":")
    first, _, last = numbers.partition("-")
    begins, ends = (date.fromisoformat(day).isoformat() for day in batch.split("-")[-3:-1])
    return [batch, f"{begins} – {ends}", f"{first} – {last}", str(int(last) - int(first) + 1)]


_UNSAID = "—"
_TITLES = {
    "certificate": "不动产权证书 certificate",
    "contract": "承包或流转合同 contract",
    "approved_deed": "批准文件 approved deed",
}


def _title(said: Mapping[str, Any]) -> str:
    """What the title is and where it is written down; certificates of before tell neither."""
    return " ".join(filter(None, (_TITLES.get(said.get("title_kind") or ""), said.get("title_number")))) or _UNSAID


# -- retired units ----------------------------------------------------------------------------------------------------


def _retired(session: Session, content: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the retirements named that stand in the register as they are named, and their sum."""
    named = content["retirements"]
    rows = session.scalars(select(Retirement).where(Retirement.id.in_([UUID(one["retirement_id"]) for one in named])))
    standing = {str(row.id): (row.tonnes, row.serials) for row in rows}
    stand = [one for one in named if standing.get(one["retirement_id"]) == (Decimal(one["tonnes"]), one["serials"])]
    tonnes = sum((Decimal(one["tonnes"]) for one in stand), ledger.ZERO)
    said = content["tonnes"]
    return {"retirements": stand, "tonnes": said if tonnes == Decimal(said) else format(tonnes, "f")}


def _retired_page(said: Mapping[str, Any]) -> Page:
    remarks = [("所列碳汇单位已注销，不得再次使用。", "The units named are retired and cannot be used again.")]
    if said["unverified_parameters"]:
        names = ", ".join(said["unverified_parameters"])
        remarks.append(
            (f"估算使用了未经核实的参数：{names}。", f"The estimate rests on parameters nobody verified: {names}.")
        )
    return Page(
        ("碳汇补偿证书", "Certificate of carbon compensation")
        if said["kind"] == "purchase"
        else ("占用林地碳汇补偿证书", "Certificate of compensation for forest land"),
        [
            (("受益人", "Beneficiary"), said["beneficiary"]),
            (("用途", "Purpose"), said["purpose"]),
            (("注销数量", "Units retired"), f"{said['tonnes']} tCO₂e"),
            (("注销日期", "Retired on"), said["retired_on"]),
            (("登记机构", "Registrar"), said["registrar"]),
        ],
        [("林地", "Forest"), ("县区", "County"), ("数量 tCO₂e", "Tonnes"), ("序列号", "Serials")],
        [[one["asset"], one["county"], one["tonnes"], " ".join(one["serials"])] for one in said["retirements"]],
        remarks,
    )


KINDS: Mapping[str, Kind] = {
    "lien": Kind(lambda session, content: _standing(session, UUID(content["pledge_id"])), "superseded", _lien_page),
    "purchase": Kind(_retired, "void", _retired_page),
    "land_use": Kind(_retired, "void", _retired_page),
}
