#include "harness/cli/selection.h"

#include <algorithm>
#include <array>
#include <sstream>
#include <string_view>
#include <utility>

#include "harness/subjects/subjects.h"

namespace rig::cli {
namespace {

// A library that other builds have is lacking here; any other word is a slip.
std::optional<Refusal> check_library(std::string_view option, const std::string& name, const rig_subject& subject) {
  constexpr std::array<std::string_view, 4> written{"openssl", "gnutls", "mbedtls", "null"};
  const std::vector<std::string> here = words_of(subject.libraries);
  if (name.empty() || std::ranges::find(here, name) != here.end()) {
    return std::nullopt;
  }
  const ExitCode code = std::ranges::find(written, name) != written.end() ? exit_lacking : exit_usage;
  return Refusal{code, std::string(option) + ": the subject " + subject.name + " has no library '" + name + "'; " +
                           hint(name, here)};
}

bool can_authenticate(const Selection& selection, const Case& one, const rig_subject& subject) {
  const std::uint32_t bit = selection.auth == Auth::psk ? RIG_CAN_PSK : RIG_CAN_CERTIFICATES;
  return !selection.auth.has_value() || ((subject.capabilities(one.cell.client.c_str()) & bit) != 0 &&
                                         (subject.capabilities(one.cell.server.c_str()) & bit) != 0);
}

bool selects(const Selection& selection, const Case& one) {
  const Cell& cell = one.cell;
  const auto& suites = selection.suites;
  return (suites.empty() || std::ranges::find(suites, one.suite->name) != suites.end()) &&
         (selection.client.empty() || cell.client == selection.client) &&
         (selection.server.empty() || cell.server == selection.server) &&
         (selection.backend.empty() || cell.client == selection.backend || cell.server == selection.backend) &&
         (!selection.tls.has_value() || cell.tls == *selection.tls) &&
         (!selection.poller.has_value() || cell.poller == *selection.poller) &&
         (!selection.fast_track.has_value() || cell.fast_track == *selection.fast_track);
}

}  // namespace

std::vector<std::string> words_of(const char* text) {
  std::vector<std::string> words;
  std::istringstream stream(text);
  for (std::string word; stream >> word;) {
    words.push_back(std::move(word));
  }
  return words;
}

std::expected<const rig_subject*, Refusal> load_subject(const std::string& name) {
  const auto found = find_subject(name);
  if (found.has_value()) {
    return *found;
  }
  if (name.find('/') == std::string::npos) {
    std::vector<std::string> names;
    for (const rig_subject* subject : subjects()) {
      names.emplace_back(subject->name);
    }
    return std::unexpected(
        Refusal{exit_usage, unknown("subject", name, names) + " (a shared object is named with a slash: ./mine.so)"});
  }
  return std::unexpected(Refusal{exit_lacking, std::string(found.error().detail())});
}

std::expected<std::vector<Case>, Refusal> select_cases(const Selection& selection, const rig_subject& subject) {
  std::vector<std::string> names;
  for (const Suite* suite : suites()) {
    names.emplace_back(suite->name);
  }
  for (const std::string& name : selection.suites) {
    if (find_suite(name) == nullptr) {
      return std::unexpected(Refusal{exit_usage, unknown("suite", name, names)});
    }
  }
  for (const auto& [option, name] :
       {std::pair{"--client", selection.client}, {"--server", selection.server}, {"--backend", selection.backend}}) {
    if (auto wrong = check_library(option, name, subject); wrong.has_value()) {
      return std::unexpected(std::move(*wrong));
    }
  }
  std::vector<Case> selected;
  for (Case& one : cases(selection.matrix, subject, selection.world)) {
    if (selects(selection, one) && can_authenticate(selection, one, subject)) {
      one.cell.auth = selection.auth.value_or(one.cell.auth);
      one.cell.subject = selection.subject;
      one.cell.world = selection.world;
      selected.push_back(std::move(one));
    }
  }
  if (selected.empty()) {
    return std::unexpected(Refusal{exit_usage, selection.matrix == Matrix::quick
                                                   ? "no case of the quick matrix is selected; try --matrix full"
                                                   : "no case is selected: what was asked for does not go together "
                                                     "(tlsrig list cases --matrix full shows what does)"});
  }
  return selected;
}

}  // namespace rig::cli
