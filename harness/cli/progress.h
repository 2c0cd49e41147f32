// Progress: what a person sees while a run goes on.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <string>

#include "harness/scenario/verdict.h"

namespace rig::cli {

// Tally counts verdicts by kind.
struct Tally {
  std::size_t pass = 0;
  std::size_t fail = 0;
  std::size_t hang = 0;
  std::size_t vacuous = 0;
  std::size_t skip = 0;

  void add(VerdictKind kind);
  std::size_t total() const { return pass + fail + hang + vacuous + skip; }
  std::size_t bad() const { return fail + hang + vacuous; }
};

// Progress writes to `stream`: on a terminal one status line that is written over, in a pipe a plain line about every
// five seconds. NO_COLOR (any value but the empty one) and TERM=dumb switch colours off. Thread: one.
class Progress {
 public:
  // Progress of `expected` verdicts; 0 if nobody knows how many there will be.
  Progress(std::FILE* stream, std::size_t expected);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // update shows the counts if it is time to.
  void update(const Tally& tally);

  // line writes a line of its own above the status line.
  void line(const std::string& text);

  // bad and good are `text` in red and in green, where colours are on.
  std::string bad(const std::string& text) const;
  std::string good(const std::string& text) const;

  // seconds since it was made.
  double seconds() const;

 private:
  void clear();

  std::FILE* stream_;
  const std::size_t expected_;
  const bool terminal_;
  const bool colours_;
  const std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point next_;
  bool shown_ = false;
};

// summary is the last line of a run: "410 passed, 0 failed, 0 hung, 0 vacuous, 2 skipped in 61 s".
std::string summary(const Tally& tally, double seconds);

}  // namespace rig::cli
