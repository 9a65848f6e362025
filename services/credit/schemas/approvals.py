"""What waits for a second person."""

from marshmallow import fields

from shared.fields import Base, Moment, page_of


class ApprovalResponse(Base):
    """Something that waits for a second person."""

    id = fields.UUID(required=True)
    action = fields.String(required=True)
    subject = fields.UUID(required=True)
    payload = fields.Dict(required=True)
    payload_hash = fields.String(required=True)
    maker = fields.String(required=True)
    state = fields.String(required=True)
    expires_at = Moment(required=True)


APPROVAL_PAGE = page_of(ApprovalResponse(), "ApprovalPage")
