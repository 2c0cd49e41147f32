#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "harness/base/error.h"
#include "harness/scenario/text.h"
#include "harness/scenario/text_fields.h"
#include "harness/scenario/text_grammar.h"
#include "harness/scenario/text_lab.h"
#include "harness/scenario/text_words.h"

namespace rig {
namespace {

constexpr std::uint64_t grammar_version = 1;
constexpr std::uint64_t any_number = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint32_t any_number32 = std::numeric_limits<std::uint32_t>::max();
constexpr std::array<std::string_view, 3> allow_words{"failed_ops", "undelivered", "no_memory"};
constexpr std::array<std::string_view, 2> expected_events{"connected", "closed"};

// verbs_of lists the words of the verbs that may stand in such a place.
template <bool VerbForm::* place>
const std::vector<std::string_view>& verbs_of() {
  static const std::vector<std::string_view> verbs = [] {
    std::vector<std::string_view> texts;
    for (const VerbForm& form : verb_forms) {
      if (form.*place) {
        texts.push_back(word(form.verb));
      }
    }
    return texts;
  }();
  return verbs;
}

std::vector<std::string_view> outcome_words() {
  std::vector<std::string_view> outcomes{"ok"};
  for (int code = 0; code <= static_cast<int>(Code::internal); ++code) {
    outcomes.push_back(code_name(static_cast<Code>(code)));
  }
  return outcomes;
}

// Parser reads line by line; each kind of line is one function, and one entry of line_forms.
class Parser {
 public:
  Read<Scenario> read(std::string_view text);

 private:
  struct LineForm {
    std::string_view head;
    bool once;
    Read<void> (Parser::*read)(TextLine& line);
  };
  static const std::array<LineForm, 14> line_forms;

  Read<void> read_version(TextLine& line);
  Read<void> read_line(TextLine& line);
  Read<void> read_suite(TextLine& line);
  Read<void> read_seed(TextLine& line);
  Read<void> read_size(TextLine& line);
  Read<void> read_cell(TextLine& line);
  Read<void> read_set(TextLine& line);
  Read<void> read_when(TextLine& line);
  Read<void> read_expect(TextLine& line);
  Read<void> read_allow(TextLine& line);
  Read<void> read_reach(TextLine& line);
  Read<void> read_thread(TextLine& line);
  Read<void> read_lab(TextLine& line) { return rig::read_lab(line, scenario_.lab); }
  Read<void> read_fault(TextLine& line) { return rig::read_fault(line, scenario_.lab); }
  Read<void> read_switches(TextLine& line) { return rig::read_switches(line, scenario_.lab); }
  Read<void> read_recorded(TextLine& line) { return rig::read_recorded(line, scenario_.lab); }
  Read<void> read_step(TextLine& line);
  Read<void> read_load(TextLine& line, Step& step);
  Read<void> read_condition(TextLine& line, Step& step);

  // Refuses what was said before; `what` is "a cell line".
  Read<void> once(const TextLine& line, std::size_t column, const std::string& what);
  // Refuses one more in a list that is full.
  static Read<void> room(const TextLine& line, std::size_t count, std::size_t max, const std::string& what);

