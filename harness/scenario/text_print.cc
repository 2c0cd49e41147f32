#include <string>

#include "harness/scenario/text.h"
#include "harness/scenario/text_fields.h"
#include "harness/scenario/text_grammar.h"
#include "harness/scenario/text_lab.h"
#include "harness/scenario/text_words.h"

namespace rig {
namespace {

std::string print_cell(const Cell& cell) {
  std::string line = "cell";
  for (const CellField& field : cell_fields) {
    line += " " + std::string(field.name) + "=" + print_field(cell, field);
  }
  return line + "\n";
}

std::string print_settings(const Settings& settings) {
  std::string lines;
  for (const SettingsField& field : settings_fields) {
    const std::string value = print_field(settings, field);
    if (value != print_field(Settings{}, field)) {
      lines += "set " + std::string(field.name) + " " + value + "\n";
    }
  }
  return lines;
}

// "client" or "client 3".
std::string print_ends(Side side, const std::optional<std::uint32_t>& connection) {
  return std::string(word(side)) + (connection.has_value() ? " " + std::to_string(*connection) : "");
}

std::string print_reaction(const Reaction& reaction) {
  return "when " + print_ends(reaction.side, reaction.connection) + " " + std::string(word(reaction.event)) +
         (reaction.nth == 0 ? "" : " #" + std::to_string(reaction.nth)) + " " + std::string(word(reaction.verb)) + "\n";
}

std::string print_expectation(const Expectation& expectation) {
  std::string outcomes;
  for (const auto& outcome : expectation.outcomes) {
    outcomes += outcomes.empty() ? "" : "|";
    outcomes += outcome.has_value() ? code_name(*outcome) : "ok";
  }
  return "expect " + print_ends(expectation.side, expectation.connection) + " " + std::string(word(expectation.event)) +
         " " + outcomes + "\n";
}

std::string print_step(const Step& step) {
  std::string line = "  " + std::string(word(step.verb));
  switch (form_of(step.verb).arguments) {
    case Arguments::none:
      break;
    case Arguments::load:
      line += " " + std::to_string(step.count) + " of " + std::to_string(step.size_min);
      line += step.size_min == step.size_max ? "" : ".." + std::to_string(step.size_max);
      line += step.more ? " more" : "";
      break;
    case Arguments::condition:
      line += " " + std::string(word(step.condition));
      line += step.count == 0 ? "" : " " + std::to_string(step.count);
      break;
    case Arguments::label:
      line += " " + std::to_string(step.count);
      break;
  }
  return line + "\n";
}

std::string print_thread(const Thread& thread) {
  std::string lines = "thread " + std::string(word(thread.side)) + " " +
                      (thread.connection.has_value() ? std::to_string(*thread.connection) : "each") + " " +
                      std::string(word(thread.where)) +
                      (thread.copies == 1 ? "" : " copies=" + std::to_string(thread.copies)) + "\n";
  for (const Step& step : thread.steps) {
    lines += print_step(step);
  }
  return lines;
}

}  // namespace

std::string print_scenario(const Scenario& scenario) {
  const Scenario plain;
  std::string text = "scenario 1\n";
  if (scenario.suite != plain.suite) {
    text += "suite " + print_name(scenario.suite) + "\n";
  }
  if (scenario.seed != plain.seed) {
    text += "seed " + std::to_string(scenario.seed) + "\n";
  }
  if (scenario.size != plain.size) {
    text += "size " + std::string(word(scenario.size)) + "\n";
  }
  text += print_cell(scenario.cell);
  text += print_settings(scenario.settings);
  for (const Reaction& reaction : scenario.reactions) {
    text += print_reaction(reaction);
  }
  for (const Expectation& expectation : scenario.expectations) {
    text += print_expectation(expectation);
  }
  text += scenario.ops_may_fail ? "allow failed_ops\n" : "";
  text += scenario.all_delivered ? "" : "allow undelivered\n";
  text += scenario.memory_may_fail ? "allow no_memory\n" : "";
  for (const Reach& reach : scenario.reaches) {
    text += "reach " + print_name(reach.counter) + " >= " + std::to_string(reach.at_least) + "\n";
  }
  for (const Thread& thread : scenario.threads) {
    text += print_thread(thread);
  }
  text += print_lab(scenario.lab);
  return text;
}

}  // namespace rig
