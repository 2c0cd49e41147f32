#include "harness/subjects/canary/litterer.h"

#include <openssl/err.h>

#include <cstddef>
#include <cstdint>

namespace rig {
namespace {

const rig_subject* inner_subject = nullptr;

rig_send_result send(rig_socket* socket, std::uint64_t token, const std::uint8_t* bytes, std::size_t count,
                     std::uint32_t flags, rig_error* error) {
  const rig_send_result result = inner_subject->send(socket, token, bytes, count, flags, error);
  if (result != RIG_SEND_REFUSED) {
    ERR_raise(ERR_LIB_USER, ERR_R_INTERNAL_ERROR);
  }
  return result;
}

}  // namespace

const rig_subject* make_litterer(const rig_subject* inner) {
  static rig_subject table;
  inner_subject = inner;
  table = *inner;
  table.send = send;
  return &table;
}

}  // namespace rig
