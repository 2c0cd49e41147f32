#include <array>
#include <charconv>
#include <cmath>
#include <map>

#include "reports/report.h"

namespace rig {
namespace {

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : printable(text)) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";  // "]]>" is not allowed in text
        break;
      case '"':
        result += "&quot;";
        break;
      case '\n':
        result += "&#10;";  // an attribute would turn it into a blank
        break;
      case '\t':
        result += "&#9;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

std::string attribute(std::string_view name, std::string_view value) {
  return " " + std::string(name) + "=\"" + escaped(value) + "\"";
}

// A printf would follow the locale, and XML wants a point.
std::string seconds_text(double seconds) {
  std::array<char, 64> text{};
  const double value = std::isfinite(seconds) && seconds > 0 && seconds < 1e15 ? seconds : 0;
  const auto [end, wrong] = std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed, 6);
  return wrong == std::errc() ? std::string(text.data(), end) : "0";
}

// What a testsuite and the whole count.
struct Totals {
  std::size_t tests = 0;
  std::size_t failures = 0;
  std::size_t skipped = 0;
  double seconds = 0;

  void add(const Verdict& verdict) {
    ++tests;
    failures += verdict.kind != VerdictKind::pass && verdict.kind != VerdictKind::skip ? 1 : 0;
    skipped += verdict.kind == VerdictKind::skip ? 1 : 0;
    seconds += std::isfinite(verdict.seconds) && verdict.seconds > 0 ? verdict.seconds : 0;
  }

  std::string attributes() const {
    return attribute("tests", std::to_string(tests)) + attribute("failures", std::to_string(failures)) +
           attribute("errors", "0") + attribute("skipped", std::to_string(skipped)) +
           attribute("time", seconds_text(seconds));
  }
};

std::string violations_text(const Verdict& verdict) {
  std::string text;
  for (const Violation& one : verdict.violations) {
    text += std::string(law_name(one.law)) + " " + one.where + ": " + one.message + "\n";
  }
  if (verdict.violation_count > verdict.violations.size()) {
    text += std::to_string(verdict.violation_count - verdict.violations.size()) + " more violations\n";
  }
  return text;
}

std::string outcome(const Verdict& verdict) {
  const std::string message = attribute("message", verdict.reason);
  switch (verdict.kind) {
    case VerdictKind::pass:
      return "";
    case VerdictKind::skip:
      return "      <skipped" + message + "/>\n";
    case VerdictKind::fail:
    case VerdictKind::hang:
    case VerdictKind::vacuous:
      break;
  }
  return "      <failure" + message + attribute("type", verdict_kind_name(verdict.kind)) + ">" +
         escaped(violations_text(verdict)) + "</failure>\n";
}

std::string system_out(const Verdict& verdict) {
  std::string text = "seed " + std::to_string(verdict.seed) + "\n";
  for (const std::string* library : {&verdict.used.client_library, &verdict.used.server_library}) {
    text += library->empty() ? "" : (library == &verdict.used.client_library ? "client " : "server ") + *library + "\n";
  }
  text += verdict.repro.empty() ? "" : verdict.repro + "\n";
  return "      <system-out>" + escaped(text) + "</system-out>\n";
}

}  // namespace

std::string report_junit(const Report& report) {
  std::map<std::string, std::pair<Totals, std::string>> suites;
  std::map<std::pair<std::string, std::string>, int> doubles;
  Totals all;
  for (const Verdict& verdict : report.verdicts) {
    ++doubles[{verdict.suite, verdict.cell}];
  }
  for (const Verdict& verdict : report.verdicts) {
    // A case keeps its name from run to run; only where it ran with several seeds they are part of it.
    const bool once = doubles[{verdict.suite, verdict.cell}] == 1;
    const std::string name = verdict.cell + (once ? "" : " seed " + std::to_string(verdict.seed));
    auto& [totals, cases] = suites[verdict.suite];
    totals.add(verdict);
    all.add(verdict);
    cases += "    <testcase" + attribute("classname", verdict.suite) + attribute("name", name) +
             attribute("time", seconds_text(verdict.seconds)) + ">\n" + outcome(verdict) + system_out(verdict) +
             "    </testcase>\n";
  }
  std::string text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites" + attribute("name", report.title) +
                     all.attributes() + ">\n";
  for (const auto& [suite, content] : suites) {
    text += "  <testsuite" + attribute("name", suite) + content.first.attributes() + ">\n" + content.second +
            "  </testsuite>\n";
  }
  return text + "</testsuites>\n";
}

}  // namespace rig
