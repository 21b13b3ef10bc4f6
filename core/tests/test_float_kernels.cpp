// The float kernels: every instruction set gives the bits of the scalar one, whatever the length.
#include <cmath>
#include <cstring>
#include <limits>

#include "check.hpp"
#include "fmapzip/map.hpp"
#include "simd/float_kernels.hpp"

namespace fmapzip::test {
namespace {

constexpr float kScale = 0.7f;

std::vector<float> values(size_t n, std::mt19937& random) {
  std::normal_distribution<float> normal(0, 40);
  std::vector<float> found(n);
  for (float& x : found) x = normal(random);
  for (size_t i = 0; i < n; i += 3) {  // at halves of the scale, and next to them
    const float half = kScale * (std::round(found[i]) + 0.5f);
    found[i] = i % 2 == 0 ? half : std::nextafter(half, i % 4 == 1 ? -1e9f : 1e9f);
  }
  if (n > 2) found[n / 2] = 1e30f;
  return found;
}

bool same_bits(double a, double b) { return std::memcmp(&a, &b, sizeof a) == 0; }

void test_all_sets_agree(std::mt19937& random) {
  for (const size_t n : {1, 7, 15, 16, 17, 63, 64, 4095, 4096, 4097, 20000}) {
    const auto x = values(n, random);
    std::vector<float> scales(n);
    for (float& s : scales) s = 0.25f + static_cast<float>(random() % 100) / 64;
    for (const IntegerFormat format : {IntegerFormat{false, 0}, IntegerFormat{true, 0},
                                       IntegerFormat{false, 100}, IntegerFormat{true, -20}}) {
      const float lowest = format.is_signed ? -128 : 0;
      const QuantizerRange range{lowest - format.zero, lowest + 255 - format.zero};
      const ValueRange values_of{static_cast<uint8_t>(format.zero - lowest)};
      const auto add_zero = [&](std::vector<uint8_t>& q) {
        for (uint8_t& each : q) each = static_cast<uint8_t>(each + static_cast<int>(format.zero));
      };
      for (const bool each : {false, true}) {
        const auto run = [&](const FloatKernels& k, std::vector<uint8_t>& q, std::vector<float>& out,
                             size_t& nonzeros) {
          Energy energy, decoded;
          std::vector<float> restored(n);
          bool finite;
          if (each) {
            finite = k.quantize_each(x.data(), n, scales.data(), range, q.data(), nonzeros, energy);
            add_zero(q);
            k.dequantize_each(q.data(), x.data(), n, scales.data(), format, out.data(), decoded);
            k.restore_each(q.data(), n, scales.data(), format, restored.data());
          } else {
            finite = k.quantize(x.data(), n, kScale, range, q.data(), nonzeros, energy);
            add_zero(q);
            k.dequantize(q.data(), x.data(), n, kScale, format, out.data(), decoded);
            k.restore(q.data(), n, kScale, format, restored.data());
          }
          CHECK(finite);
          CHECK(restored == out);
          CHECK(same_bits(energy.signal, decoded.signal));
          CHECK(same_bits(energy.noise, decoded.noise));
          return energy;
        };
        std::vector<uint8_t> q(n), other_q(n);
        std::vector<float> out(n), other(n);
        size_t nonzeros = 0;
        const Energy energy = run(kFloatScalar, q, out, nonzeros);
        for (size_t i = 0; i < n; ++i) {
          const float y = std::nearbyint(x[i] / (each ? scales[i] : kScale));
          const float expected = std::fmin(std::fmax(y, range.low), range.high);
          const int integer = format.is_signed ? static_cast<int8_t>(q[i]) : q[i];
          CHECK(static_cast<float>(integer) - format.zero == expected);
          CHECK(values_of.value(static_cast<uint8_t>(q[i] - static_cast<int>(format.zero))) ==
                static_cast<int>(expected));
        }
        for (const InstructionSet* set : supported_sets()) {
          size_t other_nonzeros = 0;
          const Energy found = run(*set->floats, other_q, other, other_nonzeros);
          CHECK(other_q == q);
          CHECK(other == out);
          CHECK(other_nonzeros == nonzeros);
          CHECK(same_bits(found.signal, energy.signal));
          CHECK(same_bits(found.noise, energy.noise));
        }
      }
    }
  }
}

// Scales whose reciprocals are no floats, or of few bits.
void test_any_scale_divides(std::mt19937& random) {
  for (const float scale :
       {1e-45f, 1e-39f, 1e-37f, 0x1p-101f, 0x1p-100f, 1e-20f, 1.0f, 1e20f, 0x1p101f, 3e38f}) {
    std::vector<float> x(64);
    for (float& each : x) each = scale * static_cast<float>(static_cast<int>(random() % 600) - 300) / 2;
    for (float& each : x) each = std::fmin(std::fmax(each, -3e38f), 3e38f);
    for (const InstructionSet* set : supported_sets()) {
      std::vector<uint8_t> q(x.size());
      size_t nonzeros = 0;
      Energy energy;
      set->floats->quantize(x.data(), x.size(), scale, {-127, 127}, q.data(), nonzeros, energy);
      for (size_t i = 0; i < x.size(); ++i) {
        const float expected = std::fmin(std::fmax(std::nearbyint(x[i] / scale), -127.0f), 127.0f);
        CHECK(static_cast<float>(static_cast<int8_t>(q[i])) == expected);
      }
    }
  }
}

void test_what_is_not_finite_is_found_anywhere() {
  for (const float bad : {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
                          std::numeric_limits<float>::quiet_NaN()}) {
    for (size_t place = 0; place < 40; ++place) {
      std::vector<float> x(40, 1.0f);
      std::vector<uint8_t> q(40);
      x[place] = bad;
      for (const InstructionSet* set : supported_sets()) {
        size_t nonzeros = 0;
        Energy energy;
        CHECK(!set->floats->quantize(x.data(), x.size(), 1.0f, {0, 255}, q.data(), nonzeros, energy));
      }
    }
  }
}

}  // namespace
}  // namespace fmapzip::test

int main() {
  using namespace fmapzip::test;
  std::mt19937 random(7);
  test_all_sets_agree(random);
  test_any_scale_divides(random);
  test_what_is_not_finite_is_found_anywhere();
  return 0;
}
