// Bytes received and not yet used, always with readable bytes behind them for simdjson.
#pragma once

#include "workers/simulator/call_reader.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>

namespace spillway::simulated {

class input_buffer {
 public:
  input_buffer() { allocate(capacity_start); }

  [[nodiscard]] std::string_view view() const { return {data_.get() + begin_, end_ - begin_}; }
  /// Where to receive to; at least `wanted` bytes. Moves what `view` shows.
  std::span<char> room(std::size_t wanted) {
    if (capacity_ - end_ < wanted) make_room(wanted);
    return {data_.get() + end_, capacity_ - end_};
  }
  void received(std::size_t n) { end_ += n; }
  void used(std::size_t n) {
    begin_ += n;
    if (begin_ != end_) return;
    begin_ = end_ = 0;
    if (capacity_ > capacity_kept) allocate(capacity_start);
  }

 private:
  static constexpr std::size_t capacity_start = 8u << 10;
  static constexpr std::size_t capacity_kept = 256u << 10;

  void allocate(std::size_t capacity) {
    data_ = std::make_unique_for_overwrite<char[]>(capacity + call_reader::padding);
    capacity_ = capacity;
  }
  void make_room(std::size_t wanted) {
    const std::size_t held = end_ - begin_;
    if (capacity_ - held >= wanted) {
      std::memmove(data_.get(), data_.get() + begin_, held);
    } else {
      const auto old = std::move(data_);
      allocate(std::max(held + wanted, 2 * capacity_));
      std::memcpy(data_.get(), old.get() + begin_, held);
    }
    begin_ = 0;
    end_ = held;
  }

  std::unique_ptr<char[]> data_;
  std::size_t capacity_ = 0, begin_ = 0, end_ = 0;
};

}  // namespace spillway::simulated
