// Assembly and end of a member, and the loop of its engine.
#include "orchestrator/engine/fleet_member.hpp"
#include "orchestrator/engine/restart_keys.hpp"
#include "orchestrator/runtime/fd_limit.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <random>

namespace spillway {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t other_descriptors = 1024;  // store, sockets of Kafka clients, pages
constexpr duration tick_period = 1ms;
constexpr duration turn_period = 50ms;
constexpr duration look_period = 50ms;

std::uint64_t random_seed() {
  std::random_device device;
  return std::uint64_t{device()} << 32 | device() | 1;
}

duration longest_timeout(const std::vector<pool_config>& pools) {
  duration longest{};
  for (const auto& pool : pools)
    for (const auto& lane : pool.lanes) longest = std::max(longest, lane.timeout);
  return longest;
}

}  // namespace

result<std::unique_ptr<member>> member::start(member_request request, const time_source& time,
                                              member_callbacks callbacks) {
  auto made = std::make_unique<fleet_member>(std::move(request), time, std::move(callbacks));
  if (auto ready = made->prepare(); !ready) return ready.error();
  return std::unique_ptr<member>(std::move(made));
}

fleet_member::fleet_member(member_request request, const time_source& time,
                           member_callbacks callbacks)
    : request_(std::move(request)),
      time_(time),
      callbacks_(std::move(callbacks)),
      runner_(request_.threads) {
  if (request_.seed == 0) request_.seed = random_seed();
}

fleet_member::~fleet_member() { stop_all(); }

result<fleet_member::network> fleet_member::make_network(const std::vector<pool_config>& pools) {
  network out;
  transport_limits limits;
  std::int64_t descriptors = other_descriptors;
  for (const auto& pool : pools) {
    out.slots.push_back(connection_cap(pool, limits));
    descriptors += out.slots.back();
  }
  if (const auto limit = raise_fd_limit(descriptors); !limit) return limit.error();
  auto net = make_http_transport(
      pools, limits, [this] { return time_.now(); },
      [this](std::vector<call_result> calls) {
        inbox_.put([&](engine_events& e) {
          std::move(calls.begin(), calls.end(), std::back_inserter(e.calls));
        });
      });
  if (!net) return net.error();
  out.net = *std::move(net);
  return out;
}

result<void> fleet_member::prepare() {
  const auto facts = kafka::verify_topics(request_.kafka);
  if (!facts) return facts.error();
  for (const auto& d : facts->differences) spdlog::warn("{}", kafka::describe(request_.kafka, d));
  fleet_uuid_ = facts->uuid;
  partitions_ = static_cast<std::uint32_t>(facts->partitions);
  auto index = kafka::member_index::open(request_.state);
  if (!index) return index.error();
  index_ = *std::move(index);
  auto clients = kafka::fleet_clients::connect(request_.kafka);
  if (!clients) return clients.error();
  clients_ = *std::move(clients);

  auto net = make_network(request_.config.pools);
  if (!net) return net.error();
  engine_setup setup;
  setup.pools = request_.config.pools;
  setup.file_name = [this](file_id id) { return files_.name(id); };
  setup.seed = request_.seed;
  setup.endless = true;
  auto made = engine::make(std::move(setup), net->slots, time_.now());
  if (!made) return made.error();
  engine_ = *std::move(made);
  if (const auto& path = request_.config.member.audit; !path.empty()) {
    auto audit = audit_log::open(path);
    if (!audit) return audit.error();
    engine_->keep_audit(*std::move(audit), time_.now());
  }
  networks_.push_back(*std::move(net));
  reader_ = std::make_unique<reader_thread>(inbox_);
  engine_->connect(*networks_.back().net, *reader_, runner_);
  engine_->set_share({partitions_, {}}, time_.now());
  configured_at_ = time_.now();
  return join();
}

result<void> fleet_member::join() {
  engine_thread_ = std::thread([this] {
    while (!ended_.load()) turn();
    const std::lock_guard lock(mutex_);
    loop_ended_ = true;
  });
  auto feed = kafka::job_feed::start(
      request_.kafka, partitions_,
      {[this](auto changed, auto gone) { post_and_wait([&] { put_jobs(changed, gone); }); },
       [this] { post([this] { tell_logs_of_jobs(); }); },
       [this](kafka::dead_letter letter) {
         spdlog::warn("a record of the topic jobs can't be used (offset {}): {}", letter.offset,
                      letter.message);
       }});
  if (!feed) return feed.error();
  post_and_wait([&] { feed_ = *std::move(feed); });
  auto closer =
      kafka::job_closer::start(request_.kafka, *feed_, partitions_, [this] { return time_.now(); });
  if (!closer) return closer.error();
  closer_ = *std::move(closer);

  kafka::membership_callbacks calls;
  calls.revoked = [this](const kafka::partition_set&) { on_revoked(); };
  calls.assigned = [this](const kafka::partition_set& set) {
    in_group_ = true;
    post([this, set] { reassign(set); });
  };
  calls.lost = [this](const kafka::partition_set&) {
    in_group_ = false;
    post([this] { on_lost(); });
  };
  calls.fenced = [this](std::string message) {
    fail({failure_kind::usage, "another process works as member " + request_.id +
                                   " of this fleet, and this one makes way: " + message});
  };
  calls.trouble = [this](std::string message) {
    const std::lock_guard lock(mutex_);
    if (group_trouble_ != message) spdlog::warn("group {}: {}", request_.kafka.fleet, message);
    group_trouble_ = std::move(message);
  };
  auto joined = kafka::membership::join(request_.kafka, request_.id, std::move(calls));
  if (!joined) return joined.error();
  post_and_wait([&] { membership_ = *std::move(joined); });
  return {};
}

