#include "orchestrator/engine/intake.hpp"

#include <algorithm>

namespace spillway {
namespace {

constexpr std::size_t lines_a_task = 32;

line_parser& parser_of_thread() {
  thread_local line_parser parser;
  return parser;
}

}  // namespace

struct intake::line_result {
  parsed_line line;
  std::optional<class_choice> choice;
  bool refused = false;
};

intake::intake(shard_source& source, job_lookup classes, parallel_runner& runner,
               std::size_t line_bytes_max, std::span<const recovered_shard> known)
    : source_(source),
      classes_(std::move(classes)),
      runner_(runner),
      line_bytes_max_(line_bytes_max) {
  for (const auto& shard : known) {
    if (shard.where.ids_checked) continue;
    auto& ids = jobs_[shard.where.job];
    ids.shards.emplace(shard.where.id, shard.where);
    for (std::uint32_t i = 0; i < shard.id_hashes.size(); ++i)
      if (shard.id_hashes[i] != 0)
        ids.index.insert(shard.id_hashes[i], position(shard.where.id, i));
  }
}

result<std::optional<parsed_shard>> intake::next() {
  auto data = source_.read_next();
  if (!data) return data.error();
  if (!*data) return std::optional<parsed_shard>{};
  auto shard = parse(**data, false);
  if (!shard) return shard.error();
  return std::optional<parsed_shard>(*std::move(shard));
}

result<parsed_shard> intake::again(const shard_descriptor& where) {
  auto data = source_.read(where);
  if (!data) return data.error();
  return parse(*data, true);
}

std::vector<intake::line_result> intake::parse_lines(const shard_data& data,
                                                     const std::vector<line_view>& lines) {
  const std::string_view bytes(data.bytes.data(), data.size);
  const auto classes = classes_(data.where.job);
  std::vector<line_result> results(lines.size());
  const auto tasks = (lines.size() + lines_a_task - 1) / lines_a_task;
  runner_.for_each(tasks, [&](std::size_t task) {
    for (std::size_t i = task * lines_a_task; i < std::min(lines.size(), (task + 1) * lines_a_task);
         ++i) {
      auto& r = results[i];
      if (lines[i].length > line_bytes_max_) {
        r.line.code = "line_too_large";
        r.line.message = "the line is longer than " + std::to_string(line_bytes_max_) + " bytes";
        r.line.custom_id_token = "null";
        continue;
      }
      r.line = parser_of_thread().parse(bytes.substr(lines[i].offset, lines[i].length));
      if (!r.line.code.empty()) continue;
      const auto& value = r.line.value;
      const auto body = bytes.substr(lines[i].offset + value.body.offset, value.body.length);
      const auto cls = classes(r.line.model, value.endpoint,
                               {url_of(value.endpoint), body,
                                value.model.offset - value.body.offset, value.model.length});
      if (const auto* refusal = std::get_if<class_refusal>(&cls)) {
        r.line.code = refusal->code;
        r.line.message = refusal->message;
        r.refused = true;
      } else {
        r.choice = std::get<class_choice>(cls);
      }
    }
  });
  return results;
}

/// Which of two equal ids came first depends on the order: one by one.
result<void> intake::find_repeats(const shard_data& data, const std::vector<line_view>& lines,
                                  std::vector<line_result>& results, parsed_shard& shard,
                                  bool known) {
  auto& job = jobs_[data.where.job];
  job.shards.try_emplace(data.where.id, data.where);
  shard.record.id_hashes.resize(lines.size());
  std::vector<known_id> ids(lines.size());
  for (std::uint32_t i = 0; i < results.size(); ++i) {
    auto& line = results[i].line;
    if (line.custom_id.empty()) continue;
    const position where(data.where.id, i);
    const auto hash = hash_custom_id(line.custom_id);
    auto earlier = earlier_use(job, hash, where, line.custom_id, ids);
    if (!earlier) return earlier.error();
    if (*earlier && line.code.empty()) {
      line.code = "duplicate_custom_id";
      line.message = "the custom_id was used before, in line " + std::to_string((*earlier)->line);
      if ((*earlier)->file != data.where.file)
        line.message += " of input file " + std::to_string((*earlier)->file.value() + 1);
      line.message += "; the first one counts";
    }
    if (*earlier) continue;
    shard.record.id_hashes[i] = hash;
    ids[i] = {line.custom_id, lines[i].number, data.where.file};
    if (!known) job.index.insert(hash, where);
  }
  return {};
}

result<parsed_shard> intake::parse(const shard_data& data, bool known) {
  const std::string_view bytes(data.bytes.data(), data.size);
  const auto lines = data.oversized
                         ? std::vector<line_view>{{0, line_bytes_max_ + 1, data.where.first_line}}
                         : split_lines(bytes, data.where.first_line);
  auto results = parse_lines(data, lines);
  parsed_shard shard;
  shard.record.where = data.where;
  shard.past = data.past;
  if (!data.where.ids_checked)
    if (auto found = find_repeats(data, lines, results, shard, known); !found) return found.error();
  for (std::uint32_t i = 0; i < results.size(); ++i) {
    auto& line = results[i].line;
    const position where(data.where.partition, data.where.id, i);
    if (!line.code.empty()) {
      shard.invalid.push_back({where, data.where.file, lines[i].number,
                               data.where.offset + lines[i].offset, std::move(line.custom_id_token),
                               std::move(line.code), std::move(line.message), data.where.job,
                               results[i].refused});
      continue;
    }
    prompt p = std::move(line.value);
    p.where = where;
    p.job = data.where.job;
    p.cls = results[i].choice->cls;
    p.features = results[i].choice->features;
    p.file = data.where.file;
    p.line = lines[i].number;
    p.text = bytes.substr(lines[i].offset, lines[i].length);
    shard.prompts.push_back(std::move(p));
  }
  return shard;
}

result<std::optional<intake::known_id>> intake::earlier_use(
    job_ids& job, std::uint64_t hash, position own, const std::string& custom_id,
    const std::vector<known_id>& own_shard) {
  std::optional<known_id> found;
  std::optional<failure> bad;
  const bool hit = job.index.find(hash, [&](position candidate) {
    if (candidate >= own) return false;  // itself, or one that comes later
    auto first = candidate.shard() == own.shard() ? result<known_id>(own_shard[candidate.index()])
                                                  : id_at(job, candidate);
    if (!first) {
      bad = first.error();
      return true;
    }
    if (first->custom_id != custom_id) return false;
    found = *std::move(first);
    return true;
  });
  if (hit && bad) return *bad;
  return found;
}

result<intake::known_id> intake::id_at(const job_ids& job, position where) {
  if (!cached_ || cached_->where.id != where.shard()) {
    auto data = source_.read(job.shards.at(where.shard()));
    if (!data) return data.error();
    cached_ = *std::move(data);
    cached_lines_ = split_lines({cached_->bytes.data(), cached_->size}, cached_->where.first_line);
  }
  ensure(where.index() < cached_lines_.size(), "an indexed line is gone");
  const auto& line = cached_lines_[where.index()];
  const std::string_view bytes(cached_->bytes.data(), cached_->size);
  return known_id{parser_of_thread().parse(bytes.substr(line.offset, line.length)).custom_id,
                  line.number, cached_->where.file};
}

}  // namespace spillway
