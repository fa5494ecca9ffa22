// When a credential is fetched again, and what a refusal means. Pure: time is passed in.
#pragma once

#include "workers/auth/authenticator.hpp"

#include <optional>
#include <string>

namespace spillway {

struct refresh_rules {
  /// Before its expiry a credential is replaced this much early, or at half of the life it had when
  /// it came, if that is later.
  duration early{};
  /// False for what can't change while we run: it is fetched once, and a refusal is final.
  bool renewable = true;
  /// Asked again after a refusal no sooner than this after the last time.
  duration refused_pause = std::chrono::minutes(1);
};

/// Not thread-safe. One fetch at a time: between `started` and `succeeded` or `failed` nothing is
/// due.
class refresh_schedule {
 public:
  /// The first fetch is due at once. `seed` spreads the retries of many processes.
  refresh_schedule(refresh_rules rules, std::uint64_t seed, time_point now)
      : rules_(rules), seed_(seed), due_(now) {}

  /// When to fetch next; `time_never` while a fetch is under way or none is needed.
  [[nodiscard]] time_point due() const { return fetching_ ? time_never : due_; }
  void started(time_point now);
  /// `replaced`: it differs from the credential before it. A first one always does.
  void succeeded(time_point now, time_point expires, bool replaced);
  void failed(time_point now, std::string why);
  /// What it was read from changed: fetch at once.
  void hurry(time_point now);

  /// Whether the newest credential may be used.
  [[nodiscard]] bool usable(time_point now) const;
  /// Why there is none to use, in one line; nothing when there is.
  [[nodiscard]] std::optional<std::string> missing(time_point now) const;
  /// None came yet, and none failed to.
  [[nodiscard]] bool starting() const { return generation_ == 0 && why_.empty(); }
  /// Why the last fetch failed; empty when it did not.
  [[nodiscard]] const std::string& trouble() const { return why_; }

  /// Many calls sent with the same credential may be refused at once: they ask for one fetch.
  [[nodiscard]] refused_advice refused(std::uint64_t generation, time_point now);
  [[nodiscard]] std::uint64_t generation() const { return generation_; }

 private:
  [[nodiscard]] duration backoff(time_point now) const;

  /// Of the newest credential: what was done about its refusal.
  enum class refusal {
    none,
    asked,     ///< a fetch for its sake is due or under way; it is not used meanwhile
    answered,  ///< that fetch brought nothing new: another refusal is final
  };

  refresh_rules rules_;
  std::uint64_t seed_;
  std::uint64_t generation_ = 0;  ///< 0: none yet
  time_point due_;
  time_point last_start_{};
  time_point got_{};  ///< when the newest came
  time_point expires_ = time_never;
  bool fetching_ = false;
  bool hurried_ = false;        ///< something changed while a fetch was under way
  bool after_refusal_ = false;  ///< the newest came because the one before was refused
  refusal refusal_ = refusal::none;
  std::int64_t failures_ = 0;  ///< in a row
  std::string why_;
};

}  // namespace spillway
