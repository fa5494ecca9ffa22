// Progress, final records, the fleet's identity, shards and dead letters.
#include "connectors/files/checksum.hpp"
#include "connectors/files/totals_codec.hpp"
#include "connectors/kafka/fleet_codec_jobs.hpp"
#include "connectors/kafka/fleet_wire.hpp"
#include "schemas/fleet_job.pb.h"
#include "schemas/fleet_shard.pb.h"
#include "schemas/prompt.hpp"

#include <google/protobuf/io/coded_stream.h>

namespace spillway::kafka {

namespace pb = spillway::fleet::v1;
using namespace fleet_wire;

namespace {

void put(google::protobuf::RepeatedPtrField<spillway::state::v1::LaneTotals>& out,
         const std::vector<named_totals>& in) {
  for (const auto& lane : in) state::put(*out.Add(), lane);
}

std::vector<named_totals> lanes_of(
    const google::protobuf::RepeatedPtrField<spillway::state::v1::LaneTotals>& in) {
  std::vector<named_totals> out;
  for (const auto& lane : in) out.push_back(state::totals_of(lane));
  return out;
}

constexpr topic all_topics[] = {topic::jobs, topic::shards, topic::results,  topic::journal,
                                topic::late, topic::ctl,    topic::progress, topic::dead};

}  // namespace

const char* name_of(command_kind kind) {
  switch (kind) {
    case command_kind::pause: return "pause";
    case command_kind::resume: return "resume";
    case command_kind::cancel: return "cancel";
    case command_kind::retry: return "retry";
    case command_kind::close: return "close";
    case command_kind::policy: return "policy";
  }
  return "unknown";
}

const char* name_of(job_outcome outcome) {
  return outcome == job_outcome::completed ? "completed" : "cancelled";
}

std::string encode(const final_record& r) {
  pb::Final out;
  out.set_version(1);
  out.set_job(r.job);
  out.set_outcome(name_of(r.outcome));
  out.set_prompts(r.prompts);
  out.set_answered(r.answered);
  out.set_errors(r.errors);
  out.set_invalid(r.invalid);
  out.set_maybe_billed(r.maybe_billed);
  out.set_settled_nano_usd(r.settled.count());
  put(*out.mutable_lanes(), r.lanes);
  out.set_created_unix_ms(unix_ms(r.created));
  out.set_finished_unix_ms(unix_ms(r.finished));
  return out.SerializeAsString();
}

decoded<final_record> decode_final(std::string_view bytes) {
  pb::Final in;
  if (auto fault = parse(in, bytes, "final")) return *fault;
  final_record out;
  out.job = in.job();
  out.outcome = in.outcome() == name_of(job_outcome::cancelled) ? job_outcome::cancelled
                                                                : job_outcome::completed;
  out.prompts = in.prompts();
  out.answered = in.answered();
  out.errors = in.errors();
  out.invalid = in.invalid();
  out.maybe_billed = in.maybe_billed();
  out.settled = nano_usd(in.settled_nano_usd());
  out.lanes = lanes_of(in.lanes());
  out.created = time_of(in.created_unix_ms());
  out.finished = time_of(in.finished_unix_ms());
  return out;
}

std::string encode(const progress_record& r) {
  pb::Progress out;
  out.set_version(1);
  out.set_job(r.job);
  out.set_partition(r.partition);
  out.set_member(r.member);
  out.set_updated_unix_ms(unix_ms(r.updated));
  out.set_read_to(r.read_to);
  out.set_jobs_to(r.jobs_to);
  out.set_prompts(r.prompts);
  out.set_answered(r.answered);
  out.set_errors(r.errors);
  out.set_invalid(r.invalid);
  out.set_in_flight(r.in_flight);
  out.set_in_doubt(r.in_doubt);
  out.set_maybe_billed(r.maybe_billed);
  out.set_settled_nano_usd(r.settled.count());
  out.set_reserved_nano_usd(r.reserved.count());
  out.set_condition(r.condition);
  out.set_reason(r.reason);
  put(*out.mutable_lanes(), r.lanes);
  return out.SerializeAsString();
}

decoded<progress_record> decode_progress(std::string_view bytes) {
  pb::Progress in;
  if (auto fault = parse(in, bytes, "progress")) return *fault;
  progress_record out;
  out.job = in.job();
  out.partition = in.partition();
  out.member = in.member();
  out.updated = time_of(in.updated_unix_ms());
  out.read_to = in.read_to();
  out.jobs_to = in.jobs_to();
  out.prompts = in.prompts();
  out.answered = in.answered();
  out.errors = in.errors();
  out.invalid = in.invalid();
  out.in_flight = in.in_flight();
  out.in_doubt = in.in_doubt();
  out.maybe_billed = in.maybe_billed();
  out.settled = nano_usd(in.settled_nano_usd());
  out.reserved = nano_usd(in.reserved_nano_usd());
  out.condition = in.condition();
  out.reason = in.reason();
  out.lanes = lanes_of(in.lanes());
  return out;
}

std::string encode(const fleet_identity& r) {
  pb::Fleet out;
  out.set_version(1);
  out.set_uuid(r.uuid);
  out.set_partitions(r.partitions);
  out.set_created_unix_ms(unix_ms(r.created));
  return out.SerializeAsString();
}

decoded<fleet_identity> decode_fleet(std::string_view bytes) {
  pb::Fleet in;
  if (auto fault = parse(in, bytes, "fleet")) return *fault;
  return fleet_identity{in.uuid(), in.partitions(), time_of(in.created_unix_ms())};
}

record record_of(const fleet_identity& r) { return {std::string(fleet_key), encode(r), false, {}}; }

std::string encode(const dead_letter& r) {
  pb::DeadLetter out;
  out.set_version(1);
  out.set_topic(std::string(name_of(r.from)));
  out.set_partition(r.partition);
  out.set_offset(r.offset);
  out.set_key(r.what.key);
  out.set_value(r.what.value);
  for (const auto& [name, value] : r.what.headers) {
    auto& header = *out.add_headers();
    header.set_name(name);
    header.set_value(value);
  }
  out.set_code(r.code);
  out.set_message(r.message);
  out.set_at_unix_ms(unix_ms(r.at));
  out.set_member(r.member);
  return out.SerializeAsString();
}

decoded<dead_letter> decode_dead_letter(std::string_view bytes) {
  pb::DeadLetter in;
  if (auto fault = parse(in, bytes, "dead-letter")) return *fault;
  dead_letter out;
  bool known = false;
  for (const auto t : all_topics) {
    if (name_of(t) != in.topic()) continue;
    out.from = t;
    known = true;
  }
  if (!known) return record_fault{"unparsable", "a dead letter of an unknown topic"};
  out.partition = in.partition();
  out.offset = in.offset();
  out.what.key = in.key();
  out.what.value = in.value();
  for (const auto& header : in.headers())
    out.what.headers.emplace_back(header.name(), header.value());
  out.code = in.code();
  out.message = in.message();
  out.at = time_of(in.at_unix_ms());
  out.member = in.member();
  return out;
}

// ---- shards ----

std::string encode(const shard_lines& r, std::string_view lines, std::uint32_t crc) {
  pb::Shard head;
  head.set_version(1);
  head.set_job(r.job);
  head.set_submission(r.submission);
  head.set_file(r.file);
  head.set_first_line(r.first_line);
  head.set_next_line(r.next_line);
  head.set_count(r.count);
  head.set_crc(crc);
  // The order of fields on the wire is free: the text goes last, straight into its place.
  using google::protobuf::io::CodedOutputStream;
  constexpr std::uint32_t lines_tag = pb::Shard::kLinesFieldNumber << 3 | 2;
  const auto length = static_cast<std::uint32_t>(lines.size());
  std::string out = head.SerializeAsString();
  std::uint8_t prefix[16];
  auto* end = CodedOutputStream::WriteTagToArray(lines_tag, prefix);
  end = CodedOutputStream::WriteVarint32ToArray(length, end);
  out.reserve(out.size() + sizeof prefix + lines.size());
  out.append(reinterpret_cast<const char*>(prefix), static_cast<std::size_t>(end - prefix));
  out.append(lines);
  return out;
}

record record_of(const shard_lines& r, std::string_view lines, std::uint32_t crc) {
  record out;
  out.value = encode(r, lines, crc);
  out.headers = {{std::string(job_header), r.job},
                 {std::string(format_header), std::string(shard_format)}};
  return out;
}

decoded<shard_lines> decode_shard(std::string_view bytes) {
  pb::Shard in;
  if (auto fault = parse(in, bytes, "shard")) return *fault;
  if (in.has_envelope())
    return record_fault{"encrypted", "the shard is encrypted, which this version cannot read"};
  if (in.count() > shard_prompts_max)
    return record_fault{"too_large", "the shard has " + std::to_string(in.count()) +
                                         " lines; at most 512 are allowed"};
  if (crc_of(in.lines()) != in.crc())
    return record_fault{"damaged", "the shard's checksum does not match its lines; send it again"};
  return shard_lines{in.job(),
                     in.submission(),
                     in.file(),
                     in.first_line(),
                     in.next_line(),
                     in.count(),
                     std::move(*in.mutable_lines())};
}

}  // namespace spillway::kafka
