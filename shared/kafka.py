"""The only file that speaks Kafka: topics, the sending side for the relay, and the loop that feeds the inbox.

Whatever goes wrong between here and the broker leaves this file as a BrokerError: the caller waits and tries again.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import structlog
from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError
from kafka.net.compat import KafkaNetClient
from kafka.producer.future import RecordMetadata
from kafka.record.default_records import DefaultRecordBatch
from kafka.structs import MemberState

from shared.events import TOPICS
from shared.events.base import REGISTRY
from shared.inbox import Record
from shared.relay import BrokerError, Message
from shared.settings import Settings

log = structlog.get_logger(__name__)

#: How long a batch may take to be acknowledged before it counts as unsent. [s]
DELIVERY_TIMEOUT = 15.0
#: How long a broker may take to answer a question before it counts as away. [s]
ANSWER_TIMEOUT = 5.0
CLOSE_TIMEOUT = 3.0
#: Fewer messages than this go out at once, without the wait that fills batches.
FEW = 100
#: How long records may wait on the broker while none comes, before the consumer counts as deaf. [s]
DEAF = 30.0
#: Larger than anything the relay sends: an event, or a dead letter of `outbox.LARGEST` with its headers. [B]
MAX_RECORD = 5_000_000


@contextlib.contextmanager
def _speaking(what: str) -> Iterator[None]:
    """Turn what the client raises about the broker into a BrokerError."""
    try:
        yield
    except KafkaError as error:
        raise BrokerError(f"{what}: {type(error).__name__}: {error}") from None


def _client(make: Callable[..., Any], settings: Settings, **options: Any) -> Any:
    """Make a client of the library. One that finds no broker would leave a thread and its sockets behind."""
    made: list[KafkaNetClient] = []

    def network(**configs: Any) -> KafkaNetClient:
        made.append(KafkaNetClient(**configs))
        return made[-1]

    try:
        return make(
            bootstrap_servers=settings.kafka_bootstrap,
            bootstrap_timeout_ms=int(ANSWER_TIMEOUT * 1000),
            kafka_client=network,
            **options,
        )
    except BaseException:
        for one in made:
            one.close()
        raise


@contextlib.contextmanager
def _admin(settings: Settings) -> Iterator[Any]:
    with _speaking(f"no answer from {settings.kafka_bootstrap}"):
        admin = _client(KafkaAdminClient, settings, request_timeout_ms=int(ANSWER_TIMEOUT * 1000))
        try:
            yield admin
        finally:
            admin.close()


def state_topics() -> list[str]:
    """Compacted topics: the latest event of each key."""
    return sorted({event.STATE_TOPIC for event in REGISTRY.values() if event.STATE_TOPIC})


def create_topics(settings: Settings) -> None:
    """Create what is missing, with its final number of partitions; events are kept, valuations compacted."""
    wanted = [(topic, "delete") for topic in TOPICS]
    wanted += [(f"{topic}.dead", "delete") for topic in TOPICS]
    wanted += [(topic, "compact") for topic in state_topics()]
    with _admin(settings) as admin:
        present = set(admin.list_topics())
        for topic, policy in wanted:
            if topic in present:
                continue
            # Events are kept for ever on the broker side too where the site's storage allows it: -1.
            configs = {"cleanup.policy": policy} | ({"retention.ms": "-1"} if policy == "delete" else {})
            new = NewTopic(topic, settings.topic_partitions, settings.topic_replication, topic_configs=configs)
            with contextlib.suppress(TopicAlreadyExistsError):
                admin.create_topics([new], wait_for_metadata=True)


def cluster_id(settings: Settings) -> str:
    """Identity of the cluster that answers; a BrokerError if none does."""
    with _admin(settings) as admin:
        return str(admin.describe_cluster()["cluster_id"])


class Sender:
    """The sending side of a broker, for one process. Tuned for batches that are acknowledged by all replicas."""

    def __init__(self, settings: Settings, linger_ms: int = 20, delivery_timeout: float = DELIVERY_TIMEOUT) -> None:
        self.settings, self.process, self.delivery_timeout = settings, os.getpid(), delivery_timeout
        create_topics(settings)
        with _speaking("no producer"):
            self.producer = _client(
                KafkaProducer,
                settings,
                acks="all",
                linger_ms=linger_ms,
                batch_size=262_144,
                max_request_size=MAX_RECORD,
                delivery_timeout_ms=int(delivery_timeout * 1000),
                request_timeout_ms=int(min(10.0, delivery_timeout / 2) * 1000),
                max_block_ms=int(min(ANSWER_TIMEOUT, delivery_timeout) * 1000),
                allow_auto_create_topics=False,
                client_id="heartwood-relay",
            )

    def cluster_id(self) -> str:
        """Identity of the cluster, asked anew each time."""
        return cluster_id(self.settings)

    def send(self, messages: Sequence[Message]) -> Any:
        """Hand messages to the client; in order per key."""
        if os.getpid() != self.process:
            raise RuntimeError("a producer does not survive a fork: make one in the child")
        with _speaking("not sent"):
            sent = [self.producer.send(m.topic, value=m.value, key=m.key, headers=list(m.headers)) for m in messages]
            if len(sent) < FEW:
                # Nothing to wait for: what comes next has not been written yet.
                self.producer.flush(self.delivery_timeout)
            return sent

    def settle(self, sent: Any) -> None:
        """Wait for every acknowledgement; anything else than one counts as not sent."""
        deadline = time.monotonic() + self.delivery_timeout + 1
        with _speaking("not acknowledged"):
            for future in sent:
                answer = future.get(timeout=max(0.001, deadline - time.monotonic()))
                if not isinstance(answer, RecordMetadata):
                    raise BrokerError("a record was not acknowledged")

    def close(self) -> None:
        """Let go of the broker, soon, whatever state it is in. What was not acknowledged is given up: the relay has it
        still, and sends it by another producer.
        """
        if os.getpid() != self.process:
            return
        # Not close() first: it tries to deliver, and gives up with the thread still running when it cannot.
        thread = self.producer._sender
        thread.force_close()
        thread.join(CLOSE_TIMEOUT)
        try:
            self.producer.close(timeout=1)
        except KafkaError as error:
            log.warning("closing the producer", error=type(error).__name__)


class _Seek(ConsumerRebalanceListener):  # type: ignore[misc]
    """Start each assigned partition where the database says, not where the broker remembers."""

    def __init__(self, consumer: Any, offsets: Callable[[str], dict[tuple[str, int], int]], cluster: str) -> None:
        self.consumer, self.offsets, self.cluster = consumer, offsets, cluster
        #: Why the database did not say; the client makes an error of its own of it.
        self.failure: Exception | None = None

    def on_partitions_assigned(self, assigned: Any) -> None:
        try:
            self.seek(assigned)
        except Exception as error:
            self.failure = error
            raise
        log.info("partitions assigned", count=len(assigned))

    def on_partitions_revoked(self, revoked: Any) -> None:
        """Nothing to do: each batch is dealt with before the next poll, and a rebalance happens within one."""

    def seek(self, partitions: Any) -> None:
        """Go where the database says for the present cluster; to the beginning if it says nothing."""
        known = self.offsets(self.cluster)
        for partition in partitions:
            offset = known.get((partition.topic, partition.partition))
            if offset is None:
                self.consumer.seek_to_beginning(partition)
            else:
                self.consumer.seek(partition, offset)


class _Readable(bytes):
    """Records whose texts can all be read: what is not UTF-8 in a text is spelt out."""

    def __getitem__(self, where: Any) -> Any:
        found = super().__getitem__(where)
        return _Readable(found) if isinstance(where, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Read all of it, whatever the client says about errors."""
        return super().decode(encoding, "backslashreplace")


