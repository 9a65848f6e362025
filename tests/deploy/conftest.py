import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def place() -> Iterator[Path]:
    """A short path, so that a socket fits; pytest's own temporary folders are closed to PostgreSQL's account."""
    folder = Path(tempfile.mkdtemp(prefix="heartwood-"))
    yield folder
    shutil.rmtree(folder)
