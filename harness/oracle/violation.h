// Violation: misbehaviour of a subject, as data. An oracle reports violations; it never stops a run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/base/mutex.h"

namespace rig {

// Law is what an oracle asks of a subject.
enum class Law : std::uint8_t {
  c1_exactly_once,        // every pending op completes exactly once, with its own token
  c2_return_or_callback,  // never both a final return and a callback
  c3_nothing_after_closed,
  c4_order,             // completions in issue order
  c5_status_and_bytes,  // completed bytes = issued bytes, with the right status
  c6_quiet,             // at quiet nothing is pending, armed or owned
  c7_callbacks,         // callbacks come out of the loop's turn, one at a time, with no lock held
  s1_stream,            // bytes received = bytes accepted, in order
  r1_resources,         // what was used is given back, and what is queued is bounded
  x1_outcome,           // how a connection ended is told as what happened to it
  h1_nothing_left,      // a call leaves no ambient error behind
  h2_nothing_believed,  // an ambient error that was there before changes no outcome
  h3_own_error,         // a failing call's own error is still there when it is asked for
  e1_retry,             // a write that waited is repeated as the library demands
  e2_threads,           // as many threads in a session as the library allows
  e3_order,             // no call after a fatal failure, no shutdown in a handshake or over a pending write
  l1_progress,          // nothing waits for input that the library holds already
  w1_wire,              // whole records, nothing in the clear, one close_notify at an orderly end
  f1_descriptors,       // one close for a descriptor, and no use after it
  p1_sigpipe,           // SIGPIPE never kills
};

// law_count is how many there are. Each has a canary: those of the app door in harness/subjects/canary, the others in
// the tests of the oracle and of the doors.
inline constexpr std::size_t law_count = static_cast<std::size_t>(Law::p1_sigpipe) + 1;

// Door is where a law is asked; H1 is asked at the app door and at the library's.
enum class Door : std::uint8_t { app, library, kernel };
Door law_door(Law law) noexcept;

// law_name is "C1" ... "H1"; law_sentence says what the law demands.
std::string_view law_name(Law law) noexcept;
std::string_view law_sentence(Law law) noexcept;

// all_laws lists them in their order; law_from_name is the inverse of law_name, nothing if there is no such law.
std::span<const Law> all_laws() noexcept;
std::optional<Law> law_from_name(std::string_view name) noexcept;

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
