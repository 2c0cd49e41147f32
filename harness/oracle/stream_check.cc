#include "harness/oracle/stream_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <iterator>
#include <limits>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "harness/base/check.h"
#include "harness/base/mutex.h"
#include "harness/oracle/position_code.h"
#include "harness/oracle/stream_look.h"

namespace rig {

namespace {

using Stamp = std::uint64_t;
using Index = std::uint64_t;  // of an op, in the order of issue
constexpr Stamp never = std::numeric_limits<Stamp>::max();
constexpr Index none = std::numeric_limits<Index>::max();
constexpr std::size_t prefix_bytes = 8;      // what a candidate is chosen by before its path is followed
constexpr std::size_t past_echoes_max = 64;  // echoes remembered after they arrived, for reports
constexpr std::size_t past_echo_bytes_max = 65536;

struct Op {
  StreamPayload payload;
  Stamp issued = 0;
  Stamp answered = never;
  bool refused = false;

  bool absent() const { return refused || payload.bytes == 0; }
};

// Path is one reading of what has arrived: every op below `high` has arrived whole, but for the `holes` (in order),
// those that are absent, and `current`, which has arrived up to `offset`.
struct Path {
  Index high = 0;
  std::vector<Index> holes;
  Index current = none;
  std::uint64_t offset = 0;
  std::size_t at = 0;  // how much of the bytes at hand it has read

  bool has_begun(Index op) const { return op < high && !std::ranges::binary_search(holes, op); }
  bool same_place(const Path& other) const {
    return at == other.at && high == other.high && current == other.current && holes == other.holes;
  }
};

// Death is where the path that came farthest ended.
struct Death {
  bool known = false;
  std::size_t at = 0;
  Index op = none;  // whose byte was due; none: no byte was
  std::uint64_t offset = 0;
  std::size_t side_by_side = 0;  // how many more ops could have come instead
  Path path;
};

// Past is an op that has left the books.
struct Past {
  std::uint64_t token;
  std::uint64_t bytes;
  bool refused;
};

}  // namespace

struct StreamCheck::Ops {
  Ops(std::uint64_t id, std::string name, ViolationLog& violations)
      : stream(id), where(std::move(name)), log(violations), paths(1) {}

  Op& op(Index index) RIG_REQUIRES(mutex) { return ops[index - base]; }
  Index end() const RIG_REQUIRES(mutex) { return base + ops.size(); }

  void pass_absent(Path& path) RIG_REQUIRES(mutex);
  void find_candidates(const Path& path) RIG_REQUIRES(mutex);
  void begin(Path& path, Index index) RIG_REQUIRES(mutex);
  void keep(Path path) RIG_REQUIRES(mutex);
  void branch(Path path, ByteView bytes, Death& death) RIG_REQUIRES(mutex);
  void go_on(Path path, ByteView bytes, Death& death) RIG_REQUIRES(mutex);
  void follow(ByteView bytes, Death& death) RIG_REQUIRES(mutex);
  void release_front() RIG_REQUIRES(mutex);
  void take_back(Index index) RIG_REQUIRES(mutex);
  void stop_judging() RIG_REQUIRES(mutex);
  void report(std::string message) RIG_REQUIRES(mutex);
  void report_death(const Death& death, std::uint64_t before, ByteView bytes) RIG_REQUIRES(mutex);
  std::string missing() RIG_REQUIRES(mutex);

  const std::uint64_t stream;
  const std::string where;
  ViolationLog& log;

