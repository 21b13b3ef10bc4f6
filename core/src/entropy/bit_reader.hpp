#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace fmapzip {

// Bits of hostile bytes, least significant first. Reading past the end gives zeros and is told by `ok`.
class BitReader {
 public:
  explicit BitReader(std::span<const uint8_t> data) : data_(data) {}

  uint32_t bit() {
    const size_t byte = position_ / 8;
    const uint32_t value = byte < data_.size() ? (data_[byte] >> (position_ % 8)) & 1u : 0u;
    ++position_;
    return value;
  }

  uint32_t bits(uint32_t count) {
    uint32_t value = 0;
    for (uint32_t i = 0; i < count; ++i) value |= bit() << i;
    return value;
  }

  // Rice code: ones for the quotient, ended by a zero, then `k` bits; after 15 ones, 16 bits hold the value.
  uint32_t rice(uint32_t k) {
    uint32_t quotient = 0;
    while (quotient < kRiceEscape && bit() == 1) ++quotient;
    return quotient == kRiceEscape ? bits(16) : (quotient << k) | bits(k);
  }

  // Rice code of a signed value: 0, -1, 1, -2, ...
  int32_t signed_rice(uint32_t k) {
    const uint32_t u = rice(k);
    return (u & 1) ? -static_cast<int32_t>((u + 1) / 2) : static_cast<int32_t>(u / 2);
  }

  bool ok() const { return position_ <= 8 * data_.size(); }
  // Whether `count` more codes of at least `bits` bits can follow: asked before memory is taken for them.
  bool holds(size_t count, size_t bits) const {
    return ok() && count <= (8 * data_.size() - position_) / bits;
  }
  size_t byte() const { return position_ / 8 < data_.size() ? position_ / 8 : data_.size(); }

  // Everything was read, and the spare bits of the last byte are zero.
  bool at_end() {
    if (!ok() || (position_ + 7) / 8 != data_.size()) return false;
    while (position_ % 8 != 0) {
      if (bit() != 0) return false;
    }
    return true;
  }

 private:
  static constexpr uint32_t kRiceEscape = 15;

  std::span<const uint8_t> data_;
  size_t position_ = 0;
};

}  // namespace fmapzip
