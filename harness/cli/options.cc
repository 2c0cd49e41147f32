#include "harness/cli/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <memory>
#include <string_view>
#include <thread>
#include <utility>

namespace rig::cli {
namespace {

constexpr const char* footer =
    "Exit codes: 0 all as expected; 1 a violation, a crash, a hang or a vacuous run; 2 wrong usage;\n"
    "3 the environment lacks something; 130 interrupted.";

// Typed is the command line before its words are checked.
struct Typed {
  std::string tls;
  std::string poller;
  std::string fast_track = "both";
  std::string matrix;
  std::string size;
  std::string seeds;
  std::string seed;
  std::string duration;
  std::string world = "loopback";
  std::string auth;
  std::string laws = "all";
  std::string order = "listed";
  std::string weather;
  std::string no_memory;
  std::string no_memory_every = "1";
  std::string jobs;
  std::string runs;
  std::string report;
  std::string keep;
  std::string case_limit = "10m";
};

// Parser holds what CLI11 fills in.
struct Parser {
  CLI::App app{"tlsrig tests and stresses asynchronous TLS socket layers.", "tlsrig"};
  Typed typed;
  RunCommand run;
  ListCommand list;
  ReplayCommand replay;
  ShrinkCommand shrink;
  DoctorCommand doctor;
  ReportCommand report;
  ProbeCommand probe;
  CLI::App* run_verb = nullptr;
  CLI::App* list_verb = nullptr;
  CLI::App* replay_verb = nullptr;
  CLI::App* shrink_verb = nullptr;
  CLI::App* doctor_verb = nullptr;
  CLI::App* report_verb = nullptr;
  CLI::App* probe_verb = nullptr;
};

void add_selection(CLI::App& verb, Selection& selection, Typed& typed) {
  verb.add_option("--suite", selection.suites, "only this suite (may be repeated)")->type_name("NAME");
  verb.add_option("--client", selection.client, "only this library on the client's side")->type_name("LIBRARY");
  verb.add_option("--server", selection.server, "only this library on the server's side")->type_name("LIBRARY");
  verb.add_option("--backend", selection.backend, "only pairings with this library on either side")
      ->type_name("LIBRARY");
  verb.add_option("--tls", typed.tls, "only this version: 1.2, 1.3, or none for plain TCP")->type_name("VERSION");
  verb.add_option("--poller", typed.poller, "only this poller: epoll, poll or select")->type_name("POLLER");
  verb.add_option("--fast-track", typed.fast_track, "whether a send may complete at once: on, off or both (default)")
      ->type_name("WHICH");
  verb.add_option("--auth", typed.auth, "psk or certificate, where both libraries can; default: spread over the cells")
      ->type_name("WHICH");
  verb.add_option("--matrix", typed.matrix,
                  "quick: every pair of values; full: every cell. Default: full where the options above narrow the "
                  "cells, else quick")
      ->type_name("WHICH")
      ->take_last();
  verb.add_option("--subject", selection.subject,
                  "the socket layer: a name, or the path of a shared object (./mine.so)")
      ->type_name("NAME|PATH");
  verb.add_option("--world", typed.world,
                  "loopback (default): the real kernel; lab: the seed decides the schedule and the network as well")
      ->type_name("WORLD");
}

// The options that ci/rig gives before those of its caller may come twice: the last one counts.
void add_run(Parser& parser) {
  CLI::App& verb = *(parser.run_verb = parser.app.add_subcommand("run", "run stress cases and judge them"));
  Typed& typed = parser.typed;
  add_selection(verb, parser.run.selection, typed);
  verb.add_option("--size", typed.size, "how much work a case is: tiny (default in the lab), quick (default) or full")
      ->type_name("SIZE")
      ->take_last();
  CLI::Option* const seeds =
      verb.add_option("--seeds", typed.seeds, "each case with each of these seeds")->type_name("A..B");
  verb.add_option("--seed", typed.seed,
                  "each case with this seed (default 1; in the lab seeds from 1 on until each suite has run 100 times)")
      ->type_name("N")
      ->excludes(seeds);
  verb.add_option("--runs", typed.runs, "in the lab: seeds from 1 on until each suite has run so often (default 100)")
      ->type_name("N")
      ->excludes(seeds);
  verb.add_option("--laws", typed.laws,
                  "all (default), or app: those of the app door only, without the cost of the other two")
      ->type_name("WHICH");
  verb.add_option("--weather", typed.weather,
                  "in the lab: calm, strict (calls are cut short and interrupted, as Linux does it), adversarial (also "
                  "what only POSIX allows), or by-seed (default): each in turn")
      ->type_name("WHICH");
  verb.add_option("--no-memory", typed.no_memory,
                  "in the lab: each place of the subject that allocates fails in turn, once, sticky (and each one from "
                  "there on) or both")
      ->type_name("WHICH");
  verb.add_option("--no-memory-every", typed.no_memory_every, "with --no-memory: only each Nth of these places")
      ->type_name("N");
  verb.add_option("--for", typed.duration, "go on, seed after seed, until this time has passed (60s, 5m, 2h)")
      ->type_name("TIME")
      ->excludes(seeds);
  verb.add_option("--order", typed.order,
                  "listed (default): suite after suite; mixed: the suites take turns, and the first seed shuffles the "
                  "cells of each")
      ->type_name("WHICH");
  verb.add_flag("--stop-first", parser.run.stop_first, "end the run at the first verdict that is not green");
  verb.add_option("--jobs", typed.jobs, "cases side by side (default: one per processor)")->type_name("N")->take_last();
  verb.add_option("--report", typed.report, "write index.html, junit.xml and verdicts.jsonl there")
      ->type_name("DIR")
      ->take_last();
  verb.add_option("--keep", typed.keep,
                  "where the scenarios of failures are kept (default: failures/ in the report, or ./tlsrig-failures)")
      ->type_name("DIR");
  verb.add_option("--case-limit", typed.case_limit, "a case that is alive after this time is killed (default 10m)")
      ->type_name("TIME");
  verb.add_flag("--once", parser.run.once, "in the lab: run each case once only, and compare nothing");
  verb.add_flag("--json", parser.run.json, "one line of JSON per verdict on stdout; the rest goes to stderr");
}

void add_list(Parser& parser) {
  CLI::App& verb = *(parser.list_verb = parser.app.add_subcommand("list", "list what is in this build"));
  verb.add_option("what", parser.list.what,
                  "suites, cases, subjects, backends, laws or faults (default: all but the cases)")
      ->type_name("");
  add_selection(verb, parser.list.selection, parser.typed);
  verb.add_flag("--json", parser.list.json, "one line of JSON per entry");
  verb.add_option("--ctest", parser.list.ctest_program, "cases as lines for ctest; PROGRAM is the stress program")
      ->type_name("PROGRAM");
  verb.add_option("--output", parser.list.output, "write to this file")->type_name("FILE");
}

void add_others(Parser& parser) {
  CLI::App& replay = *(parser.replay_verb = parser.app.add_subcommand("replay", "run one scenario from its file"));
  replay.add_option("file", parser.replay.file, "the scenario (.scn)")->type_name("")->required();
  replay.add_option("--subject", parser.replay.subject, "another socket layer than the file names")
      ->type_name("NAME|PATH");
  replay.add_option("--case-limit", parser.typed.case_limit, "killed if it is alive after this time (default 10m)")
      ->type_name("TIME");
  replay.add_flag("--in-process", parser.replay.in_process, "run in this process, for a debugger");
  replay
      .add_option("--trace", parser.replay.trace_file,
                  "write the events of a run in the lab there, for a trace viewer (Perfetto, chrome://tracing)")
      ->type_name("FILE");
  replay.add_flag("--gdb", parser.replay.debugger, "run it under gdb");
  replay.add_flag("--json", parser.replay.json, "the verdict as one line of JSON");

  CLI::App& shrink = *(parser.shrink_verb = parser.app.add_subcommand(
                           "shrink", "make a failing scenario of the lab as small as it still fails"));
  shrink.add_option("file", parser.shrink.file, "the scenario (.scn)")->type_name("")->required();
  shrink.add_option("--output", parser.shrink.output, "where the small one goes (default: FILE.small.scn)")
      ->type_name("FILE");
  shrink.add_option("--subject", parser.shrink.subject, "another socket layer than the file names")
      ->type_name("NAME|PATH");
  shrink.add_option("--case-limit", parser.typed.case_limit, "a run that is alive after this time is killed")
      ->type_name("TIME");

  parser.doctor_verb = parser.app.add_subcommand("doctor", "what was found here, what is missing and how to get it");
  parser.doctor_verb->add_flag("--json", parser.doctor.json, "one line of JSON per entry");

  CLI::App& report =
      *(parser.report_verb = parser.app.add_subcommand(
            "report", "write the report anew from its verdicts.jsonl, or the page of the zoo from its mutants.json"));
  report
      .add_option("folder", parser.report.folder,
                  "the folder that `run --report` wrote, or what `ci/mutants --json` wrote")
      ->type_name("")
      ->required();
}

void add_probe(Parser& parser) {
  CLI::App& probe = *(parser.probe_verb = parser.app.add_subcommand(
                          "probe", "run any program and watch how it uses its TLS library: -- PROGRAM ARGS..."));
  probe.add_flag("--poison", parser.probe.poison,
                 "plant an entry in the error queue whenever a wait is over; a layer that clears before its calls does "
                 "not notice");
  probe.add_flag("--json", parser.probe.json,
                 "one line of JSON per finding on standard output; the program's own goes to standard error");
}

// A flag that nobody knows, with the one that was meant. CLI11 would only say that it was not expected.
std::optional<Refusal> left_over(const CLI::App& verb) {
  const std::vector<std::string> rest = verb.remaining();
  if (rest.empty()) {
    return std::nullopt;
  }
  const std::string typed = rest.front().substr(0, rest.front().find('='));
  if (!typed.starts_with("-")) {
    return Refusal{exit_usage, "'" + typed + "' is one word too many for tlsrig " + verb.get_name()};
  }
  std::vector<std::string> known;
  for (const CLI::Option* option : verb.get_options()) {
    if (!option->get_group().empty() && !option->get_lnames().empty()) {
      known.push_back("--" + option->get_lnames().front());
    }
  }
  return Refusal{exit_usage, unknown("option", typed, known) + " (tlsrig " + verb.get_name() + " --help)"};
}

// The value for one of a few words.
template <class Value>
std::expected<Value, Refusal> one_of(std::string_view option, const std::string& typed,
                                     const std::vector<std::pair<std::string, Value>>& words) {
  std::vector<std::string> known;
  for (const auto& [name, value] : words) {
    if (name == typed) {
      return value;
    }
    known.push_back(name);
  }
  return std::unexpected(Refusal{exit_usage, std::string(option) + ": " + unknown("value", typed, known)});
}

Refusal usage(std::string_view option, const Error& error) {
  return {exit_usage, std::string(option) + ": " + std::string(error.detail())};
}

std::expected<void, Refusal> check_selection(const Typed& typed, Selection& selection) {
  RIG_TRY(world, one_of<World>("--world", typed.world, {{"loopback", World::loopback}, {"lab", World::lab}}));
  selection.world = world;
  if (!typed.tls.empty()) {
    RIG_TRY(tls, one_of<TlsChoice>("--tls", typed.tls,
                                   {{"1.2", TlsChoice::tls12}, {"1.3", TlsChoice::tls13}, {"none", TlsChoice::none}}));
    selection.tls = tls;
  }
  if (!typed.poller.empty()) {
    RIG_TRY(poller,
            one_of<PollerChoice>(
                "--poller", typed.poller,
                {{"epoll", PollerChoice::epoll}, {"poll", PollerChoice::poll}, {"select", PollerChoice::select}}));
    selection.poller = poller;
  }
  RIG_TRY(fast_track, one_of<std::optional<bool>>("--fast-track", typed.fast_track,
                                                  {{"on", true}, {"off", false}, {"both", std::nullopt}}));
  selection.fast_track = fast_track;
  if (!typed.auth.empty()) {
    RIG_TRY(auth, one_of<Auth>("--auth", typed.auth, {{"psk", Auth::psk}, {"certificate", Auth::certificate}}));
    selection.auth = auth;
  }
  const bool narrowed = !selection.client.empty() || !selection.server.empty() || !selection.backend.empty() ||
                        !typed.tls.empty() || !typed.poller.empty() || fast_track.has_value();
  selection.matrix = narrowed ? Matrix::full : Matrix::quick;
  if (!typed.matrix.empty()) {
    RIG_TRY(matrix, one_of<Matrix>("--matrix", typed.matrix, {{"quick", Matrix::quick}, {"full", Matrix::full}}));
    selection.matrix = matrix;
  }
  return {};
}

std::expected<std::chrono::milliseconds, Refusal> check_duration(std::string_view option, const std::string& typed) {
  const auto duration = parse_duration(typed);
  if (!duration.has_value()) {
    return std::unexpected(usage(option, duration.error()));
  }
  return *duration;
}

std::expected<std::uint64_t, Refusal> check_count(std::string_view option, const std::string& typed,
                                                  std::optional<std::uint64_t> most = std::nullopt) {
  const auto count = parse_seeds(typed);
  if (!count.has_value() || count->first != count->last || count->first < 1 ||
      count->first > most.value_or(count->first)) {
    const std::string range = most.has_value() ? "from 1 to " + std::to_string(*most) : "from 1 on";
    return std::unexpected(Refusal{exit_usage, std::string(option) + ": '" + typed + "' is no number " + range});
  }
  return count->first;
}

// What the lab alone can be asked for.
std::expected<void, Refusal> check_lab(const Typed& typed, RunCommand& run) {
  if (!typed.weather.empty()) {
    RIG_TRY(weather, one_of<Weather>("--weather", typed.weather,
                                     {{"by-seed", Weather::by_seed},
                                      {"calm", Weather::calm},
                                      {"strict", Weather::strict},
                                      {"adversarial", Weather::adversarial}}));
    if (run.selection.world != World::lab) {
      return std::unexpected(Refusal{exit_usage, "--weather needs --world lab: the real kernel makes its own"});
    }
    run.weather = weather;
  }
  if (!typed.no_memory.empty()) {
    RIG_TRY(no_memory,
            one_of<NoMemory>("--no-memory", typed.no_memory,
                             {{"once", NoMemory::once}, {"sticky", NoMemory::sticky}, {"both", NoMemory::both}}));
    if (run.selection.world != World::lab) {
      return std::unexpected(Refusal{exit_usage, "--no-memory needs --world lab: the lab makes allocations fail"});
    }
    run.no_memory = no_memory;
    RIG_TRY(every, check_count("--no-memory-every", typed.no_memory_every));
    run.no_memory_every = every;
  }
  return {};
}

std::expected<Command, Refusal> check_run(Parser& parser) {
  const Typed& typed = parser.typed;
  RunCommand& run = parser.run;
  const std::string by_world = run.selection.world == World::lab ? "tiny" : "quick";
  RIG_TRY(size, one_of<Size>("--size", typed.size.empty() ? by_world : typed.size,
                             {{"tiny", Size::tiny}, {"quick", Size::quick}, {"full", Size::full}}));
  run.size = size;
  RIG_TRY(order, one_of<Order>("--order", typed.order, {{"listed", Order::listed}, {"mixed", Order::mixed}}));
  run.order = order;
  for (const auto& [option, text] : {std::pair{"--seeds", typed.seeds}, std::pair{"--seed", typed.seed}}) {
    if (text.empty()) {
      continue;
    }
    const auto seeds = parse_seeds(text);
    if (!seeds.has_value()) {
      return std::unexpected(usage(option, seeds.error()));
    }
    run.seeds = *seeds;
    run.seeds_given = true;
  }
  RIG_TRY(laws, one_of<LawScope>("--laws", typed.laws, {{"app", LawScope::app}, {"all", LawScope::all}}));
  run.laws = laws;
  RIG_TRY_STATUS(check_lab(typed, run));
  if (!typed.duration.empty()) {
    RIG_TRY(duration, check_duration("--for", typed.duration));
    run.duration = duration;
  }
  RIG_TRY(case_limit, check_duration("--case-limit", typed.case_limit));
  run.case_limit = case_limit;
  run.jobs = std::max(1U, std::thread::hardware_concurrency());
  if (!typed.jobs.empty()) {
    RIG_TRY(jobs, check_count("--jobs", typed.jobs, 1024));
    run.jobs = jobs;
  }
  if (!typed.runs.empty()) {
    RIG_TRY(runs, check_count("--runs", typed.runs));
    run.runs_per_suite = runs;
  }
  if (parser.run_verb->count("--report") > 0) {
    run.report_folder = typed.report;
  }
  if (parser.run_verb->count("--keep") > 0) {
    run.keep_folder = typed.keep;
  }
  for (const auto& [option, folder] : {std::pair{"--report", run.report_folder}, {"--keep", run.keep_folder}}) {
    if (folder.has_value() && folder->empty()) {
      return std::unexpected(Refusal{exit_usage, std::string(option) + ": the name of the folder is empty"});
    }
  }
  return std::move(run);
}

std::expected<Command, Refusal> check_list(Parser& parser) {
  ListCommand& list = parser.list;
  if (!list.what.empty()) {
    RIG_TRY(known, one_of<bool>("tlsrig list", list.what,
                                {{"suites", true},
                                 {"cases", true},
                                 {"subjects", true},
                                 {"backends", true},
                                 {"laws", true},
                                 {"faults", true}}));
    static_cast<void>(known);
  }
  if (parser.list_verb->count("--ctest") > 0 && (list.what != "cases" || list.ctest_program.empty())) {
    return std::unexpected(Refusal{exit_usage, "--ctest PROGRAM belongs to `tlsrig list cases`"});
  }
  return std::move(list);
}

std::expected<Command, Refusal> check_probe(Parser& parser) {
  if (parser.probe.program.empty()) {
    return std::unexpected(Refusal{exit_usage, "say which program to watch: tlsrig probe -- PROGRAM ARGS..."});
  }
  return std::move(parser.probe);
}

std::expected<Command, Refusal> check(Parser& parser) {
  for (CLI::App* const verb : parser.app.get_subcommands()) {
    if (auto wrong = left_over(*verb); wrong.has_value()) {
      return std::unexpected(std::move(*wrong));
    }
    if (verb == parser.run_verb || verb == parser.list_verb) {
      Selection& selection = verb == parser.run_verb ? parser.run.selection : parser.list.selection;
      if (auto checked = check_selection(parser.typed, selection); !checked.has_value()) {
        return std::unexpected(std::move(checked.error()));
      }
      return verb == parser.run_verb ? check_run(parser) : check_list(parser);
    }
    if (verb == parser.replay_verb) {
      RIG_TRY(case_limit, check_duration("--case-limit", parser.typed.case_limit));
      parser.replay.case_limit = case_limit;
      return std::move(parser.replay);
    }
    if (verb == parser.shrink_verb) {
      RIG_TRY(case_limit, check_duration("--case-limit", parser.typed.case_limit));
      parser.shrink.case_limit = case_limit;
      return std::move(parser.shrink);
    }
    if (verb == parser.doctor_verb) {
      return parser.doctor;
    }
    if (verb == parser.probe_verb) {
      return check_probe(parser);
    }
    return std::move(parser.report);
  }
  const std::vector<std::string> rest = parser.app.remaining();
  const std::vector<std::string> verbs{"run", "list", "replay", "shrink", "doctor", "report", "probe"};
  if (rest.empty()) {
    return std::unexpected(
        Refusal{exit_usage, "say what to do: run, list, replay, shrink, doctor, report or probe (tlsrig --help)"});
  }
  return std::unexpected(Refusal{exit_usage, unknown("command", rest.front(), verbs) + " (tlsrig --help)"});
}

}  // namespace

std::expected<Command, Refusal> parse_command_line(int argc, const char* const* argv) {
  const auto parser = std::make_unique<Parser>();
  parser->app.footer(footer);
  parser->app.set_version_flag("--version", "tlsrig " RIG_VERSION);
  parser->app.allow_extras();
  add_run(*parser);
  add_list(*parser);
  add_others(*parser);
  add_probe(*parser);
  for (CLI::App* const verb : parser->app.get_subcommands({})) {
    verb->allow_extras()->footer(footer);
  }
  // What stands behind -- is another program's, whatever it looks like.
  const char* const* const end =
      std::find_if(argv, argv + argc, [](const char* word) { return std::string_view(word) == "--"; });
  if (argc > 1 && std::string_view(argv[1]) == "probe" && end != argv + argc) {
    parser->probe.program.assign(end + 1, argv + argc);
    argc = static_cast<int>(end - argv);
  }
  try {
    parser->app.parse(argc, argv);
  } catch (const CLI::CallForVersion&) {
    return HelpCommand{"tlsrig " RIG_VERSION "\n"};
  } catch (const CLI::Success&) {
    const auto verbs = parser->app.get_subcommands();
    return HelpCommand{verbs.empty() ? parser->app.help() : verbs.front()->help("tlsrig")};
  } catch (const CLI::ParseError& error) {
    std::string sentence = error.what();
    sentence.erase(std::min(sentence.find('\n'), sentence.size()));
    return std::unexpected(Refusal{exit_usage, sentence + " (tlsrig --help)"});
  }
  return check(*parser);
}

}  // namespace rig::cli
