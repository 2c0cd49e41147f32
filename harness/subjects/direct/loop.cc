#include "harness/subjects/direct/loop.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <ctime>

namespace rig::direct {
namespace {

timespec span_of(std::int64_t wait_us) noexcept {
  return {.tv_sec = static_cast<time_t>(wait_us / 1'000'000), .tv_nsec = static_cast<long>(wait_us % 1'000'000) * 1000};
}

}  // namespace

std::expected<std::unique_ptr<Loop>, Error> Loop::make(bool fast_track) {
  const int number = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (number < 0) {
    return std::unexpected(system_error("eventfd", errno));
  }
  Descriptor bell(NativeHandle(static_cast<std::uint64_t>(number)));
  return std::unique_ptr<Loop>(new Loop(std::move(bell), fast_track));
}

std::int64_t Loop::now_us() noexcept {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void Loop::wake() noexcept {
  if (!rung_.exchange(true)) {
    const std::uint64_t one = 1;
    static_cast<void>(!::write(number_of(bell_.handle()), &one, sizeof one));  // a bell that is full has rung
  }
}

Status Loop::turn(std::int64_t timeout_us) {
  sweep();
  const std::int64_t start_us = now_us();
  std::int64_t wait_us = timeout_us;
  waits_.assign(1, {.fd = number_of(bell_.handle()), .events = POLLIN, .revents = 0});
  for (const std::unique_ptr<Object>& object : objects_) {
    const Interest interest = object->interest(start_us);
    // poll() passes over a negative descriptor. Without events it would still report a hang-up, on each wait anew.
    const int number = interest.events == 0 ? -1 : number_of(interest.handle);
    waits_.push_back({.fd = number, .events = interest.events, .revents = 0});
    wait_us = std::min(wait_us, std::max<std::int64_t>(interest.until_us - start_us, 0));
  }
  const timespec wait = span_of(wait_us);
  if (::ppoll(waits_.data(), waits_.size(), &wait, nullptr) < 0) {
    return errno == EINTR ? Status() : Status(std::unexpected(system_error("ppoll", errno)));
  }
  if (waits_[0].revents != 0) {
    std::uint64_t rings = 0;
    static_cast<void>(!::read(number_of(bell_.handle()), &rings, sizeof rings));
    rung_ = false;  // before the objects are looked at: what is asked from here on rings again
  }
  const std::int64_t turn_us = now_us();
  // A callback may add objects, which have their first turn in the next one, and frees none.
  for (std::size_t i = 0; i + 1 < waits_.size(); ++i) {
    objects_[i]->turn(waits_[i + 1].revents, turn_us);
  }
  sweep();
  return {};
}

void Loop::sweep() {
  std::erase_if(objects_, [](const std::unique_ptr<Object>& object) { return object->gone(); });
}

rig_loop_counts Loop::counts() const {
  rig_loop_counts counts{};
  for (const std::unique_ptr<Object>& object : objects_) {
    object->count(counts);
  }
  return counts;
}

}  // namespace rig::direct
