"""A small Kafka client for tests: readers, a producer and the admin calls tests need, over the
librdkafka that the binary itself uses. Not thread-safe; use one object in one thread."""

import collections
import ctypes
import time

import librdkafka as rd
from librdkafka import BEGINNING, END, KafkaError  # noqa: F401  for users of this module

Record = collections.namedtuple("Record", "topic partition offset timestamp key value headers")


def _bytes(address, length):
    return ctypes.string_at(address, length) if address else None


def _read_headers(message):
    headers = rd.P()
    if rd.message_headers(message, ctypes.byref(headers)):
        return {}
    found, name, value, size = {}, rd.S(), rd.P(), rd.Z()
    while not rd.header_get_all(
        headers, len(found), ctypes.byref(name), ctypes.byref(value), ctypes.byref(size)
    ):
        found[name.value.decode()] = _bytes(value.value, size.value)
    return found


class Reader:
    """Reads whole partitions, with no group. `from_offsets`: {(topic, partition): offset}, where
    BEGINNING and END stand for what is there now. Committed records only, unless told otherwise."""

    BATCH = 1000
    MARKERS_MAX = 4  # in a row, between two records

    def __init__(self, brokers, from_offsets, committed=True, headers=True):
        self._handle = rd.handle(
            rd.CONSUMER,
            brokers,
            group_id="unused",
            enable_auto_commit="false",
            enable_partition_eof="true",
            auto_offset_reset="earliest",
            isolation_level="read_committed" if committed else "read_uncommitted",
            fetch_wait_max_ms=50,
            allow_auto_create_topics="false",
            fetch_message_max_bytes=4 << 20,
            queued_max_messages_kbytes=64 << 10,
        )
        rd.poll_set_consumer(self._handle)
        self._queue = rd.queue_get_consumer(self._handle)
        self._with_headers = headers
        self._messages = (ctypes.POINTER(rd.Message) * self.BATCH)()
        self._names = {}
        self._next = dict.fromkeys(from_offsets, 0)  # place -> offset behind what was read
        self.cut = set()  # places where records were deleted before they could be read
        wanted = rd.list_new(len(from_offsets))
        for (topic, partition), offset in from_offsets.items():
            rd.list_add(wanted, topic.encode(), partition).contents.offset = offset
        code = rd.assign(self._handle, wanted)
        rd.list_destroy(wanted)
        rd.check(code, "assigning partitions")

    def poll(self, seconds=0.05):
        """The next records, none when nothing came within the time."""
        count = rd.consume_batch_queue(self._queue, int(seconds * 1000), self._messages, self.BATCH)
        records = []
        for i in range(max(count, 0)):
            message = self._messages[i]
            try:
                record = self._record(message)
            finally:
                rd.message_destroy(message)
            if record:
                records.append(record)
        return records

    def read_to_end(self, seconds=60):
        """Everything below what is the end of each partition now; later records may be among it."""
        deadline = time.monotonic() + seconds
        ends = {place: rd.watermarks(self._handle, *place)[1] for place in self._next}
        records = []
        while behind := [place for place, end in ends.items() if self._next[place] < end]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the ends of {behind} were not reached within {seconds} s")
            records += self.poll()
        return records

    def close(self):
        if self._handle:
            rd.queue_destroy(self._queue)
            rd.consumer_close(self._handle)
            rd.destroy(self._handle)
            self._handle = None

    def _record(self, pointer):
        message = pointer.contents
        name = self._names.get(message.rkt)
        if name is None and message.rkt:
            name = self._names[message.rkt] = rd.topic_name(message.rkt).decode()
        if message.err == rd.PARTITION_EOF:  # behind markers of transactions, too
            self._next[name, message.partition] = message.offset
            return None
        if message.err:
            return None  # connection troubles: the library goes on by itself
        place = name, message.partition
        if 0 < self._next[place] < message.offset - self.MARKERS_MAX:
            self.cut.add(place)
        self._next[place] = message.offset + 1
        return Record(
            name,
            message.partition,
            message.offset,
            rd.message_timestamp(pointer, None),
            _bytes(message.key, message.key_len),
            _bytes(message.payload, message.len),
            _read_headers(pointer) if self._with_headers else {},
        )


class Producer:
    def __init__(self, brokers, **properties):
        self._handle = rd.handle(rd.PRODUCER, brokers, acks="all", linger_ms=5, **properties)

    def send(self, topic, value, key=None, partition=-1, headers=None):
        arguments = (rd.Argument * 6)()
        arguments[0].kind, arguments[0].value.text = rd.TOPIC, topic.encode()
        arguments[1].kind, arguments[1].value.i32 = rd.PARTITION, partition
        arguments[2].kind = rd.VALUE
        arguments[2].value.memory.at, arguments[2].value.memory.size = value, len(value)
        arguments[3].kind, arguments[3].value.i32 = rd.FLAGS, 0x2  # copy
        count = 4
        if key is not None:
            arguments[count].kind = rd.KEY
            arguments[count].value.memory.at, arguments[count].value.memory.size = key, len(key)
            count += 1
        if headers:
            made = rd.headers_new(len(headers))
            for name, content in headers.items():
                rd.header_add(made, name.encode(), -1, content, len(content))
            arguments[count].kind, arguments[count].value.pointer = rd.HEADERS, made
            count += 1
        while error := rd.produceva(self._handle, arguments, count):
            code = rd.error_code(error)
            rd.error_destroy(error)
            if code != rd.QUEUE_FULL:
                rd.check(code, "producing to " + topic)
            rd.poll(self._handle, 100)
        rd.poll(self._handle, 0)

    def init_transactions(self, seconds=30):
        error = rd.call("init_transactions", rd.P, (rd.P, self._handle), (rd.I, seconds * 1000))
        if error:
            code = rd.error_code(error)
            rd.error_destroy(error)
            rd.check(code, "starting transactions")

    def flush(self, seconds=30):
        rd.check(
            rd.flush(self._handle, int(seconds * 1000)), "waiting for the broker's acknowledgement"
        )

    def close(self):
        if self._handle:
            rd.destroy(self._handle)
            self._handle = None


