#include "harness/oracle/op_ledger.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <thread>
#include <unordered_map>
#include <utility>

#include "harness/base/check.h"
#include "harness/base/mutex.h"

namespace rig {

namespace {

// A stamp counts the calls that took part in the order of sends: what was stamped earlier happened before.
using Stamp = std::uint64_t;
constexpr Stamp never = std::numeric_limits<Stamp>::max();

// ends_the_stream says whether an op that failed so means that no later byte can leave on this connection.
bool ends_the_stream(Code code) {
  switch (code) {
    case Code::closed:
    case Code::clean_end:
    case Code::truncated:
    case Code::reset:
    case Code::refused:
    case Code::unreachable:
    case Code::timeout:
    case Code::aborted:
    case Code::verification_failed:
    case Code::handshake_failed:
    case Code::protocol:
    case Code::peer_alert:
      return true;
    case Code::unsupported:
    case Code::invalid_argument:
    case Code::invalid_state:
    case Code::would_block:
    case Code::no_memory:
    case Code::no_descriptors:
    case Code::address_in_use:
    case Code::refused_by_system:
    case Code::internal:
      return false;
  }
  RIG_CHECK(false);
}

std::string_view answer_word(OpLedger::Answer answer) {
  switch (answer) {
    case OpLedger::Answer::completed:
      return "completed";
    case OpLedger::Answer::pending:
      return "pending";
    case OpLedger::Answer::refused:
      return "refused";
  }
  RIG_CHECK(false);
}

}  // namespace

struct OpLedger::Books {
  struct Op {
    std::uint64_t bytes = 0;
    Stamp issued = 0;
    Stamp answered = never;
    std::thread::id sender;  // on whose stack send() runs until it is answered
    std::optional<Answer> answer;
    std::uint32_t callbacks = 0;
    bool reported_lost = false;
  };

  Books(std::string name, Order promise, ViolationLog& violations)
      : where(std::move(name)), order(promise), log(violations) {
    ops.reserve(256);
  }

  void report(Law law, std::string message) { log.report(law, where, std::move(message)); }
  void judge_callback(std::uint64_t token, Op& op, std::size_t count, const std::optional<Error>& error)
      RIG_REQUIRES(mutex);
  void judge_failure_before(std::uint64_t token, const Op& op) RIG_REQUIRES(mutex);
  void judge_order(std::uint64_t token, const Op& op) RIG_REQUIRES(mutex);
  void report_lost(std::string_view when) RIG_REQUIRES(mutex);

  const std::string where;
  const Order order;
  ViolationLog& log;

