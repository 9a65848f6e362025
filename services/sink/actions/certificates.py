"""Lien certificates: what the register says of a lien on a day, word for word, for anybody who holds its code."""

import hashlib
import html
import json
import secrets
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from services.sink.actions import ledger
from services.sink.tables import LIENS, Asset, LienCertificate, Pledge, UnitEntry, unspent
from shared import audit, clock
from shared.db import found
from shared.errors import NotFoundError
from shared.events.base import write_moment
from shared.strict_json import canonical

#: Hexadecimal digits of a code: 160 bits of the hash of the content, which holds a secret of its own.
CODE_LENGTH = 40


@dataclass(frozen=True)
class Certificate:
    """A certificate, and whether the register would say the same today."""

    code: str
    content: dict[str, Any]
    issued_at: Any
    current: bool


def certify_again(session: Session, pledge_id: UUID) -> Certificate:
    """Certify one of the caller's liens as it stands now: units of it may have been issued since the last time."""
    row = certify(session, found(session, Pledge, pledge_id))
    audit.record(session, "certify_lien", pledge_id, code=row.code)
    session.flush()
    return _read(session, row)


def certify(session: Session, pledge: Pledge) -> LienCertificate:
    """Write down what the register says of a lien of the institution that acts, as each change of a lien does."""
    asset = found(session, Asset, pledge.asset_id)
    now = clock.now()
    content = {
        "pledge_id": str(pledge.id),
        "bank": pledge.institution,
        "loan_id": str(pledge.loan_id),
        "asset_id": str(asset.id),
        "asset_name": asset.name,
        "registrar": asset.registrar,
        "county": asset.county,
        "programme": asset.programme,
        "rank": pledge.rank,
        "loan_until": pledge.loan_until.isoformat(),
        "issued_at": write_moment(now),
        # A secret, so that nobody finds the code by guessing at what a certificate says.
        "seal": secrets.token_hex(16),
        **_standing(session, pledge.id),
    }
    written = canonical(content)
    row = LienCertificate(
        code=hashlib.sha256(written).hexdigest()[:CODE_LENGTH],
        institution=pledge.institution,
        pledge_id=pledge.id,
        content=written.decode(),
        issued_at=now,
    )
    session.add(row)
    return row


def latest_certificate(session: Session, pledge_id: UUID) -> Certificate:
    """The last certificate of one of the caller's liens."""
    found(session, Pledge, pledge_id)
    newest = select(LienCertificate).where(LienCertificate.pledge_id == pledge_id)
    row = session.scalars(newest.order_by(LienCertificate.issued_at.desc()).limit(1)).first()
    if row is None:
        raise NotFoundError("this pledge is older than the certificates; ask for one with POST")
    return _read(session, row)


def certificate(session: Session, code: str) -> Certificate:
    """The certificate with a code, whoever asks: the code is what entitles to see it."""
    if len(code) != CODE_LENGTH or not set(code) <= set("0123456789abcdef"):
        raise NotFoundError("the register issued no certificate with this code")
    session.execute(text("SELECT set_config('app.certificate', :code, true)"), {"code": code})
    row = session.get(LienCertificate, code)
    if row is None or hashlib.sha256(row.content.encode()).hexdigest()[:CODE_LENGTH] != code:
        raise NotFoundError("the register issued no certificate with this code")
    return _read(session, row)


def _read(session: Session, row: LienCertificate) -> Certificate:
    content = json.loads(row.content)
    now = _standing(session, row.pledge_id)
    return Certificate(row.code, content, row.issued_at, all(content[name] == said for name, said in now.items()))


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


# -- the page ---------------------------------------------------------------------------------------------------------

_STATES = {
    "placed": "在押 placed",
    "frozen": "冻结 frozen",
    "released": "已解除 released",
    "enforced": "已执行 enforced",
}


def page(shown: Certificate) -> str:
    """The certificate as one page to print, in Chinese and English, that needs nothing from elsewhere."""
    said = shown.content
    rows = [
        ("质权人", "Pledgee", said["bank"]),
        ("贷款", "Loan", said["loan_id"]),
        ("林地", "Forest", f"{said['asset_name']} ({said['asset_id']})"),
        ("登记机构", "Registrar", said["registrar"]),
        ("机制", "Programme", said["programme"]),
        ("质押编号", "Pledge", said["pledge_id"]),
        ("顺位", "Rank", said["rank"]),
        ("状态", "State", _STATES[said["state"]]),
        ("质押吨数 (tCO₂e)", "Tonnes pledged", said["tonnes"]),
        ("其中尚未签发", "Not issued yet", said["forecast_tonnes"]),
        ("贷款到期日", "Loan until", said["loan_until"]),
        ("出具时间", "Issued at", said["issued_at"]),
    ]
    table = "".join(
        f"<tr><th>{html.escape(zh)}<br><span lang=en>{html.escape(en)}</span><td>{html.escape(str(value))}"
        for zh, en, value in rows
    )
    ranges = "".join(f"<li>{html.escape(one)}" for one in said["serials"]) or "<li>无 · none issued yet"
    code = " ".join(shown.code[i : i + 4] for i in range(0, CODE_LENGTH, 4))
    standing = (
        "登记簿现与本证明一致。 The register still says the same."
        if shown.current
        else "登记簿此后已有变动，本证明不再反映现状。"
        " The register has changed since: this no longer says how things stand."
    )
    return _PAGE.format(table=table, ranges=ranges, code=code, standing=standing)


_PAGE = """<!doctype html><html lang="zh"><head><meta charset="utf-8">
<title>质押登记证明 · Certificate of lien</title><style>
@page {{ size: A4; margin: 18mm }}
body {{ font: 11pt/1.5 "Noto Serif CJK SC", "Songti SC", SimSun, serif; max-width: 174mm; margin: auto; color: #111 }}
h1 {{ font-size: 18pt; text-align: center; margin: 6mm 0 }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ border: .3mm solid #777; padding: 1.5mm 3mm; text-align: left; vertical-align: top }}
th {{ width: 34%; font-weight: 600; background: #f4f4f0 }}
span {{ font-weight: 400; color: #444 }}
code, li {{ font-family: monospace; overflow-wrap: anywhere }}
</style></head><body><h1>碳汇单位质押登记证明<br>Certificate of a lien on carbon units</h1><table>{table}</table>
<h2>序列号区间 Serial ranges</h2><ul>{ranges}</ul>
<p>{standing}</p>
<p>验证码 Verification code<br><code>{code}</code></p>
<p>凭验证码可向登记系统核验（GET /v1/certificates/验证码，去除空格）。
全国碳市场注册登记机构不登记质押，本证明仅反映本登记簿的记载。<br>
<span lang="en">Anybody with the code can verify this with the register (GET /v1/certificates/code, without the spaces).
The national registries record no liens: this certificate says what this register holds, no more.</span></p>
</body></html>
"""