class Admin:
    def __init__(self, brokers):
        self._handle = rd.handle(rd.PRODUCER, brokers)

    def close(self):
        if self._handle:
            rd.destroy(self._handle)
            self._handle = None

    def watermarks(self, topic, partition):
        """(log start, next offset to be written)"""
        return rd.watermarks(self._handle, topic, partition)

    def delete_topics(self, names):
        made = [rd.call("DeleteTopic_new", rd.P, (rd.S, name.encode())) for name in names]
        self._run("DeleteTopics", made, "DeleteTopic_destroy", "deleting topics").close()

    def delete_group(self, name):
        """Forgets a group's offsets and members; it must be empty. A missing one is no error."""
        made = [rd.call("DeleteGroup_new", rd.P, (rd.S, name.encode()))]
        with self._run("DeleteGroups", made, "DeleteGroup_destroy", "deleting the group") as event:
            for result in event.results("DeleteGroups_result_groups"):
                error = rd.call("group_result_error", rd.P, (rd.P, result))
                code = rd.error_code(error) if error else 0
                if code and code != rd.GROUP_ID_NOT_FOUND:
                    rd.check(code, "deleting group " + name)

    def topic_config(self, topic):
        """What was set for this topic, without the broker's defaults."""
        resource = rd.call(
            "ConfigResource_new", rd.P, (rd.I, rd.RESOURCE_TOPIC), (rd.S, topic.encode())
        )
        with self._run(
            "DescribeConfigs",
            [resource],
            "ConfigResource_destroy",
            "reading the settings of " + topic,
        ) as event:
            found = {}
            for result in event.results("DescribeConfigs_result_resources"):
                rd.check(rd.call("ConfigResource_error", rd.I, (rd.P, result)), topic)
                count = rd.Z()
                entries = rd.call(
                    "ConfigResource_configs",
                    ctypes.POINTER(rd.P),
                    (rd.P, result),
                    (ctypes.POINTER(rd.Z), ctypes.byref(count)),
                )
                for entry in entries[: count.value]:
                    if (
                        rd.call("ConfigEntry_source", rd.I, (rd.P, entry))
                        == rd.DYNAMIC_TOPIC_CONFIG
                    ):
                        name = rd.call("ConfigEntry_name", rd.S, (rd.P, entry)).decode()
                        found[name] = rd.call("ConfigEntry_value", rd.S, (rd.P, entry)).decode()
            return found

    def set_topic_config(self, topic, **changes):
        """Keeps what was set before."""
        settings = {
            **self.topic_config(topic),
            **{key.replace("_", "."): str(value) for key, value in changes.items()},
        }
        resource = rd.call(
            "ConfigResource_new", rd.P, (rd.I, rd.RESOURCE_TOPIC), (rd.S, topic.encode())
        )
        for key, value in settings.items():
            rd.call(
                "ConfigResource_set_config",
                rd.I,
                (rd.P, resource),
                (rd.S, key.encode()),
                (rd.S, value.encode()),
            )
        with self._run(
            "AlterConfigs", [resource], "ConfigResource_destroy", "changing settings of " + topic
        ) as event:
            for result in event.results("AlterConfigs_result_resources"):
                rd.check(rd.call("ConfigResource_error", rd.I, (rd.P, result)), "changing " + topic)

    def _run(self, call, made, destroy, doing, seconds=30):
        queue = rd.queue_new(self._handle)
        array = (rd.P * len(made))(*made)
        getattr(rd.lib, "rd_kafka_" + call).argtypes = [
            rd.P,
            ctypes.POINTER(rd.P),
            rd.Z,
            rd.P,
            rd.P,
        ]
        getattr(rd.lib, "rd_kafka_" + call)(self._handle, array, len(made), None, queue)
        for one in made:
            rd.call(destroy, None, (rd.P, one))
        event = rd.queue_poll(queue, seconds * 1000)
        rd.queue_destroy(queue)
        if not event:
            raise TimeoutError(doing)
        result = _AdminEvent(event, call)
        if rd.event_error(event):
            said = rd.event_error_string(event).decode()
            result.close()
            raise RuntimeError(f"{doing}: {said}")
        return result


class _AdminEvent:
    def __init__(self, event, call):
        self._event, self._call = event, call

    def results(self, accessor):
        result = rd.call(f"event_{self._call}_result", rd.P, (rd.P, self._event))
        count = rd.Z()
        found = rd.call(
            accessor,
            ctypes.POINTER(rd.P),
            (rd.P, result),
            (ctypes.POINTER(rd.Z), ctypes.byref(count)),
        )
        return found[: count.value]

    def close(self):
        if self._event:
            rd.event_destroy(self._event)
            self._event = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
