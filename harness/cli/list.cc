#include <array>
#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "harness/cli/selection.h"
#include "harness/cli/verbs.h"
#include "harness/oracle/violation.h"
#include "harness/subjects/subjects.h"
#include "stress/suite.h"

namespace rig::cli {
namespace {

using Json = nlohmann::ordered_json;

// Entry is one line: a name and what there is to say about it.
struct Entry {
  std::string name;
  Json facts;
  std::string sentence;
};

constexpr std::array<std::pair<std::uint32_t, std::string_view>, 18> capability_words{
    {{RIG_CAN_TLS12, "tls1.2"},
     {RIG_CAN_TLS13, "tls1.3"},
     {RIG_CAN_PSK, "psk"},
     {RIG_CAN_CERTIFICATES, "certificates"},
     {RIG_CAN_FAST_TRACK_OFF, "fast_track_off"},
     {RIG_CAN_SEND_FROM_ANY_THREAD, "send_from_any_thread"},
     {RIG_CAN_CLOSE_FROM_ANY_THREAD, "close_from_any_thread"},
     {RIG_CAN_ORDER_COMPLETIONS, "order_completions"},
     {RIG_CAN_PAUSE, "pause"},
     {RIG_CAN_HALF_CLOSE, "half_close"},
     {RIG_CAN_TELL_TRUNCATION, "tell_truncation"},
     {RIG_CAN_RENEGOTIATE_AS_CLIENT, "renegotiate_as_client"},
     {RIG_CAN_RENEGOTIATE_AS_SERVER, "renegotiate_as_server"},
     {RIG_CAN_RENEGOTIATE_IN_FLIGHT, "renegotiate_in_flight"},
     {RIG_CAN_UPDATE_KEYS, "update_keys"},
     {RIG_CAN_LIMIT_QUEUE, "limit_queue"},
     {RIG_CAN_MORE, "more"},
     {RIG_CAN_CLOSE_OVER_INPUT, "close_over_input"}}};

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    text += (text.empty() ? "" : " ") + word;
  }
  return text;
}

std::vector<Entry> suite_entries() {
  std::vector<Entry> entries;
  for (const Suite* suite : suites()) {
    entries.push_back({std::string(suite->name), Json{{"sentence", suite->sentence}}, std::string(suite->sentence)});
  }
  return entries;
}

std::vector<Entry> law_entries() {
  std::vector<Entry> entries;
  for (const LawEntry& law : law_table()) {
    const std::string door(door_name(law.door));
    std::string text = (law.door == Door::sanitizer ? "by a " + door : "at the " + door + " door") + ": ";
    text += law.sentence;
    text += "\n      canary: " + std::string(law.canary) +
            (law.preset.empty() ? "" : " (preset " + std::string(law.preset) + ")");
    text += "\n      dual:   " + std::string(law.dual);
    entries.push_back({std::string(law.name),
                       Json{{"door", door_name(law.door)},
                            {"sentence", law.sentence},
                            {"canary", law.canary},
                            {"dual", law.dual},
                            {"preset", law.preset}},
                       std::move(text)});
  }
  return entries;
}

std::vector<Entry> fault_entries() {
  std::vector<Entry> entries;
  for (const Word<lab::FaultKind>& kind : words<lab::FaultKind>()) {
    entries.push_back(
        {std::string(kind.text), Json{{"sentence", sentence(kind.value)}}, std::string(sentence(kind.value))});
  }
  return entries;
}

std::vector<std::string> pollers_of(const rig_subject& subject) {
  std::vector<std::string> names;
  for (const auto& [bit, name] : {std::pair{RIG_POLLER_EPOLL, "epoll"}, std::pair{RIG_POLLER_POLL, "poll"},
                                  std::pair{RIG_POLLER_SELECT, "select"}}) {
    if ((subject.pollers & bit) != 0) {
      names.emplace_back(name);
    }
  }
  return names;
}

std::vector<Entry> subject_entries() {
  std::vector<Entry> entries;
  for (const rig_subject* subject : subjects()) {
    const auto libraries = words_of(subject->libraries);
    const auto pollers = pollers_of(*subject);
    entries.push_back({subject->name, Json{{"libraries", libraries}, {"pollers", pollers}},
                       "libraries: " + joined(libraries) + "; pollers: " + joined(pollers)});
  }
  return entries;
}

// What each library can do, as the subjects that are built in say it.
std::vector<Entry> backend_entries() {
  std::vector<Entry> entries;
  std::set<std::string> seen;
  for (const rig_subject* subject : subjects()) {
    for (const std::string& library : words_of(subject->libraries)) {
      if (!seen.insert(library).second) {
        continue;
      }
      std::array<char, 128> version{};
      subject->library_version(library.c_str(), version.data(), version.size());
      const std::uint32_t can = subject->capabilities(library.c_str());
      std::vector<std::string> words;
      for (const auto& [bit, word] : capability_words) {
        if ((can & bit) != 0) {
          words.emplace_back(word);
        }
      }
      entries.push_back({library, Json{{"version", version.data()}, {"capabilities", words}},
                         std::string(version.data()) + ": " + joined(words)});
    }
  }
  return entries;
}

