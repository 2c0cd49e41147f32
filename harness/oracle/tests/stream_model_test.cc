// Random histories of a stream, judged by StreamCheck and by a model that tries every order.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "harness/base/prng.h"
#include "harness/oracle/stream_check.h"

namespace rig {
namespace {

constexpr std::uint64_t stream_id = 11;

struct ModelOp {
  std::uint64_t token = 0;
  Bytes bytes;
  bool accepted = true;
  std::size_t issued = 0;  // moments
  std::size_t answered = 0;
};

// History is what senders did, and the order in which the layer took their ops.
struct History {
  struct Moment {
    enum class Kind : std::uint8_t { issue, take, answer };
    Kind kind;
    std::size_t op;
  };
  std::vector<ModelOp> ops;
  std::vector<Moment> moments;
  std::vector<std::size_t> taken;
};

std::size_t random_size(Prng& prng, bool tiny) {
  if (tiny) {
    return prng.below(3);
  }
  switch (prng.below(6)) {
    case 0:
      return prng.below(8);
    case 1:
      return prng.between(8, 40);
    case 2:
      return prng.between(16383, 16385);
    default:
      return prng.between(1, 200);
  }
}

// make_history lets `senders` send side by side: each issues an op, the layer takes it, send answers, in any
// interleaving.
History make_history(Prng& prng, std::size_t senders, std::size_t count, bool tiny) {
  History history;
  struct Sender {
    std::size_t stage = 0;
    std::size_t op = 0;
  };
  std::vector<Sender> idle(senders);
  std::size_t unfinished = count;
  while (unfinished > 0) {
    Sender& sender = idle[prng.below(senders)];
    const std::size_t now = history.moments.size();
    if (sender.stage == 0) {
      if (history.ops.size() == count) {
        continue;
      }
      sender.op = history.ops.size();
      ModelOp op;
      op.token = 100 + sender.op;
      op.bytes.resize(random_size(prng, tiny));
      position_code(stream_id, op.token, op.bytes);
      op.accepted = prng.below(8) != 0;
      op.issued = now;
      history.ops.push_back(std::move(op));
      history.moments.push_back({History::Moment::Kind::issue, sender.op});
    } else if (sender.stage == 1) {
      if (history.ops[sender.op].accepted) {
        history.taken.push_back(sender.op);
      }
      history.moments.push_back({History::Moment::Kind::take, sender.op});
    } else {
      history.ops[sender.op].answered = now;
      history.moments.push_back({History::Moment::Kind::answer, sender.op});
      --unfinished;
    }
    sender.stage = (sender.stage + 1) % 3;
  }
  return history;
}

Bytes wire_of(const History& history, const std::vector<std::size_t>& order) {
  Bytes wire;
  for (const std::size_t op : order) {
    wire.insert(wire.end(), history.ops[op].bytes.begin(), history.ops[op].bytes.end());
  }
  return wire;
}

// Model says whether `wire` is a prefix of the accepted ops in an order that agrees with the order of sends, by trying
// every order.
class Model {
 public:
  Model(const History& history, const Bytes& wire) : history_(history), wire_(wire) {}
  bool legal() { return place(0, 0); }

 private:
  bool place(std::uint64_t placed, std::size_t at) {
    if (at == wire_.size()) {
      return true;
    }
    if (!seen_.insert(placed).second) {
      return false;
    }
    for (std::size_t i = 0; i < history_.ops.size(); ++i) {
      const ModelOp& op = history_.ops[i];
      if (!missing(i, placed) || preceded(op, placed)) {
        continue;
      }
      const std::size_t count = std::min(op.bytes.size(), wire_.size() - at);
      if (std::equal(op.bytes.begin(), op.bytes.begin() + static_cast<std::ptrdiff_t>(count),
                     wire_.begin() + static_cast<std::ptrdiff_t>(at)) &&
          place(placed | (std::uint64_t{1} << i), at + count)) {
        return true;
      }
    }
    return false;
  }
  bool missing(std::size_t i, std::uint64_t placed) const {
    return history_.ops[i].accepted && !history_.ops[i].bytes.empty() && (placed >> i & 1) == 0;
  }
  bool preceded(const ModelOp& op, std::uint64_t placed) const {
    for (std::size_t i = 0; i < history_.ops.size(); ++i) {
      if (missing(i, placed) && history_.ops[i].answered < op.issued) {
        return true;
      }
    }
    return false;
  }