  mutable Mutex mutex;
  std::unordered_map<std::uint64_t, Op> ops RIG_GUARDED_BY(mutex);  // all of the run: "twice" is not "unknown"
  Stamp now RIG_GUARDED_BY(mutex) = 0;
  std::uint64_t pending RIG_GUARDED_BY(mutex) = 0;
  Totals totals RIG_GUARDED_BY(mutex);
  bool closed RIG_GUARDED_BY(mutex) = false;
  // Of the ops that completed by callback, the one issued last: nothing that was answered before may come after it.
  Stamp latest_issued RIG_GUARDED_BY(mutex) = 0;
  std::uint64_t latest_token RIG_GUARDED_BY(mutex) = 0;
  Stamp blamed_issued RIG_GUARDED_BY(mutex) = 0;  // of the one that was reported last
  bool connected RIG_GUARDED_BY(mutex) = false;
  bool ended RIG_GUARDED_BY(mutex) = false;
  Stamp closed_at RIG_GUARDED_BY(mutex) = never;
  // The failure that ended the stream: an op issued after `failed_at`, or after the failed op had been answered,
  // cannot succeed.
  Stamp failed_at RIG_GUARDED_BY(mutex) = never;
  Stamp failed_answered RIG_GUARDED_BY(mutex) = never;
  std::uint64_t failed_token RIG_GUARDED_BY(mutex) = 0;
  Code failed_code RIG_GUARDED_BY(mutex) = Code::closed;
};

void OpLedger::Books::judge_failure_before(std::uint64_t token, const Op& op) {
  const Stamp since = order == Order::promised ? std::min(failed_at, failed_answered) : failed_at;
  if (op.bytes > 0 && op.issued > since) {
    report(Law::c5_status_and_bytes,
           fmt::format("op {} of {} bytes is reported as sent, but op {}, which comes before it in the stream, failed "
                       "({}).",
                       token, op.bytes, failed_token, code_name(failed_code)));
  }
}

// judge_order sees a wrong order when the op that was overtaken completes: one that never does is C1's. An op that came
// too early is reported once, however many it has overtaken.
void OpLedger::Books::judge_order(std::uint64_t token, const Op& op) {
  if (order != Order::promised) {
    return;
  }
  if (op.answered < latest_issued && blamed_issued != latest_issued) {
    blamed_issued = latest_issued;
    report(Law::c4_order, fmt::format("op {} completed after op {}, but send had answered it before op {} was issued.",
                                      token, latest_token, latest_token));
  }
  if (op.issued > latest_issued) {
    latest_issued = op.issued;
    latest_token = token;
  }
}

void OpLedger::Books::judge_callback(std::uint64_t token, Op& op, std::size_t count,
                                     const std::optional<Error>& error) {
  judge_order(token, op);
  if (!op.answer.has_value() && op.sender == std::this_thread::get_id()) {
    report(Law::c2_return_or_callback,
           fmt::format("op {} completed by callback inside its own send(), before the caller had an answer.", token));
  }
  if (error.has_value()) {
    if (count > op.bytes) {
      report(Law::c5_status_and_bytes, fmt::format("op {} failed ({}) with {} bytes, but only {} were issued.", token,
                                                   code_name(error->code()), count, op.bytes));
    }
    if (ends_the_stream(error->code()) && failed_at == never) {
      failed_at = ++now;
      failed_answered = op.answered;
      failed_token = token;
      failed_code = error->code();
    }
    return;
  }
  totals.completed_bytes += count;
  if (count != op.bytes) {
    report(Law::c5_status_and_bytes,
           fmt::format("op {} completed with {} bytes, but {} were issued.", token, count, op.bytes));
  }
  judge_failure_before(token, op);
}

void OpLedger::Books::report_lost(std::string_view when) {
  std::uint64_t count = 0;
  std::uint64_t first_token = 0;
  const Op* first = nullptr;
  for (auto& [token, op] : ops) {
    if (op.answer != Answer::pending || op.callbacks > 0 || op.reported_lost) {
      continue;
    }
    op.reported_lost = true;
    ++count;
    if (first == nullptr || op.issued < first->issued) {
      first = &op;
      first_token = token;
    }
  }
  if (first != nullptr) {
    report(Law::c1_exactly_once,
           fmt::format("{} of {} pending ops had not completed {}; the first of them is op {} of {} bytes.", count,
                       totals.went_pending, when, first_token, first->bytes));
  }
}

OpLedger::OpLedger(std::string where, Order order, ViolationLog& log)
    : books_(std::make_unique<Books>(std::move(where), order, log)) {}

OpLedger::~OpLedger() = default;

void OpLedger::issue(std::uint64_t token, std::size_t bytes) {
  Books& books = *books_;
  const MutexLock lock(books.mutex);
  const auto [op, fresh] = books.ops.try_emplace(token);
  RIG_CHECK(fresh);
  op->second.bytes = bytes;
  op->second.issued = ++books.now;
  op->second.sender = std::this_thread::get_id();
  ++books.totals.issued;
}

void OpLedger::answered(std::uint64_t token, Answer answer) {
  Books& books = *books_;
  const MutexLock lock(books.mutex);
  const auto found = books.ops.find(token);
  RIG_CHECK(found != books.ops.end());
  Books::Op& op = found->second;
  RIG_CHECK(!op.answer.has_value());
  op.answer = answer;
  op.answered = ++books.now;
  if (answer == Answer::pending) {
    ++books.totals.went_pending;
    if (op.callbacks > 0) {
      return;
    }
    ++books.pending;
    if (books.closed) {
      op.reported_lost = true;
      books.report(Law::c1_exactly_once,
                   fmt::format("send answered pending for op {} of {} bytes, but closed came before its completion.",
                               token, op.bytes));
    }
    return;
  }
  ++(answer == Answer::completed ? books.totals.completed_at_once : books.totals.refused);
  if (op.callbacks > 0) {
    books.report(Law::c2_return_or_callback,
                 fmt::format("send answered {} for op {}, which had completed by callback already.",
                             answer_word(answer), token));
    return;
  }
  if (answer == Answer::completed) {
    books.totals.completed_bytes += op.bytes;
    if (op.bytes > 0 && op.issued > books.closed_at) {
      books.report(Law::c5_status_and_bytes,
                   fmt::format("send reported op {} of {} bytes as completed, but it was issued after closed.", token,
                               op.bytes));
      return;
    }
    books.judge_failure_before(token, op);
  }
}

void OpLedger::completed(std::uint64_t token, std::size_t bytes, const std::optional<Error>& error) {
  Books& books = *books_;
  const MutexLock lock(books.mutex);
  ++books.totals.callbacks;
  if (error.has_value()) {
    ++books.totals.failed;
  }
  if (books.closed) {
    books.report(Law::c3_nothing_after_closed, fmt::format("sent was called for op {} after closed.", token));
  } else if (!books.connected && bytes > 0 && !error.has_value()) {
    books.report(Law::c3_nothing_after_closed, fmt::format("op {} was reported as sent before connected.", token));
  }
  const auto found = books.ops.find(token);
  if (found == books.ops.end()) {
    books.report(Law::c1_exactly_once,
                 fmt::format("sent was called with token {} ({} bytes), which was never issued.", token, bytes));
    return;
  }
  Books::Op& op = found->second;
  ++op.callbacks;
  if (op.answer == Answer::completed || op.answer == Answer::refused) {
    books.report(Law::c2_return_or_callback, fmt::format("sent was called for op {}, which send had answered as {}.",
                                                         token, answer_word(*op.answer)));
    return;
  }
  if (op.callbacks > 1) {
    books.report(Law::c1_exactly_once,
                 fmt::format("op {} of {} bytes completed by callback {} times.", token, op.bytes, op.callbacks));
    return;
  }
  if (op.answer.has_value()) {
    --books.pending;
  }
  if (!books.closed) {
    books.judge_callback(token, op, bytes, error);
  }
}

void OpLedger::closed() {
  Books& books = *books_;
  const MutexLock lock(books.mutex);
  if (books.closed) {
    books.report(Law::c3_nothing_after_closed, "closed was called again after closed.");
    return;
  }
  books.closed = true;
  books.closed_at = ++books.now;
  if (books.pending > 0) {
    books.report_lost("when closed came");
  }
}

void OpLedger::callback(std::string_view name) {
  Books& books = *books_;
  const MutexLock lock(books.mutex);
  if (books.closed) {
    books.report(Law::c3_nothing_after_closed, fmt::format("{} was called after closed.", name));
  }
  if (!books.connected && (name == "data" || name == "ended")) {
    books.report(Law::c3_nothing_after_closed, fmt::format("{} was called before connected.", name));
  }
  if (name != "connected" && name != "ended") {
    return;
  }
  if (std::exchange(name == "connected" ? books.connected : books.ended, true)) {
    books.report(Law::c1_exactly_once, fmt::format("{} was called a second time.", name));
  }
}

void OpLedger::quiet() {
  Books& books = *books_;
  const MutexLock lock(books.mutex);
  if (books.pending > 0) {
    books.report_lost("at the end of the run");
  }
  if (!books.closed) {
    books.report(Law::c6_quiet, fmt::format("closed never came; {} op(s) were still pending.", books.pending));
  }
}

OpLedger::Totals OpLedger::totals() const {
  const MutexLock lock(books_->mutex);
  return books_->totals;
}

std::uint64_t OpLedger::pending() const {
  const MutexLock lock(books_->mutex);
  return books_->pending;
}

std::optional<OpLedger::Waiting> OpLedger::waiting() const {
  if (!books_->mutex.try_lock()) {
    return std::nullopt;
  }
  Waiting found;
  Stamp oldest = never;
  for (const auto& [token, op] : books_->ops) {
    if (op.answer == Answer::pending && op.callbacks == 0) {
      ++found.ops;
      if (op.issued < oldest) {
        oldest = op.issued;
        found.token = token;
        found.bytes = op.bytes;
      }
    }
  }
  books_->mutex.unlock();
  return found;
}

}  // namespace rig
