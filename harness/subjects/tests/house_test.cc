// The house through its C interface, where suites do not go.
#include "harness/subjects/house.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <iterator>
#include <memory>

namespace rig {
namespace {

std::ptrdiff_t open_descriptors() {
  const std::filesystem::directory_iterator entries("/proc/self/fd");
  return std::distance(begin(entries), end(entries));
}

// Plain counts what happened to one socket.
struct Plain {
  rig_socket* socket = nullptr;
  int connected = 0;
  int closed = 0;
};

Plain& plain(void* user) {
  return *static_cast<Plain*>(user);
}

const rig_socket_callbacks callbacks{
    .connected = [](void* user, const rig_error* error) { plain(user).connected += error == nullptr ? 1 : 0; },
    .data = [](void*, const std::uint8_t*, std::size_t) {},
    .ended = [](void*) {},
    .sent = [](void*, std::uint64_t, std::size_t, const rig_error*) {},
    .writable = [](void*) {},
    .closed = [](void* user, const rig_error*) { ++plain(user).closed; }};

// Link is a client and a server on one loop, connected.
class Link {
 public:
  Link() {
    EXPECT_EQ(subject_.loop_create(&loop_config_, &loop_, nullptr), RIG_OK);
    EXPECT_EQ(subject_.context_create(&context_config_, &context_, nullptr), RIG_OK);
    const rig_listener_callbacks accepting{.accepted = [](void* user, rig_socket* socket) {
      Link& link = *static_cast<Link*>(user);
      link.server.socket = socket;
      link.subject_.adopt(socket, &callbacks, &link.server);
    }};
    rig_listener* listener = nullptr;
    EXPECT_EQ(subject_.listen(loop_, context_, "127.0.0.1", 0, &socket_config_, &accepting, this, &listener, nullptr),
              RIG_OK);
    EXPECT_EQ(subject_.connect(loop_, context_, "127.0.0.1", subject_.listener_port(listener), &socket_config_,
                               &callbacks, &client, &client.socket, nullptr),
              RIG_OK);
    until([this] { return client.connected + server.connected == 2; });
    subject_.listener_close(listener);
  }
  ~Link() { subject_.context_destroy(context_); }

  template <class Condition>
  void until(Condition&& condition) {
    for (int turns = 0; turns < 1000 && !condition(); ++turns) {
      ASSERT_EQ(subject_.loop_turn(loop_, 100'000, nullptr), RIG_OK);
    }
    ASSERT_TRUE(condition());
  }

  const rig_subject& subject() const { return subject_; }
  rig_loop* loop() const { return loop_; }

  Plain client;
  Plain server;

 private:
  const rig_subject& subject_ = *plain_subject();
  static rig_context_config plain_config() {
    rig_context_config config{};
    config.library = "null";
    return config;
  }

  const rig_loop_config loop_config_{.poller = RIG_POLLER_EPOLL, .fast_track = 1};
  const rig_context_config context_config_ = plain_config();
  const rig_socket_config socket_config_{};
  rig_loop* loop_ = nullptr;
  rig_context* context_ = nullptr;
};

TEST(house, a_loop_is_destroyed_right_behind_its_closed_sockets) {
  const std::ptrdiff_t before = open_descriptors();
  {
    Link link;
    for (Plain* end : {&link.client, &link.server}) {
      EXPECT_EQ(link.subject().close(end->socket, RIG_CLOSE_ABORT, nullptr), RIG_OK);
    }
    link.until([&link] { return link.client.closed + link.server.closed == 2; });
    for (Plain* end : {&link.client, &link.server}) {
      link.subject().destroy(end->socket);
    }
    link.subject().loop_destroy(link.loop());
  }
  EXPECT_EQ(open_descriptors(), before);
}

TEST(house, a_loop_is_destroyed_right_behind_sockets_that_are_still_open) {
  const std::ptrdiff_t before = open_descriptors();
  {
    Link link;
    for (Plain* end : {&link.client, &link.server}) {
      link.subject().destroy(end->socket);
    }
    link.subject().loop_destroy(link.loop());
    EXPECT_EQ(link.client.closed, 1);
    EXPECT_EQ(link.server.closed, 1);
  }
  EXPECT_EQ(open_descriptors(), before);
}

}  // namespace
}  // namespace rig
