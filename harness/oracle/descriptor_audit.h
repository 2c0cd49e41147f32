// DescriptorAudit: laws F1 and P1 at the kernel door, for sockets.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "harness/base/call_stack.h"
#include "harness/base/spin_lock.h"
#include "harness/oracle/reported_sites.h"
#include "harness/oracle/violation.h"

namespace rig {

// DescriptorAudit is fed what a process does with its descriptors. It knows those that were opened as sockets while it
// looked, and judges no others: a program that closes whatever may be open is not blamed. It asks
//   F1 of a close and of a use that the system refused: the socket was not closed before. Of a use by a TLS session:
//   the
//      descriptor is the socket that the session used before, and not another one with its number.
//   P1 of a write: it does not raise a SIGPIPE that kills.
// Thread: any.
class DescriptorAudit {
 public:
  explicit DescriptorAudit(ViolationLog& log);

  // Use is one call with a descriptor.
  struct Use {
    int descriptor = -1;
    const char* function = "";
    const void* caller = nullptr;
    bool refused = false;           // with EBADF
    const void* session = nullptr;  // the TLS session on whose behalf it is made
  };

  // opened is a new socket; replaced is any other new descriptor of that number.
  void opened(int descriptor) noexcept;
  void replaced(int descriptor) noexcept;
  void closed(const Use& use) noexcept;
  void used(const Use& use) noexcept;
  // killed is a write that raised a SIGPIPE at its default disposition.
  void killed(const Use& use) noexcept;
  // forgotten is a session that has ended or begins anew.
  void forgotten(const void* session) noexcept;

  bool is_socket(int descriptor) const noexcept;

  // after_fork makes it usable in a child process. Thread: the only one.
  void after_fork() noexcept { lock_.unlock(); }

  static constexpr int descriptors_max = 8192;
  static constexpr std::size_t sessions_max = 1024;

 private:
  enum class State : std::uint8_t { unknown, open, closed };
  struct Descriptor {
    State state = State::unknown;
    std::uint32_t generation = 0;  // counts the closes
    CallStack closed_at = {};
  };
  struct Binding {
    const void* session = nullptr;
    int descriptor = -1;
    std::uint32_t generation = 0;
  };

  Descriptor* find(int descriptor) const noexcept;
  Binding& binding(const void* session) noexcept;

  ViolationLog* log_;
  ReportedSites sites_;
  SpinLock lock_;
  std::unique_ptr<std::array<Descriptor, descriptors_max>> descriptors_;
  std::array<Binding, sessions_max> bindings_{};
};

}  // namespace rig
