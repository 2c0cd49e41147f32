// Children: each scenario runs in a process of its own, so that a crash, a hang or a sanitizer's abort is one verdict
// and not the end of the command.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "harness/base/error.h"
#include "harness/scenario/runner.h"
#include "harness/scenario/scenario.h"
#include "harness/scenario/verdict.h"
#include "harness/subjects/subject.h"

namespace rig::cli {

// Finished is what came of one scenario.
struct Finished {
  std::size_t id = 0;
  Verdict verdict;
  std::string output;  // the last that the child said on stdout and stderr
};

// Children forks one child per scenario and collects the verdicts through pipes. A child that dies before it has a
// verdict, or ends with another exit code than its verdict has, is a `fail` that names the signal or code and what its
// output says about it. A child that is alive after `limit` is killed with its descendants, by id, and is a `hang`.
// Thread: one, and it is the only thread of the process (a child of fork must not inherit locks).
class Children {
 public:
  // Children ends the wait early when `interrupt` (a descriptor, -1 for none) becomes readable.
  Children(std::chrono::milliseconds limit, int interrupt);
  ~Children();
  Children(const Children&) = delete;
  Children& operator=(const Children&) = delete;

  // trace_next makes the next child in the lab write its events to `path`.
  void trace_next(std::string path) { trace_file_ = std::move(path); }

  // watch says which laws the children ask; all of them by default.
  void watch(LawScope laws) { laws_ = laws; }

  // start forks a child for `scenario`. Errors: no_descriptors, no_memory, refused_by_system, with what to do.
  Status start(std::size_t id, const Scenario& scenario, const rig_subject& subject);

  // running is how many children have not been collected.
  std::size_t running() const { return children_.size(); }

  // collect waits for at most `patience` until children have finished, and returns those.
  std::vector<Finished> collect(std::chrono::milliseconds patience);

  // kill_all ends and reaps all of them, without verdicts.
  void kill_all();

 private:
  // Place is what a child in the lab has to itself: a processor, by its number among those that this process may use,
  // and memory that it shares with this process.
  struct Place {
    std::size_t processor = 0;
    lab::FlightRecorder* recorder = nullptr;
  };

  struct Child {
    std::size_t id;
    pid_t pid;
    int pid_descriptor;  // readable when the child has ended
    int verdict_pipe;    // -1 once it is at its end
    int output_pipe;
    std::chrono::steady_clock::time_point deadline;
    Scenario scenario;
    std::string answer;
    std::string output;
    bool killed = false;
    Place place;
  };

  void run_child(const Scenario& scenario, const rig_subject& subject, const Place& place, int verdict_pipe,
                 int output_pipe);
  std::size_t free_processor() const;
  void wait_for_news(std::chrono::milliseconds patience) const;
  static std::optional<int> reap(Child& child);
  static Finished judge(Child& child, int status);
  static void close_all(const Child& child);
  lab::FlightRecorder* take_recorder();

  const std::chrono::milliseconds limit_;
  const int interrupt_;
  std::string trace_file_;
  LawScope laws_ = LawScope::all;
  std::vector<Child> children_;
  std::vector<lab::FlightRecorder*> idle_recorders_;
};

}  // namespace rig::cli
