// WireTap: each sound conversation is passed over in silence, however it is cut, and each spoilt one is reported.
#include "harness/oracle/wire_tap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace rig {
namespace {

constexpr WireSide client = WireSide::client;
constexpr WireSide server = WireSide::server;

Bytes record(std::uint8_t type, const Bytes& body) {
  Bytes made{type, 3, 3, static_cast<std::uint8_t>(body.size() >> 8), static_cast<std::uint8_t>(body.size())};
  made.insert(made.end(), body.begin(), body.end());
  return made;
}

Bytes sealed(std::uint8_t type, std::size_t bytes) {
  return record(type, Bytes(bytes, 0xaa));
}

Bytes message(std::uint8_t type, const Bytes& body) {
  Bytes made{type, 0, static_cast<std::uint8_t>(body.size() >> 8), static_cast<std::uint8_t>(body.size())};
  made.insert(made.end(), body.begin(), body.end());
  return made;
}

Bytes hello(std::uint8_t type) {
  return record(22, message(type, Bytes(60, type)));
}

Bytes retry_request() {
  Bytes body{3,    3,    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8,
             0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c};
  body.resize(60);
  return record(22, message(2, body));
}

// Piece is what one side sends next.
struct Piece {
  WireSide from;
  Bytes bytes;
};
using Talk = std::vector<Piece>;

const Bytes change_cipher{20, 3, 3, 0, 1, 1};

Talk tls12() {
  return {{client, hello(1)},       {server, hello(2)},        {client, record(22, message(16, Bytes(8)))},
          {client, change_cipher},  {client, sealed(22, 40)},  {server, change_cipher},
          {server, sealed(22, 40)}, {client, sealed(23, 100)}, {server, sealed(23, 16384 + 2048)},
          {client, sealed(21, 26)}, {server, sealed(21, 26)}};
}

Talk tls13() {
  return {{client, hello(1)},       {server, hello(2)},       {server, change_cipher},  {server, sealed(23, 300)},
          {client, change_cipher},  {client, sealed(23, 53)}, {client, sealed(23, 90)}, {server, sealed(23, 16640)},
          {client, sealed(23, 19)}, {server, sealed(23, 19)}};
}

std::vector<std::string> judge(const Talk& talk, WireRules rules, std::size_t cut = SIZE_MAX, bool orderly = true) {
  ViolationLog log;
  WireTap tap("connection 0", rules, log);
  for (const Piece& piece : talk) {
    for (ByteView left = piece.bytes; !left.empty(); left = left.subspan(std::min(cut, left.size()))) {
      tap.carried(piece.from, left.first(std::min(cut, left.size())));
    }
  }
  tap.finish(client, orderly);
  tap.finish(server, orderly);
  std::vector<std::string> said;
  for (const Violation& violation : log.kept()) {
    EXPECT_EQ(violation.law, Law::w1_wire);
    said.push_back(violation.where + ": " + violation.message);
  }
  return said;
}

void expect_said(const Talk& talk, WireRules rules, const std::string& part, bool orderly = true) {
  const auto said = judge(talk, rules, SIZE_MAX, orderly);
  ASSERT_EQ(said.size(), 1U) << part;
  EXPECT_NE(said.front().find(part), std::string::npos) << said.front();
}

constexpr WireRules rules12{.tls13 = false, .renegotiates = false};
constexpr WireRules rules13{.tls13 = true, .renegotiates = false};

TEST(WireTap, a_sound_conversation_is_silent_however_it_is_cut) {
  for (const std::size_t cut : {std::size_t{1}, std::size_t{2}, std::size_t{5}, std::size_t{7}, SIZE_MAX}) {
    EXPECT_EQ(judge(tls12(), rules12, cut), std::vector<std::string>{});
    EXPECT_EQ(judge(tls13(), rules13, cut), std::vector<std::string>{});
  }
}

TEST(WireTap, records_are_counted) {
  ViolationLog log;
  WireTap tap("connection 0", rules12, log);
  tap.carried(client, hello(1));
  tap.carried(client, Bytes{22, 3});
  EXPECT_EQ(tap.records(client), 1U);
  EXPECT_EQ(tap.records(server), 0U);
}

TEST(WireTap, plain_text_is_no_record) {
  const Bytes text{'G', 'E', 'T', ' ', '/', '\r', '\n'};
  expect_said({{client, text}}, rules12, "no TLS record", false);
  Talk late = tls12();
  late.insert(late.end() - 2, {client, text});
  expect_said(late, rules12, "no TLS record");
}

TEST(WireTap, application_data_before_the_keys_are_reported) {
  expect_said({{client, hello(1)}, {client, sealed(23, 10)}}, rules12, "application data come before there are keys",
              false);
  expect_said({{client, hello(1)}, {client, sealed(23, 10)}}, rules13, "application data come before there are keys",
              false);
}

TEST(WireTap, a_length_that_no_record_has_is_reported) {
  Talk talk = tls12();
  talk[8].bytes = sealed(23, 16384 + 2049);
  expect_said(talk, rules12, "has 18433 bytes");
  talk = tls13();
  talk[7].bytes = sealed(23, 16641);
  expect_said(talk, rules13, "has 16641 bytes");
  talk[7].bytes = sealed(23, 0);
  expect_said(talk, rules13, "has 0 bytes");
}

TEST(WireTap, a_second_client_hello_is_reported_unless_it_was_asked_for) {
  Talk talk = tls13();
  talk.insert(talk.begin() + 1, {client, hello(1)});
  expect_said(talk, rules13, "ClientHello number 2");
  talk.insert(talk.begin() + 1, {server, retry_request()});
  EXPECT_EQ(judge(talk, rules13), std::vector<std::string>{});
  talk.insert(talk.begin() + 3, {client, hello(1)});
  expect_said(talk, rules13, "ClientHello number 3");
}

TEST(WireTap, a_handshake_in_the_clear_behind_the_keys_is_reported) {
  Talk talk = tls13();
  talk.insert(talk.begin() + 6, {client, hello(1)});
  expect_said(talk, rules13, "in the clear behind the keys");
}

TEST(WireTap, an_orderly_end_needs_its_close_notify) {
  Talk talk = tls12();
  talk.pop_back();
  expect_said(talk, rules12, "is no close_notify");
  talk = tls13();
  talk.pop_back();
  expect_said(talk, rules13, "no close_notify has so many");
  for (const std::size_t bytes : {11, 19}) {  // with a short tag, as it comes
    talk = tls13();
    talk.back().bytes = sealed(23, bytes);
    EXPECT_EQ(judge(talk, rules13), std::vector<std::string>{}) << bytes;
  }
  talk.back().bytes = sealed(23, 32);
  expect_said(talk, rules13, "no close_notify has so many");  // its flight of 300 bytes was not padded
  talk[3].bytes = sealed(23, 304);
  EXPECT_EQ(judge(talk, rules13), std::vector<std::string>{});
  talk.pop_back();
  // An end that was not orderly needs none.
  EXPECT_EQ(judge(talk, rules13, SIZE_MAX, false), std::vector<std::string>{});
}

TEST(WireTap, a_connection_that_was_reset_owes_no_close_notify) {
  for (const bool reset : {false, true}) {
    ViolationLog log;
    WireTap tap("connection 0", rules12, log);
    tap.carried(client, hello(1));
    if (reset) {
      tap.cut();
    }
    tap.finish(client, true);
    EXPECT_EQ(log.count(), reset ? 0U : 1U);
  }
}

TEST(WireTap, nothing_comes_behind_the_close_notify) {
  Talk talk = tls12();
  talk.push_back({server, sealed(21, 26)});
  expect_said(talk, rules12, "behind the alert that ends the stream");
  talk.back().bytes = sealed(23, 26);
  expect_said(talk, rules12, "behind the alert that ends the stream");
  // A refused renegotiation is an alert that ends nothing.
  Talk refused = tls12();
  refused.insert(refused.begin() + 8, {server, sealed(21, 26)});
  EXPECT_EQ(judge(refused, {.tls13 = false, .renegotiates = true}), std::vector<std::string>{});
}

TEST(WireTap, an_orderly_end_lies_between_two_records) {
  Talk talk = tls12();
  talk.back().bytes.pop_back();
  expect_said(talk, rules12, "ends inside a record");
  EXPECT_EQ(judge(talk, rules12, SIZE_MAX, false), std::vector<std::string>{});
}

}  // namespace
}  // namespace rig
