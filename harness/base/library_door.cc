#include "harness/base/library_door.h"

#include <array>
#include <bit>
#include <cerrno>

#include "harness/base/check.h"
#include "harness/base/symbol_behind.h"

namespace rig {

namespace {

// ThreadNumbers gives numbers to threads; a bit is set while its number is in use.
constinit std::array<std::atomic<std::uint64_t>, door_threads_max / 64> taken_numbers{};

std::uint32_t take_number() noexcept {
  for (std::uint32_t word = 0; word < taken_numbers.size(); ++word) {
    std::uint64_t taken = taken_numbers[word].load(std::memory_order_relaxed);
    while (taken != ~std::uint64_t{0}) {
      const int bit = std::countr_one(taken);
      if (taken_numbers[word].compare_exchange_weak(taken, taken | (std::uint64_t{1} << bit))) {
        return word * 64 + static_cast<std::uint32_t>(bit);
      }
    }
  }
  return door_threads_max;
}

// Number is the calling thread's. Without a destructor, which would cost each thread an allocation: a number ends with
// the observer that it was given for, or is given back.
struct Number {
  std::uint64_t observers = 0;
  std::uint32_t value = door_threads_max;
};
constinit thread_local Number own_number;
// How many observers there have been.
constinit std::atomic<std::uint64_t> observers{0};

// The calls of the layer that a thread has under way, outermost first: a callback may make another one.
constexpr std::size_t depth_max = 8;
struct UnderWay {
  std::size_t depth = 0;
  std::array<const void*, depth_max> sessions{};
};
constinit thread_local UnderWay under_way;

constinit std::array<LibraryDoor, tls_library_count> doors{};
constinit std::array<std::atomic<bool>, tls_library_count> door_known{};

}  // namespace

void open_door(DoorObserver* observer) noexcept {
  if (observer != nullptr) {
    for (auto& word : taken_numbers) {
      word.store(0, std::memory_order_relaxed);
    }
    observers.fetch_add(1);
  }
  open_door_observer.store(observer, std::memory_order_release);
}

std::uint32_t door_thread() noexcept {
  const std::uint64_t current = observers.load(std::memory_order_relaxed);
  if (own_number.observers != current || own_number.value == door_threads_max) {
    own_number = {.observers = current, .value = take_number()};
  }
  return own_number.value;
}

void give_back_door_thread() noexcept {
  const std::uint32_t value = own_number.value;
  if (own_number.observers == observers.load(std::memory_order_relaxed) && value < door_threads_max) {
    taken_numbers[value / 64].fetch_and(~(std::uint64_t{1} << (value % 64)));
  }
  own_number = {};
}

void register_library_door(const LibraryDoor& door) noexcept {
  const auto index = static_cast<std::size_t>(door.library);
  RIG_CHECK(index < doors.size());
  doors[index] = door;
  door_known[index].store(true, std::memory_order_release);
}

const LibraryDoor* library_door(TlsLibrary library) noexcept {
  const auto index = static_cast<std::size_t>(library);
  return door_known[index].load(std::memory_order_acquire) ? &doors[index] : nullptr;
}

const char* tls_library_name(TlsLibrary library) noexcept {
  constexpr std::array names{"OpenSSL", "GnuTLS", "mbedTLS"};
  return names[static_cast<std::size_t>(library)];
}

DoorPassage::DoorPassage(const DoorCall& call) noexcept : call_(call), observer_(door_observer()) {
  const std::size_t depth = under_way.depth;
  if (observer_ == nullptr || depth == depth_max) {
    return;
  }
  announced_ = true;
  if (depth > 0) {
    // Return addresses alone do not tell: a tail jump of the library's has its caller's. A callback has a session of
    // its own, or none.
    for (std::size_t i = 0; i < depth; ++i) {
      announced_ = announced_ && (call_.session == nullptr || under_way.sessions[i] != call_.session);
    }
    announced_ = announced_ && !inside_tls_library(call_.caller);
    call_.nested = announced_;
  }
}

void DoorPassage::enter() noexcept {
  const int kept = errno;
  call_.thread = door_thread();
  observer_->entering(call_);
  under_way.sessions[under_way.depth++] = call_.session;
  errno = kept;
}

void DoorPassage::leave(const DoorReturn& result) noexcept {
  const int kept = errno;
  --under_way.depth;
  observer_->left(call_, result);
  errno = kept;
}

void door_waiting(DoorWait wait) noexcept {
  DoorObserver* const observer = door_observer();
  if (observer == nullptr || under_way.depth > 0) {
    return;
  }
  const int kept = errno;
  wait.thread = door_thread();
  observer->waiting(wait);
  errno = kept;
}

void door_resumed() noexcept {
  DoorObserver* const observer = door_observer();
  if (observer == nullptr || under_way.depth > 0) {
    return;
  }
  const int kept = errno;
  observer->resumed(door_thread());
  errno = kept;
}

void door_waive_write(const void* session) noexcept {
  if (DoorObserver* const observer = door_observer(); observer != nullptr) {
    observer->waived(session);
  }
}

const void* door_session() noexcept {
  return under_way.depth == 0 ? nullptr : under_way.sessions[under_way.depth - 1];
}

}  // namespace rig