_read_strictly = DefaultRecordBatch._read_msg


def _read(batch: Any) -> Any:
    """Read the next record. The client refuses one with a header whose name is not UTF-8, each time it is asked, and
    with it all that follows on the partition; read so, it comes to the inbox as any other.
    """
    try:
        return _read_strictly(batch)
    except UnicodeDecodeError:
        whole, batch._buffer = batch._buffer, _Readable(batch._buffer)
        try:
            return _read_strictly(batch)
        finally:
            batch._buffer = whole


DefaultRecordBatch._read_msg = _read


def consume(
    settings: Settings,
    group: str,
    topics: Sequence[str],
    offsets: Callable[[str], dict[tuple[str, int], int]],
    receive: Callable[[Sequence[Record], str], None],
    stopping: Callable[[], bool],
    beat: Callable[[], None] = lambda: None,
    behind: Callable[[int], None] = lambda records: None,
    batch: int = 100,
) -> None:
    """Feed records to `receive` until told to stop, and tell `behind` now and then how many wait. Returns when another
    cluster answers, for then its topics, their partitions and this member's share of them are other ones: the caller
    starts again, with a new client.

    Raises a BrokerError if the broker went away, and what `receive` and `offsets` raise. The offset is committed to
    Kafka only after `receive` returned, for the sake of its tools; what counts is the offset in the database.
    """
    create_topics(settings)
    with _reader(settings, batch, group) as consumer:
        _await_topics(consumer, topics)
        seek = _Seek(consumer, offsets, cluster_id(settings))
        consumer.subscribe(list(topics), listener=seek)
        checked = heard = time.monotonic()
        while not stopping():
            try:
                polled = consumer.poll(timeout_ms=200, max_records=batch)
            except KafkaError:
                if seek.failure is not None:
                    raise seek.failure from None
                raise
            now = time.monotonic()
            beat()
            if polled:
                heard = now
                receive([_record(r) for rows in polled.values() for r in rows], seek.cluster)
                _commit(consumer)
            if now - checked > 2.0:
                if cluster_id(settings) != seek.cluster:
                    # What came from it so far was noted under the old name, and so counts for nothing.
                    log.warning("another cluster answers: reading from its beginning")
                    return
                if now - heard > DEAF and _behind(consumer):
                    raise BrokerError("records wait on the broker and none comes")
                behind(_waiting(consumer))
                checked = time.monotonic()


