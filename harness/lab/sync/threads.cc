// Threads of a run are real threads that wait for their turns.
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <new>
#include <vector>

#include "harness/base/check.h"
#include "harness/lab/allocation.h"
#include "harness/lab/sync/crew.h"
#include "harness/lab/sync/sync.h"
#include "harness/lab/sync/threads.h"

namespace rig::lab {
namespace {

RIG_LAB_REAL(pthread_create);
RIG_LAB_REAL(pthread_join);
RIG_LAB_REAL(pthread_tryjoin_np);
RIG_LAB_REAL(pthread_timedjoin_np);
RIG_LAB_REAL(pthread_clockjoin_np);
RIG_LAB_REAL(pthread_detach);
RIG_LAB_REAL(pthread_cancel);
RIG_LAB_REAL(pthread_kill);
constinit Real<void(void*)> real_pthread_exit("pthread_exit");

struct Handle {
  pthread_t pthread;
  Thread* thread;
  bool detached;
  Member* member;  // null: a thread of its own
};

// The threads of the run that a handle may still stand for.
constinit PerRun<std::vector<Handle>> handles;

Handle* find(pthread_t pthread) {
  const Unwatched unwatched;
  auto& all = handles.get();
  const auto found = std::ranges::find_if(all, [pthread](const Handle& h) { return h.pthread == pthread; });
  return found == all.end() ? nullptr : &*found;
}

void remember(const Handle& handle) {
  const Unwatched unwatched;
  handles.get().push_back(handle);
}

void forget(const Handle* handle) {
  if (handle->member != nullptr) {
    crew_release(*handle->member);
  }
  const Unwatched unwatched;
  auto& all = handles.get();
  all.erase(all.begin() + (handle - all.data()));
}

// The end of a thread is the destructor of a key, set anew in each round of destructors until the last: C++'s
// thread-local objects and other keys' destructors belong to the run. ThreadSanitizer takes its own record of the
// thread away in the last round, after which nothing may allocate.
long rounds_before_end() {
  return __tsan_acquire != nullptr ? PTHREAD_DESTRUCTOR_ITERATIONS - 1 : PTHREAD_DESTRUCTOR_ITERATIONS;
}

extern pthread_key_t end_key;

void at_end(void* rounds_left) {
  const auto rounds = reinterpret_cast<long>(rounds_left);
  if (rounds > 1) {
    pthread_setspecific(end_key, reinterpret_cast<void*>(rounds - 1));
    return;
  }
  release_detached();
  end_thread(AfterEnd::leaves);
}

// Made when the executable is loaded, so that it comes before the keys of the program under test in each round.
pthread_key_t end_key = [] {
  pthread_key_t key = 0;
  RIG_CHECK(pthread_key_create(&key, at_end) == 0);
  return key;
}();

}  // namespace

void watch_end(bool wanted) {
  pthread_setspecific(end_key, wanted ? reinterpret_cast<void*>(rounds_before_end()) : nullptr);
}

void release_detached() {
  if (const Handle* handle = find(pthread_self()); handle != nullptr && handle->detached) {
    forget(handle);
  }
}

namespace {

struct Start {
  void* (*routine)(void*);
  void* argument;
  Thread* thread;
};

void* thread_main(void* raw) {
  const Start start = *static_cast<Start*>(raw);
  begin_thread(start.thread);
  delete static_cast<Start*>(raw);
  watch_end(true);
  return start.routine(start.argument);
}

bool is_detached(const pthread_attr_t* attributes) {
  int state = PTHREAD_CREATE_JOINABLE;
  return attributes != nullptr && pthread_attr_getdetachstate(attributes, &state) == 0 &&
         state == PTHREAD_CREATE_DETACHED;
}

void* subject_main(void* raw) {
  const Start start = *static_cast<Start*>(raw);
  delete static_cast<Start*>(raw);
  const Acting subject(Party::subject);
  return start.routine(start.argument);
}

// Outside of a run as well, what the subject's threads do is the subject's.
int create_for_subject(pthread_t* handle, const pthread_attr_t* attributes, void* (*routine)(void*), void* argument) {
  auto* const start = new (std::nothrow) Start{.routine = routine, .argument = argument, .thread = nullptr};
  if (start == nullptr) {
    return EAGAIN;
  }
  const int refused = real_pthread_create(handle, attributes, subject_main, start);
  if (refused != 0) {
    delete start;
  }
  return refused;
}

int created(const Handle& handle, const void* caller) {
  remember(handle);
  event(Op::thread_create, id_of(*handle.thread));
  point(Op::thread_create, caller);
  return 0;
}

int create(pthread_t* handle, const pthread_attr_t* attributes, void* (*routine)(void*), void* argument,
           const void* caller) {
  // A thread of the crew has the stack and the kind of thread that it was made with.
  if (attributes == nullptr) {
    if (Member* const member = crew_create(handle, routine, argument); member != nullptr) {
      return created({.pthread = *handle, .thread = record_of(*member), .detached = false, .member = member}, caller);
    }
  }
  const OwnWork own_work;  // the system allocates, too, and how much depends on the stacks that it has kept
  Thread* const thread = adopt();
  auto start = std::make_unique<Start>(Start{.routine = routine, .argument = argument, .thread = thread});
  const int result = real_pthread_create(handle, attributes, thread_main, start.get());
  if (result != 0) {
    abandon(thread);
    event(Op::thread_create, -1, result);
    return result;
  }
  static_cast<void>(start.release());  // thread_main deletes it
  return created({.pthread = *handle, .thread = thread, .detached = is_detached(attributes), .member = nullptr},
                 caller);
}

std::string explain_join(const Wait& wait) {
  for (const Handle& handle : handles.get()) {
    if (key_of_end(*handle.thread) == wait.keys[0]) {
      return "the end of thread " + std::to_string(id_of(*handle.thread));
    }
  }
  return "the end of a thread";
}

// join_by waits in the lab for the end of the thread's part of the run, and then in the system for the little that
// comes after it, which needs no token.
int join_by(pthread_t pthread, void** result, std::int64_t deadline_ns, const char* name, const void* caller) {
  point(Op::thread_join, caller);
  const Handle* handle = find(pthread);
  // Not asked of the real function: ThreadSanitizer's takes any join for one that succeeds.
  if (pthread == pthread_self()) {
    return EDEADLK;
  }
  if (handle != nullptr && handle->detached) {
    return EINVAL;
  }
  if (handle == nullptr) {
    refuse(name, "the thread was not created within the run");
  }
  const Thread* const thread = handle->thread;
  while (!ended(*thread)) {
    if (wait_for(Op::thread_join, key_of_end(*thread), explain_join, deadline_ns) == Woken::by_deadline) {
      event(Op::thread_join, id_of(*thread), ETIMEDOUT);
      return ETIMEDOUT;
    }
  }
  // Others may have come and gone meanwhile.
  handle = find(pthread);
  Member* const member = handle->member;
  event(Op::thread_join, id_of(*thread));
  void* const returned = member != nullptr ? result_of(*member) : nullptr;  // it orders the two threads
  forget(handle);
  if (member == nullptr) {
    return real_pthread_join(pthread, result);
  }
  if (result != nullptr) {
    *result = returned;
  }
  return 0;
}

int join_until(pthread_t pthread, void** result, const timespec* deadline, const char* name, const void* caller) {
  if (deadline == nullptr) {
    return join_by(pthread, result, never, name, caller);
  }
  return is_valid(*deadline) ? join_by(pthread, result, to_ns(*deadline), name, caller) : EINVAL;
}

}  // namespace
}  // namespace rig::lab

