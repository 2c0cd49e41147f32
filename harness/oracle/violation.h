// Violation: misbehaviour of a subject, as data. An oracle reports violations; it never stops a run.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "harness/base/mutex.h"
#include "harness/oracle/law.h"

namespace rig {

// Violation is one report.
struct Violation {
  Law law;
  std::string where;    // "client 2", "server 0", "client loop"
  std::string message;  // one sentence with the figures
};

// ViolationLog collects the violations of one run. After `kept_max` of them only the count goes on. Thread: any.
class ViolationLog {
 public:
  // Sink is told of each violation that is kept, as it is reported, with the log unlocked.
  using Sink = void (*)(const Violation& violation);
  explicit ViolationLog(Sink sink = nullptr) : sink_(sink) {}

  void report(Law law, std::string where, std::string message);

  // count is how many were reported; kept are the first of them, in order of arrival.
  std::size_t count() const;
  std::vector<Violation> kept() const;

  static constexpr std::size_t kept_max = 50;

 private:
  const Sink sink_;
  mutable Mutex mutex_;
  std::size_t count_ RIG_GUARDED_BY(mutex_) = 0;
  std::vector<Violation> kept_ RIG_GUARDED_BY(mutex_);
};

}  // namespace rig
