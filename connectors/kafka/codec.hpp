// Bytes of the fleet's records <-> values. Everything that is read is checked: a record of a newer
// version, or bytes that make no sense, are storage failures that say so.
#pragma once

#include "connectors/kafka/record.hpp"
#include "connectors/kafka/values.hpp"

#include <string>
#include <string_view>

namespace spillway::kafka {

/// Header that carries what ours read without parsing the row.
inline constexpr std::string_view facts_header = "spillway";

[[nodiscard]] std::string encode(const result_facts&);
[[nodiscard]] std::string encode(const journal_record&);
[[nodiscard]] std::string encode(const late_record&);
[[nodiscard]] std::string encode(const local_index&);

[[nodiscard]] result<result_facts> decode_facts(std::string_view);
[[nodiscard]] result<journal_record> decode_journal_record(std::string_view);
[[nodiscard]] result<late_record> decode_late(std::string_view);
/// Fails, too, when the bytes are not what was written.
[[nodiscard]] result<local_index> decode_index(std::string_view);

/// A row as consumers find it on `results`.
[[nodiscard]] record result_record(const finished_row&);
/// The same on its way through `late`; and what ended without a result, or that nothing follows.
[[nodiscard]] record late_result(const std::string& session, const finished_row&);
[[nodiscard]] record late_note(const late_record&);

}  // namespace spillway::kafka
