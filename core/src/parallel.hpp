#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

namespace fmapzip {

// Runs task(index, worker) for every index below `count` on up to `threads` threads, this one included.
// `task` must not throw.
template <class Task>
void parallel_for(size_t count, int threads, const Task& task) {
  const size_t workers = std::min(count, static_cast<size_t>(std::max(threads, 1)));
  if (workers <= 1) {
    for (size_t i = 0; i < count; ++i) task(i, size_t{0});
    return;
  }
  std::atomic<size_t> next{0};
  const auto run = [&](size_t worker) {
    for (size_t i = next++; i < count; i = next++) task(i, worker);
  };
  std::vector<std::jthread> pool;
  pool.reserve(workers - 1);
  for (size_t worker = 1; worker < workers; ++worker) pool.emplace_back(run, worker);
  run(0);
}

}  // namespace fmapzip
