#include "connectors/kafka/kafka_log_thread.hpp"
#include "orchestrator/runtime/failpoint.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace spillway::kafka {
namespace {

using namespace std::chrono_literals;

// A member that was stopped and fenced meanwhile must not send: its session takes six seconds to
// end, so an intent this young proves that nobody else owned the partition when it is sent.
constexpr duration intent_good_for = 4s;
// What is not stored when a broker is away for so long is found again by the next owner.
constexpr duration close_patience = 10s;
constexpr duration show_period = 200ms;

owner_setup setup_of(const kafka_log_options& o, member_index& index) {
  owner_setup s;
  s.session = o.session;
  s.fleet = o.fleet_uuid;
  s.partition = o.partition.value();
  s.producer = o.producer;
  s.index = index.state(o.partition).value_or("");
  s.limits = o.limits;
  return s;
}

}  // namespace

void kafka_log_counts::add(const kafka_log_counts& other) {
  owner.add(other.owner);
  intents += other.intents;
  quarantined += other.quarantined;
  for (const auto& [code, n] : other.dead) dead[code] += n;
}

std::unique_ptr<kafka_log> kafka_log::make(kafka_log_options options, kafka_log_callbacks callbacks,
                                           fleet_clients& clients, member_index& index,
                                           const time_source& time) {
  return std::make_unique<kafka_log_thread>(std::move(options), std::move(callbacks), clients,
                                            index, time);
}

kafka_log_thread::kafka_log_thread(kafka_log_options options, kafka_log_callbacks callbacks,
                                   fleet_clients& clients, member_index& index,
                                   const time_source& time)
    : options_(std::move(options)),
      callbacks_(std::move(callbacks)),
      clients_(clients),
      index_(index),
      time_(time),
      fetcher_(options_.partition, clients),
      owner_(setup_of(options_, index),
             [this](std::uint64_t incarnation) {
               link_options link;
               link.partition = static_cast<std::int32_t>(options_.partition.value());
               link.sink = [this, incarnation](link_event&& e) {
                 put([&](input& in) { in.messages.push_back({incarnation, std::move(e)}); });
               };
               return clients_.make_link(std::move(link));
             }),
      map_(options_.partition),
      intake_(
          options_.partition, options_.shards_name,
          [this](std::string_view job) { return standing(job); }, callbacks_.intern,
          [this](const shard_data& d) {
            index_.put_body(options_.partition, static_cast<std::int64_t>(d.where.offset),
                            d.bytes.substr(0, d.size));
          },
          options_.intake) {
  self_->log = this;
}

kafka_log_thread::~kafka_log_thread() {
  {
    const std::lock_guard lock(self_->mutex);
    self_->log = nullptr;
  }
  give_up();
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void kafka_log_thread::order(std::function<void(owner&)> what) {
  put([&](input& in) { in.orders.push_back(std::move(what)); });
}

result<recovered_log> kafka_log_thread::take_over() {
  thread_ = std::thread([this] { run(); });
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return recovered_ || failed_ || gave_up_; });
  if (failed_) return *failed_;
  if (!recovered_) return failure{failure_kind::stopped, "the take-over was given up"};
  return *std::exchange(recovered_, std::nullopt);
}

void kafka_log_thread::give_up() {
  {
    const std::lock_guard lock(mutex_);
    gave_up_ = true;
  }
  changed_.notify_all();
}

void kafka_log_thread::append(commit_seq seq, commit_group group) {
  put([&](input& in) { in.groups.emplace_back(seq, std::move(group)); });
}

std::optional<duration> kafka_log_thread::intent_validity() const { return intent_good_for; }

void kafka_log_thread::suspend() {
  {
    const std::lock_guard lock(mutex_);
    handed_over_ = false;
  }
  order([](owner& o) { o.suspend(); });
}

void kafka_log_thread::resume() {
  order([](owner& o) { o.resume(); });
}

void kafka_log_thread::leave() {
  order([](owner& o) { o.leave(); });
}

bool kafka_log_thread::wait_handed_over(duration patience) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, patience, [&] { return handed_over_ || over_; });
}

result<void> kafka_log_thread::close() {
  order([](owner& o) { o.close(); });
  std::unique_lock lock(mutex_);
  if (!changed_.wait_for(lock, close_patience, [&] { return over_; })) {
    failed_ =
        failure{failure_kind::stopped, "partition " + std::to_string(options_.partition.value()) +
                                           " could not be closed in time: " + view_.message};
    over_ = true;
    wake_.notify_one();
  }
  lock.unlock();
  if (thread_.joinable()) thread_.join();
  lock.lock();
  if (failed_) return *failed_;
  return {};
}

