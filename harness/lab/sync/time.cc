// Every clock of a run shows the same virtual time, and a sleep is a wait without a key.
#include <errno.h>
#include <signal.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include "harness/lab/sync/sync.h"

namespace rig::lab {
namespace {

RIG_LAB_REAL(clock_gettime);
RIG_LAB_REAL(gettimeofday);
RIG_LAB_REAL(time);
RIG_LAB_REAL(timespec_get);
RIG_LAB_REAL(clock);
RIG_LAB_REAL(clock_nanosleep);
RIG_LAB_REAL(nanosleep);
RIG_LAB_REAL(usleep);
RIG_LAB_REAL(sleep);
RIG_LAB_REAL(sched_yield);
RIG_LAB_REAL(thrd_sleep);
RIG_LAB_REAL(thrd_yield);

constexpr std::int64_t ns_per_us = 1000;
constexpr int reads_without_point_max = 1000;

struct Reads {
  std::int64_t at_ns = 0;
  int count = 0;
};

// read_clock answers the time. It is no point, since clocks are read all the time and decide little; but a thread that
// does nothing else waits for the time to pass, or for another thread.
std::int64_t read_clock(const void* caller) {
  static constinit PerRun<Reads> reads;
  Reads& last = reads.get();
  if (last.at_ns != now_ns()) {
    last = {.at_ns = now_ns(), .count = 0};
  }
  if (++last.count >= reads_without_point_max) {
    point(quiet(caller) ? Op::clock : Op::yield);
  }
  return now_ns();
}

std::string explain_sleep(const Wait&) {
  return "the time";
}

void sleep_until(std::int64_t deadline_ns) {
  block({.op = Op::sleep, .keys = {}, .deadline_ns = deadline_ns, .explain = explain_sleep});
}

bool is_span(const timespec& span) {
  return is_valid(span) && span.tv_sec >= 0;
}

int fail(int number) {
  errno = number;
  return -1;
}

}  // namespace
}  // namespace rig::lab

using namespace rig::lab;

RIG_LAB_EXPORT int clock_gettime(clockid_t clock, timespec* time) noexcept {
  if (outside()) {
    return real_clock_gettime(clock, time);
  }
  // The system knows which clocks there are.
  if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock_getres(clock, nullptr) != 0) {
    return -1;
  }
  *time = to_timespec(read_clock(RIG_LAB_CALLER));
  return 0;
}

RIG_LAB_EXPORT int gettimeofday(timeval* __restrict time, void* __restrict zone) noexcept {
  if (outside()) {
    return real_gettimeofday(time, zone);
  }
  const timespec now = to_timespec(read_clock(RIG_LAB_CALLER));
  *time = {.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / ns_per_us};
  return 0;
}

RIG_LAB_EXPORT time_t time(time_t* seconds) noexcept {
  if (outside()) {
    return real_time(seconds);
  }
  const time_t now = to_timespec(read_clock(RIG_LAB_CALLER)).tv_sec;
  if (seconds != nullptr) {
    *seconds = now;
  }
  return now;
}

RIG_LAB_EXPORT int timespec_get(timespec* time, int base) noexcept {
  if (outside() || base != TIME_UTC) {
    return real_timespec_get(time, base);
  }
  *time = to_timespec(read_clock(RIG_LAB_CALLER));
  return base;
}

RIG_LAB_EXPORT clock_t clock() noexcept {
  return outside() ? real_clock() : static_cast<clock_t>(read_clock(RIG_LAB_CALLER) / ns_per_us);
}

RIG_LAB_EXPORT int clock_nanosleep(clockid_t clock, int flags, const timespec* time, timespec* left) {
  if (outside()) {
    return real_clock_nanosleep(clock, flags, time, left);
  }
  if (!is_span(*time) || clock_getres(clock, nullptr) != 0 || clock == CLOCK_THREAD_CPUTIME_ID) {
    return EINVAL;
  }
  sleep_until((flags & TIMER_ABSTIME) != 0 ? to_ns(*time) : after(*time));
  return 0;
}

RIG_LAB_EXPORT int nanosleep(const timespec* span, timespec* left) {
  if (outside()) {
    return real_nanosleep(span, left);
  }
  if (!is_span(*span)) {
    return fail(EINVAL);
  }
  sleep_until(after(*span));
  return 0;
}

RIG_LAB_EXPORT int usleep(useconds_t us) {
  if (outside()) {
    return real_usleep(us);
  }
  sleep_until(now_ns() + static_cast<std::int64_t>(us) * ns_per_us);
  return 0;
}

RIG_LAB_EXPORT unsigned sleep(unsigned seconds) {
  if (outside()) {
    return real_sleep(seconds);
  }
  sleep_until(after({.tv_sec = seconds, .tv_nsec = 0}));
  return 0;
}

RIG_LAB_EXPORT int thrd_sleep(const timespec* span, timespec* left) {
  if (outside()) {
    return real_thrd_sleep(span, left);
  }
  if (!is_span(*span)) {
    return -2;  // as glibc: any negative number but -1, which would say that a signal came
  }
  sleep_until(after(*span));
  return 0;
}

RIG_LAB_EXPORT int sched_yield() noexcept {
  if (outside()) {
    return real_sched_yield();
  }
  point(Op::yield, RIG_LAB_CALLER);
  return 0;
}

RIG_LAB_EXPORT void thrd_yield() {
  if (outside()) {
    real_thrd_yield();
  } else {
    point(Op::yield, RIG_LAB_CALLER);
  }
}
