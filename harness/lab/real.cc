#include "harness/lab/real.h"

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace rig::lab {

void* real_symbol(const char* name, const char* version) noexcept {
  // A sanitizer's runtime is linked into the executable; its interceptor must stay in the chain.
  char interceptor[96] = "__interceptor_";
  std::strncat(interceptor, name, sizeof interceptor - std::strlen(interceptor) - 1);
  void* found = dlsym(RTLD_DEFAULT, interceptor);
  if (found == nullptr && version != nullptr) {
    found = dlvsym(RTLD_NEXT, name, version);
  }
  if (found == nullptr) {
    found = dlsym(RTLD_NEXT, name);
  }
  if (found == nullptr) {
    std::fprintf(stderr, "the lab: no system function '%s' behind the lab's own\n", name);
    std::abort();
  }
  return found;
}

}  // namespace rig::lab
