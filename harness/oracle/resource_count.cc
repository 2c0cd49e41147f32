#include "harness/oracle/resource_count.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace rig {

void SessionCount::left(const DoorCall& call) noexcept {
  if (call.verb == DoorVerb::create && call.session != nullptr) {
    libraries_[static_cast<std::size_t>(call.library)].made.fetch_add(1, std::memory_order_relaxed);
  }
}

void SessionCount::entering(const DoorCall& call) noexcept {
  if (call.verb == DoorVerb::destroy && call.session != nullptr) {
    libraries_[static_cast<std::size_t>(call.library)].freed.fetch_add(1, std::memory_order_relaxed);
  }
}

void SessionCount::given_back(ViolationLog& log) const {
  for (std::size_t index = 0; index < tls_library_count; ++index) {
    const std::uint64_t made = libraries_[index].made.load();
    const std::uint64_t freed = libraries_[index].freed.load();
    if (made > freed) {
      log.report(Law::r1_resources, "run",
                 fmt::format("of {} sessions of {} that were made, {} were never freed", made,
                             tls_library_name(static_cast<TlsLibrary>(index)), made - freed));
    }
  }
}

QueueCount::QueueCount(std::string where, QueueBound bound, ViolationLog& log)
    : where_(std::move(where)), bound_(bound), log_(log) {}

void QueueCount::pending(std::size_t bytes) {
  const std::int64_t ops = ++ops_;
  const std::int64_t owed = bytes_ += static_cast<std::int64_t>(bytes);
  const auto positive = [](std::int64_t value) { return static_cast<std::uint64_t>(std::max<std::int64_t>(value, 0)); };
  most_ops_ = std::max(most_ops_.load(), positive(ops));
  const bool too_many = bound_.ops != 0 && positive(ops) > 2 * bound_.ops + 1;
  // One op may be larger than the bound, alone; and so may the next one, while the callback of that is still to come.
  // An op of no bytes takes no room.
  std::uint64_t largest = largest_.load();
  while (largest < bytes && !largest_.compare_exchange_weak(largest, bytes)) {
  }
  const bool too_much = bound_.bytes != 0 && bytes > 0 &&
                        positive(owed) > 2 * std::max({bound_.bytes, largest, std::uint64_t{bytes}}) + bytes;
  if ((too_many || too_much) && !reported_.exchange(true)) {
    log_.report(Law::r1_resources, where_,
                fmt::format("{} ops with {} bytes are queued, and the bounds are {} ops and {} bytes", ops, owed,
                            bound_.ops, bound_.bytes));
  }
}

void QueueCount::completed(std::size_t bytes, bool failed) {
  if (failed) {
    reported_ = true;
  }
  --ops_;
  bytes_ -= static_cast<std::int64_t>(bytes);
}

void QueueCount::closed(std::uint64_t ops_held, std::uint64_t bytes_held) {
  if (ops_held > 0 || bytes_held > 0) {
    log_.report(
        Law::r1_resources, where_,
        fmt::format("closed, and the socket still counts {} ops and {} bytes as its own", ops_held, bytes_held));
  }
}

void judge_descriptors(std::size_t before, std::size_t after, ViolationLog& log) {
  if (after > before) {
    log.report(Law::r1_resources, "run",
               fmt::format("{} descriptors are open that were not at the beginning", after - before));
  }
}

}  // namespace rig
