// Law: what the rig asks of a subject. One table (law.cc) says everything about each of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace rig {

// Law is what an oracle asks of a subject, in the order of the table.
enum class Law : std::uint8_t {
  c1_exactly_once,        // every pending op completes exactly once, with its own token
  c2_return_or_callback,  // never both a final return and a callback
  c3_nothing_after_closed,
  c4_order,             // completions in issue order
  c5_status_and_bytes,  // completed bytes = issued bytes, with the right status
  c6_quiet,             // at quiet nothing is pending, armed or owned
  c7_callbacks,         // callbacks come out of the turn, one at a time, with no lock held
  s1_stream,            // bytes received = bytes accepted, in order
  r1_resources,         // what was used is given back, what is queued is bounded
  x1_outcome,           // how a connection ended is told as what happened to it
  h1_nothing_left,      // a call leaves no ambient error behind
  h2_nothing_believed,  // an ambient error that was there before changes no outcome
  h3_own_error,         // a failing call's own error is still there when it is asked for
  e1_retry,             // a write that waited is repeated as the library demands
  e2_threads,           // as many threads in a session as the library allows
  e3_order,             // no call after a fatal failure, no shutdown in a handshake or over a pending write
  l1_progress,          // nothing waits for input that the library holds already
  w1_wire,              // whole records, nothing in the clear, one close_notify at an orderly end
  f1_descriptors,       // one owner and one close for a descriptor, and no use after it
  p1_sigpipe,           // SIGPIPE never kills
  l2_wakeups,           // a wake-up is for something, and each socket has its turn
  l3_more,              // what was sent without `more` leaves at once
  m1_memory,            // no memory error
  t1_races,             // no data race
};

// law_count is how many there are.
inline constexpr std::size_t law_count = static_cast<std::size_t>(Law::t1_races) + 1;

// Door is where a law is asked (H1 at the app door and at the library's). A sanitizer sees every access, at no door.
enum class Door : std::uint8_t { app, library, kernel, sanitizer };

// LawEntry is a row of the table. A law is worth something only if two tests stand behind it: its canary breaks it, and
// fails if the law is silent; its dual does the lawful neighbour, or the opposite mistake, and fails if the law gets
// that wrong. Both are named "CTEST" or "CTEST GTEST": a test of ctest, and the case of GoogleTest in it. meta.laws
// fails if one of them does not exist.
struct LawEntry {
  Law law;
  std::string_view name;  // "C1"
  Door door;
  std::string_view sentence;  // what it demands
  std::string_view canary;
  std::string_view dual;
  // preset is the only one whose build has the canary, the sanitizer being in it; empty: each has it.
  std::string_view preset;
};

// law_table has all laws in the order of Law.
std::span<const LawEntry> law_table() noexcept;
const LawEntry& law_entry(Law law) noexcept;

// law_name is "C1" ... "H1"; law_sentence says what the law demands; door_name is "app" ... "sanitizer".
std::string_view law_name(Law law) noexcept;
std::string_view law_sentence(Law law) noexcept;
std::string_view door_name(Door door) noexcept;

// law_from_name is the inverse of law_name, nothing if there is no such law.
std::optional<Law> law_from_name(std::string_view name) noexcept;

}  // namespace rig
