#include "orchestrator/cli/submit_scan.hpp"

#include "connectors/files/input.hpp"
#include "orchestrator/core/id_index.hpp"

#include <algorithm>

namespace spillway {

namespace {

constexpr std::size_t shown_max = 20;
constexpr std::size_t shards_a_batch = scan_rules::slots;

line_parser& parser_of_thread() {
  thread_local line_parser parser;
  return parser;
}

struct bad_line {
  std::uint32_t index = 0;
  std::uint64_t line = 0, offset = 0;
  std::string code, message;
};

/// What one shard's lines came to.
struct scanned_shard {
  std::vector<std::uint64_t> id_hashes;  ///< 0: a line that will be an error row
  std::vector<std::uint64_t> lines;      ///< their numbers
  std::vector<bad_line> bad;
  std::map<std::string, std::uint64_t> models;
  std::uint64_t hash = 0;
};

scanned_shard scan_shard(const shard_data& data, const scan_rules& rules, std::size_t slot) {
  scanned_shard out;
  const std::string_view bytes(data.bytes.data(), data.size);
  out.hash = kafka::hash_of_bytes(bytes);
  if (data.oversized) {
    out.id_hashes.push_back(0);
    out.lines.push_back(data.where.first_line);
    out.bad.push_back(
        {0, data.where.first_line, data.where.offset, "line_too_large",
         "the line is longer than " + std::to_string(rules.line_bytes_max) + " bytes"});
    return out;
  }
  const auto lines = split_lines(bytes, data.where.first_line);
  out.id_hashes.reserve(lines.size());
  out.lines.reserve(lines.size());
  auto& parser = parser_of_thread();
  auto model = out.models.end();
  for (const auto& line : lines) {
    const auto text = bytes.substr(line.offset, line.length);
    auto parsed = parser.parse(text);
    const auto index = static_cast<std::uint32_t>(out.id_hashes.size());
    out.id_hashes.push_back(parsed.custom_id.empty() ? 0 : hash_custom_id(parsed.custom_id));
    out.lines.push_back(line.number);
    if (!parsed.code.empty()) {
      out.bad.push_back({index, line.number, data.where.offset + line.offset,
                         std::move(parsed.code), std::move(parsed.message)});
      continue;
    }
    if (rules.each) rules.each(slot, parsed, text);
    if (model == out.models.end() || model->first != parsed.model)
      model = out.models.try_emplace(std::move(parsed.model), 0).first;
    ++model->second;
  }
  return out;
}

/// Finds repeated custom_ids over all shards. Equal hashes are confirmed by
/// reading the lines again.
class repeated_ids {
 public:
  repeated_ids(const std::vector<std::string>& inputs, std::size_t line_bytes_max)
      : inputs_(inputs), line_bytes_max_(line_bytes_max) {}

  /// Adds a shard; what it repeats is appended to its bad lines.
  result<void> add(const shard_descriptor& where, scanned_shard& shard) {
    shards_.push_back(where);
    for (std::uint32_t i = 0; i < shard.id_hashes.size(); ++i) {
      const auto hash = shard.id_hashes[i];
      if (hash == 0) continue;
      const position own(where.id, i);
      std::optional<failure> broken;
      std::optional<std::uint64_t> first_line;
      std::uint32_t first_file = 0;
      const bool hit = ids_.find(hash, [&](position candidate) {
        auto first = line_at(candidate);
        auto mine = line_at(own);
        if (!first || !mine) {
          broken = first ? mine.error() : first.error();
          return true;
        }
        if (first->custom_id != mine->custom_id) return false;
        first_line = first->number;
        first_file = first->file;
        return true;
      });
      if (broken) return *broken;
      if (!hit) {
        ids_.insert(hash, own);
        continue;
      }
      const auto is_own = [i](const bad_line& line) { return line.index == i; };
      if (std::any_of(shard.bad.begin(), shard.bad.end(), is_own)) continue;
      std::string message =
          "the custom_id was used before, in line " + std::to_string(first_line.value_or(0));
      if (first_file != where.file.value()) message += " of " + inputs_[first_file];
      shard.bad.push_back(
          {i, shard.lines[i], where.offset, "duplicate_custom_id", std::move(message)});
    }
    return {};
  }

 private:
  struct known_line {
    std::string custom_id;
    std::uint64_t number = 0;
    std::uint32_t file = 0;
  };

  result<known_line> line_at(position where) {
    const auto& descriptor = shards_[where.shard().value()];
    auto* slot = &cached_[0];
    if (slot->data.where.id != descriptor.id || slot->lines.empty()) slot = &cached_[1];
    if (slot->data.where.id != descriptor.id || slot->lines.empty()) {
      std::swap(cached_[0], cached_[1]);
      slot = &cached_[1];
      if (!reader_) {
        auto reader = input_reader::open(inputs_, line_bytes_max_);
        if (!reader) return reader.error();
        reader_.emplace(*std::move(reader));
      }
      auto data = reader_->read(descriptor);
      if (!data) return data.error();
      slot->data = *std::move(data);
      slot->lines = split_lines({slot->data.bytes.data(), slot->data.size}, descriptor.first_line);
    }
    ensure(where.index() < slot->lines.size(), "an indexed line is gone");
    const auto& line = slot->lines[where.index()];
    const std::string_view bytes(slot->data.bytes.data(), slot->data.size);
    return known_line{parser_of_thread().parse(bytes.substr(line.offset, line.length)).custom_id,
                      line.number, descriptor.file.value()};
  }

