#include "tests/sim/fake_cloud.hpp"

#include "orchestrator/core/money.hpp"

#include <algorithm>
#include <cmath>

namespace spillway::sim {

using namespace std::chrono_literals;

fake_cloud::fake_cloud(const run_config& config, std::vector<std::int64_t> slots,
                       std::uint64_t seed)
    : random_(seed) {
  for (std::size_t p = 0; p < config.pools.size(); ++p)
    for (const auto& lane : config.pools[p].lanes)
      lanes_.push_back({&config.pools[p], lane, slots[p], 0, {}, {}});
}

double fake_cloud::draw() { return std::uniform_real_distribution<double>(0, 1)(random_); }

void fake_cloud::submit(lane_id lane, std::vector<outgoing_call> calls) {
  auto& book = lanes_.at(lane.value());
  for (auto& call : calls) book.queue.push_back(std::move(call));
  start_queued(lane);
}

void fake_cloud::start_queued(lane_id lane) {
  auto& book = lanes_[lane.value()];
  const auto most = book.config.quota.concurrency.value_or(book.slots);
  while (!book.queue.empty() && book.open < most) {
    auto call = std::move(book.queue.front());
    book.queue.pop_front();
    start(lane, std::move(call));
  }
}

void fake_cloud::answer(open_call& call, const lane_book& book, const std::string& body) {
  constexpr std::string_view key = "_tokens\":";  // under the old name or the new one
  const auto limit = body.find(key);
  const auto most = std::min<std::int64_t>(20, std::stoll(body.substr(limit + key.size(), 12)));
  const auto output = 1 + static_cast<std::int64_t>(draw() * static_cast<double>(most - 1));
  const token_usage usage{true, tokens(static_cast<std::int64_t>(body.size() / 5)), tokens(0),
                          tokens(output)};
  if (book.config.price) billed_ += spillway::billed(usage, *book.config.price);
  call.result.response.status = 200;
  call.result.response.body =
      R"({"id":"c","object":"chat.completion","choices":[{"index":0,"finish_reason":"stop","message":)"
      R"({"role":"assistant","content":")" +
      call.id + R"("}}],"usage":{"prompt_tokens":)" + std::to_string(usage.input.count()) +
      R"(,"completion_tokens":)" + std::to_string(output) + "}}";
}

std::int64_t fake_cloud::accepted_lately(const std::string& pool) const {
  const auto it = accepted_.find(pool);
  if (it == accepted_.end()) return 0;
  const auto first = std::upper_bound(it->second.begin(), it->second.end(), now_ - start_ - 60s);
  return it->second.end() - first;
}

/// True if the pool's trouble of the moment is the call's.
bool fake_cloud::in_trouble(const lane_book& book, open_call& call, time_point& end) {
  auto& response = call.result.response;
  for (const auto& t : troubles_) {
    if (t.pool != book.pool->name || now_ < start_ + t.from || now_ >= start_ + t.to) continue;
    switch (t.what) {
      case trouble::kind::errors:
        response.status = 503;
        response.body = R"({"error":{"message":"overloaded","type":"server_error"}})";
        return true;
      case trouble::kind::black_hole:
        call.result.error = transport_error::timed_out;
        end = now_ + book.config.timeout;
        return true;
      case trouble::kind::no_model:
        response.status = 404;
        response.body =
            R"({"error":{"message":"The model does not exist","type":"invalid_request_error",)"
            R"("code":"model_not_found"}})";
        return true;
      case trouble::kind::forbidden:
        response.status = 403;
        response.body = R"({"error":{"message":"no access","type":"invalid_request_error"}})";
        return true;
      case trouble::kind::storm:
        if (draw() >= 0.7) return false;
        response.status = 429;
        response.body =
            R"({"error":{"message":"Rate limit","type":"requests","code":"rate_limit_exceeded"}})";
        return true;
      case trouble::kind::tenth:
        if (accepted_lately(book.pool->name) < *book.config.quota.rpm / 10) return false;
        response.status = 429;
        response.headers.emplace_back("retry-after", "2");
        response.body =
            R"({"error":{"message":"Rate limit","type":"requests","code":"rate_limit_exceeded"}})";
        return true;
    }
  }
  return false;
}

