"""The parts of librdkafka that tests need, by ctypes: structures, functions, errors."""

import ctypes

lib = ctypes.CDLL("librdkafka.so.1")
P, S, I, Z = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_size_t
I64 = ctypes.c_int64

PARTITION_EOF, QUEUE_FULL, GROUP_ID_NOT_FOUND = -191, -184, 69
BEGINNING, END = -2, -1
PRODUCER, CONSUMER = 0, 1
RESOURCE_TOPIC, DYNAMIC_TOPIC_CONFIG = 2, 1


class Message(ctypes.Structure):
    _fields_ = [
        ("err", I),
        ("rkt", P),
        ("partition", ctypes.c_int32),
        ("payload", P),
        ("len", Z),
        ("key", P),
        ("key_len", Z),
        ("offset", I64),
        ("private", P),
    ]


class TopicPartition(ctypes.Structure):
    _fields_ = [
        ("topic", S),
        ("partition", ctypes.c_int32),
        ("offset", I64),
        ("metadata", P),
        ("metadata_size", Z),
        ("opaque", P),
        ("err", I),
        ("private", P),
    ]


class PartitionList(ctypes.Structure):
    _fields_ = [("cnt", I), ("size", I), ("elems", ctypes.POINTER(TopicPartition))]


MESSAGES = ctypes.POINTER(ctypes.POINTER(Message))


def declare(name, result, *arguments):
    function = getattr(lib, "rd_kafka_" + name)
    function.restype, function.argtypes = result, arguments
    return function


err2str = declare("err2str", S, I)
conf_new = declare("conf_new", P)
conf_set = declare("conf_set", I, P, S, S, S, Z)
new = declare("new", P, I, P, S, Z)
destroy = declare("destroy", None, P)
poll = declare("poll", I, P, I)
poll_set_consumer = declare("poll_set_consumer", I, P)
queue_get_consumer = declare("queue_get_consumer", P, P)
queue_new = declare("queue_new", P, P)
queue_destroy = declare("queue_destroy", None, P)
queue_poll = declare("queue_poll", P, P, I)
consume_batch_queue = declare("consume_batch_queue", ctypes.c_ssize_t, P, I, MESSAGES, Z)
message_destroy = declare("message_destroy", None, ctypes.POINTER(Message))
message_timestamp = declare("message_timestamp", I64, ctypes.POINTER(Message), P)
message_headers = declare("message_headers", I, ctypes.POINTER(Message), ctypes.POINTER(P))
header_get_all = declare(
    "header_get_all", I, P, Z, ctypes.POINTER(S), ctypes.POINTER(P), ctypes.POINTER(Z)
)
topic_name = declare("topic_name", S, P)
list_new = declare("topic_partition_list_new", ctypes.POINTER(PartitionList), I)
list_add = declare(
    "topic_partition_list_add",
    ctypes.POINTER(TopicPartition),
    ctypes.POINTER(PartitionList),
    S,
    ctypes.c_int32,
)
list_destroy = declare("topic_partition_list_destroy", None, ctypes.POINTER(PartitionList))
assign = declare("assign", I, P, ctypes.POINTER(PartitionList))
consumer_close = declare("consumer_close", I, P)
query_watermarks = declare(
    "query_watermark_offsets",
    I,
    P,
    S,
    ctypes.c_int32,
    ctypes.POINTER(I64),
    ctypes.POINTER(I64),
    I,
)
headers_new = declare("headers_new", P, Z)
header_add = declare("header_add", I, P, S, ctypes.c_ssize_t, S, ctypes.c_ssize_t)
flush = declare("flush", I, P, I)
event_error = declare("event_error", I, P)
event_error_string = declare("event_error_string", S, P)
event_destroy = declare("event_destroy", None, P)


class KafkaError(RuntimeError):
    def __init__(self, code, doing):
        super().__init__(f"{doing}: {err2str(code).decode()}")
        self.code = code


def check(code, doing):
    if code:
        raise KafkaError(code, doing)


def handle(kind, brokers, **properties):
    conf = conf_new()
    said = ctypes.create_string_buffer(512)
    settings = {"bootstrap.servers": brokers, "log_level": "0", "socket.nagle.disable": "true"}
    settings.update({key.replace("_", "."): str(value) for key, value in properties.items()})
    for key, value in settings.items():
        if conf_set(conf, key.encode(), value.encode(), said, len(said)):
            raise ValueError(said.value.decode())
    handle = new(kind, conf, said, len(said))
    if not handle:
        raise RuntimeError(said.value.decode())
    return handle


def watermarks(handle, topic, partition):
    low, high = I64(), I64()
    check(
        query_watermarks(
            handle, topic.encode(), partition, ctypes.byref(low), ctypes.byref(high), 10_000
        ),
        f"offsets of {topic}",
    )
    return low.value, high.value


class Memory(ctypes.Structure):
    _fields_ = [("at", S), ("size", Z)]


class Value(ctypes.Union):
    _fields_ = [
        ("text", S),
        ("i32", ctypes.c_int32),
        ("pointer", P),
        ("memory", Memory),
        ("pad", ctypes.c_char * 64),
    ]


class Argument(ctypes.Structure):
    _fields_ = [("kind", I), ("value", Value)]


TOPIC, PARTITION, VALUE, KEY, FLAGS, HEADERS = 1, 3, 4, 5, 7, 10
produceva = declare("produceva", P, P, ctypes.POINTER(Argument), Z)
error_code = declare("error_code", I, P)
error_destroy = declare("error_destroy", None, P)


def call(name, result, *typed):
    function = getattr(lib, "rd_kafka_" + name)
    function.restype, function.argtypes = result, [kind for kind, _ in typed]
    return function(*[value for _, value in typed])
