// EchoWorker: a thread of its own that sends back what ends received.
#pragma once

#include <atomic>
#include <deque>
#include <thread>
#include <utility>

#include "harness/base/bytes.h"
#include "harness/base/mutex.h"
#include "harness/scenario/end.h"
#include "harness/scenario/signal.h"

namespace rig {

// EchoWorker sends in the order of push(), and waits for `writable` where a send is refused. Thread: any; the
// destructor joins, so that finished() is to be true before.
class EchoWorker {
 public:
  explicit EchoWorker(Signal& signal) : signal_(signal), thread_([this] { main(); }) {}
  ~EchoWorker();

  // push has `bytes` sent back on `end`; End::echo_done() follows.
  void push(End& end, Bytes bytes);

  // stop ends the thread after what it is sending; finished says that it is through.
  void stop();
  bool finished() const { return finished_.load(); }

 private:
  void main();
  void send_back(End& end, const Bytes& bytes);

  Signal& signal_;
  Mutex mutex_;
  ConditionVariable condition_;
  std::deque<std::pair<End*, Bytes>> jobs_ RIG_GUARDED_BY(mutex_);
  bool stopping_ RIG_GUARDED_BY(mutex_) = false;
  std::atomic<bool> finished_{false};
  std::thread thread_;
};

}  // namespace rig
