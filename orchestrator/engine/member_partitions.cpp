// Partitions come and go with the group.
#include "orchestrator/engine/fleet_member.hpp"
#include "orchestrator/runtime/fresh_id.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace spillway {
namespace {

using namespace std::chrono_literals;

constexpr duration hand_over_patience = 3s;
constexpr duration retry_after = 1s;
constexpr duration probe_period = 500ms;

}  // namespace

/// The group waits meanwhile: when this returns, whoever gets a partition next finds in its log
/// which calls are still open.
void fleet_member::on_revoked() {
  std::vector<std::shared_ptr<kafka::kafka_log>> suspended;
  post_and_wait([&] {
    for (auto& [id, h] : homes_) {
      if (h->phase != partition_phase::active) continue;
      engine_->suspend(id);
      h->phase = partition_phase::suspended;
      suspended.push_back(h->log);
    }
    wake_ = {};
  });
  const auto until = time_.now() + hand_over_patience;
  for (const auto& log : suspended)
    if (!log->wait_handed_over(std::max<duration>(until - time_.now(), 0ns)))
      spdlog::warn("a hand-over was not stored in time; calls under way may be sent again");
}

void fleet_member::reassign(const kafka::partition_set& set) {
  assigned_ = set;
  ++rebalances_;
  std::string list;
  for (const auto p : set) list += (list.empty() ? "" : ", ") + std::to_string(p);
  spdlog::info("partitions assigned: {}", list.empty() ? "none" : list);
  quota_share share{partitions_, {}};
  for (const auto p : set) share.owned.push_back(partition_id(static_cast<std::uint32_t>(p)));
  engine_->set_share(share, time_.now());
  closer_->set_in_charge(set.contains(0));
  std::vector<home*> gone;
  for (auto& [id, h] : homes_) {
    if (!set.contains(static_cast<std::int32_t>(id.value()))) {
      gone.push_back(h.get());
      continue;
    }
    h->log->set_assigned(true);
    if (h->phase != partition_phase::suspended) continue;
    engine_->resume(id);
    h->phase = partition_phase::active;
  }
  for (auto* h : gone) give_up(*h);
  for (const auto p : share.owned)
    if (!homes_.contains(p)) take_over(p);
}

/// Whether others have its partitions now is told with the next assignment: they stay as they are
/// until then, but nothing is sent. After an outage of the broker all members have lost theirs, and
/// most come back to where they were.
void fleet_member::on_lost() {
  spdlog::warn("the group went on without this member: its partitions wait for what it says next");
  assigned_.clear();
  engine_->set_share({partitions_, {}}, time_.now());
  closer_->set_in_charge(false);
  for (auto& [id, h] : homes_) {
    h->log->set_assigned(false);
    if (h->phase != partition_phase::active) continue;
    engine_->suspend(id);
    h->phase = partition_phase::suspended;
  }
  wake_ = {};
}

/// Open calls go on; their answers reach the next owner through `late`.
void fleet_member::give_up(home& h) {
  h.log->set_assigned(false);
  const auto it = homes_.find(h.id);
  auto kept = std::move(it->second);
  homes_.erase(it);
  if (kept->phase == partition_phase::taking_over) {
    kept->log->give_up();
  } else {
    engine_->detach(kept->id);
    reader_->remove(kept->id);
  }
  kept->phase = partition_phase::leaving;
  index_->remove_bodies(kept->id);
  leaving_.push_back(std::move(kept));
  wake_ = {};
}

/// Of a job that stays open, what is done and older than its `keep` may go: it has no end to count
/// from.
kafka::retention fleet_member::kept() const {
  kafka::retention out;
  const auto now = time_.now();
  for (const auto& job : feed_->all()) {
    if (job.final && now >= job.final->finished + job.policy.keep) continue;
    const bool by_age = !job.final && job.manifest && job.manifest->open;
    out[job.name] = by_age ? now - job.policy.keep : time_point::min();
  }
  return out;
}

kafka::kafka_log_callbacks fleet_member::callbacks_of(
    partition_id p, std::shared_ptr<std::weak_ptr<kafka::kafka_log>> self) {
  kafka::kafka_log_callbacks c;
  c.durable = [this, p](result<commit_seq> durable) {
    inbox_.put([&](engine_events& e) {
      auto& events = e.of(p);
      if (durable)
        events.durable = *durable;
      else
        events.broken = durable.error();
    });
  };
  c.news = [this, p](log_news news) {
    inbox_.put([&](engine_events& e) {
      auto& all = e.of(p).news;
      std::move(news.settled.begin(), news.settled.end(), std::back_inserter(all.settled));
      std::move(news.reopened.begin(), news.reopened.end(), std::back_inserter(all.reopened));
    });
  };
  c.shards_ready = [this, p] { reader_->wake(p); };
  c.confirm_jobs = [this, self](std::uint64_t question) {
    feed_->confirm([self, question] {
      if (const auto log = self->lock()) log->jobs_confirmed(question);
    });
  };
  c.intern = [this](std::string_view name) { return files_.intern(name); };
  c.jobs = [this, p](std::string_view job) { return feed_->standing(job, p); };
  c.kept = [this] { return kept(); };
  return c;
}

