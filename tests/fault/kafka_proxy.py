"""A TCP proxy in front of a broker that understands just enough of the protocol to lose replies of
chosen kinds. The broker must advertise the proxy's address, so that clients stay with it."""

import collections
import socket
import struct
import threading

END_TXN = 26
_PIECE = 64 << 10


def _exactly(connection, count):
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise ConnectionError
        data += piece
    return data


def _pass_on(source, target, count):
    while count > 0:
        piece = source.recv(min(count, _PIECE))
        if not piece:
            raise ConnectionError
        target.sendall(piece)
        count -= len(piece)


def _string(data, at):
    """A nullable string with a 16-bit length; returns the position behind it."""
    (length,) = struct.unpack_from(">h", data, at)
    return at + 2 + max(length, 0)


class KafkaProxy:
    """`lose(n, close)`: the next n replies to EndTxn disappear; with `close` the connection breaks
    where the reply should have been, without it the client waits for its own time-out."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.target = None  # (host, port) of the broker
        self._lock = threading.Lock()
        self._to_lose, self._close = 0, False
        self.lost, self.commits, self.aborts = 0, 0, 0
        self.lost_by_transaction = collections.Counter()
        threading.Thread(target=self._accept, daemon=True).start()

    def lose(self, count, close):
        with self._lock:
            self._to_lose, self._close = count, close

    @property
    def still_to_lose(self):
        with self._lock:
            return self._to_lose

    def close(self):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                broker = socket.create_connection(self.target, 5)
            except OSError:  # the broker is down: so is this way to it
                client.close()
                continue
            broker.settimeout(None)
            for connection in (client, broker):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pending = {}  # correlation id of an EndTxn -> its transactional id
            for work in (self._requests, self._replies):
                threading.Thread(
                    target=self._guard, args=(work, client, broker, pending), daemon=True
                ).start()

    @staticmethod
    def _guard(work, client, broker, pending):
        try:
            work(client, broker, pending)
        except OSError:
            pass
        finally:
            for connection in (client, broker):
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def _requests(self, client, broker, pending):
        while True:
            head = _exactly(client, 12)
            size, kind, _, correlation = struct.unpack(">ihhi", head)
            if kind != END_TXN:
                broker.sendall(head)
                _pass_on(client, broker, size - 8)
                continue
            rest = _exactly(client, size - 8)
            at = _string(rest, 0)  # client id
            name = rest[at + 2 : _string(rest, at)].decode()
            at = _string(rest, at) + 8 + 2  # producer id and epoch
            with self._lock:
                if rest[at]:
                    self.commits += 1
                else:
                    self.aborts += 1
                pending[correlation] = name
            broker.sendall(head + rest)

    def _replies(self, client, broker, pending):
        while True:
            head = _exactly(broker, 8)
            size, correlation = struct.unpack(">ii", head)
            with self._lock:
                name = pending.pop(correlation, None)
                losing = name is not None and self._to_lose > 0
                if losing:
                    self._to_lose -= 1
                    self.lost += 1
                    self.lost_by_transaction[name] += 1
                close = self._close
            if not losing:
                client.sendall(head)
                _pass_on(broker, client, size - 4)
                continue
            _exactly(broker, size - 4)
            if close:
                return
