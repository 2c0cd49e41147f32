// The probe begins when the process is loaded and ends with exit(). Each finding is a line of the report file at once,
// so that nothing is lost with a process that is killed.
#include "harness/probe/probe.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <string>

#include "harness/base/library_door.h"
#include "harness/oracle/door_laws.h"

namespace rig::probe {

namespace {

// The path is kept: a program may change its environment.
std::string& report_path() {
  static std::string& path = *new std::string;
  return path;
}

// Only system calls: the functions of libc with these names are the probe's own.
void write_line(std::string line) {
  for (char& letter : line) {
    letter = letter == '\n' ? ' ' : letter;
  }
  line += '\n';
  const long file = syscall(SYS_openat, AT_FDCWD, report_path().c_str(), O_WRONLY | O_APPEND | O_CLOEXEC, 0);
  if (file < 0) {
    return;
  }
  [[maybe_unused]] const long written = syscall(SYS_write, file, line.data(), line.size());
  syscall(SYS_close, file);
}

void report(const Violation& violation) {
  write_line("violation\t" + std::string(law_name(violation.law)) + "\t" + violation.where + "\t" + violation.message);
}

// Leaver is a thread of the program, which gives its number back when it ends.
struct Leaver {
  Leaver() = default;
  Leaver(const Leaver&) = delete;
  Leaver& operator=(const Leaver&) = delete;
  ~Leaver() { give_back_door_thread(); }
};

// Watcher is the laws, and remembers which library was used at all.
class Watcher final : public DoorObserver {
 public:
  explicit Watcher(bool poison) : laws_(log_, poison), audit_(log_) {}

  void entering(const DoorCall& call) noexcept override {
    thread_local const Leaver leaver;
    const auto library = static_cast<std::size_t>(call.library);
    if (call.session != nullptr && !seen_[library].exchange(true, std::memory_order_relaxed)) {
      write_line(std::string("library\t") + tls_library_name(call.library));
    }
    if (call.verb == DoorVerb::destroy || call.verb == DoorVerb::reset) {
      audit_.forgotten(call.session);
    }
    laws_.entering(call);
  }
  void left(const DoorCall& call, const DoorReturn& result) noexcept override { laws_.left(call, result); }
  void waiting(const DoorWait& wait) noexcept override { laws_.waiting(wait); }
  void resumed(std::uint32_t thread) noexcept override { laws_.resumed(thread); }
  bool poisons() const noexcept override { return laws_.poisons(); }

  DescriptorAudit& audit() { return audit_; }
  void after_fork() noexcept {
    laws_.after_fork();
    audit_.after_fork();
  }

 private:
  ViolationLog log_{report};
  DoorLaws laws_;
  DescriptorAudit audit_;
  std::array<std::atomic<bool>, tls_library_count> seen_{};
};

// Never destroyed: other threads may call when the process ends.
Watcher* watcher = nullptr;
std::atomic<DescriptorAudit*> open_audit{nullptr};

void in_child() {
  open_audit.store(nullptr);
  watcher->after_fork();
}

[[gnu::constructor]] void begin() {
  const char* const path = std::getenv(report_variable);
  if (path == nullptr) {
    return;
  }
  report_path() = path;
  watcher = new Watcher(std::getenv(poison_variable) != nullptr);
  pthread_atfork(nullptr, nullptr, in_child);
  open_door(watcher);
  open_audit.store(&watcher->audit());
}

// exit() is the end of the run of the thread that calls it.
[[gnu::destructor]] void end() {
  if (watcher == nullptr) {
    return;
  }
  door_waiting({.function = "exit"});
  open_door(nullptr);
  open_audit.store(nullptr);
}

}  // namespace

DescriptorAudit* audit() noexcept {
  static const pid_t own = getpid();
  DescriptorAudit* const found = open_audit.load(std::memory_order_acquire);
  // A child of vfork() has the memory of its parent.
  return found != nullptr && getpid() == own ? found : nullptr;
}

}  // namespace rig::probe
