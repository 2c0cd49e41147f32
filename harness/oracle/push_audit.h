// PushAudit: what one side of a connection lets the system hold back, and whether it may: law L3.
//
// A send that says MSG_MORE, and any send on a corked socket, leaves its last bytes with the system until more follows
// (Linux: 200 ms at most). That is what an op with `more` is for. Behind an op without it nothing may be left so: where
// every op that was issued is done, and the last of them did not say that more follows, nothing will push the bytes.
//
// Not asked: while an op is under way (its bytes may wait for the peer, and push the others), and where ops were issued
// side by side, some of them with `more`, since nobody knows which was the last. That an op which is not handed to the
// system at all waits for ever is seen as a stall.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace rig {

// PushAudit is one side's. Thread: issues, answered and completed on any; sent, optioned and ended one at a time.
class PushAudit {
 public:
  // The app's door: an op is about to be issued, and what was answered; a pending one completes later.
  void issues(bool more) noexcept;
  void answered(bool more, bool accepted, bool pending) noexcept;
  void completed() noexcept;

  // The kernel's door: a send of `asked` bytes of which `taken` were taken (what is not taken pushes the rest); a
  // socket option that was asked for, whatever came of it; the end of the direction, or of the descriptor.
  void sent(bool more, std::size_t asked, std::size_t taken) noexcept;
  void optioned(int level, int option, int value) noexcept;
  void ended() noexcept;

  // holds says that the system holds bytes back; may_hold that it may.
  bool holds() const noexcept { return holds_; }
  bool may_hold() const noexcept;

 private:
  std::atomic<std::uint32_t> in_calls_{0};
  std::atomic<std::uint32_t> pending_{0};
  std::atomic<std::uint32_t> mores_in_calls_{0};
  std::atomic<bool> last_was_plain_{false};  // an op without `more` was accepted last
  std::atomic<bool> side_by_side_{false};
  bool corked_ = false;
  bool holds_ = false;
};

}  // namespace rig
