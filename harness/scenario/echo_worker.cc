#include "harness/scenario/echo_worker.h"

#include <chrono>

namespace rig {

EchoWorker::~EchoWorker() {
  stop();
  thread_.join();
}

void EchoWorker::stop() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
  }
  condition_.notify_all();
}

void EchoWorker::push(End& end, Bytes bytes) {
  signal_.reaction_begins();
  {
    const MutexLock lock(mutex_);
    jobs_.emplace_back(&end, std::move(bytes));
  }
  condition_.notify_all();
}

void EchoWorker::main() {
  for (;;) {
    std::pair<End*, Bytes> job;
    {
      const MutexLock lock(mutex_);
      while (jobs_.empty() && !stopping_) {
        condition_.wait(mutex_);
      }
      if (stopping_) {
        break;
      }
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    send_back(*job.first, job.second);
    job.first->echo_done();
    signal_.reaction_ends();
  }
  finished_ = true;
  signal_.changed();
}

void EchoWorker::send_back(End& end, const Bytes& bytes) {
  for (;;) {
    const std::uint64_t writable_events = end.writable_events();
    if (end.send(bytes.size(), false, bytes) != End::SendAnswer::full) {
      return;
    }
    while (end.writable_events() == writable_events && !end.closed() && !signal_.stopped()) {
      const std::uint64_t seen = signal_.events();
      if (end.writable_events() == writable_events && !end.closed()) {
        signal_.wait_beyond(seen, std::chrono::milliseconds(100));
      }
    }
    if (signal_.stopped()) {
      return;
    }
  }
}

}  // namespace rig
