#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "harness/lab/kernel_call.h"
#include "harness/lab/real.h"
#include "harness/lab/state.h"

namespace rig::lab {
namespace {

constexpr int seconds_without_progress_max = 60;

// read_all reads a small file of /proc.
std::string read_all(const std::string& path) {
  char text[512] = "";
  if (std::FILE* file = std::fopen(path.c_str(), "r")) {
    text[std::fread(text, 1, sizeof text - 1, file)] = '\0';
    std::fclose(file);
  }
  return text;
}

// what_it_does says where the thread with the token is: `state` is its letter in the kernel's words.
std::string what_it_does(std::int32_t kernel_id) {
  const std::string folder = "/proc/self/task/" + std::to_string(kernel_id);
  const std::string stat = read_all(folder + "/stat");
  const std::size_t close = stat.rfind(')');
  const char state = close != std::string::npos && close + 2 < stat.size() ? stat[close + 2] : '?';
  if (state == 'R') {
    return "runs in a loop in which it calls nothing that the lab knows (memory hooks make such a loop visible)";
  }
  return "is in the kernel, in a call that the lab does not know: " + read_all(folder + "/syscall");
}

// The watchdog of the process `watched`: after a fork the child has none.
pthread_t thread;
constinit std::int32_t watched = 0;
constinit std::atomic<std::uint32_t> leaving{0};

void* watchdog(void*) {
  std::uint64_t seen = 0;
  int seconds = 0;
  for (;;) {
    const timespec second{.tv_sec = 1, .tv_nsec = 0};
    // Not through libc: a look-up here would use the heap while the run does, and the run's addresses would vary.
    futex_wait(&leaving, 0, &second);
    if (leaving.load(std::memory_order_relaxed) != 0) {
      return nullptr;
    }
    const std::uint64_t beats = heartbeat.beats.load(std::memory_order_relaxed);
    if (!running() || beats != seen) {
      seen = beats;
      seconds = 0;
      continue;
    }
    if (++seconds >= seconds_without_progress_max) {
      std::fprintf(stderr, "the lab's watchdog: no progress for %d seconds; the thread that has the token %s\n",
                   seconds, what_it_does(heartbeat.holder.load(std::memory_order_relaxed)).c_str());
      std::abort();
    }
  }
}

// leave ends the watchdog with the process: ThreadSanitizer lets one that ends with threads alive sleep for a second.
void leave() {
  if (watched != kernel_process()) {
    return;
  }
  watched = 0;
  leaving.store(1, std::memory_order_relaxed);
  futex_wake(&leaving);
  static constinit Real<decltype(pthread_join)> join("pthread_join");
  join(thread, nullptr);
}

}  // namespace

constinit Heartbeat heartbeat;

void watch() {
  if (watched == kernel_process()) {
    return;
  }
  static constinit Real<decltype(pthread_create)> create("pthread_create");
  if (create(&thread, nullptr, watchdog, nullptr) == 0) {
    watched = kernel_process();
    std::atexit(leave);
  }
}

}  // namespace rig::lab
