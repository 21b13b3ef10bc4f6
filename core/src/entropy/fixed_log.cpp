#include "entropy/fixed_log.hpp"

namespace fmapzip {
namespace {

// Binary digits of a logarithm, by squaring: no library function that may differ from machine to machine.
constexpr std::array<int32_t, 1 << kLogMantissaBits> make_logs() {
  std::array<int32_t, 1 << kLogMantissaBits> logs{};
  for (uint32_t n = 1; n < logs.size(); ++n) {
    const auto whole = static_cast<uint32_t>(std::bit_width(n)) - 1;
    uint64_t x = uint64_t{n} << (31 - whole);  // 1 to 2, in 2^-31
    int32_t log = static_cast<int32_t>(whole);
    for (int digit = 0; digit < 17; ++digit) {
      x = x * x >> 31;
      log = 2 * log + static_cast<int32_t>(x >> 32);
      x >>= x >> 32;
    }
    logs[n] = (log + 1) / 2;
  }
  return logs;
}

}  // namespace

constexpr std::array<int32_t, 1 << kLogMantissaBits> kLogs = make_logs();

}  // namespace fmapzip
