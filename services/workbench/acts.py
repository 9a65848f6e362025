"""What a person may do to a case: who may, when, what it asks for, what follows. The pages are made of this table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from services.workbench.visitors import Visitor

Words = tuple[str, str]


@dataclass(frozen=True)
class Field:
    """One thing an act asks for: a text, an amount of money, a choice, or what the person was shown (`seen`)."""

    name: str
    says: Words
    kind: str = "text"
    choices: tuple[tuple[str, Words], ...] = ()
    #: For `seen`: where the value stands in what the page showed.
    of: Callable[[Mapping[str, Any]], Any] | None = None
    #: What a choice or a fixed value becomes in the request.
    sent: Callable[[str], Any] = str


@dataclass(frozen=True)
class Act:
    """A deed: its button, its consequences, and the request it becomes."""

    name: str
    button: Words
    follows: Words
    service: str
    path: str
    scope: str
    states: tuple[str, ...]
    fields: tuple[Field, ...] = ()
    #: Whether the service wants the version that was seen.
    versioned: bool = False
    #: The one a person would do next; the others stand behind it.
    next: bool = False
    #: Shows the offer whole, as the hash that is sent stands for it.
    shows_offer: bool = False
    #: Approves what waits for a second person, which the page then looks up as `waiting_hash`.
    approves: bool = False


def money(text: str) -> dict[str, str]:
    """An amount as typed, with its thousands separators, as the services take it."""
    try:
        value = Decimal(text.replace(",", "").replace(" ", ""))
        return {"amount": f"{value:.2f}" if value == round(value, 2) else text, "currency": "CNY"}
    except (InvalidOperation, ValueError):
        return {"amount": text, "currency": "CNY"}


def whole(text: str) -> Any:
    """A whole number as typed; what is none goes as it is, and is refused by the service by name."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text or None


def share(per_cent: str) -> str:
    """Per cent as typed, as the decimal share that the services take."""
    try:
        return f"{Decimal(per_cent.strip()) / 100:f}"
    except InvalidOperation:
        return per_cent


def _yes(text: str) -> bool:
    return text == "yes"


COMMENT = Field("comment", ("说明", "Comment"))
_OFFER = Field("payload_hash", ("", ""), "seen", of=lambda loan: loan["offer"]["payload_hash"])
_PROPOSAL = Field("payload_hash", ("", ""), "seen", of=lambda cover: cover["proposal_hash"] or "")
_PLACED = Field("payload_hash", ("", ""), "seen", of=lambda allocation: allocation["payload_hash"])
_OUTSTANDING = ("performing", "margin_called")

