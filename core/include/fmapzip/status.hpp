#pragma once

#include <cstddef>
#include <cstdint>

namespace fmapzip {

enum class Code : uint8_t {
  ok,
  corrupt,              // bytes that no encoder writes
  truncated,            // the bytes end before the frame does
  unsupported_version,  // a format version that this build cannot read
  unsupported_feature,  // something that only a later release can read
  limit_exceeded,       // a valid header that asks for more than the caller allows
  invalid_argument,     // the caller's map, parameters or buffers do not fit
  reference,            // a reference map is missing, or is another one
};

// What happened and, for bytes being read, where. `what` is a string literal.
struct [[nodiscard]] Status {
  Code code = Code::ok;
  const char* what = "";
  size_t offset = 0;
  uint8_t version = 0;  // the one found, with `unsupported_version`

  bool ok() const { return code == Code::ok; }
};

inline Status corrupt(const char* what, size_t offset = 0) { return {Code::corrupt, what, offset}; }
inline Status truncated(const char* what, size_t offset = 0) { return {Code::truncated, what, offset}; }
inline Status invalid(const char* what) { return {Code::invalid_argument, what, 0}; }

// The status of a part that begins at `offset` of the whole.
inline Status moved(Status status, size_t offset) {
  status.offset += offset;
  return status;
}

}  // namespace fmapzip
