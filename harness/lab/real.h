// Real: the system's own function behind one that the lab defines.
#pragma once

#include <atomic>

namespace rig::lab {

// real_symbol finds the function that a program without the lab would have called: the sanitizer's interceptor where
// there is one, else the next definition after the executable's. `version` picks one of several (pthread_cond_*: an
// unversioned look-up may answer the one of 2002). Aborts, naming the symbol, if there is none.
void* real_symbol(const char* name, const char* version) noexcept;

// RealCall looks its function up at the first call, so that it works before any constructor has run. Thread: any.
// It throws what the function throws: around one that throws nothing no caller needs a frame, and a dormant lab's call
// is a jump.
template <bool throws_nothing, class Result, class... Arguments>
class RealCall {
 public:
  using Pointer = Result (*)(Arguments...) noexcept(throws_nothing);

  constexpr explicit RealCall(const char* name, const char* version = nullptr) : name_(name), version_(version) {}

  Result operator()(Arguments... arguments) noexcept(throws_nothing) {
    const Pointer found = found_.load(std::memory_order_relaxed);
    return found != nullptr ? found(arguments...) : first_call(arguments...);
  }

  Pointer get() noexcept {
    const Pointer found = found_.load(std::memory_order_relaxed);
    return found != nullptr ? found : look_up();
  }

 private:
  Pointer look_up() noexcept {
    const auto found = reinterpret_cast<Pointer>(real_symbol(name_, version_));
    found_.store(found, std::memory_order_relaxed);
    return found;
  }

  [[gnu::noinline, gnu::cold]] Result first_call(Arguments... arguments) noexcept(throws_nothing) {
    return look_up()(arguments...);
  }

  const char* name_;
  const char* version_;
  std::atomic<Pointer> found_{nullptr};
};

// Real is RealCall by a function's signature.
template <class Signature>
class Real;

// Real of a function.
template <class Result, class... Arguments>
class Real<Result(Arguments...)> : public RealCall<false, Result, Arguments...> {
 public:
  using RealCall<false, Result, Arguments...>::RealCall;
};

// Real of a function that throws nothing.
template <class Result, class... Arguments>
class Real<Result(Arguments...) noexcept> : public RealCall<true, Result, Arguments...> {
 public:
  using RealCall<true, Result, Arguments...>::RealCall;
};

// LookedUp finds a function while the program starts: at a later first call the look-up may be out of the question
// (a leak check calls sched_yield with the allocator locked, and dlsym allocates).
struct LookedUp {
  template <class Signature>
  explicit LookedUp(Real<Signature>& real) {
    real.get();
  }
};

}  // namespace rig::lab

// RIG_LAB_REAL defines rig::lab::real_NAME, to be called as the system's function. For functions with a fixed list of
// arguments; a variadic one gives the signature that it is called with: Real<int(int, int, void*)> real_fcntl{"fcntl"}.
#define RIG_LAB_REAL(name)                                                \
  inline constinit ::rig::lab::Real<decltype(::name)> real_##name{#name}; \
  inline const ::rig::lab::LookedUp looked_up_##name {                    \
    real_##name                                                           \
  }
