#include "workers/transport/io_thread.hpp"

#include <pthread.h>

#include <algorithm>

namespace spillway::net {

io_thread::io_thread(const transport_limits& limits, std::function<time_point()> now,
                     call_sink sink)
    : limits_(limits),
      now_(std::move(now)),
      sink_(std::move(sink)),
      work_(context_.get_executor()),
      sweeper_(context_.get_executor()) {}

io_thread::~io_thread() {
  if (!thread_.joinable()) return;
  enqueue({.kind = what::close, .calls = {}});
  thread_.join();
}

pool& io_thread::add_pool(const pool_config& config, const endpoint_url& url,
                          std::shared_ptr<tls_context> tls) {
  pools_.push_back(std::make_unique<pool>(*this, config, url, std::move(tls)));
  const duration finest = pools_.back()->shortest_timeout() / 20;
  sweep_interval_ =
      std::max<duration>(std::min(sweep_interval_, finest), std::chrono::milliseconds(1));
  return *pools_.back();
}

void io_thread::start() {
  thread_ = std::thread([this] {
    ::pthread_setname_np(::pthread_self(), "spillway-io");
    context_.run();
  });
}

void io_thread::submit(pool& to, std::uint32_t lane, std::vector<outgoing_call> calls) {
  if (calls.empty()) return;
  enqueue({what::submit, &to, lane, now_(), std::move(calls)});
}

void io_thread::cancel_queued() { enqueue({.kind = what::cancel_queued, .calls = {}}); }
void io_thread::cancel_all() { enqueue({.kind = what::cancel_all, .calls = {}}); }

void io_thread::enqueue(command c) {
  bool first = false;
  {
    const std::lock_guard lock(inbox_mutex_);
    first = inbox_.empty();
    inbox_.push_back(std::move(c));
  }
  // One wake-up for whatever is submitted until the thread looks.
  if (first) asio::post(context_, [this] { carry_out_all(); });
}

void io_thread::carry_out_all() {
  std::vector<command> commands;
  {
    const std::lock_guard lock(inbox_mutex_);
    commands.swap(inbox_);
  }
  for (command& c : commands) carry_out(c);
}

void io_thread::carry_out(command& c) {
  switch (c.kind) {
    case what::submit: c.to->submit(c.lane, std::move(c.calls), c.at); return;
    case what::cancel_queued:
      for (const auto& p : pools_) p->cancel_queued();
      return;
    case what::cancel_all:
      for (const auto& p : pools_) p->cancel_all();
      return;
    case what::close:
      for (const auto& p : pools_) p->close();
      work_.reset();  // run() returns once the last connection and lookup have ended
      return;
  }
}

void io_thread::finished(call_result&& result) {
  finished_.push_back(std::move(result));
  if (flush_posted_) return;
  flush_posted_ = true;
  // Runs after the handlers of this poll round, so that their results travel together.
  asio::post(context_, [this] {
    flush_posted_ = false;
    std::vector<call_result> batch;
    batch.reserve(finished_.size());
    batch.swap(finished_);
    sink_(std::move(batch));
  });
}

void io_thread::connection_began() {
  if (connections_++ == 0) arm_sweeper();
}

void io_thread::connection_ended() {
  if (--connections_ == 0) sweeper_.cancel();
}

void io_thread::arm_sweeper() {
  sweeper_.expires_after(sweep_interval_);
  sweeper_.async_wait([this](const error_code& ec) {
    if (ec || connections_ == 0) return;
    const auto now = std::chrono::steady_clock::now();
    for (const auto& p : pools_) p->sweep(now);
    arm_sweeper();
  });
}

}  // namespace spillway::net
