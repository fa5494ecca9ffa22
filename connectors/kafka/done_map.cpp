#include "connectors/kafka/done_map.hpp"

#include <algorithm>

namespace spillway::kafka {
namespace {

constexpr std::int64_t block = shard_prompts_max;

std::int64_t end_of(const noted_record& r) { return r.offset + (r.line_records ? r.count : 1); }

shard_bits without(const shard_bits& bits, const std::function<bool(std::uint32_t)>& gone) {
  shard_bits out;
  for (std::uint32_t i = 0; i < shard_prompts_max; ++i)
    if (bits.test(i) && !gone(i)) out.set(i);
  return out;
}

}  // namespace

void done_map::restore(std::int64_t watermark, std::span<const done_rows> rows) {
  records_.clear();
  lines_.clear();
  noted_.clear();
  reopened_.clear();
  watermark_ = watermark;
  for (const auto& row : rows) {
    auto& e = of(row.line_records)[row.base];
    e.done = row.done;
    for (const auto& f : row.failed)
      e.failed.push_back({f.bit, number_of(f.job), number_of(f.code)});
  }
}

std::vector<done_rows> done_map::rows() const {
  std::vector<done_rows> out;
  out.reserve(records_.size() + lines_.size());
  for (const auto* all : {&records_, &lines_})
    for (const auto& [base, e] : *all) {
      auto& row = out.emplace_back(done_rows{base, all == &lines_, e.done, {}});
      for (const auto& f : e.failed) row.failed.push_back({f.bit, names_[f.job], names_[f.code]});
    }
  return out;
}

std::uint32_t done_map::number_of(const std::string& name) {
  const auto [at, fresh] = numbers_.try_emplace(name, static_cast<std::uint32_t>(names_.size()));
  if (fresh) names_.push_back(name);
  return at->second;
}

const done_map::entry* done_map::find(const place& p) const {
  const auto& all = p.line_record ? lines_ : records_;
  const auto at = all.find(p.base());
  return at == all.end() ? nullptr : &at->second;
}

bool done_map::test(const place& p) const {
  if (p.offset < watermark_ && !reopened_.contains(p.prompt())) return true;
  const auto* e = find(p);
  return e && e->done.test(p.bit());
}

void done_map::set(const place& p) {
  of(p.line_record)[p.base()].done.set(p.bit());
  reopened_.erase(p.prompt());
  if (p.offset < watermark_)
    drop_if_plain(p.line_record, p.base());
  else
    advance();
}

void done_map::fail(const place& p, const std::string& job, const std::string& code) {
  auto& failed = of(p.line_record)[p.base()].failed;
  const failed_bit added{p.bit(), number_of(job), number_of(code)};
  const auto at =
      std::lower_bound(failed.begin(), failed.end(), added,
                       [](const failed_bit& a, const failed_bit& b) { return a.bit < b.bit; });
  failed.insert(at, added);
  set(p);
}

std::string done_map::reopen(const place& p) {
  auto& e = of(p.line_record)[p.base()];
  e.done = without(e.done, [&](std::uint32_t i) { return i == p.bit(); });
  std::string job;
  std::erase_if(e.failed, [&](const failed_bit& f) {
    if (f.bit == p.bit()) job = names_[f.job];
    return f.bit == p.bit();
  });
  mark_reopened(p);
  return job;
}

void done_map::mark_reopened(const place& p) {
  const auto* e = find(p);
  if (p.offset < watermark_ && e && !e->done.test(p.bit())) reopened_.insert(p.prompt());
}

std::vector<place> done_map::failed(const std::string& job,
                                    const std::function<bool(const std::string&)>& matching) const {
  std::vector<place> out;
  const auto number = numbers_.find(job);
  if (number == numbers_.end()) return out;
  for (const auto* all : {&records_, &lines_})
    for (const auto& [base, e] : *all)
      for (const auto& f : e.failed) {
        if (f.job != number->second || !matching(names_[f.code])) continue;
        const bool line = all == &lines_;
        out.push_back({line ? base + f.bit : base, line ? 0 : f.bit, line, 0});
      }
  return out;
}

void done_map::forget_failed(const std::string& job) {
  const auto number = numbers_.find(job);
  if (number == numbers_.end()) return;
  for (const bool line : {false, true}) {
    std::vector<std::int64_t> changed;
    for (auto& [base, e] : of(line))
      if (std::erase_if(e.failed, [&](const auto& f) { return f.job == number->second; }) > 0)
        changed.push_back(base);
    for (const auto base : changed) drop_if_plain(line, base);
  }
}

void done_map::note(const noted_record& r) {
  const auto at = std::lower_bound(
      noted_.begin(), noted_.end(), r,
      [](const noted_record& a, const noted_record& b) { return a.offset < b.offset; });
  if (at != noted_.end() && at->offset == r.offset)
    *at = r;
  else if (end_of(r) > watermark_)
    noted_.insert(at, r);
  advance();
}

bool done_map::complete(const noted_record& r) {
  const auto end = end_of(r);
  if (end <= watermark_) return true;
  if (r.skipped) {
    watermark_ = end;
    return true;
  }
  if (!r.line_records) {
    const auto at = records_.find(r.offset);
    if (at == records_.end() || at->second.done.count() < r.count) return false;
    watermark_ = end;
    return true;
  }
  watermark_ = std::max(watermark_, r.offset);
  for (; watermark_ < end; ++watermark_) {
    const place p{watermark_, 0, true, 0};
    const auto* e = find(p);
    if (!e || !e->done.test(p.bit())) return false;
  }
  return true;
}

void done_map::advance() {
  while (!noted_.empty()) {
    const auto front = noted_.front();
    const auto before = watermark_;
    const bool passed = complete(front);
    if (!front.line_records) {
      if (passed) drop_if_plain(false, front.offset);
    } else {
      for (auto base = before - before % block; base + block <= watermark_; base += block)
        drop_if_plain(true, base);
    }
    if (!passed) return;
    noted_.pop_front();
  }
}

void done_map::drop_if_plain(bool line_records, std::int64_t base) {
  auto& all = of(line_records);
  const auto end = base + (line_records ? block : 1);
  const auto at = all.find(base);
  if (at == all.end() || end > watermark_ || !at->second.failed.empty()) return;
  const auto first = reopened_.lower_bound({base, 0, false, 0});
  if (first != reopened_.end() && first->offset < end) return;
  all.erase(at);
}

std::int64_t done_map::first_unfinished() const {
  return reopened_.empty() ? watermark_ : std::min(watermark_, reopened_.begin()->offset);
}

void done_map::forget_below(std::int64_t offset) {
  std::erase_if(records_, [&](const auto& e) { return e.first < offset; });
  std::erase_if(lines_, [&](const auto& e) { return e.first + block <= offset; });
  if (!lines_.empty() && lines_.begin()->first < offset) {
    auto& [base, first] = *lines_.begin();
    std::erase_if(first.failed, [&, from = base](const auto& f) { return from + f.bit < offset; });
  }
  std::erase_if(reopened_, [&](const place& p) { return p.offset < offset; });
  if (offset > watermark_) watermark_ = offset;
}

void done_map::cut(std::int64_t end) {
  watermark_ = std::min(watermark_, end);
  std::erase_if(records_, [&](const auto& e) { return e.first >= end; });
  std::erase_if(reopened_, [&](const place& p) { return p.offset >= end; });
  std::erase_if(lines_, [&](const auto& e) { return e.first >= end; });
  if (lines_.empty() || lines_.rbegin()->first + block <= end) return;
  auto& [base, last] = *lines_.rbegin();
  const auto lost = [&, from = base](std::uint32_t i) { return from + i >= end; };
  last.done = without(last.done, lost);
  std::erase_if(last.failed, [&](const failed_bit& f) { return lost(f.bit); });
}

}  // namespace spillway::kafka
