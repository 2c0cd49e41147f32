// StreamCheck: law S1 for one direction of one connection. Bytes received = bytes accepted, in order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "harness/base/bytes.h"
#include "harness/oracle/violation.h"

namespace rig {

// position_code fills `bytes` with the payload of one op: each byte depends on the stream, the op's token and its
// offset in the op, so that a byte lost, doubled, moved or taken from another op or stream is seen at once. Constant
// fill patterns hide mixes (a shorter retry with equal bytes passes).
void position_code(std::uint64_t stream, std::uint64_t token, MutableBytes bytes);

// StreamCheck follows one direction. The sender notes each op before it calls send, and takes a refused one back; the
// receiver hands over what arrives. Several senders may be under way at once: each op must arrive whole and unmixed, in
// an order that agrees with the order in which sends were made (an op answered before another was issued comes first).
// An echoing receiver is checked by a StreamCheck of the way back, whose ops are what the echo sent.
// Thread: any.
class StreamCheck {
 public:
  // `stream` tells directions apart; `where` is the receiving end's name for reports.
  StreamCheck(std::uint64_t stream, std::string where, ViolationLog& log);
  ~StreamCheck();
  StreamCheck(const StreamCheck&) = delete;
  StreamCheck& operator=(const StreamCheck&) = delete;

  // issue notes an op that is about to be sent. Its payload is position_code(stream, token, ...), unless `echo` holds
  // the bytes themselves (borrowed for the call, kept as a copy until they have arrived).
  void issue(std::uint64_t token, std::size_t bytes, ByteView echo = {});
  // answered notes that send returned; `accepted` is false for a refused one, whose bytes must not arrive.
  void answered(std::uint64_t token, bool accepted);
  // received checks bytes that arrived.
  void received(ByteView bytes);
  // finish is asked at the end of a run: with `all_delivered` every accepted byte must have arrived; else what arrived
  // is a prefix, which received() has checked already, and at least the ops that completed with success before a clean
  // end must be in it: `delivered_bytes_min`.
  void finish(bool all_delivered, std::uint64_t delivered_bytes_min);

  std::uint64_t accepted_bytes() const;
  std::uint64_t received_bytes() const;

 private:
  struct Ops;
  std::unique_ptr<Ops> ops_;
};

}  // namespace rig
