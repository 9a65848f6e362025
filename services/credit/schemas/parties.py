"""Parties: who borrows, and how that is shown. Nothing personal is shown whole but by a disclosure."""

from marshmallow import fields, validate

from services.credit.schemas.common import CODE, Flag, money
from services.credit.schemas.scores import INDUSTRY
from services.credit.tables.parties import DOCUMENTS, KINDS, MARKS
from shared.fields import Base, Moment, Money, Names, PageQuery, Quantity, Text, Versioned, Whole, page_of

_NUMBER = validate.Regexp(r"[0-9A-Z]{18}\Z", error="Eighteen digits and capital letters, without spaces.")
_PHONE = validate.Regexp(r"\+?[0-9][0-9 -]{4,18}[0-9]\Z", error="Digits, spaces and hyphens; at most one + before.")
_ACCOUNT = validate.Regexp(r"[0-9][0-9 ]{6,38}[0-9]\Z", error="Digits, and spaces between them.")


class PersonRequest(Base):
    """A person who signs for a borrower."""

    name = Text(required=True, max_length=100)
    identity_number = fields.String(required=True, validate=_NUMBER)


class OwnerRequest(PersonRequest):
    """A person or firm to whom a borrower belongs in the end."""

    share = Quantity(places=4, minimum="0.0001", maximum="1", required=True)


class DebtRequest(Base):
    """A debt elsewhere."""

    balance = Money(required=True, minimum="0.00")
    yearly_service = Money(required=True, minimum="0.00", metadata={"description": "Principal and interest of a year"})
    ends_on = fields.Date(load_default=None, allow_none=True)


class FinancesRequest(Base):
    """A year's money, and what is owed elsewhere."""

    yearly_income = Money(required=True, minimum="0.00")
    yearly_costs = Money(required=True, minimum="0.00")
    debts = fields.List(fields.Nested(DebtRequest()), load_default=list, validate=validate.Length(max=100))


class DocumentRequest(Base):
    """The document that proves the identity."""

    kind = fields.String(required=True, validate=validate.OneOf(DOCUMENTS))
    valid_until = fields.Date(required=True, allow_none=True, metadata={"description": "Null: without end"})


class FirstVerificationRequest(Base):
    """That the file was checked, when, and until when that holds; who checked it is who says so."""

    verified_on = fields.Date(required=True)
    valid_until = fields.Date(required=True)


class VerificationRequest(FirstVerificationRequest):
    """That the file was checked anew, on a new document if there is one."""

    document = fields.Nested(DocumentRequest(), load_default=None, allow_none=True)


class PartyChangeRequest(Base):
    """What is different about a borrower; what is not named stays."""

    name = Text(max_length=100)
    phone = fields.String(validate=_PHONE)
    address = Text(max_length=200)
    account = fields.String(validate=_ACCOUNT, allow_none=True)
    sex = fields.String(validate=validate.OneOf(["female", "male"]), allow_none=True)
    nationality = Text(max_length=60, allow_none=True)
    occupation = Text(max_length=100, allow_none=True)
    representative = fields.Nested(PersonRequest(), allow_none=True)
    owners = fields.List(fields.Nested(OwnerRequest()), validate=validate.Length(max=50))
    industry = fields.String(
        validate=INDUSTRY, metadata={"description": "Group or class of GB/T 4754", "example": "022"}
    )
    employees = Whole(minimum=0, maximum=1_000_000, allow_none=True)
    established_on = fields.Date(allow_none=True)
    small_or_farmer = Flag()
    acts_as = fields.String(
        validate=CODE, allow_none=True, metadata={"description": "Its code, if it insures or guarantees loans itself"}
    )
    finances = fields.Nested(FinancesRequest(), allow_none=True)


class PartyRequest(PartyChangeRequest):
    """A borrower to be registered."""

    kind = fields.String(required=True, validate=validate.OneOf(KINDS))
    name = Text(required=True, max_length=100)
    identity_number = fields.String(
        required=True,
        validate=_NUMBER,
        metadata={"description": "Resident identity number of a person, unified social credit code of anybody else"},
    )
    document = fields.Nested(DocumentRequest(), required=True)
    phone = fields.String(required=True, validate=_PHONE)
    address = Text(required=True, max_length=200)
    industry = fields.String(
        required=True, validate=INDUSTRY, metadata={"description": "Group or class of GB/T 4754", "example": "022"}
    )
    small_or_farmer = Flag(required=True)
    account = fields.String(load_default=None, validate=_ACCOUNT, allow_none=True)
    sex = fields.String(load_default=None, validate=validate.OneOf(["female", "male"]), allow_none=True)
    nationality = Text(load_default=None, max_length=60, allow_none=True)
    occupation = Text(load_default=None, max_length=100, allow_none=True)
    representative = fields.Nested(PersonRequest(), load_default=None, allow_none=True)
    owners = fields.List(fields.Nested(OwnerRequest()), load_default=list, validate=validate.Length(max=50))
    employees = Whole(minimum=0, maximum=1_000_000, allow_none=True, load_default=None)
    established_on = fields.Date(load_default=None, allow_none=True)
    acts_as = fields.String(
        load_default=None,
        validate=CODE,
        allow_none=True,
        metadata={"description": "Its code, if it insures or guarantees loans itself"},
    )
    finances = fields.Nested(FinancesRequest(), load_default=None, allow_none=True)
    verification = fields.Nested(FirstVerificationRequest(), load_default=None, allow_none=True)


