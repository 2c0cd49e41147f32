// Faults: what goes wrong in a run, by the list or by the seed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <tuple>
#include <vector>

#include "harness/base/prng.h"
#include "harness/lab/lab.h"

namespace rig::lab {

class File;

// Struck is what a call is struck by. The seed's own faults are chances: the call takes one only where the profile
// allows it, before anything else has come of it, and then it counts as injected.
struct Struck {
  int error = 0;  // fail at once with this errno
  int noise = 0;  // leave this errno behind on success
  std::size_t bytes_max = SIZE_MAX;
  bool blocked = false;  // EAGAIN at a listed stop of the stream, as if there were nothing beyond it
  bool sync_connect = false;
  std::optional<Fault> spurious;
  std::optional<Fault> chance;

  // ran_out says that the call found less input or room than there is.
  bool ran_out() const { return blocked || error == EAGAIN || bytes_max != SIZE_MAX; }
};

// Place is who makes a call: a connection and a side of it, if there are any.
struct Place {
  std::optional<std::uint32_t> connection;
  FaultSide side = FaultSide::any;
  bool may_block = false;  // a TCP socket whose other end could be slow: what is reset, or only local, never is
  bool may_fail = true;  // an eventfd and a timerfd are memory: no system answers a read or write of them with an error
};

// lies_at says that a fault means that place.
bool lies_at(const Fault& fault, const Place& place);

// Faults decides for each call, and for each piece of a stream, what strikes it, and keeps what did.
class Faults {
 public:
  explicit Faults(const Options& options);

  // at_call counts a call and answers what strikes it. `places` are those of its descriptors, of which a poll has
  // several; `waits`: the call may block. Thread: of the run.
  Struck at_call(Op op, std::span<const Place> places, bool waits);
  // take records that a chance has come true, with that amount.
  void take(Struck& struck, std::int64_t amount);
  // interrupts says, before the first wait of a call, that it ends there with EINTR.
  bool interrupts(Struck& struck);
  // has_chance says that the seed offers a fault of that kind to the call.
  static bool has_chance(const Struck& struck, FaultKind kind);
  // draw_cut draws how many of `bytes` (at least 2) a call moves that is cut short: at least one, and not all. A byte
  // at either end is drawn far more often than its share, since that is where a count is one off.
  static std::size_t draw_cut(std::size_t bytes);
  Profile profile() const { return profile_; }

  // stop_at says where a call that begins at byte `at` of a stream ends, and whether it answers EAGAIN instead of
  // moving a byte. Each listed stop is asked by the sender and by the receiver of the stream, and strikes both.
  struct Stop {
    std::size_t bytes_max = SIZE_MAX;
    bool blocks = false;
  };
  Stop stop_at(const Place& sender, bool sends, std::uint64_t at, std::size_t bytes, bool waits);

  // For streams. strike_stream answers the listed fault of that kind that lies in the bytes from `begin` up to `end`
  // of a direction, each once; the end is part of it for what strikes at an end. chance_stream lets the seed choose
  // one.
  std::vector<Fault> strike_stream(const Place& sender, std::uint64_t begin, std::uint64_t end);
  std::optional<Fault> chance_stream(const Place& sender, std::uint64_t begin, std::uint64_t end);
  bool has_stream_faults() const { return random_ || !streams_.empty(); }

 private:
  struct Item {
    Fault fault;
    std::uint64_t seen = 0;
    bool spent = false;
    bool struck_by[2] = {false, false};  // of a stop: as the receiver met it, and the sender
  };
  bool strikes(Item& item, Op op, std::span<const Place> places);
  void apply(const Fault& fault, const Place& here, Struck& struck);
  std::optional<Fault> choose(Op op, const Place& place, std::uint64_t nth, bool waits);

  // By what they strike, so that a call looks at few of a long list.
  std::vector<Item> calls_;
  std::vector<Item> streams_;
  std::vector<Item> stops_;
  bool random_;
  bool spares_rig_;
  Profile profile_;
  std::uint64_t one_in_;
  std::map<std::tuple<std::uint32_t, FaultSide, Op>, std::uint64_t> counts_;  // connection + 1, or 0 for all
};

}  // namespace rig::lab
