#include "harness/oracle/wire_tap.h"

#include <algorithm>
#include <utility>

namespace rig {
namespace {

enum Type : std::uint8_t { change_cipher_spec = 20, alert = 21, handshake = 22, application_data = 23 };
enum Message : std::uint8_t { client_hello = 1, server_hello = 2 };

constexpr std::size_t plain_max = std::size_t{1} << 14;
// What encryption may add: 2048 bytes at TLS 1.2, 256 at TLS 1.3.
constexpr std::size_t added_max_12 = 2048;
constexpr std::size_t added_max_13 = 256;
// An alert of two bytes, its type, and a tag of 16 or 8 bytes. mbedTLS pads all that it encrypts to whole blocks, and
// has a tag of 16 (RFC 8446, 5.4).
constexpr std::size_t alert_bytes_13 = 2 + 1 + 16;
constexpr std::size_t alert_bytes_13_short_tag = 2 + 1 + 8;
constexpr std::size_t padding_block = 16;
constexpr std::size_t alert_bytes_13_padded = padding_block + 16;

// The random of a ServerHello that asks for another ClientHello. Source: RFC 8446, 4.1.3.
constexpr std::array<std::uint8_t, 32> retry_random{0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c,
                                                    0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb,
                                                    0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c};

std::string_view name_of(WireSide side) {
  return side == WireSide::client ? "client" : "server";
}

}  // namespace

WireTap::WireTap(std::string where, WireRules rules, ViolationLog& log)
    : where_(std::move(where)), rules_(rules), log_(log) {}

void WireTap::carried(WireSide from, ByteView bytes) {
  look(from, bytes);
  tell();
}

void WireTap::tell() {
  for (Violation& violation : std::exchange(found_, {})) {
    log_.report(violation.law, std::move(violation.where), std::move(violation.message));
  }
}

void WireTap::look(WireSide from, ByteView bytes) {
  Way& here = way(from);
  while (!bytes.empty() && !here.broken) {
    if (here.header_bytes < here.header.size()) {
      here.header[here.header_bytes++] = bytes.front();
      bytes = bytes.subspan(1);
      if (here.header_bytes == here.header.size()) {
        begin_record(from);
      }
    } else {
      const std::size_t now = std::min(bytes.size(), here.body_left);
      if (here.type == handshake && !here.keyed) {
        in_the_clear(from, bytes.first(now));
      }
      here.body_left -= now;
      bytes = bytes.subspan(now);
    }
    if (!here.broken && here.header_bytes == here.header.size() && here.body_left == 0) {
      end_record(from);
    }
  }
}

void WireTap::begin_record(WireSide from) {
  Way& here = way(from);
  here.type = here.header[0];
  here.length = here.body_left = static_cast<std::size_t>(here.header[3]) << 8 | here.header[4];
  const std::size_t added_max = !here.keyed ? 0 : rules_.tls13 ? added_max_13 : added_max_12;
  if (here.type < change_cipher_spec || here.type > application_data || here.header[1] != 3 || here.header[2] > 4) {
    report(from, "what comes is no TLS record: it begins with " + std::to_string(here.type) + " " +
                     std::to_string(here.header[1]) + " " + std::to_string(here.header[2]));
  } else if (here.length > plain_max + added_max || here.length == 0) {
    report(from, "a record of type " + std::to_string(here.type) + " has " + std::to_string(here.length) + " bytes");
  } else if (here.type == application_data && !here.keyed) {
    report(from, "application data come before there are keys");
  } else if (here.records == 0 && here.type != handshake && here.type != alert) {
    report(from, "the first record has the type " + std::to_string(here.type));
  } else if (here.keyed && rules_.tls13 && here.type == handshake) {
    report(from, "a handshake message is in the clear behind the keys");
  } else if (here.keyed && !rules_.tls13 && !rules_.renegotiates && here.alerts > 0) {
    report(from, "a record of type " + std::to_string(here.type) + " comes behind the alert that ends the stream");
  }
}

void WireTap::end_record(WireSide from) {
  Way& here = way(from);
  ++here.records;
  here.header_bytes = 0;
  if (here.keyed && here.type == application_data) {
    here.pads = here.pads && here.length % padding_block == 0;
  }
  if (!rules_.tls13) {
    here.alerts += here.keyed && here.type == alert ? 1 : 0;
    here.keyed = here.keyed || here.type == change_cipher_spec;
  }
}

// Messages may be cut over records, and records may hold several.
void WireTap::in_the_clear(WireSide from, ByteView bytes) {
  Way& here = way(from);
  for (const std::uint8_t byte : bytes) {
    if (here.message_bytes < here.message.size()) {
      here.message[here.message_bytes] = byte;
    }
    ++here.message_bytes;
    if (here.message_bytes == 4) {
      here.message_left = static_cast<std::size_t>(here.message[1]) << 16 |
                          static_cast<std::size_t>(here.message[2]) << 8 | here.message[3];
      message_begun(from);
    } else if (here.message_bytes > 4) {
      --here.message_left;
    }
    if (here.message_bytes < 4 || here.message_left > 0) {
      continue;
    }
    const bool hello = from == WireSide::server && here.message[0] == server_hello;
    if (hello && rules_.tls13 && here.message_bytes >= here.message.size()) {
      if (std::ranges::equal(retry_random, std::span(here.message).subspan(6))) {
        hellos_asked_ = 2;
      } else {
        ways_[0].keyed = ways_[1].keyed = true;
      }
    }
    here.message_bytes = 0;
  }
}

void WireTap::message_begun(WireSide from) {
  if (way(from).message[0] != client_hello) {
    return;
  }
  if (++hellos_ > hellos_asked_ || from == WireSide::server) {
    report(from, "ClientHello number " + std::to_string(hellos_) + " comes, and the server asked for " +
                     std::to_string(hellos_asked_));
  }
}

void WireTap::finish(WireSide from, bool orderly) {
  const Way& here = way(from);
  if (!orderly || cut_ || here.broken) {
    return;
  }
  if (here.header_bytes != 0) {
    report(from, "the stream ends inside a record");
  } else if (!here.keyed) {
    report(from, "the stream ends before there are keys, and is said to have ended in the orderly way");
  } else if (rules_.tls13 && here.length != alert_bytes_13 && here.length != alert_bytes_13_short_tag &&
             !(here.pads && here.length == alert_bytes_13_padded)) {
    report(from, "the last record has " + std::to_string(here.length) + " bytes, and no close_notify has so many");
  } else if (!rules_.tls13 && here.type != alert) {
    report(from, "the last record has the type " + std::to_string(here.type) + ", and is no close_notify");
  }
  tell();
}

void WireTap::report(WireSide from, const std::string& message) {
  Way& here = way(from);
  here.broken = true;
  if (rules_.judged.value_or(from) == from) {
    found_.push_back({.law = Law::w1_wire,
                      .where = where_ + ", from the " + std::string(name_of(from)),
                      .message = "record " + std::to_string(here.records) + ": " + message});
  }
}

}  // namespace rig
