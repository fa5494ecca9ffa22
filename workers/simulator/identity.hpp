// Who gives out credentials on the simulated clouds: Google's token endpoint and metadata server,
// Entra and managed identities, AWS's STS, instance and container endpoints; and what they gave.
// Thread-safe; no I/O but the key file, time is passed in.
#pragma once

#include "workers/simulator/faults.hpp"
#include "workers/simulator/reply.hpp"
#include "workers/simulator/request_head.hpp"
#include "workers/simulator/service_account.hpp"
#include "workers/simulator/sigv4_check.hpp"

#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace spillway::simulated {

enum class identity_service : std::uint8_t { google, entra, aws };
inline constexpr std::size_t identity_services = 3;

/// What a service did.
struct identity_counters {
  std::int64_t requests = 0, issued = 0, refused = 0, failed = 0;
};

/// What is to be done about a request to an identity service; `out` holds a response for `reply`.
struct identity_verdict {
  enum class action { reply, hang, close } what = action::reply;
  bool ours = false;  ///< false: the path belongs to no identity service
};

enum class token_state { good, expired, unknown };

class identity {
 public:
  identity(const identity_spec&, std::uint64_t seed, time_point start);

  /// Reads keys and writes the key file; `url`: where the simulator can be reached.
  [[nodiscard]] result<void> open(const std::string& url);

  /// Serves a request if its path belongs to one of the services.
  identity_verdict serve(time_point now, const request_head&, std::string_view body,
                         std::string& out);

  [[nodiscard]] token_state state_of(identity_service, std::string_view token, time_point now);
  /// Nothing: no such access key.
  [[nodiscard]] std::optional<aws_credential> keys_of(std::string_view access_key_id);
  [[nodiscard]] time_point cloud_time(time_point now) const { return now + spec_.clock_ahead; }

  // What a test changes while it runs.
  void set_faults(identity_service, std::vector<fault_config>, duration elapsed);
  void set_token_lifetime(duration);
  /// New keys: the service account's (its file is written again), the client secret or the access
  /// key as given. Fails when a file cannot be written.
  [[nodiscard]] result<void> rotate(identity_service, const std::string& secret);
  /// Everything given out so far becomes worthless.
  void revoke(identity_service);

  [[nodiscard]] identity_counters counters(identity_service) const;
  [[nodiscard]] bool is_configured(identity_service) const;

 private:
  struct given {
    time_point expires;
    aws_credential keys;  ///< of AWS
  };
  struct service {
    std::deque<std::vector<fault_config>> fault_sets;  // grows: plans refer to them
    std::optional<fault_plan> faults;
    identity_counters counters;
    std::unordered_map<std::string, given> gave;
  };
  struct response;
  enum class endpoint;

  [[nodiscard]] std::optional<endpoint> endpoint_of(const request_head&) const;
  [[nodiscard]] response answer(endpoint, time_point now, const request_head&,
                                std::string_view body);
  [[nodiscard]] response google_token(time_point now, std::string_view body);
  [[nodiscard]] response google_metadata(time_point now, const request_head&);
  [[nodiscard]] response entra_token(time_point now, const request_head&, std::string_view body);
  [[nodiscard]] response managed_identity(time_point now, const request_head&);
  [[nodiscard]] response sts(time_point now, std::string_view form);
  [[nodiscard]] response instance(time_point now, const request_head&);
  [[nodiscard]] response container(time_point now, const request_head&);

  service& of(identity_service s) { return services_[static_cast<std::size_t>(s)]; }
  [[nodiscard]] std::string issue(identity_service, std::string_view prefix, time_point now);
  /// A new access key id, which `gave` knows.
  [[nodiscard]] std::string issue_keys(time_point now);
  [[nodiscard]] std::string random_text(std::size_t digits);
  [[nodiscard]] std::string keys_json(time_point now, const char* extra);
  [[nodiscard]] std::int64_t lifetime_seconds() const;
  [[nodiscard]] result<void> write_key_file() const;

  mutable std::mutex mutex_;
  identity_spec spec_;
  const std::uint64_t seed_;
  const time_point start_;
  std::string url_;
  std::uint64_t issued_ = 0;
  std::optional<service_account> account_;
  std::string instance_token_;
  service services_[identity_services];
};

}  // namespace spillway::simulated
