#include "harness/cli/failure.h"

#include <algorithm>
#include <fstream>
#include <string_view>

#include "harness/cli/words.h"
#include "harness/scenario/runner.h"

namespace rig::cli {
namespace {

constexpr std::size_t violations_shown_max = 5;
constexpr std::size_t output_lines_shown_max = 12;

// The end of `text`, as whole lines.
std::string last_lines(const std::string& text, std::size_t lines_max) {
  std::size_t at = text.size();
  for (std::size_t lines = 0; at > 0; --at) {
    if (text[at - 1] == '\n' && at != text.size() && ++lines == lines_max) {
      break;
    }
  }
  return text.substr(at);
}

std::string indented(const std::string& text) {
  std::string result = "  | ";
  for (std::size_t i = 0; i < text.size(); ++i) {
    result += text[i];
    if (text[i] == '\n' && i + 1 < text.size()) {
      result += "  | ";
    }
  }
  while (result.ends_with('\n')) {
    result.pop_back();
  }
  return result;
}

}  // namespace

Status keep_failure(Finished& finished, const Scenario& scenario, const std::string& folder) {
  RIG_TRY(path, keep_scenario(scenario, folder));
  finished.verdict.repro = "tlsrig replay " + shell_word(path);
  if (finished.output.empty()) {
    return {};
  }
  const std::string log_path = path.substr(0, path.size() - std::string_view(".scn").size()) + ".log";
  std::ofstream log(log_path, std::ios::binary | std::ios::trunc);
  log << finished.output;
  log.close();
  if (!log) {
    return std::unexpected(Error(Code::refused_by_system, "cannot write " + log_path));
  }
  return {};
}

void show_verdict(Progress& progress, const Finished& finished) {
  const Verdict& verdict = finished.verdict;
  std::string kind(verdict_kind_name(verdict.kind));
  std::ranges::transform(kind, kind.begin(), [](char letter) { return static_cast<char>(letter - 'a' + 'A'); });
  const bool green = verdict.kind == VerdictKind::pass;
  std::string text = (green ? progress.good(kind) : progress.bad(kind)) + " stress." + verdict.suite + "." +
                     verdict.cell + " seed " + std::to_string(verdict.seed);
  text += verdict.reason.empty() ? "" : ": " + verdict.reason;
  const std::size_t shown = std::min(verdict.violations.size(), violations_shown_max);
  for (std::size_t i = 0; i < shown; ++i) {
    const Violation& violation = verdict.violations[i];
    text += "\n  " + std::string(law_name(violation.law)) + " " + violation.where + ": " + violation.message;
  }
  if (verdict.violation_count > shown) {
    text += "\n  and " + std::to_string(verdict.violation_count - shown) + " more violations";
  }
  if (!finished.output.empty() && !green) {
    text += "\n" + indented(last_lines(finished.output, output_lines_shown_max));
  }
  if (!verdict.repro.empty()) {
    text += "\n  " + verdict.repro;
  }
  progress.line(text);
}

}  // namespace rig::cli
