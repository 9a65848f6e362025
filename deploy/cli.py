"""The one console command, `heartwood`: it runs the stack, one role of it, and what operators need."""

import errno
import importlib
import json
import os
import shlex
import signal
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import UUID

import click
import yaml
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, TimeElapsedColumn
from rich.table import Column, Table
from rich.text import Text
from sqlalchemy import make_url, select
from sqlalchemy.exc import ArgumentError, DBAPIError

from deploy.embedded import ChildError, EmbeddedPostgres
from deploy.issuer import PEOPLE, ROLES, DevelopmentIssuer
from deploy.serve import WORKBENCH
from deploy.stack import DEFAULT_PORT, Stack, StackError, running
from shared import audit, db, inbox, logs, schema, spans
from shared.artefacts import ArtefactError
from shared.errors import RefusalError
from shared.schema import SERVICES
from shared.settings import Settings, SettingsError, settings

console = Console()
STATE = Path("var/stack")
ADDRESS = "postgresql+psycopg://user:password@host/database"
INPUT = click.Path(exists=True, dir_okay=False, path_type=Path)
service_argument = click.argument("service", type=click.Choice(SERVICES))


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def heartwood() -> None:
    """Underwriting of forests as carbon assets: sink + credit + insurance + guarantee."""


def main() -> None:
    """Run the command; say in one line what is wrong."""
    try:
        heartwood(standalone_mode=True)
    except (SettingsError, StackError, ChildError, schema.SchemaError, RefusalError, ArtefactError) as error:
        _refuse(str(error))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        _refuse(
            "the port is taken: set HEARTWOOD_PORT or HEARTWOOD_METRICS_PORT to another, or stop what listens there"
        )
    except DBAPIError as error:
        _refuse(f"the database does not do it: {str(error.orig).splitlines()[0]}")


def _refuse(what: str) -> None:
    # As it is, whatever brackets it has, and on one line however narrow the terminal.
    console.print(Text(what, style="red"), soft_wrap=True)
    sys.exit(1)


# -- roles ------------------------------------------------------------------------------------------------------------


@heartwood.command()
@click.argument("service", type=click.Choice([*SERVICES, WORKBENCH]))
def serve(service: str) -> None:
    """Serve a service's HTTP API, or the workbench's pages."""
    _end_when_told()
    from deploy.serve import serve as run

    configured = settings()
    logs.set_up(configured.log, service=service, role="serve")
    spans.set_up(service, "serve")
    if service != WORKBENCH:
        _need(configured, "HEARTWOOD_DATABASE_URL")
    run(service, configured)


@heartwood.command()
@service_argument
def work(service: str) -> None:
    """Run a service's relay, consumer, timers and jobs."""
    _end_when_told()
    from shared.worker import Worker

    configured = settings()
    logs.set_up(configured.log, service=service, role="work")
    spans.set_up(service, "work")
    _need(configured, "HEARTWOOD_WORKER_DATABASE_URL")
    door = importlib.import_module(f"services.{service}.consumers").DOOR
    sys.exit(Worker(service, configured, door).run())


@heartwood.command()
@service_argument
@click.option("--undo", is_flag=True, help="Take every migration back. All data of the service are lost.")
def migrate(service: str, undo: bool) -> None:
    """Bring a service's database to this code's schema, as its owner."""
    configured = settings()
    _need(configured, "HEARTWOOD_OWNER_DATABASE_URL")
    owner = db.engine(configured.owner_database_url)
    try:
        if undo:
            schema.undo(service, owner)
        else:
            schema.migrate(service, owner)
            schema.demand_current(service, owner)
    finally:
        owner.dispose()
    console.print(f"{service}: {'nothing left' if undo else 'at ' + ', '.join(sorted(schema.heads(service)))}")


# -- the embedded stack -----------------------------------------------------------------------------------------------


