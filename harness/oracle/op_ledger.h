// OpLedger: laws C1 to C5 for the ops of one socket, asked at the app door.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "harness/base/error.h"
#include "harness/oracle/violation.h"

namespace rig {

// OpLedger keeps the account of one socket's ops. The app calls issue() before it calls send, answered() when send has
// returned, completed() in the `sent` callback and closed() in the `closed` callback. Completion may come before send
// has returned, on another thread; that is legal.
//
// C4 is asked for ops that went pending and only between ops of which one was answered before the other was issued:
// senders side by side have no order. It is judged when the op that was overtaken completes (one that never does breaks
// C1 only), and one that came too early is one report, however many ops it overtook. What comes after `closed` breaks
// C3, and its order and figures are not judged.
//
// C5, the status: when the transport was lost is known at the app door from two things only, and only they are judged.
// After `closed`, and after an op that failed with a code that ends the stream (reset, aborted, ...; not would_block or
// no_memory), an op with bytes that was issued later cannot succeed; where order is promised, neither can one that was
// issued after the failed op had been answered. Thread: any.
class OpLedger {
 public:
  // Order says whether the subject promises completions in issue order.
  enum class Order : std::uint8_t { promised, free };

  // Answer is what send returned.
  enum class Answer : std::uint8_t { completed, pending, refused };

  OpLedger(std::string where, Order order, ViolationLog& log);
  ~OpLedger();
  OpLedger(const OpLedger&) = delete;
  OpLedger& operator=(const OpLedger&) = delete;

  // issue notes that `token` is about to be sent, by the thread that calls send. Tokens are never reused within a run.
  void issue(std::uint64_t token, std::size_t bytes);
  // answered notes what send returned for it, once for each issue. C2: completed or refused, and yet a callback came;
  // C1: pending, but closed() came before its completion; C5: completed where it cannot be.
  void answered(std::uint64_t token, Answer answer);
  // completed notes the callback. C1: unknown, completed twice; C2: send answered completed or refused, or has not
  // answered yet and this is its own thread (a callback inside send); C3; C4; C5: other than the issued length on
  // success, more than it on failure, or success where it cannot be.
  void completed(std::uint64_t token, std::size_t bytes, const std::optional<Error>& error);
  // closed notes `closed`: every pending op must have completed (C1), and nothing may follow (C3). An op whose send has
  // not returned is judged by answered().
  void closed();
  // callback notes any other callback by its name in subject.h: after closed() it breaks C3; `connected` and `ended`
  // come at most once (C1).
  void callback(std::string_view name);
  // quiet is asked at the end of a run, when every send has returned: C1 for ops that never completed, C6 if `closed`
  // never came.
  void quiet();

  // Totals since the beginning.
  struct Totals {
    std::uint64_t issued = 0;
    std::uint64_t completed_at_once = 0;
    std::uint64_t went_pending = 0;
    std::uint64_t refused = 0;
    std::uint64_t callbacks = 0;
    std::uint64_t failed = 0;           // callbacks with an error
    std::uint64_t completed_bytes = 0;  // of ops completed with success, at once or by callback
  };
  Totals totals() const;

  // pending is how many ops are pending.
  std::uint64_t pending() const;

  // Waiting is what is pending, for the report of a stall: how many ops, and the one of them that was issued first.
  struct Waiting {
    std::uint64_t ops = 0;
    std::uint64_t token = 0;
    std::uint64_t bytes = 0;
  };
  // waiting answers nothing while another call is under way: it waits for nobody, so that it can be asked of a run that
  // has stopped in the middle of one.
  std::optional<Waiting> waiting() const;

 private:
  struct Books;
  std::unique_ptr<Books> books_;
};

}  // namespace rig
