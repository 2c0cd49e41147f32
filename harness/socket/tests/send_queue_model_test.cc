// The send queue against a model that keeps every byte: random sequences of all verbs, in any order.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <deque>
#include <tuple>
#include <vector>

#include "harness/base/prng.h"
#include "harness/socket/send_queue.h"

namespace rig {
namespace {

// Each byte says where it belongs: to which op or control flight, and at which place in it.
std::uint8_t coded(std::uint64_t owner, std::size_t place) {
  return static_cast<std::uint8_t>(mix64(owner * 0x10001 + place));
}

struct ModelOp {
  Token token = 0;
  std::uint64_t owner = 0;
  std::size_t bytes = 0;
  bool more = false;
  std::size_t encrypted = 0;
  bool on_wire = false;
  bool passed = false;  // all of it is in the wire lane
  std::size_t wire_end = 0;
  std::optional<Code> error = std::nullopt;
};

struct Step {
  unsigned verb = 0;
  std::size_t amount = 0;
  bool flag = false;
};

void showValue(const Step& step, std::ostream& out) {
  out << '{' << step.verb << ", " << step.amount << ", " << step.flag << '}';
}

// World runs a queue and its model side by side.
class World {
 public:
  explicit World(const SendLimits& limits) : limits_(limits), queue_(limits) {}

  void run(const Step& step);
  void drain();
  void check();

 private:
  void push(const Step& step);
  void encrypt(const Step& step);
  void control(const Step& step);
  void gather(const Step& step);
  void consume(const Step& step);
  void settle(bool also_waiting);
  void pop(const Step& step);
  void cancel(const Step& step);
  void writable(const Step&) { check_writable(); }

  ModelOp* first_waiting();
  std::size_t plain_bytes() const;
  bool owes_completions() const;
  void check_held() const;
  void check_writable();
  void put(std::uint64_t owner, std::size_t place, std::size_t count, bool urgent);
  std::size_t urgent_end() const;

