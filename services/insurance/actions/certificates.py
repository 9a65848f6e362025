"""Certificates: a policy as it stands, in words that a third party may rely on."""

import hashlib
from typing import Any

from services.insurance.actions.reasons import PERILS
from services.insurance.tables import Policy
from shared import clock
from shared.strict_json import canonical

_CLAUSES = {
    "lender": (
        "贷款人条款（被保险人违约不影响贷款人受偿）",
        "lender's clause: the bank is paid even if the owner broke the policy",
    ),
    "simple": (
        "简单赔付条款（贷款人权利不优于被保险人）",
        "simple clause: the bank has no better right than the owner",
    ),
}


def certificate(policy: Policy) -> dict[str, Any]:
    """What a certificate of a policy says, and the hash of its content."""
    clause = _CLAUSES[policy.terms["lender_clause"]]
    content = {
        "policy": str(policy.id),
        "insurer": policy.institution,
        "first_loss_payee": policy.bank,
        "loan": str(policy.loan_id),
        "state": policy.state,
        "sum_insured": str(policy.sum_insured),
        "remaining": str(policy.remaining),
        "insured_quantity": policy.terms.get("insured_quantity", "carbon_value"),
        "inception": policy.inception.isoformat(),
        "ends_on": policy.ends_on.isoformat(),
        "perils": ",".join(policy.perils),
        "lender_clause": policy.terms["lender_clause"],
        "version": str(policy.version),
        "issued_on": clock.today().isoformat(),
    }
    perils = [PERILS[peril] for peril in policy.perils]
    return {
        "content": content,
        "zh": (
            f"兹证明：保险单{policy.id}自{policy.inception}起至{policy.ends_on}（不含）止，承保林业碳汇价值，"
            f"保险金额{policy.sum_insured}元，尚余{policy.remaining}元；"
            f"责任范围：{'、'.join(zh for zh, _ in perils)}；第一受益人：{policy.bank}；{clause[0]}。"
        ),
        "en": (
            f"Policy {policy.id} covers the carbon value of forests from {policy.inception} up to but without"
            f" {policy.ends_on}. Sum insured {policy.sum_insured} CNY, of which {policy.remaining} CNY remain."
            f" Perils: {', '.join(en for _, en in perils)}. First loss payee: {policy.bank}; {clause[1]}."
        ),
        "sha256": hashlib.sha256(canonical(content)).hexdigest(),
    }