using namespace rig::lab;

RIG_LAB_EXPORT int pthread_create(pthread_t* handle, const pthread_attr_t* attributes, void* (*routine)(void*),
                                  void* argument) noexcept {
  if (outside() && acting() == Party::subject) {
    return create_for_subject(handle, attributes, routine, argument);
  }
  return outside() ? real_pthread_create(handle, attributes, routine, argument)
                   : create(handle, attributes, routine, argument, RIG_LAB_CALLER);
}

RIG_LAB_EXPORT int pthread_join(pthread_t thread, void** result) {
  return outside() ? real_pthread_join(thread, result) : join_by(thread, result, never, "pthread_join", RIG_LAB_CALLER);
}

RIG_LAB_EXPORT int pthread_tryjoin_np(pthread_t thread, void** result) noexcept {
  if (outside()) {
    return real_pthread_tryjoin_np(thread, result);
  }
  const Handle* handle = find(thread);
  if (handle != nullptr && !handle->detached) {
    const Thread* const record = handle->thread;
    point(Op::thread_join, RIG_LAB_CALLER);
    if (!ended(*record)) {
      event(Op::thread_join, id_of(*record), EBUSY);
      return EBUSY;
    }
  }
  return join_by(thread, result, never, "pthread_tryjoin_np", RIG_LAB_CALLER);
}

RIG_LAB_EXPORT int pthread_timedjoin_np(pthread_t thread, void** result, const timespec* deadline) {
  return outside() ? real_pthread_timedjoin_np(thread, result, deadline)
                   : join_until(thread, result, deadline, "pthread_timedjoin_np", RIG_LAB_CALLER);
}

RIG_LAB_EXPORT int pthread_clockjoin_np(pthread_t thread, void** result, clockid_t clock, const timespec* deadline) {
  if (outside()) {
    return real_pthread_clockjoin_np(thread, result, clock, deadline);
  }
  return is_wait_clock(clock) ? join_until(thread, result, deadline, "pthread_clockjoin_np", RIG_LAB_CALLER) : EINVAL;
}

RIG_LAB_EXPORT int pthread_detach(pthread_t thread) noexcept {
  if (outside()) {
    return real_pthread_detach(thread);
  }
  Handle* const handle = find(thread);
  const bool of_crew = handle != nullptr && handle->member != nullptr;
  const int result = !of_crew ? real_pthread_detach(thread) : handle->detached ? EINVAL : 0;
  if (result == 0 && handle != nullptr) {
    handle->detached = true;
    if (ended(*handle->thread)) {
      forget(handle);
    }
  }
  return result;
}

RIG_LAB_EXPORT void pthread_exit(void* result) {
  if (!outside() && id_of(*self()) == 0) {
    refuse("pthread_exit", "the thread that called run() must return from it");
  }
  if (!outside()) {
    crew_exit(result);
  }
  real_pthread_exit(result);
  __builtin_unreachable();
}

RIG_LAB_EXPORT int pthread_cancel(pthread_t thread) {
  if (!outside()) {
    refuse("pthread_cancel", "where the cancelled thread stands depends on the kernel");
  }
  return real_pthread_cancel(thread);
}

RIG_LAB_EXPORT int pthread_kill(pthread_t thread, int signal) noexcept {
  // A signal to the own thread is delivered before the call returns.
  if (!outside() && signal != 0 && thread != pthread_self()) {
    refuse("pthread_kill", "when the other thread takes the signal depends on the kernel");
  }
  return real_pthread_kill(thread, signal);
}
