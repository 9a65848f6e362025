"""Certificates, over HTTP."""

from marshmallow import fields

from services.sink.actions.certificates import CODE_PATTERN
from shared.fields import Base, Moment


class CertificateResponse(Base):
    """A certificate: its words, and how they stand against the register of today."""

    code = fields.String(
        required=True, metadata={"description": f"{CODE_PATTERN}; the oldest are 40 hexadecimal digits"}
    )
    kind = fields.String(required=True, metadata={"enum": ["lien", "purchase", "land_use"]})
    state = fields.String(
        required=True,
        metadata={
            "enum": ["valid", "superseded", "void"],
            "description": "superseded: the register has moved on; void: its words or its retirements do not stand",
        },
    )
    content = fields.Dict(required=True, metadata={"description": "What was certified, word for word"})
    content_hash = fields.String(required=True, metadata={"description": "SHA-256 of the canonical JSON"})
    register = fields.Dict(required=True, metadata={"description": "What the register says today of the same"})
    issued_at = Moment(required=True)
