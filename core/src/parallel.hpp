#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

namespace fmapzip {

// Threads that work on `count` items where the caller allows `threads`: as many scratches are needed.
inline size_t worker_count(size_t count, int threads) {
  constexpr int kMost = 1024;
  return std::clamp<size_t>(count, 1, static_cast<size_t>(std::clamp(threads, 1, kMost)));
}

// Runs task(index, worker) for every index below `count`, each worker below `workers` on a thread of its own,
// worker 0 on this one. Where threads cannot be started, those that could do all the work. The first
// exception of a task ends the run and is thrown here, once every thread has ended.
template <class Task>
void parallel_for(size_t count, size_t workers, const Task& task) {
  if (workers <= 1) {
    for (size_t i = 0; i < count; ++i) task(i, size_t{0});
    return;
  }
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto run = [&](size_t worker) noexcept {
    try {
      for (size_t i = next++; i < count; i = next++) task(i, worker);
    } catch (...) {
      next = count;  // the others stop after the item that they work on
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> pool;
    pool.reserve(workers - 1);
    try {
      for (size_t worker = 1; worker < workers; ++worker) pool.emplace_back(run, worker);
    } catch (const std::system_error&) {
    } catch (const std::bad_alloc&) {
    }
    run(0);
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace fmapzip
