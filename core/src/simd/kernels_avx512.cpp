#include "simd/avx512_intrinsics.hpp"
#include "simd/kernels.hpp"

namespace fmapzip {
namespace {

struct WideRows {
  static constexpr size_t kRows = 64;
  __m512i x;

  static WideRows load(const uint8_t* p, ptrdiff_t next) {
    const auto row = [&](int i) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + i * next)); };
    const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(row(0)), row(1), 1);
    const __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(row(2)), row(3), 1);
    return {_mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1)};
  }
  void store(uint8_t* p) const { _mm512_storeu_si512(p, x); }
  static WideRows low(WideRows a, WideRows b) { return {_mm512_unpacklo_epi8(a.x, b.x)}; }
  static WideRows high(WideRows a, WideRows b) { return {_mm512_unpackhi_epi8(a.x, b.x)}; }
};

#include "simd/general_x86.inc"

inline __mmask64 first_lanes(size_t n) { return _bzhi_u64(~uint64_t{0}, static_cast<unsigned>(n)); }

// The register form of compress and a full store: the memory form is microcoded on AMD's Zen 4.
inline size_t compress64(__m512i x, __mmask64 mask, uint8_t* end) {
  _mm512_storeu_si512(end, _mm512_maskz_compress_epi8(mask, x));
  return static_cast<size_t>(_mm_popcnt_u64(mask));
}

size_t compress_nonzero(const uint8_t* src, size_t n, uint8_t* bitmap, uint8_t* values) {
  uint8_t* end = values;
  size_t i = 0;
  for (; i + 64 <= n; i += 64) {
    const __m512i x = _mm512_loadu_si512(src + i);
    const __mmask64 mask = _mm512_test_epi8_mask(x, x);
    __builtin_memcpy(bitmap + i / 8, &mask, 8);
    end += compress64(x, mask, end);
  }
  if (i < n) {
    const __m512i x = _mm512_maskz_loadu_epi8(first_lanes(n - i), src + i);
    const __mmask64 mask = _mm512_test_epi8_mask(x, x);
    __builtin_memcpy(bitmap + i / 8, &mask, (n - i + 7) / 8);
    end += compress64(x, mask, end);
  }
  return static_cast<size_t>(end - values);
}

void expand_nonzero(const uint8_t* bitmap, size_t n, const uint8_t* values, size_t count, uint8_t* dst) {
  const uint8_t* const end = values + count;
  size_t i = 0;
  for (; i + 64 <= n && end - values >= 64; i += 64) {
    const __mmask64 mask = load64(bitmap + i / 8);
    _mm512_storeu_si512(dst + i, _mm512_maskz_expand_epi8(mask, _mm512_loadu_si512(values)));
    values += _mm_popcnt_u64(mask);
  }
  for (; i < n; i += 64) {
    const size_t lanes = n - i < 64 ? n - i : 64;
    const size_t left = static_cast<size_t>(end - values);
    __mmask64 mask = 0;
    __builtin_memcpy(&mask, bitmap + i / 8, (lanes + 7) / 8);
    const __m512i x = _mm512_maskz_loadu_epi8(first_lanes(left < 64 ? left : 64), values);
    _mm512_mask_storeu_epi8(dst + i, first_lanes(lanes), _mm512_maskz_expand_epi8(mask, x));
    const size_t used = static_cast<size_t>(_mm_popcnt_u64(mask));
    values += used < left ? used : left;
  }
}

}  // namespace

const Kernels kAvx512Kernels{crc32c, transpose, compress_nonzero, expand_nonzero, popcount};

}  // namespace fmapzip
