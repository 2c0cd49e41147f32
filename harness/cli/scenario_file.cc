#include "harness/cli/scenario_file.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "harness/scenario/text.h"

namespace rig::cli {
namespace {

constexpr std::size_t scenario_bytes_max = std::size_t{1} << 20;

}  // namespace

std::expected<Scenario, Refusal> read_scenario(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(scenario_bytes_max + 1, '\0');
  if (file) {
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
  }
  if (!file.is_open() || file.bad() || (file.fail() && !file.eof())) {
    return std::unexpected(Refusal{exit_usage, path + ": " + std::strerror(errno == 0 ? EIO : errno)});
  }
  text.resize(static_cast<std::size_t>(file.gcount()));
  auto parsed = parse_scenario(text);
  if (!parsed.has_value()) {
    const SyntaxError& error = parsed.error();
    return std::unexpected(Refusal{exit_usage, path + ":" + std::to_string(error.line) + ":" +
                                                   std::to_string(error.column) + ": " + error.message});
  }
  return std::move(*parsed);
}

}  // namespace rig::cli