def _await_topics(consumer: Any, topics: Sequence[str]) -> None:
    """See every topic before joining the group. Apache Kafka says that a topic is made before it can be seen, and a
    member that joins in between is given nothing to read, and may stay so.
    """
    end = time.monotonic() + ANSWER_TIMEOUT
    for topic in topics:
        while not consumer.partitions_for_topic(topic):
            if time.monotonic() > end:
                raise BrokerError(f"the topic {topic} is not there yet")
            time.sleep(0.05)


def latest(settings: Settings, topic: str) -> list[Record]:
    """The latest record of each key of a state topic, as of now; a key that was deleted is left out."""
    found: dict[bytes | None, Record] = {}
    with _reader(settings, 500) as consumer:
        _await_topics(consumer, [topic])
        parts = [TopicPartition(topic, n) for n in sorted(consumer.partitions_for_topic(topic))]
        consumer.assign(parts)
        ends = consumer.end_offsets(parts)
        consumer.seek_to_beginning(*parts)
        heard = time.monotonic()
        while any(consumer.position(part) < ends[part] for part in parts):
            polled = consumer.poll(timeout_ms=200)
            if polled:
                heard = time.monotonic()
            elif time.monotonic() - heard > DEAF:
                raise BrokerError(f"{topic} ends before its end")
            for rows in polled.values():
                found.update((r.key, _record(r)) for r in rows)
    return [record for record in found.values() if record.value is not None]


@contextlib.contextmanager
def _reader(settings: Settings, batch: int, group: str | None = None) -> Iterator[Any]:
    """A consumer of bytes that decides nothing by itself: no commits, no topics, no leap to the end."""
    with _speaking("no records"):
        consumer = _client(
            KafkaConsumer,
            settings,
            group_id=group,
            client_id=group or "heartwood-reader",
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
        try:
            yield consumer
        finally:
            if group is not None:
                _come_to_rest(consumer, settings.kafka_session_timeout_ms / 2000 + 1.0)
            consumer.close(autocommit=False, timeout_ms=int(CLOSE_TIMEOUT * 1000))


def _come_to_rest(consumer: Any, seconds: float) -> None:
    """Finish a join that is under way before leaving: the embedded broker never forgets a member that leaves in the
    midst of one, and gives no partition to anybody in the group again. A join there takes half the session timeout.
    """
    end = time.monotonic() + min(seconds, 5.0)
    with contextlib.suppress(KafkaError):
        while consumer.group_metadata().state == MemberState.REBALANCING and time.monotonic() < end:
            consumer.poll(timeout_ms=100)


def _record(read: Any) -> Record:
    headers = tuple((name, value or b"") for name, value in read.headers)
    return Record(read.topic, read.partition, read.offset, read.key, read.value, headers)


def _commit(consumer: Any) -> None:
    try:
        consumer.commit(timeout_ms=int(ANSWER_TIMEOUT * 1000))
    except KafkaError as error:
        # Normal while the group rebalances; the inbox makes redelivery harmless.
        log.info("offset not committed to the broker", error=type(error).__name__)


def _behind(consumer: Any) -> bool:
    """Whether an assigned partition holds records that were not read."""
    ends = consumer.end_offsets(list(consumer.assignment()))
    return any(consumer.position(part) < end for part, end in ends.items())


def _waiting(consumer: Any) -> int:
    """How many records of the assigned partitions were not read, by what the broker said with the last answer."""
    ends = {part: consumer.highwater(part) for part in consumer.assignment()}
    return sum(max(0, end - consumer.position(part)) for part, end in ends.items() if end is not None)