@heartwood.command()
@click.option("--state", type=click.Path(path_type=Path), default=STATE, show_default=True, help="Where it keeps all.")
@click.option("--port", default=DEFAULT_PORT, show_default=True, help="First of the services' ports.")
@click.option("--broker-port", default=None, type=int, help="Port of the broker; any free one by default.")
def up(state: Path, port: int, broker_port: int | None) -> None:
    """Run the whole stack on this machine until Ctrl-C."""
    stopping: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda n, _: stopping.append(n))
    began = time.monotonic()
    stack = Stack(
        state,
        port,
        broker_port,
        say=lambda line: console.print(f"· {line}", style="dim", markup=False, soft_wrap=True),
        stopping=lambda: bool(stopping),
    )
    with running(stack):
        if not stopping:
            _welcome(stack, time.monotonic() - began)
        while not stopping:
            stack.supervise()
            time.sleep(0.2)
        console.print("[dim]· stopping[/dim]")
    console.print("stopped; start again with the same command, nothing is lost")


def welcome_tokens(stack: Stack) -> list[tuple[str, str, Path]]:
    """Leave a token for each role in the state folder, readable by its owner only."""
    folder = stack.state / "tokens"
    folder.mkdir(exist_ok=True, mode=0o700)
    left = []
    for role, institution in PEOPLE:
        path = folder / f"{role}.jwt"
        path.touch(mode=0o600)
        path.write_text(stack.token(role, institution), encoding="ascii")
        left.append((role, institution, path))
    return left


def _welcome(stack: Stack, seconds: float) -> None:
    table = Table(title=f"Heartwood is up ({seconds:.0f} s)", title_justify="left")
    for column in ("service", "address", "API pages", "health"):
        table.add_column(column)
    for service in SERVICES:
        address = stack.url(service)
        table.add_row(service, address, f"{address}/v1/docs", f"{address}/readyz")
    console.print(f"[bold]Open {stack.pages}[/bold] and choose who you are · 打开此地址并选择身份", highlight=False)
    console.print(table)
    tokens = Table(title="Tokens (12 hours), one file for each role", title_justify="left")
    for column in ("role", "institution", "file"):
        tokens.add_column(column, no_wrap=True)
    for role, institution, path in welcome_tokens(stack):
        tokens.add_row(role, institution, str(path))
    console.print(tokens)
    console.print("Ctrl-C stops everything. Logs are in " + str(stack.state / "logs"))


@heartwood.command()
@click.argument("role", type=click.Choice(list(ROLES)))
@click.argument("institution")
@click.option("--subject", default=None, help="Who; the role at the institution by default.")
@click.option("--state", type=click.Path(path_type=Path), default=STATE, show_default=True)
def token(role: str, institution: str, subject: str | None, state: Path) -> None:
    """Print a development token for a role at an institution."""
    click.echo(DevelopmentIssuer(state / "issuer", settings()).token(role, institution, subject))


@heartwood.command()
@click.option("--state", type=click.Path(path_type=Path), default=STATE, show_default=True)
@click.option("--port", default=DEFAULT_PORT, show_default=True)
def doctor(state: Path, port: int) -> None:
    """Find what keeps Heartwood from running here, and say how to mend it."""
    from deploy.doctor import examine

    findings = examine(state, port)
    for finding in findings:
        mark = "[green]ok  [/green]" if finding.ok else "[red]bad [/red]"
        console.print(f"{mark} {finding.what}: {escape(finding.found)}", highlight=False, soft_wrap=True)
        if not finding.ok:
            console.print(f"     → {finding.fix}", highlight=False, soft_wrap=True)
    sys.exit(0 if all(finding.ok for finding in findings) else 1)


@heartwood.command()
@click.option("--state", type=click.Path(path_type=Path), default=Path("var/demo"), show_default=True)
@click.option("--port", default=DEFAULT_PORT + 200, show_default=True)
@click.option("--keep-up", is_flag=True, help="Leave the stack running at the end, until Ctrl-C.")
def demo(state: Path, port: int, keep_up: bool) -> None:
    """Play the whole story on a fresh stack, through real HTTP and real Kafka, and say whether it came out right."""
    from deploy.demo.story import play

    sys.exit(play(state, port, keep_up, console))


@heartwood.command()
@click.option("--check", is_flag=True, help="Change nothing; fail if a file is not up to date.")
def docs(check: bool) -> None:
    """Write the generated documents: OpenAPI of each service, event schemas, AsyncAPI."""
    from deploy.docs import write

    stale = write(Path("docs"), check)
    for path in stale:
        console.print(f"{'not up to date' if check else 'written'}: {path}", highlight=False)
    sys.exit(1 if check and stale else 0)


