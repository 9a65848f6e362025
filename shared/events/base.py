"""Events: each type is a frozen dataclass, declared once; its JSON codec and JSON Schema follow from its fields."""

import dataclasses
import functools
import re
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from shared import money

#: CNY, two decimals, written as a string.
Money = Annotated[Decimal, "money"]
#: Tonnes CO2 equivalent, three decimals, written as a string.
Tonnes = Annotated[Decimal, "tonnes"]
#: A share or rate; a string with up to eight decimals, so that it never changes in transit.
Rate = Annotated[Decimal, "rate"]

_PATTERNS = {
    "money": money.AMOUNT_PATTERN,
    "tonnes": r"^(0|[1-9][0-9]{0,14})(\.[0-9]{1,3})?$",
    "rate": r"^-?(0|[1-9][0-9]{0,8})(\.[0-9]{1,8})?$",
}
_QUANTA = {"money": Decimal("0.01"), "tonnes": Decimal("0.001"), "rate": Decimal("0.00000001")}


class EventError(ValueError):
    """The bytes are not a valid event of the type they name."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """What happened, in the past tense. Subclasses declare the data; the envelope is added by the outbox."""

    TOPIC: ClassVar[str]
    #: The field whose value is the aggregate: the Kafka key and the scope of the sequence number.
    KEY: ClassVar[str]
    VERSION: ClassVar[int] = 1
    #: A compacted topic that keeps only the latest event of each key, beside TOPIC.
    STATE_TOPIC: ClassVar[str | None] = None

    @classmethod
    def type_name(cls) -> str:
        """`heartwood.<service>.<Event>.v<version>`, the CloudEvents type."""
        return f"heartwood.{cls.TOPIC.split('.')[0]}.{cls.__name__}.v{cls.VERSION}"

    @property
    def key(self) -> str:
        """The aggregate this event belongs to."""
        return str(getattr(self, self.KEY))


E = TypeVar("E", bound=Event)

REGISTRY: dict[str, type[Event]] = {}


def declared(cls: type[E]) -> type[E]:
    """Class decorator: enter an event type into the registry, once."""
    name = cls.type_name()
    if name in REGISTRY:
        raise TypeError(f"event type declared twice: {name}")
    REGISTRY[name] = cls
    return cls


# -- codec ------------------------------------------------------------------------------------------------------------


def encode(event: Event) -> dict[str, Any]:
    """Turn an event into JSON data: decimals as strings, moments in UTC with a Z."""
    cls: type = type(event)
    return {name: write(getattr(event, name)) for name, write in _writers(cls)}


def decode(cls: type[E], data: Any) -> E:
    """Read JSON data as an event of this type. Unknown fields are passed over: a later producer may add some."""
    event: E = _read_object(cls, data, "")
    return event


def json_schema(cls: type[Event]) -> dict[str, Any]:
    """The JSON Schema (2020-12) of an event's data, as committed under docs/events/."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:{cls.type_name().replace('.', ':')}",
        "title": cls.__name__,
        "description": " ".join((cls.__doc__ or "").split()),
        **_object_schema(cls),
    }


_Codec = tuple[Callable[[Any], Any], Callable[[Any, str], Any], dict[str, Any]]


@functools.cache
def _codec(cls: type) -> dict[str, _Codec]:
    hints = get_type_hints(cls, include_extras=True)
    return {field.name: _codec_of(hints[field.name]) for field in dataclasses.fields(cls)}


@functools.cache
def _writers(cls: type) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    return tuple((name, write) for name, (write, _, _) in _codec(cls).items())


