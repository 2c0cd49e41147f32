// SymbolBehind: the function of a library behind one of the same name that the rig defines.
#pragma once

#include <atomic>

namespace rig {

// symbol_behind finds the definition of `name` that a program without ours would have called: the next one in the
// process's order, else, for a library that came in with a module of its own, the one that the module of `caller` sees,
// else the first module's that defines it. Null if nobody does. It may allocate and take the loader's lock. Thread:
// any.
void* symbol_behind(const char* name, const void* caller) noexcept;

// inside_tls_library says whether an address is code of OpenSSL, GnuTLS or mbedTLS, in a module of its own. It takes no
// lock. Thread: any.
bool inside_tls_library(const void* address) noexcept;

// symbol_missing ends the process: a function was called whose library cannot be found.
[[noreturn]] void symbol_missing(const char* name) noexcept;

// SymbolBehind is such a function. It works before any constructor has run. Thread: any.
template <class Signature>
class SymbolBehind;

// SymbolBehind of a function.
template <class Result, class... Arguments>
class SymbolBehind<Result(Arguments...)> {
 public:
  using Pointer = Result (*)(Arguments...);

  constexpr explicit SymbolBehind(const char* name) noexcept : name_(name) {}

  // find looks it up, with `caller` if the process's own order does not hold it. Null if the library is not there.
  Pointer find(const void* caller) noexcept {
    Pointer found = found_.load(std::memory_order_relaxed);
    if (found == nullptr) [[unlikely]] {
      found = reinterpret_cast<Pointer>(symbol_behind(name_, caller));
      found_.store(found, std::memory_order_relaxed);
    }
    return found;
  }

  // A call goes to the real function. Aborts, naming it, if there is none.
  Result operator()(Arguments... arguments) {
    const Pointer found = find(__builtin_return_address(0));
    if (found == nullptr) [[unlikely]] {
      symbol_missing(name_);
    }
    return found(arguments...);
  }

 private:
  const char* name_;
  std::atomic<Pointer> found_{nullptr};
};

// SymbolBehind of a function that throws nothing.
template <class Result, class... Arguments>
class SymbolBehind<Result(Arguments...) noexcept> : public SymbolBehind<Result(Arguments...)> {
 public:
  using SymbolBehind<Result(Arguments...)>::SymbolBehind;
};

// SoughtEarly looks a function up while the program starts: at its first call a lock may be held that a look-up needs.
struct SoughtEarly {
  template <class Signature>
  explicit SoughtEarly(SymbolBehind<Signature>& symbol) noexcept {
    symbol.find(nullptr);
  }
};

}  // namespace rig

// RIG_BEHIND defines behind_NAME, to be called as the library's function.
#define RIG_BEHIND(name)                                                       \
  inline constinit ::rig::SymbolBehind<decltype(::name)> behind_##name{#name}; \
  inline const ::rig::SoughtEarly sought_##name {                              \
    behind_##name                                                              \
  }
