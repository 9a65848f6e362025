"""The page of a certificate: it prints on A4, alone or to a PDF, and needs nothing from elsewhere."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.clock import BUSINESS

#: A phrase in Chinese and English.
Said = tuple[str, str]


@dataclass(frozen=True)
class Page:
    """What stands on the page of one certificate, between its title and its code."""

    title: Said
    facts: Sequence[tuple[Said, str]]
    columns: Sequence[Said]
    rows: Sequence[Sequence[str]]
    remarks: Sequence[Said]


#: How a certificate stands, as its page tells it.
_STANDS = {
    "valid": ("登记簿现与本证书一致", "The register says the same today"),
    "superseded": (
        "登记簿此后已有变动，本证书已被取代，不再反映现状",
        "SUPERSEDED: the register has changed since, this no longer says how things stand",
    ),
    "void": ("无效", "NOT VALID"),
}


def render(page: Page, *, code: str, content_hash: str, state: str, checked_at: datetime) -> str:
    """A page in Chinese and English with its style inside: no script, no picture, no address to fetch.

    How the certificate stands was true when it was held against the register, so a print says when that was.
    """
    checked = moment(checked_at)
    stands = _both(_STANDS[state])
    told = _both((f"核对于北京时间 {checked}", f"checked at {checked} Beijing time"))
    facts = "".join(f"<tr><th>{_both(name)}</th><td>{_t(value)}</td></tr>" for name, value in page.facts)
    head = "".join(f"<th>{_both(name)}</th>" for name in page.columns)
    rows = page.rows or [["无 · none", *[""] * (len(page.columns) - 1)]]
    body = "".join("<tr>" + "".join(f"<td>{_t(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    notes = "".join(f"<li>{_both(remark)}</li>" for remark in page.remarks)
    return (
        '<!doctype html><html lang="zh"><head><meta charset="utf-8">'
        f"<title>{_t(page.title[0])} · {_t(page.title[1])} {_t(code)}</title><style>{_STYLE}"
        f'@page{{@bottom-center{{content:"{_t(code)} · " counter(page) " / " counter(pages)}}}}</style></head><body>'
        f'<h1>{_both(page.title)}</h1><p class="{state}">{stands}</p><p class="checked">{told}</p>'
        f'<table class="facts"><tbody>{facts}</tbody></table>'
        f'<table class="rows"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        f"<ul>{notes}</ul>"
        f"<footer>验证码 · Verification code <b>{_t(code)}</b><br>"
        f"凭验证码可向登记系统核验 · Anybody can verify it with the register: <code>/v1/certificates/{_t(code)}</code>"
        f"<br><code>SHA-256 {_t(content_hash)}</code></footer></body></html>"
    )


def moment(at: datetime) -> str:
    """A moment by the clock on the wall."""
    return at.astimezone(BUSINESS).strftime("%Y-%m-%d %H:%M:%S")


def _both(said: Said) -> str:
    return f'{_t(said[0])}<br><small lang="en">{_t(said[1])}</small>'


def _t(text: str) -> str:
    return html.escape(text, quote=True)


_STYLE = (
    "@page{size:A4;margin:18mm}"
    'body{font:11pt/1.5 "Noto Serif CJK SC","Songti SC",SimSun,serif;max-width:174mm;margin:auto;color:#111}'
    "h1{text-align:center;color:#264;font-size:18pt}small{color:#555;font-weight:normal}"
    "table{width:100%;border-collapse:collapse;margin:6mm 0}th,td{border:.3mm solid #999;padding:1mm 2mm;"
    "text-align:left;vertical-align:top;overflow-wrap:anywhere}.facts th{width:36%;background:#f4f4f0}"
    "thead{display:table-header-group}tr,li,footer{break-inside:avoid}.valid,.checked{text-align:center}"
    ".superseded,.void{color:#b00;font-size:16pt;text-align:center;border:1mm solid #b00;padding:2mm}"
    "footer{border-top:.3mm solid #999;margin-top:8mm;font-size:10pt}code{font-size:8pt;overflow-wrap:anywhere}"
    "@media print{*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}"
)
