// The lab inside libFuzzer: the input is the schedule. Coverage leads the fuzzer from one interleaving to the next, and
// what it finds is repeated from the input alone. TLSRIG_PREY=sound asks for the program without the bug.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "harness/base/check.h"
#include "harness/lab/lab.h"
#include "harness/lab/tests/planted.h"

namespace {

using rig::lab::Options;
using rig::lab::Outcome;

// Each three bytes are a switch: a thread, a step of its own, and who goes on.
Options options_of(const std::uint8_t* data, std::size_t size) {
  Options options;
  options.watchdog = false;
  options.switches.emplace();
  for (std::size_t i = 0; i + 2 < size; i += 3) {
    options.switches->push_back({.thread = data[i] % 4U, .step = data[i + 1], .next = data[i + 2] % 4U});
  }
  return options;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const char* const asked = std::getenv("TLSRIG_PREY");
  const bool sound = asked != nullptr && std::strcmp(asked, "sound") == 0;
  const Options options = options_of(data, size);
  bool well = false;
  const auto body = [&] { well = sound ? rig::lab::check_and_act() : rig::lab::check_then_act(); };
  const Outcome first = rig::lab::run(options, body);
  const Outcome second = rig::lab::run(options, body);
  RIG_CHECK(first.schedule_hash == second.schedule_hash);
  if (!well) {
    std::fprintf(stderr, "the input is a schedule in which the planted bug shows\n");
    std::abort();
  }
  return 0;
}
