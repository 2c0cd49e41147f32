// Scenarios of the fuzzers: whatever a mutation has made of one is repaired rather than refused.
#pragma once

#include <cstdint>
#include <string_view>

#include "harness/scenario/scenario.h"

namespace rig {

// FuzzLimits bound what one input may cost: a thousand runs of the largest one are to take a few seconds.
struct FuzzLimits {
  static constexpr std::uint32_t connections = 3;
  static constexpr std::size_t threads = 4;
  static constexpr std::uint32_t copies = 3;
  static constexpr std::size_t steps = 8;  // of a thread
  static constexpr std::size_t reactions = 6;
  static constexpr std::uint32_t nth = 64;
  static constexpr std::uint32_t says = 4;
  static constexpr std::uint64_t ops = 32;  // of all connections together
  // GnuTLS takes more than eight updates of keys in a second, of which each side's are answered by the other, for an
  // attack.
  static constexpr std::uint32_t key_updates = 8;
  static constexpr std::uint64_t plain_bytes = 128 << 10;
  static constexpr std::uint64_t kernel_bytes_min = 2048;
  static constexpr std::uint64_t kernel_bytes_max = 65536;
  // In virtual time. What waits in vain costs a turn of its loop each millisecond, so that all deadlines are short, and
  // no run in which nothing happens is waited for much longer than for them, and for the house's listener, which tries
  // again 100 ms after an accept that failed: there is one of these at most.
  static constexpr std::uint64_t timeout_us_max = 40'000;
  static constexpr std::int64_t delay_us_max = 10'000;
  static constexpr std::int64_t stall_us = 200'000;
  // The lab holds back for 200 ms what is to come in one piece: each flight of a handshake, and then an op.
  static constexpr std::int64_t stall_held_back_us = 1'500'000;
  static constexpr std::size_t faults = 6;
  static constexpr std::size_t accepts_that_fail = 1;
  static constexpr std::size_t switches = 64;
};

// opening is the scenario that all mutation begins with: a client connects and sends a little.
Scenario opening(std::string_view backend);

// fitted is the scenario that is nearest to `scenario` and can be run by the house in the lab, with `backend` on both
// sides, within FuzzLimits. It says no more of its end than can be promised: where is_calm() holds, everything works;
// elsewhere ops may fail, bytes may be missing, no outcome is expected and deadlines are short, and only the laws are
// asked. Its text is
// read as the same scenario again, and fitted() leaves that as it is.
Scenario fitted(Scenario scenario, std::string_view backend);

// requests_may_cross says that a client with `library` ignores the server's request to renegotiate where it has begun
// by itself, as it must. One of mbedTLS takes it for a wrong ServerHello (reports/findings/0040).
bool requests_may_cross(std::string_view library);

// is_calm says that nothing in the scenario may keep anything from working: nobody closes, pauses, resets or aligns, no
// fault lets a call fail for good; deadlines are not looked at. A calm run that hangs, or in which an op fails, has
// found something.
bool is_calm(const Scenario& scenario);

}  // namespace rig
