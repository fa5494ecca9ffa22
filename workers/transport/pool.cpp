#include "workers/transport/pool.hpp"

#include "workers/transport/io_thread.hpp"

#include <boost/asio/co_spawn.hpp>

#include <algorithm>
#include <exception>

namespace spillway::net {
namespace {

constexpr const char* too_late = "given back: it was not sent in time";

}  // namespace

pool::pool(io_thread& thread, const pool_config& config, const endpoint_url& url,
           std::shared_ptr<tls_context> tls)
    : thread_(thread),
      addresses_(thread.context().get_executor(), url),
      tls_{std::move(tls), url.host, nullptr},
      server_(url.host + ":" + url.port),
      head_middle_(" HTTP/1.1\r\nHost: " + url.authority() + "\r\nContent-Length: "),
      cap_(connection_cap(config, thread.limits())) {
  for (const lane_config& configured : config.lanes) {
    lane_state& l = lanes_.emplace_back();
    l.cap = std::max<std::int64_t>(1, configured.quota.concurrency.value_or(cap_));
    l.timeout = configured.timeout;
  }
}

pool::~pool() = default;

duration pool::shortest_timeout() const {
  duration shortest = std::min(thread_.limits().connect_timeout, thread_.limits().idle_timeout);
  for (const lane_state& l : lanes_) shortest = std::min(shortest, l.timeout);
  return shortest;
}

void pool::submit(std::uint32_t lane_index, std::vector<outgoing_call> calls, time_point at) {
  for (outgoing_call& call : calls) {
    waiting_call waiting{std::move(call), at};
    if (closed_)
      return_unsent(std::move(waiting), transport_error::cancelled, "shutting down");
    else
      lanes_[lane_index].ready.push_back(std::move(waiting));
  }
  dispatch();
}

void pool::cancel_queued() {
  for (lane_state& l : lanes_) {
    auto waiting = std::exchange(l.ready, {});
    for (waiting_call& w : waiting)
      return_unsent(std::move(w), transport_error::cancelled, "cancelled before it was sent");
  }
}

void pool::cancel_all() {
  cancel_queued();
  for (const auto& c : connections_)
    if (c->carries_call()) c->abort(transport_error::cancelled);
}

void pool::close() {
  closed_ = true;
  cancel_queued();
  parked_.clear();
  for (const auto& c : connections_) c->abort(transport_error::cancelled);
}

void pool::sweep(steady_time now) {
  while (!parked_.empty() && parked_.front()->deadline() <= now) {
    connection* idle = parked_.front();
    parked_.pop_front();
    idle->abort(transport_error::timed_out);
  }
  for (const auto& c : connections_)
    if (!c->parked()) c->check_deadline(now);
  for (lane_state& l : lanes_) return_late(l);
}

/// Gives back the calls at the front whose time to be written has passed.
void pool::return_late(lane_state& lane) {
  while (!lane.ready.empty() && lane.ready.front().call.send_before != time_never &&
         lane.ready.front().call.send_before <= thread_.now()) {
    return_unsent(std::move(lane.ready.front()), transport_error::cancelled, too_late);
    lane.ready.pop_front();
  }
}

bool pool::still_wanted(assignment& taken) {
  if (taken.call.send_before == time_never || thread_.now() < taken.call.send_before) return true;
  --lanes_[taken.lane].running;
  return_unsent({std::move(taken.call), taken.submitted_at}, transport_error::cancelled, too_late);
  return false;
}

bool pool::take(assignment& into) {
  for (std::size_t tried = 0; tried < lanes_.size(); ++tried) {
    lane_state& l = lanes_[turn_];
    const auto index = static_cast<std::uint32_t>(turn_);
    turn_ = turn_ + 1 < lanes_.size() ? turn_ + 1 : 0;
    return_late(l);
    if (l.ready.empty() || l.running >= l.cap) continue;
    into.call = std::move(l.ready.front().call);
    into.submitted_at = l.ready.front().submitted_at;
    into.lane = index;
    l.ready.pop_front();
    ++l.running;
    return true;
  }
  return false;
}

void pool::finish(std::uint32_t lane_index, call_result&& result) {
  --lanes_[lane_index].running;
  thread_.finished(std::move(result));
}

void pool::connect_failed(transport_error error, const std::string& detail) {
  --connecting_;
  if (error == transport_error::cancelled) return;
  assignment unlucky;
  if (!take(unlucky)) return;
  --lanes_[unlucky.lane].running;
  return_unsent({std::move(unlucky.call), unlucky.submitted_at}, error, detail);
}

void pool::return_unsent(waiting_call&& waiting, transport_error error, std::string detail) {
  call_result result;
  result.id = waiting.call.id;
  result.error = error;
  result.detail = std::move(detail);
  result.sent_at = waiting.submitted_at;
  result.done_at = thread_.now();
  thread_.finished(std::move(result));
}

std::int64_t pool::runnable() const {
  std::int64_t calls = 0;
  for (const lane_state& l : lanes_)
    calls += std::min(static_cast<std::int64_t>(l.ready.size()), l.cap - l.running);
  return calls;
}

void pool::dispatch() {
  assignment next;
  while (!parked_.empty() && runnable() > 0) {
    // The one used last is the most likely to be still open, and lets the others grow old.
    connection* idle = parked_.back();
    parked_.pop_back();
    if (!idle->still_open())
      idle->abort(transport_error::reset);
    else if (take(next))
      idle->give(std::move(next));
    else
      parked_.push_back(idle);  // what was to be sent came too late
  }
  if (closed_) return;
  // A connection under way will take a call, so it counts as the answer to one.
  for (std::int64_t missing = runnable() - connecting_;
       missing > 0 && static_cast<std::int64_t>(connections_.size()) < cap_; --missing)
    open_connection();
}

void pool::open_connection() {
  auto& opened = connections_.emplace_back(std::make_unique<connection>(*this));
  connection& c = *opened;
  c.index = connections_.size() - 1;
  ++connecting_;
  thread_.connection_began();
  asio::co_spawn(thread_.context().get_executor(), c.run(),
                 [this, &c](const std::exception_ptr& bug) {
                   if (bug) std::rethrow_exception(bug);  // out of run(): ends the process
                   ended(c);
                 });
}

void pool::ended(connection& over) {
  const std::size_t index = over.index;
  std::swap(connections_[index], connections_.back());
  connections_[index]->index = index;
  connections_.pop_back();
  thread_.connection_ended();
  dispatch();
}

}  // namespace spillway::net
