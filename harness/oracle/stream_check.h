// StreamCheck: law S1 for one direction of one connection. Bytes received = bytes accepted, in order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "harness/base/bytes.h"
#include "harness/oracle/violation.h"

namespace rig {

// position_code fills `bytes` with the payload of one op: each byte depends on the stream, the op's token and its
// offset in the op, so that a byte lost, doubled, moved or taken from another op or stream is seen at once. Constant
// fill patterns hide mixes (a shorter retry with equal bytes passes).
void position_code(std::uint64_t stream, std::uint64_t token, MutableBytes bytes);

// StreamCheck follows one direction. The sender notes each op before it calls send, and again with what send answered;
// the receiver hands over what arrives. Several senders may be under way at once: each op must arrive whole and
// unmixed, in an order that agrees with the order in which sends were made (an op answered before another was issued
// comes first). Bytes may arrive before send has returned. An op without bytes need not arrive. An echoing receiver is
// checked by a StreamCheck of the way back, whose ops are what the echo sent.
//
// The order is judged exactly. At the end of each op the candidates for the next one are those that nothing missing
// must precede; the bytes choose among them. While senders are side by side, very small ops (1 to 7 bytes, or equal
// echoes) may fit more than one candidate: then each choice is followed as a path of its own, equal paths merge, and
// the stream is wrong when the last path has ended. So a legal stream is never reported, and a wrong one is missed only
// where its bytes are those of a legal one. A path costs little and a wrong one survives a byte with a chance of 1 in
// 256 for each candidate, so more than paths_max of them need hundreds of senders of equal bytes; then nothing more is
// judged (gave_up()) but the count of bytes.
//
// One defect is one report: after the first violation of a stream nothing more is reported for it. Thread: any.
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
  // answered notes that send returned, once for each issue; `accepted` is false for a refused one, whose bytes must not
  // arrive.
  void answered(std::uint64_t token, bool accepted);
  // received checks bytes that arrived.
  void received(ByteView bytes);
  // finish is asked at the end of a run, when every send has returned: with `all_delivered` every accepted byte must
  // have arrived; else what arrived is a prefix, which received() has checked already, and at least the ops that
  // completed with success before a clean end must be in it: `delivered_bytes_min`.
  void finish(bool all_delivered, std::uint64_t delivered_bytes_min);

  std::uint64_t accepted_bytes() const;
  std::uint64_t received_bytes() const;
  // Carried is both; carried answers nothing while another call is under way, as OpLedger::waiting() does.
  struct Carried {
    std::uint64_t accepted_bytes = 0;
    std::uint64_t received_bytes = 0;
  };
  std::optional<Carried> carried() const;
  // gave_up says that the stream had more readings than paths_max, and that its order is not judged any more.
  bool gave_up() const;

  static constexpr std::size_t paths_max = 1024;

 private:
  struct Ops;
  std::unique_ptr<Ops> ops_;
};

}  // namespace rig
