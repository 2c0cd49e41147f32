#include "harness/oracle/push_audit.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

namespace rig {

void PushAudit::issues(bool more) noexcept {
  mores_in_calls_ += more ? 1 : 0;
  const bool others = in_calls_++ > 0;
  if (others && mores_in_calls_.load() > 0) {
    side_by_side_ = true;
  }
  if (more) {
    last_was_plain_ = false;  // before its bytes are sent
  }
  ++pending_;
}

void PushAudit::answered(bool more, bool accepted, bool pending) noexcept {
  if (accepted && !more) {
    last_was_plain_ = true;
  }
  pending_ -= accepted && pending ? 0 : 1;
  --in_calls_;
  mores_in_calls_ -= more ? 1 : 0;
}

void PushAudit::completed() noexcept {
  --pending_;
}

void PushAudit::sent(bool more, std::size_t asked, std::size_t taken) noexcept {
  if (taken > 0) {
    holds_ = (more || corked_) && taken == asked;
  }
}

void PushAudit::optioned(int level, int option, int value) noexcept {
  if (level != IPPROTO_TCP) {
    return;
  }
  if (option == TCP_CORK) {
    corked_ = value != 0;
    holds_ = holds_ && corked_;
  } else if (option == TCP_NODELAY && value != 0) {
    holds_ = false;
  }
}

void PushAudit::ended() noexcept {
  corked_ = holds_ = false;
}

bool PushAudit::may_hold() const noexcept {
  return pending_.load() > 0 || !last_was_plain_.load() || side_by_side_.load();
}

}  // namespace rig
