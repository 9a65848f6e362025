"""marshmallow fields of the house: amounts as strings, clean text, strict numbers, pages."""

import contextlib
import functools
import math
import re
import unicodedata
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, missing, validate

from shared import money
from shared.events.base import write_moment

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)


def _accept(_: Any) -> None:
    """What a field without validators demands."""


def _reader(field: fields.Field[Any]) -> Callable[..., Any]:
    """How a field reads a value: as its `deserialize`, with what never changes asked once and not for each value."""
    if field.pre_load or field.post_load or type(field).deserialize is not fields.Field.deserialize:
        return field.deserialize
    read, checks = field._deserialize, tuple(field.validators)
    required, nullable, default = field.required, field.allow_none, field.load_default

    def value_of(value: Any, key: str, data: dict[str, Any]) -> Any:
        if value is missing:
            if required:
                raise ValidationError("required")
            return default() if callable(default) else default
        if value is None:
            if nullable:
                return None
            raise ValidationError("null")
        value = read(value, key, data)
        for check in checks:
            check(value)
        return value

    return value_of


class Base(Schema):
    """A schema that refuses what it does not know."""

    class Meta:
        """Unknown fields are errors: a misspelt field must not be passed over."""

        unknown = RAISE

    def dump(self, obj: Any, *, many: bool | None = None) -> Any:
        """Write an object as data: as marshmallow does, without asking of each value anew what its field is like."""
        if (self.many if many is None else many) or self._columns is None:
            return super().dump(obj, many=many)
        if type(obj) is dict:
            read = obj.get
        elif hasattr(obj, "__getitem__"):
            return super().dump(obj, many=many)
        else:
            read = functools.partial(getattr, obj)
        written = {}
        for name, key, attribute, write in self._columns:
            value = read(attribute, missing)
            if value is not missing:
                written[key] = write(value, name, obj)
        return written

    def load(self, data: Any, *, many: bool | None = None, partial: Any = None, unknown: Any = None) -> Any:
        """Read data as marshmallow does, without asking of each value anew; what is wrong with them it says itself."""
        if not (many or self.many or partial or self.partial) and unknown in (None, RAISE) and type(data) is dict:
            with contextlib.suppress(ValidationError):
                return self._read(data)
        return super().load(data, many=many, partial=partial, unknown=unknown)

    def _read(self, data: dict[str, Any]) -> Any:
        """Read what is right, in one pass; of anything else, and of a schema that asks for more, raise."""
        if self._places is None:
            raise ValidationError("more is asked for")
        read, known = self.dict_class(), 0
        for key, attribute, value_of in self._places:
            given = data.get(key, missing)
            known += given is not missing
            value = value_of(given, key, data)
            if value is not missing:
                read[attribute] = value
        if known != len(data):
            raise ValidationError("something is not known")
        for check in self._checks:
            check(read, partial=self.partial, many=False, unknown=RAISE)
        return read

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Put the validators of a field together once, which marshmallow does for each value."""
        checked = validate.And(*field_obj.validators) if field_obj.validators else _accept
        vars(field_obj)["_validate"] = checked
        # What goes out may lie outside of the bounds of what comes in.
        if isinstance(field_obj, Money) and type(self).__name__.endswith("Request"):
            field_obj.document_bounds()

    @functools.cached_property
    def _places(self) -> list[tuple[str, str, Callable[..., Any]]] | None:
        """Name outside, name inside and reader of each field that is read; None if a hook of this schema asks for more.

        A check of the whole is no such hook, unless it wants to see what was sent.
        """
        hooks = self._hooks
        whole = all(not many and not asked.get("pass_original") for _, many, asked in hooks["validates_schema"])
        if hooks["pre_load"] or hooks["post_load"] or hooks["validates"] or not whole or self.unknown != RAISE:
            return None
        return [
            (field.data_key or name, field.attribute or name, _reader(field))
            for name, field in self.load_fields.items()
        ]

    @functools.cached_property
    def _checks(self) -> list[Callable[..., None]]:
        """What is asked of the whole once every field is right."""
        return [getattr(self, name) for name, _, _ in self._hooks["validates_schema"]]

    @functools.cached_property
    def _columns(self) -> list[tuple[str, str, str, Callable[..., Any]]] | None:
        """Name, key, attribute and writer of each field; None if a field or a hook of this schema asks for more."""
        columns = []
        for name, field in self.dump_fields.items():
            attribute = name if field.attribute is None else field.attribute
            if not field._CHECK_ATTRIBUTE or field.dump_default is not missing or "." in attribute:
                return None
            columns.append((name, name if field.data_key is None else field.data_key, attribute, field._serialize))
        return None if self._hooks["pre_dump"] or self._hooks["post_dump"] else columns


def decimal_pattern(places: int, minimum: Decimal | None, maximum: Decimal | None) -> str:
    """Regular expression of the decimals within bounds, for documents.

    Exact for a whole greatest value, and for a least value that is whole or the smallest step. A least value below 0
    allows a sign and nothing more.
    """
    fraction, zeros = (rf"(\.[0-9]{{1,{places}}})?", rf"(\.0{{1,{places}}})?") if places else ("", "")
    top = 10**12 if maximum is None else int(maximum)
    if maximum is not None and maximum == top:
        inside = f"({_below(top)}{fraction}|{top}{zeros})" if top else f"0{zeros}"
    else:
        inside = _below(top + (maximum is not None)) + fraction
    sign = "" if minimum is not None and minimum >= 0 else "-?"
    least = (
        ""
        if not minimum or minimum < 0
        else f"(?!{_below(max(1, int(minimum)))}{fraction if minimum >= 1 else zeros}$)"
    )
    return f"^{least}{sign}{inside}$"


def _below(top: int) -> str:
    """Regular expression of the whole numbers from 0 to top - 1."""
    digits = str(top)
    parts = ["0", "[1-9]" + _digits(len(digits) - 2, at_most=True)] if len(digits) > 1 else []
    for place, digit in enumerate(digits):
        lowest, highest = int(place == 0 and len(digits) > 1), int(digit) - 1
        if highest >= lowest:
            choice = str(lowest) if highest == lowest else f"[{lowest}-{highest}]"
            parts.append(digits[:place] + choice + _digits(len(digits) - place - 1))
    return parts[0] if len(parts) == 1 else f"({'|'.join(parts)})"


def _digits(count: int, at_most: bool = False) -> str:
    return f"[0-9]{{{'0,' if at_most else ''}{count}}}" if count else ""


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


_MOST = Decimal("999999999999.99")


def _below_zero(value: Any) -> bool:
    """Whether something was meant as a number below zero: its sign is what is wrong with it, not its spelling."""
    return isinstance(value, str) and re.fullmatch(r"-[0-9]{1,15}(\.[0-9]+)?", value, re.ASCII) is not None


class Amount(fields.Field[Decimal]):
    """An amount of money: a string with at most two decimals, never a number."""

    def __init__(self, *, minimum: str = "0.01", maximum: str = str(_MOST), **more: Any) -> None:
        self.minimum, self.maximum = Decimal(minimum), Decimal(maximum)
        more["metadata"] = {"pattern": money.AMOUNT_PATTERN, "example": "1000000.00"} | more.get("metadata", {})
        super().__init__(**more)

    def _serialize(self, value: Decimal | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else format(value.quantize(money.FEN), "f")

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Decimal:
        try:
            read = money.amount(value)
        except ValueError:
            if _below_zero(value):
                raise ValidationError("An amount is never negative.") from None
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

    def __init__(self, *, minimum: str = "0.01", maximum: str = str(_MOST), **more: Any) -> None:
        self.minimum, self.maximum = Decimal(minimum), Decimal(maximum)
        super().__init__(MoneySchema(), **more)

    def document_bounds(self) -> None:
        """Let the document say which amounts are taken."""
        example = min(max(self.minimum, Decimal("1000000.00")), self.maximum)
        amount = {"pattern": decimal_pattern(2, self.minimum, self.maximum), "example": format(example, "f")}
        self.metadata = {**self.metadata, "properties": {"amount": amount}}

    def _serialize(self, nested_obj: Any, attr: Any, obj: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        if nested_obj is None:
            return None
        return {"amount": format(nested_obj.quantize(money.FEN), "f"), "currency": money.CURRENCY}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        if type(value) is dict and len(value) == 2 and value.get("currency") == money.CURRENCY and "amount" in value:
            with contextlib.suppress(ValueError):
                amount = money.amount(value["amount"])
                if self.minimum <= amount <= min(self.maximum, _MOST):
                    return amount
        # The schema knows what to say of one that is not right.
        amount = super()._deserialize(value, attr, data, **kwargs)["amount"]
        if not self.minimum <= amount <= self.maximum:
            raise ValidationError({"amount": [f"An amount from {self.minimum} to {self.maximum} is expected."]})
        return amount


class Quantity(fields.Field[Decimal]):
    """A decimal written as a string: tonnes, rates, shares, areas."""

    def __init__(self, *, places: int, minimum: str | None = "0", maximum: str | None = None, **more: Any) -> None:
        self.places = places
        self.minimum = None if minimum is None else Decimal(minimum)
        self.maximum = None if maximum is None else Decimal(maximum)
        self.step = Decimal(1).scaleb(-places)
        sign = "" if self.minimum is not None and self.minimum >= 0 else "-?"
        fraction = rf"(\.[0-9]{{1,{places}}})?" if places else ""
        pattern = rf"^{sign}(0|[1-9][0-9]{{0,11}}){fraction}$"
        self.shape = re.compile(pattern, re.ASCII)
        documented = decimal_pattern(places, self.minimum, self.maximum)
        more["metadata"] = {"pattern": documented, "example": "0.5"} | more.get("metadata", {})
        super().__init__(**more)

    def _serialize(self, value: Decimal | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else format(value.quantize(self.step), "f")

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Decimal:
        if not isinstance(value, str) or not self.shape.fullmatch(value):
            if _below_zero(value):
                raise ValidationError("A value that is not negative is expected.")
            raise ValidationError(f"A decimal string with at most {self.places} decimals is expected.")
        read = Decimal(value)
        if (self.minimum is not None and read < self.minimum) or (self.maximum is not None and read > self.maximum):
            most = f"to {self.maximum}" if self.maximum is not None else "on"
            raise ValidationError(f"A value from {self.minimum} {most} is expected.")
        return read or abs(read)  # "-0" is zero


class Names(fields.List[str]):
    """Texts of our own, written as they are."""

    def __init__(self, **more: Any) -> None:
        super().__init__(fields.String(), **more)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return None if value is None else list(value)


class Whole(fields.Integer):
    """A whole number, within bounds; never a boolean, a float or a string."""

    def __init__(self, *, minimum: int, maximum: int, **more: Any) -> None:
        super().__init__(strict=True, validate=validate.Range(min=minimum, max=maximum), **more)

    def _validated(self, value: Any) -> int:
        if isinstance(value, bool | str | float):
            raise self.make_error("invalid", input=value)
        return super()._validated(value)


class Flag(fields.Boolean):
    """True or false, never a number or a word."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


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


