// LoopHost: a thread that turns one loop of a subject, and does other things between turns.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "harness/base/error.h"
#include "harness/base/mutex.h"
#include "harness/oracle/hygiene_probe.h"
#include "harness/scenario/signal.h"
#include "harness/subjects/subject.h"

namespace rig {

// LoopWork is something that goes on between turns.
class LoopWork {
 public:
  virtual ~LoopWork() = default;

  // Progress is how far advance() came.
  enum class Progress : std::uint8_t { done, moved, blocked };

  // advance does what can be done now.
  virtual Progress advance() = 0;
};

// LoopHost owns one loop and the thread that turns it. Thread: post() and wake() on any; the others on the thread that
// made it, before start() or after stop().
class LoopHost {
 public:
  LoopHost(const rig_subject& subject, std::string name, Signal& signal, ViolationLog& log);
  ~LoopHost();
  LoopHost(const LoopHost&) = delete;
  LoopHost& operator=(const LoopHost&) = delete;

  // open makes the loop. Errors: the subject's.
  Status open(const rig_loop_config& config);
  rig_loop* loop() const { return loop_; }
  const std::string& name() const { return name_; }

  // add gives the loop's thread something to advance between turns, until it is done; before start().
  void add(LoopWork& work) { works_.push_back(&work); }

  void start();
  // stop ends the thread after its current turn and joins it.
  void stop();

  // post runs `task` on the loop's thread between two turns. run() also waits for that, until nothing at all has
  // happened for `stall_limit`: then it answers false, and the task may still come later.
  void post(std::function<void()> task);
  bool run(std::function<void()> task, std::chrono::microseconds stall_limit);
  // behind says that posted tasks wait: the loop's thread has not come back from its turn, or from one of them.
  bool behind() const { return posted_tasks_.load() > 0; }

  // destroy_loop gives the loop back; nothing of the subject lives on it. After stop().
  void destroy_loop();

  // first_error is what loop_turn() refused first, if it did.
  std::optional<Error> first_error() const;

 private:
  struct Posted {
    std::function<void()> task;
    std::shared_ptr<std::atomic<bool>> done;  // null: nobody waits for it
  };

  void main();
  void push(Posted posted);
  bool run_posted();
  bool advance_works();

  const rig_subject& subject_;
  const std::string name_;
  Signal& signal_;
  HygieneProbe probe_;
  rig_loop* loop_ = nullptr;
  std::vector<LoopWork*> works_;
  std::thread thread_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> posted_tasks_{0};
  mutable Mutex mutex_;
  std::vector<Posted> posted_ RIG_GUARDED_BY(mutex_);
  std::optional<Error> first_error_ RIG_GUARDED_BY(mutex_);
};

}  // namespace rig
