#include "orchestrator/runtime/stripes_parallel.hpp"

#include <algorithm>
#include <thread>

#ifdef SPILLWAY_PLAIN_THREADS
#include <atomic>
#include <vector>
#else
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>
#endif

namespace spillway {

#ifdef SPILLWAY_PLAIN_THREADS
struct parallel_runner::arena {
  explicit arena(unsigned) {}
};
#else
struct parallel_runner::arena {
  explicit arena(unsigned threads) : tbb(static_cast<int>(threads)) {}
  oneapi::tbb::task_arena tbb;
};
#endif

parallel_runner::parallel_runner(unsigned threads)
    : threads_(threads > 0 ? threads : std::max(1u, std::thread::hardware_concurrency())),
      arena_(std::make_unique<arena>(threads_)) {}

parallel_runner::~parallel_runner() = default;

void parallel_runner::for_each(std::size_t count, const std::function<void(std::size_t)>& work) {
  if (threads_ == 1 || count <= 1) {
    for (std::size_t i = 0; i < count; ++i) work(i);
    return;
  }
#ifdef SPILLWAY_PLAIN_THREADS
  std::atomic<std::size_t> next{0};
  const auto run = [&] {
    for (std::size_t i = next++; i < count; i = next++) work(i);
  };
  std::vector<std::jthread> helpers;
  for (unsigned t = 1; t < threads_; ++t) helpers.emplace_back(run);
  run();
#else
  arena_->tbb.execute([&] { oneapi::tbb::parallel_for(std::size_t{0}, count, work); });
#endif
}

}  // namespace spillway
