#include "harness/lab/allocation.h"

#include <malloc.h>
#include <stdlib.h>
#include <unwind.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <new>

#include "harness/base/prng.h"
#include "harness/lab/interposing.h"
#include "harness/lab/own_work.h"
#include "harness/lab/state.h"

// The allocator behind the lab: a sanitizer's, if there is one, or glibc's own. Neither is looked up by name: the
// look-up itself allocates, and the first allocation comes before any constructor.
//
// They throw nothing, so that a call of them is a jump: a leak check asks who called malloc, passes over what the
// dynamic linker keeps, and would meet a frame of the lab's instead.
extern "C" {
[[gnu::weak]] void* __interceptor_malloc(size_t bytes) noexcept;
[[gnu::weak]] void* __interceptor_calloc(size_t count, size_t bytes) noexcept;
[[gnu::weak]] void* __interceptor_realloc(void* old, size_t bytes) noexcept;
[[gnu::weak]] void* __interceptor_memalign(size_t alignment, size_t bytes) noexcept;
void* __libc_malloc(size_t bytes) noexcept;
void* __libc_calloc(size_t count, size_t bytes) noexcept;
void* __libc_realloc(void* old, size_t bytes) noexcept;
void* __libc_memalign(size_t alignment, size_t bytes) noexcept;
}

using namespace rig::lab;

namespace rig::lab {

[[gnu::tls_model("initial-exec")]] constinit thread_local AllocationState allocation_state_here{.party = Party::rig,
                                                                                                .own_work = 0};

Acting::Acting(Party party) noexcept : before_(allocation_state_here.party) {
  allocation_state_here.party = party;
}

Acting::~Acting() {
  allocation_state_here.party = before_;
}

Party acting() noexcept {
  return allocation_state_here.party;
}

AllocationFaults::AllocationFaults(const std::vector<Fault>& faults, bool keep_sites) : keep_sites_(keep_sites) {
  for (const Fault& fault : faults) {
    if (fault.kind == FaultKind::no_memory) {
      faults_.push_back(fault);
      first_ = std::min(first_, fault.nth);
    }
  }
}

const Fault* AllocationFaults::fails(bool& begins) {
  ++count_;
  if (keep_sites_) {
    keep_site();
  }
  if (count_ < first_) {
    return nullptr;
  }
  for (const Fault& fault : faults_) {
    begins = fault.nth == count_;
    if (begins || (fault.sticky && count_ > fault.nth)) {
      return &fault;
    }
  }
  return nullptr;
}

void AllocationFaults::keep_site() {
  struct Frames {
    const void* all[64];
    std::size_t count;
  } frames{.all = {}, .count = 0};
  const auto add = [](_Unwind_Context* context, void* raw) {
    auto& found = *static_cast<Frames*>(raw);
    found.all[found.count++] = reinterpret_cast<const void*>(_Unwind_GetIP(context));
    return found.count < std::size(found.all) ? _URC_NO_REASON : _URC_END_OF_STACK;
  };
  _Unwind_Backtrace(add, &frames);
  std::uint64_t hash = 0;
  for (std::size_t i = 0; i < frames.count; ++i) {
    hash = mix64(hash ^ reinterpret_cast<std::uintptr_t>(frames.all[i]));
  }
  if (known_.insert(hash).second) {
    sites_.push_back({.nth = count_, .frames = std::vector<const void*>(frames.all, frames.all + frames.count)});
  }
}

namespace {

// out_of_memory counts an allocation of the subject and says that it fails.
bool out_of_memory() {
  if (outside() || allocation_state_here.own_work != 0) {
    return false;
  }
  const OwnWork own_work;
  RunState& run = *current();
  bool begins = false;
  const Fault* const fault = run.allocations.fails(begins);
  if (fault == nullptr) {
    return false;
  }
  if (begins) {
    run.inject(*fault);
  }
  return true;
}

// refused is all that an allocation costs when no subject runs.
inline bool refused() {
  return allocation_state_here.party == Party::subject && out_of_memory();
}

bool is_power_of_two(std::size_t number) {
  return number != 0 && (number & (number - 1)) == 0;
}

void* no_memory() {
  errno = ENOMEM;
  return nullptr;
}

void* aligned(std::size_t alignment, std::size_t bytes) {
  return __interceptor_memalign != nullptr ? __interceptor_memalign(alignment, bytes)
                                           : __libc_memalign(alignment, bytes);
}

}  // namespace
}  // namespace rig::lab