void kafka_log_thread::set_assigned(bool yes) {
  const std::lock_guard lock(mutex_);
  assigned_ = yes;
}

void kafka_log_thread::jobs_changed(std::int64_t jobs_read_to,
                                    std::vector<owner_command> commands) {
  put([&](input& in) {
    in.jobs_read_to = jobs_read_to;
    for (auto& c : commands) in.commands.push_back(std::move(c));
  });
}

void kafka_log_thread::jobs_confirmed(std::uint64_t question) {
  put([&](input& in) { in.confirmed.push_back(question); });
}

kafka_log_view kafka_log_thread::view() const {
  const std::lock_guard lock(mutex_);
  return view_;
}

kafka_log_thread::input kafka_log_thread::wait(time_point until) {
  const auto patience = std::clamp<duration>(until - time_.now(), 0ns, show_period);
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, patience, [&] { return has_input_ || over_; });
  has_input_ = false;
  return std::exchange(input_, {});
}

void kafka_log_thread::run() {
  time_point wake = time_.now();
  for (;;) {
    auto in = wait(std::min(wake, shards_retry_at_));
    bool assigned = false;
    {
      const std::lock_guard lock(mutex_);
      if (over_) return;
      assigned = assigned_;
    }
    auto messages = std::exchange(in.messages, {});
    for (const auto& m : messages) pass_failpoints(m);
    take(std::move(in));
    auto out = owner_.step(time_.now(), std::move(messages), assigned);
    wake = out.wake;
    const auto state = out.state;
    handle(std::move(out));
    if (state != owner_state::closed && state != owner_state::dropped) continue;
    shards_link_.reset();
    {
      const std::lock_guard lock(mutex_);
      over_ = true;
    }
    changed_.notify_all();
    return;
  }
}

void kafka_log_thread::take(input&& in) {
  forget_told();
  for (auto& [seq, group] : in.groups) {
    pending_group p;
    p.seq = seq.value();
    for (const auto& a : group.attempts) p.intents += a.in_flight;
    for (const auto& f : group.finished) p.quarantined += f.error_code == "quarantined";
    if (p.intents > 0 || p.quarantined > 0) pending_.push_back(p);
    for (const auto& shard : group.shards)
      if (auto news = map_.taken(shard.where.id); !news.empty()) callbacks_.news(std::move(news));
    owner_.append(seq.value(), map_.to_group(std::move(group)));
  }
  for (const auto& what : in.orders) what(owner_);
  for (auto& command : in.commands) {
    if (commands_done_.contains(command.id) || !commands_out_.insert(command.id).second) continue;
    owner_.command(std::move(command));
  }
  if (in.jobs_read_to) {
    jobs_read_to_ = *in.jobs_read_to;
    if (commands_out_.empty()) jobs_to_ = jobs_read_to_;
    intake_.jobs_changed();
  }
  for (const auto question : in.confirmed) {
    if (question == trim_question_) {
      owner_.trim(callbacks_.kept());
      forget_gone();
    }
    const auto it = questions_.find(question);
    if (it == questions_.end()) continue;
    intake_.jobs_changed();
    intake_.give_up_unknown(it->second);
    questions_.erase(it);
    jobs_known_ = true;
    forget_gone();
  }
  for (auto& [dead, stored] : in.buried) {
    if (!stored) {
      bury(std::move(dead));
      continue;
    }
    ++counts_.dead[dead.code];
    owner_.note({dead.offset, 1, false, true});
  }
  for (const auto& [incarnation, event] : in.shards)
    if (incarnation == shards_incarnation_) on_shards(event);
  if (shards_retry_at_ <= time_.now()) open_shards();
  drain_intake();
}

void kafka_log_thread::pass_failpoints(const link_message& m) {
  if (!failpoints::armed) return;
  if (std::holds_alternative<link_opened>(m.event)) failpoint("take_over_fenced");
  if (std::holds_alternative<link_committed>(m.event)) failpoint("committed");
  const auto* records = std::get_if<link_records>(&m.event);
  if (!records) return;
  if (last_state_ == owner_state::opening && records->end) {
    ++opening_reads_;
    failpoint(opening_reads_ == 1 ? "take_over_journal" : "take_over_results");
  }
  if (last_state_ == owner_state::active && !records->records.empty()) failpoint("read_back");
}

