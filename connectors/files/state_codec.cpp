#include "connectors/files/state_codec.hpp"

#include "connectors/files/totals_codec.hpp"
#include "schemas/state.pb.h"

namespace spillway::state {
namespace {

namespace pb = spillway::state::v1;

std::string numbered(char prefix, std::uint64_t n, int bytes) {
  std::string key(1, prefix);
  for (int i = bytes - 1; i >= 0; --i) key += static_cast<char>((n >> (8 * i)) & 0xff);
  return key;
}

failure damaged(const char* what) {
  return {failure_kind::storage, std::string("the state is damaged: bad ") + what + " record"};
}

template <class Message>
bool parse(Message& m, std::string_view bytes) {
  return m.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

void put(pb::RowFile& out, const row_file_mark& in) {
  out.set_length(in.length);
  out.set_last_length(in.last_length);
  out.set_last_crc(in.last_crc);
}

row_file_mark mark_of(const pb::RowFile& in) {
  return {in.length(), in.last_length(), in.last_crc()};
}

}  // namespace

std::string shard_key(shard_id id) { return numbered('s', id.value(), 4); }
std::string done_key(shard_id id) { return numbered('d', id.value(), 4); }
std::string journal_key(std::uint64_t sequence) { return numbered('j', sequence, 8); }

std::uint64_t journal_sequence(std::string_view key) {
  std::uint64_t n = 0;
  for (const char c : key.substr(1)) n = n << 8 | static_cast<unsigned char>(c);
  return n;
}

std::string encode(const header& h) {
  pb::Header out;
  out.set_format_version(h.version);
  out.set_job(h.job);
  out.set_in_doubt(name_of(h.in_doubt));
  for (const auto& [name, size] : h.inputs) {
    auto& input = *out.add_inputs();
    input.set_name(name);
    input.set_size(size);
  }
  out.set_residency_constrained(h.residency.has_value());
  for (const auto& place : h.residency.value_or(std::vector<std::string>{}))
    out.add_residency(place);
  return out.SerializeAsString();
}

std::string encode(const progress& p) {
  pb::Progress out;
  put(*out.mutable_results(), p.results);
  put(*out.mutable_errors(), p.errors);
  out.set_answered(static_cast<std::uint64_t>(p.answered));
  out.set_failed(static_cast<std::uint64_t>(p.failed));
  out.set_invalid(static_cast<std::uint64_t>(p.invalid));
  for (const auto& lane : p.totals) put(*out.add_lanes(), lane);
  return out.SerializeAsString();
}

std::string encode(const shard_record& s) {
  pb::Shard out;
  out.set_file(s.where.file.value());
  out.set_offset(s.where.offset);
  out.set_length(s.where.length);
  out.set_first_line(s.where.first_line);
  out.set_next_line(s.where.next_line);
  out.set_count(s.where.count);
  out.set_crc(s.where.crc);
  for (const auto h : s.id_hashes) out.add_id_hashes(h);
  return out.SerializeAsString();
}

std::string encode(const shard_bits& bits) {
  pb::DoneBits out;
  out.set_bits(bits.bytes());
  return out.SerializeAsString();
}

std::string encode(std::span<const attempt_record> attempts) {
  pb::Journal out;
  for (const auto& a : attempts) {
    auto& m = *out.add_attempts();
    m.set_position(a.where.local());
    m.set_file(a.file.value());
    m.set_line(a.line);
    m.set_in_flight(a.in_flight);
    m.set_pool(a.pool);
    m.set_lane(a.lane);
    m.set_sends(a.sends);
    m.set_attempts(a.attempts);
    m.set_maybe_billed(a.maybe_billed);
    m.set_charged_nano_usd(a.charged.count());
    m.set_reserved_nano_usd(a.reserved.count());
    m.set_at_unix_ns(a.at.time_since_epoch().count());
  }
  return out.SerializeAsString();
}

result<header> decode_header(std::string_view bytes) {
  pb::Header in;
  if (!parse(in, bytes) || in.format_version() == 0) return damaged("header");
  header h;
  h.version = in.format_version();
  h.job = in.job();
  h.in_doubt = in.in_doubt() == name_of(in_doubt_policy::hold) ? in_doubt_policy::hold
                                                               : in_doubt_policy::resend;
  for (const auto& input : in.inputs()) h.inputs.emplace_back(input.name(), input.size());
  if (in.residency_constrained())
    h.residency = std::vector<std::string>(in.residency().begin(), in.residency().end());
  return h;
}

result<progress> decode_progress(std::string_view bytes) {
  pb::Progress in;
  if (!parse(in, bytes)) return damaged("progress");
  progress p;
  p.results = mark_of(in.results());
  p.errors = mark_of(in.errors());
  if (p.results.last_length > p.results.length || p.errors.last_length > p.errors.length)
    return damaged("progress");
  p.answered = static_cast<std::int64_t>(in.answered());
  p.failed = static_cast<std::int64_t>(in.failed());
  p.invalid = static_cast<std::int64_t>(in.invalid());
  for (const auto& lane : in.lanes()) p.totals.push_back(totals_of(lane));
  return p;
}

result<shard_record> decode_shard(shard_id id, std::string_view bytes) {
  pb::Shard in;
  if (!parse(in, bytes) || in.count() > shard_prompts_max ||
      in.id_hashes_size() != static_cast<int>(in.count()))
    return damaged("shard");
  shard_record s;
  s.where = {.id = id,
             .file = file_id(in.file()),
             .offset = in.offset(),
             .length = in.length(),
             .first_line = in.first_line(),
             .next_line = in.next_line(),
             .count = in.count(),
             .crc = in.crc()};
  s.id_hashes.assign(in.id_hashes().begin(), in.id_hashes().end());
  return s;
}

result<shard_bits> decode_done(std::string_view bytes) {
  pb::DoneBits in;
  if (!parse(in, bytes) || in.bits().size() > shard_prompts_max / 8) return damaged("done");
  return shard_bits::from_bytes(in.bits());
}

result<std::vector<attempt_record>> decode_journal(std::string_view bytes) {
  pb::Journal in;
  if (!parse(in, bytes)) return damaged("journal");
  std::vector<attempt_record> out;
  for (const auto& m : in.attempts())
    out.push_back({.where = position::from_value(m.position()),
                   .file = file_id(m.file()),
                   .line = m.line(),
                   .in_flight = m.in_flight(),
                   .pool = m.pool(),
                   .lane = m.lane(),
                   .sends = m.sends(),
                   .attempts = m.attempts(),
                   .maybe_billed = m.maybe_billed(),
                   .charged = nano_usd(m.charged_nano_usd()),
                   .reserved = nano_usd(m.reserved_nano_usd()),
                   .at = time_point(duration(m.at_unix_ns()))});
  return out;
}

}  // namespace spillway::state
