// Keeps one credential fresh: a thread of its own fetches, so that no send ever waits for it.
#pragma once

#include "workers/auth/credential.hpp"
#include "workers/auth/refresh_schedule.hpp"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

namespace spillway {

/// A credential in use.
struct held_credential {
  std::uint64_t generation = 0;
  credential value;
  std::optional<sigv4_signer> signer;  ///< there when `value.keys` are
};

/// Thread-safe. The first fetch begins at once, in the background.
class credential_keeper {
 public:
  /// `scope` is what signatures are bound to. `first`: what the source gave already, if it did.
  credential_keeper(std::unique_ptr<credential_source> source, refresh_rules rules,
                    sigv4_scope scope, auth_world& world, std::optional<credential> first);
  /// Returns promptly also while a fetch is under way.
  ~credential_keeper();

  /// The newest; the text of `missing` when there is none to use.
  [[nodiscard]] result<std::shared_ptr<const held_credential>> current();
  [[nodiscard]] std::optional<std::string> missing();
  [[nodiscard]] bool starting();
  [[nodiscard]] refused_advice refused(std::uint64_t generation);
  [[nodiscard]] std::uint64_t generation();

 private:
  void run(const std::stop_token&);
  void fetch_if_due(std::unique_lock<std::mutex>&, const std::stop_token&);
  void look_at_files(std::unique_lock<std::mutex>&);
  void take(time_point now, credential);
  void step_without_threads(std::unique_lock<std::mutex>&);

  const std::unique_ptr<credential_source> source_;  // used by whoever is fetching
  const refresh_rules rules_;
  const sigv4_scope scope_;
  auth_world& world_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  refresh_schedule schedule_;
  std::shared_ptr<const held_credential> held_;  // null until the first came
  std::vector<file_stamp> files_;                // as they were when last looked at
  time_point files_due_{};
  std::jthread thread_;  // last: joins before the rest goes
};

}  // namespace spillway
