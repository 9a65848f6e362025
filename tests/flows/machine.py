"""A town that lives at random: loans of three banks on a few shared forests, and a broker that does what brokers do.

Hypothesis chooses what happens next and shrinks what went wrong. Clock and ids follow from what was done, so the same
choices do the same again; a failure is printed as the choices, and as a story with the answers.
"""

import itertools
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from hashlib import sha256
from typing import Any, ClassVar, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import Row, text
from werkzeug.test import TestResponse

from services.credit.actions.policy import COVENANTS, policy
from services.credit.actions.states import BEFORE_MONEY, ENDED, IN_DEFAULT, LIVE
from shared import audit, clock, idempotency, ids, inbox, jobs, timers
from shared.inbox import Record
from shared.outbox import Envelope
from tests.conftest import Database
from tests.flows.invariants import ALWAYS, SETTLED, Books, Rule, audit_chains_hold
from tests.flows.people import People, money
from tests.harness import (
    BANK,
    BUREAU,
    GUARANTOR,
    INSURER,
    OTHER_BANK,
    OTHER_GUARANTOR,
    OTHER_INSURER,
    Client,
    Town,
    door,
)
from tests.sink.examples import square

BANKS = (BANK, OTHER_BANK, "bank-hengshan")
INSURERS = (INSURER, OTHER_INSURER)
GUARANTORS = (GUARANTOR, OTHER_GUARANTOR)
SCHEMES = ("4-3-2-1", "4-2-2-2")
SERVICES = ("sink", "credit", "insurance", "guarantee")
FORESTS = 3
#: The quantile that the covenants are tested at.
MARGIN = "p10"
START = datetime(2026, 7, 6, 2, 0, tzinfo=UTC)

#: Which of those that fit; the last ones stand for any, so that what does not fit is tried too.
picks = st.integers(0, 11)
ANY = 10
share = st.sampled_from(("0.3", "0.3", "0.6", "1"))
#: How far a loan is brought before things happen at random.
stages = st.sampled_from(("structuring", "offered", "binding", "ready", "performing", "performing", "defaulted"))


def some(*things: str) -> Any:
    """Only while there is a loan in one of these states, or a row in one of these tables."""
    return precondition(lambda machine: not machine.there.isdisjoint(things))


def examples(number: int, steps: int = 40, **changes: Any) -> settings:
    """Settings of a run: the same examples every time; HEARTWOOD_EXAMPLES of them, and new ones, if it is set."""
    asked = os.environ.get("HEARTWOOD_EXAMPLES")
    chosen: dict[str, Any] = {
        "max_examples": int(asked or number),
        "derandomize": asked is None,
        "stateful_step_count": steps,
        "deadline": None,
        "database": None,
        "suppress_health_check": list(HealthCheck),
        "phases": (Phase.generate, Phase.shrink),
    }
    return settings(**chosen | changes)


class Time:
    """A clock that moves a little whenever it is read, and what ids are made of: the same in every run."""

    def __init__(self) -> None:
        self.moment, self._ids = START, itertools.count()

    def now(self) -> datetime:
        """This moment; the next one is later."""
        self.moment += timedelta(milliseconds=1)
        return self.moment

    def time_ns(self) -> int:
        """This moment in nanoseconds of Unix time."""
        return int(self.moment.timestamp() * 1000) * 1_000_000

    def urandom(self, size: int) -> bytes:
        """Bytes that look random."""
        return sha256(b"%d" % next(self._ids)).digest()[:size]

    def set(self, patches: pytest.MonkeyPatch) -> None:
        """Let everybody go by this clock."""
        patches.setattr(clock, "now", self.now)
        for name in ("time", "os"):
            patches.setattr(ids, name, self)
        patches.setattr(ids, "_last", 0)


class Answered(NamedTuple):
    """A command that was carried out, so that it can be sent once more."""

    client: Client
    path: str
    body: Any
    headers: dict[str, str]
    answer: TestResponse
    at: datetime


class Killed(BaseException):
    """The process is gone, at the worst of moments: nothing catches it, and its transaction never came to its end."""


