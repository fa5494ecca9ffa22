// Strong identifiers. Two ids of different kinds neither compare nor convert.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace spillway {

template <class Tag, class Rep>
class strong_id {
 public:
  using rep = Rep;
  constexpr strong_id() = default;
  constexpr explicit strong_id(Rep value) : value_(value) {}
  [[nodiscard]] constexpr Rep value() const { return value_; }
  constexpr auto operator<=>(const strong_id&) const = default;

 private:
  Rep value_{};
};

/// A partition of the log: the unit of ownership. The embedded log has only partition 0.
using partition_id = strong_id<struct partition_tag, std::uint32_t>;
/// Names a job within a process, never reused. The embedded log has only job 0.
using job_number = strong_id<struct job_tag, std::uint32_t>;
/// Index of a shard in its partition, in reading order.
using shard_id = strong_id<struct shard_tag, std::uint32_t>;
/// Index of an input file in the order it was given.
using file_id = strong_id<struct file_tag, std::uint32_t>;
/// Index into the configured pools, and into the flat list of all lanes of all pools.
using pool_id = strong_id<struct pool_tag, std::uint32_t>;
using lane_id = strong_id<struct lane_tag, std::uint32_t>;
inline constexpr lane_id no_lane{UINT32_MAX};
/// Index of a class of prompts: (model, endpoint) within the job.
using class_id = strong_id<struct class_tag, std::uint32_t>;
/// Number of a commit group within one run of a log; groups become durable in this order.
using commit_seq = strong_id<struct commit_tag, std::uint64_t>;
/// Names one send (one intent) within a run.
using call_id = strong_id<struct call_tag, std::uint64_t>;

inline constexpr std::uint32_t shard_prompts_max = 512;
inline constexpr std::uint32_t shard_count_max = 1u << 23;  // a position fits 32 bits

/// Where a prompt stands: its shard and its index there. Ordered as the input is.
class position {
 public:
  constexpr position() = default;
  constexpr position(shard_id shard, std::uint32_t index)
      : value_(shard.value() * shard_prompts_max + index) {}
  constexpr static position from_value(std::uint32_t v) {
    position p;
    p.value_ = v;
    return p;
  }
  [[nodiscard]] constexpr std::uint32_t value() const { return value_; }
  [[nodiscard]] constexpr shard_id shard() const { return shard_id(value_ / shard_prompts_max); }
  [[nodiscard]] constexpr std::uint32_t index() const { return value_ % shard_prompts_max; }
  constexpr auto operator<=>(const position&) const = default;

 private:
  std::uint32_t value_ = 0;
};

}  // namespace spillway

template <class Tag, class Rep>
struct std::hash<spillway::strong_id<Tag, Rep>> {
  std::size_t operator()(spillway::strong_id<Tag, Rep> id) const noexcept {
    return std::hash<Rep>{}(id.value());
  }
};

template <>
struct std::hash<spillway::position> {
  std::size_t operator()(spillway::position p) const noexcept {
    return static_cast<std::size_t>(p.value()) * 0x9E3779B97F4A7C15ull;
  }
};
