// The text of scenarios: whatever was read is printed as a text that says the same, and a refusal names its place.
#include <algorithm>
#include <string>
#include <string_view>

#include "fuzz/finding.h"
#include "harness/scenario/scenario_check.h"
#include "harness/scenario/text.h"

namespace {

void judge_refusal(std::string_view text, const rig::SyntaxError& error) {
  const auto lines = static_cast<std::size_t>(std::ranges::count(text, '\n')) + 1;
  rig::demand(error.line >= 1 && error.line <= lines, "a refusal names a line that the text does not have");
  rig::demand(error.column >= 1 && error.column <= text.size() + 1, "a refusal names a column beyond the text");
  rig::demand(!error.message.empty(), "a refusal says nothing");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto scenario = rig::parse_scenario(text);
  if (!scenario.has_value()) {
    judge_refusal(text, scenario.error());
    return 0;
  }
  const auto wrong = rig::check_scenario(*scenario);
  rig::demand(!wrong.has_value() || !wrong->empty(), "what is wrong with a scenario is not said");
  const std::string printed = rig::print_scenario(*scenario);
  // Limits are for texts: a compact text at the limit may print as a longer one.
  if (printed.size() > rig::TextLimits::bytes) {
    return 0;
  }
  const auto again = rig::parse_scenario(printed);
  rig::demand(again.has_value(), "a printed scenario is refused");
  rig::demand(*again == *scenario, "a printed scenario is read as another one");
  rig::demand(rig::print_scenario(*again) == printed, "a scenario is printed in two ways");
  return 0;
}
