#include <gtest/gtest.h>

#include <string>

#include "reports/mutants.h"

namespace rig {
namespace {

std::string page(const std::string& json) {
  const auto html = mutants_html(json);
  EXPECT_TRUE(html.has_value()) << (html.has_value() ? "" : html.error().detail());
  return html.value_or("");
}

constexpr const char* summary_of_two = R"("summary": {"mutants": 2, "killed": 1, "by_named_law": 1, "crash_alone": 0,
  "survived": ["M30"], "not_run": ["M72", "M80"], "cpu_seconds_median": 1.25, "cpu_seconds_95": 1.25})";
constexpr const char* two = R"([
  {"patch": "M24-a", "mutant": "M24", "plants": "<b>one</b> too many", "law": "S1", "outcome": "killed",
   "named": {"by": ["S1", "C5"], "world": "lab", "suite": "bidir", "cell": "a~b", "runs": 7, "cpu_seconds": 1.25,
             "sentence": "byte 3"},
   "first": null, "laws": {"S1": 4}, "suites": {"bidir": 4}},
  {"patch": "M30-b", "mutant": "M30", "plants": "none", "law": "L1", "outcome": "survived", "first": null,
   "named": null, "laws": {}, "suites": {}}])";

TEST(MutantsPageTest, SaysWhoReportedAndWhoWasNotNoticed) {
  const std::string html = page(std::string("{\"mutants\": ") + two + ", " + summary_of_two + "}");
  EXPECT_NE(html.find("Not killed: M30"), std::string::npos);
  EXPECT_NE(html.find("Not run: M72, M80."), std::string::npos);
  EXPECT_NE(html.find("1 of 2"), std::string::npos);
  EXPECT_NE(html.find("S1, C5"), std::string::npos);
  EXPECT_NE(html.find("bidir.a~b"), std::string::npos);
  EXPECT_NE(html.find("<td class=\"pass\">4</td>"), std::string::npos);
  EXPECT_NE(html.find("<span class=\"chip fail\">survived</span>"), std::string::npos);
  EXPECT_NE(html.find("&lt;b&gt;one&lt;/b&gt;"), std::string::npos);
  EXPECT_EQ(html.find("Without a mutant"), std::string::npos);
}

TEST(MutantsPageTest, TellsTheFalseAlarms) {
  const std::string html = page(std::string("{\"mutants\": [], \"clean\": {\"times\": 20, \"runs\": 900, ") +
                                "\"cpu_seconds\": 12.5, \"false_alarms\": 3}, " + summary_of_two + "}");
  EXPECT_NE(html.find("Without a mutant: 900 runs in 12.5 s of CPU, 3 false alarms."), std::string::npos);
}

TEST(MutantsPageTest, ListsTheSmallChangesThatNobodyReported) {
  const std::string head = std::string("{\"mutants\": [], ") + summary_of_two;
  EXPECT_EQ(page(head + "}").find("Small changes"), std::string::npos);
  const std::string html = page(head + R"(, "generic": {"seed": 5, "possible": 900, "changes": [
    {"file": "a.cc", "line": 3, "operator": "off by one", "text": "x<y", "outcome": "survived", "met": false},
    {"file": "b.cc", "line": 4, "operator": "off by one", "text": "z", "outcome": "killed", "met": true}],
    "summary": {"run": 2, "killed": 1, "not_met": 1, "laws": {"S1": 1}, "cpu_seconds_median": 0.5,
                "cpu_seconds_95": 0.5}}})");
  EXPECT_NE(html.find("1 of 2 were reported"), std::string::npos);
  EXPECT_NE(html.find("with seed 5 out of 900"), std::string::npos);
  EXPECT_NE(html.find("S1 1</span>"), std::string::npos);
  EXPECT_NE(html.find("a.cc:3"), std::string::npos);
  EXPECT_NE(html.find("<code>x&lt;y</code>"), std::string::npos);
  EXPECT_EQ(html.find("b.cc:4"), std::string::npos);
}

TEST(MutantsPageTest, RefusesWhatIsNoReport) {
  for (const char* const json : {"", "[]", "{\"mutants\": 3}", "{\"mutants\": []}"}) {
    EXPECT_FALSE(mutants_html(json).has_value()) << json;
  }
}

}  // namespace
}  // namespace rig
