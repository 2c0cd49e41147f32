// What the tests of the TCP transport share: two ends of a connection on the loopback.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "harness/socket/posix_handle.h"
#include "harness/socket/transport.h"

namespace rig::test {

inline int descriptor_of(const Transport& transport) {
  return posix_descriptor(transport.handle()).value();
}

inline void until(NativeHandle handle, short events) {
  pollfd entry{.fd = posix_descriptor(handle).value(), .events = events, .revents = 0};
  while (::poll(&entry, 1, -1) < 0 && errno == EINTR) {
  }
}

inline void until_readable(const Transport& transport) {
  until(transport.handle(), POLLIN);
}
inline void until_writable(const Transport& transport) {
  until(transport.handle(), POLLOUT);
}

template <typename Expected>
Code code_of(const Expected& expected) {
  return expected ? Code::internal : expected.error().code();
}

// Loopback is a listener and the two ends of one connection to it.
struct Loopback {
  explicit Loopback(const std::string& host = "127.0.0.1") {
    auto listening = listen_tcp({.host = host, .port = 0}, 16);
    EXPECT_TRUE(listening) << listening.error().detail();
    acceptor = std::move(*listening);
    connect();
  }

  void connect() {
    auto connecting = connect_tcp(*acceptor->local_endpoint());
    ASSERT_TRUE(connecting) << connecting.error().detail();
    client = std::move(*connecting);
    until_writable(*client);
    until(acceptor->handle(), POLLIN);
    auto accepted = acceptor->accept();
    ASSERT_TRUE(accepted) << accepted.error().detail();
    server = std::move(*accepted);
    ASSERT_TRUE(client->finish_connect());
  }

  std::unique_ptr<Acceptor> acceptor;
  std::unique_ptr<Transport> client;
  std::unique_ptr<Transport> server;
};

inline std::expected<std::size_t, Error> send_text(Transport& transport, std::string_view text, bool more = false) {
  const ByteView piece = as_bytes(text);
  return transport.send({&piece, 1}, more);
}

// receive reads until `bytes` of them are there or the stream ends.
inline std::string receive(Transport& transport, std::size_t bytes) {
  std::string text;
  while (text.size() < bytes) {
    std::array<std::uint8_t, 65536> storage;
    until_readable(transport);
    const auto count = transport.recv(MutableBytes(storage).first(std::min(storage.size(), bytes - text.size())));
    if (!count || *count == 0) {
      EXPECT_TRUE(count || count.error().code() == Code::would_block) << count.error().detail();
      break;
    }
    text += as_text(ByteView(storage).first(*count));
  }
  return text;
}

// fill sends until the system takes no more, and returns how much it took.
inline std::size_t fill(Transport& transport) {
  const std::string block(100'000, 'f');
  std::size_t total = 0;
  for (;;) {
    const auto taken = send_text(transport, block);
    if (!taken) {
      EXPECT_EQ(taken.error().code(), Code::would_block);
      return total;
    }
    total += *taken;
  }
}

// in_child runs `body` in a forked child and expects it to exit with 0: a signal or a limit of its own ends nobody
// else.
template <typename Body>
void in_child(Body body) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const int result = body();
    std::_Exit(testing::Test::HasFailure() ? 2 : result);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << "ended by signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace rig::test
