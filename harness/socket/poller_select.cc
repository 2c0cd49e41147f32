#include <sys/select.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <new>

#include "harness/socket/poller_parts.h"
#include "harness/socket/posix_handle.h"

namespace rig {
namespace {

// fd_set is an array of bits that nobody checks: a descriptor from FD_SETSIZE on writes over the stack
// (Mbed-TLS/mbedtls#4169). So nothing gets past this.
Status refuse_beyond_set(int descriptor) noexcept {
  if (descriptor < FD_SETSIZE) {
    return {};
  }
  std::array<char, Error::detail_bytes_max> sentence{};
  const int bytes = std::snprintf(sentence.data(), sentence.size(),
                                  "select takes descriptors below %d only, and this one is %d: use epoll or poll",
                                  static_cast<int>(FD_SETSIZE), descriptor);
  return std::unexpected(Error(Code::no_descriptors, {sentence.data(), static_cast<std::size_t>(std::max(bytes, 0))}));
}

class SelectPoller final : public Poller {
 public:
  Status open() noexcept;
  PollerKind kind() const noexcept override { return PollerKind::select; }
  Status add(NativeHandle handle, std::uint64_t key, Interest interest) noexcept override;
  Status modify(NativeHandle handle, Interest interest) noexcept override;
  Status remove(NativeHandle handle) noexcept override;
  std::expected<std::size_t, Error> wait(std::span<Ready> ready, std::int64_t timeout_us) noexcept override;
  void wake() noexcept override { wakeup_.ring(); }
  std::size_t registrations() const noexcept override { return registry_.registrations(); }

 private:
  int fill_sets() noexcept;
  std::size_t collect(std::span<Ready> ready) noexcept;

  Wakeup wakeup_;
  Registry registry_;
  fd_set readable_;
  fd_set writable_;
  std::size_t turn_ = 0;  // the slot whose turn it is to be reported first
};

Status SelectPoller::open() noexcept {
  RIG_TRY_STATUS(wakeup_.open());
  return refuse_beyond_set(wakeup_.descriptor());
}

Status SelectPoller::add(NativeHandle handle, std::uint64_t key, Interest interest) noexcept {
  RIG_TRY(descriptor, posix_descriptor(handle));
  RIG_TRY_STATUS(refuse_beyond_set(descriptor));
  if (auto slot = registry_.add(handle, key, interest); !slot.has_value()) {
    return std::unexpected(slot.error());
  }
  return {};
}

Status SelectPoller::modify(NativeHandle handle, Interest interest) noexcept {
  RIG_TRY(slot, registry_.find(handle));
  registry_.at(slot).interest = interest;
  return {};
}

Status SelectPoller::remove(NativeHandle handle) noexcept {
  RIG_TRY(slot, registry_.find(handle));
  registry_.remove(slot);
  return {};
}

// fill_sets puts every handle into the sets of its interest; the answer is select()'s first argument.
int SelectPoller::fill_sets() noexcept {
  FD_ZERO(&readable_);
  FD_ZERO(&writable_);
  FD_SET(wakeup_.descriptor(), &readable_);
  int highest = wakeup_.descriptor();
  for (std::size_t slot = 0; slot < registry_.slots(); ++slot) {
    const Registration& registration = registry_.at(slot);
    if (registration.descriptor == Registration::free) {
      continue;
    }
    if (registration.interest.readable) {
      FD_SET(registration.descriptor, &readable_);
    }
    if (registration.interest.writable) {
      FD_SET(registration.descriptor, &writable_);
    }
    highest = std::max(highest, registration.descriptor);
  }
  return highest + 1;
}

std::expected<std::size_t, Error> SelectPoller::wait(std::span<Ready> ready, std::int64_t timeout_us) noexcept {
  const KeepErrno keep;
  const int count = fill_sets();
  timeval limit{};
  limit.tv_sec = timeout_us / 1'000'000;
  limit.tv_usec = timeout_us % 1'000'000;
  if (::select(count, &readable_, &writable_, nullptr, timeout_us < 0 ? nullptr : &limit) < 0) {
    if (errno == EINTR) {
      return 0;
    }
    return std::unexpected(system_error("select", errno));
  }
  if (FD_ISSET(wakeup_.descriptor(), &readable_)) {
    wakeup_.quiet();
  }
  return collect(ready);
}

std::size_t SelectPoller::collect(std::span<Ready> ready) noexcept {
  std::size_t used = 0;
  const std::size_t first = turn_;
  for (std::size_t i = 0; i < registry_.slots() && used < ready.size(); ++i) {
    const std::size_t slot = (first + i) % registry_.slots();
    const Registration& registration = registry_.at(slot);
    if (registration.descriptor == Registration::free) {
      continue;
    }
    const bool is_readable = FD_ISSET(registration.descriptor, &readable_) != 0;
    const bool is_writable = FD_ISSET(registration.descriptor, &writable_) != 0;
    if (!is_readable && !is_writable) {
      continue;
    }
    ready[used] = {.handle = posix_handle(registration.descriptor),
                   .key = registration.key,
                   .readable = is_readable,
                   .writable = is_writable,
                   .failed = false};
    ++used;
    turn_ = slot + 1;
  }
  return used;
}

}  // namespace

std::expected<std::unique_ptr<Poller>, Error> make_select_poller() noexcept {
  std::unique_ptr<SelectPoller> poller(new (std::nothrow) SelectPoller);
  if (poller == nullptr) {
    return std::unexpected(Error(Code::no_memory, "no memory for a poller"));
  }
  RIG_TRY_STATUS(poller->open());
  return poller;
}

}  // namespace rig