  SendLimits limits_;
  SendQueue queue_;
  std::deque<ModelOp> pending_;
  std::deque<ModelOp> completed_;
  std::vector<std::uint8_t> stream_;  // all ciphertext there ever was
  std::vector<bool> urgent_;          // of each byte: it must not be held back
  std::size_t front_ = 0;
  std::size_t ops_end_ = 0;
  std::vector<ByteView> held_;  // what gather() gave and consume() has not taken yet
  std::size_t held_bytes_ = 0;
  bool held_more_ = false;   // and said of it
  bool taken_more_ = false;  // of what was taken last
  bool push_ = false;
  std::uint64_t owners_ = 0;
  std::uint64_t pushed_ = 0;
  std::optional<std::size_t> refused_;
};

ModelOp* World::first_waiting() {
  const auto found = std::find_if(pending_.begin(), pending_.end(), [](const ModelOp& op) { return !op.passed; });
  return found == pending_.end() ? nullptr : &*found;
}

std::size_t World::plain_bytes() const {
  std::size_t sum = 0;
  for (const ModelOp& op : pending_) {
    sum += op.bytes;
  }
  return sum;
}

bool World::owes_completions() const {
  std::size_t bytes = 0;
  for (const ModelOp& op : completed_) {
    bytes += op.bytes;
  }
  return completed_.size() > std::max<std::size_t>(limits_.ops_max, 1) ||
         (completed_.size() > 1 && bytes > limits_.bytes_max);
}

void World::push(const Step& step) {
  const bool again = step.amount % 8 == 7 && !(pending_.empty() && completed_.empty());
  const Token taken = pending_.empty() ? (completed_.empty() ? 0 : completed_.front().token) : pending_.back().token;
  ModelOp op{.token = again ? taken : mix64(owners_), .owner = owners_++, .bytes = step.amount, .more = step.flag};
  Bytes plain(op.bytes);
  for (std::size_t i = 0; i < plain.size(); ++i) {
    plain[i] = coded(op.owner, i);
  }
  const Status status = queue_.push(op.token, plain, op.more);
  if (again) {
    RC_ASSERT(!status.has_value() && status.error().code() == Code::invalid_argument);
    return;
  }
  const bool too_many = pending_.size() >= std::max<std::size_t>(limits_.ops_max, 1);
  const bool too_much = !pending_.empty() && plain_bytes() + op.bytes > limits_.bytes_max && op.bytes > 0;
  RC_ASSERT(status.has_value() == !(too_many || too_much || owes_completions()));
  if (!status.has_value()) {
    RC_ASSERT(status.error().code() == Code::would_block);
    refused_ = std::min(op.bytes, refused_.value_or(op.bytes));
    return;
  }
  ++pushed_;
  pending_.push_back(op);
}

void World::put(std::uint64_t owner, std::size_t place, std::size_t count, bool urgent) {
  for (std::size_t i = 0; i < count; ++i) {
    stream_.push_back(coded(owner, place + i));
    urgent_.push_back(urgent);
  }
}

// The cipher: 5 bytes of header in front of what is accepted; the header alone if the room or the amount is small.
void World::encrypt(const Step& step) {
  for (ModelOp* op = first_waiting(); op != nullptr && op->bytes == 0; op = first_waiting()) {
    op->passed = true;
    op->wire_end = ops_end_;
    if (!op->more && op->wire_end > front_) {
      urgent_[op->wire_end - 1] = true;
    }
  }
  ModelOp* op = first_waiting();
  const std::size_t wire = stream_.size() - front_;
  const auto plain = queue_.next_plain();
  RC_ASSERT(plain.has_value() == (op != nullptr && (wire == 0 || wire < limits_.wire_bytes_max)));
  if (!plain) {
    return;
  }
  RC_ASSERT(plain->size() == op->bytes - op->encrypted);
  const auto storage = queue_.prepare_wire();
  RC_ASSERT(storage.has_value() && !storage->empty());
  const std::uint64_t header = owners_++;
  const std::size_t header_bytes = std::min<std::size_t>(storage->size(), step.flag ? 5 : 0);
  const std::size_t accepted = std::min({step.amount, plain->size(), storage->size() - header_bytes});
  put(header, 0, header_bytes, !op->more);
  put(op->owner, op->encrypted, accepted, !op->more);
  for (std::size_t i = 0; i < header_bytes; ++i) {
    (*storage)[i] = coded(header, i);
  }
  std::copy_n(plain->begin(), accepted, storage->begin() + static_cast<std::ptrdiff_t>(header_bytes));
  queue_.commit_wire(header_bytes + accepted);
  queue_.encrypted(accepted);
  op->on_wire = op->on_wire || header_bytes + accepted > 0;
  op->encrypted += accepted;
  if (op->encrypted == op->bytes) {
    op->passed = true;
    op->wire_end = ops_end_ = stream_.size();
  }
}

void World::control(const Step& step) {
  const auto storage = queue_.prepare_wire();
  RC_ASSERT(storage.has_value() && !storage->empty());
  const std::size_t count = std::min(step.amount, storage->size());
  put(owners_, 0, count, true);
  for (std::size_t i = 0; i < storage->size(); ++i) {
    (*storage)[i] = coded(owners_, i);  // all of it may be written to, whatever is committed
  }
  ++owners_;
  queue_.commit_wire(count);
}

std::size_t World::urgent_end() const {
  for (std::size_t end = urgent_.size(); end > front_; --end) {
    if (urgent_[end - 1]) {
      return end;
    }
  }
  return front_;
}

void World::gather(const Step& step) {
  held_.assign(1 + step.amount % 4, {});
  const SendQueue::Gathered gathered = queue_.gather(held_, step.flag);
  RC_ASSERT(gathered.pieces <= held_.size());
  held_.resize(gathered.pieces);
  held_bytes_ = gathered.bytes;
  held_more_ = gathered.more;
  check_held();
  const bool urgent = urgent_end() > front_;
  const std::size_t all = (urgent && !step.flag ? urgent_end() : stream_.size()) - front_;
  RC_ASSERT(gathered.bytes == all || (gathered.bytes < all && gathered.pieces == 1 + step.amount % 4));
  RC_ASSERT((gathered.bytes > 0) == (all > 0));
  RC_ASSERT(gathered.more == (all > 0 && !urgent && !step.flag));
}

// check_held reads what was gathered: right bytes, right order, and not moved by anything since.
void World::check_held() const {
  std::size_t place = front_;
  for (const ByteView piece : held_) {
    RC_ASSERT(!piece.empty());
    RC_ASSERT(place + piece.size() <= stream_.size());
    RC_ASSERT(std::equal(piece.begin(), piece.end(), stream_.begin() + static_cast<std::ptrdiff_t>(place)));
    place += piece.size();
  }
  RC_ASSERT(place - front_ == held_bytes_);
}

void World::consume(const Step& step) {
  check_held();
  const std::size_t taken = step.flag ? held_bytes_ : std::min(step.amount, held_bytes_);
  queue_.consume(taken);
  front_ += taken;
  taken_more_ = taken > 0 ? held_more_ : taken_more_;
  held_.clear();
  held_bytes_ = 0;
  settle(false);
}

void World::settle(bool also_waiting) {
  while (!pending_.empty()) {
    const ModelOp& op = pending_.front();
    if (!(op.passed ? op.wire_end <= front_ : also_waiting && op.bytes == 0)) {
      break;
    }
    push_ = push_ || (!op.more && taken_more_);
    completed_.push_back(op);
    pending_.pop_front();
  }
  RC_ASSERT(queue_.take_push() == push_);
  taken_more_ = taken_more_ && !push_;
  push_ = false;
}

void World::pop(const Step& step) {
  for (std::size_t i = 0; i < 1 + step.amount % 4; ++i) {
    const auto completion = queue_.pop_completed();
    RC_ASSERT(completion.has_value() == !completed_.empty());
    if (!completion) {
      return;
    }
    const ModelOp& op = completed_.front();
    RC_ASSERT(completion->token == op.token);
    RC_ASSERT(completion->bytes == op.bytes);
    RC_ASSERT(completion->error.has_value() == op.error.has_value());
    RC_ASSERT(!op.error || completion->error->code() == *op.error);
    completed_.pop_front();
  }
}

void World::cancel(const Step& step) {
  const Code code = step.flag ? Code::reset : Code::aborted;
  queue_.cancel_all(Error(code));
  for (; !pending_.empty(); pending_.pop_front()) {
    pending_.front().error = code;
    completed_.push_back(pending_.front());
  }
  front_ = stream_.size();
  held_.clear();
  held_bytes_ = 0;
}

void World::check_writable() {
  const std::size_t ops_max = std::max<std::size_t>(limits_.ops_max, 1);
  const bool expected = refused_ && pending_.size() <= ops_max / 2 && plain_bytes() <= limits_.bytes_max / 2 &&
                        !owes_completions() && (pending_.empty() || plain_bytes() + *refused_ <= limits_.bytes_max);
  RC_ASSERT(queue_.take_writable_again() == expected);
  if (expected) {
    refused_.reset();
  }
}

void World::check() {
  RC_ASSERT(queue_.ops_pending() == pending_.size());
  RC_ASSERT(queue_.ops() == pending_.size() + completed_.size());
  RC_ASSERT(queue_.plain_bytes() == plain_bytes());
  RC_ASSERT(queue_.wire_bytes() == stream_.size() - front_);
  RC_ASSERT(queue_.has_completed() == !completed_.empty());
  RC_ASSERT(queue_.idle() == (pending_.empty() && completed_.empty() && front_ == stream_.size()));
  const ModelOp* waiting = first_waiting();
  RC_ASSERT(queue_.partly_encrypted() == (waiting != nullptr && waiting->on_wire));
  const bool all_more = std::all_of(pending_.begin(), pending_.end(), [](const ModelOp& op) { return op.more; });
  RC_ASSERT(queue_.only_more() == (!pending_.empty() && all_more && urgent_end() == front_));
  const SendQueue::Counters counters = queue_.counters();
  RC_ASSERT(counters.nodes_allocated + counters.nodes_reused == pushed_);
  RC_ASSERT(counters.nodes_allocated == counters.nodes_released + counters.nodes_free + queue_.ops());
  RC_ASSERT(counters.nodes_free <= limits_.free_ops_max);
  RC_ASSERT(counters.chunks_free <= limits_.free_chunks_max);
}

void World::run(const Step& step) {
  using Verb = void (World::*)(const Step&);
  static constexpr Verb verbs[] = {&World::push,    &World::push,    &World::push,    &World::encrypt, &World::encrypt,
                                   &World::encrypt, &World::control, &World::gather,  &World::gather,  &World::consume,
                                   &World::consume, &World::pop,     &World::writable};
  if (step.verb < std::size(verbs)) {
    (this->*verbs[step.verb])(step);
  } else if (step.verb == std::size(verbs)) {
    queue_.settle_front();
    settle(true);
  } else if (step.amount % 4 == 0) {
    cancel(step);
  }
  check();
}

// drain sends everything that is left, and so shows that no sequence of verbs can get stuck.
void World::drain() {
  for (std::size_t turns = 0; !queue_.idle(); ++turns) {
    RC_ASSERT(turns < 10'000);
    run({.verb = 3, .amount = 1'000'000, .flag = true});
    run({.verb = 7, .amount = 3, .flag = true});
    run({.verb = 9, .amount = 0, .flag = true});
    run({.verb = 11, .amount = 3});
  }
  RC_ASSERT(pending_.empty() && completed_.empty());
}

RC_GTEST_PROP(send_queue_model, sends_every_byte_in_order_and_completes_every_op_once, ()) {
  const auto some = [](std::initializer_list<std::size_t> values) {
    return rc::gen::elementOf(std::vector<std::size_t>(values));
  };
  const SendLimits limits{.ops_max = *some({0, 1, 3, 65536}),
                          .bytes_max = *some({0, 50, 1000, 16 * 1024 * 1024}),
                          .wire_bytes_max = *some({0, 10, 1000, 256 * 1024}),
                          .free_ops_max = *some({0, 1, 64}),
                          .free_chunks_max = *some({0, 1, 4})};
  const auto amount = rc::gen::weightedOneOf<std::size_t>({{2, some({0, 1, 5})},
                                                           {6, rc::gen::inRange<std::size_t>(0, 200)},
                                                           {2, rc::gen::inRange<std::size_t>(0, 40'000)}});
  const auto steps = *rc::gen::container<std::vector<Step>>(
      rc::gen::build<Step>(rc::gen::set(&Step::verb, rc::gen::inRange(0U, 15U)), rc::gen::set(&Step::amount, amount),
                           rc::gen::set(&Step::flag)));
  World world(limits);
  for (const Step& step : steps) {
    world.run(step);
  }
  world.drain();
}

}  // namespace
}  // namespace rig
