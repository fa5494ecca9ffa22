// Prompts waiting for their first send, kept as ranges of positions; bodies only for the next few.
#pragma once

#include "orchestrator/core/stripes.hpp"
#include "schemas/prompt.hpp"

#include <array>
#include <deque>
#include <set>
#include <vector>

namespace spillway {

/// A run of neighbouring positions of one class within a shard.
struct index_range {
  std::uint16_t first = 0, count = 0;
};

/// The prompts of one class in one shard whose bodies are not in memory.
struct shard_slice {
  shard_id shard;
  std::uint32_t bytes = 0;  ///< of their lines, so that loading can be planned
  std::vector<index_range> ranges;
};

/// What a class waits for, spread over the stripes.
struct class_queue {
  std::string model;
  endpoint_kind endpoint = endpoint_kind::chat_completions;
  std::deque<shard_slice> unloaded;  ///< in reading order
  std::size_t loaded_bytes = 0;
  std::size_t requested_bytes = 0;  ///< of slices asked for and not yet here
  std::size_t requested = 0;        ///< those slices: the first so many of `unloaded`

  struct stripe_part {
    std::deque<prompt> fresh;                                ///< loaded, in reading order
    std::set<std::pair<time_point, std::uint32_t>> waiting;  ///< (ready at, position) of retries
  };
  std::array<stripe_part, stripe_count> stripes;
};

}  // namespace spillway