  Scenario scenario_;
  bool in_thread_ = false;
  std::size_t steps_ = 0;
  std::map<std::string, std::size_t> said_;  // what may be said once, and the line that said it
};

const std::array<Parser::LineForm, 14> Parser::line_forms{{
    {"suite", true, &Parser::read_suite},
    {"seed", true, &Parser::read_seed},
    {"size", true, &Parser::read_size},
    {"cell", true, &Parser::read_cell},
    {"set", false, &Parser::read_set},
    {"when", false, &Parser::read_when},
    {"expect", false, &Parser::read_expect},
    {"allow", false, &Parser::read_allow},
    {"reach", false, &Parser::read_reach},
    {"thread", false, &Parser::read_thread},
    {"lab", true, &Parser::read_lab},
    {"fault", false, &Parser::read_fault},
    {"switches", false, &Parser::read_switches},
    {"recorded", true, &Parser::read_recorded},
}};

Read<void> Parser::once(const TextLine& line, std::size_t column, const std::string& what) {
  const auto [earlier, is_first] = said_.emplace(what, line.number());
  if (is_first) {
    return {};
  }
  return line.refuse_at(
      column, what + " stands here for the second time; the first is in line " + std::to_string(earlier->second));
}

Read<void> Parser::room(const TextLine& line, std::size_t count, std::size_t max, const std::string& what) {
  if (count < max) {
    return {};
  }
  return line.refuse_at(line.front().column, "too many " + what + ": a text has at most " + std::to_string(max));
}

Read<Scenario> Parser::read(std::string_view text) {
  bool has_version = false;
  std::size_t number = 0;
  while (!text.empty()) {
    std::string_view row = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), row.size() + 1));
    row = row.substr(0, row.ends_with('\r') ? row.size() - 1 : row.size());
    if (const std::size_t nul = row.find('\0'); nul != std::string_view::npos) {
      return std::unexpected(SyntaxError{number + 1, nul + 1, "met a NUL byte; a scenario is plain text"});
    }
    RIG_TRY(line, TextLine::read(row, ++number));
    if (line.empty()) {
      continue;
    }
    RIG_TRY_STATUS(std::exchange(has_version, true) ? read_line(line) : read_version(line));
    RIG_TRY_STATUS(line.end());
  }
  if (!has_version) {
    return std::unexpected(SyntaxError{1, 1, "there is no scenario in this text; its first line is 'scenario 1'"});
  }
  return std::move(scenario_);
}

Read<void> Parser::read_version(TextLine& line) {
  if (!line.take_if("scenario")) {
    return line.refuse("the first line, 'scenario 1',");
  }
  const TextWord word = line.peek();
  RIG_TRY(version, line.number("the version of the grammar", any_number));
  if (version != grammar_version) {
    return line.refuse_at(word.column, "this text is in version " + std::to_string(version) +
                                           " of the grammar, and this tlsrig reads version 1" +
                                           (version > grammar_version ? "; a newer tlsrig reads it" : ""));
  }
  return {};
}

Read<void> Parser::read_line(TextLine& line) {
  const TextWord head = line.front();
  for (const LineForm& form : line_forms) {
    if (form.head == head.raw) {
      line.skip();
      if (form.once) {
        RIG_TRY_STATUS(once(line, head.column, "'" + std::string(form.head) + "'"));
      }
      in_thread_ = false;
      return (this->*form.read)(line);
    }
  }
  if (head.raw == "scenario") {
    return line.refuse_at(head.column, "'scenario' stands here for the second time; one text is one scenario");
  }
  return read_step(line);
}

Read<void> Parser::read_suite(TextLine& line) {
  RIG_TRY(name, line.name("the name of a suite"));
  scenario_.suite = std::move(name);
  return {};
}

Read<void> Parser::read_seed(TextLine& line) {
  RIG_TRY(seed, line.number("the seed", any_number));
  scenario_.seed = seed;
  return {};
}

Read<void> Parser::read_size(TextLine& line) {
  RIG_TRY(size, line.enumerator<Size>("a size"));
  scenario_.size = size;
  return {};
}

Read<void> Parser::read_cell(TextLine& line) {
  return read_fields(line, "a word of the cell", cell_fields, scenario_.cell, [&](std::size_t index, TextWord key) {
    return once(line, key.column, "'" + std::string(cell_fields[index].name) + "' of the cell");
  });
}

Read<void> Parser::read_set(TextLine& line) {
  const TextWord key = line.peek();
  RIG_TRY(index, known_field(line, "a setting", settings_fields, key));
  RIG_TRY_STATUS(once(line, key.column, "'set " + std::string(settings_fields[index].name) + "'"));
  line.skip();
  RIG_TRY_STATUS(read_field(line, line.peek(), settings_fields[index], scenario_.settings));
  line.skip();
  return {};
}

