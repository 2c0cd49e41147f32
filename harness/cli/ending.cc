#include "harness/cli/ending.h"

#include <string.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>

namespace rig::cli {

std::string how_it_ended(int status) {
  if (WIFSIGNALED(status)) {
    return "was ended by signal " + std::to_string(WTERMSIG(status)) + " (" + ::strsignal(WTERMSIG(status)) + ")";
  }
  return "exited with " + std::to_string(WEXITSTATUS(status));
}

std::string telling_line(const std::string& output) {
  constexpr std::array<std::string_view, 6> marks{
      "ERROR: ", "WARNING: ThreadSanitizer", "runtime error: ", "check failed:", "terminate called", "SUMMARY: "};
  std::string last;
  std::size_t best = marks.size();
  std::string told;
  for (std::size_t at = 0; at < output.size();) {
    const std::size_t end = std::min(output.find('\n', at), output.size());
    const std::string line = output.substr(at, end - at);
    at = end + 1;
    last = line.empty() ? last : line;
    for (std::size_t mark = 0; mark < best; ++mark) {
      if (line.find(marks[mark]) != std::string::npos) {
        best = mark;
        told = line;
      }
    }
  }
  return told.empty() ? last : told;
}

std::optional<Law> law_of_report(std::string_view line) noexcept {
  const auto says = [line](std::string_view words) { return line.find(words) != std::string_view::npos; };
  if (says("ThreadSanitizer: data race")) {
    return Law::t1_races;
  }
  const bool of_memory = says("AddressSanitizer: ") || says("LeakSanitizer: ") || says("MemorySanitizer: ") ||
                         says("ThreadSanitizer: ") || says(": runtime error: ");
  return of_memory ? std::optional(Law::m1_memory) : std::nullopt;
}

}  // namespace rig::cli
