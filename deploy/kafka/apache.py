"""A real Apache Kafka on one node (KRaft), run with plain `java` from jars that Maven fetches once.

For the tests, and for a stack that should keep its log over a restart. Everything listens to this machine only.
"""

import secrets
import shutil
import signal
import subprocess
import time
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.embedded import LOOPBACK, Child, ChildError, answers, free_port, locked

HERE = Path(__file__).parent
LIBRARIES = Path("var/kafka/libs")
HEAP = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""Small, and quick to start: one thread collects, and the second compiler stays out."""
STARTED = "Kafka Server started"

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
listeners=BROKER://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=BROKER://{host}:{port}
listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=BROKER
controller.listener.names=CONTROLLER
log.dirs={logs}
auto.create.topics.enable=false
num.partitions=3
offsets.topic.replication.factor=1
offsets.topic.num.partitions=3
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=3
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=3
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
"""

LOGGING = """\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %-5p %c{1} %m%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
logger.server.name = kafka.server.KafkaRaftServer
logger.server.level = info
logger.properties.name = org.apache.kafka.common.config
logger.properties.level = error
"""


def available() -> str | None:
    """Why an Apache Kafka cannot be started here, or None when it can."""
    if shutil.which("java") is None:
        return "no `java` on the PATH (Apache Kafka needs Java 17 or newer)"
    if shutil.which("mvn") is None:
        return "no `mvn` on the PATH (Maven fetches the jars of Apache Kafka)"
    return None


class ApacheKafka:
    """One broker, also its own controller; its data below the `state` given to `start` outlives it.

    Start it from the main thread and, on Linux, it is killed when this process ends in whatever way; a broker that
    was killed recovers its log at the next start.
    """

    def __init__(self, libraries: Path = LIBRARIES) -> None:
        self.libraries = libraries.absolute()
        self.port = 0
        self._child: Child | None = None

    @property
    def bootstrap(self) -> str:
        """`host:port` for clients."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def pid(self) -> int | None:
        """The broker's process, or None when it does not run."""
        return self._child.pid if self._child is not None and self._child.is_running() else None

    def is_running(self) -> bool:
        """Whether it has been started and has not ended."""
        return self.pid is not None

    def start(self, port: int, state: Path, *, patience: float = 120) -> Self:
        """Fetch the jars and format the storage where that was not done yet; return when the broker serves."""
        if self.is_running():
            return self
        reason = available()
        if reason is not None:
            raise ChildError(reason)
        state = state.absolute()
        state.mkdir(parents=True, exist_ok=True)
        if answers(port):
            raise ChildError(f"port {port} is taken; end what listens there, or choose another port")
        fetch_jars(self.libraries)
        properties = self._configure(port, state)
        self._format(properties, state)
        self.port = port
        child = self._child = Child(self._java(state, HEAP, "kafka.Kafka", properties), state / "kafka.log")
        deadline = time.monotonic() + patience
        while child.is_running() and time.monotonic() < deadline:
            if STARTED in child.output() and answers(port):
                return self
            time.sleep(0.05)
        child.kill()
        self._child = None
        raise ChildError(f"Apache Kafka did not start on {self.bootstrap} (log: {child.log}):\n{child.tail()}")

    def stop(self) -> None:
        """End it in good order."""
        if self._child is not None:
            self._child.stop(signal.SIGTERM, patience=30)
        self._child = None

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        if self._child is not None:
            self._child.kill()
        self._child = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _configure(self, port: int, state: Path) -> Path:
        (state / "log4j2.properties").write_text(LOGGING)
        properties = state / "server.properties"
        properties.write_text(
            PROPERTIES.format(host=LOOPBACK, port=port, controller=free_port(), logs=(state / "logs").as_posix())
        )
        return properties

    def _format(self, properties: Path, state: Path) -> None:
        """Give empty storage a fresh cluster id; formatted storage keeps its own."""
        if (state / "logs" / "meta.properties").exists():
            return
        arguments = ("format", "--cluster-id", _uuid(), "--config", properties)
        storage = Child(self._java(state, HEAP, "kafka.tools.StorageTool", *arguments), state / "format.log")
        try:
            code = storage.wait(60)
        finally:
            storage.kill()
        if code != 0:
            raise ChildError(f"Apache Kafka could not format its storage below {state}:\n{storage.tail()}")

    def _java(self, state: Path, options: Sequence[str], main: str, *arguments: str | Path) -> list[str | Path]:
        logging = f"-Dlog4j2.configurationFile={state / 'log4j2.properties'}"
        java = shutil.which("java") or "java"
        return [java, *options, "-Djava.awt.headless=true", logging, "-cp", f"{self.libraries}/*", main, *arguments]


def fetch_jars(libraries: Path, *, patience: float = 900) -> None:
    """Let Maven copy the jars named in pom.xml into this folder, unless it did so before for the same pom.xml."""
    pom = HERE / "pom.xml"
    mark = libraries / "pom.xml"  # copied last, so its presence means that the set is whole
    libraries.parent.mkdir(parents=True, exist_ok=True)
    with locked(libraries.with_name(f"{libraries.name}.lock")):
        if mark.exists() and mark.read_bytes() == pom.read_bytes():
            return
        shutil.rmtree(libraries, ignore_errors=True)
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={libraries}"]
        command = ["mvn", "--batch-mode", "--quiet", "--file", str(pom), *goal]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=patience, check=False)
        except subprocess.TimeoutExpired:
            raise ChildError(f"Maven did not fetch the jars of Apache Kafka within {patience:.0f} s") from None
        if done.returncode != 0:
            end = "\n".join(f"  | {line}" for line in (done.stdout + done.stderr).splitlines()[-15:])
            raise ChildError(f"Maven could not fetch the jars of Apache Kafka:\n{end}")
        shutil.copyfile(pom, mark)


def _uuid() -> str:
    """A cluster id in Kafka's spelling: 16 bytes in base64 without padding, and no leading dash."""
    while True:
        text = urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")
        if not text.startswith("-"):
            return text
