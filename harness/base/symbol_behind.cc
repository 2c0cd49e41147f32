#include "harness/base/symbol_behind.h"

#include <dlfcn.h>
#include <link.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace rig {

namespace {

bool is_ours(const void* symbol) noexcept {
  dl_find_object own{};
  dl_find_object other{};
  return _dl_find_object(reinterpret_cast<void*>(&symbol_behind), &own) == 0 &&
         _dl_find_object(const_cast<void*>(symbol), &other) == 0 && own.dlfo_link_map == other.dlfo_link_map;
}

// symbol_in is what `module` and what it was linked with define.
void* symbol_in(const char* module, const char* name) noexcept {
  void* const handle = dlopen(module, RTLD_LAZY | RTLD_NOLOAD);
  if (handle == nullptr) {
    return nullptr;
  }
  void* const symbol = dlsym(handle, name);
  dlclose(handle);
  return symbol == nullptr || is_ours(symbol) ? nullptr : symbol;
}

struct Search {
  const char* name;
  void* symbol;
};

int look_into(dl_phdr_info* module, std::size_t, void* context) {
  auto& search = *static_cast<Search*>(context);
  if (module->dlpi_name[0] != '\0') {
    search.symbol = symbol_in(module->dlpi_name, search.name);
  }
  return search.symbol != nullptr ? 1 : 0;
}

}  // namespace

void* symbol_behind(const char* name, const void* caller) noexcept {
  void* const next = dlsym(RTLD_NEXT, name);
  if (next != nullptr || caller == nullptr) {
    return next;
  }
  dl_find_object object{};
  if (_dl_find_object(const_cast<void*>(caller), &object) == 0) {
    if (void* const symbol = symbol_in(object.dlfo_link_map->l_name, name); symbol != nullptr) {
      return symbol;
    }
  }
  Search search{name, nullptr};
  dl_iterate_phdr(look_into, &search);
  return search.symbol;
}

bool inside_tls_library(const void* address) noexcept {
  constexpr const char* names[] = {"libssl.",     "libcrypto.",     "libgnutls.",
                                   "libmbedtls.", "libmbedcrypto.", "libmbedx509."};
  dl_find_object object{};
  if (_dl_find_object(const_cast<void*>(address), &object) != 0) {
    return false;
  }
  const char* const path = object.dlfo_link_map->l_name;
  const char* const slash = std::strrchr(path, '/');
  const char* const file = slash != nullptr ? slash + 1 : path;
  for (const char* const name : names) {
    if (std::strncmp(file, name, std::strlen(name)) == 0) {
      return true;
    }
  }
  return false;
}

void symbol_missing(const char* name) noexcept {
  std::fprintf(stderr, "tlsrig: %s was called, and no module of the process defines it\n", name);
  std::abort();
}

}  // namespace rig
