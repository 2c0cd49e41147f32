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
// senders side by side have no order. Thread: any.
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

  // issue notes that `token` is about to be sent. Tokens are never reused within a run.
  void issue(std::uint64_t token, std::size_t bytes);
  // answered notes what send returned for it. C2: completed or refused, and yet a callback came or comes.
  void answered(std::uint64_t token, Answer answer);
  // completed notes the callback. C1: unknown, completed twice; C2; C4; C5: other than the issued length on success, or
  // success after the transport was known to be lost (see lost()).
  void completed(std::uint64_t token, std::size_t bytes, const std::optional<Error>& error);
  // closed notes `closed`: every op must have completed (C1), and nothing may follow (C3).
  void closed();
  // callback notes any other callback: after closed() it breaks C3.
  void callback(std::string_view name);
  // quiet is asked at the end of a run: C1 for ops that never completed, C6 if `closed` never came.
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

 private:
  struct Books;
  std::unique_ptr<Books> books_;
};

}  // namespace rig
