#include "reports/report.h"

#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "harness/cli/verbs.h"
#include "reports/mutants.h"

namespace rig::cli {
namespace {

namespace fs = std::filesystem;

// The files of a report that are not rendered: kept scenarios and logs.
std::vector<ReportFile> other_files(const fs::path& folder) {
  constexpr std::array<const char*, 3> rendered{"index.html", "junit.xml", "verdicts.jsonl"};
  std::vector<ReportFile> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = entry.path().lexically_relative(folder).string();
    if (entry.is_regular_file() && std::ranges::find(rendered, name) == rendered.end()) {
      std::ifstream file(entry.path(), std::ios::binary);
      files.push_back({name, {std::istreambuf_iterator<char>(file), {}}});
    }
  }
  std::ranges::sort(files, {}, &ReportFile::name);
  return files;
}

// The page of a report of ci/mutants, beside it under the same name.
int rewrite_zoo(const fs::path& json) {
  std::ifstream source(json, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(source), {}};
  if (!source) {
    return refuse({exit_usage, "cannot read " + json.string()});
  }
  const auto html = mutants_html(text);
  if (!html.has_value()) {
    return refuse({exit_usage, json.string() + ": " + std::string(html.error().detail())});
  }
  const fs::path page = fs::path(json).replace_extension(".html");
  std::ofstream file(page, std::ios::binary | std::ios::trunc);
  file << *html;
  file.close();
  if (!file) {
    return refuse({exit_lacking, "cannot write " + page.string()});
  }
  std::printf("report: %s\n", page.c_str());
  return exit_green;
}

}  // namespace

std::string made_at() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  std::array<char, 32> date{};
  std::strftime(date.data(), date.size(), "%Y-%m-%d %H:%M UTC", &parts);
  utsname system{};
  ::uname(&system);
  return std::string(date.data()) + " on " + system.sysname + " " + system.release + " " + system.machine +
         ", tlsrig " RIG_VERSION;
}

int rewrite_report(const ReportCommand& command) {
  if (command.folder.ends_with(".json")) {
    return rewrite_zoo(command.folder);
  }
  auto verdicts = read_verdicts(command.folder);
  if (!verdicts.has_value()) {
    return refuse({exit_usage, std::string(verdicts.error().detail())});
  }
  Report report;
  report.made_at = made_at() + ", written anew from its verdicts";
  report.verdicts = std::move(*verdicts);
  report.files = other_files(command.folder);
  if (const Status written = write_report(report, command.folder); !written.has_value()) {
    return refuse({exit_lacking, std::string(written.error().detail())});
  }
  std::printf("report: %s/index.html\n", command.folder.c_str());
  return exit_green;
}

}  // namespace rig::cli
