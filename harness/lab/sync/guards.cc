// The guards of C++ statics inside functions (Itanium C++ ABI, 3.3.3). The low half of a guard is coded as
// ThreadSanitizer's runtime codes it, since a library may bind to that one; the high half is the kernel's id of the
// thread that initialises.
//
// That runtime defines these functions itself, in the same object as everything else. Beside it, the executable's own
// calls are led here by the linker's --wrap.
#include <unistd.h>

#include <cstdint>

#include "harness/lab/kernel_call.h"
#include "harness/lab/sync/sync.h"

#ifdef RIG_LAB_WRAP_GUARDS
#define RIG_LAB_GUARD(name) __wrap___cxa_guard_##name
#else
#define RIG_LAB_GUARD(name) __cxa_guard_##name
#endif

namespace rig::lab {
namespace {

struct Guard {
  std::uint32_t state;
  std::int32_t owner;
};

constexpr std::uint32_t done = 1;
constexpr std::uint32_t running = 1U << 16;
constexpr std::uint32_t has_waiters = 1U << 17;

std::string explain_guard(const Wait& wait) {
  const auto* guard = static_cast<const Guard*>(wait.keys[0]);
  return object_name("static's guard", guard) + ", " + held_by(guard->owner);
}

void wait_for_other(Guard* guard, std::uint32_t seen) {
  if (!outside() && is_of_run(__atomic_load_n(&guard->owner, __ATOMIC_RELAXED))) {
    wait_for(Op::static_guard, guard, explain_guard);
    return;
  }
  const std::uint32_t waited = seen | has_waiters;
  if (seen == waited ||
      __atomic_compare_exchange_n(&guard->state, &seen, waited, false, __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE)) {
    futex_wait(&guard->state, waited);
  }
}

// leave gives the guard back in `state`.
void leave(Guard* guard, std::uint32_t state, const void* caller) {
  __atomic_store_n(&guard->owner, 0, __ATOMIC_RELAXED);
  order_before(guard);
  if ((__atomic_exchange_n(&guard->state, state, __ATOMIC_RELEASE) & has_waiters) != 0) {
    futex_wake(&guard->state);
  }
  if (!outside()) {
    wake_all(guard);
    point(Op::static_guard, caller);
  }
}

}  // namespace
}  // namespace rig::lab

using namespace rig::lab;

// Answers 1 if the caller is to initialise.
RIG_LAB_EXPORT int RIG_LAB_GUARD(acquire)(std::int64_t* word) {
  auto* guard = reinterpret_cast<Guard*>(word);
  if (!outside() && __atomic_load_n(&guard->state, __ATOMIC_ACQUIRE) != done) {
    point(Op::static_guard, RIG_LAB_CALLER);
  }
  for (;;) {
    std::uint32_t seen = 0;
    if (__atomic_compare_exchange_n(&guard->state, &seen, running, false, __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE)) {
      __atomic_store_n(&guard->owner, gettid(), __ATOMIC_RELAXED);
      order_after(guard);
      return 1;
    }
    if (seen == done) {
      order_after(guard);
      return 0;
    }
    wait_for_other(guard, seen);
  }
}

RIG_LAB_EXPORT void RIG_LAB_GUARD(release)(std::int64_t* word) noexcept {
  leave(reinterpret_cast<Guard*>(word), done, RIG_LAB_CALLER);
}

RIG_LAB_EXPORT void RIG_LAB_GUARD(abort)(std::int64_t* word) noexcept {
  leave(reinterpret_cast<Guard*>(word), 0, RIG_LAB_CALLER);
}
