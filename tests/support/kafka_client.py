"""A small Kafka client for tests: readers, a producer and the admin calls tests need, by ctypes over
the librdkafka that the binary itself uses. Not thread-safe; use one object in one thread."""

import collections
import ctypes
import time

_lib = ctypes.CDLL("librdkafka.so.1")
_P, _S, _I, _Z = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_size_t
_I64 = ctypes.c_int64

_PARTITION_EOF, _QUEUE_FULL, _GROUP_ID_NOT_FOUND = -191, -184, 69
BEGINNING, END = -2, -1
_PRODUCER, _CONSUMER = 0, 1
_RESOURCE_TOPIC, _DYNAMIC_TOPIC_CONFIG = 2, 1


class _Message(ctypes.Structure):
    _fields_ = [("err", _I), ("rkt", _P), ("partition", ctypes.c_int32), ("payload", _P), ("len", _Z),
                ("key", _P), ("key_len", _Z), ("offset", _I64), ("private", _P)]


class _TopicPartition(ctypes.Structure):
    _fields_ = [("topic", _S), ("partition", ctypes.c_int32), ("offset", _I64), ("metadata", _P),
                ("metadata_size", _Z), ("opaque", _P), ("err", _I), ("private", _P)]


class _PartitionList(ctypes.Structure):
    _fields_ = [("cnt", _I), ("size", _I), ("elems", ctypes.POINTER(_TopicPartition))]


_MESSAGES = ctypes.POINTER(ctypes.POINTER(_Message))


def _declare(name, result, *arguments):
    function = getattr(_lib, "rd_kafka_" + name)
    function.restype, function.argtypes = result, arguments
    return function


_err2str = _declare("err2str", _S, _I)
_conf_new = _declare("conf_new", _P)
_conf_set = _declare("conf_set", _I, _P, _S, _S, _S, _Z)
_new = _declare("new", _P, _I, _P, _S, _Z)
_destroy = _declare("destroy", None, _P)
_poll = _declare("poll", _I, _P, _I)
_poll_set_consumer = _declare("poll_set_consumer", _I, _P)
_queue_get_consumer = _declare("queue_get_consumer", _P, _P)
_queue_new = _declare("queue_new", _P, _P)
_queue_destroy = _declare("queue_destroy", None, _P)
_queue_poll = _declare("queue_poll", _P, _P, _I)
_consume_batch_queue = _declare("consume_batch_queue", ctypes.c_ssize_t, _P, _I, _MESSAGES, _Z)
_message_destroy = _declare("message_destroy", None, ctypes.POINTER(_Message))
_message_timestamp = _declare("message_timestamp", _I64, ctypes.POINTER(_Message), _P)
_message_headers = _declare("message_headers", _I, ctypes.POINTER(_Message), ctypes.POINTER(_P))
_header_get_all = _declare("header_get_all", _I, _P, _Z, ctypes.POINTER(_S), ctypes.POINTER(_P),
                           ctypes.POINTER(_Z))
_topic_name = _declare("topic_name", _S, _P)
_list_new = _declare("topic_partition_list_new", ctypes.POINTER(_PartitionList), _I)
_list_add = _declare("topic_partition_list_add", ctypes.POINTER(_TopicPartition),
                     ctypes.POINTER(_PartitionList), _S, ctypes.c_int32)
_list_destroy = _declare("topic_partition_list_destroy", None, ctypes.POINTER(_PartitionList))
_assign = _declare("assign", _I, _P, ctypes.POINTER(_PartitionList))
_consumer_close = _declare("consumer_close", _I, _P)
_query_watermarks = _declare("query_watermark_offsets", _I, _P, _S, ctypes.c_int32,
                             ctypes.POINTER(_I64), ctypes.POINTER(_I64), _I)