# -- operators --------------------------------------------------------------------------------------------------------


@heartwood.command("explain")
@click.argument("wanted", metavar="ID")
@click.option("--state", type=click.Path(path_type=Path), default=STATE, show_default=True, help="Of the stack to ask.")
@click.option("--databases", type=INPUT, default=None,
              help="YAML instead: the address of each service's database, as its worker.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def explain_id(wanted: str, state: Path, databases: Path | None, as_json: bool) -> None:
    """Show the whole trail of a request, a loan, a forest or an event through all services, and what it waits for."""
    from deploy.explain import Told, explain

    engines = {service: db.engine(url) for service, url in _worker_databases(state, databases).items()}
    try:
        trail = explain(engines, wanted)
    finally:
        for engine in engines.values():
            engine.dispose()
    if as_json:
        click.echo(json.dumps(asdict(trail), default=str, ensure_ascii=False, indent=1))
        return
    if not trail.steps:
        _refuse(f"no service knows {wanted}: give the id of a request, a loan, a forest, a leg or an event")
    table = Table("UTC", "service", "who", "what", "heard by, after seconds", "request", title=wanted)
    for step in trail.steps:
        if isinstance(step, Told):
            who, what = "", f"{step.name} {step.sequence}"
            heard = ", ".join(f"{service} {when}" for service, when in step.heard.items())
        else:
            who, what, heard = f"{step.actor} at {step.institution}", step.action, ""
        cells = (f"{step.at:%m-%d %H:%M:%S.%f}"[:-3], step.service, who, what, heard, step.request_id[:8])
        table.add_row(*map(escape, cells))
    console.print(table)
    for line in trail.waits:
        console.print(Text(f"still awaited: {line}", style="yellow"), soft_wrap=True)


@heartwood.command("rehearse-restore")
@click.option("--state", type=click.Path(path_type=Path), default=STATE, show_default=True, help="Of the stack to ask.")
@click.option("--source", default=None, metavar="URL",
              help="Another cluster instead, as its superuser; also from HEARTWOOD_SOURCE, for the password in it.",
              envvar="HEARTWOOD_SOURCE")  # fmt: skip
@click.option("--keep", type=click.Path(path_type=Path), default=None,
              help="Keep the backup and the restored cluster in this folder; a temporary one by default.")  # fmt: skip
def rehearse_restore(state: Path, source: str | None, keep: Path | None) -> None:
    """Back up a running cluster, restore it to a moment beside it, and say whether everything is there again."""
    from deploy.rehearse import rehearse

    url = source or EmbeddedPostgres(state.absolute() / "postgres").url()
    with tempfile.TemporaryDirectory(prefix="heartwood-") as temporary:
        folder = Path(temporary) if keep is None else keep.absolute()
        folder.mkdir(parents=True, exist_ok=True)
        outcome = rehearse(url, folder, {service: service for service in SERVICES}, console.print)
    table = Table("step", Column("seconds", justify="right"), title="rehearsal")
    for step, seconds in outcome.seconds.items():
        table.add_row(step, f"{seconds:.1f}")
    console.print(table)
    console.print(
        f"{outcome.rows:,} rows of {outcome.tables} tables ({outcome.moving} moved meanwhile),"
        f" {outcome.events:,} events, {outcome.chains} chains with {outcome.deeds:,} deeds",
        soft_wrap=True,
        highlight=False,
    )
    for fault in outcome.faults:
        console.print(Text(fault, style="red"), soft_wrap=True)
    if outcome.faults:
        _refuse(f"the restored cluster is not what was there: {len(outcome.faults)} faults")
    console.print("everything is there again", style="green")


def _worker_databases(state: Path, databases: Path | None) -> dict[str, str]:
    """The address of each service's database, for its worker."""
    if databases is None:
        return {s: EmbeddedPostgres(state.absolute() / "postgres").url(f"{s}_worker", s) for s in SERVICES}
    found = yaml.safe_load(databases.read_text())
    if not isinstance(found, dict) or set(found) != set(SERVICES):
        raise RefusalError(f"{databases} has to name an address for each of {', '.join(SERVICES)}")
    return {service: str(address) for service, address in found.items()}


@heartwood.command()
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0), help="The same seed, the same towns.")
@click.option("--steps", default=40, show_default=True, type=click.IntRange(1, 100_000), help="Of each town.")
@click.option("--towns", default=10, show_default=True, type=click.IntRange(1, 100_000))
@click.option("--planted", default=0, type=click.IntRange(0, 1000), metavar="SEEDS",
              help="Instead, plant bugs and tell in which town each is found, with so many seeds.")  # fmt: skip