// The optional connection's number of `when` and `expect`.
Read<std::optional<std::uint32_t>> read_connection(TextLine& line) {
  const std::string_view raw = line.peek().raw;
  if (raw.empty() || raw.front() < '0' || raw.front() > '9') {
    return std::nullopt;
  }
  RIG_TRY(number, line.number("a connection", any_number32));
  return static_cast<std::uint32_t>(number);
}

Read<void> Parser::read_when(TextLine& line) {
  RIG_TRY_STATUS(room(line, scenario_.reactions.size(), TextLimits::reactions, "reactions"));
  Reaction reaction;
  RIG_TRY(side, line.enumerator<Side>("a side"));
  RIG_TRY(connection, read_connection(line));
  RIG_TRY(event, line.enumerator<Event>("an event"));
  if (const TextWord nth = line.peek(); nth.raw.starts_with('#')) {
    const TextWord digits{nth.raw.substr(1), nth.column + 1};
    RIG_TRY(number, line.number("the occurrence of the event", any_number32, digits));
    if (number == 0) {
      return line.refuse_at(nth.column, "occurrences count from #1; for every one leave the number out");
    }
    reaction.nth = static_cast<std::uint32_t>(number);
    line.skip();
  }
  const std::vector<std::string_view>& verbs = verbs_of<&VerbForm::in_reactions>();
  RIG_TRY(index, line.known("the verb of a reaction", verbs, line.peek()));
  line.skip();
  reaction.side = side;
  reaction.connection = connection;
  reaction.event = event;
  reaction.verb = *from_word<Verb>(verbs[index]);
  scenario_.reactions.push_back(reaction);
  return {};
}

Read<void> Parser::read_expect(TextLine& line) {
  RIG_TRY_STATUS(room(line, scenario_.expectations.size(), TextLimits::expectations, "expectations"));
  Expectation expectation;
  RIG_TRY(side, line.enumerator<Side>("a side"));
  RIG_TRY(connection, read_connection(line));
  RIG_TRY(event, line.known("an event that can be expected", expected_events, line.peek()));
  line.skip();
  expectation.side = side;
  expectation.connection = connection;
  expectation.event = *from_word<Event>(expected_events[event]);
  const std::vector<std::string_view> outcomes = outcome_words();
  TextWord rest = line.peek();
  bool more = true;
  while (more) {
    RIG_TRY_STATUS(room(line, expectation.outcomes.size(), TextLimits::outcomes, "outcomes of one expectation"));
    more = rest.raw.contains('|');
    const auto [outcome, behind] = cut(rest, "|");
    RIG_TRY(index, line.known("an outcome", outcomes, outcome));
    expectation.outcomes.push_back(index == 0 ? std::nullopt : code_from_name(outcomes[index]));
    rest = behind;
  }
  line.skip();
  scenario_.expectations.push_back(std::move(expectation));
  return {};
}

Read<void> Parser::read_allow(TextLine& line) {
  const TextWord word = line.peek();
  RIG_TRY(index, line.known("something to allow", allow_words, word));
  RIG_TRY_STATUS(once(line, word.column, "'allow " + std::string(allow_words[index]) + "'"));
  line.skip();
  switch (index) {
    case 0:
      scenario_.ops_may_fail = true;
      break;
    case 1:
      scenario_.all_delivered = false;
      break;
    default:
      scenario_.memory_may_fail = true;
      break;
  }
  return {};
}

Read<void> Parser::read_reach(TextLine& line) {
  RIG_TRY_STATUS(room(line, scenario_.reaches.size(), TextLimits::reaches, "situations to reach"));
  RIG_TRY(counter, line.name("the name of a counter"));
  if (!line.take_if(">=")) {
    return line.refuse("'>='");
  }
  RIG_TRY(at_least, line.number("the lower bound of a counter", any_number));
  scenario_.reaches.push_back({std::move(counter), at_least});
  return {};
}