def _read_object(cls: type, data: Any, where: str) -> Any:
    if not isinstance(data, Mapping):
        raise EventError(f"{where or '/'}: an object is expected")
    values = {}
    for field in dataclasses.fields(cls):
        if field.name in data:
            values[field.name] = _codec(cls)[field.name][1](data[field.name], f"{where}/{field.name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise EventError(f"{where}/{field.name}: missing")
    return cls(**values)


def _object_schema(cls: type) -> dict[str, Any]:
    fields = dataclasses.fields(cls)
    required = [f.name for f in fields if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING]
    return {
        "type": "object",
        "properties": {f.name: _codec(cls)[f.name][2] for f in fields},
        "required": required,
    }


def _codec_of(hint: Any) -> _Codec:
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _decimal_codec(args[1])
    if origin in (Union, types.UnionType):
        return _optional_codec([a for a in args if a is not type(None)])
    if origin in (tuple, list):
        return _tuple_codec(args[0])
    if origin is dict:
        return _dict_codec(args[1])
    if origin is Literal:
        return _choice_codec(list(args), str)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return _choice_codec([member.value for member in hint], hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _nested_codec(hint)
    return _SCALARS[hint]


def _nested_codec(cls: type) -> _Codec:
    def write(value: Any) -> Any:
        return {name: write(getattr(value, name)) for name, write in _writers(cls)}

    return write, functools.partial(_read_object, cls), _object_schema(cls)


def _decimal_codec(kind: str) -> _Codec:
    pattern, quantum = re.compile(_PATTERNS[kind], re.ASCII), _QUANTA[kind]

    def write(value: Decimal) -> str:
        text = format(value.quantize(quantum), "f")
        return text.rstrip("0").rstrip(".") if kind == "rate" and "." in text else text

    def read(data: Any, where: str) -> Decimal:
        if not isinstance(data, str) or not pattern.fullmatch(data):
            raise EventError(f"{where}: a decimal string is expected ({kind})")
        return Decimal(data)

    return write, read, {"type": "string", "format": kind, "pattern": _PATTERNS[kind]}


def _optional_codec(inner: list[Any]) -> _Codec:
    write, read, schema = _codec_of(inner[0])
    return (
        lambda value: None if value is None else write(value),
        lambda data, where: None if data is None else read(data, where),
        {"anyOf": [schema, {"type": "null"}]},
    )


def _tuple_codec(item: Any) -> _Codec:
    write, read, schema = _codec_of(item)

    def read_all(data: Any, where: str) -> tuple[Any, ...]:
        if not isinstance(data, list):
            raise EventError(f"{where}: an array is expected")
        return tuple(read(value, f"{where}/{i}") for i, value in enumerate(data))

    return (lambda value: [write(v) for v in value]), read_all, {"type": "array", "items": schema}


def _dict_codec(item: Any) -> _Codec:
    write, read, schema = _codec_of(item)
    name = _SCALARS[str][1]

    def read_all(data: Any, where: str) -> dict[str, Any]:
        if not isinstance(data, Mapping):
            raise EventError(f"{where}: an object is expected")
        return {name(k, where): read(v, f"{where}/{k}") for k, v in data.items()}

    return (
        lambda value: {k: write(v) for k, v in value.items()},
        read_all,
        {"type": "object", "additionalProperties": schema},
    )


def _choice_codec(choices: list[str], make: Callable[[str], Any]) -> _Codec:
    def read(data: Any, where: str) -> Any:
        if data not in choices:
            raise EventError(f"{where}: one of {', '.join(choices)} is expected")
        return make(data)

    return str, read, {"type": "string", "enum": choices}


def _scalar(kind: type, name: str, parse: Callable[[Any], Any] | None = None) -> Callable[[Any, str], Any]:
    def read(data: Any, where: str) -> Any:
        if not isinstance(data, kind) or (kind is int and isinstance(data, bool)):
            raise EventError(f"{where}: {name} is expected")
        try:
            return parse(data) if parse else data
        except ValueError:
            raise EventError(f"{where}: {name} is expected") from None

    return read


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("no time zone")
    return moment.astimezone(UTC)


def _text(text: str) -> str:
    """Refuse what PostgreSQL cannot hold: NUL and lone surrogates (UnicodeEncodeError is a ValueError)."""
    text.encode("utf-8")
    if "\0" in text:
        raise ValueError("NUL in a text")
    return text


def write_moment(moment: datetime) -> str:
    """RFC 3339 in UTC, microseconds, Z."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[: -len("+00:00")] + "Z"


def _same(value: Any) -> Any:
    return value


_SCALARS: dict[Any, _Codec] = {
    str: (_same, _scalar(str, "a string", _text), {"type": "string"}),
    int: (_same, _scalar(int, "an integer"), {"type": "integer"}),
    bool: (_same, _scalar(bool, "true or false"), {"type": "boolean"}),
    UUID: (str, _scalar(str, "a UUID", UUID), {"type": "string", "format": "uuid"}),
    date: (date.isoformat, _scalar(str, "a date", date.fromisoformat), {"type": "string", "format": "date"}),
    datetime: (write_moment, _scalar(str, "a moment", _moment), {"type": "string", "format": "date-time"}),
}
