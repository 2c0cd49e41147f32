#include "harness/subjects/abi.h"

#include <algorithm>
#include <cstring>

namespace rig {

rig_status to_abi(const Error& error, rig_error* abi) noexcept {
  const auto status = static_cast<rig_status>(static_cast<int>(error.code()) + 1);
  if (abi != nullptr) {
    abi->status = status;
    abi->number = error.number();
    const std::size_t bytes = std::min(error.detail().size(), sizeof(abi->detail) - 1);
    std::memcpy(abi->detail, error.detail().data(), bytes);
    abi->detail[bytes] = '\0';
  }
  return status;
}

static_assert(static_cast<int>(Code::closed) + 1 == RIG_CLOSED);
static_assert(static_cast<int>(Code::verification_failed) + 1 == RIG_VERIFICATION_FAILED);
static_assert(static_cast<int>(Code::would_block) + 1 == RIG_WOULD_BLOCK);
static_assert(static_cast<int>(Code::internal) + 1 == RIG_INTERNAL);

Error from_abi(const rig_error& abi) noexcept {
  if (abi.status <= RIG_OK || abi.status > RIG_INTERNAL) {
    return Error(Code::internal, "the subject reported a status that subject.h does not know", abi.status);
  }
  const std::size_t bytes = ::strnlen(abi.detail, sizeof(abi.detail));
  return Error(static_cast<Code>(abi.status - 1), {abi.detail, bytes}, abi.number);
}

}  // namespace rig
