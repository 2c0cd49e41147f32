#include "harness/scenario/loop_host.h"

#include <memory>
#include <utility>

#include "harness/base/check.h"
#include "harness/subjects/abi.h"

namespace rig {
namespace {

// A turn ends on every event and every post(). Only a script that waits for what happens elsewhere has to look again by
// itself; where there is none, the limit is beyond what is taken for a stall, and saves no layer from a wake-up that it
// has lost.
constexpr std::uint64_t turn_limit_us = 60'000'000;
constexpr std::uint64_t turn_limit_with_work_us = 1'000;

}  // namespace

LoopHost::LoopHost(const rig_subject& subject, std::string name, Signal& signal, ViolationLog& log)
    : subject_(subject), name_(std::move(name)), signal_(signal), probe_(name_, log) {}

LoopHost::~LoopHost() {
  RIG_CHECK(!thread_.joinable());
}

Status LoopHost::open(const rig_loop_config& config) {
  rig_error error{};
  if (subject_.loop_create(&config, &loop_, &error) != RIG_OK) {
    return std::unexpected(from_abi(error));
  }
  return {};
}

void LoopHost::start() {
  thread_ = std::thread([this] { main(); });
}

void LoopHost::stop() {
  stopping_ = true;
  if (thread_.joinable()) {
    subject_.loop_wake(loop_);
    thread_.join();
  }
}

void LoopHost::main() {
  while (!stopping_.load()) {
    const bool ran = run_posted();
    const bool moved = advance_works() || ran;
    const std::uint64_t limit = moved ? 0 : works_.empty() ? turn_limit_us : turn_limit_with_work_us;
    rig_error error{};
    const rig_status status = subject_.loop_turn(loop_, limit, &error);
    probe_.after("loop_turn");
    if (status != RIG_OK) {
      const MutexLock lock(mutex_);
      if (!first_error_.has_value()) {
        first_error_ = from_abi(error);
      }
    }
  }
}

bool LoopHost::run_posted() {
  std::vector<Posted> batch;
  {
    const MutexLock lock(mutex_);
    batch.swap(posted_);
  }
  for (const Posted& posted : batch) {
    posted.task();
    --posted_tasks_;
    if (posted.done) {
      *posted.done = true;
      signal_.changed();
    }
  }
  return !batch.empty();
}

bool LoopHost::advance_works() {
  bool moved = false;
  std::erase_if(works_, [&moved](LoopWork* work) {
    const LoopWork::Progress progress = work->advance();
    moved = moved || progress != LoopWork::Progress::blocked;
    return progress == LoopWork::Progress::done;
  });
  return moved;
}

void LoopHost::push(Posted posted) {
  ++posted_tasks_;
  {
    const MutexLock lock(mutex_);
    posted_.push_back(std::move(posted));
  }
  subject_.loop_wake(loop_);
}

void LoopHost::post(std::function<void()> task) {
  push({std::move(task), nullptr});
}

bool LoopHost::run(std::function<void()> task, std::chrono::microseconds stall_limit) {
  const auto done = std::make_shared<std::atomic<bool>>(false);
  push({std::move(task), done});
  return signal_.wait_until([&done] { return done->load(); }, stall_limit);
}

void LoopHost::destroy_loop() {
  if (loop_ != nullptr) {
    subject_.loop_destroy(std::exchange(loop_, nullptr));
  }
}

std::optional<Error> LoopHost::first_error() const {
  const MutexLock lock(mutex_);
  return first_error_;
}

}  // namespace rig
