// The frame of a response: status line and headers first, the body appended by the caller, and the
// length filled in at the end. Private to the reply files.
#pragma once

#include "workers/simulator/reply.hpp"

namespace spillway::simulated {

class reply_frame {
 public:
  /// Writes the head of a provider's response; `retry_after` for errors that name a time.
  reply_frame(const reply_context&, int status, std::optional<duration> retry_after,
              std::string& out);
  reply_frame(int status, std::string_view content_type, bool keep_alive, std::string& out);
  /// To be called once, when the body is complete.
  void finish();

 private:
  void open(int status, std::string_view content_type, bool keep_alive);
  void close_head();

  std::string& out_;
  std::size_t length_at_ = 0, body_at_ = 0;
};

}  // namespace spillway::simulated
