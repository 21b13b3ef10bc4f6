// The memory pool: what is given back is given out again, within its limits, to one owner at a time.
#include <algorithm>
#include <atomic>
#include <set>
#include <thread>

#include "check.hpp"
#include "memory_pool.hpp"

namespace fmapzip::test {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

void test_a_block_is_used_again() {
  MemoryPool pool(8 * kMiB);
  const auto first = pool.take(kMiB);
  CHECK(first.size >= kMiB);
  std::fill_n(first.data, first.size, uint8_t{1});
  pool.give_back(first);
  CHECK(pool.kept_bytes() == first.size);
  const auto second = pool.take(first.size / 2);
  CHECK(second.data == first.data);
  CHECK(second.size == first.size);
  CHECK(pool.kept_bytes() == 0);
  pool.give_back(second);
}

void test_a_small_want_does_not_take_a_large_block() {
  MemoryPool pool(8 * kMiB);
  const auto large = pool.take(kMiB);
  pool.give_back(large);
  const auto small = pool.take(large.size / 2 - 1);
  CHECK(small.data != large.data);
  CHECK(pool.kept_bytes() == large.size);
  pool.give_back(small);
}

void test_the_smallest_that_is_enough_is_taken() {
  MemoryPool pool(16 * kMiB);
  const MemoryPool::Block blocks[] = {pool.take(5 * kMiB / 4), pool.take(kMiB), pool.take(3 * kMiB / 2)};
  for (const auto& block : blocks) pool.give_back(block);
  const auto found = pool.take(kMiB);
  CHECK(found.data == blocks[1].data);
  pool.give_back(found);
}

void test_the_oldest_go_where_too_much_is_kept() {
  MemoryPool pool(2 * kMiB);
  const MemoryPool::Block blocks[] = {pool.take(kMiB), pool.take(kMiB), pool.take(kMiB)};
  for (const auto& block : blocks) pool.give_back(block);
  CHECK(pool.kept_bytes() == blocks[1].size + blocks[2].size);
  const auto a = pool.take(kMiB), b = pool.take(kMiB);
  CHECK(pool.kept_bytes() == 0);
  CHECK((std::set{a.data, b.data} == std::set{blocks[1].data, blocks[2].data}));
  pool.give_back(a);
  pool.give_back(b);
}

void test_nothing_is_kept_beyond_the_limit() {
  MemoryPool pool(kMiB - 1);
  pool.give_back(pool.take(kMiB));
  CHECK(pool.kept_bytes() == 0);
}

void test_blocks_of_huge_pages_begin_at_one() {
  MemoryPool pool(0);
  const auto block = pool.take(3 * kMiB);
  CHECK(block.size % (2 * kMiB) == 0);
  CHECK(reinterpret_cast<uintptr_t>(block.data) % (2 * kMiB) == 0);
  pool.give_back(block);
}

void test_more_than_there_is_cannot_be_had() {
  MemoryPool pool(kMiB);
  bool refused = false;
  try {
    (void)pool.take(SIZE_MAX - 1);
  } catch (const std::bad_alloc&) {
    refused = true;
  }
  CHECK(refused);
  CHECK(pool.kept_bytes() == 0);
}

void test_threads_never_share_a_block() {
  MemoryPool pool(kMiB);
  std::atomic<bool> shared{false};
  const auto work = [&](uint8_t own) {
    for (size_t i = 0; i < 200; ++i) {
      const auto block = pool.take(4096 * (1 + i % 5));
      std::fill_n(block.data, block.size, own);
      std::this_thread::yield();
      if (std::count(block.data, block.data + block.size, own) != static_cast<ptrdiff_t>(block.size)) {
        shared = true;
      }
      pool.give_back(block);
    }
  };
  {
    std::vector<std::jthread> threads;
    for (uint8_t own = 1; own <= 4; ++own) threads.emplace_back(work, own);
  }
  CHECK(!shared);
  CHECK(pool.kept_bytes() <= kMiB);
}

}  // namespace
}  // namespace fmapzip::test

int main() {
  using namespace fmapzip::test;
  test_a_block_is_used_again();
  test_a_small_want_does_not_take_a_large_block();
  test_the_smallest_that_is_enough_is_taken();
  test_the_oldest_go_where_too_much_is_kept();
  test_nothing_is_kept_beyond_the_limit();
  test_blocks_of_huge_pages_begin_at_one();
  test_more_than_there_is_cannot_be_had();
  test_threads_never_share_a_block();
  return 0;
}