@contextmanager
def killed(where: Any, name: str) -> Iterator[list[str]]:
    """Whoever comes to this function is killed there; the list tells whether somebody was."""
    deaths: list[str] = []

    def die(*_: Any, **__: Any) -> None:
        deaths.append(name)
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(where, name, die)
        with suppress(Killed):
            yield deaths


class Machine(RuleBasedStateMachine):
    """The town, what may happen in it, and what must hold whatever happens."""

    databases: ClassVar[Mapping[str, Database]] = {}
    books: ClassVar[Books]
    #: What was done to all towns so far, by kind.
    done: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.time = pytest.MonkeyPatch(), Time()
        self.time.set(self.patches)
        self.patches.setattr(timers, "_put_off", _raise)
        self.books.empty()
        self.town = Town(dict(self.databases))
        self.people = People(self.town)
        self.story: list[str] = []
        self.loans: list[str] = []
        self.there: set[str] = set()
        self.origins, self.requests = itertools.count(1), itertools.count(1)
        self.answered: Answered | None = None
        #: Whether the server dies over the next command.
        self.dying = False
        self.done["towns"] += 1

    # -- telling what happened -----------------------------------------------------------------------------------------

    def say(self, line: str) -> None:
        """Write a line of the story."""
        self.story.append(f"day {(self.time.moment - START).days:>4}  {line}")

    def named(self, text: str) -> str:
        """A text with names for the ids of forests and loans."""
        for kind, ids_ in (("forest", self.people.assets), ("loan", self.loans)):
            for number, one in enumerate(ids_):
                text = text.replace(one, f"{kind}-{number}")
        return text

    def told(self) -> str:
        """The story so far."""
        return self.named("\n".join(["what happened:", *self.story]))

    def post(self, client: Client, path: str, body: Any = None, **headers: str) -> TestResponse:
        """Send a command. It may be refused, it may not fail."""
        headers.setdefault("Idempotency_Key", f"request-{next(self.requests)}")
        self.done["commands"] += 1
        if self.dying:
            # Before the commit: nobody hears an answer, nothing may have happened, and the same is asked again.
            self.dying = False
            with killed(audit, "seal") as deaths:
                client.post(path, body, **headers)
            self.done["servers killed"] += len(deaths)
            self.say(f"POST {path}: {'the server dies over it, sent again' if deaths else 'refused, sent again'}")
        answer = client.post(path, body, **headers)
        data = answer.get_json(silent=True) or {}
        short = {key: value for key, value in (body or {}).items() if key != "payload_hash"}
        self.say(f"POST {path} {short} -> {answer.status_code} {data.get('state') or data.get('detail') or ''}")
        assert answer.status_code < 500, f"POST {path} failed: {answer.get_data(as_text=True)}"
        if answer.status_code < 300:
            self.answered = Answered(client, path, body, headers, answer, self.time.moment)
        else:
            self.done["commands refused"] += 1
        return answer

    def read(self, service: str, sql: str, **values: Any) -> list[Row[Any]]:
        """Rows of a database, past row-level security."""
        return list(self.books.connections[service].execute(text(sql), values).all())

    def pick_loan(self, pick: int, *states: str) -> Row[Any] | None:
        """One of the loans in these states, or any: it refuses, and that is worth trying too."""
        loans = self.read("credit", "SELECT * FROM loans ORDER BY id")
        fitting = [loan for loan in loans if loan.state in states and pick < ANY] or loans
        return fitting[pick % len(fitting)] if fitting else None

    def command(self, loan: Row[Any], command: str, body: Any = None) -> TestResponse:
        """An officer's command on a loan that was just read."""
        officer = self.people.officer(loan.institution)
        return self.post(officer, f"/v1/loans/{loan.id}/{command}", body, If_Match=f'"v{loan.version}"')

    # -- the town ------------------------------------------------------------------------------------------------------

    @initialize(so_far=st.lists(stages, min_size=2, max_size=4))
    def settle_down(self, so_far: list[str]) -> None:
        """Guarantors have capacity, forests stand in the register and were valued, some loans have come some way."""
        for guarantor in GUARANTORS:
            self.people.set_profile(guarantor, 0)
        self.people.register_forests(FORESTS - 1)
        # One so large, in another county, that two loans on it change the weight of all their borrower's guarantees.
        self.people.register_forests(1, geometry=square(3000, side=0.2), county="pinglu")
        self.deliver_all()
        for number, stage in enumerate(so_far):
            self.apply(
                BANKS[number % 2],
                forest=number % FORESTS,
                more=number == 2,
                share="0.3",
                load="0.6",
                insurer=INSURERS[number % 2],
                guarantor=GUARANTORS[number % 2],
                scheme=SCHEMES[number % 2],
                person=False,
            )
            self.lend(number, until=stage)

    # -- a loan, step by step ------------------------------------------------------------------------------------------

    @rule(
        bank=st.sampled_from(BANKS),
        forest=st.integers(0, FORESTS - 1),
        more=st.booleans(),
        share=share,
        load=st.sampled_from(("0.6", "0.6", "0.97", "1.3")),
        insurer=st.sampled_from(INSURERS),
        guarantor=st.sampled_from(GUARANTORS),
        scheme=st.sampled_from(SCHEMES),
        person=st.booleans(),
    )
    def apply(
        self,
        bank: str,
        forest: int,
        more: bool,
        share: str,
        load: str,
        insurer: str,
        guarantor: str,
        scheme: str,
        person: bool,
    ) -> None:
        """Apply for a loan on a share of one forest or two, from well within to beyond what it carries."""
        chosen = [self.people.assets[(forest + n) % FORESTS] for n in range(1 + more)]
        there = {str(row.id): row.forecast_tonnes for row in self.read("sink", "SELECT * FROM assets")}
        application = {
            "borrower_kind": "natural_person" if person else "cooperative",
            "industry": "022",
            "employees": 8,
            "new_business": False,
            "term_months": 24,
            "assets": [
                {"asset_id": one, "tonnes": str(max(_down(there[one] * Decimal(share), "0.001"), Decimal("0.001")))}
                for one in chosen
            ],
            "amount": money(10_000),
        }
        carried = self.people.officer(bank).post("/v1/score", application).get_json().get("maximum_amount")
        if carried:
            wanted = _down(Decimal(carried["amount"]) * Decimal(load), "0.01")
            application["amount"] = money(max(wanted, Decimal("100.00")))
        rest = {
            "borrower_reference": "93140600MA0000001R",
            "small_or_farmer": True,
            "insurer": insurer,
            "guarantor": guarantor,
            "scheme": scheme,
        }
        answer = self.post(self.people.officer(bank), "/v1/loans", application | rest)
        if answer.status_code == 201:
            self.loans.append(answer.get_json()["id"])

    def forward(self, loan: Row[Any]) -> bool:
        """Do what people do next on a loan that is to be lent; says whether there was anything for them to do."""
        approver = self.people.approver(loan.institution)
        if loan.state == "referred":
            self.post(approver, f"/v1/loans/{loan.id}/referral", {"decision": "proceed", "comment": "seen"})
        elif loan.state == "proposed":
            body = {"payload_hash": loan.offer_hash, "approve": True}
            self.post(approver, f"/v1/loans/{loan.id}/approval", body)
        elif loan.state == "offered":
            self.command(loan, "acceptance")
        elif loan.state == "ready":
            answer = self.command(loan, "disbursement")
            if answer.status_code == 200:
                # No money flows on collateral that does not carry it.
                ratio = answer.get_json()["covenants"]["loan_to_value"]
                limit = policy(clock.today(), COVENANTS)["maximum_loan_to_value"][MARGIN]
                carried = ratio is not None and Decimal(ratio) <= Decimal(str(limit))
                assert carried, f"loan {loan.id} is paid out at {ratio}"
        else:
            return False
        return True

    @some("referred", "proposed", "offered", "ready")
    @rule(pick=picks)
    def go_on(self, pick: int) -> None:
        """Take one step of people on a loan before money flows."""
        loan = self.pick_loan(pick, "referred", "proposed", "offered", "ready")
        if loan is not None:
            self.forward(loan)

    @some(*BEFORE_MONEY)
    @rule(pick=picks)
    def lend(self, pick: int, until: str = "performing") -> None:
        """Go on until money flows or nothing helps."""
        loan = self.pick_loan(pick, *BEFORE_MONEY)
        for _ in range(6):
            if loan is None or loan.state == until:
                return
            if not self.forward(loan):
                if loan.state == "performing":
                    self.command(loan, "default", {"ground": "insolvency", "comment": "bankrupt"})
                self.deliver_all()
            (loan,) = self.read("credit", "SELECT * FROM loans WHERE id = :id", id=loan.id)

    @some(*BEFORE_MONEY)
    @rule(pick=picks, how=st.sampled_from(("withdraw", "reject", "decline")))
    def stop(self, pick: int, how: str) -> None:
        """Somebody does not want the loan."""
        states = {"withdraw": BEFORE_MONEY, "reject": ("proposed",), "decline": ("referred",)}[how]
        loan = self.pick_loan(pick, *states)
        if loan is None:
            return
        if how == "withdraw":
            self.command(loan, "withdrawal", {"reason": "not wanted any more"})
            return
        approver = self.people.approver(loan.institution)
        if how == "reject":
            body = {"payload_hash": loan.offer_hash or "0" * 64, "approve": False}
            self.post(approver, f"/v1/loans/{loan.id}/approval", body)
        else:
            self.post(approver, f"/v1/loans/{loan.id}/referral", {"decision": "decline", "comment": "too risky"})

    @some(*LIVE)
    @rule(pick=picks, part=st.sampled_from(("0.25", "0.25", "1", "1.01")))
    def repay(self, pick: int, part: str) -> None:
        """Pay a part, all, or more than is owed."""
        loan = self.pick_loan(pick, *LIVE)
        if loan is not None:
            self.pay_back(loan, Decimal(part))

    def pay_back(self, loan: Row[Any], part: Decimal) -> None:
        """Pay a part of what a loan owes today."""
        shown = self.people.officer(loan.institution).get(f"/v1/loans/{loan.id}").get_json()
        amount = max(_down(Decimal(shown["balance"]["owed"]["amount"]) * part, "0.01"), Decimal("0.01"))
        self.command(loan, "repayments", {"amount": money(amount)})

    @some(*LIVE)
    @rule(pick=picks)
    def default(self, pick: int) -> None:
        """Declare a default."""
        loan = self.pick_loan(pick, *LIVE)
        if loan is not None:
            self.command(loan, "default", {"ground": "overdue", "comment": "ninety days"})

    @some(*IN_DEFAULT)
    @rule(pick=picks, command=st.sampled_from(("enforcement", "closing")))
    def wind_up(self, pick: int, command: str) -> None:
        """Order the enforcement of a loan in default, or close it."""
        loan = self.pick_loan(pick, *IN_DEFAULT)
        if loan is not None:
            self.command(loan, command)

    @some(*IN_DEFAULT)
    @rule(pick=picks, part=st.sampled_from(("0.01", "0.3337", "0.8", "1.5")), costly=st.booleans())
    def recover(self, pick: int, part: str, costly: bool) -> None:
        """Money comes back after default: little, much, more than the claim."""
        loan = self.pick_loan(pick, *IN_DEFAULT)
        if loan is not None:
            amount = max(_down(loan.amount * Decimal(part), "0.01"), Decimal("0.01"))
            costs = _down(amount * Decimal("0.07"), "0.01") if costly else Decimal(0)
            self.command(loan, "recoveries", {"amount": money(amount), "costs": money(costs), "source": "carbon"})

    # -- the forests ---------------------------------------------------------------------------------------------------

    @rule(price=st.sampled_from(("25.00", "60.00", "90.00")), work=st.booleans())
    def change_price(self, price: str, work: bool) -> None:
        """Approve another price curve; the register is valued anew when the job runs."""
        curve = {
            "name": f"at {price}",
            "spot_price": money(price),
            "long_run_price": money(price),
            "reversion": "0.25",
            "volatility": "0.35",
            "source": "assumed by the test",
        }
        proposed = self.post(self.people.bureau(), "/v1/price-curves", curve).get_json()
        approver = self.town.client("sink", "bureau-approver", BUREAU)
        decision = {"payload_hash": proposed["payload_hash"], "approve": True}
        self.post(approver, f"/v1/price-curves/{proposed['id']}/approval", decision)
        if work:
            self.town.run_jobs()

    @rule(forest=st.integers(0, FORESTS - 1))
    def value(self, forest: int) -> None:
        """Do the long work that waits, then value a forest."""
        self.town.run_jobs()
        self.post(self.people.bureau(), f"/v1/assets/{self.people.assets[forest]}/valuations")

    @rule(
        forests=st.lists(st.integers(0, FORESTS - 1), min_size=1, max_size=2, unique=True),
        severity=st.sampled_from(("0.05", "0.3", "0.3", "1")),
        peril=st.sampled_from(("fire", "fire", "pest")),
        ago=st.sampled_from((0, 0, 20)),
    )
    def burn(self, forests: list[int], severity: str, peril: str, ago: int) -> None:
        """A fire or a pest takes part of a forest or two, today or some days ago."""
        event = {
            "peril": peril,
            "occurred_on": (clock.today() - timedelta(days=ago)).isoformat(),
            "assets": [{"asset_id": self.people.assets[n], "severity": severity} for n in forests],
        }
        self.post(self.people.bureau(), "/v1/reversals", event)

    @rule(forest=st.integers(0, FORESTS - 1), share=share, retire=st.booleans())
    def turn_into_credits(self, forest: int, share: str, retire: bool) -> None:
        """Issue credits out of the forecast, or use up what is issued."""
        asset_id = self.people.assets[forest]
        (asset,) = self.read("sink", "SELECT * FROM assets WHERE id = :id", id=asset_id)
        there = asset.issued_tonnes - asset.retired_tonnes
        if retire and there:
            body = {"tonnes": str(_down(there * Decimal(share), "1")), "reason": "used by a factory"}
            self.post(self.people.bureau(), "/v1/retirements", {"asset_id": asset_id, **body})
        else:
            project = self.people.reductions(asset_id)
            vintage = {name: project[name] for name in ("vintage_from", "vintage_to")}
            tonnes = {"tonnes": str(_down(asset.forecast_tonnes * Decimal(share) / 10, "1"))}
            origin = {"asset_id": asset_id, "origin": f"issue-{next(self.origins)}"}
            asked = self.post(self.people.bureau(), "/v1/issuance-proposals", origin | vintage | tonnes)
            if asked.status_code == 201:
                made = asked.get_json()
                approver = self.town.client("sink", "bureau-approver", BUREAU)
                seen = {"payload_hash": made["payload_hash"]}
                self.post(approver, f"/v1/issuance-proposals/{made['id']}/issuance", seen)

    # -- insurers and guarantors ---------------------------------------------------------------------------------------

    @some("claims")
    @rule(pick=picks)
    def pay_claim(self, pick: int) -> None:
        """Pay a claim, be it open or paid already."""
        self.pay_one("insurance", "claims", pick)

    @some("calls")
    @rule(pick=picks)
    def pay_call(self, pick: int) -> None:
        """Pay a call, be it open or paid already."""
        self.pay_one("guarantee", "calls", pick)

    def pay_one(self, service: str, table: str, pick: int) -> None:
        """Pay one of the rows of a table, more likely an open one."""
        rows = self.read(service, f"SELECT * FROM {table} WHERE state <> 'nil' ORDER BY state <> 'open', id")
        if rows:
            self.pay(service, rows[pick % len(rows)])

    def pay(self, service: str, row: Row[Any]) -> TestResponse:
        """Pay a claim or a call that was just read."""
        paid = "claims" if service == "insurance" else "calls"
        who = self.people.insurer(row.institution) if paid == "claims" else self.people.guarantor(row.institution)
        return self.post(who, f"/v1/{paid}/{row.id}/payment", If_Match=f'"v{row.version}"')

    @some("policies")
    @rule(pick=picks, reason=st.sampled_from(("ordinary", "non_payment")))
    def lapse(self, pick: int, reason: str) -> None:
        """An insurer gives notice."""
        policies = self.read("insurance", "SELECT * FROM policies ORDER BY state = 'in_force' DESC, id")
        if policies:
            row = policies[pick % len(policies)]
            insurer = self.people.insurer(row.institution)
            self.post(insurer, f"/v1/policies/{row.id}/lapse", {"reason": reason}, If_Match=f'"v{row.version}"')

    @rule(guarantor=st.sampled_from(GUARANTORS), assets=st.sampled_from((1_000, 100_000, 200_000_000, 200_000_000)))
    def change_limits(self, guarantor: str, assets: int) -> None:
        """A guarantor's net assets fall or rise, and its limits with them."""
        self.say(f"{guarantor} has net assets of {assets}")
        (profile,) = self.read("guarantee", "SELECT version FROM profiles WHERE institution = :g", g=guarantor)
        self.people.set_profile(guarantor, profile.version, net_assets=money(assets))

    @rule(
        insurer=st.sampled_from(INSURERS),
        county=st.sampled_from(("youyu", "all")),
        cap=st.sampled_from((0, 20_000, 500_000_000, 500_000_000)),
    )
    def change_capacity(self, insurer: str, county: str, cap: int) -> None:
        """An insurer will carry less, or more."""
        self.post(self.people.insurer(insurer), "/v1/capacities", {"county": county, "cap": money(cap)})

    @precondition(lambda self: self.answered)
    @rule()
    def ask_again(self) -> None:
        """The network lost an answer: the same request is sent again and gets the same answer."""
        assert self.answered is not None
        client, path, body, headers, answer, at = self.answered
        if self.time.moment - at < idempotency.KEPT:
            again = self.post(client, path, body, **headers)
            same = (again.status_code, again.get_data()) == (answer.status_code, answer.get_data())
            assert same, f"POST {path}, sent again, was answered otherwise"
            self.answered = None

    # -- the broker and the clock --------------------------------------------------------------------------------------

    @rule(choices=st.lists(st.integers(0, 19), min_size=1, max_size=8))
    def deliver(self, choices: list[int]) -> None:
        """Deliver the next record of some keys to some readers."""
        self.town.relay()
        for choice in choices:
            queues = self.queues()
            if queues:
                reader, queue = queues[choice % len(queues)]
                self.hand_over(reader, queue.pop(0))

    @rule(reader=st.sampled_from(SERVICES))
    def catch_up(self, reader: str) -> None:
        """One service reads all that waits for it."""
        self.town.relay()
        for service, queue in self.queues():
            if service == reader:
                self.hand_over(reader, *queue)
                queue.clear()

    def deliver_all(self) -> None:
        """Deliver until nothing moves any more, all that waits of one key at once."""
        for _ in range(200):
            self.town.relay()
            queues = self.queues()
            if not queues:
                return
            for reader, queue in queues:
                self.hand_over(reader, *queue)
                queue.clear()
        raise AssertionError("the events never come to rest")

    @rule(pick=st.integers(0, 99), reader=st.sampled_from(SERVICES))
    def deliver_again(self, pick: int, reader: str) -> None:
        """Deliver any record there ever was: one that had its effect, or one whose turn has not come."""
        records = [one for one in self.town.log if one.topic in door(reader).consumer.topics()]
        if records:
            self.done["records delivered again"] += 1
            self.hand_over(reader, records[-1 - pick % len(records)])

    @rule(choice=st.integers(0, 19))
    def lose(self, choice: int) -> None:
        """A reader dies after it did all its work and before it could say so."""
        self.town.relay()
        queues = self.queues()
        if queues:
            reader, queue = queues[choice % len(queues)]
            self.say(
                f"     {reader} dies over {len(queue)} records of {queue[0].topic} {(queue[0].key or b'').decode()}"
            )
            with killed(inbox, "_move") as deaths:
                self.receive(reader, queue, "town")
            assert deaths, "the reader never came to its end"
            self.done["readers killed"] += 1

    @rule()
    def kill_server(self) -> None:
        """Whoever takes the next command dies before the commit."""
        self.dying = True

    @rule(service=st.sampled_from(SERVICES), work=st.sampled_from(("relay", "timers", "jobs")))
    def kill_worker(self, service: str, work: str) -> None:
        """A worker dies when all was done, and before anybody was told."""
        deaths = ["relay"]
        if work == "relay":
            self.town.relay(dies=True)
        else:
            sessions = self.databases[service].worker_sessions
            with killed(audit, "seal") as deaths:
                if work == "timers":
                    timers.run_due(sessions, door(service).timers)
                elif door(service).jobs:
                    jobs.run_step(sessions, door(service).jobs)
        if deaths:
            self.say(
                f"     {service} dies over its {work}" if work != "relay" else "     every relay dies over its batch"
            )
            self.done[f"{work} killed"] += 1

    @rule(pick=picks)
    def deliver_early(self, pick: int) -> None:
        """Deliver a copy of a record before its predecessor: it must wait, without effect."""
        self.town.relay()
        longer = [(reader, queue) for reader, queue in self.queues() if len(queue) > 1]
        if longer:
            reader, queue = longer[pick % len(longer)]
            early = queue[1 + pick % (len(queue) - 1)]
            self.done["records delivered early"] += 1
            self.hand_over(reader, early)

    @rule(reader=st.sampled_from(SERVICES))
    def start_over(self, reader: str) -> None:
        """A new cluster answers, and a service reads everything from the beginning."""
        self.say(f"{reader} reads everything again")
        self.town.relay()
        records = [one for one in self.town.log if one.topic in door(reader).consumer.topics()]
        self.done["logs read from the beginning"] += 1
        for start in range(0, len(records), 20):
            self.receive(reader, records[start : start + 20], "another cluster")

    @rule(hours=st.sampled_from((2, 80, 24 * 11, 24 * 35, 24 * 100)), services=st.sets(st.sampled_from(SERVICES)))
    def wait(self, hours: int, services: set[str]) -> None:
        """Let time pass; some services see to their deadlines at once."""
        self.time.moment += timedelta(hours=hours)
        self.say(f"{hours} hours pass; deadlines run at {sorted(services) or 'none'}")
        self.run_timers(services)

    def run_timers(self, services: Any = SERVICES) -> None:
        """Run what is due."""
        for service in sorted(services):
            while timers.run_due(self.databases[service].worker_sessions, door(service).timers):
                pass

    def queues(self) -> list[tuple[str, list[Record]]]:
        """Readers and what waits for them, by key."""
        return [
            (reader, queue)
            for reader, queues in sorted(self.town.waiting.items())
            for _, queue in sorted(queues.items())
            if queue
        ]

    def hand_over(self, reader: str, *records: Record) -> None:
        """Give records of one key to a reader; the first of them may be too early."""
        envelopes = [Envelope.read(list(record.headers)) for record in records]
        self.done["records delivered"] += len(records)
        told = ", ".join(f"{one.type.split('.')[2]} {one.sequence}" for one in envelopes)
        self.say(f"     {reader} gets {told} of {records[0].topic} {envelopes[0].subject}")
        last = self.last(reader, records[0])
        self.receive(reader, list(records), "town")
        if envelopes[0].sequence > last + 1:
            assert self.last(reader, records[0]) == last, f"{reader} took {told} before its predecessor"

    def receive(self, reader: str, records: list[Record], cluster: str) -> None:
        """Let a reader take records."""
        inbox.receive(self.databases[reader].worker_sessions, door(reader).consumer, records, cluster)

    def last(self, reader: str, record: Record) -> int:
        """How far a reader has come with the key of a record."""
        found = self.read(
            reader,
            "SELECT last FROM inbox_sequences WHERE topic = :topic AND key = :key",
            topic=record.topic,
            key=(record.key or b"").decode(),
        )
        return int(found[0].last) if found else 0

    # -- what must hold ------------------------------------------------------------------------------------------------

    @invariant()
    def always_sound(self) -> None:
        """What holds between any two transactions."""
        self.must_hold(*ALWAYS)
        self.there = {loan.state for loan in self.books.rows("credit", "loans")}
        tables = {"claims": "insurance", "policies": "insurance", "calls": "guarantee"}
        self.there |= {table for table, service in tables.items() if self.books.rows(service, table)}

    @rule()
    def settle(self) -> None:
        """Do all work and deliver everything; then all services must agree."""
        self.town.run_jobs()
        self.deliver_all()
        self.must_hold(*ALWAYS, *SETTLED)

    def must_hold(self, *rules: Rule) -> None:
        """Fail with every fault that the rules find."""
        self.done["looks at the books"] += 1
        faults = self.books.faults(*rules)
        assert not faults, self.named("\n".join(faults))

    def end(self) -> None:
        """Let every deadline pass, pay what is to be paid, close what can be closed: nothing may stay held."""
        self.say("the end: every deadline passes")
        self.settle()
        for _ in range(12):
            self.time.moment += timedelta(days=35)
            self.run_timers()
            self.town.run_jobs()
            self.deliver_all()
        self.settle()
        waiting = self.read("credit", "SELECT * FROM loans WHERE state = ANY(:s)", s=[*BEFORE_MONEY[1:]])
        assert not waiting, f"loans wait for ever: {[(loan.id, loan.state) for loan in waiting]}"
        self.say("the end: all is paid and closed")
        for loan in self.read("credit", "SELECT * FROM loans WHERE state = 'referred'"):
            self.command(loan, "withdrawal", {"reason": "nobody decided"})
        for number, loan in enumerate(self.read("credit", "SELECT * FROM loans WHERE state = ANY(:s)", s=[*LIVE])):
            if number % 2 and loan.balance:
                self.command(loan, "default", {"ground": "overdue", "comment": "ninety days"})
            else:
                self.pay_back(loan, Decimal(1))
        self.settle()
        for service, table in (("insurance", "claims"), ("guarantee", "calls")):
            for row in self.read(service, f"SELECT * FROM {table} WHERE state = 'open' ORDER BY id"):
                assert self.pay(service, row).status_code == 200, f"one of the {table} cannot be paid"
        self.settle()
        for loan in self.read("credit", "SELECT * FROM loans WHERE state = ANY(:s)", s=[*IN_DEFAULT]):
            assert self.command(loan, "closing").status_code == 200, f"loan {loan.id} cannot be closed"
        self.settle()
        self.time.moment += timedelta(days=2)
        self.run_timers()
        self.settle()
        left = self.read("credit", "SELECT * FROM loans WHERE NOT state = ANY(:s)", s=[*ENDED])
        self.must_hold(audit_chains_hold)
        self.done.update(f"loans {one.state}" for one in self.read("credit", "SELECT state FROM loans"))
        assert not left, f"loans never end: {[(loan.id, loan.state) for loan in left]}"
        for service, table in (("insurance", "policies"), ("guarantee", "reservations")):
            live = {"policies": "state <> 'ended'", "reservations": "state IN ('pending', 'posted')"}[table]
            assert not self.read(service, f"SELECT id FROM {table} WHERE {live}"), f"some {table} never end"
        assert not self.read("insurance", "SELECT id FROM capacities WHERE pending + posted > 0"), (
            "capacity stays taken"
        )
        assert not self.read("guarantee", "SELECT id FROM buckets WHERE pending + posted > 0"), "room is taken"

    def teardown(self) -> None:
        """Bring the town to its end, unless it has come to grief already."""
        try:
            if sys.exc_info()[0] is None and self.people.assets:
                try:
                    self.end()
                except BaseException:
                    note(self.told())
                    raise
            else:
                note(self.told())
        finally:
            self.patches.undo()


def _down(amount: Decimal, to: str) -> Decimal:
    return amount.quantize(Decimal(to), ROUND_DOWN)


def _raise(sessions: Any, due: Any, error: Exception) -> None:
    raise error
