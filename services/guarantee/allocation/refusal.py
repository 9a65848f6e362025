"""A queue that cannot be placed, by row and field."""


class QueueError(ValueError):
    """Something in a queue is refused. Rows of a list are counted from 1."""

    def __init__(self, part: str, reason: str, row: int | None = None, field: str = "", name: str = "") -> None:
        self.part, self.row, self.field, self.reason = part, row, field, reason
        where = part if row is None else f"{part}, row {row}" + (f" ({name})" if name else "")
        super().__init__(f"{where}{', ' + field if field else ''}: {reason}")


class InfeasibleError(QueueError):
    """Loans that must be served cannot all be; names the limits that stand in the way."""


class CancelledError(Exception):
    """Whoever asked for the placing no longer wants it."""
