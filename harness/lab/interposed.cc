#include <dlfcn.h>

#include <string>

#include "harness/lab/exports.h"
#include "harness/lab/lab.h"

namespace rig::lab {
namespace {

// module_of answers where the code at `address` was loaded from.
Dl_info module_of(const void* address) {
  Dl_info info{};
  dladdr(address, &info);
  return info;
}

Status look() {
  const Dl_info here = module_of(reinterpret_cast<const void*>(&interposed));
  for (const char* name : exports()) {
    const void* found = dlsym(RTLD_DEFAULT, name);
    const Dl_info there = module_of(found);
    if (found == nullptr || there.dli_fbase != here.dli_fbase) {
      return std::unexpected(
          Error(Code::internal, std::string(name) + " leads to " +
                                    (found == nullptr || there.dli_fname == nullptr ? "nothing" : there.dli_fname) +
                                    " and not to the lab: the program must be linked with the lab's dynamic list"));
    }
  }
  return {};
}

}  // namespace

Status interposed() {
  static const Status found = look();
  return found;
}

}  // namespace rig::lab
