// eventfd and timerfd. Source: Linux's fs/eventfd.c and fs/timerfd.c.
#include <sys/timerfd.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "harness/lab/kernel/events.h"
#include "harness/lab/kernel/faults.h"
#include "harness/lab/kernel/state.h"
#include "harness/lab/sanitizer.h"

namespace rig::lab {
namespace {

constexpr std::int64_t second_ns = 1'000'000'000;

// give_number writes eight bytes into the caller's buffers.
void give_number(const Transfer& transfer, std::uint64_t number) {
  ByteQueue queue;
  queue.push(&number, sizeof number);
  peek_user(queue, transfer.pieces, sizeof number);
}

// interrupts says that the call ends here, before its first wait.
bool interrupts(const Transfer& transfer) {
  return kernel().faults.interrupts(transfer.struck);
}

std::int64_t to_ns(const timespec& time) {
  return time.tv_sec * second_ns + time.tv_nsec;
}

timespec to_timespec(std::int64_t ns) {
  return {.tv_sec = ns / second_ns, .tv_nsec = ns % second_ns};
}

bool is_valid(const timespec& time) {
  return time.tv_sec >= 0 && time.tv_nsec >= 0 && time.tv_nsec < second_ns;
}

// in_memory is the place of what never fails by itself.
Place in_memory() {
  Place here;
  here.may_fail = false;
  return here;
}

}  // namespace

Place EventFile::place() const {
  return in_memory();
}

Place TimerFile::place() const {
  return in_memory();
}

std::uint32_t EventFile::ready() {
  std::uint32_t events = 0;
  if (count_ > 0) {
    events |= EPOLLIN;
  }
  if (count_ == UINT64_MAX) {
    events |= EPOLLERR;
  }
  if (count_ < UINT64_MAX - 1) {
    events |= EPOLLOUT;
  }
  return events;
}

Answer EventFile::read(const Transfer& transfer) {
  if (transfer.bytes < sizeof count_) {
    return -EINVAL;
  }
  while (count_ == 0) {
    if (!transfer.waits) {
      return -EAGAIN;
    }
    if (interrupts(transfer)) {
      return -EINTR;
    }
    kernel().wait(transfer.op, *this, never);
  }
  const std::uint64_t given = semaphore_ ? 1 : count_;
  count_ -= given;
  order_after(this);
  give_number(transfer, given);
  wake(EPOLLOUT);
  return sizeof given;
}

Answer EventFile::write(const Transfer& transfer) {
  if (transfer.bytes < sizeof count_) {
    return -EINVAL;
  }
  ByteQueue queue;
  push_user(queue, transfer.pieces, sizeof count_, false);
  std::uint64_t added = 0;
  queue.peek(&added, 0, sizeof added);
  if (added == UINT64_MAX) {
    return -EINVAL;
  }
  while (UINT64_MAX - count_ <= added) {
    if (!transfer.waits) {
      return -EAGAIN;
    }
    if (interrupts(transfer)) {
      return -EINTR;
    }
    kernel().wait(transfer.op, *this, never);
  }
  count_ += added;
  order_before(this);
  wake(EPOLLIN);
  return sizeof added;
}

TimerFile::TimerFile() : File("timerfd"), due_ns_(never) {
  kernel().timers.push_back(this);
}

void TimerFile::released() {
  std::erase(kernel().timers, this);
}

void TimerFile::tick() {
  if (!armed_ || now_ns() < due_ns_) {
    return;
  }
  if (interval_ns_ == 0) {
    ++expirations_;
    armed_ = false;
  } else {
    const std::int64_t passed = (now_ns() - due_ns_) / interval_ns_ + 1;
    expirations_ += static_cast<std::uint64_t>(passed);
    due_ns_ += passed * interval_ns_;
  }
  wake(EPOLLIN);
}

std::uint32_t TimerFile::ready() {
  return expirations_ > 0 ? std::uint32_t{EPOLLIN} : 0;
}

std::int64_t TimerFile::next_due_ns() {
  return armed_ ? due_ns_ : never;
}

Answer TimerFile::read(const Transfer& transfer) {
  if (transfer.bytes < sizeof expirations_) {
    return -EINVAL;
  }
  while (ready() == 0) {
    if (!transfer.waits) {
      return -EAGAIN;
    }
    if (interrupts(transfer)) {
      return -EINTR;
    }
    kernel().wait(transfer.op, *this, never);
  }
  give_number(transfer, std::exchange(expirations_, 0));
  return sizeof expirations_;
}

Answer TimerFile::set(int flags, const itimerspec& value, itimerspec* old) {
  if ((flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)) != 0 || !is_valid(value.it_value) ||
      !is_valid(value.it_interval)) {
    return -EINVAL;
  }
  if (old != nullptr) {
    *old = get();
  }
  expirations_ = 0;
  interval_ns_ = to_ns(value.it_interval);
  const std::int64_t span_ns = to_ns(value.it_value);
  armed_ = span_ns != 0;
  due_ns_ = (flags & TFD_TIMER_ABSTIME) != 0 ? span_ns : deadline_after(span_ns);
  wake(ready_all);
  return 0;
}

itimerspec TimerFile::get() {
  const std::int64_t left_ns = armed_ ? due_ns_ - now_ns() : 0;
  return {.it_interval = to_timespec(interval_ns_), .it_value = to_timespec(left_ns)};
}

}  // namespace rig::lab
