"""The pages, by noun: each asks the services for what it shows, all at once, and draws it."""

from flask import Blueprint

PAGES = Blueprint("pages", __name__)

from services.workbench.pages import doing, forests, guarantees, loans, policies, signing, whatif  # noqa: E402, F401
