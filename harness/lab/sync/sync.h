// What the functions in place of the system's threads, locks and clocks have in common. Internal to this folder.
#pragma once

#include <pthread.h>
#include <time.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "harness/lab/interposing.h"

namespace rig::lab {

// Explain writes what a Wait waits for.
using Explain = std::string (*)(const Wait& wait);

// wait_for blocks on one key.
inline Woken wait_for(Op op, const void* key, Explain explain, std::int64_t deadline_ns = never) {
  return block({.op = op, .keys = {&key, 1}, .deadline_ns = deadline_ns, .explain = explain});
}

// is_valid says that the system would take `time`.
inline bool is_valid(const timespec& time) noexcept {
  return time.tv_nsec >= 0 && time.tv_nsec < 1'000'000'000;
}

// to_ns turns a valid time into nanoseconds; what does not fit comes out as the end that it lies beyond.
std::int64_t to_ns(const timespec& time) noexcept;
timespec to_timespec(std::int64_t ns) noexcept;

// after is the moment `span` from now, or never.
std::int64_t after(const timespec& span);

// is_wait_clock says that the system's waits with a clock take `clock`.
inline bool is_wait_clock(clockid_t clock) noexcept {
  return clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC;
}

// object_name is "mutex 1" in reports: objects are numbered in the order in which reports name them, since addresses
// differ between builds.
std::string object_name(std::string_view kind, const void* address);

// held_by says who a kernel's thread id is: "held by thread 2".
std::string held_by(std::int32_t kernel_id);

// is_of_run says that a kernel's thread id belongs to a living thread of the run.
bool is_of_run(std::int32_t kernel_id);

// mutex_take and mutex_give are what the waits of a condition do with its mutex: as pthread_mutex_lock and
// pthread_mutex_unlock, without a point.
int mutex_take(pthread_mutex_t* mutex, std::int64_t deadline_ns);
int mutex_give(pthread_mutex_t* mutex);

// PerRun is a value that starts anew with each run. Thread: the one that has the token.
template <class Value>
class PerRun {
 public:
  // get is the value of this run. What it owns is the lab's memory: use it within an Unwatched.
  Value& get() {
    const Unwatched unwatched;
    if (value_ == nullptr) {
      value_ = new Value;  // never deleted: a thread may call the lab while the process ends
    }
    if (run_ != run_number()) {
      run_ = run_number();
      *value_ = Value{};
    }
    return *value_;
  }

 private:
  Value* value_ = nullptr;
  std::uint64_t run_ = 0;
};

}  // namespace rig::lab
