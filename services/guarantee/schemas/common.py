"""Fields that several nouns share."""

from typing import Any

from shared import money
from shared.fields import Base, Money, Quantity


class Fen(Money):
    """An amount kept as whole fen, shown as money."""

    def _serialize(self, nested_obj: Any, attr: Any, obj: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        return super()._serialize(None if nested_obj is None else money.from_fen(nested_obj), attr, obj, **kwargs)


class SignedFen(Quantity):
    """An amount that may be below 0, kept as whole fen, shown in CNY."""

    def __init__(self, **more: Any) -> None:
        super().__init__(places=2, minimum=None, **more)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return super()._serialize(None if value is None else money.from_fen(value), attr, obj, **kwargs)


class SharesSchema(Base):
    """Who bears what; the parts sum to the whole."""

    primary = Money(required=True)
    province = Money(required=True)
    national = Money(required=True)
    bank = Money(required=True)
    pool = Money(required=True)