std::string printed(const std::vector<Entry>& entries, std::string_view kind, bool json) {
  std::size_t width = 0;
  for (const Entry& entry : entries) {
    width = std::max(width, entry.name.size());
  }
  std::string text;
  for (const Entry& entry : entries) {
    if (json) {
      Json line{{"kind", kind}, {"name", entry.name}};
      line.update(entry.facts);
      text += line.dump() + "\n";
    } else if (entry.sentence.empty()) {
      text += entry.name + "\n";
    } else {
      text += entry.name + std::string(width - entry.name.size() + 2, ' ') + entry.sentence + "\n";
    }
  }
  return text;
}

Entry case_entry(const Case& one) {
  const Cell& cell = one.cell;
  return {"stress." + case_name(one),
          Json{{"suite", one.suite->name},
               {"subject", cell.subject},
               {"client", cell.client},
               {"server", cell.server},
               {"tls", word(cell.tls)},
               {"auth", word(cell.auth)},
               {"world", word(cell.world)},
               {"poller", word(cell.poller)},
               {"fast_track", cell.fast_track},
               {"nodelay_client", cell.nodelay_client},
               {"nodelay_server", cell.nodelay_server},
               {"ipv6", cell.ipv6}},
          ""};
}

// The preset that builds programs like this one, of those that rows name.
constexpr std::string_view preset_of_this_build() {
#if defined(__SANITIZE_ADDRESS__)
  return "asan";
#elif defined(__SANITIZE_THREAD__)
  return "tsan";
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
  return "asan";
#elif __has_feature(thread_sanitizer)
  return "tsan";
#endif
#endif
  return "dev";
}

// Text as CTest's language takes it whatever it holds.
std::string bracketed(const std::string& text) {
  return "[==[" + text + "]==]";
}

// One case of each suite, not all of them on the same libraries.
std::set<const Case*> smoke_cases(const std::vector<Case>& cases) {
  std::map<std::string_view, std::vector<const Case*>> by_suite;
  for (const Case& one : cases) {
    by_suite[one.suite->name].push_back(&one);
  }
  std::set<const Case*> smoke;
  std::size_t number = 0;
  for (const auto& [suite, list] : by_suite) {
    smoke.insert(list[number++ * list.size() / by_suite.size()]);
  }
  return smoke;
}

// The cases for ctest, one test each. RIG_TEST_ENVIRONMENT is set by the file that includes this one.
std::string ctest_lines(const std::vector<Case>& cases, const Selection& selection, const std::string& program) {
  std::string text;
  const std::set<const Case*> smoke = smoke_cases(cases);
  const bool full = selection.matrix == Matrix::full;
  for (const Case& one : cases) {
    const std::string name = bracketed("stress." + case_name(one));
    std::string labels = std::string("stress;") + (full ? "full" : "quick") + ";subject:" + one.cell.subject +
                         ";world:" + std::string(word(one.cell.world)) + ";backend:" + one.cell.client;
    if (one.cell.server != one.cell.client) {
      labels += ";backend:" + one.cell.server;
    }
    if (smoke.contains(&one)) {
      labels += ";smoke";
    }
    for (const Row& row : rows()) {
      if (row.has(one.cell) && row.preset == preset_of_this_build()) {
        labels += ";" + row.name;
      }
    }
    text += "add_test(" + name + " " + bracketed(program) + " " + bracketed("--gtest_filter=" + case_name(one)) + ")\n";
    text += "set_tests_properties(" + name + " PROPERTIES TIMEOUT 600 LABELS " + bracketed(labels) +
            " ENVIRONMENT_MODIFICATION \"${RIG_TEST_ENVIRONMENT}\")\n";
  }
  return text;
}

std::expected<std::string, Refusal> case_text(const ListCommand& command) {
  RIG_TRY(subject, load_subject(command.selection.subject));
  RIG_TRY(cases, select_cases(command.selection, *subject));
  if (!command.ctest_program.empty()) {
    return ctest_lines(cases, command.selection, command.ctest_program);
  }
  std::vector<Entry> entries;
  for (const Case& one : cases) {
    entries.push_back(case_entry(one));
  }
  return printed(entries, "case", command.json);
}

std::expected<std::string, Refusal> text_of(const ListCommand& command) {
  if (command.what == "cases") {
    return case_text(command);
  }
  std::string text;
  struct Kind {
    std::string_view what;
    std::string_view kind;
    std::vector<Entry> (*entries_of)();
  };
  for (const auto& [what, kind, entries_of] :
       {Kind{"suites", "suite", suite_entries}, Kind{"subjects", "subject", subject_entries},
        Kind{"backends", "backend", backend_entries}, Kind{"laws", "law", law_entries},
        Kind{"faults", "fault", fault_entries}}) {
    if (!command.what.empty() && command.what != what) {
      continue;
    }
    if (command.what.empty() && !command.json) {
      text += (text.empty() ? "" : "\n") + std::string(what) + ":\n";
    }
    text += printed(entries_of(), kind, command.json);
  }
  return text;
}

}  // namespace

int list(const ListCommand& command) {
  const auto text = text_of(command);
  if (!text.has_value()) {
    return refuse(text.error());
  }
  if (command.output.empty()) {
    std::fputs(text->c_str(), stdout);
    return exit_green;
  }
  const std::string fresh = command.output + ".new";
  std::ofstream file(fresh, std::ios::binary | std::ios::trunc);
  file << *text;
  file.close();
  if (!file || std::rename(fresh.c_str(), command.output.c_str()) != 0) {
    std::remove(fresh.c_str());
    return refuse({exit_lacking, "cannot write " + command.output});
  }
  return exit_green;
}

}  // namespace rig::cli
