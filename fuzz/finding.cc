#include "fuzz/finding.h"

#include <cstdio>
#include <cstdlib>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
// What costs half of the time and is asked of the same inputs elsewhere: the tests `corpus.*` replay them with all of
// it (rig_test_environment). ASAN_OPTIONS overrides these. A freed block is kept far longer than a run takes.
extern "C" __attribute__((no_sanitize("all"))) const char* __asan_default_options() {
  return "detect_stack_use_after_return=0:quarantine_size_mb=1:thread_local_quarantine_size_kb=64:"
         "max_malloc_fill_size=0:malloc_context_size=4";
}
#endif
#endif

namespace rig {

void found(std::string_view sentence) {
  std::fprintf(stderr, "FOUND: %.*s\n", static_cast<int>(sentence.size()), sentence.data());
  std::abort();
}

}  // namespace rig
