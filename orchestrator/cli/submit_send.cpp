#include "orchestrator/cli/submit_send.hpp"

#include "connectors/files/checksum.hpp"
#include "connectors/files/input.hpp"
#include "connectors/kafka/fleet_codec_jobs.hpp"
#include "orchestrator/cli/fleet.hpp"

#include <algorithm>

namespace spillway {

using kafka::topic;

namespace {

constexpr std::size_t shards_a_batch = 8;
// Readers of other jobs wait for the end of an open transaction: its size follows the broker's
// pace.
constexpr std::uint64_t transaction_bytes_first = 8u << 20, transaction_bytes_min = 1u << 20,
                        transaction_bytes_max = 32u << 20;
constexpr std::chrono::milliseconds transaction_time_wanted{500}, transaction_time_max{1000};

struct packed_shard {
  std::uint64_t number = 0;
  std::uint32_t prompts = 0;
  kafka::record what;
};
using packed_batch = std::vector<result<packed_shard>>;

class sender {
 public:
  sender(kafka::transaction_writer& writer, const send_request& request,
         kafka::submission_record written)
      : writer_(writer),
        request_(request),
        places_(kafka::place_shards(request.content.shards, request.partitions)),
        written_(std::move(written)) {}

  result<void> open_inputs() {
    for (std::size_t i = 0; i < shards_a_batch; ++i) {
      auto reader = input_reader::open(request_.content.files, request_.line_bytes_max);
      if (!reader) return reader.error();
      readers_.push_back(*std::move(reader));
    }
    return {};
  }

  /// An owner that sees a shard must find its submission on `jobs`, whichever topic it reads first.
  result<void> announce() {
    if (written_.shards > 0) return {};
    return commit(kafka::record_of(written_));
  }

  /// Each task has a reader of its own.
  packed_batch pack(std::uint64_t first, std::size_t slot_count, parallel_runner& runner,
                    const std::function<void()>& meanwhile) {
    packed_batch out(slot_count, result<packed_shard>(packed_shard{}));
    runner.for_each(slot_count + 1, [&](std::size_t task) {
      if (task == 0)
        meanwhile();
      else
        out[task - 1] = pack_one(first + task - 1, readers_[task - 1]);
    });
    return out;
  }

  result<void> produce(packed_batch batch) {
    for (auto& shard : batch) {
      if (!shard) return shard.error();
      const auto partition = places_[shard->number];
      open_.push_back({partition, shard->prompts});
      if (open_bytes_ == 0) opened_at_ = std::chrono::steady_clock::now();
      open_bytes_ += shard->what.value.size();
      if (auto ok = writer_.produce(
              {topic::shards, static_cast<std::int32_t>(partition), std::move(shard->what)});
          !ok)
        return ok.error();
      const bool late = std::chrono::steady_clock::now() - opened_at_ >= transaction_time_max;
      if (open_bytes_ < transaction_bytes_ && !late) continue;
      if (auto ok = settle(); !ok) return ok;
      if (auto ok = commit(kafka::record_of(written_)); !ok) return ok;
      follow_pace();
    }
    return {};
  }

  result<void> finish() {
    if (auto ok = settle(); !ok) return ok;
    const auto manifest =
        kafka::manifest_of(written_, request_.content, request_.policy, wall_now());
    return commit(kafka::record_of(manifest));
  }

  [[nodiscard]] std::uint64_t prompts() const { return written_.prompts; }

 private:
  struct open_shard {
    std::uint32_t partition = 0, prompts = 0;
  };

  result<packed_shard> pack_one(std::uint64_t number, input_reader& reader) const {
    const auto& where = request_.content.shards[number];
    auto data = reader.read(where);
    if (!data) return data.error();
    kafka::shard_lines head;
    head.job = written_.job;
    head.submission = written_.submission;
    head.file = request_.content.files[where.file.value()];
    head.first_line = where.first_line;
    head.next_line = where.next_line;
    head.count = where.count;
    auto crc = where.crc;
    std::string_view lines(data->bytes.data(), data->size);
    if (!lines.ends_with('\n')) {
      data->bytes[data->size] = '\n';  // the padding has room for it
      lines = {data->bytes.data(), data->size + 1};
      ++head.next_line;
      crc = crc_of(lines);
    }
    return packed_shard{number, where.count, kafka::record_of(head, lines, crc)};
  }

  /// Waits for the open shards and counts them.
  result<void> settle() {
    if (open_.empty()) return {};
    const auto offsets = writer_.wait_stored();
    if (!offsets) return offsets.error();
    // Words of the transactions before come first.
    ensure(offsets->size() >= open_.size(), "every shard has an offset");
    const auto first = offsets->size() - open_.size();
    for (std::size_t i = 0; i < open_.size(); ++i)
      kafka::count_stored(written_, open_[i].partition, (*offsets)[first + i], open_[i].prompts);
    open_.clear();
    open_bytes_ = 0;
    return {};
  }

  result<void> commit(kafka::record word) {
    if (auto ok = writer_.produce({topic::jobs, 0, std::move(word)}); !ok) return ok.error();
    return writer_.commit();
  }

  void follow_pace() {
    const auto took = std::chrono::steady_clock::now() - opened_at_;
    if (took < transaction_time_wanted)
      transaction_bytes_ = std::min(transaction_bytes_ * 2, transaction_bytes_max);
    else if (took > transaction_time_max)
      transaction_bytes_ = std::max(transaction_bytes_ / 2, transaction_bytes_min);
  }

  kafka::transaction_writer& writer_;
  const send_request& request_;
  const std::vector<std::uint32_t> places_;
  kafka::submission_record written_;
  std::vector<input_reader> readers_;
  std::vector<open_shard> open_;  ///< produced, not yet known to be stored
  std::uint64_t open_bytes_ = 0;
  std::uint64_t transaction_bytes_ = transaction_bytes_first;
  std::chrono::steady_clock::time_point opened_at_;
};

}  // namespace

result<void> send_submission(kafka::transaction_writer& writer, const send_request& request,
                             kafka::submission_record written, parallel_runner& runner,
                             const stop_flag& stop, const send_progress& progress) {
  const std::uint64_t total = request.content.shards.size();
  std::uint64_t next = written.shards;
  sender out(writer, request, std::move(written));
  if (auto ok = out.open_inputs(); !ok) return ok;
  if (auto ok = out.announce(); !ok) return ok;
  packed_batch ready;
  while (next < total || !ready.empty()) {
    if (stop.load() > 0) {
      return failure{failure_kind::stopped,
                     "stopped; nothing of the job is worked on yet. The same command goes on"};
    }
    const auto count =
        static_cast<std::size_t>(std::min<std::uint64_t>(shards_a_batch, total - next));
    result<void> sent;
    // Writing what is packed is one of the tasks, so that the broker and the packers work at once.
    auto packed =
        out.pack(next, count, runner, [&] { sent = out.produce(std::exchange(ready, {})); });
    if (!sent) return sent;
    next += count;
    ready = std::move(packed);
    progress(out.prompts());
  }
  if (auto ok = out.finish(); !ok) return ok;
  progress(out.prompts());
  return {};
}

}  // namespace spillway
