#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>

namespace fmapzip {

// Large blocks of memory that are used again: fresh ones cost the kernel a fault a page, more than what is
// done with them. Blocks given back are kept up to `most` bytes, the latest ones longest.
class MemoryPool {
 public:
  explicit MemoryPool(size_t most) : most_(most) {}
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;
  ~MemoryPool();

  struct Block {
    uint8_t* data;
    size_t size;
  };

  // At least `bytes`, and at most twice as many where it is a kept one; contents are anything. Throws
  // std::bad_alloc.
  Block take(size_t bytes);
  void give_back(Block block);
  size_t kept_bytes() const;

 private:
  const size_t most_;
  mutable std::mutex mutex_;
  std::list<Block> kept_;  // latest first
  size_t kept_bytes_ = 0;
};

}  // namespace fmapzip
