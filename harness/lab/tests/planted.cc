#include "harness/lab/tests/planted.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace rig::lab {
namespace {

// Layer sends ops: `encrypt` puts one on the wire queue, `flush` takes the queue and completes the op of its caller.
class Layer {
 public:
  void send_in_two(int op) {
    {
      const std::lock_guard lock(mutex_);
      wire_.push_back(op);
    }
    const std::lock_guard lock(mutex_);
    flush(op);
  }

  void send_in_one(int op) {
    const std::lock_guard lock(mutex_);
    wire_.push_back(op);
    flush(op);
  }

  std::size_t completed() const { return completed_; }

 private:
  void flush(int op) {
    for (const int written : std::exchange(wire_, {})) {
      completed_ += written == op ? 1 : 0;
    }
  }

  std::mutex mutex_;
  std::vector<int> wire_;
  std::size_t completed_ = 0;
};

template <class Send>
bool all_complete(Send send) {
  Layer layer;
  std::vector<std::thread> senders;
  for (int sender = 0; sender < 2; ++sender) {
    senders.emplace_back([&, sender] {
      for (int op = 0; op < 4; ++op) {
        send(layer, sender * 10 + op);
      }
    });
  }
  for (std::thread& sender : senders) {
    sender.join();
  }
  return layer.completed() == 8;
}

bool lock_both(bool opposite) {
  std::mutex first;
  std::mutex second;
  const auto one = [&] {
    const std::lock_guard outer(first);
    const std::lock_guard inner(second);
  };
  const auto other = [&] {
    const std::lock_guard outer(opposite ? second : first);
    const std::lock_guard inner(opposite ? first : second);
  };
  std::thread a(one);
  std::thread b(other);
  a.join();
  b.join();
  return true;
}

// Op knows whether it lives. Its memory is kept (without a sanitizer), so that a look at a freed one is no crash.
struct Op {
  static constexpr std::uint32_t alive = 0xa11fe;
  std::uint32_t mark = alive;
  int bytes = 0;
};

class OpQueue {
 public:
  void push(int bytes) {
    const std::lock_guard lock(mutex_);
    ops_.push_back(std::make_shared<Op>(Op{.bytes = bytes}));
  }

  // drain_one writes the first op. With `keep` it holds it meanwhile; else a close may free it.
  bool drain_one(bool keep) {
    std::shared_ptr<Op> kept;
    const Op* op = nullptr;
    {
      const std::lock_guard lock(mutex_);
      if (ops_.empty()) {
        return true;
      }
      kept = ops_.front();
      op = kept.get();
    }
    if (!keep) {
      kept.reset();
    }
    {
      const std::lock_guard lock(wire_);
      written_ += op->bytes;
    }
    return keep || op->mark == Op::alive;
  }

  void close() {
    const std::lock_guard lock(mutex_);
    for (const auto& op : ops_) {
      op->mark = 0;
    }
    graveyard_ = std::exchange(ops_, {});
#ifdef RIG_WITH_ASAN
    graveyard_.clear();
#endif
  }

 private:
  std::mutex mutex_;
  std::mutex wire_;
  std::deque<std::shared_ptr<Op>> ops_;
  std::deque<std::shared_ptr<Op>> graveyard_;
  int written_ = 0;
};

bool drain_and_close(bool keep) {
  OpQueue queue;
  queue.push(100);
  queue.push(200);
  bool well = true;
  std::thread drainer([&] {
    for (int i = 0; i < 2; ++i) {
      well = queue.drain_one(keep) && well;
    }
  });
  std::thread closer([&] { queue.close(); });
  drainer.join();
  closer.join();
  return well;
}

bool close_twice(bool in_one) {
  std::mutex mutex;
  bool closed = false;
  int reports = 0;
  const auto close = [&] {
    if (in_one) {
      const std::lock_guard lock(mutex);
      reports += std::exchange(closed, true) ? 0 : 1;
      return;
    }
    {
      const std::lock_guard lock(mutex);
      if (closed) {
        return;
      }
    }
    const std::lock_guard lock(mutex);
    closed = true;
    ++reports;
  };
  std::thread a(close);
  std::thread b(close);
  a.join();
  b.join();
  return reports == 1;
}

}  // namespace

bool encrypt_then_flush() {
  return all_complete([](Layer& layer, int op) { layer.send_in_two(op); });
}

bool encrypt_and_flush() {
  return all_complete([](Layer& layer, int op) { layer.send_in_one(op); });
}

bool opposite_locks() {
  return lock_both(true);
}

bool ordered_locks() {
  return lock_both(false);
}

bool freed_in_flight() {
  return drain_and_close(false);
}

bool kept_in_flight() {
  return drain_and_close(true);
}

bool check_then_act() {
  return close_twice(false);
}

bool check_and_act() {
  return close_twice(true);
}

}  // namespace rig::lab
