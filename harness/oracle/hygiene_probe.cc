#include "harness/oracle/hygiene_probe.h"

#include <fmt/format.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <utility>

#include "harness/base/check.h"
#include "harness/base/mutex.h"

namespace rig {

namespace {

// Sources are only ever added, so a probe reads the first `count` of them without a lock: it runs after every verb.
struct Sources {
  Mutex mutex;
  std::array<AmbientSource, ambient_sources_max> list;
  std::atomic<std::size_t> count{0};
};

Sources& sources() {
  static Sources all;
  return all;
}

}  // namespace

void register_ambient_source(const AmbientSource& source) {
  RIG_CHECK(source.name != nullptr && source.peek != nullptr && source.clear != nullptr);
  Sources& all = sources();
  const MutexLock lock(all.mutex);
  const std::size_t count = all.count.load(std::memory_order_relaxed);
  for (std::size_t i = 0; i < count; ++i) {
    if (std::string_view(all.list[i].name) == source.name) {
      return;
    }
  }
  RIG_CHECK(count < ambient_sources_max);
  all.list[count] = source;
  all.count.store(count + 1, std::memory_order_release);
}

HygieneProbe::HygieneProbe(std::string where, ViolationLog& log) : where_(std::move(where)), log_(&log) {}

void HygieneProbe::after(std::string_view call) const {
  const Sources& all = sources();
  const std::size_t count = all.count.load(std::memory_order_acquire);
  for (std::size_t i = 0; i < count; ++i) {
    const AmbientSource& source = all.list[i];
    std::array<char, 256> sentence{};
    const std::uint64_t number = source.peek(sentence.data(), sentence.size());
    if (number == 0) {
      continue;
    }
    sentence.back() = '\0';
    log_->report(Law::h1_nothing_left, where_,
                 fmt::format("{} left an entry in the {}: {:#x} {}", call, source.name, number, sentence.data()));
    source.clear();
  }
}

}  // namespace rig
