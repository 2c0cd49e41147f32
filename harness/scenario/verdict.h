// Verdict: how a run ended, and what it really used.
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/base/error.h"
#include "harness/oracle/violation.h"
#include "harness/scenario/scenario.h"

namespace rig {

// VerdictKind: only `pass` is green. `vacuous` never came to its situation, `skip` could not be asked of this subject.
enum class VerdictKind : std::uint8_t { pass, fail, hang, vacuous, skip };

// verdict_kind_name is "pass", "fail", "hang", "vacuous" or "skip"; verdict_kind_from_name is its inverse.
std::string_view verdict_kind_name(VerdictKind kind) noexcept;
std::optional<VerdictKind> verdict_kind_from_name(std::string_view name) noexcept;

// Used is what a run really used, read back at run time; empty where there was nothing to read.
struct Used {
  std::string client_library;
  std::string server_library;
  std::string tls;
  std::string cipher;
  std::string poller;
  std::string fast_track;
  std::string nodelay_client;
  std::string nodelay_server;
  friend bool operator==(const Used&, const Used&) = default;
};

// Verdict is the end of one run.
struct Verdict {
  VerdictKind kind = VerdictKind::fail;
  std::string suite;
  std::string cell;  // cell_name() of the claimed cell
  Cell cell_claimed;
  std::uint64_t seed = 0;
  std::string reason;  // one sentence; empty for a pass
  // hangs_in_steps says of a hang that the scenario's own steps were waiting, or the run for what was sent to arrive:
  // which of that comes is up to the scenario. Not part of the JSON.
  bool hangs_in_steps = false;
  // lacking is what this machine could not give (descriptors, ports, memory), and what to do; empty: nothing. Such a
  // run is `fail`, but says nothing about the subject: tlsrig ends with "lacking" and counts it nowhere.
  std::string lacking;
  std::vector<Violation> violations;
  std::uint64_t violation_count = 0;
  std::map<std::string, std::uint64_t> counters;
  Used used;
  std::string repro;  // the line that runs it again
  double seconds = 0;
  std::uint64_t trace_hash = 0;  // of the schedule, in the lab; 0: none
  // lab is what a run in the lab did, as a scenario can say it: its switches, its faults, its hashes. In JSON the
  // switches and faults stand only where the verdict is not green.
  std::optional<LabPart> lab;
  // allocation_sites are, of a run in the lab whose allocations may fail and did not, the numbers of those that each
  // came first from their place (a stack of calls).
  std::vector<std::uint64_t> allocation_sites;
};

// verdict_json is one line of JSON, without a line end. Keys: suite, cell, claimed, seed, verdict, reason, violations,
// violation_count, counters, used, repro, seconds, hash (as hexadecimal text: a JSON reader may keep only 53 bits of a
// number), lacking and allocation_sites if they are not empty, and lab, as the lines of a scenario, of a run that was
// in the lab. Bytes that are not UTF-8, as a library's text may have them, become U+FFFD.
std::string verdict_json(const Verdict& verdict);

// verdict_from_json reads such a line. Only `verdict` must be there; other keys that are missing mean the default, and
// unknown ones are passed over. Errors: invalid_argument with a sentence.
std::expected<Verdict, Error> verdict_from_json(std::string_view line);

}  // namespace rig