  const History& history_;
  const Bytes& wire_;
  std::set<std::uint64_t> seen_;
};

void receive_in_chunks(StreamCheck& check, ByteView wire, Prng& prng) {
  while (!wire.empty()) {
    const std::size_t count =
        std::min<std::size_t>(wire.size(), prng.below(4) == 0 ? prng.between(1, 9) : 1 + prng.below(20000));
    check.received(wire.first(count));
    wire = wire.subspan(count);
  }
}

void play_senders(StreamCheck& check, const History& history) {
  for (const auto& moment : history.moments) {
    const ModelOp& op = history.ops[moment.op];
    if (moment.kind == History::Moment::Kind::issue) {
      check.issue(op.token, op.bytes.size());
    } else if (moment.kind == History::Moment::Kind::answer) {
      check.answered(op.token, op.accepted);
    }
  }
}

TEST(StreamModelTest, HistoriesOfAnyNumberOfSendersAreSilentWheneverBytesArrive) {
  for (std::uint64_t seed = 0; seed < 1500; ++seed) {
    Prng prng(seed);
    const bool tiny = seed % 3 == 0;
    const History history = make_history(prng, 1 + prng.below(6), 1 + prng.below(tiny ? 300 : 60), tiny);
    ViolationLog log;
    StreamCheck check(stream_id, "receiver", log);
    Bytes buffered;
    std::size_t total = 0;
    for (const auto& moment : history.moments) {
      const ModelOp& op = history.ops[moment.op];
      switch (moment.kind) {
        case History::Moment::Kind::issue:
          check.issue(op.token, op.bytes.size());
          break;
        case History::Moment::Kind::take:
          if (op.accepted) {
            buffered.insert(buffered.end(), op.bytes.begin(), op.bytes.end());
          }
          break;
        case History::Moment::Kind::answer:
          check.answered(op.token, op.accepted);
          break;
      }
      const std::size_t count = prng.below(2) == 0 ? prng.below(buffered.size() + 1) : 0;
      check.received(ByteView(buffered).first(count));
      buffered.erase(buffered.begin(), buffered.begin() + static_cast<std::ptrdiff_t>(count));
      total += count;
    }
    total += buffered.size();
    receive_in_chunks(check, buffered, prng);
    check.finish(true, total);
    ASSERT_EQ(log.count(), 0u) << "seed " << seed << ": " << log.kept()[0].message;
    ASSERT_FALSE(check.gave_up()) << "seed " << seed;
  }
}

// mutate changes the wire in one way, and says which.
std::string mutate(const History& history, Bytes& wire, Prng& prng) {
  std::vector<std::size_t> order = history.taken;
  const auto pick = [&] { return prng.below(order.size()); };
  const auto at = [&] { return wire.begin() + static_cast<std::ptrdiff_t>(prng.below(wire.size())); };
  switch (prng.below(7)) {
    case 0:
      order.erase(order.begin() + static_cast<std::ptrdiff_t>(pick()));
      wire = wire_of(history, order);
      return "an op dropped";
    case 1: {
      const std::size_t op = pick();
      order.insert(order.begin() + static_cast<std::ptrdiff_t>(op), order[op]);
      wire = wire_of(history, order);
      return "an op doubled";
    }
    case 2:
      std::swap(order[pick()], order[pick()]);
      wire = wire_of(history, order);
      return "two ops swapped";
    case 3:
      *at() ^= static_cast<std::uint8_t>(1 + prng.below(255));
      return "a byte changed";
    case 4:
      wire.erase(at());
      return "a byte lost";
    case 5: {
      const auto place = at();
      wire.insert(place, *place);
      return "a byte doubled";
    }
    default: {
      const auto from = at();
      const auto to = from + static_cast<std::ptrdiff_t>(prng.below(static_cast<std::size_t>(wire.end() - from)));
      std::rotate(wire.begin(), from, to);
      return "a piece moved";
    }
  }
}

TEST(StreamModelTest, EachMutationIsReportedExactlyIfNoOrderExplainsIt) {
  std::map<std::string, std::pair<int, int>> tally;  // reported, silent
  for (std::uint64_t seed = 0; seed < 12000; ++seed) {
    Prng prng(seed);
    const History history = make_history(prng, 1 + prng.below(4), 2 + prng.below(12), seed % 4 == 0);
    Bytes wire = wire_of(history, history.taken);
    if (wire.empty()) {
      continue;
    }
    const std::string what = mutate(history, wire, prng);
    ViolationLog log;
    StreamCheck check(stream_id, "receiver", log);
    play_senders(check, history);
    receive_in_chunks(check, wire, prng);
    const bool illegal = !Model(history, wire).legal();
    ASSERT_EQ(log.count(), illegal ? 1u : 0u) << "seed " << seed << ": " << what;
    if (!illegal) {
      // A legal stream that is not all of it lacks something at the end.
      check.finish(true, 0);
      ASSERT_EQ(log.count(), wire.size() < check.accepted_bytes() ? 1u : 0u) << "seed " << seed << ": " << what;
    }
    ++(log.count() > 0 ? tally[what].first : tally[what].second);
  }
  ASSERT_EQ(tally.size(), 7u);
  for (const auto& [what, counts] : tally) {
    EXPECT_GT(counts.first, 500) << what;
  }
  EXPECT_LE(tally["a byte changed"].second, 15) << "only a byte of a tiny op can become another candidate's";
  EXPECT_GT(tally["two ops swapped"].second, 50) << "ops side by side may be swapped";
}

}  // namespace
}  // namespace rig