_headers_new = _declare("headers_new", _P, _Z)
_header_add = _declare("header_add", _I, _P, _S, ctypes.c_ssize_t, _S, ctypes.c_ssize_t)
_flush = _declare("flush", _I, _P, _I)
_event_error = _declare("event_error", _I, _P)
_event_error_string = _declare("event_error_string", _S, _P)
_event_destroy = _declare("event_destroy", None, _P)


class KafkaError(RuntimeError):
    def __init__(self, code, doing):
        super().__init__(f"{doing}: {_err2str(code).decode()}")
        self.code = code


def _check(code, doing):
    if code:
        raise KafkaError(code, doing)


def _handle(kind, brokers, **properties):
    conf = _conf_new()
    said = ctypes.create_string_buffer(512)
    settings = {"bootstrap.servers": brokers, "log_level": "0", "socket.nagle.disable": "true"}
    settings.update({key.replace("_", "."): str(value) for key, value in properties.items()})
    for key, value in settings.items():
        if _conf_set(conf, key.encode(), value.encode(), said, len(said)):
            raise ValueError(said.value.decode())
    handle = _new(kind, conf, said, len(said))
    if not handle:
        raise RuntimeError(said.value.decode())
    return handle


def _watermarks(handle, topic, partition):
    low, high = _I64(), _I64()
    _check(_query_watermarks(handle, topic.encode(), partition, ctypes.byref(low),
                             ctypes.byref(high), 10_000), f"offsets of {topic}")
    return low.value, high.value


Record = collections.namedtuple("Record", "topic partition offset timestamp key value headers")


def _bytes(address, length):
    return ctypes.string_at(address, length) if address else None


def _read_headers(message):
    headers = _P()
    if _message_headers(message, ctypes.byref(headers)):
        return {}
    found, name, value, size = {}, _S(), _P(), _Z()
    while not _header_get_all(headers, len(found), ctypes.byref(name), ctypes.byref(value),
                              ctypes.byref(size)):
        found[name.value.decode()] = _bytes(value.value, size.value)
    return found


class Reader:
    """Reads whole partitions, with no group. `from_offsets`: {(topic, partition): offset}, where
    BEGINNING and END stand for what is there now. Committed records only, unless told otherwise."""

    BATCH = 1000

    def __init__(self, brokers, from_offsets, committed=True, headers=True):
        self._handle = _handle(
            _CONSUMER, brokers, group_id="unused", enable_auto_commit="false",
            enable_partition_eof="true", auto_offset_reset="earliest",
            isolation_level="read_committed" if committed else "read_uncommitted",
            fetch_wait_max_ms=50, allow_auto_create_topics="false",
            fetch_message_max_bytes=4 << 20, queued_max_messages_kbytes=64 << 10)
        _poll_set_consumer(self._handle)
        self._queue = _queue_get_consumer(self._handle)
        self._with_headers = headers
        self._messages = (ctypes.POINTER(_Message) * self.BATCH)()
        self._names = {}
        self._next = dict.fromkeys(from_offsets, 0)  # place -> offset behind what was read
        wanted = _list_new(len(from_offsets))
        for (topic, partition), offset in from_offsets.items():
            _list_add(wanted, topic.encode(), partition).contents.offset = offset
        code = _assign(self._handle, wanted)
        _list_destroy(wanted)
        _check(code, "assigning partitions")

    def poll(self, seconds=0.05):
        """The next records, none when nothing came within the time."""
        count = _consume_batch_queue(self._queue, int(seconds * 1000), self._messages, self.BATCH)
        records = []
        for i in range(max(count, 0)):
            message = self._messages[i]
            try:
                record = self._record(message)
            finally:
                _message_destroy(message)
            if record:
                records.append(record)
        return records

    def read_to_end(self, seconds=60):
        """Everything below what is the end of each partition now; later records may be among it."""
        deadline = time.monotonic() + seconds
        ends = {place: _watermarks(self._handle, *place)[1] for place in self._next}
        records = []
        while behind := [place for place, end in ends.items() if self._next[place] < end]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the ends of {behind} were not reached within {seconds} s")
            records += self.poll()
        return records

    def close(self):
        if self._handle:
            _queue_destroy(self._queue)
            _consumer_close(self._handle)
            _destroy(self._handle)
            self._handle = None

    def _record(self, pointer):
        message = pointer.contents
        name = self._names.get(message.rkt)
        if name is None and message.rkt:
            name = self._names[message.rkt] = _topic_name(message.rkt).decode()
        if message.err == _PARTITION_EOF:  # behind markers of transactions, too
            self._next[name, message.partition] = message.offset
            return None
        if message.err:
            return None  # connection troubles: the library goes on by itself
        self._next[name, message.partition] = message.offset + 1
        return Record(name, message.partition, message.offset, _message_timestamp(pointer, None),
                      _bytes(message.key, message.key_len), _bytes(message.payload, message.len),
                      _read_headers(pointer) if self._with_headers else {})


