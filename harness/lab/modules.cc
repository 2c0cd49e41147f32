#include <dlfcn.h>
#include <link.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "harness/lab/state.h"

namespace rig::lab {
namespace {

struct Range {
  std::uintptr_t begin;
  std::uintptr_t end;
};

struct Modules {
  std::vector<Range> ranges;
  unsigned long long changes = 0;  // of the process's list of modules
};

Modules& modules() {
  static constinit Modules* all = nullptr;
  if (all == nullptr) {
    all = new Modules;  // never destroyed: destructors of others may still call the lab
  }
  return *all;
}

// What TLS libraries are made of, on the systems that the rig knows.
constexpr const char* names[] = {"libssl.",     "libcrypto.", "libgnutls.",  "libnettle.",     "libhogweed.", "libgmp.",
                                 "libp11-kit.", "libtasn1.",  "libmbedtls.", "libmbedcrypto.", "libmbedx509."};

int visit(dl_phdr_info* module, std::size_t, void* context) {
  auto& all = *static_cast<Modules*>(context);
  all.changes = module->dlpi_adds + module->dlpi_subs;
  const char* slash = std::strrchr(module->dlpi_name, '/');
  const char* file = slash != nullptr ? slash + 1 : module->dlpi_name;
  bool known = false;
  for (const char* name : names) {
    known = known || std::strncmp(file, name, std::strlen(name)) == 0;
  }
  for (int i = 0; known && i < module->dlpi_phnum; ++i) {
    const auto& header = module->dlpi_phdr[i];
    if (header.p_type == PT_LOAD && (header.p_flags & PF_X) != 0) {
      const std::uintptr_t begin = module->dlpi_addr + header.p_vaddr;
      all.ranges.push_back({.begin = begin, .end = begin + header.p_memsz});
    }
  }
  return 0;
}

int count_changes(dl_phdr_info* module, std::size_t, void* changes) {
  *static_cast<unsigned long long*>(changes) = module->dlpi_adds + module->dlpi_subs;
  return 1;
}

}  // namespace

void find_tls_libraries() {
  unsigned long long changes = 0;
  dl_iterate_phdr(count_changes, &changes);
  Modules& all = modules();
  if (changes != all.changes) {
    all.ranges.clear();
    dl_iterate_phdr(visit, &all);
  }
}

bool inside_tls_library(const void* address) {
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  for (const Range& range : modules().ranges) {
    if (at >= range.begin && at < range.end) {
      return true;
    }
  }
  return false;
}

}  // namespace rig::lab