Read<void> Parser::read_thread(TextLine& line) {
  RIG_TRY_STATUS(room(line, scenario_.threads.size(), TextLimits::threads, "threads"));
  Thread thread;
  RIG_TRY(side, line.enumerator<Side>("a side"));
  thread.side = side;
  if (!line.take_if("each")) {
    RIG_TRY(connection, read_connection(line));
    if (!connection.has_value()) {
      return line.refuse("'each' or the number of a connection");
    }
    thread.connection = connection;
  }
  RIG_TRY(where, line.enumerator<Where>("the place of the thread"));
  thread.where = where;
  if (!line.at_end()) {
    const auto [key, value] = cut(line.peek(), "=");
    if (key.raw != "copies") {
      return line.refuse("'copies=N' or the end of the line");
    }
    RIG_TRY(copies, line.number("the number of copies", TextLimits::copies, value));
    thread.copies = static_cast<std::uint32_t>(copies);
    line.skip();
  }
  scenario_.threads.push_back(std::move(thread));
  in_thread_ = true;
  return {};
}

Read<void> Parser::read_step(TextLine& line) {
  const std::vector<std::string_view>& verbs = verbs_of<&VerbForm::in_steps>();
  const TextWord head = line.front();
  const auto verb = std::ranges::find(verbs, head.raw);
  if (verb == verbs.end()) {
    std::vector<std::string_view> heads = in_thread_ ? verbs : std::vector<std::string_view>{};
    for (const LineForm& form : line_forms) {
      heads.push_back(form.head);
    }
    return line.refuse_unknown(in_thread_ ? "a step or the first word of a line" : "the first word of a line", heads,
                               head);
  }
  if (!in_thread_) {
    return line.refuse_at(head.column, shown(head.raw) + " is a step, and steps stand under a 'thread' line");
  }
  RIG_TRY_STATUS(room(line, steps_, TextLimits::steps, "steps"));
  line.skip();
  Step step;
  step.verb = *from_word<Verb>(*verb);
  switch (form_of(step.verb).arguments) {
    case Arguments::none:
      break;
    case Arguments::load:
      RIG_TRY_STATUS(read_load(line, step));
      break;
    case Arguments::condition:
      RIG_TRY_STATUS(read_condition(line, step));
      break;
    case Arguments::label: {
      RIG_TRY(label, line.number("the number of the alignment", any_number));
      step.count = label;
      break;
    }
  }
  ++steps_;
  scenario_.threads.back().steps.push_back(step);
  return {};
}

Read<void> Parser::read_load(TextLine& line, Step& step) {
  RIG_TRY(count, line.number("the number of ops", any_number));
  if (!line.take_if("of")) {
    return line.refuse("'of'");
  }
  const TextWord range = line.peek();
  const auto [low, high] = cut(range, "..");
  RIG_TRY(size_min, line.number("a size in bytes", TextLimits::op_bytes, low));
  step.size_max = size_min;
  if (low.raw.size() != range.raw.size()) {
    RIG_TRY(size_max, line.number("the larger size in bytes", TextLimits::op_bytes, high));
    step.size_max = size_max;
  }
  if (size_min > step.size_max) {
    return line.refuse_at(range.column, shown(range.raw) + " is no range: the smaller size stands first");
  }
  line.skip();
  step.count = count;
  step.size_min = size_min;
  step.more = line.take_if("more");
  return {};
}

Read<void> Parser::read_condition(TextLine& line, Step& step) {
  RIG_TRY(condition, line.enumerator<Condition>("a condition"));
  step.condition = condition;
  if (line.at_end()) {
    return {};
  }
  if (!counts(condition)) {
    return line.refuse_at(line.peek().column, "met " + shown(line.peek().raw) + " where the line should end: '" +
                                                  std::string(word(condition)) + "' takes no number");
  }
  RIG_TRY(count, line.number("how many to wait for", any_number));
  step.count = count;
  return {};
}

}  // namespace

std::expected<Scenario, SyntaxError> parse_scenario(std::string_view text) {
  if (text.size() > TextLimits::bytes) {
    return std::unexpected(SyntaxError{1, 1,
                                       "the text has " + std::to_string(text.size()) +
                                           " bytes; a scenario has at most " + std::to_string(TextLimits::bytes)});
  }
  return Parser().read(text);
}

}  // namespace rig
