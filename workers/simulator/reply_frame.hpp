// The frame of a response: status line and headers first, the body appended by the caller, and the
// length filled in at the end. Private to the reply files.
#pragma once

#include "workers/simulator/reply.hpp"

namespace spillway::simulated {

class reply_frame {
 public:
  /// Writes the head of a provider's response; `retry_after` for errors that name a time,
  /// `aws_error` for those of AWS.
  reply_frame(const reply_context&, int status, std::optional<duration> retry_after,
              std::string& out, std::string_view aws_error = {});
  reply_frame(int status, std::string_view content_type, bool keep_alive, std::string& out,
              std::string_view extra = {});
  /// To be called once, when the body is complete.
  void finish();

 private:
  void open(int status, std::string_view content_type, bool keep_alive);
  void close_head();

  std::string& out_;
  std::size_t length_at_ = 0, body_at_ = 0;
};

/// A JSON string: `prefix`, then hexadecimal digits derived from the call.
void append_id(std::string_view prefix, const reply_context&, std::string& out);
/// A UUID from 128 hashed bits.
void append_uuid(std::uint64_t call, std::string& out);
/// "2026-11-27T08:00:00Z"
void append_rfc3339(time_point, std::string& out);
[[nodiscard]] std::int64_t unix_seconds(time_point);

/// Bodies of answers that are not in one of OpenAI's forms.
void append_native_answer(const reply_context&, const call_facts&, const answer_size&,
                          std::string& out);

}  // namespace spillway::simulated