ACTS: dict[str, tuple[Act, ...]] = {
    "loan": (
        Act(
            "approve",
            ("批准要约", "Approve the offer"),
            (
                "要约按下方内容发给借款人，14 天内有效。",
                "The offer goes to the borrower exactly as below, valid for 14 days.",
            ),
            "credit",
            "/loans/{id}/approval",
            "credit:approve",
            ("proposed",),
            (_OFFER, Field("approve", ("", ""), "fixed", of=lambda _: True), COMMENT),
            next=True,
            shows_offer=True,
        ),
        Act(
            "reject",
            ("否决要约", "Reject the offer"),
            (
                "申请以拒绝结束，保险与担保的预留随即解除。",
                "The application ends declined; insurer and guarantor let go of what they hold.",
            ),
            "credit",
            "/loans/{id}/approval",
            "credit:approve",
            ("proposed",),
            (_OFFER, Field("approve", ("", ""), "fixed", of=lambda _: False), COMMENT),
            shows_offer=True,
        ),
        Act(
            "decide",
            ("作出人工决定", "Decide by hand"),
            (
                "同意则继续询保险与担保；拒绝则申请结束。说明会写入审计记录。",
                "Approval goes on to insurer and guarantor; a decline ends the application. The comment is kept.",
            ),
            "credit",
            "/loans/{id}/referral",
            "credit:decide",
            ("referred",),
            (
                Field(
                    "decision",
                    ("决定", "Decision"),
                    "choice",
                    (("proceed", ("同意", "Approve")), ("decline", ("拒绝", "Decline"))),
                ),
                COMMENT,
            ),
            next=True,
        ),
        Act(
            "accept",
            ("借款人接受要约", "The borrower accepts"),
            (
                "质押登记、保单和保函随即落实；全部落实后可放款。",
                "Pledge, policy and guarantee are now put in place; the money can flow when all stand.",
            ),
            "credit",
            "/loans/{id}/acceptance",
            "credit:apply",
            ("offered",),
            versioned=True,
            next=True,
        ),
        Act(
            "disburse",
            ("放款", "Disburse"),
            ("贷款金额付出，还款计划从今天起算。", "The money is paid out and the schedule runs from today."),
            "credit",
            "/loans/{id}/disbursement",
            "credit:disburse",
            ("ready",),
            versioned=True,
            next=True,
        ),
        Act(
            "repay",
            ("记入还款", "Record a payment"),
            (
                "先冲利息，再冲本金；追加押品状态下还款可使其恢复正常。",
                "Interest first, then principal; under a margin call a payment can cure it.",
            ),
            "credit",
            "/loans/{id}/repayments",
            "credit:service",
            _OUTSTANDING,
            (Field("amount", ("金额（元）", "Amount (CNY)"), "money", sent=money),),
            next=True,
        ),
        Act(
            "top-up",
            ("追加质押", "Pledge a further forest"),
            (
                "登记处为此贷款增设一项质押；补足后追加押品状态解除。",
                "The register places a further lien for this loan; a call is cured when it is enough.",
            ),
            "credit",
            "/loans/{id}/top-up",
            "credit:service",
            _OUTSTANDING,
            (Field("asset_id", ("林地编号", "Forest's id")), Field("tonnes", ("数量（吨）", "Tonnes"), "money")),
        ),
        Act(
            "release",
            ("部分解押", "Release a part"),
            (
                "登记处解除这部分质押；解除后贷款价值比仍须不超过准入上限。",
                "The register lets this part go; what is left must still carry the loan as at the start.",
            ),
            "credit",
            "/loans/{id}/release",
            "credit:service",
            ("performing",),
            (Field("asset_id", ("林地编号", "Forest's id")), Field("tonnes", ("数量（吨）", "Tonnes"), "money")),
        ),
        Act(
            "review",
            ("申请人工复议", "Ask for human review"),
            ("由另一人在期限内重新审查，并说明理由。", "Another person looks again within the period and says why."),
            "credit",
            "/loans/{id}/review",
            "credit:apply",
            ("declined", "referred"),
            (
                Field(
                    "grounds",
                    ("理由", "Grounds"),
                    "choice",
                    (
                        ("facts_wrong", ("事实有误", "facts are wrong")),
                        ("facts_missing", ("事实有缺", "facts are missing")),
                        ("circumstances_changed", ("情况变化", "circumstances changed")),
                        ("not_explained", ("未作解释", "not explained")),
                        ("other", ("其他", "other")),
                    ),
                ),
            ),
        ),
        Act(
            "decide-review",
            ("作出复议决定", "Decide the review"),
            (
                "维持原决定，或推翻并以新申请继续；说明会告知借款人。",
                "Uphold, or overturn and go on as a new application; the borrower is told the explanation.",
            ),
            "credit",
            "/loans/{id}/review/decision",
            "credit:decide",
            ("declined", "referred"),
            (
                Field(
                    "decision",
                    ("决定", "Decision"),
                    "choice",
                    (("uphold", ("维持", "uphold")), ("overturn", ("推翻", "overturn"))),
                ),
                Field(
                    "reason_code",
                    ("理由", "Reason"),
                    "choice",
                    (
                        ("machine_confirmed", ("与原判断一致", "the machine was right")),
                        ("facts_corrected", ("事实已更正", "facts corrected")),
                        ("accounts_seen", ("已看账目", "accounts seen")),
                        ("risk_mitigated", ("风险已缓释", "risk mitigated")),
                        ("repayment_source", ("还款来源", "source of repayment")),
                        ("other", ("其他", "other")),
                    ),
                ),
                Field("explanation", ("向借款人说明", "Explanation to the borrower")),
            ),
        ),
        Act(
            "default",
            ("认定违约", "Declare a default"),
            (
                "担保人收到代偿请求，押品可以处置。此步不可撤回。",
                "The guarantor is called and the pledge may be enforced. This cannot be taken back.",
            ),
            "credit",
            "/loans/{id}/default",
            "credit:service",
            _OUTSTANDING,
            (
                Field(
                    "ground",
                    ("理由", "Ground"),
                    "choice",
                    (
                        ("overdue", ("逾期", "overdue")),
                        ("insolvency", ("破产", "insolvency")),
                        ("misuse", ("挪用", "misuse")),
                        ("cross_default", ("交叉违约", "cross default")),
                        ("unlikely_to_pay", ("不大可能偿付", "unlikely to pay")),
                    ),
                ),
                COMMENT,
            ),
        ),
        Act(
            "enforce",
            ("处置押品", "Enforce the pledge"),
            ("登记处按受偿次序处置质押的碳汇量。", "The register moves the pledged units by rank."),
            "credit",
            "/loans/{id}/enforcement",
            "credit:service",
            ("defaulted",),
            next=True,
        ),
        Act(
            "recover",
            ("记入追偿款", "Record a recovery"),
            ("扣除费用后，按各方分担比例分给银行与担保人。", "After costs it is shared between bank and guarantors."),
            "credit",
            "/loans/{id}/recoveries",
            "credit:service",
            ("defaulted", "enforcing"),
            (
                Field("amount", ("金额（元）", "Amount (CNY)"), "money", sent=money),
                Field("costs", ("费用（元）", "Costs (CNY)"), "money", sent=money),
                Field(
                    "source",
                    ("来源", "From"),
                    "choice",
                    (
                        ("carbon", ("碳汇处置", "carbon")),
                        ("insurance", ("保险", "insurance")),
                        ("borrower", ("借款人", "borrower")),
                    ),
                ),
            ),
            next=True,
        ),
        Act(
            "close",
            ("结清", "Close"),
            ("未收回的余额核销，各方责任终止。", "What was not recovered is written off and every leg ends."),
            "credit",
            "/loans/{id}/closing",
            "credit:service",
            ("defaulted", "enforcing"),
        ),
        Act(
            "withdraw",
            ("撤回申请", "Withdraw"),
            ("申请结束，各方解除其预留。", "The application ends and each leg lets go of what it holds."),
            "credit",
            "/loans/{id}/withdrawal",
            "credit:apply",
            ("applied", "scored", "referred", "structuring", "proposed", "offered", "binding", "ready"),
            (Field("reason", ("原因", "Reason")),),
        ),
    ),
    "forest": (
        Act(
            "value",
            ("重新估值", "Value it again"),
            (
                "新的估值版本发给所有持有质押、保单和保函的机构。",
                "Everybody who holds a lien, policy or guarantee on it hears of the new value.",
            ),
            "sink",
            "/assets/{id}/valuations",
            "sink:value",
            (),
            next=True,
        ),
    ),
    "cover": (
        Act(
            "propose",
            ("提出承保价格", "Propose this price"),
            (
                "另一位核保人须按同一价格批准，银行才会收到报价。",
                "Another underwriter must approve this very price before the bank hears of it.",
            ),
            "insurance",
            "/covers/{id}/proposal",
            "insurance:underwrite",
            ("referred",),
            (COMMENT,),
            next=True,
        ),
        Act(
            "approve",
            ("批准承保价格", "Approve the price"),
            ("报价发给银行，到期前有效。", "The quote goes to the bank and stands until it expires."),
            "insurance",
            "/covers/{id}/approval",
            "insurance:underwrite",
            ("referred",),
            (_PROPOSAL, Field("approve", ("", ""), "fixed", of=lambda _: True)),
        ),
        Act(
            "reject",
            ("否决承保价格", "Reject the price"),
            ("银行收到不予承保的答复。", "The bank is told that there will be no cover."),
            "insurance",
            "/covers/{id}/approval",
            "insurance:underwrite",
            ("referred",),
            (_PROPOSAL, Field("approve", ("", ""), "fixed", of=lambda _: False)),
        ),
    ),
    "policy": (
        Act(
            "renew",
            ("续保", "Renew"),
            (
                "按今天的估值重新定价并延长期限，不超过林权期限。",
                "Priced anew on today's valuations and lengthened, never beyond the title.",
            ),
            "insurance",
            "/policies/{id}/renewal",
            "insurance:underwrite",
            ("in_force",),
            (Field("months", ("延长月数", "Months longer"), "whole", sent=whole),),
            versioned=True,
            next=True,
        ),
        Act(
            "instalments",
            ("分期缴费", "Pay in instalments"),
            ("保费分成若干期，各期之和等于保费。", "The premium is split into parts that sum to it."),
            "insurance",
            "/policies/{id}/instalments",
            "insurance:underwrite",
            ("in_force",),
            (Field("count", ("期数", "Number of parts"), "whole", sent=whole),),
            versioned=True,
        ),
        Act(
            "premium",
            ("记入缴费", "Record a premium payment"),
            ("记入最早未缴的一期。", "Enters the earliest part that is not paid."),
            "insurance",
            "/policies/{id}/premium-payments",
            "insurance:underwrite",
            ("in_force", "ending"),
            (Field("number", ("第几期", "Number of the part"), "whole", sent=whole),),
        ),
        Act(
            "breach",
            ("记录违约行为", "Record a breach"),
            (
                "贷款人条款下银行仍获赔付，由保险人向林权人追偿；普通条款下不予赔付。",
                "Under a lender's clause the bank is still paid and the owner pursued; under a simple one nobody is.",
            ),
            "insurance",
            "/policies/{id}/breach",
            "insurance:underwrite",
            ("in_force", "ending"),
            (Field("reason", ("事由", "What was breached")),),
            versioned=True,
        ),
        Act(
            "lapse",
            ("终止保单", "Let it lapse"),
            (
                "银行先收到通知，保障随后终止，退费按日计算。",
                "The bank is told before cover ends; the premium is returned by the day.",
            ),
            "insurance",
            "/policies/{id}/lapse",
            "insurance:underwrite",
            ("in_force",),
            (
                Field(
                    "reason",
                    ("原因", "Reason"),
                    "choice",
                    (("ordinary", ("协议终止", "ordinary")), ("non_payment", ("未缴保费", "premium not paid"))),
                ),
            ),
            versioned=True,
        ),
    ),
    "model": (
        Act(
            "validate",
            ("验证", "Validate"),
            ("记录独立验证的结论；训练者本人不能验证。", "Records the verdict of somebody who did not train it."),
            "credit",
            "/models/{id}/validation",
            "credit:govern",
            ("trained",),
            (
                Field(
                    "fit",
                    ("结论", "Verdict"),
                    "choice",
                    (("yes", ("适用", "fit")), ("no", ("不适用", "not fit"))),
                    sent=_yes,
                ),
                COMMENT,
            ),
            next=True,
        ),
        Act(
            "approve",
            ("批准", "Approve"),
            ("批准的正是此摘要所指的模型文件。", "What is approved is exactly the file of this digest."),
            "credit",
            "/models/{id}/approval",
            "credit:govern",
            ("validated",),
            (
                Field("payload_hash", ("", ""), "seen", of=lambda model: model["waiting_hash"]),
                Field("approve", ("", ""), "fixed", of=lambda _: True),
                COMMENT,
            ),
            next=True,
            approves=True,
        ),
        Act(
            "promote",
            ("投入使用", "Put it to work"),
            (
                "作为主模型则今后的决定都由它评分；作为挑战者只做影子评分。",
                "As champion it scores every later decision; as challenger in the shadow only.",
            ),
            "credit",
            "/models/{id}/promotion",
            "credit:govern",
            ("approved", "challenger", "rolled_back"),
            (
                Field(
                    "role",
                    ("角色", "Role"),
                    "choice",
                    (("champion", ("主模型", "champion")), ("challenger", ("挑战者", "challenger"))),
                ),
                COMMENT,
            ),
            next=True,
        ),
    ),
    "claim": (
        Act(
            "pay",
            ("支付赔款", "Pay the claim"),
            (
                "先付贷款人至其权益金额，余额付林权人，分毫不差。",
                "The lender is paid up to its interest, the owner the rest, to the fen.",
            ),
            "insurance",
            "/claims/{id}/payment",
            "insurance:claims",
            ("open",),
            versioned=True,
            next=True,
        ),
    ),
    "call": (
        Act(
            "pay",
            ("支付代偿", "Pay the call"),
            (
                "向银行全额支付，随后向再担保、基金和资金池分摊。",
                "The bank is paid in full; re-guarantor, fund and pool then bear their shares.",
            ),
            "guarantee",
            "/calls/{id}/payment",
            "guarantee:pay",
            ("open",),
            (Field("reference", ("付款编号", "Payment reference")),),
            versioned=True,
            next=True,
        ),
    ),
    "allocation": (
        Act(
            "propose",
            ("提议接受", "Propose to accept"),
            (
                "由另一人复核；复核通过前不占用任何额度。",
                "Another person decides; no room is held before.",
            ),
            "guarantee",
            "/allocations/{id}/acceptance",
            "guarantee:manage",
            ("none", "rejected"),
            next=True,
        ),
        Act(
            "approve",
            ("批准接受", "Approve the acceptance"),
            (
                "按今天的限额为每笔贷款预留额度：要么全部，要么一笔也不留。须由提议人以外的人批准，所批正是此摘要所指的内容。",
                "Holds room for every loan under today's limits, or for none. The proposer cannot approve; "
                "what is approved is exactly what this digest stands for.",
            ),
            "guarantee",
            "/allocations/{id}/approval",
            "guarantee:manage",
            ("proposed",),
            (_PLACED, Field("approve", ("", ""), "fixed", of=lambda _: True)),
            next=True,
        ),
        Act(
            "reject",
            ("否决接受", "Reject the acceptance"),
            ("不占用额度；以后可以再提议。", "No room is held; it may be proposed again."),
            "guarantee",
            "/allocations/{id}/approval",
            "guarantee:manage",
            ("proposed",),
            (_PLACED, Field("approve", ("", ""), "fixed", of=lambda _: False)),
        ),
    ),
}


def standing(subject: Mapping[str, Any]) -> Any:
    """The state that says what may be done: of a queue that was placed, how far its acceptance is."""
    return subject.get("state", subject.get("acceptance"))


def possible(kind: str, subject: Mapping[str, Any], visitor: Visitor) -> list[Act]:
    """What this person may do to this case now, the next step first."""
    state = standing(subject)
    found = [act for act in ACTS[kind] if visitor.may(act.scope) and (not act.states or state in act.states)]
    return sorted(found, key=lambda act: not act.next)


def request_of(act: Act, typed: Mapping[str, str], subject: Mapping[str, Any]) -> dict[str, Any]:
    """The body of the act's request, from what was typed and what was seen."""
    body: dict[str, Any] = {}
    for field in act.fields:
        if field.kind == "fixed" and field.of is not None:
            body[field.name] = field.of(subject)
        else:
            body[field.name] = field.sent(typed.get(field.name, "").strip())
    return body
