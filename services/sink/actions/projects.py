"""Projects of the national registry: five public states, passed one after the other, each step dated and evidenced."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from services.sink.tables import Asset, Project, ProjectStep, locked_in_order
from shared import audit, clock
from shared.db import found, locked, tenant
from shared.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError, StateError
from shared.ids import uuid7

#: In their order. The last three are of one monitoring period; after it the next one begins.
STATES = ("notice", "registered", "reductions_notice", "reductions_registered", "issued")
#: The portal's number of each state.
PORTAL_STATES = {state: number for number, state in enumerate(STATES, 1)}
#: Programmes whose units are issued through the national registry.
NATIONAL = ("ccer",)
_NUMBERS_LOCK = "SELECT pg_advisory_xact_lock(hashtext('sink.projects'))"


class ProjectStateError(ConflictError):
    """The programme has not come so far."""

    kind, title = "project-state", "The programme has not registered these reductions"


def enter_project(
    session: Session,
    name: str,
    methodology: str,
    asset_ids: Sequence[UUID],
    taken_on: date,
    evidence: str,
    portal_id: str | None = None,
    project_type: str | None = None,
    proponent: str | None = None,
    province: str | None = None,
    expected_tonnes_per_year: Decimal | None = None,
) -> Project:
    """Enter a project that is in public notice, with the forests it is made of."""
    assets = locked_in_order(session, select(Asset).where(Asset.id.in_(asset_ids)))
    if missing := sorted(set(asset_ids) - {asset.id for asset in assets}):
        raise NotFoundError(f"no asset has the id {missing[0]}")
    if any(asset.registrar != tenant(session) for asset in assets):
        raise ForbiddenError("only the registrar of an asset may put it into a project")
    if any(asset.project_id is not None for asset in assets):
        raise ConflictError("a forest belongs to one project", errors=[_ASSETS])
    if any(asset.programme not in NATIONAL for asset in assets):
        raise InvalidError("only forests under the national programme belong to its projects", errors=[_ASSETS])
    session.connection().exec_driver_sql(_NUMBERS_LOCK)
    known = select(Project.id).where(Project.registrar == tenant(session), Project.portal_id == portal_id)
    if portal_id is not None and session.scalar(known):
        raise ConflictError(f"the portal's project {portal_id} is entered already", errors=[_PORTAL_ID])
    project = Project(
        id=uuid7(),
        registrar=tenant(session),
        number=(session.scalar(select(func.max(Project.number))) or 0) + 1,
        portal_id=portal_id,
        name=name,
        methodology=methodology,
        project_type=project_type,
        proponent=proponent,
        province=province,
        expected_tonnes_per_year=expected_tonnes_per_year,
        state=STATES[0],
        round=0,
        vintage_from=None,
        vintage_to=None,
        entered_at=clock.now(),
    )
    session.add(project)
    session.flush()
    for asset in assets:
        asset.project_id = project.id
    _step(session, project, taken_on, evidence)
    audit.record(session, "enter_project", project.id, assets=len(assets))
    return project


def advance_project(
    session: Session,
    project_id: UUID,
    state: str,
    taken_on: date,
    evidence: str,
    vintage_from: date | None = None,
    vintage_to: date | None = None,
) -> Project:
    """Take a project to its next state. Notice of reductions names their period; the issuance itself says `issued`."""
    if found(session, Project, project_id).registrar != tenant(session):
        raise ForbiddenError("only the registrar of a project may do this")
    project = locked(session, Project, project_id)
    if state != _following(project.state):
        raise StateError(f"after {project.state} comes {_following(project.state)}, not {state}")
    begins = state == "reductions_notice"
    if begins != (vintage_from is not None and vintage_to is not None) or (vintage_from is None) != (
        vintage_to is None
    ):
        raise InvalidError("the notice of reductions names their period, and no other step does", errors=[_PERIOD])
    if vintage_from and vintage_to:
        if not vintage_from <= vintage_to <= clock.today():
            raise InvalidError("the period of reductions ends after it begins, and has ended", errors=[_PERIOD])
        if project.vintage_to and vintage_from <= project.vintage_to:
            raise InvalidError(
                f"the last period ended on {project.vintage_to}; the next begins later", errors=[_PERIOD]
            )
        project.round += 1
        project.vintage_from, project.vintage_to = vintage_from, vintage_to
    project.state = state
    _step(session, project, taken_on, evidence)
    return project


def demand_reductions(session: Session, asset: Asset, vintage_from: date, vintage_to: date) -> Project | None:
    """The project that a forest's units are issued under, its reductions registered; None outside the programme."""
    if asset.programme not in NATIONAL:
        return None
    if asset.project_id is None:
        raise ProjectStateError("this forest belongs to no project of the national registry")
    project = locked(session, Project, asset.project_id)
    if project.state not in STATES[3:] or project.vintage_from is None or project.vintage_to is None:
        raise ProjectStateError(f"the project is {project.state}; units are issued once its reductions are registered")
    if not project.vintage_from <= vintage_from <= vintage_to <= project.vintage_to:
        raise ProjectStateError(f"reductions are registered from {project.vintage_from} to {project.vintage_to} only")
    return project


def issued_for(session: Session, project: Project, origin: str) -> None:
    """Note that units were issued for the period; the first issuance says so for all of its forests."""
    if project.state != "issued":
        project.state = "issued"
        _step(session, project, clock.today(), f"issuance {origin}")


def _following(state: str) -> str:
    return STATES[STATES.index(state) + 1] if state != STATES[-1] else "reductions_notice"


def _step(session: Session, project: Project, taken_on: date, evidence: str) -> None:
    last = session.scalar(select(func.max(ProjectStep.taken_on)).where(ProjectStep.project_id == project.id))
    if taken_on > clock.today() or (last is not None and taken_on < last):
        raise InvalidError(
            "a step lies between the one before it and today",
            errors=[{"pointer": "/taken_on", "detail": "before the last step, or in the future"}],
        )
    session.add(
        ProjectStep(
            id=uuid7(),
            project_id=project.id,
            registrar=project.registrar,
            round=project.round,
            state=project.state,
            taken_on=taken_on,
            evidence=evidence,
            vintage_from=project.vintage_from,
            vintage_to=project.vintage_to,
            entered_at=clock.now(),
        )
    )
    audit.record(session, "project_step", project.id, state=project.state, round=project.round)
    session.flush()
    session.refresh(project, ["steps"])


_ASSETS = {"pointer": "/asset_ids", "detail": "in a project already, or under another programme"}
_PORTAL_ID = {"pointer": "/portal_id", "detail": "entered already"}
_PERIOD = {"pointer": "/vintage_from", "detail": "no period of reductions at this step"}
