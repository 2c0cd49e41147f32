#include "harness/base/error.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>
#include <string>
#include <type_traits>
#include <utility>

namespace rig {
namespace {

constexpr int codes = static_cast<int>(Code::internal) + 1;

TEST(error, every_code_has_a_word_of_its_own_and_back) {
  std::set<std::string_view> words;
  for (int i = 0; i < codes; ++i) {
    const Code code = static_cast<Code>(i);
    words.insert(code_name(code));
    EXPECT_EQ(code_from_name(code_name(code)), code);
  }
  EXPECT_EQ(words.size(), static_cast<std::size_t>(codes));
  EXPECT_EQ(words.count("unknown"), 0U);
  EXPECT_EQ(code_name(static_cast<Code>(codes)), "unknown");
  EXPECT_FALSE(code_from_name("unknown"));
  EXPECT_FALSE(code_from_name(""));
}

TEST(error, carries_code_sentence_and_number) {
  const Error error(Code::timeout, "the handshake took too long", 42);
  EXPECT_EQ(error.code(), Code::timeout);
  EXPECT_EQ(error.detail(), "the handshake took too long");
  EXPECT_EQ(error.number(), 42);
  EXPECT_EQ(Error(Code::closed).detail(), "");
  EXPECT_EQ(Error(Code::closed).number(), 0);
}

TEST(error, a_sentence_longer_than_its_room_is_cut) {
  const std::string most(Error::detail_bytes_max, 'd');
  EXPECT_EQ(Error(Code::closed, most).detail(), most);
  EXPECT_EQ(Error(Code::closed, most + "x").detail(), most);
  EXPECT_EQ(Error(Code::closed, std::string(5000, 'd')).detail(), most);
}

TEST(error, owns_its_sentence_and_needs_no_memory_to_be_copied) {
  std::string sentence = "before";
  const Error error(Code::closed, sentence);
  sentence = "after!";
  const Error copy = error;
  EXPECT_EQ(copy.detail(), "before");
  EXPECT_NE(copy.detail().data(), error.detail().data());
  EXPECT_TRUE(std::is_trivially_copyable_v<Error>);
}

TEST(system_error, names_the_call_and_the_reason) {
  const Error error = system_error("connect", ECONNREFUSED);
  EXPECT_EQ(error.code(), Code::refused);
  EXPECT_EQ(error.detail(), "connect: Connection refused");
  EXPECT_EQ(error.number(), ECONNREFUSED);
}

TEST(system_error, a_call_with_a_very_long_name_is_cut) {
  const Error error = system_error(std::string(5000, 'c'), EPIPE);
  EXPECT_EQ(error.code(), Code::reset);
  EXPECT_EQ(error.detail(), std::string(error.detail().size(), 'c'));
  EXPECT_LE(error.detail().size(), Error::detail_bytes_max);
  EXPECT_GT(error.detail().size(), 100U);
}

TEST(system_error, a_name_that_is_part_of_a_longer_text_ends_where_its_view_ends) {
  EXPECT_EQ(system_error(std::string_view("sendmsg").substr(0, 4), EPIPE).detail(), "send: Broken pipe");
}

// The table: what a caller does about the number decides the class.
TEST(system_error, each_number_has_the_class_that_a_caller_can_act_on) {
  const std::pair<int, Code> table[] = {
      {EPIPE, Code::reset},
      {ECONNRESET, Code::reset},
      {ECONNABORTED, Code::reset},
      {ENOTCONN, Code::reset},
      {ESHUTDOWN, Code::reset},
      {ENETRESET, Code::reset},
      {ECONNREFUSED, Code::refused},
      {ENETUNREACH, Code::unreachable},
      {EHOSTUNREACH, Code::unreachable},
      {ENETDOWN, Code::unreachable},
      {EHOSTDOWN, Code::unreachable},
      {ENONET, Code::unreachable},
      {EADDRNOTAVAIL, Code::unreachable},
      {ETIMEDOUT, Code::timeout},
      {EAGAIN, Code::would_block},
      {EWOULDBLOCK, Code::would_block},
      {EINTR, Code::would_block},
      {EINPROGRESS, Code::would_block},
      {EALREADY, Code::would_block},
      {EMFILE, Code::no_descriptors},
      {ENFILE, Code::no_descriptors},
      {ENOMEM, Code::no_memory},
      {ENOBUFS, Code::no_memory},
      {EADDRINUSE, Code::address_in_use},
      {EINVAL, Code::invalid_argument},
      {EFAULT, Code::invalid_argument},
      {EBADF, Code::invalid_argument},
      {ENOTSOCK, Code::invalid_argument},
      {EOPNOTSUPP, Code::unsupported},
      {ENOSYS, Code::unsupported},
      {EPROTONOSUPPORT, Code::unsupported},
      {EAFNOSUPPORT, Code::unsupported},
      {EISCONN, Code::invalid_state},
      {EACCES, Code::refused_by_system},
      {EPERM, Code::refused_by_system},
      {ENOPROTOOPT, Code::refused_by_system},
      {ENOSPC, Code::refused_by_system},
      {123456, Code::refused_by_system},
  };
  for (const auto& [number, code] : table) {
    EXPECT_EQ(code_name(system_error("call", number).code()), code_name(code)) << number;
    EXPECT_EQ(system_error("call", number).number(), number);
  }
}

TEST(error, error_of_formats_and_cuts_where_an_error_cuts) {
  const Error error = error_of(Code::protocol, -3, "%s of %d", "record", 7);
  EXPECT_EQ(error.code(), Code::protocol);
  EXPECT_EQ(error.number(), -3);
  EXPECT_EQ(error.detail(), "record of 7");
  EXPECT_EQ(error_of(Code::protocol, 0, "%0500d", 1).detail(), std::string(Error::detail_bytes_max, '0'));
}

Status refuse(bool refused) {
  if (refused) {
    return std::unexpected(Error(Code::closed, "refused"));
  }
  return {};
}

std::expected<int, Error> halve(int number) {
  if (number % 2 != 0) {
    return std::unexpected(Error(Code::invalid_argument, "odd"));
  }
  return number / 2;
}

std::expected<int, Error> halve_unless(int number, bool refused) {
  RIG_TRY_STATUS(refuse(refused));
  RIG_TRY(half, halve(number));
  return half;
}

TEST(error, the_try_macros_bind_the_value_or_hand_the_error_on) {
  EXPECT_EQ(halve_unless(8, false), 4);
  EXPECT_EQ(halve_unless(8, true).error().code(), Code::closed);
  EXPECT_EQ(halve_unless(7, false).error().detail(), "odd");
}

}  // namespace
}  // namespace rig