_CURSOR = {"pattern": "^[A-Za-z0-9_-]{43}$"}


class Query(Base):
    """What an address asks for."""

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """What is not asked is None, but no query can say so: an address has no null."""
        super().on_bind_field(field_name, field_obj)
        if field_obj.load_default is None:
            field_obj.allow_none, field_obj.load_default = False, _nothing


class PageQuery(Query):
    """Which page of a list."""

    limit = fields.Integer(load_default=50, validate=validate.Range(min=1, max=100))
    cursor = fields.String(
        validate=validate.Length(max=400),
        load_default=None,
        metadata={**_CURSOR, "description": "`next` of the page before, with the same filters"},
    )


def _nothing() -> None:
    """A default that the documents do not show."""


def page_of(item: Schema, name: str) -> Schema:
    """Schema of a page of items."""
    following = fields.String(allow_none=True, required=True, metadata={**_CURSOR, "description": "Null on the last"})
    return Base.from_dict({"items": fields.List(fields.Nested(item), required=True), "next": following}, name=name)()


def faults(messages: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """marshmallow's messages as pairs of a JSON Pointer and a sentence."""
    if isinstance(messages, dict):
        for name, inner in messages.items():
            own = where if name == "_schema" else f"{where}/{str(name)[:64].replace('~', '~0').replace('/', '~1')}"
            yield from faults(inner, own)
    elif isinstance(messages, list | tuple):
        for message in messages:
            yield from faults(message, where)
    else:
        yield where, str(messages)[:300]
