"""Each role as a plain process with exactly the variables of the container files: compose for two of the services,
Kubernetes for the other two.
"""

import base64
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import yaml
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from rich.console import Console

from deploy.demo.player import Account
from deploy.demo.story import Story, short_plan
from deploy.embedded import LOOPBACK, EmbeddedPostgres, TansuBroker, free_port
from deploy.issuer import ROLES
from deploy.kafka import apache
from services.credit.scorecard_file import MODELS, SCORECARD
from services.credit.training.command import adopt
from shared import database
from shared.artefacts import make_key, public_text
from shared.schema import SERVICES
from tests.stack.conftest import ROOT, eventually

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("stack")]

ISSUER = "https://id.bank.example"
HEARTWOOD = Path(sys.executable).with_name("heartwood")
#: Which files name the variables of a service.
SOURCE = {"sink": "compose", "credit": "compose", "insurance": "kubernetes", "guarantee": "kubernetes"}


# -- what the container files say -------------------------------------------------------------------------------------


def of_compose(service: str, role: str) -> tuple[dict[str, str], dict[str, str]]:
    """Variables of a role, and which secret (role of the database, cursor_key or data_keys) lies in which file."""
    compose = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
    found = compose["services"][f"{service}-{role}"]
    assert found["command"] == [role, service]
    files = {f"/run/secrets/{s['target']}": s["source"].removeprefix(f"{service}_") for s in found["secrets"]}
    return dict(found["environment"]), files


def of_kubernetes(service: str, role: str) -> tuple[dict[str, str], dict[str, str]]:
    folder = ROOT / "deploy/kubernetes"

    def read(name: str) -> dict[str, Any]:
        documents: dict[str, Any] = next(yaml.safe_load_all((folder / name).read_text()))
        return documents

    variables: dict[str, str] = {}
    for layer in ("base", "overlays/production"):
        for generator in read(f"{layer}/kustomization.yaml")["configMapGenerator"]:
            variables |= dict(literal.split("=", 1) for literal in generator["literals"])
    files: dict[str, str] = {}
    for name in ("pod", role):
        pod = read(f"base/service/{name}.yaml")["spec"]["template"]["spec"]
        variables |= {entry["name"]: entry["value"] for entry in pod["containers"][0]["env"]}
        for item in (i for volume in pod["volumes"] for i in volume.get("secret", {}).get("items", [])):
            key = item["key"]
            secret = "app_url" if key == "database-url" else key.replace("-database-url", "_url").replace("-", "_")
            files[f"/run/secrets/heartwood/{item['path']}"] = secret
    return variables, files


READERS: dict[str, Callable[[str, str], tuple[dict[str, str], dict[str, str]]]] = {
    "compose": of_compose,
    "kubernetes": of_kubernetes,
}


@pytest.mark.parametrize("role", ["migrate", "serve", "work"])
def test_both_kinds_of_files_set_the_same_variables(role: str) -> None:
    (one, its_files), (other, other_files) = of_compose("credit", role), of_kubernetes("credit", role)
    assert set(one) == set(other)
    assert sorted(its_files.values()) == sorted(other_files.values())
    assert {value for name, value in one.items() if name.endswith("_FILE")} == set(its_files)


# -- a site -----------------------------------------------------------------------------------------------------------


@dataclass
class Process:
    """A role of a service."""

    name: str
    popen: subprocess.Popen[bytes]
    output: Path

    def said(self) -> str:
        return self.output.read_text()