RIG_LAB_EXPORT void* malloc(size_t bytes) {
  if (refused()) {
    return no_memory();
  }
  if (__interceptor_malloc != nullptr) {
    return __interceptor_malloc(bytes);
  }
  return __libc_malloc(bytes);
}

RIG_LAB_EXPORT void* calloc(size_t count, size_t bytes) {
  if (refused()) {
    return no_memory();
  }
  if (__interceptor_calloc != nullptr) {
    return __interceptor_calloc(count, bytes);
  }
  return __libc_calloc(count, bytes);
}

RIG_LAB_EXPORT void* realloc(void* old, size_t bytes) {
  if (bytes != 0 && refused()) {
    return no_memory();
  }
  if (__interceptor_realloc != nullptr) {
    return __interceptor_realloc(old, bytes);
  }
  return __libc_realloc(old, bytes);
}

RIG_LAB_EXPORT void* reallocarray(void* old, size_t count, size_t bytes) {
  std::size_t all = 0;
  return __builtin_mul_overflow(count, bytes, &all) ? no_memory() : realloc(old, all);
}

RIG_LAB_EXPORT void* memalign(size_t alignment, size_t bytes) {
  return refused() ? no_memory() : aligned(alignment, bytes);
}

RIG_LAB_EXPORT void* aligned_alloc(size_t alignment, size_t bytes) {
  return refused() ? no_memory() : aligned(alignment, bytes);
}

RIG_LAB_EXPORT int posix_memalign(void** result, size_t alignment, size_t bytes) {
  if (!is_power_of_two(alignment) || alignment % sizeof(void*) != 0) {
    return EINVAL;
  }
  if (refused()) {
    return ENOMEM;
  }
  const int before = errno;
  void* const found = aligned(alignment, bytes);
  errno = before;
  if (found == nullptr) {
    return ENOMEM;
  }
  *result = found;
  return 0;
}

#ifdef RIG_LAB_WRAP_NEW
// The sanitizers' `new` does not come by malloc: the linker leads what is linked here first to these.
#define RIG_LAB_NEW(name, parameters, arguments) \
  extern "C" void* __real_##name parameters;     \
  extern "C" void* __wrap_##name parameters;     \
  extern "C" void* __wrap_##name parameters {    \
    if (refused()) {                             \
      throw std::bad_alloc();                    \
    }                                            \
    return __real_##name arguments;              \
  }
#define RIG_LAB_NEW_NOTHROW(name, parameters, arguments)  \
  extern "C" void* __real_##name parameters;              \
  extern "C" void* __wrap_##name parameters;              \
  extern "C" void* __wrap_##name parameters {             \
    return refused() ? nullptr : __real_##name arguments; \
  }
RIG_LAB_NEW(_Znwm, (std::size_t bytes), (bytes))
RIG_LAB_NEW(_Znam, (std::size_t bytes), (bytes))
RIG_LAB_NEW(_ZnwmSt11align_val_t, (std::size_t bytes, std::align_val_t alignment), (bytes, alignment))
RIG_LAB_NEW(_ZnamSt11align_val_t, (std::size_t bytes, std::align_val_t alignment), (bytes, alignment))
RIG_LAB_NEW_NOTHROW(_ZnwmRKSt9nothrow_t, (std::size_t bytes, const std::nothrow_t& tag), (bytes, tag))
RIG_LAB_NEW_NOTHROW(_ZnamRKSt9nothrow_t, (std::size_t bytes, const std::nothrow_t& tag), (bytes, tag))
#undef RIG_LAB_NEW_NOTHROW
#undef RIG_LAB_NEW
#endif
