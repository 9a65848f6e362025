"""Liens and units, over HTTP."""

from marshmallow import fields, validate

from services.sink.actions.projects import PORTAL_STATES, STATES
from services.sink.schemas.common import share, tonnes, units
from services.sink.tables import ACCOUNTS, MOVES
from shared.fields import Base, Moment, Names, PageQuery, Text, Versioned


def _holder() -> Text:
    """Whose units; the forest's owner's if nobody is named."""
    return Text(max_length=120, min_length=2, load_default=None, allow_none=True)


class PledgeResponse(Versioned):
    """A lien of the caller's bank."""

    asset_id = fields.UUID(required=True)
    loan_id = fields.UUID(required=True)
    forecast_tonnes = tonnes(required=True, metadata={"description": "What of the lien is not issued yet"})
    tonnes = tonnes(required=True)
    rank = fields.Integer(required=True)
    state = fields.String(required=True, metadata={"enum": ["placed", "frozen", "released", "enforced"]})
    valuation_version = fields.Integer(required=True)
    loan_until = fields.Date(required=True)
    reason = fields.String(required=True, allow_none=True)
    placed_at = Moment(required=True)
    changed_at = Moment(required=True)
    serials = Names(required=True, metadata={"description": "Issued units under the lien"})


class ConsentRequest(Base):
    """Which of the units that the bank took over may go, and to whom: exactly these."""

    tonnes = units(required=True)
    to = Text(max_length=120, min_length=2, required=True)


class ConsentResponse(Base):
    """A bank's consent, and the transfer that it served for."""

    id = fields.UUID(required=True)
    pledge_id = fields.UUID(required=True)
    asset_id = fields.UUID(required=True)
    institution = fields.String(required=True)
    tonnes = tonnes(required=True)
    to = fields.String(required=True)
    given_at = Moment(required=True)
    posting_id = fields.UUID(required=True, allow_none=True)


class ConsentQuery(PageQuery):
    """Which consents."""

    asset_id = fields.UUID(load_default=None)
    state = fields.String(
        load_default=None,
        validate=validate.OneOf(("waiting", "used")),
        metadata={"description": "waiting: given, and no transfer used it yet"},
    )


class PledgeQuery(PageQuery):
    """Which pledges."""

    loan_id = fields.UUID(load_default=None)
    asset_id = fields.UUID(load_default=None)


class IssuanceRequest(Base):
    """Credits that the programme issued; `origin` is the programme's own id of the issuance and issues once."""

    asset_id = fields.UUID(required=True)
    origin = Text(max_length=128, required=True)
    vintage_from = fields.Date(required=True)
    vintage_to = fields.Date(required=True)
    tonnes = units(required=True, metadata={"description": "Whole units for the owner, after the buffer"})


class ProposalResponse(Base):
    """An issuance as it was entered; a second person decides on exactly what its hash names."""

    id = fields.UUID(required=True, attribute="subject")
    payload = fields.Dict(required=True)
    payload_hash = fields.String(required=True)
    proposed_by = fields.String(required=True, attribute="maker")
    state = fields.String(required=True, metadata={"enum": ["open", "approved", "rejected", "superseded"]})
    expires_at = Moment(required=True)


class DecisionRequest(Base):
    """What a second person saw."""

    payload_hash = fields.String(required=True, validate=validate.Regexp(r"[0-9a-f]{64}\Z"))


class IssuanceResponse(Base):
    """Credits issued for a vintage."""

    id = fields.UUID(required=True)
    asset_id = fields.UUID(required=True)
    origin = fields.String(required=True)
    vintage_from = fields.Date(required=True)
    vintage_to = fields.Date(required=True)
    buffer_share = share(required=True, allow_none=True)
    buffer_basis = fields.String(
        required=True,
        metadata={
            "enum": ["rating", "programme"],
            "description": "The programme's default where no rating asks for more",
        },
    )
    rating_id = fields.UUID(required=True, allow_none=True)
    buffer_tonnes = tonnes(required=True)
    tonnes = tonnes(required=True)
    batch = fields.String(required=True)
    first_serial = fields.Integer(required=True)
    last_serial = fields.Integer(required=True)
    serials = Names(required=True)
    issued_at = Moment(required=True)


class RetirementRequest(Base):
    """Credits to be used up, and why."""

    asset_id = fields.UUID(required=True)
    tonnes = units(required=True)
    reason = Text(max_length=200, min_length=3, required=True)
    holder = _holder()


class CancellationRequest(RetirementRequest):
    """Credits to be taken back unused, and why."""


class TransferRequest(Base):
    """Credits to be written over to another holder."""

    asset_id = fields.UUID(required=True)
    tonnes = units(required=True)
    to = Text(max_length=120, min_length=2, required=True)
    holder = _holder()


class RetirementResponse(Base):
    """Credits that were used up."""

    id = fields.UUID(required=True)
    asset_id = fields.UUID(required=True)
    tonnes = tonnes(required=True)
    reason = fields.String(required=True)
    serials = Names(required=True)
    retired_at = Moment(required=True)


class UnitsQuery(PageQuery):
    """Issuances or retirements of which asset."""

    asset_id = fields.UUID(load_default=None)


class PostingResponse(Base):
    """A movement in the ledger."""

    id = fields.UUID(required=True)
    asset_id = fields.UUID(required=True)
    kind = fields.String(required=True, metadata={"enum": list(MOVES)})
    tonnes = tonnes(required=True)
    reason = fields.String(required=True, allow_none=True)
    holder = fields.String(required=True, allow_none=True)
    serials = Names(required=True)
    posted_at = Moment(required=True)


