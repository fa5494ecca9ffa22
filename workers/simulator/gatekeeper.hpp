// Who may call a pool: keys, tokens and signatures, refused in the provider's own words.
#pragma once

#include "workers/simulator/identity.hpp"
#include "workers/simulator/reply.hpp"
#include "workers/simulator/sigv4_check.hpp"

#include <mutex>
#include <optional>
#include <vector>

namespace spillway::simulated {

/// Thread-safe.
class gatekeeper {
 public:
  /// Both must outlive it.
  gatekeeper(const pool_spec&, identity&);

  /// Nothing: may pass. `elapsed`: since the simulator started.
  [[nodiscard]] std::optional<error_reply> refuse(const request_head&, std::string_view body,
                                                  wire_form, time_point now, duration elapsed);
  /// From now on these keys hold instead.
  void set_keys(std::vector<key_spec>);

 private:
  enum class key_state { good, expired, unknown };
  [[nodiscard]] key_state state_of_key(std::string_view key, duration elapsed);
  [[nodiscard]] std::optional<error_reply> refuse_signature(const request_head&,
                                                            std::string_view body, time_point now);
  [[nodiscard]] std::optional<error_reply> refuse_token(std::string_view token, wire_form,
                                                        time_point now);

  const pool_spec& pool_;
  identity& identity_;
  std::mutex mutex_;
  std::vector<key_spec> keys_;
  bool open_ = false;
  sigv4_checker signatures_;
};

}  // namespace spillway::simulated