@dataclass
class Site:
    """What a site has around the containers: a database server, a broker, an issuer of tokens, secrets in files."""

    place: Path
    postgres: EmbeddedPostgres
    bootstrap: str
    #: What a broker needs that no container file says.
    more: dict[str, str]
    ports: dict[tuple[str, str], int] = field(default_factory=dict)
    environment: dict[str, dict[str, str]] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("cwd", "home", "tmp", "secrets", "logs"):
            (self.place / name).mkdir()
        self.key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)
        (self.place / "jwks.json").write_text(json.dumps(KeySet([self.key]).as_dict(private=False)))
        (self.place / "models").mkdir()
        self.signer = make_key(self.place / "signer.pem")
        adopt(MODELS / SCORECARD, self.signer, "the site's model board", self.place / "models")
        for service in SERVICES:
            database.create(self.postgres.url(), service)
            for role in database.ROLES:
                self.secret(service, f"{role}_url").write_text(self.postgres.url(f"{service}_{role}", service) + "\n")
            self.secret(service, "cursor_key").write_text(f"the cursor key of {service}\n")
            keys = {name: base64.b64encode(os.urandom(32)).decode() for name in ("1", "marks")}
            self.secret(service, "data_keys").write_text(" ".join(f"{name}:{key}" for name, key in keys.items()))
            self.ports |= {(service, kind): free_port() for kind in ("HEARTWOOD_PORT", "HEARTWOOD_METRICS_PORT")}
            url = self.postgres.url(f"{service}_worker", service)
            self.environment[service] = {"HEARTWOOD_WORKER_DATABASE_URL": url}

    def secret(self, service: str, name: str) -> Path:
        return self.place / "secrets" / f"{service}_{name}"

    def variables(self, service: str, role: str) -> dict[str, str]:
        """The variables of the files, with this site's values for what a site decides."""
        variables, files = READERS[SOURCE[service]](service, role)
        values = {
            "HEARTWOOD_ISSUER": ISSUER,
            "HEARTWOOD_JWKS": str(self.place / "jwks.json"),
            "HEARTWOOD_MODEL_KEYS": public_text(self.signer.public_key()),
            "HEARTWOOD_KAFKA_BOOTSTRAP": self.bootstrap,
            "HEARTWOOD_TOPIC_PARTITIONS": "4",
            "HEARTWOOD_TOPIC_REPLICATION": "1",
            "HEARTWOOD_HOST": LOOPBACK,
            "HEARTWOOD_PORT": str(self.ports[service, "HEARTWOOD_PORT"]),
            "HEARTWOOD_METRICS_PORT": str(self.ports[service, "HEARTWOOD_METRICS_PORT"]),
        }
        assert set(values) <= set(variables)
        secrets = {name: str(self.secret(service, files[value])) for name, value in variables.items() if value in files}
        # A site signs before it builds its image; here is no image.
        return variables | values | secrets | {"HEARTWOOD_MODELS": str(self.place / "models")}

    def run(self, role: str, service: str, **changes: str) -> Process:
        """Start a role as its container would, in an empty folder."""
        output = self.place / "logs" / f"{role}-{service}-{len(self.processes)}.log"
        surroundings = {
            "PATH": os.defpath,
            "HOME": str(self.place / "home"),
            "TMPDIR": str(self.place / "tmp"),
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        with output.open("wb") as log:
            popen = subprocess.Popen(
                [HEARTWOOD, role, service],
                cwd=self.place / "cwd",
                env={**surroundings, **self.variables(service, role), **self.more, **changes},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.processes.append(Process(f"{role} {service}", popen, output))
        return self.processes[-1]

    def address(self, role: str, service: str) -> str:
        kind = "HEARTWOOD_PORT" if role == "serve" else "HEARTWOOD_METRICS_PORT"
        return f"http://{LOOPBACK}:{self.ports[service, kind]}"

    def is_ready(self, role: str, service: str) -> bool:
        try:
            with urlopen(f"{self.address(role, service)}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    # What a story asks of a stack.

    def url(self, service: str) -> str:
        return self.address("serve", service)

    def token(self, role: str, institution: str, subject: str | None = None) -> str:
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "sub": subject or f"{role}@{institution}",
            "aud": sorted({scope.split(":")[0] for scope in ROLES[role]}),
            "institution": institution,
            "role": role,
            "scope": " ".join(ROLES[role]),
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
        }
        return jwt.encode({"alg": "ES256", "kid": self.key.kid}, claims, self.key)

    def end(self) -> None:
        for process in self.processes:
            if process.popen.poll() is None:
                process.popen.kill()
            process.popen.wait()


@pytest.fixture(scope="module", params=["embedded", pytest.param("apache", marks=[pytest.mark.apache])])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    if request.param == "apache" and (reason := apache.available()):
        pytest.skip(f"no Apache Kafka here: {reason}")
    place = Path(tempfile.mkdtemp(prefix="hw-"))
    broker: Any = TansuBroker(place / "broker")
    more = {"HEARTWOOD_KAFKA_SESSION_TIMEOUT_MS": "2000", "HEARTWOOD_KAFKA_FETCH_WAIT_MS": "20"}
    if request.param == "apache":
        broker, more = apache.ApacheKafka(ROOT / apache.LIBRARIES), {}
        broker.start(free_port(), place / "broker")
    else:
        broker.start()
    with EmbeddedPostgres(place / "postgres", durable=False) as postgres:
        made = Site(place, postgres, broker.bootstrap, more)
        yield made
        made.end()
    broker.stop()
    shutil.rmtree(place)


def written_to(pid: int) -> set[str]:
    """The plain files that a process and its children have open for writing."""
    found = set()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for one in (pid, *map(int, children)):
        for handle in Path(f"/proc/{one}/fd").iterdir():
            flags = int((Path(f"/proc/{one}/fdinfo") / handle.name).read_text().split("flags:")[1].split()[0], 8)
            target = os.readlink(handle)
            if flags & os.O_ACCMODE and target.startswith("/") and not target.startswith("/dev/"):
                found.add(target)
    return found


def test_the_roles_of_the_containers_carry_loans_through_every_leg(site: Site) -> None:
    for process in [site.run("migrate", service) for service in SERVICES]:
        assert process.popen.wait(180) == 0, process.said()
    for process in [site.run("migrate", service) for service in SERVICES]:
        assert process.popen.wait(180) == 0, "a second time changes nothing"
    running = {(role, service): site.run(role, service) for role in ("work", "serve") for service in SERVICES}
    for (role, service), process in running.items():
        said = process.said
        assert eventually(lambda r=role, s=service: site.is_ready(r, s), 180), (process.name, said())

    story = Story(site, Account(Console(quiet=True)), short_plan(0))  # type: ignore[arg-type]
    story.register()
    story.set_limits()
    story.lend()
    story.repay()
    story.close_the_books()
    assert [step for step in story.account.steps if not step.passed] == []

    for (role, _), process in running.items():
        pid = process.popen.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        assert len(children) == (2 if role == "serve" else 0), "gunicorn has two workers"
        others = {name for name in written_to(process.popen.pid) if not name.startswith("/tmp")}
        assert others == set(), process.name
    for process in running.values():
        process.popen.send_signal(signal.SIGTERM)
    for process in running.values():
        assert process.popen.wait(180) == 0, (process.name, process.said())
    for process in running.values():
        for line in process.said().splitlines():
            assert isinstance(json.loads(line), dict), "a line of the log is a JSON object"
    assert list((site.place / "cwd").iterdir()) == []
    assert list((site.place / "home").iterdir()) == []
    assert list((site.place / "tmp").iterdir()) == [], "and nothing is left in the temporary folder"


@pytest.mark.parametrize("role", ["serve", "work"])
def test_an_order_to_stop_is_heard_at_any_moment(site: Site, role: str) -> None:
    site.run("migrate", "guarantee").popen.wait(180)
    for moment in range(5):
        process = site.run(role, "guarantee")
        time.sleep(random.uniform(moment, moment + 1))
        process.popen.send_signal(signal.SIGTERM)
        code = process.popen.wait(180)
        # The interpreter itself, before it has read the program, just dies of it.
        assert code == 0 or (code == -signal.SIGTERM and process.said() == ""), (code, process.said())
        assert "Traceback" not in process.said()
    process = site.run(role, "guarantee")
    assert eventually(lambda: site.is_ready(role, "guarantee"), 180)
    process.popen.send_signal(signal.SIGTERM)
    assert process.popen.wait(180) == 0


@pytest.mark.parametrize("role", ["serve", "work"])
def test_a_wrong_schema_is_refused_with_the_command_to_run(site: Site, role: str) -> None:
    database.create(site.postgres.url(), "credit", "bare")
    address = site.place / "secrets" / f"bare_{role}"
    address.write_text(site.postgres.url("credit_owner", "bare"))
    name = "HEARTWOOD_DATABASE_URL_FILE" if role == "serve" else "HEARTWOOD_WORKER_DATABASE_URL_FILE"
    process = site.run(role, "credit", **{name: str(address)})
    assert process.popen.wait(180) == 1
    assert process.said().count("\n") == 1
    assert "the credit database is at nothing" in process.said()
    assert "run `heartwood migrate credit` with this version of the code" in process.said()


@pytest.mark.parametrize("role", ["serve", "work", "migrate"])
@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"HEARTWOOD_ISSUER": "heartwood-development"}, "HEARTWOOD_ISSUER is missing or the development issuer"),
        ({"HEARTWOOD_JWKS": "http://id.bank.example/jwks.json"}, "unprotected keys prove nothing"),
        ({"HEARTWOOD_CURSOR_KEY_FILE": "/nowhere/at/all"}, "HEARTWOOD_CURSOR_KEY_FILE names /nowhere/at/all"),
    ],
)
def test_what_production_must_not_have_is_refused_in_one_line(
    site: Site, role: str, changes: dict[str, str], what: str
) -> None:
    process = site.run(role, "sink", **changes)
    assert process.popen.wait(180) == 1
    assert process.said().count("\n") == 1
    assert what in process.said()


@pytest.mark.parametrize(("role", "name"), [("serve", "HEARTWOOD_PORT"), ("work", "HEARTWOOD_METRICS_PORT")])
def test_a_taken_port_is_refused_in_one_line(site: Site, role: str, name: str) -> None:
    assert site.run("migrate", "guarantee").popen.wait(180) == 0
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        process = site.run(role, "guarantee", HEARTWOOD_MODE="development", **{name: port})
        assert process.popen.wait(180) == 1
    assert process.said().count("\n") == 1, process.said()
    assert f"the port is taken: set {name.replace('METRICS_', '')}" in process.said()
