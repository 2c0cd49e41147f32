// Private to this room: what the three pollers share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <unordered_map>
#include <vector>

#include "harness/base/error.h"
#include "harness/base/native_handle.h"
#include "harness/socket/poller.h"

namespace rig {

// Registration is one handle that a Poller watches.
struct Registration {
  static constexpr int free = -1;
  int descriptor = free;         // free: the slot is not in use
  std::uint32_t generation = 0;  // counts the registrations that this slot has held
  std::uint64_t key = 0;
  Interest interest;
  std::size_t next_free = 0;
};

// Registry is the table of a Poller's registrations. A registration stays in its slot as long as it lives, so that a
// poller can name it by slot and generation, and can go round the slots without missing one.
// Thread: as the Poller.
class Registry {
 public:
  // add takes a slot for `handle` and returns its number. Errors: invalid_argument, no_memory.
  std::expected<std::size_t, Error> add(NativeHandle handle, std::uint64_t key, Interest interest) noexcept;

  // find is the slot of `handle`. Errors: invalid_argument (not registered). It never allocates.
  std::expected<std::size_t, Error> find(NativeHandle handle) const noexcept;

  // remove frees a slot. It never allocates.
  void remove(std::size_t slot) noexcept;

  // slots is how many slots there are, free ones included; at() is one of them.
  std::size_t slots() const noexcept { return slots_.size(); }
  Registration& at(std::size_t slot) noexcept { return slots_[slot]; }

  // registrations is how many slots are in use.
  std::size_t registrations() const noexcept { return slot_of_.size(); }

 private:
  static constexpr std::size_t none = static_cast<std::size_t>(-1);

  std::vector<Registration> slots_;
  std::unordered_map<int, std::size_t> slot_of_;
  std::size_t first_free_ = none;
};

// Wakeup is an eventfd that a wait() listens to. Owns: the descriptor. Thread: ring() any, the rest as the Poller.
class Wakeup {
 public:
  Wakeup() = default;
  ~Wakeup();
  Wakeup(const Wakeup&) = delete;
  Wakeup& operator=(const Wakeup&) = delete;

  // open makes the eventfd. Errors: no_descriptors, no_memory.
  Status open() noexcept;
  int descriptor() const noexcept { return descriptor_; }
  void ring() noexcept;
  // quiet forgets every ring() so far.
  void quiet() noexcept;

 private:
  int descriptor_ = -1;
};

// timeout_ms is `timeout_us` in milliseconds, rounded up and cut to what poll() takes; -1 for no limit.
int timeout_ms(std::int64_t timeout_us) noexcept;

// Each makes one kind of Poller. Errors: no_descriptors, no_memory.
std::expected<std::unique_ptr<Poller>, Error> make_epoll_poller() noexcept;
std::expected<std::unique_ptr<Poller>, Error> make_poll_poller() noexcept;
std::expected<std::unique_ptr<Poller>, Error> make_select_poller() noexcept;

}  // namespace rig
