// QuietPipe: no SIGPIPE out of a library that calls write(2) by itself.
#pragma once

#include <csignal>
#include <ctime>

namespace rig::direct {

// QuietPipe keeps SIGPIPE from the process while it lives: for a library whose write(2) cannot be asked for an error
// only (MSG_NOSIGNAL). To ignore the signal for the whole process is the application's choice, not that of a layer. The
// signal comes to the thread that writes; blocked there, it is taken back before the mask is as it was. One that was
// pending before stays. Thread: the one it lives on.
class QuietPipe {
 public:
  QuietPipe() noexcept {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &mask_);
    was_pending_ = pending();
  }
  ~QuietPipe() {
    static constexpr timespec at_once{};
    if (!was_pending_ && pending()) {
      ::sigtimedwait(&pipe_, nullptr, &at_once);
    }
    ::pthread_sigmask(SIG_SETMASK, &mask_, nullptr);
  }
  QuietPipe(const QuietPipe&) = delete;
  QuietPipe& operator=(const QuietPipe&) = delete;

 private:
  static bool pending() noexcept {
    sigset_t signals;
    return ::sigpending(&signals) == 0 && sigismember(&signals, SIGPIPE) == 1;
  }

  sigset_t pipe_;
  sigset_t mask_;
  bool was_pending_ = false;
};

}  // namespace rig::direct