def simulate(seed: int, steps: int, towns: int, planted: int) -> None:
    """Play random towns on real databases, with deaths, duplicates and lost logs, and look whether the books hold."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    try:
        simulator = importlib.import_module("tests.flows.simulate")
    except ModuleNotFoundError as error:
        _refuse(f"{error.name} is missing: the simulator runs from the source tree, after `make setup`")
    if planted:
        seeds = range(seed, seed + planted)
        told = Table("planted bug", *(Column(f"seed {one}", justify="right") for one in seeds), title="found in town")
        for bug, took in simulator.planted(seeds, lambda name: console.print(name, style="dim")).items():
            told.add_row(bug, *map(str, took))
        console.print(told)
        return
    with Progress(*Progress.get_default_columns(), TimeElapsedColumn(), console=console, transient=True) as progress:
        bar = progress.add_task(f"seed {seed}", total=towns)
        done, story = simulator.simulate(seed, steps, towns, lambda so_far: progress.update(bar, completed=so_far - 1))
    table = Table("done to the towns", Column("times", justify="right"), title=f"seed {seed}")
    for what, times in sorted(done.items()):
        table.add_row(what, f"{times:,}")
    console.print(table)
    if story:
        console.print(story, markup=False, soft_wrap=True)
        _refuse(f"seed {seed} breaks a promise: the smallest story that does is above")
    always, settled = simulator.RULES
    console.print(
        f"all held: {always} rules after every step, {settled} more whenever all was delivered", style="green"
    )


@heartwood.group()
def dead() -> None:
    """List, show and replay events that could not be applied."""


def _worker_sessions() -> Any:
    configured = settings()
    _need(configured, "HEARTWOOD_WORKER_DATABASE_URL")
    return db.sessions(db.engine(configured.worker_database_url))


@dead.command("list")
@click.option("--limit", default=100, show_default=True)
def dead_list(limit: int) -> None:
    """List the dead letters that were not replayed."""
    with _worker_sessions()() as session:
        letters = inbox.dead_letters(session, limit)
    # The id whole, however narrow the terminal: the other two commands ask for it.
    table = Table(Column("id", no_wrap=True, min_width=36), "at", "from", Column("reason", overflow="fold"))
    for letter in letters:
        where = f"{letter.topic} {letter.partition}/{letter.offset}"
        table.add_row(str(letter.id), f"{letter.at:%Y-%m-%d %H:%M:%S}", where, Text(letter.reason))
    console.print(table if letters else "no dead letters")


@dead.command("show")
@click.argument("letter_id", type=click.UUID)
def dead_show(letter_id: UUID) -> None:
    """Show one dead letter whole: headers, bytes, reason."""
    with _worker_sessions()() as session:
        letter = db.found(session, inbox.DeadLetter, letter_id)
    shown = {
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "reason": letter.reason,
        "headers": {name: (inbox._bytes(value) or b"").decode("utf-8", "replace") for name, value in letter.headers},
        "value": (letter.value or b"").decode("utf-8", "replace"),
    }
    click.echo(json.dumps(shown, indent=2, ensure_ascii=False))


@dead.command("replay")
@service_argument
@click.argument("letter_id", type=click.UUID)
def dead_replay(service: str, letter_id: UUID) -> None:
    """Apply one dead letter now; a second replay changes nothing."""
    door = importlib.import_module(f"services.{service}.consumers").DOOR
    with _worker_sessions().begin() as session:
        console.print(inbox.replay(session, door.consumer, letter_id))


# -- the credit service's models -------------------------------------------------------------------------------------


@heartwood.group("credit")
def credit_group() -> None:
    """Train and examine the credit service's scorecard; change the keys of its personal data."""


