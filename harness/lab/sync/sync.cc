#include "harness/lab/sync/sync.h"

#include <algorithm>
#include <cerrno>
#include <vector>

#include "harness/base/call_stack.h"

namespace rig::lab {
namespace {

constexpr std::int64_t ns_per_s = 1'000'000'000;

// The first unwinding of a stack prepares tables behind a pthread_once. Done before there are runs, or the first run of
// a process in which an exception is thrown would differ from the second.
[[gnu::constructor]] void prepare_unwinder() {
  CallStack::prepare();
}

}  // namespace

std::int64_t to_ns(const timespec& time) noexcept {
  std::int64_t ns = 0;
  if (__builtin_mul_overflow(static_cast<std::int64_t>(time.tv_sec), ns_per_s, &ns) ||
      __builtin_add_overflow(ns, static_cast<std::int64_t>(time.tv_nsec), &ns)) {
    return time.tv_sec < 0 ? INT64_MIN : never;
  }
  return ns;
}

timespec to_timespec(std::int64_t ns) noexcept {
  return {.tv_sec = ns / ns_per_s, .tv_nsec = ns % ns_per_s};
}

std::int64_t after(const timespec& span) {
  std::int64_t ns = 0;
  return __builtin_add_overflow(now_ns(), to_ns(span), &ns) ? never : ns;
}

std::string object_name(std::string_view kind, const void* address) {
  static constinit std::vector<const void*>* named = nullptr;
  if (named == nullptr) {
    named = new std::vector<const void*>;
  }
  auto found = std::ranges::find(*named, address);
  if (found == named->end()) {
    found = named->insert(found, address);
  }
  return std::string(kind) + " " + std::to_string(found - named->begin() + 1);
}

bool is_of_run(std::int32_t kernel_id) {
  // Threads that have ended, or that have not begun, have the id 0.
  return kernel_id != 0 && thread_of_kernel_id(kernel_id) != nullptr;
}

std::string held_by(std::int32_t kernel_id) {
  if (kernel_id == 0) {
    return "held by nobody";
  }
  if (!is_of_run(kernel_id)) {
    return "held by a thread that has ended or is not of the run";
  }
  return "held by thread " + std::to_string(id_of(*thread_of_kernel_id(kernel_id)));
}

}  // namespace rig::lab