  struct cached_shard {
    shard_data data;
    std::vector<line_view> lines;
  };

  const std::vector<std::string>& inputs_;
  std::size_t line_bytes_max_;
  std::vector<shard_descriptor> shards_;
  id_index ids_;
  std::optional<input_reader> reader_;
  cached_shard cached_[2];  // repeats come in runs: the two shards looked at last
};

using shard_batch = std::vector<shard_data>;

result<shard_batch> read_batch(input_reader& input) {
  shard_batch batch;
  while (batch.size() < shards_a_batch) {
    auto shard = input.read_next();
    if (!shard) return shard.error();
    if (!*shard) break;
    batch.push_back(*std::move(*shard));
  }
  return batch;
}

/// Collects bad lines, the first few as text.
class complaint {
 public:
  complaint(const std::vector<std::string>& inputs, const scan_rules& rules)
      : inputs_(inputs), rules_(rules) {}

  /// Number of lines among them that are taken all the same.
  std::uint64_t add(const shard_descriptor& where, std::vector<bad_line>& bad) {
    std::sort(bad.begin(), bad.end(),
              [](const auto& a, const auto& b) { return a.index < b.index; });
    std::uint64_t taken = 0;
    for (const auto& line : bad) {
      const bool never = line.code == "duplicate_custom_id" || line.code == "line_too_large";
      if (rules_.allow_invalid && !never) {
        ++taken;
        continue;
      }
      any_hard_ = any_hard_ || never;
      if (++count_ > shown_max) continue;
      shown_.push_back(inputs_[where.file.value()] + ":" + std::to_string(line.line) + ": " +
                       line.code + ": " + line.message);
    }
    return taken;
  }

  [[nodiscard]] result<void> verdict() const {
    if (count_ == 0) return {};
    std::string text;
    for (const auto& line : shown_) text += line + "\n";
    if (count_ > shown_max) text += "… and " + std::to_string(count_ - shown_max) + " more\n";
    text +=
        "spillway: " + std::to_string(count_) + " bad lines; nothing was submitted. Correct them";
    if (!rules_.allow_invalid)
      text += ", or submit them as they are with --allow-invalid to get error rows";
    if (any_hard_) text += "; repeated custom_ids and lines that are too long are never taken";
    return failure{failure_kind::usage, std::move(text)};
  }

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] const std::vector<std::string>& shown() const { return shown_; }

 private:
  const std::vector<std::string>& inputs_;
  const scan_rules& rules_;
  std::uint64_t count_ = 0;
  bool any_hard_ = false;
  std::vector<std::string> shown_;
};

}  // namespace

result<scanned_content> scan_inputs(const std::vector<std::string>& inputs, const scan_rules& rules,
                                    parallel_runner& runner, const stop_flag& stop,
                                    const scan_progress& progress) {
  auto input = input_reader::open(inputs, rules.line_bytes_max);
  if (!input) return input.error();
  scanned_content out;
  out.content.files = inputs;
  kafka::content_checksum checksum;
  repeated_ids ids(inputs, rules.line_bytes_max);
  complaint complaints(inputs, rules);
  auto batch = read_batch(*input);
  while (batch && !batch->empty()) {
    if (stop.load() > 0)
      return failure{failure_kind::stopped, "stopped while checking the input; nothing was sent"};
    std::vector<scanned_shard> scanned(batch->size());
    result<shard_batch> next{shard_batch{}};
    // Reading the next shards is one of the tasks, so that the disk and the
    // parsers work at once.
    runner.for_each(batch->size() + 1, [&](std::size_t task) {
      if (task == 0)
        next = read_batch(*input);
      else
        scanned[task - 1] = scan_shard((*batch)[task - 1], rules, task - 1);
    });
    for (std::size_t i = 0; i < scanned.size(); ++i) {
      const auto& where = (*batch)[i].where;
      if (auto ok = ids.add(where, scanned[i]); !ok) return ok.error();
      out.invalid += complaints.add(where, scanned[i].bad);
      checksum.add(scanned[i].hash, where.length);
      out.content.shards.push_back(where);
      out.content.prompts += where.count;
      out.content.bytes += where.length;
      for (const auto& [model, count] : scanned[i].models) out.models[model] += count;
    }
    progress(out.content.bytes, input->total_bytes());
    batch = std::move(next);
  }
  if (!batch) return batch.error();
  if (rules.tell_only) {
    out.bad = complaints.count();
    out.bad_shown = complaints.shown();
    return out;
  }
  if (auto ok = complaints.verdict(); !ok) return ok.error();
  if (out.content.prompts == 0)
    return failure{failure_kind::usage, "the input holds no prompt; nothing was submitted"};
  out.content.checksum = checksum.value();
  return out;
}

}  // namespace spillway
