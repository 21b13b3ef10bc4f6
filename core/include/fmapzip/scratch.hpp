#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

#include "fmapzip/aligned.hpp"

namespace fmapzip {

// Working memory of one thread: buffers that only grow, 64-byte aligned, reused from tile to tile.
class Scratch {
 public:
  static constexpr size_t kSlots = 9;  // codecs use 0..6; the frame driver keeps the others for itself
  static constexpr size_t kDriverSlot = 7;
  static constexpr size_t kZeroPointSlot = 8;

  uint8_t* get(size_t slot, size_t bytes) {
    Buffer& b = buffers_[slot];
    if (b.size < bytes) {
      const size_t rounded = (bytes + 63) / 64 * 64;
      b.data.reset(static_cast<uint8_t*>(allocate_aligned(64, rounded)));
      b.size = b.data ? rounded : 0;
      if (!b.data) throw std::bad_alloc();
    }
    return b.data.get();
  }

 private:
  struct Free {
    void operator()(uint8_t* p) const { release_aligned(p); }
  };
  struct Buffer {
    std::unique_ptr<uint8_t, Free> data;
    size_t size = 0;
  };
  std::array<Buffer, kSlots> buffers_;
};

}  // namespace fmapzip
