// WireTap: the law of the wire, W1, asked of the bytes of one connection.
//
// What both sides send is cut into TLS records, and nothing is decrypted. Asked is: the stream is made of whole TLS
// records of a legal kind and length; what stands before the keys is a handshake or an alert, and never application
// data; there is one ClientHello, or two where the server asked for another; behind the keys nothing is in the clear;
// a side that ends in the orderly way ends with exactly one close_notify, and at a boundary of records.
//
// What a tap cannot see: whether the records are in the order of their encryption (the peer cannot decrypt one that is
// not, and says so), and at TLS 1.3 which of them is an alert (asked is that the last one has the size of one).
//
// Source: RFC 5246 6.2, RFC 8446 5, 4.1.3 (HelloRetryRequest), 6.1 (closure alerts).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "harness/base/bytes.h"
#include "harness/oracle/violation.h"

namespace rig {

// WireSide is who sends.
enum class WireSide : std::uint8_t { client, server };

// WireRules is what a tap must know of the connection.
struct WireRules {
  bool tls13 = false;
  bool renegotiates = false;            // alerts that are no end may come, and handshakes behind the keys
  std::optional<WireSide> judged = {};  // who is judged, if not both: at one end of a connection, that end
};

// WireTap looks at one connection. After the first violation of a side it looks at that side no more. Thread: one at a
// time.
class WireTap {
 public:
  WireTap(std::string where, WireRules rules, ViolationLog& log);

  // carried: these bytes come next on the way from that side. It is look() and tell(), for whoever must not report
  // under a lock of its own.
  void carried(WireSide from, ByteView bytes);
  void look(WireSide from, ByteView bytes);
  void tell();
  bool has_found() const { return !found_.empty(); }
  // cut: the connection was reset. Neither side owes a close_notify any more.
  void cut() { cut_ = true; }
  // finish says how that side ended: `orderly` if its own end was graceful, and it all has left. Each side once.
  void finish(WireSide from, bool orderly);

  // records is how many came from that side, so that silence can be told from nothing.
  std::uint64_t records(WireSide from) const { return way(from).records; }

 private:
  struct Way {
    std::array<std::uint8_t, 5> header{};
    std::size_t header_bytes = 0;
    std::size_t body_left = 0;
    std::uint8_t type = 0;
    std::size_t length = 0;
    std::uint64_t records = 0;
    bool keyed = false;  // what comes is encrypted
    bool pads = true;    // each record that was encrypted has whole blocks
    bool broken = false;
    std::uint64_t alerts = 0;  // encrypted ones; at TLS 1.3 they cannot be told apart
    // The handshake message that is being read, while it is in the clear.
    std::array<std::uint8_t, 38> message{};
    std::size_t message_bytes = 0;
    std::size_t message_left = 0;
  };

  Way& way(WireSide side) { return ways_[static_cast<std::size_t>(side)]; }
  const Way& way(WireSide side) const { return ways_[static_cast<std::size_t>(side)]; }
  void begin_record(WireSide from);
  void end_record(WireSide from);
  void in_the_clear(WireSide from, ByteView bytes);
  void message_begun(WireSide from);
  void report(WireSide from, const std::string& message);

  const std::string where_;
  const WireRules rules_;
  ViolationLog& log_;
  std::array<Way, 2> ways_;
  std::vector<Violation> found_;
  bool cut_ = false;
  unsigned hellos_ = 0;
  unsigned hellos_asked_ = 1;
};

}  // namespace rig
