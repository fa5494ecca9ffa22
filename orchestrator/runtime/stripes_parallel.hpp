// The production form of the stripes seam.
#pragma once

#include "schemas/ids.hpp"

#include <functional>
#include <memory>

namespace spillway {

/// Runs indexed work on a bounded set of threads: oneTBB, or plain threads where a build asks for
/// them (SPILLWAY_PLAIN_THREADS: race detection does not understand an uninstrumented TBB).
class parallel_runner {
 public:
  /// `threads` 0: one a core.
  explicit parallel_runner(unsigned threads);
  ~parallel_runner();
  parallel_runner(const parallel_runner&) = delete;
  parallel_runner& operator=(const parallel_runner&) = delete;

  /// Calls `work(i)` once for each i in [0, count) and returns when all are done. Runs on the
  /// calling thread when there is only one thread to use.
  void for_each(std::size_t count, const std::function<void(std::size_t)>& work);
  [[nodiscard]] unsigned threads() const { return threads_; }

 private:
  struct arena;
  unsigned threads_;
  std::unique_ptr<arena> arena_;
};

}  // namespace spillway
