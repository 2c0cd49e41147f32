#include "fuzz/finding.h"

#include <cstdio>
#include <cstdlib>

namespace rig {

void found(std::string_view sentence) {
  std::fprintf(stderr, "FOUND: %.*s\n", static_cast<int>(sentence.size()), sentence.data());
  std::abort();
}

}  // namespace rig
