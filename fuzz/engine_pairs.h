// Pairs of engines in memory, between whose calls somebody else's errors may lie.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "fuzz/choices.h"
#include "harness/base/bytes.h"
#include "harness/oracle/violation.h"

namespace rig {

// Answer is what one call has come to: its name, and figures of what there was to see after it.
struct Answer {
  std::string call;
  std::vector<std::uint64_t> figures;
  bool operator==(const Answer&) const = default;
};

// Planting leaves an entry in the calling thread's error queue and an errno in front of calls, as LibraryWatch does it:
// in front of those that its pattern says, bit by bit, or of none.
class Planting {
 public:
  Planting(bool plants, std::uint8_t pattern, std::uint8_t errno_choice)
      : plants_(plants), pattern_(pattern), errno_choice_(errno_choice) {}

  // before plants what is due, and leaves an errno of 0 if nothing is.
  void before();

 private:
  const bool plants_;
  const std::uint8_t pattern_;
  const std::uint8_t errno_choice_;
  std::size_t calls_ = 0;
};

// PairDeed is what can be asked of a pair, by one of its sides.
enum class PairDeed : std::uint8_t {
  step,  // the calls that are due
  send,  // of `amount` bytes
  renegotiate,
  update_keys,
  close,
  hear,     // bytes that its peer has not sent
  end,      // its peer's stream ends
  session,  // is exported, and kept
  again,    // another connection of the same nature, by the session that is kept, spoilt as `amount` says
  ask,      // one verb, due or not, that must do no harm; `amount` says which
  settle,   // both sides make the calls that are due, until none is
  refuse,   // a context or an engine that cannot be; `amount` says which
};
inline constexpr std::uint8_t pair_deeds = 12;

// PairsPlan is how many pairs there are, and what they are like.
struct PairsPlan {
  std::string library;
  std::size_t pairs = 2;
  bool tls13 = false;
  std::size_t out_bytes_max = 65536;  // room of each call
  Choices* natures = nullptr;         // what the pairs are like; none: all alike, with pre-shared keys
};

// EnginePairs holds them. Each verb of an engine has `planting` in front of it, and behind it the error queue is asked
// for what was left (H1). Which engines they are, planted_engine() says (planted.h). Thread: one.
class EnginePairs {
 public:
  EnginePairs(const PairsPlan& plan, Planting& planting, ViolationLog& log);
  ~EnginePairs();
  EnginePairs(const EnginePairs&) = delete;
  EnginePairs& operator=(const EnginePairs&) = delete;

  // act does it, and answers what that side is like afterwards. `said` is what is heard.
  Answer act(std::size_t pair, bool server, PairDeed deed, std::size_t amount, ByteView said);

 private:
  struct Pairs;
  std::unique_ptr<Pairs> pairs_;
};

}  // namespace rig
