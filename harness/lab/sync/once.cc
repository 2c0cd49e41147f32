// pthread_once and call_once. The word is the lab's from the start of the process, in a run and outside of it, since
// the system's function and ThreadSanitizer's do not agree on what "done" looks like.
#include <pthread.h>
#include <threads.h>
#include <unistd.h>

#include "harness/lab/kernel_call.h"
#include "harness/lab/sync/sync.h"

namespace rig::lab {
namespace {

// The word while a routine runs is the kernel's id of its thread, above two bits of state.
constexpr int running = 1;
constexpr int done = 2;
constexpr int owner_shift = 2;

std::string explain_once(const Wait& wait) {
  const int word = *static_cast<const int*>(wait.keys[0]);
  return object_name("once", wait.keys[0]) + ", " + held_by(word >> owner_shift);
}

// Attempt is one call of the routine. It may be left by an exception or by pthread_exit: then another thread tries.
class Attempt {
 public:
  explicit Attempt(int* word) : word_(word) {}
  ~Attempt() {
    order_before(word_);
    __atomic_store_n(word_, result_, __ATOMIC_RELEASE);
    futex_wake(word_);
    wake_all(word_);
  }
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;

  void succeed() { result_ = done; }

 private:
  int* word_;
  int result_ = 0;
};

void wait_for_other(int* word, int seen) {
  if (!outside() && is_of_run(seen >> owner_shift)) {
    wait_for(Op::once, word, explain_once);
  } else {
    futex_wait(word, static_cast<std::uint32_t>(seen));
  }
}

// is_done is the usual case, on every path of OpenSSL. It is worth no point, since nothing can come of it any more, and
// it is asked before anything that needs a stack frame.
inline bool is_done(int* word) {
  if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != done) {
    return false;
  }
  order_after(word);
  return true;
}

void do_once(int* word, void (*routine)(), const void* caller) {
  if (!outside()) {
    point(Op::once, caller);
  }
  for (;;) {
    int seen = 0;
    const int mine = (gettid() << owner_shift) | running;
    if (__atomic_compare_exchange_n(word, &seen, mine, false, __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE)) {
      break;
    }
    if (seen == done) {
      order_after(word);
      return;
    }
    wait_for_other(word, seen);
  }
  {
    Attempt attempt(word);
    order_after(word);
    routine();
    attempt.succeed();
  }
  if (!outside()) {
    point(Op::once, caller);
  }
}

}  // namespace
}  // namespace rig::lab

using namespace rig::lab;

RIG_LAB_EXPORT int pthread_once(pthread_once_t* control, void (*routine)()) {
  if (!is_done(control)) {
    do_once(control, routine, RIG_LAB_CALLER);
  }
  return 0;
}

RIG_LAB_EXPORT void call_once(once_flag* flag, void (*routine)()) {
  if (!is_done(&flag->__data)) {
    do_once(&flag->__data, routine, RIG_LAB_CALLER);
  }
}
