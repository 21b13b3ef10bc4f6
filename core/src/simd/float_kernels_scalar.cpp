#include "simd/float_kernels.hpp"
#include "simd/inline.hpp"

namespace fmapzip {
namespace {

constexpr size_t kLanes = kEnergyLanes;

struct Lanes {
  float x[kLanes];

  template <class At>
  FMAPZIP_INLINE static Lanes each(At at) {
    Lanes found;
    for (size_t k = 0; k < kLanes; ++k) found.x[k] = at(k);
    return found;
  }
  FMAPZIP_INLINE static Lanes of(float value) {
    return each([=](size_t) { return value; });
  }
  FMAPZIP_INLINE static Lanes load(const float* p) {
    return each([=](size_t k) { return p[k]; });
  }
  template <bool kSigned>
  FMAPZIP_INLINE static Lanes from_bytes(const uint8_t* p) {
    constexpr int32_t bias = kSigned ? 0x80 : 0;  // two's complement as an unsigned byte less 128
    return each([=](size_t k) { return static_cast<float>((p[k] ^ bias) - bias); });
  }
  FMAPZIP_INLINE void store(float* p) const { __builtin_memcpy(p, x, sizeof x); }
  FMAPZIP_INLINE Lanes clamped(const Lanes& low, const Lanes& high) const {
    return each([&](size_t k) {
      const float least = x[k] > low.x[k] ? x[k] : low.x[k];
      return least < high.x[k] ? least : high.x[k];
    });
  }
  // Returns how many are not zero.
  FMAPZIP_INLINE uint32_t put_low_bytes(uint8_t* p) const {
    uint32_t count = 0;
    for (size_t k = 0; k < kLanes; ++k) {
      uint32_t bits;
      __builtin_memcpy(&bits, x + k, sizeof bits);
      p[k] = static_cast<uint8_t>(bits);
      count += static_cast<uint32_t>(p[k] != 0);
    }
    return count;
  }
  FMAPZIP_INLINE Lanes operator+(const Lanes& y) const {
    return each([&](size_t k) { return x[k] + y.x[k]; });
  }
  FMAPZIP_INLINE Lanes operator-(const Lanes& y) const {
    return each([&](size_t k) { return x[k] - y.x[k]; });
  }
  FMAPZIP_INLINE Lanes operator*(const Lanes& y) const {
    return each([&](size_t k) { return x[k] * y.x[k]; });
  }
  FMAPZIP_INLINE Lanes operator/(const Lanes& y) const {
    return each([&](size_t k) { return x[k] / y.x[k]; });
  }
};

#include "simd/float_kernels.inc"

}  // namespace

const FloatKernels kFloatScalar{quantize, quantize_each, restore, restore_each, dequantize, dequantize_each};

}  // namespace fmapzip
