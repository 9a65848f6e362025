"""Projects of the national registry."""

from datetime import date
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from services.sink.tables.base import Base
from shared.db import Id, Moment, TonnesColumn, Versioned


class Project(Versioned, Base):
    """A project of the national registry, by our id and by the portal's; its forests are issued for together."""

    __tablename__ = "projects"
    __table_args__ = (
        UniqueConstraint("registrar", "portal_id"),
        UniqueConstraint("number"),
        CheckConstraint(
            "state IN ('notice', 'registered', 'reductions_notice', 'reductions_registered', 'issued')", name="state"
        ),
        CheckConstraint("round >= 0 AND number > 0", name="numbers"),
    )

    id: Mapped[Id]
    version: Mapped[int]
    registrar: Mapped[str] = mapped_column(String(64), index=True)
    #: Ours, short, for batch names.
    number: Mapped[int]
    portal_id: Mapped[str | None] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(120))
    methodology: Mapped[str] = mapped_column(String(64))
    #: As the portal shows them: its code of the type, the organisation behind the project, the province.
    project_type: Mapped[str | None] = mapped_column(String(16))
    proponent: Mapped[str | None] = mapped_column(String(120))
    province: Mapped[str | None] = mapped_column(String(32))
    expected_tonnes_per_year: Mapped[TonnesColumn | None]
    state: Mapped[str] = mapped_column(String(24))
    #: Monitoring period that is going on or was last; 0 before the first.
    round: Mapped[int]
    vintage_from: Mapped[date | None]
    vintage_to: Mapped[date | None]
    entered_at: Mapped[Moment]
    steps: Mapped[list["ProjectStep"]] = relationship(
        order_by="ProjectStep.id", viewonly=True, lazy="selectin", primaryjoin="Project.id == ProjectStep.project_id"
    )


class ProjectStep(Base):
    """One step of a project, dated and evidenced. Written once."""

    __tablename__ = "project_steps"
    __table_args__ = (
        UniqueConstraint("project_id", "round", "state"),
        CheckConstraint("length(trim(evidence)) > 2", name="evidence"),
    )

    id: Mapped[Id]
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"), index=True)
    registrar: Mapped[str] = mapped_column(String(64))
    round: Mapped[int]
    state: Mapped[str] = mapped_column(String(24))
    taken_on: Mapped[date]
    evidence: Mapped[str] = mapped_column(String(300))
    vintage_from: Mapped[date | None]
    vintage_to: Mapped[date | None]
    entered_at: Mapped[Moment]
