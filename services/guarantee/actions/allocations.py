"""Placing a whole queue as a job: one turn of the search in each step, so that it is watched, cancelled and resumed.

What comes out is a certificate. It holds no room until it is accepted, by actions/acceptance.py.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import BinaryIO

from sqlalchemy.orm import Session

from services.guarantee.allocation.allocate import Run, certificate
from services.guarantee.allocation.problem import make_problem
from services.guarantee.allocation.queue_file import read_queue
from services.guarantee.allocation.refusal import QueueError
from services.guarantee.allocation.search import Effort
from services.guarantee.allocation.what_if import changed, what_if
from services.guarantee.tables import Allocation
from shared import audit, clock, jobs
from shared.db import found, tenant
from shared.errors import InvalidError
from shared.jobs import Job

#: Largest file, and the most loans of one job: a step is one transaction. Larger queues are for the command. [bytes]
MAX_FILE, MOST_LOANS = 16 * 1024 * 1024, 20_000


def start(session: Session, file: BinaryIO, seed: int, changes: Sequence[str], officer: str) -> Allocation:
    """Take a queue and start its job; one that cannot be placed for a reason in the file is refused at once.

    The certificate also tells what would be under each of the changes, in seconds and without an integer core.
    """
    file.seek(0)
    raw = file.read()
    try:
        queue = read_queue(raw)
        make_problem(queue)
        for change in changes:
            changed(queue, change)
    except QueueError as error:
        raise InvalidError(f"the queue cannot be placed: {error}") from None
    if len(queue.loans) > MOST_LOANS:
        raise InvalidError(f"the queue has {len(queue.loans)} loans, at most {MOST_LOANS} are placed here at once")
    effort = _effort(seed)
    job = jobs.start(
        session, "allocation", effort.lines + effort.cores + 2, queue=queue.digest, seed=seed, what_if=list(changes)
    )
    made = Allocation(
        id=job.id,
        institution=tenant(session),
        queue=raw,
        loans=len(queue.loans),
        seed=seed,
        created_by=officer,
        created_at=clock.now(),
        acceptance="none",
    )
    session.add(made)
    return made


def step(session: Session, job: Job) -> None:
    """Take one turn of the search, and write the certificate after the last one."""
    made = found(session, Allocation, job.id)
    effort = _effort(made.seed)
    try:
        run = Run(read_queue(made.queue), effort, state=made.state)
        run.advance()
    except QueueError as error:
        raise InvalidError(f"the queue cannot be placed: {error}") from None
    progress = run.progress
    made.value, made.bound = math.floor(progress.value), math.ceil(progress.bound)
    made.gap = _share(progress.gap)
    job.note(turn=job.done + 1, value=made.value, bound=made.bound, gap=str(made.gap))
    if not run.finished:
        made.state = run.state()
        job.done, job.cursor = job.done + 1, str(len(run.stages))
        # Each class has its own turns, so how many there are is known only at the end.
        job.total = max(job.total, job.done + 1)
        return
    result = run.result()
    others = [what_if(result, change) for change in job.input.get("what_if", [])]
    made.certificate, made.state = certificate(result, effort, others), None
    made.value, made.bound, made.gap = result.value, result.sharp_bound, _share(result.gap)
    made.finished_at, job.done = clock.now(), job.total
    audit.record(session, "place_queue", made.id, queue=run.queue.digest, value=made.value, bound=made.bound)


def _effort(seed: int) -> Effort:
    effort = Effort()
    return replace(effort, limits=replace(effort.limits, seed=seed))


def _share(gap: float) -> Decimal:
    return Decimal(math.ceil(gap * 10**8)) / 10**8
