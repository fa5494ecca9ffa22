"""A broker that dies, freezes, loses replies, forgets, refuses."""

import base64
import time
import uuid

import kafka_client
from fleet import wait
from kafka_local import Broker
from kafka_proxy import KafkaProxy
from support import free_ports
from table import row

TRANSACTION_TIMEOUT_S = 10
PUBLISHED_WITHIN_S = 0.05  # an answer is in flight until it was published


@row(12, "broker SIGKILL x3", "re-sent 0 while the owner lives")
def broker_killed(bench):
    fleet = bench.fleet().create().submit().start().wait_sending()
    for number in range(3):
        fleet.wait_done(0.1 + 0.2 * number)
        bench.broker.kill()
        bench.broker.start()
        fleet.wait_sending()
    fleet.finish(bound=0)


@row(13, "broker stopped longer than the transaction timeout", "re-sent 0")
def broker_frozen(bench):
    fleet = bench.fleet(properties={"transaction.timeout.ms": TRANSACTION_TIMEOUT_S * 1000})
    fleet.create().submit().start().wait_sending().wait_done(0.2)
    bench.broker.pause()
    began = time.monotonic()
    try:
        wait(lambda: time.monotonic() > began + TRANSACTION_TIMEOUT_S + 5, "the time-out", 60, 0.1)
        fleet.check_alive()
    finally:
        bench.broker.cont()
    fleet.wait_sending().finish(bound=0)


@row(14, "replies to EndTxn dropped (TCP proxy)", "no abort issued, re-sent 0", ci=True)
def lost_replies(bench):
    proxy = KafkaProxy()
    bench.on_end(proxy.close)
    advertised = {"advertised.listeners": f"CLIENT://127.0.0.1:{proxy.port}"}
    broker = Broker(bench.folder / "kafka", advertised)
    # The broker talks to itself by the advertised address, too.
    [port] = free_ports(1)
    broker.port, proxy.target = port, ("127.0.0.1", port)
    bench.on_end(broker.close)
    broker.start()
    fleet = bench.fleet(
        brokers=f"127.0.0.1:{proxy.port}", properties={"socket.timeout.ms": 10_000}
    ).create()
    fleet.submit().start().wait_sending()
    for number, close in enumerate((True, False, True)):
        fleet.wait_done(0.1 + 0.2 * number)
        proxy.lose(4, close)
        wait(lambda: proxy.still_to_lose == 0, "replies are lost")
    fleet.finish(bound=0)
    bench.expect(proxy.aborts == 0, f"{proxy.aborts} aborts were issued")
    bench.expect(proxy.commits > proxy.lost == 12, "replies to EndTxn were lost, others not")
    bench.note(f"{proxy.lost} of {proxy.commits} replies lost")


@row(15, "group offsets deleted", "re-sent 0")
def offsets_deleted(bench):
    fleet = bench.fleet().create().submit().start().wait_sending().wait_done(0.4)
    fleet.stop("a", "b", "c")
    _delete_group(fleet.brokers, fleet.name)
    fleet.start().wait_sending().finish(bound=0)


def _delete_group(brokers, name):
    """Possible once the group has noticed that its static members are gone."""
    admin = kafka_client.Admin(brokers)

    def deleted():
        try:
            admin.delete_group(name)
            return True
        except kafka_client.KafkaError:
            return False

    wait(deleted, f"the group {name} is deleted", 60, every=0.2)
    admin.close()


def _second_broker(first, folder):
    """A broker beside `first`, in the same cluster; not started."""
    saved = dict(line.split("=", 1) for line in (first.folder / "ports").read_text().split())
    meta = dict(
        line.split("=", 1)
        for line in (first.folder / "data" / "meta.properties").read_text().splitlines()
        if "=" in line
    )
    identity = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "meta.properties").write_text(
        f"version=1\nnode.id=2\ncluster.id={meta['cluster.id']}\ndirectory.id={identity}\n"
    )
    [port] = free_ports(1)
    return Broker(
        folder,
        {
            "process.roles": "broker",
            "node.id": 2,
            "controller.quorum.voters": f"1@127.0.0.1:{saved['controller']}",
            "listeners": f"CLIENT://127.0.0.1:{port}",
        },
        port,
    )


def _warm_up(brokers):
    """Lets the cluster create its own topics while it has one broker: they stay there."""
    _delete_group(brokers, "nobody")
    producer = kafka_client.Producer(brokers, transactional_id="nobody")
    producer.init_transactions()
    producer.close()


@row(
    21,
    "broker refuses writes (below min.insync.replicas)",
    "sending stops <= 1 s; answers not yet stored <= in flight; none lost",
)
def refused_writes(bench):
    """Two brokers and two replicas; the second stops cleanly, so that one replica is left where two
    are asked for."""
    first = Broker(bench.folder / "one")
    bench.on_end(first.close)
    first.start()
    _warm_up(first.bootstrap)
    second = _second_broker(first, bench.folder / "two")
    bench.on_end(second.close)
    second.start()
    fleet = bench.fleet(brokers=first.bootstrap, replication=2).create()
    fleet.submit().start().wait_sending()
    fleet.wait_done(0.1)
    began, answered = time.monotonic(), fleet.sim.stats()["answered"]
    fleet.wait_done(0.2)
    rate = (fleet.sim.stats()["answered"] - answered) / (time.monotonic() - began)
    second.stop()
    seen = {"intents": (0, 0.0), "requests": (0, 0.0)}

    def settled():
        now = time.monotonic()
        for name, value in (
            ("intents", fleet.watch.intents()),
            ("requests", fleet.sim.stats()["requests"]),
        ):
            if value != seen[name][0]:
                seen[name] = (value, now)
        return now - max(at for _, at in seen.values()) > 5

    wait(settled, "sending stops", 40, every=0.05)
    after = seen["requests"][1] - seen["intents"][1]
    bench.note(f"last send {max(after, 0):.1f} s after the last stored intent")
    bench.expect(after <= 1, f"it sent for {after:.1f} s after the broker began to refuse")
    # The ends can't be asked for now: a leader that can't replicate has none to show. What was
    # stored was read meanwhile: nothing came for 2 s.
    fleet.wait_quiet(2)
    unstored = fleet.sim.stats()["answered"] - fleet.watch.stored_results()
    in_flight = fleet.concurrency + int(rate * PUBLISHED_WITHIN_S)
    bench.expect(unstored <= in_flight, f"{unstored} of {in_flight} answers are stored nowhere")
    second.start()
    fleet.wait_sending().finish(bound=0)
