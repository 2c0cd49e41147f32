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
  s1_stream,            // bytes received = bytes accepted, in order
  h1_nothing_left,      // a call leaves no ambient error behind
};

// law_count is how many there are; each has a canary (harness/subjects/canary).
inline constexpr std::size_t law_count = static_cast<std::size_t>(Law::h1_nothing_left) + 1;

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
  void report(Law law, std::string where, std::string message);

  // count is how many were reported; kept are the first of them, in order of arrival.
  std::size_t count() const;
  std::vector<Violation> kept() const;

  static constexpr std::size_t kept_max = 50;

 private:
  mutable Mutex mutex_;
  std::size_t count_ RIG_GUARDED_BY(mutex_) = 0;
  std::vector<Violation> kept_ RIG_GUARDED_BY(mutex_);
};

}  // namespace rig
