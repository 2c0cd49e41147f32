#include "harness/cli/failure.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "harness/scenario/runner.h"
#include "harness/scenario/text.h"

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

std::vector<ReportFile> failure_files(const Finished& finished, const Scenario& scenario) {
  const std::string name = scenario_file_name(scenario);
  Scenario repeatable = scenario;
  if (finished.verdict.lab.has_value()) {
    repeatable.lab = *finished.verdict.lab;
  }
  std::vector<ReportFile> files{{name, print_scenario(repeatable)}};
  if (!finished.output.empty()) {
    files.push_back({name.substr(0, name.size() - std::string_view(".scn").size()) + ".log", finished.output});
  }
  return files;
}

Status keep_files(const std::vector<ReportFile>& files, const std::string& folder) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  for (const ReportFile& kept : files) {
    const std::string path = folder + "/" + kept.name;
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file << kept.content;
    file.close();
    if (!file) {
      return std::unexpected(Error(Code::refused_by_system, "cannot write " + path));
    }
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
