"""marshmallow fields of the house: amounts as strings, clean text, strict numbers, pages."""

import math
import re
import unicodedata
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from shared import money
from shared.events.base import write_moment

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)


class Base(Schema):
    """A schema that refuses what it does not know."""

    class Meta:
        """Unknown fields are errors: a misspelt field must not be passed over."""

        unknown = RAISE


class Text(fields.String):
    """Text without control characters, NUL or lone surrogates, in Unicode's composed form."""

    def __init__(self, *, max_length: int = 200, min_length: int = 1, **more: Any) -> None:
        length = validate.Length(min=min_length, max=max_length)
        #: Composing may shorten a text, but never by so much; what is longer is not worth the work of composing it.
        self.longest = 4 * max_length
        super().__init__(validate=[length, *more.pop("checks", [])], **more)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        if len(text) > self.longest:
            raise ValidationError("Too long.")
        text = unicodedata.normalize("NFC", text)
        if any(unicodedata.category(character) in ("Cc", "Cs", "Co", "Cn") for character in text):
            raise ValidationError("Contains a control character or an invalid one.")
        return text


class Amount(fields.Field[Decimal]):
    """An amount of money: a string with at most two decimals, never a number."""

    def __init__(self, *, minimum: str = "0.01", maximum: str = "999999999999.99", **more: Any) -> None:
        self.minimum, self.maximum = Decimal(minimum), Decimal(maximum)
        more["metadata"] = {"pattern": money.AMOUNT_PATTERN, "example": "1000000.00"} | more.get("metadata", {})
        super().__init__(**more)

    def _serialize(self, value: Decimal | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else format(value.quantize(money.FEN), "f")

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Decimal:
        try:
            read = money.amount(value)
        except ValueError:
            raise ValidationError('An amount is a string such as "1000.00", with at most two decimals.') from None
        if not self.minimum <= read <= self.maximum:
            raise ValidationError(f"An amount from {self.minimum} to {self.maximum} is expected.")
        return read


class MoneySchema(Base):
    """An amount with its currency."""

    amount = Amount(required=True, minimum="0.00")
    currency = fields.String(required=True, validate=validate.OneOf([money.CURRENCY]))


class Money(fields.Nested):
    """An amount with its currency in JSON, a Decimal in the program. Only CNY."""

    def __init__(self, *, minimum: str = "0.01", maximum: str = "999999999999.99", **more: Any) -> None:
        self.minimum, self.maximum = Decimal(minimum), Decimal(maximum)
        super().__init__(MoneySchema(), **more)

    def _serialize(self, nested_obj: Any, attr: Any, obj: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        if nested_obj is None:
            return None
        return {"amount": format(nested_obj.quantize(money.FEN), "f"), "currency": money.CURRENCY}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        amount: Decimal = super()._deserialize(value, attr, data, **kwargs)["amount"]
        if not self.minimum <= amount <= self.maximum:
            raise ValidationError({"amount": [f"An amount from {self.minimum} to {self.maximum} is expected."]})
        return amount


class Quantity(fields.Field[Decimal]):
    """A decimal written as a string: tonnes, rates, shares, areas."""

    def __init__(self, *, places: int, minimum: str | None = "0", maximum: str | None = None, **more: Any) -> None:
        self.places = places
        self.minimum = None if minimum is None else Decimal(minimum)
        self.maximum = None if maximum is None else Decimal(maximum)
        sign = "" if self.minimum is not None and self.minimum >= 0 else "-?"
        fraction = rf"(\.[0-9]{{1,{places}}})?" if places else ""
        self.pattern = rf"^{sign}(0|[1-9][0-9]{{0,11}}){fraction}$"
        more["metadata"] = {"pattern": self.pattern, "example": "0.5"} | more.get("metadata", {})
        super().__init__(**more)

    def _serialize(self, value: Decimal | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else format(value.quantize(Decimal(1).scaleb(-self.places)), "f")

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Decimal:
        if not isinstance(value, str) or not re.fullmatch(self.pattern, value, re.ASCII):
            raise ValidationError(f"A decimal string with at most {self.places} decimals is expected.")
        read = Decimal(value)
        if (self.minimum is not None and read < self.minimum) or (self.maximum is not None and read > self.maximum):
            raise ValidationError(f"A value from {self.minimum} to {self.maximum} is expected.")
        return read or abs(read)  # "-0" is zero


class Whole(fields.Integer):
    """A whole number, within bounds; never a boolean, a float or a string."""

    def __init__(self, *, minimum: int, maximum: int, **more: Any) -> None:
        super().__init__(strict=True, validate=validate.Range(min=minimum, max=maximum), **more)

    def _validated(self, value: Any) -> int:
        if isinstance(value, bool | str | float):
            raise self.make_error("invalid", input=value)
        return super()._validated(value)


class Coordinate(fields.Float):
    """Degrees; finite."""

    def _validated(self, value: Any) -> float:
        if isinstance(value, bool | str) or (isinstance(value, float) and not math.isfinite(value)):
            raise self.make_error("invalid", input=value)
        return super()._validated(value)


class Moment(fields.AwareDateTime):
    """A moment, RFC 3339: written in UTC, read with any offset but never without one."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else write_moment(value)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        try:
            # Python reads more than RFC 3339: weeks, no seconds, any sign between date and time.
            if isinstance(value, str) and _MOMENT.fullmatch(value):
                return super()._deserialize(value, attr, data, **kwargs).astimezone(UTC)
        except OverflowError:
            pass
        raise ValidationError("A moment such as 2026-05-01T12:00:00Z is expected.")


class ReasonSchema(Base):
    """Why, in Chinese and English."""

    code = fields.String(required=True)
    zh = fields.String(required=True)
    en = fields.String(required=True)


class Versioned(Base):
    """What every mutable resource shows."""

    id = fields.UUID(required=True)
    version = fields.Integer(required=True)


class PageQuery(Base):
    """Which page of a list."""

    limit = fields.Integer(load_default=50, validate=validate.Range(min=1, max=100))
    cursor = fields.String(validate=validate.Length(max=400), load_default=None)


def page_of(item: Schema, name: str) -> Schema:
    """Schema of a page of items."""
    return Base.from_dict(
        {"items": fields.List(fields.Nested(item), required=True), "next": fields.String(allow_none=True)}, name=name
    )()
