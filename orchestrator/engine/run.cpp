#include "orchestrator/engine/run.hpp"

#include "connectors/files/file_log.hpp"
#include "orchestrator/core/routes.hpp"
#include "orchestrator/engine/engine.hpp"
#include "orchestrator/engine/inbox.hpp"
#include "orchestrator/engine/lane_setups.hpp"
#include "orchestrator/engine/progress_json.hpp"
#include "orchestrator/engine/reader_thread.hpp"
#include "orchestrator/engine/strict.hpp"
#include "orchestrator/runtime/fd_limit.hpp"
#include "orchestrator/runtime/time_source.hpp"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <random>
#include <thread>

namespace spillway {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t other_descriptors = 256;  // store, inputs, outputs, event queues
constexpr duration tick_period = 1ms;            // ticks come at most this often
constexpr duration look_period = 50ms;           // signals are noticed within this
constexpr duration progress_period = 200ms;
constexpr duration status_period = 1s;

// The embedded log has one of each.
constexpr job_number only_job{0};
constexpr partition_id only_partition{0};

/// Latest progress, from the engine's thread to the caller's.
class progress_box {
 public:
  void put(run_progress p) {
    const std::lock_guard lock(mutex_);
    latest_ = std::move(p);
  }
  [[nodiscard]] run_progress get() const {
    const std::lock_guard lock(mutex_);
    return latest_;
  }

 private:
  mutable std::mutex mutex_;
  run_progress latest_;
};

/// Writes status.json whole: a reader sees the old one or the new one.
void write_status(const std::string& path, const run_progress& p) {
  const auto text = status_text({::getpid(), p.now, p});
  const auto part = path + ".part";
  std::FILE* file = std::fopen(part.c_str(), "we");
  bool good = file != nullptr && std::fwrite(text.data(), 1, text.size(), file) == text.size();
  if (file != nullptr) good = std::fclose(file) == 0 && good;
  if (!good || std::rename(part.c_str(), path.c_str()) != 0)
    spdlog::warn("can't write {}: status will be out of date", path);
}

void run_engine(engine& e, inbox& in, const time_source& time, progress_box& box) {
  time_point wake = time.now(), shown{};
  while (!e.done()) {
    auto events = in.take(std::clamp<duration>(wake - time.now(), 0ns, progress_period));
    const auto now = time.now();
    if (!events.empty() || now >= wake) wake = e.step(now, std::move(events));
    if (now - shown >= progress_period || e.done()) {
      shown = now;
      box.put(e.progress(now));
    }
    // A freed connection doesn't wait for a tick: what becomes durable meanwhile is sent at once.
    for (auto left = now + tick_period - time.now(); left > 0ns && !e.done();
         left = now + tick_period - time.now())
      in.durable_after([&](partition_id p) { return e.durable(p); }, left,
                       [&](partition_id p, commit_seq durable) { e.release(p, durable); });
  }
  box.put(e.progress(time.now()));
}

/// Everything a run owns, in the order of construction.
class job_run {
 public:
  explicit job_run(const run_request& request) : request_(request), runner_(request.threads) {}

  result<void> prepare(const stop_flag&);
  result<run_progress> run(const stop_flag&, const std::function<void(const run_progress&)>&);

 private:
  result<void> check_before_state(const stop_flag&);
  void watch(const stop_flag&, const std::function<void(const run_progress&)>&,
             const std::atomic<bool>& ended);

