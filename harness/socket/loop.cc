#include "harness/socket/loop.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <new>
#include <utility>

#include "harness/base/check.h"

namespace rig {
namespace {

constexpr std::size_t reports_per_wait = 256;
// A callback may schedule its own socket again (a send from `sent`): so many rounds belong to one turn, the rest waits
// for the next, so that no socket keeps the poller from being asked.
constexpr int rounds_per_turn = 16;

std::uint64_t key_of(std::size_t slot, std::uint32_t generation) {
  return (static_cast<std::uint64_t>(generation) << 32) | static_cast<std::uint64_t>(slot);
}

}  // namespace

Loop::Loop(std::unique_ptr<Poller> poller, bool fast_track)
    : poller_(std::move(poller)),
      fast_track_(fast_track),
      cipher_buffer_(std::make_unique_for_overwrite<std::uint8_t[]>(scratch_bytes)),
      plain_buffer_(std::make_unique_for_overwrite<std::uint8_t[]>(scratch_bytes)) {}

std::expected<std::shared_ptr<Loop>, Error> Loop::make(PollerKind kind, bool fast_track) noexcept {
  RIG_TRY(poller, make_poller(kind));
  return make(std::move(poller), fast_track);
}

std::expected<std::shared_ptr<Loop>, Error> Loop::make(std::unique_ptr<Poller> poller, bool fast_track) noexcept {
  try {
    return std::shared_ptr<Loop>(new Loop(std::move(poller), fast_track));
  } catch (const std::bad_alloc&) {
    return std::unexpected(Error(Code::no_memory, "no memory for a loop"));
  }
}

Loop::~Loop() {
  const LoopCounts left = counts();
  RIG_CHECK(left.listeners + left.connecting + left.handshaking + left.open + left.closing + left.undestroyed == 0);
}

std::int64_t Loop::now_us() noexcept {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::microseconds>(since).count();
}

Status Loop::turn(std::int64_t timeout_us) {
  RIG_CHECK(turning_.load() == std::thread::id{});
  turning_.store(std::this_thread::get_id());
  if (anything_scheduled()) {
    timeout_us = 0;
  }
  if (const std::int64_t deadline = timers_.next_deadline_us(); deadline >= 0) {
    const std::int64_t left = std::max<std::int64_t>(0, deadline - now_us());
    timeout_us = timeout_us < 0 ? left : std::min(timeout_us, left);
  }
  look_again_ = false;
  auto reports = poll_once(timeout_us);
  expire_timers();
  int rounds = 0;
  while (rounds < rounds_per_turn && run_scheduled()) {
    ++rounds;
  }
  while (reports.has_value() && std::exchange(look_again_, false) && rounds < rounds_per_turn) {
    ++rounds;
    reports = poll_once(0);
    while (rounds < rounds_per_turn && run_scheduled()) {
      ++rounds;
    }
  }
  turning_.store(std::thread::id{});
  return reports.has_value() ? Status{} : std::unexpected(reports.error());
}

std::expected<std::size_t, Error> Loop::poll_once(std::int64_t timeout_us) {
  std::array<Ready, reports_per_wait> reports;
  RIG_TRY(count, poller_->wait(reports, timeout_us));
  for (std::size_t i = 0; i < count; ++i) {
    // An earlier report of this wait may have ended the object: then nobody is left to tell.
    if (const auto object = find(reports[i].key)) {
      object->ready(reports[i]);
    }
  }
  return count;
}

void Loop::expire_timers() {
  const std::int64_t now = now_us();
  while (Timer* timer = timers_.pop_expired(now)) {
    auto& owned = static_cast<ObjectTimer&>(*timer);
    const auto keep = owned.object_.shared_from_this();
    keep->expired(owned);
  }
}

bool Loop::run_scheduled() {
  {
    const MutexLock lock(mutex_);
    running_.swap(scheduled_);
    for (LoopObject* object : running_) {
      object->scheduled_ = false;
    }
  }
  // service() may detach its own object only, so the pointers of this round stay good; detach() clears its own entry.
  for (std::size_t i = 0; i < running_.size(); ++i) {
    if (running_[i] != nullptr) {
      const auto keep = running_[i]->shared_from_this();
      keep->service();
    }
  }
  const bool any = !running_.empty();
  running_.clear();
  return any;
}

bool Loop::anything_scheduled() const {
  const MutexLock lock(mutex_);
  return !scheduled_.empty();
}

void Loop::wake() noexcept {
  poller_->wake();
}

void Loop::schedule(LoopObject& object) noexcept {
  {
    const MutexLock lock(mutex_);
    if (object.slot_ == LoopObject::unattached || object.scheduled_) {
      return;
    }
    object.scheduled_ = true;
    scheduled_.push_back(&object);  // attach() reserved the room
  }
  if (turning_.load() != std::this_thread::get_id()) {
    poller_->wake();
  }
}

Status Loop::attach(const std::shared_ptr<LoopObject>& object, std::size_t timers) noexcept {
  if (auto reserved = timers_.reserve(timers_reserved_ + timers); !reserved.has_value()) {
    return reserved;
  }
  timers_reserved_ += timers;
  const MutexLock lock(mutex_);
  try {
    const std::size_t objects_max = slots_.size() + 1;
    scheduled_.reserve(objects_max);
    running_.reserve(objects_max);
    free_slots_.reserve(objects_max);
    if (free_slots_.empty()) {
      slots_.emplace_back();
      free_slots_.push_back(slots_.size() - 1);
    }
  } catch (const std::bad_alloc&) {
    timers_reserved_ -= timers;
    return std::unexpected(Error(Code::no_memory, "no memory for another socket on this loop"));
  }
  object->timers_ = timers;
  object->slot_ = free_slots_.back();
  free_slots_.pop_back();
  Slot& slot = slots_[object->slot_];
  slot.object = object;
  ++slot.generation;
  return {};
}

void Loop::detach(LoopObject& object) noexcept {
  std::shared_ptr<LoopObject> last;  // may be the last owner: released when the lock is open again
  const MutexLock lock(mutex_);
  if (object.slot_ == LoopObject::unattached) {
    return;
  }
  timers_reserved_ -= object.timers_;
  object.timers_ = 0;
  std::erase(scheduled_, &object);
  std::replace(running_.begin(), running_.end(), &object, static_cast<LoopObject*>(nullptr));
  last = std::move(slots_[object.slot_].object);
  slots_[object.slot_].object.reset();
  free_slots_.push_back(object.slot_);
  object.slot_ = LoopObject::unattached;
  object.scheduled_ = false;
}

std::shared_ptr<LoopObject> Loop::find(std::uint64_t key) const {
  const std::size_t slot = key & 0xffffffffu;
  const MutexLock lock(mutex_);
  if (slot >= slots_.size() || key_of(slot, slots_[slot].generation) != key) {
    return nullptr;
  }
  return slots_[slot].object;
}

Status Loop::watch(LoopObject& object, NativeHandle handle, Interest interest) noexcept {
  std::uint64_t key = 0;
  {
    const MutexLock lock(mutex_);
    RIG_CHECK(object.slot_ != LoopObject::unattached);
    key = key_of(object.slot_, slots_[object.slot_].generation);
  }
  return poller_->add(handle, key, interest);
}

Status Loop::rewatch(NativeHandle handle, Interest interest) noexcept {
  return poller_->modify(handle, interest);
}

void Loop::unwatch(NativeHandle handle) noexcept {
  const Status removed = poller_->remove(handle);
  RIG_CHECK(removed.has_value());
}

LoopCounts Loop::counts() const {
  LoopCounts counts;
  const MutexLock lock(mutex_);
  for (const Slot& slot : slots_) {
    if (slot.object == nullptr) {
      continue;
    }
    switch (slot.object->stage()) {
      case Stage::listening:
        ++counts.listeners;
        break;
      case Stage::connecting:
        ++counts.connecting;
        break;
      case Stage::handshaking:
        ++counts.handshaking;
        break;
      case Stage::open:
        ++counts.open;
        break;
      case Stage::closing:
        ++counts.closing;
        break;
      case Stage::undestroyed:
        ++counts.undestroyed;
        break;
    }
  }
  counts.registrations = poller_->registrations();
  return counts;
}

}  // namespace rig
