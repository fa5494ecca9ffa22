// Which journal records still say something, so that the others can be deleted. Pure.
#pragma once

#include "schemas/attempt.hpp"

#include <map>
#include <span>
#include <unordered_map>
#include <vector>

namespace spillway {

/// The journal is a log of attempt records in numbered groups. A group may go once each of its
/// attempts was replaced by a later one or finished; attempts that would keep an old group alive
/// for long are carried over into a new one.
class journal {
 public:
  /// Reads a group written earlier, without the attempts of finished prompts; groups come in order.
  void restore(std::uint64_t sequence, std::span<const attempt_record>);
  [[nodiscard]] std::vector<attempt_record> open() const;

  struct step {
    std::uint64_t sequence = 0;
    std::vector<attempt_record> write;  ///< the new group; may be empty
    std::vector<std::uint64_t> remove;  ///< groups that say nothing any more
  };
  /// Takes a commit's attempts and finished positions (later than the attempts).
  [[nodiscard]] step commit(std::vector<attempt_record> attempts,
                            std::span<const position> finished);

 private:
  struct entry {
    std::uint64_t sequence = 0;
    attempt_record record;
  };
  void put(std::uint64_t sequence, std::span<const attempt_record>,
           std::vector<std::uint64_t>& removed);
  void release(std::uint64_t sequence, std::vector<std::uint64_t>& removed);
  static constexpr std::uint64_t groups_max = 4096;
  std::unordered_map<position, entry> last_;
  std::map<std::uint64_t, std::size_t> live_;  ///< group -> attempts in it that still count
  std::vector<std::uint64_t> stale_;           ///< restored groups that say nothing: to be removed
  std::uint64_t next_ = 1;
};

}  // namespace spillway
