"""Follows a fleet's topics from outside while it runs: which rows are committed, and, from the
journal, what was in flight when an owner died."""

import collections
import json
import threading

import kafka_client
import wire

Row = collections.namedtuple("Row", "key partition offset place kind value")
# One send of a prompt, open or ended, as the journal tells it.
_Event = collections.namedtuple("_Event", "at session place in_flight")


def _code_of(row):
    return json.loads(row.value)["error"]["code"]


class _Chunks:
    """Puts together records that were split: header `chunk` is "<set>/<number>/<count>"."""

    def __init__(self):
        self._sets = {}

    def whole(self, record):
        """The record with its whole value once its last chunk is there, else None."""
        mark = record.headers.get("chunk")
        if mark is None:
            return record
        name, number, count = mark.decode().rsplit("/", 2)
        parts, first = self._sets.setdefault((record.partition, name), ({}, record))
        parts[int(number)] = record.value
        if len(parts) < int(count):
            return None
        del self._sets[record.partition, name]
        value = b"".join(parts[number] for number in sorted(parts))
        headers = {**first.headers, **record.headers}
        return record._replace(offset=first.offset, value=value, headers=headers)


class _Follower(threading.Thread):
    """Reads partitions until stopped; `take` gets each record. A failure is raised by `check`."""

    def __init__(self, brokers, places, committed, take):
        super().__init__(daemon=True)
        self._how, self._take = (brokers, places, committed), take
        self._ending, self._failure = threading.Event(), None
        self.cut = set()
        self.caught_up = threading.Event()
        self._ask = threading.Event()
        self.start()

    def run(self):
        try:
            reader = kafka_client.Reader(*self._how)
            self.cut = reader.cut
            while not self._ending.is_set():
                if self._ask.is_set():
                    self._ask.clear()
                    for record in reader.read_to_end():
                        self._take(record)
                    self.caught_up.set()
                for record in reader.poll():
                    self._take(record)
            reader.close()
        except Exception as failure:  # shown by whoever waits
            self._failure = failure
            self.caught_up.set()

    def catch_up(self, seconds=60):
        self.caught_up.clear()
        self._ask.set()
        if not self.caught_up.wait(seconds):
            raise TimeoutError("the topics were not read to their ends")
        self.check()

    def check(self):
        if self._failure:
            raise self._failure

    def stop(self):
        self._ending.set()
        self.join(20)


