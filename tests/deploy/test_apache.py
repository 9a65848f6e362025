"""A real Apache Kafka: it starts, keeps its cluster over a crash, and says why when it cannot start."""

import shutil
from pathlib import Path

import pytest

from deploy.embedded import ChildError, answers, free_port
from deploy.kafka import apache
from deploy.kafka.apache import ApacheKafka, available, fetch_jars
from tests.deploy.test_embedded import speaks_kafka

needs_java = pytest.mark.skipif(available() is not None, reason=str(available()))
LIBRARIES = Path(__file__).parents[2] / apache.LIBRARIES


@pytest.mark.apache
@needs_java
def test_serves_and_keeps_its_cluster_over_a_crash(place: Path) -> None:
    with ApacheKafka(LIBRARIES) as kafka:
        port = free_port()
        assert kafka.start(port, place) is kafka
        assert kafka.bootstrap == f"127.0.0.1:{port}"
        assert speaks_kafka(port)
        cluster = (place / "logs" / "meta.properties").read_text()
        kafka.kill()
        assert not kafka.is_running()
        kafka.start(port, place)
        assert speaks_kafka(port)
        assert (place / "logs" / "meta.properties").read_text() == cluster
        with pytest.raises(ChildError, match=f"port {port} is taken"):
            ApacheKafka(LIBRARIES).start(port, place)
    assert kafka.pid is None
    assert not answers(port)


@pytest.mark.apache
@needs_java
def test_a_storage_that_cannot_be_formatted_is_told(place: Path) -> None:
    (place / "logs").write_text("a file where a folder should be")
    with pytest.raises(ChildError, match="could not format its storage"):
        ApacheKafka(LIBRARIES).start(free_port(), place)


def test_says_what_is_missing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(place))
    assert "java" in str(available())
    with pytest.raises(ChildError, match="Java 17"):
        ApacheKafka(place / "libs").start(free_port(), place)


def test_a_maven_that_fails_is_told_and_leaves_no_half_set(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maven = place / "bin" / "mvn"
    maven.parent.mkdir()
    maven.write_text("#!/bin/sh\necho 'Could not resolve dependencies'\nexit 1\n")
    maven.chmod(0o755)
    monkeypatch.setenv("PATH", f"{maven.parent}:/usr/bin:/bin")
    for _ in range(2):
        with pytest.raises(ChildError, match="Could not resolve"):
            fetch_jars(place / "libs")


def test_jars_that_are_there_are_not_fetched_again(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "libs").mkdir()
    shutil.copyfile(apache.HERE / "pom.xml", place / "libs" / "pom.xml")
    monkeypatch.setenv("PATH", "")
    fetch_jars(place / "libs")
