"""Processes that the tests kill, stop and wake: `python -m tests.broker.processes ROLE [ARGUMENT]`.

Everything in them is the project's own; only the moment of the accident is arranged.
"""

import os
import signal
import sys
import threading
from typing import Any

from sqlalchemy.orm import Session

from shared import db, inbox, kafka, relay, worker
from shared.door import Door
from shared.inbox import Consumer
from shared.settings import settings
from tests.broker.effects import BANK, LoanWithdrawn, listening

configured = settings()


def work() -> int:
    """A whole worker."""
    return worker.Worker("credit", configured, Door(listening())).run()


def deaf() -> int:
    """A worker whose handler never returns."""

    def handler(session: Session, event: LoanWithdrawn) -> None:
        print("in the handler", flush=True)
        threading.Event().wait()

    worker.SILENCE, worker.STOPPING = 2.0, 1.0
    return worker.Worker("credit", configured, Door(Consumer("credit", {LoanWithdrawn: handler}, lambda e: BANK))).run()


def die_before_commit(count: str) -> int:
    """A consumer that dies once it has applied so many events, after the database's commit and before the broker's."""
    sessions = db.sessions(db.engine(configured.worker_database_url))
    consumer = listening()

    def receive(records: Any, cluster: str) -> None:
        inbox.receive(sessions, consumer, records, cluster)
        if consumer.counts["applied"] >= int(count):
            os.kill(os.getpid(), signal.SIGKILL)

    def offsets(cluster: str) -> dict[tuple[str, int], int]:
        with sessions() as session:
            return inbox.offsets(session, cluster)

    kafka.consume(configured, "heartwood-credit", ["credit.events"], offsets, receive, lambda: False, batch=10)
    return 1


def fall_asleep(count: str) -> int:
    """A relay that is stopped, as by a debugger, once it sent so many batches and before it marks the last of them."""

    class Sleeper(kafka.Sender):
        settled = 0

        def settle(self, sent: Any) -> None:
            super().settle(sent)
            self.settled += 1
            if self.settled == int(count):
                os.kill(os.getpid(), signal.SIGSTOP)

    return relaying(Sleeper)


def relaying(sender: type[kafka.Sender] = kafka.Sender) -> int:
    """A relay alone."""
    relay.run(db.engine(configured.worker_database_url), lambda: sender(configured), lambda: False, patience=1.5)
    return 1


ROLES = {
    "work": work,
    "deaf": deaf,
    "die-before-commit": die_before_commit,
    "fall-asleep": fall_asleep,
    "relay": relaying,
}

if __name__ == "__main__":
    sys.exit(ROLES[sys.argv[1]](*sys.argv[2:]))
