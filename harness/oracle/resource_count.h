// ResourceCount: law R1. What a run has used is given back, and what a layer queues is bounded.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "harness/base/library_door.h"
#include "harness/oracle/violation.h"

namespace rig {

// SessionCount counts the sessions of TLS libraries, at the library door: each one that is made is to be freed. Thread:
// any; it gives calls no order that a sanitizer could take for the layer's own.
class SessionCount {
 public:
  void left(const DoorCall& call) noexcept;
  void entering(const DoorCall& call) noexcept;

  // given_back reports R1 for each library of which sessions are left, when nothing of the subject is there any more.
  void given_back(ViolationLog& log) const;

 private:
  struct Library {
    std::atomic<std::uint64_t> made{0};
    std::atomic<std::uint64_t> freed{0};
  };
  Library libraries_[tls_library_count];
};

// QueueBound is what a layer may hold of ops that it has accepted and not completed. 0: unbounded, or not promised.
struct QueueBound {
  std::uint64_t ops = 0;
  std::uint64_t bytes = 0;
};

// QueueCount counts what one socket owes: accepted ops whose completion has not come. R1 is reported once, when that is
// more than twice the bound, or the largest op (which may be alone in a queue), and one op. Twice, since ops that have
// left the queue, and whose callbacks are still to come, do not count against it any more. Thread: any.
class QueueCount {
 public:
  QueueCount(std::string where, QueueBound bound, ViolationLog& log);

  // pending is asked when send has answered so, completed in the callback; either may be first. Once an op has failed
  // nothing is judged any more: what became of its bytes is not known.
  void pending(std::size_t bytes);
  void completed(std::size_t bytes, bool failed);
  // closed reports what the socket itself still counts when `closed` has come.
  void closed(std::uint64_t ops_held, std::uint64_t bytes_held);

  // most_ops is the most that was owed at once.
  std::uint64_t most_ops() const { return most_ops_.load(); }

 private:
  const std::string where_;
  const QueueBound bound_;
  ViolationLog& log_;
  std::atomic<std::int64_t> ops_{0};
  std::atomic<std::int64_t> bytes_{0};
  std::atomic<std::uint64_t> most_ops_{0};
  std::atomic<std::uint64_t> largest_{0};  // op
  std::atomic<bool> reported_{false};
};

// judge_descriptors reports R1 if more are open at the end than were at the beginning.
void judge_descriptors(std::size_t before, std::size_t after, ViolationLog& log);

}  // namespace rig
