#include "harness/socket/poller.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <limits>
#include <new>
#include <utility>

#include "harness/socket/poller_parts.h"
#include "harness/socket/posix_handle.h"

namespace rig {
namespace {

constexpr std::array<std::pair<PollerKind, std::string_view>, 3> kinds{{
    {PollerKind::epoll, "epoll"},
    {PollerKind::poll, "poll"},
    {PollerKind::select, "select"},
}};

}  // namespace

std::string_view poller_kind_name(PollerKind kind) noexcept {
  for (const auto& [candidate, name] : kinds) {
    if (candidate == kind) {
      return name;
    }
  }
  return "unknown";
}

std::optional<PollerKind> poller_kind_from_name(std::string_view name) noexcept {
  for (const auto& [kind, candidate] : kinds) {
    if (candidate == name) {
      return kind;
    }
  }
  return std::nullopt;
}

std::expected<std::unique_ptr<Poller>, Error> make_poller(PollerKind kind) noexcept {
  switch (kind) {
    case PollerKind::epoll:
      return make_epoll_poller();
    case PollerKind::poll:
      return make_poll_poller();
    case PollerKind::select:
      return make_select_poller();
  }
  return std::unexpected(Error(Code::invalid_argument, "there is no poller of this kind"));
}

std::expected<std::size_t, Error> Registry::add(NativeHandle handle, std::uint64_t key, Interest interest) noexcept {
  RIG_TRY(descriptor, posix_descriptor(handle));
  if (slot_of_.contains(descriptor)) {
    return std::unexpected(Error(Code::invalid_argument, "the handle is registered already"));
  }
  const std::size_t slot = first_free_ == none ? slots_.size() : first_free_;
  try {
    if (slot == slots_.size() && slots_.size() == slots_.capacity()) {
      slots_.reserve(2 * slots_.size() + 8);
    }
    slot_of_.emplace(descriptor, slot);
  } catch (const std::bad_alloc&) {
    return std::unexpected(Error(Code::no_memory, "no memory to register another handle"));
  }
  if (slot == slots_.size()) {
    slots_.emplace_back();
  } else {
    first_free_ = slots_[slot].next_free;
  }
  Registration& registration = slots_[slot];
  registration.descriptor = descriptor;
  ++registration.generation;
  registration.key = key;
  registration.interest = interest;
  return slot;
}

std::expected<std::size_t, Error> Registry::find(NativeHandle handle) const noexcept {
  RIG_TRY(descriptor, posix_descriptor(handle));
  const auto found = slot_of_.find(descriptor);
  if (found == slot_of_.end()) {
    return std::unexpected(Error(Code::invalid_argument, "the handle is not registered"));
  }
  return found->second;
}

void Registry::remove(std::size_t slot) noexcept {
  Registration& registration = slots_[slot];
  slot_of_.erase(registration.descriptor);
  registration.descriptor = Registration::free;
  registration.next_free = first_free_;
  first_free_ = slot;
}

Wakeup::~Wakeup() {
  if (descriptor_ >= 0) {
    const KeepErrno keep;
    ::close(descriptor_);
  }
}

Status Wakeup::open() noexcept {
  const KeepErrno keep;
  descriptor_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (descriptor_ < 0) {
    return std::unexpected(system_error("eventfd", errno));
  }
  return {};
}

// A full counter (EAGAIN) wakes as well as one more would.
void Wakeup::ring() noexcept {
  const KeepErrno keep;
  const std::uint64_t one = 1;
  while (::write(descriptor_, &one, sizeof one) < 0 && errno == EINTR) {
  }
}

void Wakeup::quiet() noexcept {
  std::uint64_t rings = 0;
  while (::read(descriptor_, &rings, sizeof rings) < 0 && errno == EINTR) {
  }
}

int timeout_ms(std::int64_t timeout_us) noexcept {
  if (timeout_us < 0) {
    return -1;
  }
  const std::int64_t rounded_up = timeout_us / 1000 + (timeout_us % 1000 == 0 ? 0 : 1);
  return rounded_up > std::numeric_limits<int>::max() ? std::numeric_limits<int>::max() : static_cast<int>(rounded_up);
}

}  // namespace rig
