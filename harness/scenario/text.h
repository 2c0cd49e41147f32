// The text form of a Scenario: what a repro file holds and a person reads and edits (see the README of this room).
//
// Line by line; `#` in front of a word starts a comment, unless a digit follows it; words are separated by blanks;
// indentation does not matter. The first line is `scenario 1` (the version of the grammar). Everything has a default,
// and the printer writes only what differs from it, but for the cell, which is always written in full. A name (of a
// suite, subject, library or counter) that is not a word of [A-Za-z0-9_./-] stands in double quotes, with escapes.
//
//   scenario 1
//   suite close_with_pending
//   seed 17
//   size tiny
//   cell subject=house client=openssl server=gnutls tls=1.2 auth=psk world=loopback poller=epoll fast_track=off
//        nodelay_client=on nodelay_server=on ipv6=off          (one line in the file)
//   set connections 2
//   set kernel_send_bytes 4096
//   when server data #3 pause             (a reaction; `#3`: at the third; `when server 1 data ...`: connection 1 only)
//   expect client closed aborted          (outcomes joined by `|`; success is `ok`: `ok|reset`)
//   expect client 0 connected ok
//   allow failed_ops
//   allow undelivered
//   allow no_memory
//   reach pending_at_close >= 1
//   thread client each loop copies=3      (`each` or a connection's number; `loop` or `beside`; copies=1 is left out)
//     connect
//     await connected
//     send 200 of 0..65537                (`of 512` for one size; `more` at the end of the line)
//     await pending 1
//     close_graceful
//     await closed
//   lab policy=none first_descriptor=70000   (the lab's own lines, where something is not as by default)
//   fault 1 short_write side=client connection=0 nth=3 amount=10
//   switches 2@153>1 1@20>2             (thread@its step>who goes on)
//   recorded 5120 events schedule 0123456789abcdef bytes 0123456789abcdef
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "harness/scenario/scenario.h"

namespace rig {

// TextLimits bound what a text can ask for, so that a hostile one exhausts neither its reader nor a run.
struct TextLimits {
  static constexpr std::size_t bytes = std::size_t{1} << 20;  // of the whole text
  static constexpr std::size_t reactions = 4096;
  static constexpr std::size_t threads = 4096;
  static constexpr std::size_t steps = 65536;  // of all threads together
  static constexpr std::size_t expectations = 16384;
  static constexpr std::size_t outcomes = 64;  // of one expectation
  static constexpr std::size_t reaches = 1024;
  static constexpr std::uint32_t connections = 65536;
  static constexpr std::uint32_t copies = 1024;
  static constexpr std::uint64_t op_bytes = std::uint64_t{1} << 30;
  static constexpr std::size_t faults = 4096;
  static constexpr std::size_t switches = 65536;
  static constexpr std::uint64_t lab_threads = 65535;
  static constexpr std::uint64_t lab_steps = std::uint64_t{1} << 40;
};

// SyntaxError is where and why a text is no scenario. Units: lines and columns (bytes) count from 1;
// where something is missing, the column is the one behind the line's last word.
struct SyntaxError {
  std::size_t line = 0;
  std::size_t column = 0;
  std::string message;  // one sentence; names the word that was met and what could stand there
};

// print_scenario writes `scenario`, whatever it holds. parse_scenario(print_scenario(s)) == s for every scenario within
// TextLimits whose steps and reactions are ones that can be run (`echo` is no step, `connect` no reaction, ...).
std::string print_scenario(const Scenario& scenario);

// parse_scenario reads a text within TextLimits; line ends may be LF or CRLF. Errors: SyntaxError; a text is read whole
// or not at all.
std::expected<Scenario, SyntaxError> parse_scenario(std::string_view text);

}  // namespace rig