void fake_cloud::start(lane_id lane, outgoing_call&& sent) {
  auto& book = lanes_[lane.value()];
  ++book.open;
  ++calls_;
  open_call call;
  call.lane = lane;
  call.result.id = sent.id;
  call.result.sent_at = now_;
  const auto& body = sent.request.body;
  const auto from = body.find("[[id:") + 5;
  call.id = body.substr(from, body.find("]]", from) - from);
  pools_used_.insert(book.pool->name);
  ++bills_[call.id].asked;

  while (!book.arrivals.empty() && book.arrivals.front() <= now_ - 60s) book.arrivals.pop_front();
  time_point end = now_ + from_seconds(0.02 + 0.3 * draw());
  const double fate = draw();
  double edge = faults_.connect;
  if (fate < edge) {
    call.result.error = transport_error::connect;
    call.result.detail = "refused";
    open_.emplace(now_ + 1ms, std::move(call));
    return;
  }
  call.result.written = true;
  book.arrivals.push_back(now_);
  const auto& quota = book.config.quota;
  if (quota.rpm) {
    const double most = 1.01 * static_cast<double>(*quota.rpm) * (1 - quota.headroom) + 1;
    if (static_cast<double>(book.arrivals.size()) > most)
      complaint_ = "lane " + book.pool->name + " got " + std::to_string(book.arrivals.size()) +
                   " requests in 60 s";
  }
  if (door_ && !door_(sent.request)) {
    call.result.response.status = 401;
    call.result.response.body =
        R"({"error":{"message":"expired","type":"invalid_request_error","code":"invalid_api_key"}})";
    ++turned_away_;
  } else if (call.id == poison_) {
    call.result.response.status = 500;
    call.result.response.body = R"({"error":{"message":"bug","type":"server_error"}})";
  } else if (in_trouble(book, call, end)) {
  } else if (fate < (edge += faults_.refuse)) {
    call.result.response.status = 429;
    call.result.response.headers.emplace_back("retry-after", "1");
    call.result.response.body =
        R"({"error":{"message":"Rate limit reached","type":"requests","code":"rate_limit_exceeded"}})";
  } else if (fate < (edge += faults_.error)) {
    call.result.response.status = draw() < 0.5 ? 500 : 503;
    call.result.response.body =
        R"({"error":{"message":"The server had an error","type":"server_error"}})";
  } else if (fate < (edge += faults_.reject)) {
    call.result.response.status = 400;
    call.result.response.body =
        R"({"error":{"message":"bad","type":"invalid_request_error","code":"invalid_prompt"}})";
  } else {
    auto& bill = bills_[call.id];
    ++bill.accepted;
    call.accepted = true;
    accepted_[book.pool->name].push_back(now_ - start_);
    if (fate < (edge += faults_.hang)) {
      ++bill.excused;
      call.result.error = transport_error::timed_out;
      end = now_ + book.config.timeout;
      answer(call, book, body);
      call.result.response = {};
    } else {
      answer(call, book, body);
      if (fate < edge + faults_.reset) {
        ++bill.excused;
        call.result.error = transport_error::reset;
        call.result.response = {};
      }
    }
  }
  refused_ += call.result.response.status == 429;
  open_.emplace(end, std::move(call));
}

time_point fake_cloud::next_end() const {
  if (!returned_.empty()) return now_;
  return open_.empty() ? time_never : open_.begin()->first;
}

std::vector<call_result> fake_cloud::take_ended() {
  auto ended = std::move(returned_);
  returned_.clear();
  while (!open_.empty() && open_.begin()->first <= now_) {
    auto call = std::move(open_.begin()->second);
    open_.erase(open_.begin());
    --lanes_[call.lane.value()].open;
    call.result.done_at = now_;
    ended.push_back(std::move(call.result));
    start_queued(call.lane);
  }
  return ended;
}

void fake_cloud::cancel_queued() {
  for (auto& book : lanes_) {
    for (auto& call : book.queue) {
      call_result back;
      back.id = call.id;
      back.error = transport_error::cancelled;
      back.sent_at = back.done_at = now_;
      returned_.push_back(std::move(back));
    }
    book.queue.clear();
  }
}

void fake_cloud::cancel_all() {
  cancel_queued();
  for (auto& [end, call] : open_) {
    if (call.accepted && call.result.error == transport_error::none) ++bills_[call.id].excused;
    --lanes_[call.lane.value()].open;
    call.result.error = transport_error::cancelled;
    call.result.response = {};
    call.result.done_at = now_;
    returned_.push_back(std::move(call.result));
  }
  open_.clear();
}

void fake_cloud::crash() {
  open_.clear();
  returned_.clear();
  for (auto& book : lanes_) {
    book.queue.clear();
    book.open = 0;
  }
}

}  // namespace spillway::sim