class _Memory(ctypes.Structure):
    _fields_ = [("at", _S), ("size", _Z)]


class _Value(ctypes.Union):
    _fields_ = [("text", _S), ("i32", ctypes.c_int32), ("pointer", _P), ("memory", _Memory),
                ("pad", ctypes.c_char * 64)]


class _Argument(ctypes.Structure):
    _fields_ = [("kind", _I), ("value", _Value)]


_TOPIC, _PARTITION, _VALUE, _KEY, _FLAGS, _HEADERS = 1, 3, 4, 5, 7, 10
_produceva = _declare("produceva", _P, _P, ctypes.POINTER(_Argument), _Z)
_error_code = _declare("error_code", _I, _P)
_error_destroy = _declare("error_destroy", None, _P)


class Producer:
    def __init__(self, brokers, **properties):
        self._handle = _handle(_PRODUCER, brokers, acks="all", linger_ms=5, **properties)

    def send(self, topic, value, key=None, partition=-1, headers=None):
        arguments = (_Argument * 6)()
        arguments[0].kind, arguments[0].value.text = _TOPIC, topic.encode()
        arguments[1].kind, arguments[1].value.i32 = _PARTITION, partition
        arguments[2].kind = _VALUE
        arguments[2].value.memory.at, arguments[2].value.memory.size = value, len(value)
        arguments[3].kind, arguments[3].value.i32 = _FLAGS, 0x2  # copy
        count = 4
        if key is not None:
            arguments[count].kind = _KEY
            arguments[count].value.memory.at, arguments[count].value.memory.size = key, len(key)
            count += 1
        if headers:
            made = _headers_new(len(headers))
            for name, content in headers.items():
                _header_add(made, name.encode(), -1, content, len(content))
            arguments[count].kind, arguments[count].value.pointer = _HEADERS, made
            count += 1
        while error := _produceva(self._handle, arguments, count):
            code = _error_code(error)
            _error_destroy(error)
            if code != _QUEUE_FULL:
                _check(code, "producing to " + topic)
            _poll(self._handle, 100)
        _poll(self._handle, 0)

    def init_transactions(self, seconds=30):
        error = _call("init_transactions", _P, (_P, self._handle), (_I, seconds * 1000))
        if error:
            code = _error_code(error)
            _error_destroy(error)
            _check(code, "starting transactions")

    def flush(self, seconds=30):
        _check(_flush(self._handle, int(seconds * 1000)), "waiting for the broker's acknowledgement")

    def close(self):
        if self._handle:
            _destroy(self._handle)
            self._handle = None