@credit_group.command("train")
@click.option(
    "--data",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=None,
    help="Loans as CSV; the shipped agricultural and forestry loans by default.",
)
@click.option(
    "--mapping",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=None,
    help="What the columns mean, as JSON; see data/loans/sba_served.json.",
)
@click.option("--target", default=None, help="Without a mapping: the column of the outcome.")
@click.option("--bad", default=None, help="Without a mapping: the bad outcome; the rarer one by default.")
@click.option(
    "--time",
    "time_",
    default=None,
    help="Without a mapping: when a loan was made; by default the column that dates every loan.",
)
@click.option("--leave-out", multiple=True, metavar="COLUMN", help="Without a mapping: no candidate. May be repeated.")
@click.option("--repeats", default=5, show_default=True, type=click.IntRange(1, 20), help="Of the 5-fold validation.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("var/credit"),
    show_default=True,
    help="Folder for card, report and model card.",
)
@click.option(
    "--json",
    "json_path",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    help="Write the report here too.",
)
def credit_train(
    data: Path | None,
    mapping: Path | None,
    target: str | None,
    bad: str | None,
    time_: str | None,
    leave_out: tuple[str, ...],
    repeats: int,
    out: Path,
    json_path: Path | None,
) -> None:
    """Train a scorecard, measure it, write its model card. Columns that know the outcome are refused with the proof."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from services.credit.training import command as train_command
    from services.credit.training.leak_screen import LeakError

    if data is None and target is None and mapping is None:
        mapping = train_command.LOANS / "sba_served.json"
    data = data or train_command.LOANS / train_command.SHIPPED
    try:
        rows, meant, left = train_command.plan(data, mapping, target, bad, time_, leave_out)
        later = train_command.later_loans(meant) if data == train_command.LOANS / train_command.SHIPPED else []
        command = " ".join(["heartwood credit train", *(shlex.quote(word) for word in sys.argv[3:])])
        with click.progressbar(length=train_command.fits_of(meant, repeats), label="fitting", file=sys.stderr) as bar:
            report = train_command.run(rows, meant, left, data, out, command, later, repeats, lambda: bar.update(1))
    except LeakError as error:
        for column, proof in error.proofs.items():
            console.print(Text(f"✗ {column}: {proof}", style="red"), soft_wrap=True)
        _refuse("these columns know the outcome; leave them out: " + " ".join(f"--leave-out {c}" for c in error.proofs))
    except ValueError as error:
        _refuse(str(error))
    if json_path:
        json_path.parent.mkdir(parents=True, exist_ok=True)
        json_path.write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    table = Table("", "method", "AUC", "90 % interval", "Brier", "KS", "ECE")
    for name, found in report["measured"].items():
        if not name.startswith("cross_validated"):
            continue
        for method, one in found.items():
            if isinstance(one, dict):
                low, high = one["auc"]["bootstrap_90"]
                table.add_row(
                    name,
                    method,
                    f"{one['auc']['mean']:.4f} ± {one['auc']['sd']:.3f}",
                    f"{low:.3f}-{high:.3f}",
                    f"{one['brier']['mean']:.4f}",
                    f"{one['ks']['mean']:.3f}",
                    f"{one['ece']['mean']:.3f}",
                )
        for other, (area, spread, brier, ks) in report["reference"].get(name, {}).items():
            table.add_row("", f"reference: {other}", f"{area:.4f} ± {spread:.3f}", "", f"{brier:.4f}", f"{ks:.3f}", "")
    late = report["measured"]["out_of_time"]
    for method in () if "not_tested" in late else ("champion", "challenger"):
        one, (low, high) = late[method], late[method]["auc_bootstrap_90"]
        numbers = (f"{one['brier']:.4f}", f"{one['ks']:.3f}", f"{one['ece']:.3f}")
        table.add_row(f"out_of_time {late['tested']}", method, f"{one['auc']:.4f}", f"{low:.3f}-{high:.3f}", *numbers)
    console.print(table)
    for each in report["missed"]:
        console.print(Text(f"missed: {each}", style="yellow"), soft_wrap=True)
    console.print(f"card, report and model card are in {out}")


@credit_group.command("adopt")
@click.argument("card", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--key", "key_file", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=None,
              help="Private key that signs it, see `heartwood model-key`; the development key by default.")  # fmt: skip
@click.option("--by", default="development", show_default=True, help="Who signs.")
@click.option("--models", type=click.Path(exists=True, file_okay=False, path_type=Path), default=None,
              help="Folder of signed models (HEARTWOOD_MODELS); the program's own by default.")  # fmt: skip
def credit_adopt(card: Path, key_file: Path | None, by: str, models: Path | None) -> None:
    """Sign this card and serve it from now on; it is refused unless it replays its own parity rows."""
    from services.credit.scorecard_file import MODELS
    from services.credit.training import command as train_command
    from shared.artefacts import DEVELOPMENT_KEY, read_key

    key = DEVELOPMENT_KEY if key_file is None else read_key(key_file)
    console.print(f"adopted {train_command.adopt(card, key, by, models or MODELS)}, signed by {by}")


# -- the guarantee service's placing of a queue -----------------------------------------------------------------------


@heartwood.group("guarantee")
def guarantee_group() -> None:
    """Place a queue of loans with guarantors, and check that a placing holds."""


@guarantee_group.command("allocate")
@click.option("--queue", "queue_file", type=INPUT, required=True, help="The queue as JSON, see docs/guarantee.md.")
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), required=True,
              help="Where the certificate is written.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=1, show_default=True)
@click.option("--gap", type=click.FloatRange(0, 1), default=None, help="Stop at this gap; by the queue's size if not.")
@click.option("--what-if", "changes", multiple=True,
              help="Also under net_assets:-20, quota:50 or cut_off:GUARANTOR; may be given again.")  # fmt: skip
def guarantee_allocate(
    queue_file: Path, json_path: Path, seed: int, gap: float | None, changes: tuple[str, ...]
) -> None:
    """Place a queue within every limit, near the optimum, and write a certificate that says how near."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from services.guarantee.allocation.command import run

    try:
        told = run(queue_file, seed, gap, changes, lambda line: click.echo(line, err=True))
    except ValueError as error:
        _refuse(str(error))
    json_path.parent.mkdir(parents=True, exist_ok=True)
    json_path.write_text(json.dumps(told, ensure_ascii=False, allow_nan=False, indent=1) + "\n", encoding="utf-8")
    console.print(
        f"{told['placed']} of {told['loans']} loans placed, value {told['value'] / 100:,.2f} CNY,"
        f" at most {told['gap']:.4%} below the optimum: {json_path}",
        soft_wrap=True,
    )