class PostingQuery(PageQuery):
    """Which movements."""

    asset_id = fields.UUID(load_default=None)
    kind = fields.String(load_default=None, validate=validate.OneOf(list(MOVES)))


class BlockResponse(Base):
    """A range of issued units, and where it stands."""

    id = fields.UUID(required=True)
    asset_id = fields.UUID(required=True)
    issuance_id = fields.UUID(required=True)
    batch = fields.String(required=True)
    vintage_from = fields.Date(required=True)
    vintage_to = fields.Date(required=True)
    first_serial = fields.Integer(required=True)
    last_serial = fields.Integer(required=True)
    serials = fields.String(required=True)
    tonnes = tonnes(required=True)
    account = fields.String(required=True, metadata={"enum": [*ACCOUNTS]})
    holder = fields.String(required=True, allow_none=True, metadata={"description": "Null for the forest's owner"})


class BlockQuery(PageQuery):
    """Which blocks: by asset, account or holder, or the one that a serial number, a range or a batch is in."""

    asset_id = fields.UUID(load_default=None)
    account = fields.String(load_default=None, validate=validate.OneOf(ACCOUNTS))
    holder = Text(max_length=120, load_default=None)
    serial = fields.String(
        load_default=None,
        validate=validate.Regexp(
            r"^([1-9][0-9]{0,17}|[A-Z_]{3,20}(-[0-9A-Z]{1,12}){4}(:[1-9][0-9]{0,17}-[1-9][0-9]{0,17})?)$"
        ),
        metadata={"description": "A serial number, a batch, or a range as written: batch:first-last"},
    )


class ProjectRequest(Base):
    """A project in public notice, with the forests it is made of."""

    name = Text(max_length=120, required=True)
    portal_id = Text(max_length=64, load_default=None, allow_none=True)
    methodology = Text(max_length=64, load_default="CCER-14-001-V01")
    project_type = Text(
        max_length=16,
        load_default=None,
        allow_none=True,
        metadata={"description": "The portal's code; N0101 is afforestation"},
    )
    proponent = Text(
        max_length=120,
        load_default=None,
        allow_none=True,
        metadata={"description": "The organisation behind the project"},
    )
    province = Text(max_length=32, load_default=None, allow_none=True)
    expected_tonnes_per_year = tonnes(load_default=None, allow_none=True)
    asset_ids = fields.List(fields.UUID(), required=True, validate=validate.Length(min=1, max=500))
    taken_on = fields.Date(required=True)
    evidence = Text(max_length=300, min_length=3, required=True)


class ProjectQuery(PageQuery):
    """Which projects to list."""

    state = fields.String(load_default=None, validate=validate.OneOf(STATES))


class ProjectStepRequest(Base):
    """The next state of a project; the notice of reductions names their period."""

    state = fields.String(required=True, validate=validate.OneOf(STATES[1:]))
    taken_on = fields.Date(required=True)
    evidence = Text(max_length=300, min_length=3, required=True)
    vintage_from = fields.Date(load_default=None, allow_none=True)
    vintage_to = fields.Date(load_default=None, allow_none=True)


class ProjectStepResponse(Base):
    """One step of a project."""

    round = fields.Integer(required=True)
    state = fields.String(required=True)
    taken_on = fields.Date(required=True)
    evidence = fields.String(required=True)
    vintage_from = fields.Date(required=True, allow_none=True)
    vintage_to = fields.Date(required=True, allow_none=True)
    entered_at = Moment(required=True)


class ProjectResponse(Versioned):
    """A project of the national registry."""

    registrar = fields.String(required=True)
    number = fields.Integer(required=True)
    portal_id = fields.String(required=True, allow_none=True)
    name = fields.String(required=True)
    methodology = fields.String(required=True)
    project_type = fields.String(required=True, allow_none=True)
    proponent = fields.String(required=True, allow_none=True)
    province = fields.String(required=True, allow_none=True)
    expected_tonnes_per_year = tonnes(required=True, allow_none=True)
    state = fields.String(required=True, metadata={"enum": list(STATES)})
    portal_state = fields.Function(lambda project: PORTAL_STATES[project.state], metadata={"type": "integer"})
    round = fields.Integer(required=True)
    vintage_from = fields.Date(required=True, allow_none=True)
    vintage_to = fields.Date(required=True, allow_none=True)
    entered_at = Moment(required=True)
    steps = fields.List(fields.Nested(ProjectStepResponse()), required=True)


class DutyResponse(Versioned):
    """What a reversal undid of issued tonnes, what the buffer gave, and what is still to be replaced."""

    asset_id = fields.UUID(required=True)
    reversal_id = fields.UUID(required=True)
    reversed_tonnes = tonnes(required=True)
    buffer_tonnes = tonnes(required=True)
    duty_tonnes = tonnes(required=True)
    discharged_tonnes = tonnes(required=True)
    serials = Names(required=True, metadata={"description": "Units cancelled from the buffer"})
    recorded_at = Moment(required=True)


class PoolResponse(Base):
    """The buffer of a registrar's forests under one programme: contributed = tonnes + cancelled."""

    id = fields.UUID(required=True)
    registrar = fields.String(required=True)
    programme = fields.String(required=True)
    contributed_tonnes = tonnes(required=True, metadata={"description": "Given by all issuances"})
    cancelled_tonnes = tonnes(required=True, metadata={"description": "Taken for losses"})
    tonnes = tonnes(required=True, metadata={"description": "Standing in the pool"})


class DischargeRequest(Base):
    """Units of another forest to be retired in place of lost ones."""

    asset_id = fields.UUID(required=True)
    tonnes = units(required=True)
    holder = _holder()
