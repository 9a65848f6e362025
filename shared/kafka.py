"""The only file that speaks Kafka: topics, the sending side for the relay, and the loop that feeds the inbox."""

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError
from kafka.producer.future import RecordMetadata

from shared.events import TOPICS
from shared.events.base import REGISTRY
from shared.inbox import Record
from shared.relay import BrokerError, Message
from shared.settings import Settings

log = structlog.get_logger(__name__)

#: How long a batch may take to be acknowledged before it counts as unsent. [s]
DELIVERY_TIMEOUT = 20.0
CLOSE_TIMEOUT = 3.0


def state_topics() -> list[str]:
    """Compacted topics: the latest event of each key."""
    return sorted({event.STATE_TOPIC for event in REGISTRY.values() if event.STATE_TOPIC})


def create_topics(settings: Settings) -> None:
    """Create what is missing, with its final number of partitions; events are kept, valuations compacted."""
    wanted = [(topic, "delete") for topic in TOPICS]
    wanted += [(f"{topic}.dead", "delete") for topic in TOPICS]
    wanted += [(topic, "compact") for topic in state_topics()]
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap, request_timeout_ms=10_000)
    try:
        present = set(admin.list_topics())
        for topic, policy in wanted:
            if topic in present:
                continue
            # Events are kept for ever on the broker side too where the site's storage allows it: -1.
            configs = {"cleanup.policy": policy} | ({"retention.ms": "-1"} if policy == "delete" else {})
            with contextlib.suppress(TopicAlreadyExistsError):
                admin.create_topics(
                    [NewTopic(topic, settings.topic_partitions, settings.topic_replication, topic_configs=configs)]
                )
    finally:
        admin.close()


def cluster_id(settings: Settings) -> str:
    """Identity of the cluster that answers; a BrokerError if none does."""
    try:
        admin = KafkaAdminClient(
            bootstrap_servers=settings.kafka_bootstrap, request_timeout_ms=3_000, bootstrap_timeout_ms=3_000
        )
    except KafkaError as error:
        raise BrokerError(f"no broker answers at {settings.kafka_bootstrap}: {type(error).__name__}") from None
    try:
        return str(admin.describe_cluster()["cluster_id"])
    except KafkaError as error:
        raise BrokerError(f"the broker does not say which cluster it is: {type(error).__name__}") from None
    finally:
        admin.close()


class Sender:
    """The sending side of a broker, for one process. Tuned for batches that are acknowledged by all replicas."""

    def __init__(self, settings: Settings, linger_ms: int = 5) -> None:
        self.settings, self.process = settings, os.getpid()
        try:
            create_topics(settings)
            self.producer = KafkaProducer(
                bootstrap_servers=settings.kafka_bootstrap,
                acks="all",
                linger_ms=linger_ms,
                batch_size=262_144,
                max_request_size=5_000_000,
                delivery_timeout_ms=int(DELIVERY_TIMEOUT * 1000),
                request_timeout_ms=10_000,
                max_block_ms=10_000,
                allow_auto_create_topics=False,
                client_id="heartwood-relay",
            )
        except (KafkaError, OSError) as error:
            raise BrokerError(f"{type(error).__name__}: {error}") from None

    def cluster_id(self) -> str:
        """Identity of the cluster, asked anew each time."""
        return cluster_id(self.settings)

    def send(self, messages: Sequence[Message]) -> Any:
        """Hand messages to the client; in order per key."""
        if os.getpid() != self.process:
            raise RuntimeError("a producer does not survive a fork: make one in the child")
        try:
            return [self.producer.send(m.topic, value=m.value, key=m.key, headers=list(m.headers)) for m in messages]
        except KafkaError as error:
            raise BrokerError(f"{type(error).__name__}: {error}") from None

    def settle(self, sent: Any) -> None:
        """Wait for every acknowledgement; anything else than one counts as not sent."""
        deadline = time.monotonic() + DELIVERY_TIMEOUT + 5
        try:
            for future in sent:
                answer = future.get(timeout=max(0.001, deadline - time.monotonic()))
                if not isinstance(answer, RecordMetadata):
                    raise BrokerError("a record was not acknowledged")
        except KafkaError as error:
            raise BrokerError(f"{type(error).__name__}: {error}") from None

    def close(self) -> None:
        """Let go of the broker, soon, whatever state it is in."""
        try:
            self.producer.close(timeout=CLOSE_TIMEOUT)
        except KafkaError as error:
            log.warning("closing the producer", error=type(error).__name__)


class _Seek(ConsumerRebalanceListener):  # type: ignore[misc]
    """Start each assigned partition where the database says, not where the broker remembers."""

    def __init__(self, consumer: Any, offsets: Callable[[], dict[tuple[str, int], int]]) -> None:
        self.consumer, self.offsets = consumer, offsets
        self.assigned: set[TopicPartition] = set()

    def on_partitions_assigned(self, assigned: Any) -> None:
        known = self.offsets()
        self.assigned = set(self.consumer.assignment())
        for partition in assigned:
            offset = known.get((partition.topic, partition.partition))
            if offset is None:
                self.consumer.seek_to_beginning(partition)
            else:
                self.consumer.seek(partition, offset)
        log.info("partitions assigned", count=len(assigned))

    def on_partitions_revoked(self, revoked: Any) -> None:
        self.assigned -= set(revoked)


class BrokerChangedError(RuntimeError):
    """Another cluster answers: the consumer starts over."""


def consume(
    settings: Settings,
    group: str,
    topics: Sequence[str],
    offsets: Callable[[str], dict[tuple[str, int], int]],
    receive: Callable[[Sequence[Record], str], None],
    stopping: Callable[[], bool],
    beat: Callable[[], None] = lambda: None,
    batch: int = 100,
) -> None:
    """Feed records to `receive` until told to stop. Returns if the broker went away or changed; raises what `receive`
    raises. The offset is committed to Kafka only after `receive` returned, for the sake of its tools; what counts is
    the offset in the database.
    """
    cluster = cluster_id(settings)
    create_topics(settings)
    consumer = KafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap,
        group_id=group,
        client_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        allow_auto_create_topics=False,
        session_timeout_ms=settings.kafka_session_timeout_ms,
        heartbeat_interval_ms=max(300, settings.kafka_session_timeout_ms // 6),
        max_poll_interval_ms=300_000,
        max_poll_records=batch,
        fetch_max_wait_ms=settings.kafka_fetch_wait_ms,
        max_partition_fetch_bytes=6_000_000,
    )
    seek = _Seek(consumer, lambda: offsets(cluster))
    try:
        consumer.subscribe(list(topics), listener=seek)
        checked = time.monotonic()
        while not stopping():
            polled = consumer.poll(timeout_ms=200, max_records=batch)
            beat()
            records = [
                Record(r.topic, r.partition, r.offset, r.key, r.value, tuple((n, v or b"") for n, v in r.headers))
                for rows in polled.values()
                for r in rows
            ]
            if records:
                receive(records, cluster)
                try:
                    consumer.commit()
                except KafkaError as error:
                    # Normal while the group rebalances; the inbox makes redelivery harmless.
                    log.info("offset not committed to the broker", error=type(error).__name__)
            elif time.monotonic() - checked > 2.0:
                checked = time.monotonic()
                if cluster_id(settings) != cluster:
                    raise BrokerChangedError
    except BrokerChangedError:
        log.warning("another cluster answers: reading from its beginning")
    except KafkaError as error:
        log.warning("the broker does not answer", error=type(error).__name__)
        time.sleep(1.0)
    finally:
        consumer.close(autocommit=False, timeout_ms=int(CLOSE_TIMEOUT * 1000))
