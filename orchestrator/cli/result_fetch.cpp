#include "orchestrator/cli/result_fetch.hpp"

#include "connectors/kafka/codec.hpp"
#include "connectors/kafka/fleet_codec_jobs.hpp"

#include <algorithm>

namespace spillway {

using kafka::topic;

result<void> result_fetcher::fetch(const stop_flag& stop,
                                   const std::function<result<void>(fetched_row)>& take,
                                   const std::function<void(std::uint64_t)>& progress) {
  auto spans = fleet_.tools->whole(topic::results);
  if (!spans) return spans.error();
  next_.resize(std::max(next_.size(), spans->size()));
  std::vector<kafka::read_span> wanted;
  for (auto span : *spans) {
    auto& next = next_[static_cast<std::size_t>(span.partition)];
    span.from = std::max(span.from, next);
    next = std::max(next, span.until.value_or(0));
    if (span.until && span.from < *span.until) wanted.push_back(span);
  }
  if (wanted.empty()) return {};
  result<void> outcome;
  kafka::read_options how;
  how.keep_going = [&stop] { return stop.load() == 0; };
  const auto read = fleet_.tools->read(
      topic::results, wanted,
      [&](std::int32_t partition, kafka::stored_record&& r) {
        progress(++seen_);
        if (r.what.header(kafka::job_header) != job_) return true;
        auto facts = kafka::decode_facts(r.what.header(kafka::facts_header).value_or(""));
        if (!facts || facts->job != job_) {
          ++foreign_;
          return true;
        }
        if (!r.what.value.ends_with('\n')) r.what.value += '\n';
        outcome = take({static_cast<std::uint32_t>(partition), facts->where, facts->kind,
                        std::move(r.what.value)});
        return outcome.has_value();
      },
      how);
  if (!outcome) return outcome;
  if (!read) return read;
  if (stop.load() > 0)
    return failure{failure_kind::stopped,
                   "stopped; the rows so far were written. --overwrite begins anew"};
  return {};
}

}  // namespace spillway
