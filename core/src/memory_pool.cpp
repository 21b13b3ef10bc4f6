#include "memory_pool.hpp"

#include <iterator>
#include <new>

#include "fmapzip/aligned.hpp"

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace fmapzip {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kPage = 4096;

MemoryPool::Block allocate(size_t bytes) {
  const size_t unit = bytes >= kHugePage ? kHugePage : kPage;
  const size_t size = (bytes + unit - 1) / unit * unit;
  void* const data = size < bytes ? nullptr : allocate_aligned(unit, size);
  if (data == nullptr) throw std::bad_alloc();
#ifdef __linux__
  if (unit == kHugePage) (void)madvise(data, size, MADV_HUGEPAGE);  // advice alone
#endif
  return {static_cast<uint8_t*>(data), size};
}

}  // namespace

MemoryPool::~MemoryPool() {
  for (const Block& block : kept_) release_aligned(block.data);
}

MemoryPool::Block MemoryPool::take(size_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    auto best = kept_.end();
    for (auto block = kept_.begin(); block != kept_.end(); ++block) {
      if (block->size < bytes || block->size / 2 > bytes) continue;
      if (best == kept_.end() || block->size < best->size) best = block;
    }
    if (best != kept_.end()) {
      const Block found = *best;
      kept_.erase(best);
      kept_bytes_ -= found.size;
      return found;
    }
  }
  return allocate(bytes);
}

void MemoryPool::give_back(Block block) {
  std::list<Block> dropped;
  {
    const std::lock_guard lock(mutex_);
    kept_.push_front(block);
    kept_bytes_ += block.size;
    while (kept_bytes_ > most_) {
      kept_bytes_ -= kept_.back().size;
      dropped.splice(dropped.end(), kept_, std::prev(kept_.end()));
    }
  }
  for (const Block& old : dropped) release_aligned(old.data);
}

size_t MemoryPool::kept_bytes() const {
  const std::lock_guard lock(mutex_);
  return kept_bytes_;
}

}  // namespace fmapzip
