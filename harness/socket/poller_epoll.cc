#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <new>

#include "harness/socket/poller_parts.h"
#include "harness/socket/posix_handle.h"

namespace rig {
namespace {

// The name of our own eventfd: there are never so many slots.
constexpr std::uint64_t wakeup_name = ~std::uint64_t{0};

std::uint32_t wanted_events(Interest interest) noexcept {
  return (interest.readable ? EPOLLIN : 0U) | (interest.writable ? EPOLLOUT : 0U);
}

class EpollPoller final : public Poller {
 public:
  ~EpollPoller() override {
    if (epoll_ >= 0) {
      const KeepErrno keep;
      ::close(epoll_);
    }
  }

  Status open() noexcept;
  PollerKind kind() const noexcept override { return PollerKind::epoll; }
  Status add(NativeHandle handle, std::uint64_t key, Interest interest) noexcept override;
  Status modify(NativeHandle handle, Interest interest) noexcept override;
  Status remove(NativeHandle handle) noexcept override;
  std::expected<std::size_t, Error> wait(std::span<Ready> ready, std::int64_t timeout_us) noexcept override;
  void wake() noexcept override { wakeup_.ring(); }
  std::size_t registrations() const noexcept override { return registry_.registrations(); }

 private:
  // control is epoll_ctl() for one slot; 0 or an errno value.
  int control(int operation, std::size_t slot) noexcept;
  bool convert(const epoll_event& event, Ready& ready) noexcept;

  int epoll_ = -1;
  Wakeup wakeup_;
  Registry registry_;
  std::array<epoll_event, 256> events_;
};

Status EpollPoller::open() noexcept {
  const KeepErrno keep;
  RIG_TRY_STATUS(wakeup_.open());
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ < 0) {
    return std::unexpected(system_error("epoll_create1", errno));
  }
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = wakeup_name;
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, wakeup_.descriptor(), &event) < 0) {
    return std::unexpected(system_error("epoll_ctl", errno));
  }
  return {};
}

int EpollPoller::control(int operation, std::size_t slot) noexcept {
  const KeepErrno keep;
  const Registration& registration = registry_.at(slot);
  epoll_event event{};
  event.events = wanted_events(registration.interest);
  // The kernel hands this back with each report. A descriptor would not do: it can name another socket by then
  // (creytiv/re#266), and a closed one that lives on in a duplicate goes on reporting.
  event.data.u64 = static_cast<std::uint64_t>(registration.generation) << 32 | slot;
  return ::epoll_ctl(epoll_, operation, registration.descriptor, &event) < 0 ? errno : 0;
}

Status EpollPoller::add(NativeHandle handle, std::uint64_t key, Interest interest) noexcept {
  RIG_TRY(slot, registry_.add(handle, key, interest));
  const int refused = control(EPOLL_CTL_ADD, slot);
  if (refused == 0) {
    return {};
  }
  registry_.remove(slot);
  if (refused == ENOSPC) {
    return std::unexpected(
        Error(Code::no_descriptors, "epoll_ctl: the system's limit fs.epoll.max_user_watches is reached", refused));
  }
  return std::unexpected(system_error("epoll_ctl", refused));
}

Status EpollPoller::modify(NativeHandle handle, Interest interest) noexcept {
  RIG_TRY(slot, registry_.find(handle));
  registry_.at(slot).interest = interest;
  if (const int refused = control(EPOLL_CTL_MOD, slot); refused != 0) {
    return std::unexpected(system_error("epoll_ctl", refused));
  }
  return {};
}

Status EpollPoller::remove(NativeHandle handle) noexcept {
  RIG_TRY(slot, registry_.find(handle));
  // What the kernel says does not matter: it refuses only if the descriptor was closed too early, and then the
  // generation keeps late reports away from whoever has the descriptor next.
  control(EPOLL_CTL_DEL, slot);
  registry_.remove(slot);
  return {};
}

bool EpollPoller::convert(const epoll_event& event, Ready& ready) noexcept {
  const std::size_t slot = event.data.u64 & 0xffffffffU;
  const Registration& registration = registry_.at(slot);
  if (registration.descriptor == Registration::free || registration.generation != event.data.u64 >> 32) {
    return false;
  }
  ready.handle = posix_handle(registration.descriptor);
  ready.key = registration.key;
  ready.readable = (event.events & EPOLLIN) != 0;
  ready.writable = (event.events & EPOLLOUT) != 0;
  ready.failed = (event.events & (EPOLLERR | EPOLLHUP)) != 0;
  return true;
}

// The kernel goes round the ready handles: those that did not fit stand at the front next time.
std::expected<std::size_t, Error> EpollPoller::wait(std::span<Ready> ready, std::int64_t timeout_us) noexcept {
  const KeepErrno keep;
  const std::size_t room = std::clamp<std::size_t>(ready.size(), 1, events_.size());
  const int count = ::epoll_wait(epoll_, events_.data(), static_cast<int>(room), timeout_ms(timeout_us));
  if (count < 0) {
    if (errno == EINTR) {
      return 0;
    }
    return std::unexpected(system_error("epoll_wait", errno));
  }
  std::size_t used = 0;
  for (const epoll_event& event : std::span(events_).first(static_cast<std::size_t>(count))) {
    if (event.data.u64 == wakeup_name) {
      wakeup_.quiet();
    } else if (used < ready.size() && convert(event, ready[used])) {
      ++used;
    }
  }
  return used;
}

}  // namespace

std::expected<std::unique_ptr<Poller>, Error> make_epoll_poller() noexcept {
  std::unique_ptr<EpollPoller> poller(new (std::nothrow) EpollPoller);
  if (poller == nullptr) {
    return std::unexpected(Error(Code::no_memory, "no memory for a poller"));
  }
  RIG_TRY_STATUS(poller->open());
  return poller;
}

}  // namespace rig
