#include <poll.h>

#include <new>

#include "harness/socket/poller_parts.h"
#include "harness/socket/posix_handle.h"

namespace rig {
namespace {

short wanted_events(Interest interest) noexcept {
  return static_cast<short>((interest.readable ? POLLIN : 0) | (interest.writable ? POLLOUT : 0));
}

class PollPoller final : public Poller {
 public:
  Status open() noexcept;
  PollerKind kind() const noexcept override { return PollerKind::poll; }
  Status add(NativeHandle handle, std::uint64_t key, Interest interest) noexcept override;
  Status modify(NativeHandle handle, Interest interest) noexcept override;
  Status remove(NativeHandle handle) noexcept override;
  std::expected<std::size_t, Error> wait(std::span<Ready> ready, std::int64_t timeout_us) noexcept override;
  void wake() noexcept override { wakeup_.ring(); }
  std::size_t registrations() const noexcept override { return registry_.registrations(); }

 private:
  std::size_t collect(std::span<Ready> ready) noexcept;

  Wakeup wakeup_;
  Registry registry_;
  std::vector<pollfd> polled_;  // our eventfd, then one entry for each slot; poll() passes over a negative descriptor
  std::size_t turn_ = 0;        // the slot whose turn it is to be reported first
};

Status PollPoller::open() noexcept {
  RIG_TRY_STATUS(wakeup_.open());
  try {
    polled_.push_back({.fd = wakeup_.descriptor(), .events = POLLIN, .revents = 0});
  } catch (const std::bad_alloc&) {
    return std::unexpected(Error(Code::no_memory, "no memory for a poller"));
  }
  return {};
}

Status PollPoller::add(NativeHandle handle, std::uint64_t key, Interest interest) noexcept {
  RIG_TRY(slot, registry_.add(handle, key, interest));
  try {
    polled_.resize(registry_.slots() + 1);
  } catch (const std::bad_alloc&) {
    registry_.remove(slot);
    return std::unexpected(Error(Code::no_memory, "no memory to register another handle"));
  }
  polled_[slot + 1] = {.fd = registry_.at(slot).descriptor, .events = wanted_events(interest), .revents = 0};
  return {};
}

Status PollPoller::modify(NativeHandle handle, Interest interest) noexcept {
  RIG_TRY(slot, registry_.find(handle));
  registry_.at(slot).interest = interest;
  polled_[slot + 1].events = wanted_events(interest);
  return {};
}

Status PollPoller::remove(NativeHandle handle) noexcept {
  RIG_TRY(slot, registry_.find(handle));
  registry_.remove(slot);
  polled_[slot + 1].fd = Registration::free;
  return {};
}

std::expected<std::size_t, Error> PollPoller::wait(std::span<Ready> ready, std::int64_t timeout_us) noexcept {
  const KeepErrno keep;
  if (::poll(polled_.data(), polled_.size(), timeout_ms(timeout_us)) < 0) {
    if (errno == EINTR) {
      return 0;
    }
    return std::unexpected(system_error("poll", errno));
  }
  if (polled_.front().revents != 0) {
    wakeup_.quiet();
  }
  return collect(ready);
}

std::size_t PollPoller::collect(std::span<Ready> ready) noexcept {
  std::size_t used = 0;
  const std::size_t slots = polled_.size() - 1;
  const std::size_t first = turn_;
  for (std::size_t i = 0; i < slots && used < ready.size(); ++i) {
    const std::size_t slot = (first + i) % slots;
    const pollfd& entry = polled_[slot + 1];
    if (entry.fd < 0 || entry.revents == 0) {
      continue;
    }
    ready[used] = {.handle = posix_handle(entry.fd),
                   .key = registry_.at(slot).key,
                   .readable = (entry.revents & POLLIN) != 0,
                   .writable = (entry.revents & POLLOUT) != 0,
                   .failed = (entry.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0};
    ++used;
    turn_ = slot + 1;
  }
  return used;
}

}  // namespace

std::expected<std::unique_ptr<Poller>, Error> make_poll_poller() noexcept {
  std::unique_ptr<PollPoller> poller(new (std::nothrow) PollPoller);
  if (poller == nullptr) {
    return std::unexpected(Error(Code::no_memory, "no memory for a poller"));
  }
  RIG_TRY_STATUS(poller->open());
  return poller;
}

}  // namespace rig
