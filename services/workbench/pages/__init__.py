"""The pages, by noun: each asks the services for what it shows, all at once, and draws it."""

from flask import Blueprint

PAGES = Blueprint("pages", __name__)

from services.workbench.pages import (  # noqa: E402
    accumulations,  # noqa: F401
    allocations,  # noqa: F401
    doing,  # noqa: F401
    forests,  # noqa: F401
    guarantees,  # noqa: F401
    loans,  # noqa: F401
    models,  # noqa: F401
    policies,  # noqa: F401
    signing,  # noqa: F401
    watching,  # noqa: F401
    whatif,  # noqa: F401
)
