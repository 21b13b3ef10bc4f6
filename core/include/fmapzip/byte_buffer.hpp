#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>

namespace fmapzip {

// Bytes that grow at their end and are not cleared first. Its memory is its own, or a caller's of fixed size;
// what does not fit there is counted and dropped.
class ByteBuffer {
 public:
  ByteBuffer() = default;
  ByteBuffer(uint8_t* memory, size_t capacity) : data_(memory), capacity_(capacity), borrowed_(true) {}

  const uint8_t* data() const { return data_; }
  uint8_t* data() { return data_; }
  size_t size() const { return size_; }
  bool fits() const { return size_ <= capacity_; }
  std::span<const uint8_t> bytes() const { return {data_, size_}; }
  void clear() { size_ = 0; }

  // Room for `n` bytes at the end, or null where the memory is a caller's and too small.
  uint8_t* room(size_t n) {
    if (!fits()) return nullptr;
    if (capacity_ - size_ < n) {
      if (borrowed_) return nullptr;
      grow(size_ + n);
    }
    return data_ + size_;
  }
  // The first `n` bytes of the room become part of the buffer.
  void commit(size_t n) { size_ += n; }

  void append(std::span<const uint8_t> bytes) {
    uint8_t* end = room(bytes.size());
    if (end != nullptr && !bytes.empty()) std::memcpy(end, bytes.data(), bytes.size());
    commit(bytes.size());
  }

 private:
  void grow(size_t needed) {
    const size_t capacity = std::max(needed, capacity_ + capacity_ / 2);
    std::unique_ptr<uint8_t[]> larger(new uint8_t[capacity]);
    if (size_ != 0) std::memcpy(larger.get(), data_, size_);
    own_ = std::move(larger);
    data_ = own_.get();
    capacity_ = capacity;
  }

  std::unique_ptr<uint8_t[]> own_;
  uint8_t* data_ = nullptr;
  size_t capacity_ = 0;
  size_t size_ = 0;
  bool borrowed_ = false;
};

}  // namespace fmapzip