@guarantee_group.command("verify")
@click.option("--queue", "queue_file", type=INPUT, required=True, help="The queue as JSON.")
@click.option("--certificate", "certificate_file", type=INPUT, required=True, help="What allocate wrote.")
def guarantee_verify(queue_file: Path, certificate_file: Path) -> None:
    """Count a placing again, in whole fen and exact fractions, with code of its own."""
    from services.guarantee.allocation.command import verify

    found, told = verify(queue_file, certificate_file)
    for fault in found[:20]:
        console.print(Text(fault, style="red"), soft_wrap=True)
    if found:
        _refuse(f"the certificate does not hold: {len(found)} faults")
    console.print(f"holds: value {told['value']} fen, bound {told['bound']} fen, gap {float(told['gap']):.4%}")


# -- the insurance service's models -----------------------------------------------------------------------------------


@heartwood.group("insurance")
def insurance_group() -> None:
    """Fire weather and the peril models of the insurance service."""


@insurance_group.command("ylt")
@click.option("--exposure", "exposure_file", type=INPUT, required=True, help="Parcels as CSV, see docs/insurance.md.")
@click.option("--events", "events_file", type=INPUT, required=True, help="Events as CSV: a row for each parcel hit.")
@click.option("--terms", "terms_file", type=INPUT, required=True, help="Terms of the policies as CSV.")
@click.option(
    "--years", type=click.IntRange(1), default=None, help="Simulated years; the last one of the events if not."
)
@click.option("--return-period", "periods", type=float, multiple=True, default=(10, 50, 100, 200), show_default=True)
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), required=True, help="Report.")
def insurance_ylt(
    exposure_file: Path, events_file: Path, terms_file: Path, years: int | None, periods: tuple[float, ...],
    json_path: Path,
) -> None:  # fmt: skip
    """Make the year loss table of a book from an event set, with AAL, OEP, AEP and TVaR."""
    from services.insurance.accumulation.command import ylt

    try:
        report = ylt(exposure_file, events_file, terms_file, years, periods)
    except ValueError as error:
        _refuse(str(error))
    json_path.parent.mkdir(parents=True, exist_ok=True)
    json_path.write_text(json.dumps(report, ensure_ascii=False, allow_nan=False, indent=1) + "\n", encoding="utf-8")
    console.print(f"{report['years']} years, AAL {report['metrics'][0]['aal']:,.2f} CNY: {json_path}")