  const run_request& request_;
  system_time time_;
  inbox inbox_;
  parallel_runner runner_;
  std::vector<std::int64_t> slots_;
  std::shared_ptr<audit_log> audit_;
  std::unique_ptr<partition_log> log_;
  std::unique_ptr<engine> engine_;
  std::unique_ptr<reader_thread> reader_;
  std::unique_ptr<transport> net_;
  progress_box box_;
};

/// Whether the job may use a lane of the pool.
bool may_use(const job_config& job, const pool_config& pool) {
  const std::shared_ptr<const provider> adapter = make_provider(pool);
  return std::any_of(pool.lanes.begin(), pool.lanes.end(), [&](const lane_config& lane) {
    return refusal_of(job, make_lane_setup(pool, lane, adapter, 0)) == route_refusal::none;
  });
}

engine_setup setup_of(const run_request& r) {
  engine_setup s;
  s.pools = r.config.pools;
  s.file_name = [names = r.inputs](file_id file) { return names[file.value()]; };
  // Whoever leaves a cloud out need not have its secrets.
  s.authenticators = [&job = r.config.job](pool_config pool) {
    if (!may_use(job, pool)) pool.auth = {};
    return make_authenticator(pool);
  };
  s.seed = r.seed;
  while (s.seed == 0) s.seed = std::random_device{}();
  return s;
}

job_setup job_of(const run_request& r) {
  job_setup job;
  job.name = r.job_name;
  job.policy = r.config.job;
  return job;
}

result<void> job_run::check_before_state(const stop_flag& stop) {
  transport_limits limits;
  std::int64_t descriptors = other_descriptors;
  for (const auto& pool : request_.config.pools) {
    slots_.push_back(connection_cap(pool, limits));
    descriptors += slots_.back();
  }
  if (const auto limit = raise_fd_limit(descriptors); !limit) return limit.error();
  auto net = make_http_transport(
      request_.config.pools, limits, [this] { return time_.now(); },
      [this](std::vector<call_result> calls) {
        inbox_.put([&](engine_events& e) {
          if (e.calls.empty())
            e.calls = std::move(calls);
          else
            std::move(calls.begin(), calls.end(), std::back_inserter(e.calls));
        });
      });
  if (!net) return net.error();
  net_ = *std::move(net);
  if (!request_.audit.empty()) {
    auto audit = audit_log::open(request_.audit);
    if (!audit) return audit.error();
    audit_ = *std::move(audit);
  }
  // Credentials and, with --strict, every line, before a state is created.
  auto made = engine::make(setup_of(request_), slots_, time_.now());
  if (!made) return made.error();
  engine_ = *std::move(made);
  engine_->put_job(only_job, job_of(request_), time_.now());
  if (request_.strict)
    return check_all_lines(request_.inputs, engine_->lookup()(only_job), runner_,
                           request_.line_bytes_max, stop);
  return {};
}

result<void> job_run::prepare(const stop_flag& stop) {
  if (auto r = check_before_state(stop); !r) return r;
  const auto& job = request_.config.job;
  log_ = make_file_log({.inputs = request_.inputs,
                        .output = request_.output,
                        .errors = request_.errors,
                        .state = request_.state,
                        .job = request_.job_name,
                        .in_doubt = job.in_doubt,
                        .residency = job.residency,
                        .overwrite = request_.overwrite,
                        .line_bytes_max = request_.line_bytes_max},
                       [this](result<commit_seq> durable) {
                         inbox_.put([&](engine_events& e) {
                           auto& events = e.of(only_partition);
                           if (durable)
                             events.durable = *durable;
                           else
                             events.broken = durable.error();
                         });
                       });
  auto recovered = log_->take_over();
  if (!recovered) return recovered.error();
  if (audit_) engine_->keep_audit(audit_, time_.now());
  reader_ = std::make_unique<reader_thread>(inbox_);
  reader_->add(only_partition,
               std::make_unique<intake>(*log_, engine_->lookup(), runner_, request_.line_bytes_max,
                                        recovered->shards));
  engine_->connect(*net_, *reader_, runner_);
  engine_->attach(only_partition, *log_, *std::move(recovered), time_.now());
  box_.put(engine_->progress(time_.now()));
  return {};
}

void job_run::watch(const stop_flag& stop, const std::function<void(const run_progress&)>& show,
                    const std::atomic<bool>& ended) {
  int noticed = 0;
  time_point drain_end = time_never, shown{}, status_at{};
  const auto status_path = request_.state + "/status.json";
  while (!ended.load()) {
    const auto now = time_.now();
    const int asked = stop.load();
    if (asked > noticed) {
      noticed = asked;
      spdlog::info("{}", asked == 1
                             ? "stopping: open calls may finish; signal again to stop at once"
                             : "stopping at once");
      inbox_.put([&](engine_events& e) { (asked == 1 ? e.drain : e.abort) = true; });
      drain_end = asked == 1 ? now + request_.drain_timeout : time_never;
    }
    if (now >= drain_end) {
      spdlog::warn("open calls did not finish in time: they are ended, and may have been billed");
      inbox_.put([](engine_events& e) { e.abort = true; });
      drain_end = time_never;
    }
    if (now - shown >= progress_period) {
      shown = now;
      const auto p = box_.get();
      show(p);
      if (now - status_at >= status_period) {
        status_at = now;
        write_status(status_path, p);
      }
    }
    std::this_thread::sleep_for(look_period);
  }
}

result<run_progress> job_run::run(const stop_flag& stop,
                                  const std::function<void(const run_progress&)>& show) {
  std::atomic<bool> ended{false};
  std::thread worker([&] {
    run_engine(*engine_, inbox_, time_, box_);
    ended = true;
  });
  watch(stop, show, ended);
  worker.join();
  reader_->stop();
  auto last = engine_->progress(time_.now());
  engine_->audit_end(only_job, name_of(last.state), time_.now());
  if (const auto closed = log_->close(); !closed) {
    last.state = run_state::failed;
    last.stop_reason = closed.error().message;
  }
  write_status(request_.state + "/status.json", last);
  show(last);
  return last;
}

}  // namespace

result<run_progress> run_job(const run_request& request, const stop_flag& stop,
                             const std::function<void(const run_progress&)>& on_progress) {
  job_run job(request);
  if (auto ready = job.prepare(stop); !ready) return ready.error();
  return job.run(stop, on_progress);
}

}  // namespace spillway