class Ledger:
    """What the records of a fleet's topics say, in whatever order topics are read."""

    def __init__(self, partitions):
        self._partitions = range(partitions)
        self.rows = collections.defaultdict(list)  # key -> rows
        self.wrong = []  # keys of rows with another prompt's answer
        self.late_records = 0
        self.snapshots = set()  # partitions where one was seen
        self.taken = 0  # records, committed or not
        self.chunks_seen = 0
        self._done, self._stored = _Chunks(), _Chunks()
        self._events = collections.defaultdict(list)  # partition -> _Event
        self._sessions = collections.defaultdict(dict)  # partition -> {session: time of its first}
        self._results = collections.defaultdict(dict)  # partition -> {place: first time stored}
        self._late = collections.defaultdict(dict)  # partition -> {(session, place): ms}

    # ---- what is read ----

    def take_committed(self, record):
        record = self._done.whole(record)
        if record is None:
            return
        facts = wire.facts(record.headers["spillway"])
        kind = record.headers["kind"].decode()
        key = record.key.decode()
        custom_id = key.split("/", 1)[1]
        if kind == "answered" and f"[[re:{custom_id}]]".encode() not in record.value:
            self.wrong.append(key)
        value = record.value if kind != "answered" else None  # nobody asks for those
        self.rows[key].append(
            Row(key, record.partition, record.offset, facts.place, kind, value)
        )

    def take_stored(self, record):
        self.taken += 1
        topic = record.topic.rsplit(".", 1)[1]
        if "chunk" in record.headers:
            self.chunks_seen += 1
        record = self._stored.whole(record)
        if record is None:
            return
        if topic == "results":
            place = wire.facts(record.headers["spillway"]).place
            self._results[record.partition].setdefault(place, record.timestamp)
        elif topic == "late":
            self._take_late(record)
        else:
            self._take_journal(record)

    def _take_journal(self, record):
        entry = wire.journal(record.value)
        self._sessions[record.partition].setdefault(entry.session, record.timestamp)
        if entry.kind == "snapshot":
            self.snapshots.add(record.partition)
        self._events[record.partition] += [
            _Event(record.timestamp, entry.session, one.place, one.in_flight)
            for one in entry.attempts
        ]

    def _take_late(self, record):
        self.late_records += 1
        entry = wire.late(record.headers["spillway"])
        ended = self._late[record.partition]
        if entry.facts:
            ended.setdefault((entry.session, entry.facts.place), record.timestamp)
        for one in entry.attempts:
            ended.setdefault((entry.session, one.place), record.timestamp)

    # ---- what follows from it ----

    def sessions(self):
        """{partition: {session: ms since the epoch of its first record}}, in order."""
        return {p: dict(found) for p, found in self._sessions.items()}

    def in_flight_at_deaths(self):
        """Prompts whose intent was written by an owner that was followed by another while no result
        of them was stored. A clean owner leaves none: its answers come first, or through `late`."""
        return sum(len(self._left_open(p)) for p in self._partitions)

    def _left_open(self, partition):
        found = []
        sessions = list(self._sessions[partition].items())
        following = {name: sessions[i + 1][1] for i, (name, _) in enumerate(sessions[:-1])}
        order = {name: i for i, (name, _) in enumerate(sessions)}
        last, intents = {}, collections.defaultdict(list)
        for event in self._events[partition]:
            last[event.session, event.place] = event.in_flight
            if event.in_flight:
                intents[event.place].append((order[event.session], event.at))
        for (session, place), in_flight in last.items():
            if not in_flight or session not in following:
                continue
            stored = self._results[partition].get(place)
            if stored is not None and stored <= following[session]:
                continue
            # An owner that was only stopped may answer late: in vain once another has sent again.
            late = self._late[partition].get((session, place))
            again = [at for owner, at in intents[place] if owner > order[session]]
            if late is None or (again and min(again) < late):
                found.append(place)
        return found

    def quarantined(self):
        """{key: deaths of owners that it was in flight at} of the rows that say so."""
        found = {}
        for key, rows in self.rows.items():
            for row in rows:
                if row.kind != "answered" and _code_of(row) == "quarantined":
                    found[key] = self._left_open(row.partition).count(row.place)
        return found

    def first_intents(self):
        """{partition: {session: ms since the epoch of its first send}}, in order."""
        found = {}
        for partition, events in list(self._events.items()):
            times = found.setdefault(partition, {})
            for event in list(events):
                if event.in_flight:
                    times.setdefault(event.session, event.at)
        return found

    def intents(self):
        """Sends that the journal allows."""
        return sum(event.in_flight for events in self._events.values() for event in events)

    def stored_results(self):
        """Prompts with a stored row, committed or not."""
        return sum(len(found) for found in self._results.values())

    def duplicates(self):
        """Keys with two committed rows of one generation."""
        return [
            key
            for key, rows in self.rows.items()
            if len({row.place.generation for row in rows}) < len(rows)
        ]

    def lost(self, keys):
        return [key for key in keys if key not in self.rows]

    def surplus(self, keys):
        return [key for key in self.rows if key not in keys]

    def error_codes(self):
        """Counts of the error codes of rows that are no answers."""
        return collections.Counter(
            _code_of(row)
            for rows in self.rows.values()
            for row in rows
            if row.kind != "answered"
        )


class Watch(Ledger):
    """Follows from `start` on: all there is, or only what comes. `journal=False`: only the
    committed rows."""

    def __init__(self, brokers, fleet, partitions, start=kafka_client.BEGINNING, journal=True):
        super().__init__(partitions)

        def places(*topics):
            return {(f"{fleet}.{topic}", p): start for topic in topics for p in self._partitions}

        self._followers = [_Follower(brokers, places("results"), True, self.take_committed)]
        if journal:
            everything = places("results", "journal", "late")
            self._followers.append(_Follower(brokers, everything, False, self.take_stored))

    @property
    def done(self):
        """How many prompts have a committed row."""
        for follower in self._followers:
            follower.check()
        return len(self.rows)

    @property
    def missed(self):
        """Places where the owners deleted what this watch, cut off with them, had not read."""
        return set().union(*(follower.cut for follower in self._followers[1:]))

    def catch_up(self):
        """Everything written before this call was taken."""
        for follower in self._followers:
            follower.catch_up()

    def stop(self):
        for follower in self._followers:
            follower.stop()
