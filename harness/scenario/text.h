// The text form of a Scenario: what a repro file holds and a person reads and edits.
//
// Line by line; `#` starts a comment; words are separated by blanks; indentation does not matter. The first line is
// `scenario 1` (the version of the grammar). Everything has a default, and the printer writes only what differs from
// it, but for the cell, which is always written in full.
//
//   scenario 1
//   suite close_with_pending
//   seed 17
//   size quick
//   cell subject=house client=openssl server=gnutls tls=1.2 auth=psk world=loopback poller=epoll fast_track=off
//        nodelay_client=on nodelay_server=on ipv6=off          (one line in the file)
//   set connections 2
//   set kernel_send_bytes 4096
//   when server data #3 pause                 (reaction; `#3`: at the third; `when server 1 data ...`: connection 1
//   only) expect client closed aborted              (outcomes joined by `|`; success is `ok`: `ok|reset`) expect client
//   0 connected ok allow failed_ops allow undelivered reach pending_at_close >= 1 thread client each loop copies=3
//   (`each` or a connection's number; `loop` or `beside`; copies=1 is left out)
//     connect
//     await connected
//     send 200 of 0..65537                    (`of 512` for one size; `more` at the end of the line)
//     await pending 1
//     close_graceful
//     await closed
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "harness/scenario/scenario.h"

namespace rig {

// SyntaxError is where and why a text is no scenario. Units: lines and columns count from 1.
struct SyntaxError {
  std::size_t line = 0;
  std::size_t column = 0;
  std::string message;  // one sentence; names the word that was met and what could stand there
};

// print_scenario writes `scenario`; parse_scenario(print_scenario(s)) == s for every scenario.
std::string print_scenario(const Scenario& scenario);

// parse_scenario reads a text of at most 1 MiB. Errors: SyntaxError; a text is read whole or not at all.
std::expected<Scenario, SyntaxError> parse_scenario(std::string_view text);

}  // namespace rig
