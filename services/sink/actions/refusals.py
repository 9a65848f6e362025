"""How an action says which field is wrong."""

from shared.errors import InvalidError


def invalid(pointer: str, detail: str) -> InvalidError:
    """A refusal of content that names its field by a JSON Pointer."""
    return InvalidError(f"{pointer}: {detail}", errors=[{"pointer": pointer, "detail": detail}])
