// Two connected ends of the direct subject, for tests through its C interface.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>

#include "harness/engine/identities.h"
#include "harness/subjects/direct/direct.h"

namespace rig::direct {

// Told counts what the app was told of both ends.
struct Told {
  int connected = 0;
  int ended = 0;
  int closed = 0;
  int reset = 0;
};

// told is the Told behind a callback's user.
inline Told& told(void* user) {
  return *static_cast<Told*>(user);
}

// counting counts.
inline constexpr rig_socket_callbacks counting{
    .connected = [](void* user, const rig_error* error) { told(user).connected += error == nullptr ? 1 : 0; },
    .data = [](void*, const std::uint8_t*, std::size_t) {},
    .ended = [](void* user) { ++told(user).ended; },
    .sent = [](void*, std::uint64_t, std::size_t, const rig_error*) {},
    .writable = [](void*) {},
    .closed =
        [](void* user, const rig_error* error) {
          ++told(user).closed;
          told(user).reset += error != nullptr && error->status == RIG_RESET ? 1 : 0;
        }};

// Ends is a client and a server of `library` on one loop, connected. until() takes turns until a condition holds.
struct Ends : Told {
  explicit Ends(const char* library, bool renegotiation = false, std::uint32_t tls = RIG_TLS_1_2) {
    const Psk key = test_psk();
    const rig_loop_config loop_config{.poller = RIG_POLLER_POLL, .fast_track = 1};
    rig_context_config config{};
    config.library = library;
    config.tls_min = config.tls_max = tls;
    config.allow_renegotiation = renegotiation ? 1 : 0;
    config.psk_identity = key.identity.c_str();
    config.psk = key.key.data();
    config.psk_bytes = key.key.size();
    EXPECT_EQ(subject.context_create(&config, &client_context, nullptr), RIG_OK);
    config.server = 1;
    EXPECT_EQ(subject.context_create(&config, &server_context, nullptr), RIG_OK);
    EXPECT_EQ(subject.loop_create(&loop_config, &loop, nullptr), RIG_OK);
    const rig_socket_config socket_config{};
    const rig_listener_callbacks accepting{.accepted = [](void* user, rig_socket* socket) {
      Ends& ends = *static_cast<Ends*>(user);
      ends.server = socket;
      ends.subject.adopt(socket, &counting, static_cast<Told*>(&ends));
    }};
    rig_listener* listener = nullptr;
    EXPECT_EQ(
        subject.listen(loop, server_context, "127.0.0.1", 0, &socket_config, &accepting, this, &listener, nullptr),
        RIG_OK);
    EXPECT_EQ(subject.connect(loop, client_context, "127.0.0.1", subject.listener_port(listener), &socket_config,
                              &counting, static_cast<Told*>(this), &client, nullptr),
              RIG_OK);
    until([this] { return connected == 2; });
    subject.listener_close(listener);
  }
  ~Ends() {
    subject.destroy(client);
    subject.destroy(server);
    subject.loop_destroy(loop);
    subject.context_destroy(client_context);
    subject.context_destroy(server_context);
  }

  std::uint32_t handshakes(rig_socket* socket) const {
    rig_socket_info info{};
    subject.info(socket, &info);
    return info.handshakes;
  }

  template <class Condition>
  void until(Condition&& condition) {
    for (int turns = 0; turns < 1000 && !condition(); ++turns) {
      ASSERT_EQ(subject.loop_turn(loop, 100'000, nullptr), RIG_OK);
    }
    ASSERT_TRUE(condition());
  }

  const rig_subject& subject = *direct_subject();
  rig_loop* loop = nullptr;
  rig_context* client_context = nullptr;
  rig_context* server_context = nullptr;
  rig_socket* client = nullptr;
  rig_socket* server = nullptr;
};

}  // namespace rig::direct
