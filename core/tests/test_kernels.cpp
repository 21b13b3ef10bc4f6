// Every general kernel on every instruction set against the scalar one.
#include <algorithm>

#include "check.hpp"
#include "simd/kernels.hpp"

namespace fmapzip::test {
namespace {

constexpr size_t kSlack = 64;

void test_crc32c_of_the_check_string() {
  const auto* text = reinterpret_cast<const uint8_t*>("123456789");
  for (const InstructionSet* set : supported_sets()) CHECK(~set->general->crc32c(text, 9, ~0u) == 0xE3069283);
}

void test_crc32c_at_all_lengths(std::mt19937& random) {
  for (const size_t n : {0, 1, 7, 8, 63, 3071, 3072, 3073, 9300, 20000}) {
    const auto bytes = sparse_bytes(n, 0.9, random);
    const uint32_t expected = kScalarKernels.crc32c(bytes.data(), n, 0x12345678);
    for (const InstructionSet* set : supported_sets()) {
      CHECK(set->general->crc32c(bytes.data(), n, 0x12345678) == expected);
    }
  }
}

void test_nonzero_compression_and_expansion(std::mt19937& random) {
  for (size_t n = 1; n < 400; n += 1 + n / 40) {
    for (const double share : {0.0, 0.1, 0.5, 1.0}) {
      const auto values = sparse_bytes(n, share, random);
      std::vector<uint8_t> bitmap((n + 7) / 8), packed(n + kSlack);
      const size_t count = kScalarKernels.compress_nonzero(values.data(), n, bitmap.data(), packed.data());
      packed.resize(count);
      packed.shrink_to_fit();
      for (const InstructionSet* set : supported_sets()) {
        const Kernels& k = *set->general;
        std::vector<uint8_t> other_bitmap((n + 7) / 8), other(n + kSlack), back(n, 0xAA);
        CHECK(k.compress_nonzero(values.data(), n, other_bitmap.data(), other.data()) == count);
        CHECK(other_bitmap == bitmap);
        CHECK(std::equal(packed.begin(), packed.end(), other.begin()));
        CHECK(k.popcount(bitmap.data(), bitmap.size()) == count);
        k.expand_nonzero(bitmap.data(), n, packed.data(), count, back.data());
        CHECK(back == values);
      }
    }
  }
}

// Another thread may change a bitmap after its ones were counted; the sanitizer sees a read past the values.
void test_expansion_of_a_bitmap_with_more_ones_than_values(std::mt19937& random) {
  for (size_t n = 1; n < 400; n += 1 + n / 40) {
    for (size_t count = 0; count < n; count += 1 + n / 8) {
      const std::vector<uint8_t> bitmap((n + 7) / 8, 0xFF);
      const auto packed = sparse_bytes(count, 1.0, random);
      for (const InstructionSet* set : supported_sets()) {
        std::vector<uint8_t> result(n, 0xAA);
        set->general->expand_nonzero(bitmap.data(), n, packed.data(), count, result.data());
        CHECK(std::equal(packed.begin(), packed.end(), result.begin()));
        CHECK(std::all_of(result.begin() + static_cast<ptrdiff_t>(count), result.end(),
                          [](uint8_t x) { return x == 0; }));
      }
    }
  }
}

void test_transposition(std::mt19937& random) {
  for (const size_t rows : {1, 15, 16, 17, 64, 70}) {
    for (const size_t cols : {1, 3, 16, 31, 49}) {
      const auto source = sparse_bytes(rows * cols, 1.0, random);
      for (const InstructionSet* set : supported_sets()) {
        std::vector<uint8_t> result(rows * cols);
        set->general->transpose(source.data(), static_cast<ptrdiff_t>(cols), rows, cols, result.data(),
                                static_cast<ptrdiff_t>(rows));
        for (size_t r = 0; r < rows; ++r) {
          for (size_t k = 0; k < cols; ++k) CHECK(result[k * rows + r] == source[r * cols + k]);
        }
      }
    }
  }
}

}  // namespace
}  // namespace fmapzip::test

int main() {
  using namespace fmapzip::test;
  std::mt19937 random(1);
  test_crc32c_of_the_check_string();
  test_crc32c_at_all_lengths(random);
  test_nonzero_compression_and_expansion(random);
  test_expansion_of_a_bitmap_with_more_ones_than_values(random);
  test_transposition(random);
  return 0;
}