class Admin:
    def __init__(self, brokers):
        self._handle = _handle(_PRODUCER, brokers)

    def close(self):
        if self._handle:
            _destroy(self._handle)
            self._handle = None

    def watermarks(self, topic, partition):
        """(log start, next offset to be written)"""
        return _watermarks(self._handle, topic, partition)

    def delete_topics(self, names):
        made = [_call("DeleteTopic_new", _P, (_S, name.encode())) for name in names]
        self._run("DeleteTopics", made, "DeleteTopic_destroy", "deleting topics").close()

    def delete_group(self, name):
        """Forgets a group's offsets and members; it must be empty. A missing one is no error."""
        made = [_call("DeleteGroup_new", _P, (_S, name.encode()))]
        with self._run("DeleteGroups", made, "DeleteGroup_destroy", "deleting the group") as event:
            for result in event.results("DeleteGroups_result_groups"):
                error = _call("group_result_error", _P, (_P, result))
                code = _error_code(error) if error else 0
                if code and code != _GROUP_ID_NOT_FOUND:
                    _check(code, "deleting group " + name)

    def topic_config(self, topic):
        """What was set for this topic, without the broker's defaults."""
        resource = _call("ConfigResource_new", _P, (_I, _RESOURCE_TOPIC), (_S, topic.encode()))
        with self._run("DescribeConfigs", [resource], "ConfigResource_destroy",
                       "reading the settings of " + topic) as event:
            found = {}
            for result in event.results("DescribeConfigs_result_resources"):
                _check(_call("ConfigResource_error", _I, (_P, result)), topic)
                count = _Z()
                entries = _call("ConfigResource_configs", ctypes.POINTER(_P), (_P, result),
                                (ctypes.POINTER(_Z), ctypes.byref(count)))
                for entry in entries[: count.value]:
                    if _call("ConfigEntry_source", _I, (_P, entry)) == _DYNAMIC_TOPIC_CONFIG:
                        name = _call("ConfigEntry_name", _S, (_P, entry)).decode()
                        found[name] = _call("ConfigEntry_value", _S, (_P, entry)).decode()
            return found

    def set_topic_config(self, topic, **changes):
        """Keeps what was set before."""
        settings = {**self.topic_config(topic),
                    **{key.replace("_", "."): str(value) for key, value in changes.items()}}
        resource = _call("ConfigResource_new", _P, (_I, _RESOURCE_TOPIC), (_S, topic.encode()))
        for key, value in settings.items():
            _call("ConfigResource_set_config", _I, (_P, resource), (_S, key.encode()),
                  (_S, value.encode()))
        with self._run("AlterConfigs", [resource], "ConfigResource_destroy",
                       "changing settings of " + topic) as event:
            for result in event.results("AlterConfigs_result_resources"):
                _check(_call("ConfigResource_error", _I, (_P, result)), "changing " + topic)

    def _run(self, call, made, destroy, doing, seconds=30):
        queue = _queue_new(self._handle)
        array = (_P * len(made))(*made)
        getattr(_lib, "rd_kafka_" + call).argtypes = [_P, ctypes.POINTER(_P), _Z, _P, _P]
        getattr(_lib, "rd_kafka_" + call)(self._handle, array, len(made), None, queue)
        for one in made:
            _call(destroy, None, (_P, one))
        event = _queue_poll(queue, seconds * 1000)
        _queue_destroy(queue)
        if not event:
            raise TimeoutError(doing)
        result = _AdminEvent(event, call)
        if _event_error(event):
            said = _event_error_string(event).decode()
            result.close()
            raise RuntimeError(f"{doing}: {said}")
        return result


class _AdminEvent:
    def __init__(self, event, call):
        self._event, self._call = event, call

    def results(self, accessor):
        result = _call(f"event_{self._call}_result", _P, (_P, self._event))
        count = _Z()
        found = _call(accessor, ctypes.POINTER(_P), (_P, result),
                      (ctypes.POINTER(_Z), ctypes.byref(count)))
        return found[: count.value]

    def close(self):
        if self._event:
            _event_destroy(self._event)
            self._event = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _call(name, result, *typed):
    function = getattr(_lib, "rd_kafka_" + name)
    function.restype, function.argtypes = result, [kind for kind, _ in typed]
    return function(*[value for _, value in typed])
