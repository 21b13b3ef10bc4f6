#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
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

// How many of so many further threads find memory for their stacks, and for what the C library allocates in
// each: it ends the process where that fails.
size_t threads_that_fit(size_t threads);

// Runs task(index, worker) for every index below `count`, each worker below `workers` on a thread of its own,
// worker 0 on this one. Where threads cannot be started, those that could do all the work. The first
// exception of a task ends the run and is thrown here, once every thread has ended.
template <class Task>
void parallel_for(size_t count, size_t workers, const Task& task) {
  if (workers > 1) workers = 1 + threads_that_fit(workers - 1);
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
  // The C library ends the process where a thread's first exception finds no memory for its thread-local
  // data: each thread asks for it before any of them works and takes memory.
  // They meet at a condition variable: std::atomic's wait can miss its notification where libstdc++ (12) has
  // no futex to build it on.
  std::mutex gate;
  std::condition_variable is_ready, may_begin;
  size_t ready = 0;
  bool begin = false;
  const auto started = [&](size_t worker) noexcept {
    (void)std::current_exception();  // unlike uncaught_exceptions(), a call that is not left out
    {
      std::unique_lock lock(gate);
      ++ready;
      is_ready.notify_one();
      may_begin.wait(lock, [&] { return begin; });
    }
    run(worker);
  };
  {
    std::vector<std::jthread> pool;
    pool.reserve(workers - 1);
    try {
      for (size_t worker = 1; worker < workers; ++worker) pool.emplace_back(started, worker);
    } catch (const std::system_error&) {
    } catch (const std::bad_alloc&) {
    }
    {
      std::unique_lock lock(gate);
      is_ready.wait(lock, [&] { return ready == pool.size(); });
      begin = true;
    }
    may_begin.notify_all();
    run(0);
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace fmapzip