void kafka_log_thread::note_durable(std::uint64_t seq) {
  for (; !pending_.empty() && pending_.front().seq <= seq; pending_.pop_front()) {
    const auto& stored = pending_.front();
    counts_.intents += stored.intents;
    counts_.quarantined += stored.quarantined;
    if (stored.intents > 0) failpoint("intent_acked");
  }
  callbacks_.durable(commit_seq(seq));
}

void kafka_log_thread::handle(owner_output&& out) {
  if (out.state != last_state_) {
    if (out.state == owner_state::stuck)
      spdlog::warn("partition {}: {}", options_.partition.value(), out.message);
    else if (out.state == owner_state::active && last_state_ != owner_state::suspended)
      spdlog::info("partition {} is owned", options_.partition.value());
    last_state_ = out.state;
  }
  if (out.recovered) start_after_recovery(*out.recovered);
  for (const auto& id : out.applied) {
    commands_out_.erase(id);
    commands_done_.insert(id);
  }
  if (!out.applied.empty() && commands_out_.empty()) jobs_to_ = jobs_read_to_;
  auto news = map_.to_news(out.settled, out.reopened);
  if (!news.empty()) callbacks_.news(std::move(news));
  refetch();
  for (; published_ < owner_.counters().published; ++published_) failpoint("result_acked");
  if (out.durable) note_durable(*out.durable);
  if (out.index) {
    index_.put_state(options_.partition, *std::move(out.index));
    failpoint("index_written");
  }
  if (out.watermark) move_watermark(*out.watermark);
  if (out.handed_over) {
    failpoint("handover_written");
    const std::lock_guard lock(mutex_);
    handed_over_ = true;
  }
  if (out.state == owner_state::closed) failpoint("late_end");
  if (out.state == owner_state::dropped) {
    auto lost =
        failure{failure_kind::stopped,
                "partition " + std::to_string(options_.partition.value()) + ": " + out.message};
    {
      const std::lock_guard lock(mutex_);
      failed_ = lost;
    }
    callbacks_.durable(lost);
  }
  const auto now = time_.now();
  ask_what_is_kept(now);
  show(now, out);
  changed_.notify_all();
}

void kafka_log_thread::start_after_recovery(const recovered_partition& r) {
  failpoint("take_over_recovered");
  auto log = map_.recovered(r, [&](const std::string& job) -> std::optional<job_number> {
    const auto standing = callbacks_.jobs(job);
    if (standing.now == job_standing::state::unknown) return std::nullopt;
    return standing.number;
  });
  for (const auto& id : r.applied) {
    commands_done_.insert(id);
    commands_out_.erase(id);
  }
  watermark_ = r.watermark;
  shards_next_ = r.watermark;
  open_shards();
  ask_about_jobs(0);
  const std::lock_guard lock(mutex_);
  for (const auto& job : r.jobs) view_.found[job.job] = job.lanes;
  recovered_ = std::move(log);
}

void kafka_log_thread::move_watermark(std::int64_t to) {
  failpoint("watermark");
  watermark_ = to;
  map_.forget_below(to, [&](const shard_descriptor& where) {
    index_.remove_body(options_.partition, static_cast<std::int64_t>(where.offset));
  });
}

void kafka_log_thread::show(time_point now, const owner_output& out) {
  const bool whole = now >= shown_at_ + show_period || out.state == owner_state::closed;
  std::vector<progress_record> jobs;
  unread_answers unread;
  if (whole) {
    shown_at_ = now;
    jobs = progress(now);
    unread = owner_.unread();
  }
  counts_.owner = owner_.counters();
  const std::lock_guard lock(mutex_);
  view_.state = out.state;
  view_.message = out.message;
  view_.counts = counts_;
  view_.read_to = shards_next_;
  view_.end = std::max(shards_end_, shards_next_);
  view_.watermark = watermark_;
  const auto& done = owner_.known().done();
  view_.done_to = done.all_done() ? std::max(shards_next_, watermark_) : done.first_unfinished();
  view_.unread_for = now - owner_.unread_since().value_or(now);
  if (!whole) return;
  view_.unread = unread;
  view_.jobs = std::move(jobs);
}

}  // namespace spillway::kafka
