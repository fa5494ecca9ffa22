#include "connectors/kafka/delivery_book.hpp"

#include "connectors/kafka/chunks.hpp"
#include "schemas/result.hpp"

#include <array>
#include <cstdio>
#include <random>

namespace spillway::kafka {

std::vector<delivery_book::message*> delivery_book::add(std::uint64_t ticket,
                                                        std::vector<addressed> records,
                                                        std::size_t bytes_max) {
  std::vector<message*> out;
  auto& entry = tickets_[ticket];
  ensure(entry.left == 0 && entry.result.offsets.empty(), "a ticket is used once");
  entry.result.ticket = ticket;
  entry.result.offsets.assign(records.size(), -1);
  for (std::size_t i = 0; i < records.size(); ++i) {
    auto& r = records[i];
    const bool whole = wire_bytes(r.what) <= bytes_max;
    const auto set = whole ? std::string() : set_prefix_ + std::to_string(sets_++);
    bool first = true;
    for (auto& piece : split(std::move(r.what), bytes_max, set)) {
      bytes_ += wire_bytes(piece);
      messages_.push_back({std::move(piece), r.to, r.partition, ticket,
                           static_cast<std::uint32_t>(i), first, false});
      out.push_back(&messages_.back());
      first = false;
    }
  }
  entry.left = out.size();
  open_ += out.size();
  return out;
}

std::optional<delivered_ticket> delivery_book::report(message& m, int code, std::int64_t offset) {
  ensure(!m.reported, "a message is reported once");
  m.reported = true;
  --open_;
  bytes_ -= wire_bytes(m.what);
  const auto at = tickets_.find(m.ticket);
  ensure(at != tickets_.end(), "a reported message has its ticket");
  auto& entry = at->second;
  if (code != 0 && entry.result.code == 0) {
    entry.result.code = code;
    entry.result.of = m.to;
  }
  if (m.first) entry.result.offsets[m.slot] = offset;
  const bool complete = --entry.left == 0;
  m.what = {};  // the front may still be on its way
  while (!messages_.empty() && messages_.front().reported) messages_.pop_front();
  if (!complete) return std::nullopt;
  auto out = std::move(entry.result);
  tickets_.erase(at);
  return out;
}

std::vector<std::uint64_t> delivery_book::abandon() {
  std::vector<std::uint64_t> out;
  for (const auto& [ticket, entry] : tickets_) out.push_back(ticket);
  tickets_.clear();
  messages_.clear();
  open_ = bytes_ = 0;
  return out;
}

std::string unique_set_prefix() {
  std::random_device random;
  std::array<char, 20> text{};
  std::snprintf(text.data(), text.size(), "%08x%08x-", random(), random());
  return text.data();
}

}  // namespace spillway::kafka