class PartyQuery(PageQuery):
    """Which parties to list."""

    kind = fields.String(load_default=None, validate=validate.OneOf(KINDS))


class PartySearchRequest(Base):
    """Whose number it is."""

    identity_number = fields.String(required=True, validate=_NUMBER)


class DisclosureRequest(Base):
    """Why somebody's data are to be read whole; the audit keeps it."""

    purpose = fields.String(
        required=True, validate=validate.OneOf(["verification", "contract", "collection", "supervision", "own_request"])
    )


class ErasureRequest(Base):
    """On what ground personal data are erased."""

    ground = fields.String(required=True, validate=validate.OneOf(["retention_ended", "own_request"]))


class MemberResponse(Base):
    """A borrower of a group."""

    party_id = fields.UUID(required=True)
    exposure = money(required=True)


class LinkResponse(Base):
    """What another borrower has that this one has too."""

    party_id = fields.UUID(required=True)
    link = fields.String(required=True, metadata={"enum": list(MARKS)})


class WholeGroupResponse(Base):
    """Borrowers that are one risk, and what the bank has lent or promised to all of them."""

    members = fields.List(fields.Nested(MemberResponse()), required=True)
    exposure = money(required=True)


class GroupResponse(WholeGroupResponse):
    """The group of one borrower, and what it shares with whom, connected by that or not."""

    shared = fields.List(fields.Nested(LinkResponse()), required=True)
    links = Names(required=True, metadata={"description": "What connects when it is shared"})


class GroupsResponse(Base):
    """Groups of more than one borrower, the largest exposure first; at most a hundred."""

    items = fields.List(fields.Nested(WholeGroupResponse()), required=True)


class PersonResponse(Base):
    """A person beside a borrower."""

    name = fields.String(required=True)
    identity_number = fields.String(required=True)


class OwnerResponse(PersonResponse):
    """Somebody to whom a borrower belongs."""

    share = Quantity(places=4, required=True)


class PersonalResponse(Base):
    """What is personal about a party: starred, unless it was disclosed."""

    name = fields.String(required=True)
    identity_number = fields.String(required=True)
    phone = fields.String(required=True)
    address = fields.String(required=True)
    account = fields.String(required=True, allow_none=True)
    sex = fields.String(required=True, allow_none=True)
    nationality = fields.String(required=True, allow_none=True)
    occupation = fields.String(required=True, allow_none=True)
    representative = fields.Nested(PersonResponse(), required=True, allow_none=True)
    owners = fields.List(fields.Nested(OwnerResponse()), required=True)


class DebtResponse(Base):
    """A debt elsewhere."""

    balance = money(required=True)
    yearly_service = money(required=True)
    ends_on = fields.Date(required=True, allow_none=True)


class PartyResponse(Versioned):
    """A borrower; what is personal is starred, and gone once it was erased."""

    kind = fields.String(required=True)
    personal = fields.Nested(PersonalResponse(), required=True, allow_none=True)
    masked = fields.Boolean(required=True)
    obligor = fields.String(required=True, metadata={"description": "Pseudonym that the other institutions know"})
    acts_as = fields.String(required=True, allow_none=True)
    industry = fields.String(required=True)
    employees = fields.Integer(required=True, allow_none=True)
    established_on = fields.Date(required=True, allow_none=True)
    small_or_farmer = fields.Boolean(required=True)
    document_kind = fields.String(required=True)
    document_until = fields.Date(required=True, allow_none=True)
    verified_on = fields.Date(required=True, allow_none=True)
    verified_until = fields.Date(required=True, allow_none=True)
    verified_by = fields.String(required=True, allow_none=True)
    yearly_income = money(required=True)
    yearly_costs = money(required=True)
    yearly_cash_flow = Quantity(
        places=2,
        minimum=None,
        required=True,
        allow_none=True,
        metadata={"description": "CNY; below 0 if costs are above"},
    )
    debts = fields.List(fields.Nested(DebtResponse()), required=True)
    created_by = fields.String(required=True)
    created_at = Moment(required=True)
    updated_at = Moment(required=True)
    erased_at = Moment(required=True, allow_none=True)


class PartySearchResponse(Base):
    """Who has the number: one borrower, or none."""

    items = fields.List(fields.Nested(PartyResponse()), required=True)


PARTY_PAGE = page_of(PartyResponse(), "PartyPage")