@insurance_group.command("train")
@click.option("--data", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=None,
              help="Losses as CSV; the shipped fire records by default.")  # fmt: skip
@click.option("--mapping", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=None,
              help="What the columns mean, as JSON; see data/fires/clm_mapping.json.")  # fmt: skip
@click.option("--later", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=None,
              help="Losses of later periods, to test on only, one period at a time.")  # fmt: skip
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("var/insurance"),
              show_default=True, help="Folder for model, report and model card.")  # fmt: skip
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), default=None,
              help="Write the report here too.")  # fmt: skip
def insurance_train(
    data: Path | None, mapping: Path | None, later: Path | None, out: Path, json_path: Path | None
) -> None:
    """Train a peril model, measure it in later years and unseen places, write its model card."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from services.insurance.training import command as train_command

    if data is not None and mapping is None:
        _refuse("say what the columns mean: --mapping FILE")
    data = data or train_command.FIRES / "clm_fires_1998_2004.csv"
    mapping = mapping or train_command.FIRES / "clm_mapping.json"
    command = " ".join(["heartwood insurance train", *(shlex.quote(word) for word in sys.argv[3:])])
    try:
        report = train_command.run(data, mapping, out, command, later)
    except (ValueError, KeyError) as error:
        _refuse(str(error))
    if json_path:
        json_path.parent.mkdir(parents=True, exist_ok=True)
        json_path.write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    table = Table("", "method", "D2", "range over folds", "Gini", "predicted / actual")
    for name, found in report["measured"].items():
        for method, one in found.items():
            if "d2" in one:
                low, high = one["d2"]["range"]
                few, many = one["predicted_over_actual"]["range"]
                table.add_row(name, method, f"{one['d2']['mean']:.3f}", f"{low:.3f} to {high:.3f}",
                              f"{one['gini']['mean']:.3f}", f"{few:.2f} to {many:.2f}")  # fmt: skip
        for other, (explained, ranked) in report["reference"].get(name, {}).items():
            table.add_row("", f"elsewhere: {other}", f"{explained:.3f}", "", f"{ranked:.3f}", "")
    console.print(table)
    for each in report["missed"]:
        console.print(Text(f"missed: {each}", style="yellow"), soft_wrap=True)
    console.print(f"model, report and model card are in {out}")


@insurance_group.command("fire-weather")
@click.option("--data", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True,
              help="CSV: station, date, temperature_c, humidity_pct, wind_km_h, rain_mm.")  # fmt: skip
@click.option("--state", "state_path", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=None,
              help="Go on from the state in an earlier result.")  # fmt: skip
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), required=True,
              help="Where seasons, refused readings and the state to go on with are written.")  # fmt: skip
def insurance_fire_weather(data: Path, state_path: Path | None, json_path: Path) -> None:
    """Fire weather index of daily readings, season by season, as covariates of a peril model."""
    from services.insurance import weather_file
    from services.insurance.actions import PARAMETERS
    from shared import clock

    try:
        state = json.loads(state_path.read_text(encoding="utf-8"))["state"] if state_path else None
        weather = weather_file.read_weather(data)
        found = weather_file.seasons(weather, PARAMETERS.at(clock.today()), state)
    except (ValueError, KeyError, TypeError) as error:
        _refuse(str(error))
    json_path.parent.mkdir(parents=True, exist_ok=True)
    json_path.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    console.print(f"{len(weather.stations)} stations, {len(found['seasons'])} seasons; refused {len(found['refused'])}")


@heartwood.command("model-key")
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path))
def model_key(path: Path) -> None:
    """Make a key to sign models with, in a file only you can read; print its public half for HEARTWOOD_MODEL_KEYS."""
    from shared.artefacts import make_key, public_text

    console.print(public_text(make_key(path).public_key()))


@heartwood.command("model-sign")
@click.argument("artefact", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--key", "key_file", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=None,
              help="Private key that signs it, see `heartwood model-key`; the development key by default.")  # fmt: skip
@click.option("--by", default="development", show_default=True, help="Who signs.")
def model_sign(artefact: Path, out: Path, key_file: Path | None, by: str) -> None:
    """Sign a trained model and write it as one file, as POST /v1/models takes it."""
    from shared import clock
    from shared.artefacts import DEVELOPMENT_KEY, read_key, sign
    from shared.models import bundle

    try:
        document = json.loads(artefact.read_bytes())
        signature = sign(document, DEVELOPMENT_KEY if key_file is None else read_key(key_file), by, clock.now())
    except (ValueError, AttributeError) as error:
        _refuse(f"{artefact.name} is no model: {error}")
    out.write_bytes(bundle(document, [signature]))
    console.print(f"{out}: {signature['sha256']}, signed by {by}")


@credit_group.command("rekey")
@click.option("--batch", default=500, show_default=True, type=click.IntRange(1, 10_000), help="Records at once.")
def credit_rekey(batch: int) -> None:
    """Wrap every sealed record by the first of HEARTWOOD_DATA_KEYS; ends when no record needs an older key.

    The service goes on meanwhile. A run that is stopped has done what it said, and the next one does the rest.
    """
    from services.credit.actions.erasure import rekey
    from shared.sealing import keys_of

    configured = settings()
    _need(configured, "HEARTWOOD_WORKER_DATABASE_URL")
    ring = keys_of(configured)
    sessions = db.sessions(db.engine(configured.worker_database_url), keys=ring, actor="heartwood credit rekey")
    with sessions() as session:
        institutions = session.scalars(select(audit.AuditHead.institution).order_by(audit.AuditHead.institution)).all()
    total = 0
    for institution in institutions:
        done = batch
        while done == batch:
            with sessions.begin() as session:
                db.act_for(session, institution)
                done = rekey(session, batch)
                audit.seal(session)
            total += done
            console.print(f"{institution}: {done} records", highlight=False)
    console.print(
        f"{total} records are under the key {ring.current}; older keys may be taken out of HEARTWOOD_DATA_KEYS"
    )


@heartwood.group("audit")
def audit_group() -> None:
    """Check the audit trail."""


@audit_group.command("verify")
@click.argument("institutions", nargs=-1)
def audit_verify(institutions: tuple[str, ...]) -> None:
    """Follow the hash chain of each institution; name the first broken link of one that does not hold."""
    broken = 0
    with _worker_sessions()() as session:
        names = institutions or tuple(session.scalars(select(audit.AuditHead.institution)).all())
        for institution in sorted(names):
            found = audit.verify(session, institution)
            broken += found is not None
            what = f"entry {found.number}: {found.what}" if found else "the chain holds"
            console.print(f"{institution}: {what}", highlight=False, markup=False, soft_wrap=True)
    sys.exit(1 if broken else 0)


def _end_when_told() -> None:
    """End well from the beginning; what serves or works later takes the order in its own way. A migration that is
    told to end does not: it is not done then, and must not look so.
    """
    # At once: nothing is under way yet, and an exception raised here may be lost in one of the interpreter's callbacks.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))


def _need(configured: Settings, name: str) -> None:
    value = getattr(configured, name.removeprefix("HEARTWOOD_").lower())
    if not value:
        raise SettingsError(f"{name} is missing: set it, or {name}_FILE")
    try:
        readable = make_url(value).drivername == make_url(ADDRESS).drivername
    except (ArgumentError, ValueError):
        readable = False
    if not readable:  # not in the words of the library, which repeat it, password and all
        raise SettingsError(f"{name} is not the address of a database: write {ADDRESS}")


if __name__ == "__main__":
    main()
