// The stress suites as a GoogleTest program: one test per case, so that --gtest_filter, --gtest_repeat,
// --gtest_output=xml and sharding all work. The seed is TLSRIG_SEED (default 1), the matrix and size TLSRIG_MATRIX and
// TLSRIG_SIZE (default quick).
#include <gtest/gtest.h>

#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>

#include "harness/scenario/runner.h"
#include "harness/scenario/text.h"
#include "harness/subjects/subjects.h"
#include "stress/suite.h"

namespace rig {
namespace {

std::string setting(const char* name, const std::string& otherwise) {
  const char* const value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

// StressCase runs one case. It passes only if the verdict does: a vacuous run or a skip is a failure here, since the
// matrix holds only cells that apply.
class StressCase : public testing::Test {
 public:
  StressCase(const Case& one, Size size, std::uint64_t seed) : case_(one), size_(size), seed_(seed) {}

  void TestBody() override {
    const Scenario scenario = case_.suite->make(case_.cell, size_, seed_);
    const Verdict verdict = run_scenario(scenario);
    if (verdict.kind == VerdictKind::pass) {
      return;
    }
    const auto kept = keep_scenario(scenario, setting("TLSRIG_KEEP", "tlsrig-failures"));
    ADD_FAILURE() << verdict_json(verdict) << "\n"
                  << verdict.reason << "\n"
                  << (verdict.lacking.empty() ? "" : "not the subject's fault: " + verdict.lacking + "\n")
                  << (kept.has_value() ? "tlsrig replay " + *kept : std::string(kept.error().detail()));
    if (verdict.kind == VerdictKind::hang) {
      std::cerr << "a hang leaves threads behind: this process ends here\n";
      std::_Exit(1);
    }
  }

 private:
  const Case case_;
  const Size size_;
  const std::uint64_t seed_;
};

std::optional<std::uint64_t> number(const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), value);
  return wrong == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

int register_cases() {
  const auto subject = find_subject(setting("TLSRIG_SUBJECT", "house"));
  const auto size = from_word<Size>(setting("TLSRIG_SIZE", "quick"));
  const std::string matrix = setting("TLSRIG_MATRIX", "quick");
  if (!subject.has_value() || !size.has_value() || (matrix != "quick" && matrix != "full")) {
    std::cerr << "TLSRIG_SUBJECT is a subject's name or path, TLSRIG_SIZE tiny, quick or full, TLSRIG_MATRIX quick or "
                 "full\n";
    return 2;
  }
  const auto seed = number(setting("TLSRIG_SEED", "1"));
  if (!seed.has_value()) {
    std::cerr << "TLSRIG_SEED: '" << setting("TLSRIG_SEED", "1") << "' is no number from 0 to 18446744073709551615\n";
    return 2;
  }
  for (const Case& one : cases(matrix == "full" ? Matrix::full : Matrix::quick, **subject)) {
    testing::RegisterTest(std::string(one.suite->name).c_str(), cell_name(one.cell).c_str(), nullptr, nullptr, __FILE__,
                          __LINE__,
                          [one, size, seed]() -> testing::Test* { return new StressCase(one, *size, *seed); });
  }
  return 0;
}

// A filter that matches nothing would be green for ever. A shard may well have no case.
bool nothing_matched() {
  return !GTEST_FLAG_GET(list_tests) && std::getenv("GTEST_TOTAL_SHARDS") == nullptr &&
         testing::UnitTest::GetInstance()->test_to_run_count() == 0;
}

}  // namespace
}  // namespace rig

int main(int argc, char** argv) {
  if (const auto code = rig::run_as_child(argc, argv); code.has_value()) {
    return *code;
  }
  testing::InitGoogleTest(&argc, argv);
  if (const int wrong = rig::register_cases(); wrong != 0) {
    return wrong;
  }
  const int code = RUN_ALL_TESTS();
  if (code == 0 && rig::nothing_matched()) {
    std::cerr << "no case matches the filter '" << GTEST_FLAG_GET(filter) << "' (--gtest_list_tests shows them)\n";
    return 2;
  }
  return code;
}
