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

#include "harness/base/kernel_door.h"
#include "harness/base/library_door.h"
#include "harness/oracle/door_laws.h"
#include "harness/oracle/kernel_laws.h"

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
  explicit Watcher(bool poison) : laws_(log_, poison), kernel_(log_) {}

  void entering(const DoorCall& call) noexcept override {
    thread_local const Leaver leaver;
    const auto library = static_cast<std::size_t>(call.library);
    if (call.session != nullptr && !seen_[library].exchange(true, std::memory_order_relaxed)) {
      write_line(std::string("library\t") + tls_library_name(call.library));
    }
    if (call.verb == DoorVerb::destroy || call.verb == DoorVerb::reset) {
      kernel_.forgotten(call.session);
    }
    laws_.entering(call);
  }
  void left(const DoorCall& call, const DoorReturn& result) noexcept override { laws_.left(call, result); }
  void waiting(const DoorWait& wait) noexcept override { laws_.waiting(wait); }
  void resumed(std::uint32_t thread) noexcept override { laws_.resumed(thread); }
  bool poisons() const noexcept override { return laws_.poisons(); }

  void after_fork() noexcept { laws_.after_fork(); }
  KernelObserver& kernel() { return kernel_; }

 private:
  // Kernel is the laws of the other door. A forked child closes what it inherited, so that they end there; and a child
  // of vfork() has the memory of its parent.
  class Kernel final : public KernelObserver {
   public:
    explicit Kernel(ViolationLog& log) : audit_(log), process_(getpid()) {}

    bool looks(KernelVerb) noexcept override { return getpid() == process_; }
    bool looks_at_waits() noexcept override { return true; }
    bool entering(const KernelCall& call) noexcept override { return audit_.closing(use_of(call)); }
    void left(const KernelCall& call, const KernelReturn& result) noexcept override {
      feed(audit_, DescriptorScope::sockets, DescriptorOwner::judged, call, result);
    }
    void waiting(const KernelWait& wait) noexcept override { door_waiting(door_wait_of(wait)); }
    void resumed(const KernelWait&, int) noexcept override { door_resumed(); }
    bool is_socket(int descriptor) noexcept override { return audit_.is_socket(descriptor); }
    bool killed(const KernelCall& call) noexcept override {
      audit_.killed(use_of(call));
      return true;
    }
    void forgotten(const void* session) noexcept { audit_.forgotten(session); }

   private:
    DescriptorAudit audit_;
    const pid_t process_;
  };

  ViolationLog log_{report};
  DoorLaws laws_;
  Kernel kernel_;
  std::array<std::atomic<bool>, tls_library_count> seen_{};
};

// Never destroyed: other threads may call when the process ends.
Watcher* watcher = nullptr;

void in_child() {
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
  open_kernel_door(&watcher->kernel());
}

// exit() is the end of the run of the thread that calls it.
[[gnu::destructor]] void end() {
  if (watcher == nullptr) {
    return;
  }
  door_waiting({.function = "exit"});
  open_door(nullptr);
  open_kernel_door(nullptr);
}

}  // namespace

}  // namespace rig::probe
