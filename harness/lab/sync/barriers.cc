// Barriers are the lab's own: only the number of threads that each was made for is read from the real one.
#include <pthread.h>

#include <vector>

#include "harness/lab/sync/sync.h"

namespace rig::lab {
namespace {

RIG_LAB_REAL(pthread_barrier_wait);

// What stands in glibc's pthread_barrier_t (sysdeps/nptl/internaltypes.h).
struct RealBarrier {
  unsigned in;
  unsigned current_round;
  unsigned count;
  int shared;
  unsigned out;
};
static_assert(sizeof(RealBarrier) <= sizeof(pthread_barrier_t));

unsigned count_of(const void* barrier) {
  return static_cast<const RealBarrier*>(barrier)->count;
}

struct Round {
  const void* barrier;
  unsigned arrived;
  std::uint64_t number;
};

constinit PerRun<std::vector<Round>> rounds;

// round_of is valid until the next call.
Round& round_of(const void* barrier) {
  const Unwatched unwatched;
  auto& all = rounds.get();
  for (Round& round : all) {
    if (round.barrier == barrier) {
      return round;
    }
  }
  return all.emplace_back(Round{.barrier = barrier, .arrived = 0, .number = 0});
}

std::string explain_barrier(const Wait& wait) {
  const void* barrier = wait.keys[0];
  return object_name("barrier", barrier) + ", where " + std::to_string(round_of(barrier).arrived) + " of " +
         std::to_string(count_of(barrier)) + " have arrived";
}

int arrive(pthread_barrier_t* barrier) {
  Round& round = round_of(barrier);
  order_before(barrier);
  if (++round.arrived == count_of(barrier)) {
    round.arrived = 0;
    ++round.number;
    wake_all(barrier);
    order_after(barrier);
    return PTHREAD_BARRIER_SERIAL_THREAD;
  }
  const std::uint64_t number = round.number;
  do {
    wait_for(Op::barrier, barrier, explain_barrier);
  } while (round_of(barrier).number == number);
  order_after(barrier);
  return 0;
}

}  // namespace
}  // namespace rig::lab

using namespace rig::lab;

RIG_LAB_EXPORT int pthread_barrier_wait(pthread_barrier_t* barrier) noexcept {
  if (outside()) {
    return real_pthread_barrier_wait(barrier);
  }
  point(Op::barrier, RIG_LAB_CALLER);
  const int result = arrive(barrier);
  event(Op::barrier, result);
  point(Op::barrier, RIG_LAB_CALLER);
  return result;
}
