// spillway dead: records that could not be worked on, kept whole.
#include "connectors/kafka/fleet_codec_jobs.hpp"
#include "connectors/rows.hpp"
#include "orchestrator/cli/fleet.hpp"
#include "orchestrator/cli/fleet_commands.hpp"
#include "orchestrator/cli/fleet_view.hpp"
#include "orchestrator/cli/format.hpp"
#include "orchestrator/engine/progress_json.hpp"

#include <boost/json/array.hpp>

#include <algorithm>
#include <map>
#include <set>

namespace spillway {

using kafka::topic;

namespace {

/// On a record of `dead` without a value: these offsets were sent back.
constexpr std::string_view requeued_header = "requeued";
/// On a record that was sent back: the letter it was.
constexpr std::string_view from_letter_header = "spillway-dead-letter";

struct letter {
  kafka::dead_letter what;
  bool requeued = false;
};
using letters = std::map<std::int64_t, letter>;

std::string job_of(const kafka::dead_letter& letter) {
  return std::string(letter.what.header(kafka::job_header).value_or(""));
}

result<letters> read_letters(fleet_access& fleet) {
  const auto spans = fleet.tools->whole(topic::dead);
  if (!spans) return spans.error();
  letters out;
  std::set<std::int64_t> requeued;
  auto ok = fleet.tools->read(topic::dead, *spans, [&](std::int32_t, kafka::stored_record&& r) {
    if (const auto offset = r.what.header(requeued_header)) {
      requeued.insert(std::strtoll(std::string(*offset).c_str(), nullptr, 10));
      return true;
    }
    auto decoded = kafka::decode_dead_letter(r.what.value);
    if (auto* what = std::get_if<kafka::dead_letter>(&decoded))
      out[r.offset] = {std::move(*what), false};
    return true;
  });
  if (!ok) return ok.error();
  for (const auto offset : requeued)
    if (const auto at = out.find(offset); at != out.end()) at->second.requeued = true;
  return out;
}

boost::json::object as_json(std::int64_t offset, const letter& l) {
  const auto& d = l.what;
  return {{"offset", offset},
          {"at", iso_time(d.at)},
          {"topic", kafka::name_of(d.from)},
          {"topic_partition", d.partition},
          {"topic_offset", d.offset},
          {"job", job_of(d)},
          {"code", d.code},
          {"message", d.message},
          {"bytes", d.what.value.size()},
          {"member", d.member},
          {"requeued", l.requeued}};
}

/// Bytes of others: as text when they are text.
std::string as_text(std::string_view bytes) {
  const bool binary = std::any_of(bytes.begin(), bytes.end(), [](char c) {
    const auto u = static_cast<unsigned char>(c);
    return u < 0x20 && c != '\n' && c != '\t' && c != '\r';
  });
  if (!binary) return std::string(bytes);
  static constexpr char digits[] = "0123456789abcdef";
  std::string out = "hex:";
  for (const char c : bytes) {
    out += digits[static_cast<unsigned char>(c) >> 4];
    out += digits[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

int list(const letters& all, const dead_options& options) {
  std::string text;
  std::vector<std::vector<std::string>> rows{
      {"OFFSET", "AT", "FROM", "JOB", "CODE", "BYTES", "SENT BACK", "MESSAGE"}};
  for (const auto& [offset, l] : all) {
    const auto& d = l.what;
    if (!options.job.empty() && job_of(d) != options.job) continue;
    text += json_line(as_json(offset, l)) + "\n";
    rows.push_back({std::to_string(offset), iso_time(d.at),
                    std::string(kafka::name_of(d.from)) + "[" + std::to_string(d.partition) + "]@" +
                        std::to_string(d.offset),
                    printable(job_of(d)), d.code,
                    grouped(static_cast<std::int64_t>(d.what.value.size())),
                    l.requeued ? "yes" : "no", printable(d.message)});
  }
  if (!options.json) text = rows.size() == 1 ? "No dead letters.\n" : text_table(rows, {0, 5});
  print(text);
  return 0;
}

int show(std::int64_t offset, const letter& l, bool json) {
  const auto& d = l.what;
  if (json) {
    auto out = as_json(offset, l);
    boost::json::array headers;
    for (const auto& [name, value] : d.what.headers)
      headers.push_back(boost::json::array{as_text(name), as_text(value)});
    out["key"] = as_text(d.what.key);
    out["headers"] = std::move(headers);
    out["value"] = as_text(d.what.value);
    print(json_line(out) + "\n");
    return 0;
  }
  std::string text = "Dead letter " + std::to_string(offset) + ": " + d.code + "\n  " +
                     printable(d.message) + "\nFrom " + std::string(kafka::name_of(d.from)) +
                     ", partition " + std::to_string(d.partition) + ", offset " +
                     std::to_string(d.offset) + ", found " + iso_time(d.at) + " by " +
                     printable(d.member) + "\n";
  if (l.requeued) text += "It was sent back before.\n";
  text += "Key: " + printable(as_text(d.what.key)) + "\n";
  for (const auto& [name, value] : d.what.headers)
    text += "Header " + printable(name) + ": " + printable(as_text(value)) + "\n";
  text += "Value, " + grouped(static_cast<std::int64_t>(d.what.value.size())) + " bytes:\n" +
          as_text(d.what.value);
  if (!text.ends_with('\n')) text += "\n";
  print(text);
  return 0;
}

failure unknown(std::int64_t offset) {
  return {failure_kind::usage, "no dead letter " + std::to_string(offset) +
                                   "; `spillway dead list` shows their offsets"};
}

result<std::vector<std::int64_t>> chosen(const letters& all, const dead_options& options) {
  std::vector<std::int64_t> out;
  if (options.all) {
    for (const auto& [offset, l] : all) {
      const bool named = options.job.empty() || job_of(l.what) == options.job;
      if (named && (options.again || !l.requeued)) out.push_back(offset);
    }
    return out;
  }
  for (const auto offset : options.offsets) {
    const auto at = all.find(offset);
    if (at == all.end()) return unknown(offset);
    if (at->second.requeued && !options.again) {
      return failure{failure_kind::usage, "dead letter " + std::to_string(offset) +
                                              " was sent back before; --again sends it once more"};
    }
    out.push_back(offset);
  }
  return out;
}

/// The record and the note that it was sent back become visible together.
int requeue(fleet_access& fleet, const letters& all, const dead_options& options) {
  const auto offsets = chosen(all, options);
  if (!offsets) return report(offsets.error());
  if (!offsets->empty()) {
    auto writer =
        kafka::transaction_writer::open(fleet.settings, fleet.settings.fleet + ".requeue");
    if (!writer) return report(writer.error());
    for (const auto offset : *offsets) {
      const auto& d = all.at(offset).what;
      auto back = d.what;
      back.headers.emplace_back(from_letter_header, std::to_string(offset));
      kafka::record note;
      note.headers.emplace_back(requeued_header, std::to_string(offset));
      if (auto ok = (*writer)->produce({d.from, d.partition, std::move(back)}); !ok)
        return report(ok.error());
      if (auto ok = (*writer)->produce({topic::dead, 0, std::move(note)}); !ok)
        return report(ok.error());
    }
    if (auto ok = (*writer)->commit(); !ok) return report(ok.error());
  }
  if (options.json)
    print(json_line(boost::json::object{{"requeued", offsets->size()}}) + "\n");
  else
    print("Sent back: " + std::to_string(offsets->size()) + ".\n");
  return 0;
}

}  // namespace

int run_dead(const dead_options& options) {
  auto fleet = open_fleet(options.config);
  if (!fleet) return report(fleet.error());
  const auto all = read_letters(*fleet);
  if (!all) return report(all.error());
  switch (options.action) {
    case dead_options::what::list: return list(*all, options);
    case dead_options::what::requeue: return requeue(*fleet, *all, options);
    case dead_options::what::show: break;
  }
  const auto offset = options.offsets.at(0);
  const auto at = all->find(offset);
  if (at == all->end()) return report(unknown(offset));
  return show(offset, at->second, options.json);
}

}  // namespace spillway
