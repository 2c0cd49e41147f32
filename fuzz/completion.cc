// Completion: an input is the text of a scenario, which is run in the lab under all laws. What is mutated are its
// steps, reactions, settings, faults and switches, so that every input is a scenario that can be run.
#include <optional>
#include <utility>

#include "fuzz/finding.h"
#include "fuzz/fitted.h"
#include "fuzz/lab_target.h"
#include "fuzz/mutation.h"
#include "fuzz/planted.h"

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  rig::enter_lab_or_end();
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t room,
                                               unsigned int seed) {
  return rig::mutate_text(data, size, room, seed, rig::fuzz_backend(),
                          [](rig::Scenario scenario) { return rig::fitted(std::move(scenario), rig::fuzz_backend()); });
}

extern "C" std::size_t LLVMFuzzerCustomCrossOver(const std::uint8_t* one, std::size_t one_size,
                                                 const std::uint8_t* other, std::size_t other_size, std::uint8_t* out,
                                                 std::size_t room, unsigned int seed) {
  rig::Prng prng(seed);
  auto first = rig::scenario_of(one, one_size, rig::fuzz_backend());
  const auto second = rig::scenario_of(other, other_size, rig::fuzz_backend());
  if (!first.has_value() || !second.has_value()) {
    return 0;
  }
  return rig::text_of(rig::fitted(rig::crossed(std::move(*first), *second, prng), rig::fuzz_backend()), out, room);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto scenario = rig::scenario_of(data, size, rig::fuzz_backend());
  if (!scenario.has_value()) {
    return rig::is_blank(data, size) ? 0 : -1;
  }
  rig::run_and_judge(*scenario, rig::planted_subject());
  return 0;
}
