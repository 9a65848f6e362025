"""Input that cannot be computed with, by row and field."""

import numpy as np
import numpy.typing as npt


class RowError(ValueError):
    """A row of an input is refused. Rows are numbered as a spreadsheet shows them: the first one of data is 2."""

    def __init__(self, row: int, field: str, reason: str, file: str = "") -> None:
        self.row, self.field, self.reason, self.file = row, field, reason, file
        super().__init__(f"{file + ', ' if file else ''}row {row}, {field}: {reason}")


def demand(good: npt.NDArray[np.bool_], field: str, reason: str, file: str = "") -> None:
    """Refuse the first row of a column that is not good."""
    if not good.all():
        raise RowError(int(np.argmin(good)) + 2, field, reason, file)
