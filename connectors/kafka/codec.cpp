#include "connectors/kafka/codec.hpp"

#include "connectors/files/checksum.hpp"
#include "connectors/kafka/wire.hpp"

namespace spillway::kafka {
namespace {

using namespace wire;

template <class Message>
result<void> parse(Message& m, std::string_view bytes, std::string_view what) {
  if (!m.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) || m.version() == 0)
    return unreadable(what);
  if (m.version() > 1) return too_new(what, m.version());
  return {};
}

struct journal_writer {
  pb::JournalRecord& out;
  void operator()(const opened_note&) { (void)out.mutable_opened(); }
  void operator()(const attempts_note& n) { put(*out.mutable_attempts(), n.attempts); }
  void operator()(const snapshot& s) { put(*out.mutable_snapshot(), s); }
  void operator()(const hand_over_note& n) {
    put(*out.mutable_hand_over()->mutable_open(), n.open);
  }
  void operator()(const resumed_note&) { (void)out.mutable_resumed(); }
  void operator()(const applied_note& n) {
    auto& m = *out.mutable_applied();
    m.set_command(n.command);
    for (const auto& p : n.reopened) put(*m.add_reopened(), p);
  }
};

bool read_applied(const pb::Applied& in, applied_note& out) {
  out.command = in.command();
  for (const auto& m : in.reopened())
    if (!get(m, out.reopened.emplace_back())) return false;
  return true;
}

constexpr std::string_view kind_name(row_kind kind) {
  switch (kind) {
    case row_kind::answered: return "answered";
    case row_kind::failed: return "failed";
    case row_kind::invalid: return "invalid";
    case row_kind::refused: return "refused";
  }
  return "failed";
}

}  // namespace

std::string encode(const result_facts& facts) {
  pb::ResultFacts out;
  put(out, facts);
  return out.SerializeAsString();
}

result<result_facts> decode_facts(std::string_view bytes) {
  constexpr std::string_view what = "a result's header";
  pb::ResultFacts in;
  if (const auto parsed = parse(in, bytes, what); !parsed) return parsed.error();
  result_facts out;
  if (!get(in, out)) return unreadable(what);
  return out;
}

std::string encode(const journal_record& r) {
  pb::JournalRecord out;
  out.set_version(1);
  out.set_session(r.session);
  std::visit(journal_writer{out}, r.what);
  return out.SerializeAsString();
}

result<journal_record> decode_journal_record(std::string_view bytes) {
  constexpr std::string_view what = "a journal record";
  pb::JournalRecord in;
  if (const auto parsed = parse(in, bytes, what); !parsed) return parsed.error();
  journal_record out{in.session(), {}};
  bool good = false;
  switch (in.what_case()) {
    case pb::JournalRecord::kAttempts:
      good = get(in.attempts(), out.what.emplace<attempts_note>().attempts);
      break;
    case pb::JournalRecord::kSnapshot:
      good = get(in.snapshot(), out.what.emplace<snapshot>());
      break;
    case pb::JournalRecord::kHandOver:
      good = get(in.hand_over().open(), out.what.emplace<hand_over_note>().open);
      break;
    case pb::JournalRecord::kOpened: good = true; break;
    case pb::JournalRecord::kResumed:
      out.what = resumed_note{};
      good = true;
      break;
    case pb::JournalRecord::kApplied:
      good = read_applied(in.applied(), out.what.emplace<applied_note>());
      break;
    case pb::JournalRecord::WHAT_NOT_SET: break;
  }
  if (!good) return unreadable(what);
  return out;
}

std::string encode(const late_record& r) {
  pb::LateRecord out;
  out.set_version(1);
  out.set_session(r.session);
  if (const auto* facts = std::get_if<result_facts>(&r.what))
    put(*out.mutable_result(), *facts);
  else if (const auto* ended = std::get_if<fleet_attempt>(&r.what))
    put(*out.mutable_ended(), {ended, 1});
  else
    (void)out.mutable_end();
  return out.SerializeAsString();
}

result<late_record> decode_late(std::string_view bytes) {
  constexpr std::string_view what = "a record on `late`";
  pb::LateRecord in;
  if (const auto parsed = parse(in, bytes, what); !parsed) return parsed.error();
  late_record out{in.session(), {}};
  switch (in.what_case()) {
    case pb::LateRecord::kResult:
      if (!get(in.result(), out.what.emplace<result_facts>())) return unreadable(what);
      return out;
    case pb::LateRecord::kEnded: {
      std::vector<fleet_attempt> ended;
      if (!get(in.ended(), ended) || ended.size() != 1) return unreadable(what);
      out.what = std::move(ended.front());
      return out;
    }
    case pb::LateRecord::kEnd: out.what = late_end{}; return out;
    case pb::LateRecord::WHAT_NOT_SET: break;
  }
  return unreadable(what);
}

std::string encode(const local_index& index) {
  pb::Snapshot state;
  put(state, index.state);
  pb::LocalIndex out;
  out.set_version(1);
  out.set_fleet(index.fleet);
  out.set_partition(index.partition);
  out.set_journal_offset(index.journal_offset);
  out.set_journal_crc(index.journal_crc);
  out.set_snapshot(state.SerializeAsString());
  out.set_crc(crc_of(out.snapshot()));
  return out.SerializeAsString();
}

result<local_index> decode_index(std::string_view bytes) {
  constexpr std::string_view what = "the local index";
  pb::LocalIndex in;
  if (const auto parsed = parse(in, bytes, what); !parsed) return parsed.error();
  local_index out{in.fleet(), in.partition(), in.journal_offset(), in.journal_crc(), {}};
  pb::Snapshot state;
  if (in.snapshot().empty() || crc_of(in.snapshot()) != in.crc() ||
      !state.ParseFromString(in.snapshot()) || !get(state, out.state))
    return unreadable(what);
  return out;
}

record result_record(const finished_row& r) {
  return {r.key,
          r.row,
          false,
          {{"job", r.facts.job},
           {"kind", std::string(kind_name(r.facts.kind))},
           {std::string(facts_header), encode(r.facts)}}};
}

record late_result(const std::string& session, const finished_row& r) {
  return {r.key, r.row, false, {{std::string(facts_header), encode({session, r.facts})}}};
}

record late_note(const late_record& r) {
  return {"", "", false, {{std::string(facts_header), encode(r)}}};
}

}  // namespace spillway::kafka
