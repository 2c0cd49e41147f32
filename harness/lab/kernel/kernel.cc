#include "harness/lab/kernel/kernel.h"
#include "harness/lab/census.h"

#include <algorithm>

#include "harness/base/check.h"
#include "harness/lab/kernel/events.h"
#include "harness/lab/kernel/state.h"
#include "harness/lab/kernel/tcp.h"
#include "harness/lab/kernel/wire.h"
#include "harness/lab/state.h"

namespace rig::lab {
namespace {

constinit Kernel* present = nullptr;

// What a thread waits for, in the words of a report. Keys are files, and the kernel itself as the last one.
std::string explain(const Wait& wait) {
  std::string text;
  for (const void* key : wait.keys.first(wait.keys.size() - 1)) {
    text += (text.empty() ? "" : ", ") + static_cast<const File*>(key)->describe();
  }
  return text.empty() ? "nothing" : text;
}

}  // namespace

std::size_t open_descriptors() {
  return kernel().descriptors.open();
}

Kernel& kernel() {
  if (present == nullptr || present->run != run_number()) {
    kernel_begin(current()->options);
  }
  return *present;
}

void kernel_begin(const Options& options) {
  delete present;
  present = new Kernel(options);
  present->run = run_number();
}

std::size_t kernel_end() {
  if (present == nullptr || present->run != run_number()) {
    return 0;
  }
  const std::size_t open_descriptors = present->descriptors.open();
  delete present;
  present = nullptr;
  return open_descriptors;
}

void observe_resets(ResetObserver* observer) {
  RIG_CHECK(self() != nullptr);
  kernel().observer = observer;
}

Kernel::Kernel(const Options& options)
    : profile(options.profile), descriptors(options.first_descriptor), faults(options) {
  Prng mood = Prng(options.seed).fork(0x6e6574);
  next_port = static_cast<std::uint16_t>(32768 + mood.below(20000));
  // On a loopback data are there at once, but for a processor that is late with its interrupts.
  constexpr std::uint64_t moods[] = {0, 0, 0, 0, 0, 64, 16, 4};
  late_one_in = moods[mood.below(8)];
}

Kernel::~Kernel() {
  for (File* file : files) {
    delete file;
  }
}

std::int64_t Kernel::latency_ns() {
  if (late_one_in == 0) {
    return 0;
  }
  Prng& random = stream(Stream::network);
  if (random.below(late_one_in) != 0) {
    return 0;
  }
  constexpr std::int64_t us = 1000;
  return static_cast<std::int64_t>(random.below(16) == 0 ? random.between(1000, 40'000) : random.between(1, 200)) * us;
}

void Kernel::due_at(std::int64_t when_ns) {
  if (when_ns < next_due_ns) {
    next_due_ns = when_ns;
    wake_all(this);
  }
}

void Kernel::advance() {
  for (TimerFile* timer : timers) {
    timer->tick();
  }
  while (next_due_ns <= now_ns()) {
    next_due_ns = never;
    send_syns();
    // A delivery may make a wire more, and end others.
    for (std::size_t i = 0; i < wires.size(); ++i) {
      const std::shared_ptr<Wire> wire = wires[i];
      wire->deliver();
      next_due_ns = std::min(next_due_ns, wire->next_due_ns());
    }
    for (const Syn& syn : syns) {
      next_due_ns = std::min(next_due_ns, syn.due_ns);
    }
    std::erase_if(wires, [](const auto& wire) { return wire->is_over(); });
  }
}

bool Kernel::wait(Op op, File& file, std::int64_t deadline_ns) {
  File* const one[] = {&file};
  return wait_any(op, one, deadline_ns);
}

bool Kernel::wait_any(Op op, std::span<File* const> waited, std::int64_t deadline_ns) {
  if (now_ns() >= deadline_ns) {
    return false;
  }
  std::vector<const void*> keys(waited.begin(), waited.end());
  keys.push_back(this);
  std::int64_t until_ns = std::min(deadline_ns, next_due_ns);
  for (File* file : waited) {
    until_ns = std::min(until_ns, file->next_due_ns());
  }
  block({.op = op, .keys = keys, .deadline_ns = until_ns, .explain = explain});
  advance();
  return true;
}

std::int64_t deadline_after(std::int64_t span_ns) {
  return span_ns < 0 || span_ns > never - now_ns() ? never : now_ns() + span_ns;
}

}  // namespace rig::lab
