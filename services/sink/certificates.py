"""Certificates: a code nobody can guess, a hash of what is certified, and a page that prints and needs nothing else.

A certificate's content is a mapping of JSON data and is described by `Fact`s and a table, so that a lien or anything
else that is certified can be rendered here too.
"""

import hashlib
import html
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.strict_json import canonical

#: No letters or digits that people mistake for each other.
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
_GROUPS, _GROUP = 4, 5
CODE_PATTERN = rf"^HW(-[{_ALPHABET}]{{{_GROUP}}}){{{_GROUPS}}}$"


@dataclass(frozen=True)
class Fact:
    """A line of a certificate: what it is in both languages, and what it says."""

    zh: str
    en: str
    value: str


def new_code() -> str:
    """A code for a new certificate: 98 bits by chance."""
    groups = ("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))
    return "HW-" + "-".join(groups)


def written(content: Mapping[str, Any]) -> str:
    """The content as the one text that is kept and hashed."""
    return canonical(content).decode("utf-8")


def digest(text: str) -> str:
    """SHA-256 of a certificate's text."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def render(
    title: tuple[str, str],
    facts: Sequence[Fact],
    columns: Sequence[tuple[str, str]],
    rows: Sequence[Sequence[str]],
    remarks: Sequence[tuple[str, str]],
    *,
    code: str,
    content_hash: str,
    valid: bool,
) -> str:
    """A page in Chinese and English with its style inside: no script, no picture, no address to fetch."""
    lines = "".join(
        f"<tr><th>{_t(fact.zh)}<br><small>{_t(fact.en)}</small></th><td>{_t(fact.value)}</td></tr>" for fact in facts
    )
    head = "".join(f"<th>{_t(zh)}<br><small>{_t(en)}</small></th>" for zh, en in columns)
    body = "".join("<tr>" + "".join(f"<td>{_t(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    notes = "".join(f"<li>{_t(zh)}<br><small>{_t(en)}</small></li>" for zh, en in remarks)
    state = "" if valid else '<p class="void">无效 · NOT VALID</p>'
    return (
        '<!doctype html><html lang="zh"><head><meta charset="utf-8">'
        f"<title>{_t(title[0])} · {_t(title[1])} {_t(code)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{_t(title[0])}<br><small>{_t(title[1])}</small></h1>{state}"
        f'<table class="facts">{lines}</table>'
        f'<table class="rows"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        f"<ul>{notes}</ul>"
        f"<footer>验证码 · Verification code <b>{_t(code)}</b><br><code>SHA-256 {_t(content_hash)}</code></footer>"
        "</body></html>"
    )


def _t(text: str) -> str:
    return html.escape(text, quote=True)


_STYLE = (
    "@page{size:A4;margin:20mm}body{font:12pt/1.5 serif;max-width:170mm;margin:auto;padding:8mm;border:2px solid #264}"
    "h1{text-align:center;color:#264}small{color:#555;font-weight:normal}table{width:100%;border-collapse:collapse;"
    "margin:6mm 0}th{text-align:left;vertical-align:top}.facts th{width:40%}.rows th,.rows td{border:1px solid #999;"
    "padding:1mm 2mm}.void{color:#b00;font-size:24pt;text-align:center}footer{border-top:1px solid #999;margin-top:8mm;"
    "font-size:10pt}code{font-size:8pt;word-break:break-all}li{margin:1mm 0}"
)