void fleet_member::take_over(partition_id p) {
  // Its former time here has to be over: the hand-over that is waited for is our own.
  const bool leaving =
      std::any_of(leaving_.begin(), leaving_.end(), [&](const auto& h) { return h->id == p; });
  const auto retry = retry_at_.find(p);
  if (leaving || draining_ || (retry != retry_at_.end() && time_.now() < retry->second)) return;
  auto made = std::make_unique<home>();
  made->id = p;
  kafka::kafka_log_options options;
  options.partition = p;
  options.session = fresh_id();
  options.fleet_uuid = fleet_uuid_;
  options.member = request_.id;
  options.shards_name =
      topic_name(request_.kafka, kafka::topic::shards) + "-" + std::to_string(p.value());
  options.producer = kafka::owner_id(request_.kafka, static_cast<std::int32_t>(p.value()));
  options.intake.line_bytes_max = request_.line_bytes_max;
  auto self = std::make_shared<std::weak_ptr<kafka::kafka_log>>();
  made->log =
      kafka::kafka_log::make(std::move(options), callbacks_of(p, self), *clients_, *index_, time_);
  *self = made->log;
  made->log->jobs_changed(feed_->read_to(), retry_commands());
  inbox_.forget(p);
  auto* h = made.get();
  h->worker = std::thread([this, h, log = made->log] {
    auto taken = log->take_over();
    auto kept = std::make_shared<result<recovered_log>>(std::move(taken));
    post([this, h, kept] {
      h->taken = std::move(*kept);
      wake_ = {};
    });
  });
  homes_.emplace(p, std::move(made));
}

void fleet_member::take_on(home& h) {
  if (h.worker.joinable()) h.worker.join();
  auto taken = *std::exchange(h.taken, std::nullopt);
  if (!taken) {
    spdlog::warn("partition {} could not be taken over: {}", h.id.value(), taken.error().message);
    retry_at_[h.id] = time_.now() + retry_after;
    past_.add(h.log->view().counts);
    homes_.erase(h.id);
    return;
  }
  reader_->add(h.id,
               std::make_unique<intake>(*h.log, engine_->lookup(), runner_, request_.line_bytes_max,
                                        std::span<const recovered_shard>{}));
  engine_->attach(h.id, *h.log, *std::move(taken), time_.now());
  h.phase = partition_phase::active;
  ++takeovers_;
  retry_at_.erase(h.id);
}

void fleet_member::close_in_background(home& h) {
  if (h.closing) return;
  h.closing = true;
  if (h.worker.joinable()) h.worker.join();
  h.worker = std::thread([this, raw = &h, log = h.log] {
    if (const auto closed = log->close(); !closed) spdlog::warn("{}", closed.error().message);
    post([raw] { raw->closed = true; });
  });
}

void fleet_member::look_after_homes(time_point now) {
  std::vector<home*> taken;
  for (auto& [id, h] : homes_)
    if (h->taken) taken.push_back(h.get());
  for (auto* h : taken) take_on(*h);

  std::vector<partition_id> failed;
  for (auto& [id, h] : homes_)
    if (h->phase != partition_phase::taking_over && engine_->failed(id)) failed.push_back(id);
  for (const auto id : failed) {
    spdlog::warn("partition {} is let go: {}", id.value(), engine_->failed(id)->message);
    auto h = std::move(homes_.at(id));
    homes_.erase(id);
    reader_->remove(id);
    engine_->drop(id);
    retry_at_[id] = now + retry_after;
    h->phase = partition_phase::leaving;
    h->closed = true;  // its log has nothing left to say
    leaving_.push_back(std::move(h));
  }
  for (auto& h : leaving_) {
    if (engine_->failed(h->id)) {
      engine_->drop(h->id);
      h->closed = true;
    }
    if (!h->closed && !h->closing && engine_->left(h->id)) close_in_background(*h);
  }
  reap();
  for (const auto p : assigned_)
    if (const partition_id id(static_cast<std::uint32_t>(p)); !homes_.contains(id)) take_over(id);
  std::erase_if(networks_, [&](const network& n) {
    return &n != &networks_.back() && !engine_->uses(*n.net);
  });
}

void fleet_member::reap() {
  for (auto& h : leaving_) {
    if (!h->closed) continue;
    if (h->worker.joinable()) h->worker.join();
    past_.add(h->log->view().counts);
  }
  std::erase_if(leaving_, [](const auto& h) { return h->closed; });
}

/// Without room for bodies and states the member pauses: results go on, sends don't.
void fleet_member::look_after_index(time_point now) {
  if (now - probed_at_ < probe_period) return;
  probed_at_ = now;
  index_->probe();
  engine_->pause(index_->full());
}

}  // namespace spillway
