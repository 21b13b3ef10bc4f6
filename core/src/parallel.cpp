#include "parallel.hpp"

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#include <sys/mman.h>
#endif

namespace fmapzip {

#if defined(__unix__) || defined(__APPLE__)

namespace {

// Whether so many bytes of addresses can be had. Nothing is allocated: malloc would keep what it learnt from
// it.
bool is_free(size_t bytes) {
  void* const memory = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return false;
  munmap(memory, bytes);
  return true;
}

size_t stack_bytes() {
  size_t bytes = 0;
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return bytes;
  pthread_attr_getstacksize(&attributes, &bytes);
  pthread_attr_destroy(&attributes);
  return bytes;
}

}  // namespace

size_t threads_that_fit(size_t threads) {
  constexpr size_t kAllocated = size_t{2}
                                << 20;  // of which malloc takes 1 MiB at least where it cannot grow its heap
  const size_t each = stack_bytes() + kAllocated;
  while (threads > 0 && !is_free(threads * each)) --threads;
  return threads;
}

#else

size_t threads_that_fit(size_t threads) { return threads; }

#endif

}  // namespace fmapzip
