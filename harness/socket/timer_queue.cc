#include "harness/socket/timer_queue.h"

#include <algorithm>
#include <exception>

#include "harness/base/check.h"

namespace rig {

Status TimerQueue::reserve(std::size_t timers) noexcept {
  if (timers <= heap_.capacity()) {
    return {};
  }
  try {
    // Doubling keeps a caller that makes room for one timer at a time from copying the heap each time.
    heap_.reserve(std::max(timers, timers < heap_.max_size() / 2 ? 2 * heap_.capacity() : timers));
  } catch (const std::exception&) {  // bad_alloc, or length_error for a number that no memory could hold
    return std::unexpected(Error(Code::no_memory, "no memory for another timer"));
  }
  return {};
}

void TimerQueue::arm(Timer& timer, std::int64_t deadline_us) noexcept {
  if (timer.armed()) {
    RIG_CHECK(timer.position_ < heap_.size() && heap_[timer.position_] == &timer);
    const bool earlier = deadline_us < timer.deadline_us_;
    timer.deadline_us_ = deadline_us;
    if (earlier) {
      sift_up(timer.position_);
    } else {
      sift_down(timer.position_);
    }
    return;
  }
  RIG_CHECK(heap_.size() < heap_.capacity());
  timer.deadline_us_ = deadline_us;
  heap_.push_back(&timer);
  timer.position_ = heap_.size() - 1;
  sift_up(timer.position_);
}

void TimerQueue::cancel(Timer& timer) noexcept {
  if (!timer.armed()) {
    return;
  }
  const std::size_t position = timer.position_;
  RIG_CHECK(position < heap_.size() && heap_[position] == &timer);
  timer.position_ = Timer::unarmed;
  Timer* last = heap_.back();
  heap_.pop_back();
  if (last == &timer) {
    return;
  }
  // The last timer fills the hole; it comes from another branch, so it may have to go either way.
  place(position, last);
  sift_up(position);
  sift_down(last->position_);
}

std::int64_t TimerQueue::next_deadline_us() const noexcept {
  return heap_.empty() ? -1 : heap_.front()->deadline_us_;
}

Timer* TimerQueue::pop_expired(std::int64_t now_us) noexcept {
  if (heap_.empty() || heap_.front()->deadline_us_ > now_us) {
    return nullptr;
  }
  Timer* timer = heap_.front();
  cancel(*timer);
  return timer;
}

void TimerQueue::place(std::size_t position, Timer* timer) noexcept {
  heap_[position] = timer;
  timer->position_ = position;
}

void TimerQueue::sift_up(std::size_t position) noexcept {
  Timer* timer = heap_[position];
  while (position > 0) {
    const std::size_t parent = (position - 1) / 2;
    if (heap_[parent]->deadline_us_ <= timer->deadline_us_) {
      break;
    }
    place(position, heap_[parent]);
    position = parent;
  }
  place(position, timer);
}

void TimerQueue::sift_down(std::size_t position) noexcept {
  Timer* timer = heap_[position];
  for (;;) {
    std::size_t child = 2 * position + 1;
    if (child >= heap_.size()) {
      break;
    }
    if (child + 1 < heap_.size() && heap_[child + 1]->deadline_us_ < heap_[child]->deadline_us_) {
      ++child;
    }
    if (timer->deadline_us_ <= heap_[child]->deadline_us_) {
      break;
    }
    place(position, heap_[child]);
    position = child;
  }
  place(position, timer);
}

}  // namespace rig