  mutable Mutex mutex;
  std::deque<Op> ops RIG_GUARDED_BY(mutex);  // from `base` on; what every path has behind it is released
  Index base RIG_GUARDED_BY(mutex) = 0;
  std::unordered_map<std::uint64_t, std::pair<Index, std::uint64_t>> asked RIG_GUARDED_BY(mutex);  // index, bytes
  std::vector<Path> paths RIG_GUARDED_BY(mutex);
  std::vector<Index> candidates RIG_GUARDED_BY(mutex);  // of find_candidates(), kept for its capacity
  Stamp now RIG_GUARDED_BY(mutex) = 0;
  std::uint64_t accepted RIG_GUARDED_BY(mutex) = 0;
  std::uint64_t received RIG_GUARDED_BY(mutex) = 0;
  bool thinned RIG_GUARDED_BY(mutex) = false;  // a path was left out
  bool judging RIG_GUARDED_BY(mutex) = true;   // the order, not the count
  bool reported RIG_GUARDED_BY(mutex) = false;
  std::vector<Past> past RIG_GUARDED_BY(mutex);
  std::deque<StreamPayload> past_echoes RIG_GUARDED_BY(mutex);
};

void StreamCheck::Ops::pass_absent(Path& path) {
  while (path.high < end() && op(path.high).absent()) {
    ++path.high;
  }
}

// find_candidates lists the ops that may come next: those that were issued before any missing op was answered. Stamps
// of issue ascend with the index, so the search ends at the first op that a missing one must precede. A missing op that
// is not answered yet precedes nothing: whatever is issued by then is beside it.
void StreamCheck::Ops::find_candidates(const Path& path) {
  candidates.clear();
  Stamp first_answer = never;
  for (const Index hole : path.holes) {
    candidates.push_back(hole);
    first_answer = std::min(first_answer, op(hole).answered);
  }
  for (Index index = path.high; index < end() && op(index).issued < first_answer; ++index) {
    if (!op(index).absent()) {
      candidates.push_back(index);
      first_answer = std::min(first_answer, op(index).answered);
    }
  }
}

void StreamCheck::Ops::begin(Path& path, Index index) {
  if (index < path.high) {
    path.holes.erase(std::ranges::lower_bound(path.holes, index));
  } else {
    for (Index over = path.high; over < index; ++over) {
      if (!op(over).absent()) {
        path.holes.push_back(over);
      }
    }
    path.high = index + 1;
  }
  path.current = index;
  path.offset = 0;
}

void StreamCheck::Ops::keep(Path path) {
  if (path.current != none && path.offset == op(path.current).payload.bytes) {
    path.current = none;
    path.offset = 0;
  }
  if (path.current == none) {
    pass_absent(path);
  }
  if (std::ranges::any_of(paths, [&](const Path& other) { return other.same_place(path); })) {
    return;
  }
  if (paths.size() >= paths_max) {
    thinned = true;
    return;
  }
  paths.push_back(std::move(path));
}

void StreamCheck::Ops::branch(Path path, ByteView bytes, Death& death) {
  pass_absent(path);
  find_candidates(path);
  const std::size_t others = candidates.size() - std::min<std::size_t>(candidates.size(), 1);
  const auto die = [&](Index index, std::size_t agreed) {
    if (!death.known || path.at + agreed > death.at) {
      death = {true, path.at + agreed, index, agreed, agreed == 0 ? others : 0, path};
    }
  };
  if (candidates.empty()) {
    die(none, 0);
    return;
  }
  for (const Index index : candidates) {
    const StreamPayload& payload = op(index).payload;
    const std::size_t left = bytes.size() - path.at;
    const std::size_t count = std::min<std::uint64_t>({prefix_bytes, left, payload.bytes});
    const std::size_t agreed = payload.agreeing(0, bytes.subspan(path.at, count));
    if (agreed < count) {
      die(index, agreed);
      continue;
    }
    Path next = path;
    begin(next, index);
    next.offset = count;
    next.at += count;
    keep(std::move(next));
  }
}

void StreamCheck::Ops::go_on(Path path, ByteView bytes, Death& death) {
  const StreamPayload& payload = op(path.current).payload;
  const std::size_t count = std::min<std::uint64_t>(payload.bytes - path.offset, bytes.size() - path.at);
  const std::size_t agreed = payload.agreeing(path.offset, bytes.subspan(path.at, count));
  if (agreed < count) {
    if (!death.known || path.at + agreed > death.at) {
      death = {true, path.at + agreed, path.current, path.offset + agreed, 0, std::move(path)};
    }
    return;
  }
  path.at += count;
  path.offset += count;
  keep(std::move(path));
}

// follow leads every path through `bytes`. The one that has read least goes first: so two that come to the same place
// meet there and merge, and what would double at each pair of equal ops stays small.
void StreamCheck::Ops::follow(ByteView bytes, Death& death) {
  for (Path& path : paths) {
    path.at = 0;
  }
  while (!paths.empty()) {
    const auto least = std::ranges::min_element(paths, {}, &Path::at);
    if (least->at == bytes.size()) {
      return;
    }
    Path path = std::move(*least);
    if (std::next(least) != paths.end()) {
      *least = std::move(paths.back());
    }
    paths.pop_back();
    if (path.current == none) {
      branch(std::move(path), bytes, death);
    } else {
      go_on(std::move(path), bytes, death);
    }
  }
}

void StreamCheck::Ops::release_front() {
  while (!ops.empty()) {
    Op& front = ops.front();
    const auto behind = [first = base](const Path& path) { return path.current != first && path.has_begun(first); };
    if (front.answered == never || !std::ranges::all_of(paths, behind)) {
      return;
    }
    if (!front.payload.echoed) {
      past.push_back({front.payload.token, front.payload.bytes, front.refused});
    } else if (front.payload.bytes <= past_echo_bytes_max && !front.refused) {
      past_echoes.push_back(std::move(front.payload));
      if (past_echoes.size() > past_echoes_max) {
        past_echoes.pop_front();
      }
    }
    ops.pop_front();
    ++base;
  }
}

// take_back ends the paths on which a refused op has arrived.
void StreamCheck::Ops::take_back(Index index) {
  Op& refused = op(index);
  refused.refused = true;
  if (refused.payload.bytes == 0) {
    return;
  }
  std::erase_if(paths, [index](const Path& path) { return path.has_begun(index); });
  for (Path& path : paths) {
    if (index < path.high) {
      path.holes.erase(std::ranges::lower_bound(path.holes, index));
    }
    if (path.current == none) {
      pass_absent(path);
    }
  }
  if (paths.empty()) {
    if (!thinned) {
      report(fmt::format("send refused op {} of {} bytes, but bytes of it have arrived (stream offset {} or before).",
                         refused.payload.token, refused.payload.bytes, received));
    }
    stop_judging();
  }
}

void StreamCheck::Ops::stop_judging() {
  judging = false;
  base = end();
  ops.clear();
  paths.clear();
  past.clear();
  past_echoes.clear();
}

void StreamCheck::Ops::report(std::string message) {
  if (!std::exchange(reported, true)) {
    log.report(Law::s1_stream, where, std::move(message));
  }
}

void StreamCheck::Ops::report_death(const Death& death, std::uint64_t before, ByteView bytes) {
  std::vector<StreamPayload> gone;
  gone.reserve(past.size());
  for (const Past& one : past) {
    gone.push_back({one.token, one.bytes, code_key(stream, one.token), false, {}});
  }
  // What is most likely comes first: ops that are still to come, then those that came last.
  std::vector<KnownOp> known;
  for (Index index = base; index < end(); ++index) {
    const Op& one = op(index);
    const KnownOp::State state = one.refused                   ? KnownOp::State::refused
                                 : index == death.op           ? KnownOp::State::under_way
                                 : index == death.path.current ? KnownOp::State::under_way
                                 : death.path.has_begun(index) ? KnownOp::State::arrived
                                                               : KnownOp::State::awaited;
    known.push_back({&one.payload, state});
  }
  for (auto echo = past_echoes.rbegin(); echo != past_echoes.rend(); ++echo) {
    known.push_back({&*echo, KnownOp::State::arrived});
  }
  for (std::size_t i = gone.size(); i-- > 0;) {
    known.push_back({&gone[i], past[i].refused ? KnownOp::State::refused : KnownOp::State::arrived});
  }
  const StreamPayload* expected = death.op == none ? nullptr : &op(death.op).payload;
  const std::string look = stream_look(bytes.subspan(death.at), expected, death.offset, known);
  if (expected == nullptr) {
    report(fmt::format("at stream offset {} nothing more was due, but {}", before + death.at, look));
    return;
  }
  const std::string others =
      death.side_by_side == 0 ? "" : fmt::format(" (or of {} op(s) sent beside it)", death.side_by_side);
  report(fmt::format("at stream offset {} byte {} of op {} ({} bytes){} was due, but {}", before + death.at,
                     death.offset, expected->token, expected->bytes, others, look));
}

std::string StreamCheck::Ops::missing() {
  if (paths.empty()) {
    return {};
  }
  const Path& path = paths.front();
  find_candidates(path);
  const Index first = path.current != none ? path.current : candidates.empty() ? none : candidates.front();
  if (first == none) {
    return {};
  }
  return fmt::format(" The first missing byte is byte {} of op {} ({} bytes).", path.offset, op(first).payload.token,
                     op(first).payload.bytes);
}

StreamCheck::StreamCheck(std::uint64_t stream, std::string where, ViolationLog& log)
    : ops_(std::make_unique<Ops>(stream, std::move(where), log)) {}

StreamCheck::~StreamCheck() = default;

void StreamCheck::issue(std::uint64_t token, std::size_t bytes, ByteView echo) {
  RIG_CHECK(echo.empty() || echo.size() == bytes);
  Ops& books = *ops_;
  const MutexLock lock(books.mutex);
  const bool fresh = books.asked.try_emplace(token, books.end(), bytes).second;
  RIG_CHECK(fresh);
  ++books.now;
  if (!books.judging) {
    return;
  }
  Op& op = books.ops.emplace_back();
  op.payload.token = token;
  op.payload.bytes = bytes;
  op.payload.key = code_key(books.stream, token);
  op.payload.echoed = !echo.empty();
  op.payload.echo.assign(echo.begin(), echo.end());
  op.issued = books.now;
}

void StreamCheck::answered(std::uint64_t token, bool accepted) {
  Ops& books = *ops_;
  const MutexLock lock(books.mutex);
  const auto asked = books.asked.find(token);
  RIG_CHECK(asked != books.asked.end());
  const auto [index, bytes] = asked->second;
  books.asked.erase(asked);
  ++books.now;
  books.accepted += accepted ? bytes : 0;
  if (!books.judging) {
    return;
  }
  books.op(index).answered = books.now;
  if (!accepted) {
    books.take_back(index);
  }
  books.release_front();
}

void StreamCheck::received(ByteView bytes) {
  Ops& books = *ops_;
  const MutexLock lock(books.mutex);
  const std::uint64_t before = books.received;
  books.received += bytes.size();
  if (!books.judging) {
    return;
  }
  Death death;
  books.follow(bytes, death);
  if (books.paths.empty()) {
    if (!books.thinned) {
      books.report_death(death, before, bytes);
    }
    books.stop_judging();
    return;
  }
  books.release_front();
}

void StreamCheck::finish(bool all_delivered, std::uint64_t delivered_bytes_min) {
  Ops& books = *ops_;
  const MutexLock lock(books.mutex);
  if (all_delivered && books.received < books.accepted) {
    books.report(fmt::format("{} of {} accepted bytes never arrived.{}", books.accepted - books.received,
                             books.accepted, books.missing()));
  } else if (books.received < delivered_bytes_min) {
    books.report(fmt::format("{} bytes arrived, but ops of {} bytes had completed with success.{}", books.received,
                             delivered_bytes_min, books.missing()));
  }
}

std::uint64_t StreamCheck::accepted_bytes() const {
  const MutexLock lock(ops_->mutex);
  return ops_->accepted;
}

std::uint64_t StreamCheck::received_bytes() const {
  const MutexLock lock(ops_->mutex);
  return ops_->received;
}

std::optional<StreamCheck::Carried> StreamCheck::carried() const {
  if (!ops_->mutex.try_lock()) {
    return std::nullopt;
  }
  const Carried carried{.accepted_bytes = ops_->accepted, .received_bytes = ops_->received};
  ops_->mutex.unlock();
  return carried;
}

bool StreamCheck::gave_up() const {
  const MutexLock lock(ops_->mutex);
  return ops_->thinned;
}

}  // namespace rig
