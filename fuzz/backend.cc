// Compiled once for each program: which TLS library it is about.
#include "fuzz/finding.h"

namespace rig {

std::string_view fuzz_backend() noexcept {
  return RIG_FUZZ_BACKEND;
}

}  // namespace rig
