// Compiled for memory hooks: each atomic is a point.
#include <atomic>
#include <thread>

#include "harness/lab/tests/planted.h"

namespace rig::lab {
namespace {

// Drain hands items to whoever drains. A sender that meets a drainer leaves its item to it.
class Drain {
 public:
  void send() {
    items_.fetch_add(1);
    if (draining_.load()) {
      return;
    }
    draining_.store(true);
    while (items_.load() > 0) {
      items_.fetch_sub(1);
      done_.fetch_add(1);
    }
    draining_.store(false);
  }

  // send_exclusively takes the drainer's place in one step, and looks again after having left it.
  void send_exclusively() {
    items_.fetch_add(1);
    while (items_.load() > 0 && !draining_.exchange(true)) {
      while (items_.load() > 0) {
        items_.fetch_sub(1);
        done_.fetch_add(1);
      }
      draining_.store(false);
    }
  }

  int done() const { return done_.load(); }

 private:
  std::atomic<int> items_{0};
  std::atomic<int> done_{0};
  std::atomic<bool> draining_{false};
};

template <class Send>
bool all_done(Send send) {
  Drain drain;
  const auto main = [&] {
    for (int i = 0; i < 2; ++i) {
      send(drain);
    }
  };
  std::thread a(main);
  std::thread b(main);
  a.join();
  b.join();
  return drain.done() == 4;
}

}  // namespace

bool lost_wake_up() {
  return all_done([](Drain& drain) { drain.send(); });
}

bool kept_wake_up() {
  return all_done([](Drain& drain) { drain.send_exclusively(); });
}

}  // namespace rig::lab
