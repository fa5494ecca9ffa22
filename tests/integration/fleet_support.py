"""What the fleet's integration tests share: one broker a file, a fleet a test, a foreign client."""

import importlib
import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import fleet_records as wire  # noqa: E402
import foreign_client  # noqa: E402
from kafka_local import Broker  # noqa: E402
from support import OK, Case  # noqa: E402

PARTITIONS = 3


class FleetCase(Case):
    """A test with a fleet of its own on the file's broker."""

    properties = {}  # of the broker
    environment = {}  # of the commands
    _brokers = {}

    @classmethod
    def setUpClass(cls):
        cls.kafka = foreign_client.load()
        importlib.import_module("confluent_kafka.admin")
        wanted = tuple(sorted(cls.properties.items()))
        if wanted not in FleetCase._brokers:
            broker = Broker(properties=cls.properties)
            unittest.addModuleCleanup(broker.close)
            FleetCase._brokers[wanted] = broker.start()
        cls.broker = FleetCase._brokers[wanted]

    def setUp(self):
        super().setUp()
        self.fleet = "t-" + self.id().rsplit(".", 1)[1].replace("test_", "")[:40]
        self.config = self.folder / "fleet.yaml"
        self.configure()
        self.fleet_command("topics", "create", expect=OK)

    def configure(self, **kafka):
        section = {"brokers": [self.broker.bootstrap], "fleet": self.fleet,
                   "partitions": PARTITIONS, "replication": 1, **kafka}
        self.config.write_text(json.dumps({"kafka": section}))

    def fleet_command(self, *arguments, expect=None, seconds=60):
        return self.command(*arguments, "-c", self.config, expect=expect, seconds=seconds,
                            env=self.environment)

    def topic(self, name):
        return f"{self.fleet}.{name}"

    # ---- as any client sees it ----

    def producer(self, **settings):
        return self.kafka.Producer({"bootstrap.servers": self.broker.bootstrap, "linger.ms": 2,
                                    "message.max.bytes": 1_000_000, **settings})

    def produce(self, topic, records, partition=0):
        """(key, value, headers) each; returns their offsets."""
        offsets = []

        def stored(error, message):
            assert error is None, error
            offsets.append(message.offset())

        producer = self.producer()
        for key, value, headers in records:
            producer.produce(self.topic(topic), value, key, partition=partition, headers=headers,
                             on_delivery=stored)
        self.assertEqual(producer.flush(30), 0)
        return offsets

    def consumer(self, **settings):
        consumer = self.kafka.Consumer({
            "bootstrap.servers": self.broker.bootstrap, "group.id": "reader",
            "enable.auto.commit": False, "isolation.level": "read_committed",
            "auto.offset.reset": "earliest", **settings})
        self.addCleanup(consumer.close)
        return consumer

    def follower(self, topic):
        """A consumer of partition 0, from its start."""
        consumer = self.consumer(**{"fetch.wait.max.ms": 10})
        consumer.assign([self.kafka.TopicPartition(self.topic(topic), 0, 0)])
        return consumer

    def consume(self, topic):
        """Every committed message there is now, all partitions."""
        consumer = self.consumer(**{"enable.partition.eof": True})
        described = consumer.list_topics(self.topic(topic), timeout=20)
        partitions = described.topics[self.topic(topic)].partitions
        consumer.assign([self.kafka.TopicPartition(self.topic(topic), p, self.kafka.OFFSET_BEGINNING)
                         for p in partitions])
        messages, ended = [], set()
        while len(ended) < len(partitions):
            message = consumer.poll(20)
            self.assertIsNotNone(message, "the broker went silent")
            if message.error():
                self.assertEqual(message.error().code(), self.kafka.KafkaError._PARTITION_EOF)
                ended.add(message.partition())
            else:
                messages.append(message)
        return messages

    def jobs_records(self):
        """The newest value of each key on `jobs`."""
        return {m.key().decode(): wire.parse(m.value()) for m in self.consume("jobs")}

    def shard_lines(self, submission):
        """The lines of a submission's shards, as committed."""
        lines = []
        for message in self.consume("shards"):
            shard = wire.parse(message.value())
            if shard[3][0] == submission.encode():
                part = shard[9][0].splitlines(keepends=True)
                self.assertEqual(len(part), shard[7][0], "count of a shard")
                lines += part
        return lines

    # ---- as an owner would write it ----

    def row(self, job, custom_id, line, error=None, file="in.jsonl", pad=0):
        return (json.dumps({
            "id": "batch_req_1", "custom_id": custom_id,
            "response": None if error else {"status_code": 200, "body": {"text": "x" * pad}},
            "error": {"code": error, "message": "it failed"} if error else None,
            "spillway": {"job": job, "file": file, "line": line}}) + "\n").encode()

    def result(self, job, custom_id, offset, index, line, error=None, generation=0, pad=0):
        kind = wire.FAILED if error else wire.ANSWERED
        return (f"{job}/{custom_id}", self.row(job, custom_id, line, error, pad=pad),
                [("job", job.encode()), ("kind", wire.KIND_NAMES[kind].encode()),
                 ("spillway", wire.facts(job, offset, index, kind, generation))])