void fleet_member::post(std::function<void()> what) {
  {
    const std::lock_guard lock(mutex_);
    if (loop_ended_) return;
    posted_.push_back(std::move(what));
  }
  inbox_.nudge();
}

void fleet_member::post_and_wait(std::function<void()> what) {
  auto done = std::make_shared<std::promise<void>>();
  auto ended = done->get_future();
  {
    const std::lock_guard lock(mutex_);
    if (loop_ended_) return;
    posted_.push_back([&what, done] {
      what();
      done->set_value();
    });
  }
  inbox_.nudge();
  ended.wait();
}

void fleet_member::run_posted() {
  std::vector<std::function<void()>> posted;
  {
    const std::lock_guard lock(mutex_);
    posted.swap(posted_);
  }
  for (auto& what : posted) what();
}

/// One turn of the engine's loop.
void fleet_member::turn() {
  run_posted();
  auto events = inbox_.take(std::clamp<duration>(wake_ - time_.now(), 0ns, turn_period));
  run_posted();
  const auto now = time_.now();
  callbacks_.beat(now);
  const bool due = !events.empty() || now >= wake_ || now - looked_at_ >= turn_period;
  if (due) {
    wake_ = engine_->step(now, std::move(events));
    looked_at_ = now;
    look_after_homes(now);
    look_after_index(now);
    publish(now);
  }
  for (auto left = now + tick_period - time_.now(); left > 0ns;
       left = now + tick_period - time_.now())
    inbox_.durable_after([&](partition_id p) { return engine_->durable(p); }, left,
                         [&](partition_id p, commit_seq durable) { engine_->release(p, durable); });
}

void fleet_member::fail(failure why) {
  spdlog::error("{}", why.message);
  const std::lock_guard lock(mutex_);
  if (!failed_) failed_ = std::move(why);
}

void fleet_member::watch_stop(const stop_flag& stop, time_point now) {
  const int asked = stop.load();
  if (asked > noticed_) {
    noticed_ = asked;
    spdlog::info("{}", asked == 1 ? "draining: open calls may finish; signal again to stop at once"
                                  : "stopping at once");
    inbox_.put([&](engine_events& e) { (asked == 1 ? e.drain : e.abort) = true; });
    post([this] { draining_ = true; });
    const auto patience =
        request_.config.member.drain_timeout.value_or(longest_timeout(request_.config.pools));
    drain_end_ = asked == 1 ? now + patience : time_never;
  }
  if (now < drain_end_) return;
  spdlog::warn("open calls did not finish in time: they are ended, and may have been billed");
  inbox_.put([](engine_events& e) { e.abort = true; });
  drain_end_ = time_never;
}

result<void> fleet_member::run(const stop_flag& stop, const std::function<void()>& each_look) {
  for (;;) {
    watch_stop(stop, time_.now());
    bool over = false;
    {
      const std::lock_guard lock(mutex_);
      over = failed_.has_value();
    }
    if (!over && noticed_ > 0) post_and_wait([&] { over = engine_->done(); });
    if (over) break;
    each_look();
    std::this_thread::sleep_for(look_period);
  }
  stop_all();
  const std::lock_guard lock(mutex_);
  if (failed_) return *failed_;
  return {};
}

/// Everything that may call into the engine's thread ends before it does.
void fleet_member::stop_all() {
  if (engine_thread_.joinable()) {
    bool failed = false;
    {
      const std::lock_guard lock(mutex_);
      failed = failed_.has_value();
    }
    // What is stored but not committed is committed, unless somebody else owns it by now.
    if (!failed)
      post_and_wait([this] {
        for (auto& [id, h] : homes_)
          if (h->phase != partition_phase::taking_over) close_in_background(*h);
        for (auto& h : leaving_)
          if (!h->closed) close_in_background(*h);
      });
    if (feed_) feed_->stop();
    std::unique_ptr<kafka::membership> group;
    post_and_wait([&] {
      show_done();
      group = std::move(membership_);
    });
    group.reset();
    if (closer_) closer_->stop();
    ended_ = true;
    inbox_.nudge();
    engine_thread_.join();
  }
  run_posted();
  if (reader_) reader_->stop();
  const auto end = [](home& h) {
    h.log->give_up();
    if (h.worker.joinable()) h.worker.join();
  };
  for (auto& [id, h] : homes_) end(*h);
  for (auto& h : leaving_) end(*h);
  homes_.clear();
  leaving_.clear();
}

result<std::vector<std::string>> fleet_member::reload(result<fleet_config> read) {
  const auto refuse = [&](failure why) {
    post([this] { ++reloads_failed_; });
    return why;
  };
  if (!read) return refuse(read.error());
  auto& next = *read;
  auto net = make_network(next.pools);
  if (!net) return refuse(net.error());
  std::optional<failure> bad;
  post_and_wait([&] {
    networks_.push_back(*std::move(net));
    auto& fresh = networks_.back();
    const auto now = time_.now();
    if (auto done = engine_->reconfigure(next.pools, fresh.slots, *fresh.net, now); !done) {
      bad = done.error();
      networks_.pop_back();
      ++reloads_failed_;
      return;
    }
    request_.config.pools = next.pools;
    request_.config.job = next.job;
    request_.config.member.drain_timeout = next.member.drain_timeout;
    for (const auto& [name, job] : jobs_) put_job(job);
    ++reloads_ok_;
    configured_at_ = now;
  });
  if (bad) return *bad;
  return restart_keys(request_.config, next);
}

}  // namespace spillway
